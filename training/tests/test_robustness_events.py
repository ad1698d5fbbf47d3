"""The events of tests of robustness, what networks are shown of them, and how their answers are judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.evaluating import Answers
from dlloc_training.experiments.plans import plan_of
from dlloc_training.experiments.predictions import TEST
from dlloc_training.experiments.reading import ExperimentFile
from dlloc_training.experiments.robustness.making import made_at, outside, reachable
from dlloc_training.experiments.robustness.sources import Sources
from dlloc_training.experiments.robustness.trying import Shown, abstention, show

from seiscomp_dlloc import trust
from seiscomp_dlloc.decode import ImagePeak

from . import tinyrun
from .robust import CALIBRATION, SECTION, peak_of, wanted
from .tinyrun import Tiny


@pytest.fixture
def asked(tiny: Tiny, tmp_path: Path) -> ExperimentFile:
    """The small experiment with a section about robustness."""
    return tinyrun.written(tmp_path, tinyrun.TEXT + SECTION)


def test_unperturbed_events_are_those_of_the_evaluation_to_the_last_bit(asked: ExperimentFile, tiny: Tiny) -> None:
    events = Sources(tiny.materials, wanted(asked)).events("stations", TEST)
    assert len(events) == 5
    exact = {record.name: record for record in tiny.materials.exact("stations", TEST).records}
    for event in events:
        np.testing.assert_array_equal(event.finished().data, exact[event.record.name].data)
    images = Sources(tiny.materials, wanted(asked)).events("images", TEST)
    np.testing.assert_array_equal(images[2].finished().data, events[2].finished().data)


def test_windows_of_noise_all_differ(asked: ExperimentFile, tiny: Tiny) -> None:
    sources = Sources(tiny.materials, wanted(asked))
    events = sources.events("stations", TEST)
    renewed = sources.renewed("stations", TEST, events)
    assert len(renewed) == 7
    drawn = {each.noise.tobytes() for each in (*events, *renewed)}
    assert len(drawn) == 12


def test_events_outside_lie_so_far_beyond_a_side(tiny: Tiny) -> None:
    experiment = tiny.experiment
    places = outside(experiment, np.random.default_rng(0), 2.0, 20)
    assert len(places) == 20
    region, frame = experiment.region, experiment.region.frame
    x, y = (np.abs(np.asarray(v)) for v in frame.to_local(places[:, 0], places[:, 1]))
    east, north = (
        float(np.ptp(v)) / 2 for v in frame.to_local([region.south, region.north], [region.west, region.east])
    )
    beyond = np.hypot(np.clip(x - east, 0, None), np.clip(y - north, 0, None))
    np.testing.assert_allclose(beyond, 2.0, atol=0.01)
    assert reachable(experiment, places).all()
    assert len(outside(experiment, np.random.default_rng(0), 50.0, 20)) == 0
    below = np.array([[45.0, 10.0, 5.0], [45.0, 10.0, 40.0]])
    assert reachable(experiment, below).tolist() == [True, False]


def test_a_made_event_comes_when_it_should(tiny: Tiny) -> None:
    places = np.array([[45.02, 10.03, 5.0], [44.97, 9.95, 4.0]])
    made = made_at(tiny.experiment, tiny.materials.folder, places, np.array([3.0, 2.0]), ["p", "q"], 3)
    again = made_at(tiny.experiment, tiny.materials.folder, places, np.array([3.0, 2.0]), ["p", "q"], 3)
    windows = tiny.materials.windows("stations")
    for record, same in zip(made, again, strict=True):
        np.testing.assert_array_equal(record.data, same.data)
        expected = record.origin_s + windows.p_travel_s(record)
        size = np.abs(record.data).max(axis=0)
        onsets = np.argmax(size > 0.02 * size.max(axis=1, keepdims=True), axis=1) / record.rate_hz
        np.testing.assert_allclose(onsets, expected, atol=0.4)
    assert [record.truth.magnitude for record in made] == [3.0, 2.0]
    assert np.abs(made[0].data).max() > 3 * np.abs(made[1].data).max()


# What networks are shown, and what the plugin would say


def test_an_error_of_the_anchor_moves_the_window(asked: ExperimentFile, tiny: Tiny) -> None:
    event = Sources(tiny.materials, wanted(asked)).events("stations", TEST)[0]
    windows = tiny.materials.windows("stations")
    usual, late = show(windows, event), show(windows, event, 1.0)
    assert late.targets[3] == pytest.approx(usual.targets[3] - 1.0)
    assert usual.arrays is not None
    assert late.arrays is not None
    rate = int(tinyrun.RATE)
    np.testing.assert_array_equal(late.arrays["waveforms"][..., :-rate], usual.arrays["waveforms"][..., rate:])
    assert usual.anchored
    assert usual.used == 6


@pytest.mark.parametrize(
    ("change", "x", "peak", "reason"),
    [
        ({}, 0.0, peak_of(0.8), ""),
        ({}, 0.0, None, ""),
        ({"used": 4}, 0.0, peak_of(0.8), trust.TOO_FEW_STATIONS),
        ({}, 0.0, peak_of(0.1), trust.NO_EVENT),
        ({}, 0.0, peak_of(0.4), trust.LOW_PEAK),
        ({}, 40.0, peak_of(0.8), trust.OUTSIDE_REGION),
        ({}, 40.0, None, trust.OUTSIDE_REGION),
        ({}, 0.0, peak_of(0.8, edge=True), trust.OUTSIDE_REGION),
        ({}, 0.0, peak_of(0.8, secondary=1), trust.TWO_EVENTS),
    ],
)
def test_answers_are_judged_by_the_plugin_s_rules(
    tiny: Tiny, change: dict[str, object], x: float, peak: ImagePeak | None, reason: str
) -> None:
    passport = tiny.materials.passport(plan_of(tiny.experiment, "slim"))
    record = tiny.materials.records("stations", TEST)[0]
    shown = replace(Shown(record, False, {}, np.zeros(5), 10.0, True, 6), **change)
    answers = Answers(("x", "y", "depth"), np.array([[[x, 0.0, 5.0]]]), np.ones((1, 1, 3)), (peak,) if peak else ())
    assert abstention(passport, CALIBRATION, shown, answers, 0) == reason
