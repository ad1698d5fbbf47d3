"""Recorded events in tests of robustness, and theoretical ones made at their places."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.materials import Materials
from dlloc_training.experiments.predictions import RECORDED_TEST, TEST
from dlloc_training.experiments.robustness import conditions as c
from dlloc_training.experiments.robustness import trying
from dlloc_training.experiments.robustness.outcomes import FOLDER, Outcomes
from dlloc_training.experiments.robustness.running import run_robustness
from dlloc_training.experiments.robustness.settings import RECREATED
from dlloc_training.experiments.robustness.sources import Sources, own_noise

from . import bursts, tinyrun
from .robust import CALIBRATION, made_up_answers, untrained, wanted
from .test_experiment_recorded import TEXT

RECORDED = (
    TEXT.replace("duration_s = 40.0", "before_s = 15.0\nduration_s = 35.0\nhighest_hz = 3.0")
    + """
[preprocessing]
band_hz = [1.0, 3.0]
window_s = 32.0
pretrigger_s = 5.0
[location_image]
spacing_km = 8.0
spacing_depth_km = 4.0
[networks.slim]
network = "slim"
settings = {mixed = 8, hidden = 8}
[evaluation.robustness]
magnitudes = [0.5]
snr = [1000.0, 3.0]
noise_windows = 2
"""
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Materials]:
    """An experiment with recorded events, bursts of noise."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "events").mkdir()
    bursts.write_folder(folder / "events", 4, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDER_OF_EVENTS", str(folder / "events"))
        experiment = tinyrun.written(folder, RECORDED)
        yield tinyrun.materials_of(experiment, folder / "run")


def test_recorded_events_are_made_again_at_their_places(recorded: Materials) -> None:
    asked = wanted(recorded.experiment)
    assert asked.sets == (TEST, RECREATED, RECORDED_TEST)
    sources = Sources(recorded, asked)
    theirs, ours = (sources.events("stations", name) for name in (RECORDED_TEST, RECREATED))
    assert [event.record.name for event in theirs] == [event.record.name for event in ours] == ["e4", "e5"]
    for one, other in zip(theirs, ours, strict=True):
        truth, made = one.record.truth, other.record.truth
        assert (made.latitude, made.longitude, made.depth_km) == (truth.latitude, truth.longitude, truth.depth_km)
        assert 2.0 <= made.magnitude <= 3.0  # the recorded ones have none
        assert (one.own, other.own) == (True, False)
    assert sources.notes_of(RECREATED) == []


def test_recorded_events_stay_as_they_are_where_nothing_is_wrong(recorded: Materials) -> None:
    events = Sources(recorded, wanted(recorded.experiment)).events("stations", RECORDED_TEST)
    exact = recorded.exact("stations", RECORDED_TEST)
    for event, record in zip(events, exact.records, strict=True):
        np.testing.assert_array_equal(event.finished().data, record.data)


def test_noise_of_a_recorded_event_is_like_what_stands_before_it(recorded: Materials) -> None:
    assert recorded.recorded is not None
    record = recorded.recorded.test[0]
    quiet = int(record.quiet_s * record.rate_hz)
    noise = own_noise(record, np.random.default_rng(0))
    levels = [data.std(axis=-1) for data in (record.data[..., :quiet], noise)]
    np.testing.assert_allclose(levels[1], levels[0], rtol=0.3)
    assert not np.array_equal(noise[..., :quiet], record.data[..., :quiet])
    assert not own_noise(replace(record, quiet_s=0.5), np.random.default_rng(0)).any()


def test_recorded_and_remade_events_are_tested_as_far_as_they_can_be(
    recorded: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "answer", made_up_answers)
    networks = {"slim": (untrained(recorded, "slim"), CALIBRATION)}
    run_robustness(recorded, wanted(recorded.experiment), networks, tmp_path, lambda _: None)
    counts = {}
    for name in (RECREATED, RECORDED_TEST):
        kept = Outcomes.load(tmp_path / FOLDER / "slim" / f"{name}.npz")
        of_kind = kept.kinds[kept.condition]
        counts[name] = {kind: int(np.count_nonzero(of_kind == kind)) for kind in (c.UNPERTURBED, c.MAGNITUDE, c.NOISE)}
        assert np.count_nonzero(of_kind == c.SILENT) == 2
        assert c.OUTSIDE not in of_kind
    # Recorded events without magnitudes cannot be scaled, and have more noise than the ratio of 1000 allows
    assert counts == {
        RECREATED: {c.UNPERTURBED: 2, c.MAGNITUDE: 2, c.NOISE: 4},
        RECORDED_TEST: {c.UNPERTURBED: 2, c.MAGNITUDE: 0, c.NOISE: 2},
    }
