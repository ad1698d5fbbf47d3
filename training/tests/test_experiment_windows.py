"""From a record to a network's input: bit for bit what the plugin makes of the same data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dlloc_training.experiments.bank import exact_input, targets_of
from dlloc_training.experiments.inputs import draft_passport
from dlloc_training.experiments.records import Record, Truth
from dlloc_training.experiments.theoretical import filtered
from dlloc_training.experiments.windows import Windows, signal_to_noise

from seiscomp_dlloc.locate import Locator
from seiscomp_dlloc.records import Conditioned, ModelIdentity, Pick, Trigger
from seiscomp_dlloc.units import m_to_km

from . import tinyrun
from .tinyrun import STARTTIME, Tiny

KINDS = ("images", "stations")


class Listening:
    """A model that keeps what it is given and says that all events are in the middle of the region."""

    input_names = ("snapshots", "waveforms", "mask")
    identity = ModelIdentity("listening", "0", "0", "none")

    def __init__(self, passport):
        self.passport, self.given = passport, {}

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.given = {name: values[0] for name, values in inputs.items()}
        return {"vector": np.zeros((1, 2), np.float32)}


def heard(windows: Windows, record: Record) -> dict[str, Any]:
    """What the plugin gives a model for the record, triggered at its origin time."""
    model, stations = Listening(windows.passport), windows.passport.stations
    pick = record.first_pick_s
    picks = () if pick is None else (Pick("p", STARTTIME + pick, stations[0].network, stations[0].code),)
    trigger = Trigger(record.name, STARTTIME + record.origin_s, picks=picks)
    locator = Locator(model, tinyrun.inventory_of(stations))
    locator.locate(trigger, tinyrun.stream_of(record, stations))
    return model.given


def windows_of(tiny: Tiny, kind: str) -> Windows:
    return Windows.of(draft_passport(tiny.experiment, kind, mask=True))


def noisy(tiny: Tiny, kind: str, event: int) -> Record:
    augmenter = tiny.materials.augmenter(kind, "theoretical", tiny.materials.records(kind, "test"))
    return tinyrun.in_counts(augmenter.noisy(np.random.default_rng(event), event))


def with_hole(record: Record, station: int, first: int, stop: int) -> Record:
    valid = record.valid.copy()
    valid[:, station, first:stop] = False
    return replace(record, data=np.where(valid, record.data, np.float32(0.0)), valid=valid)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["whole", "a station lost", "a gap", "short", "picked", "picked before the data"])
def test_the_plugin_gives_a_model_the_same_to_the_bit(tiny, kind, what):
    windows = windows_of(tiny, kind)
    record = noisy(tiny, kind, 1)
    if what == "a station lost":
        record = record.without(np.arange(6) == 2)
    elif what == "a gap":
        record = with_hole(record, 4, 250, 290)
    elif what == "short":
        record = with_hole(record, 3, 0, 215)
    elif what == "picked":
        record = replace(record, first_pick_s=record.origin_s + 1.5)
    elif what == "picked before the data":
        record = replace(record, first_pick_s=-1.0)
    names = windows.passport.representation["inputs"]
    made, _, answered = exact_input(windows, record, names)
    given = heard(windows, record)
    assert answered
    assert set(given) == set(names)
    for name, values in zip(names, made, strict=True):
        assert values.any()
        np.testing.assert_array_equal(values, given[name])


def test_what_materials_keep_is_what_the_plugin_gives(tiny):
    # Whole counts are not kept there: so to the rounding of a count
    exact = tiny.materials.exact("images", "held-out")
    windows = tiny.materials.windows("images")
    for row in (0, 3):
        given = heard(windows, tinyrun.in_counts(exact.records[row]))["snapshots"]
        np.testing.assert_allclose(exact.arrays["snapshots"][row], given, atol=1e-4 * given.max())


@pytest.mark.parametrize("kind", KINDS)
def test_origin_times_count_from_the_windows_first_sample(tiny, kind):
    windows, record = windows_of(tiny, kind), noisy(tiny, kind, 0)
    conditioned = windows.conditioned(record)
    for anchor in (14.0, 14.31):
        built = windows.at(conditioned, anchor)
        time = targets_of(record, windows, built.starttime)[3]
        start = anchor - windows.passport.preprocessing.pretrigger_s
        assert time == pytest.approx(record.origin_s - start, abs=0.5 / tinyrun.RATE)
        assert built.starttime + time == pytest.approx(record.origin_s)
    # A wave at a known time in the record lies at that time less the start in the window
    pulse = np.zeros_like(record.data)
    pulse[:, :, round(13.0 * tinyrun.RATE)] = 1e-4
    built = windows.at(windows.conditioned(replace(record, data=pulse)), 12.0)
    values = built.arrays["snapshots" if kind == "images" else "waveforms"]
    rate = 5.0 if kind == "images" else tinyrun.RATE
    along = np.abs(values).sum((1, 2)) if kind == "images" else np.abs(values).sum((0, 1))
    late = built.starttime + np.argmax(along) / rate - 13.0
    assert 0.0 <= late <= 0.4, "later by the delay of the causal filter and half a frame"


def test_targets_are_those_of_the_truth(tiny):
    windows, record = windows_of(tiny, "images"), noisy(tiny, "images", 2)
    x, y, depth, _, magnitude = targets_of(record, windows, 0.0)
    kilometres = np.pi * 6371.0 / 180.0
    truth = record.truth
    assert y == pytest.approx((truth.latitude - 45.0) * kilometres, rel=0.01, abs=0.02)
    assert x == pytest.approx((truth.longitude - 10.0) * kilometres * np.cos(np.radians(45.0)), rel=0.01, abs=0.02)
    assert (depth, magnitude) == (truth.depth_km, truth.magnitude)


def test_the_predicted_first_break_is_the_earliest_p_among_live_stations(tiny):
    windows, record = windows_of(tiny, "stations"), noisy(tiny, "stations", 0)
    place = Truth(45.09, 10.0, 6.0)  # below XX.A, which stands 300 m up; the layers are 5 km/s down to 2.8 km, then 6
    record = replace(record, truth=place)
    mean = np.mean([station.elevation_m for station in windows.passport.stations])
    surface = -m_to_km(mean)
    wanted = (m_to_km(300.0 - mean) + 3.0) / 5.0 + (6.0 - (3.0 + surface)) / 6.0
    assert windows.predicted_anchor(record) - record.origin_s == pytest.approx(wanted, rel=0.03)
    gone = windows.predicted_anchor(record.without(np.arange(6) == 0)) - record.origin_s
    assert gone > wanted + 0.1


def test_the_first_break_of_a_theoretical_record_is_its_p(tiny):
    # Seismograms that end at the band's upper edge ring before P, which STA/LTA takes for the first break
    windows = tiny.materials.windows("stations")
    late = []
    for record in tiny.materials.exact("stations", "held-out").records:
        anchor = windows.anchor(windows.conditioned(record), record)
        if anchor is not None:
            late.append(anchor - windows.predicted_anchor(record))
    assert len(late) >= 12
    assert -0.6 < np.median(late) < 0.3


def test_an_event_below_the_noise_gets_no_answer_and_the_predicted_window(tiny):
    windows, record = windows_of(tiny, "stations"), noisy(tiny, "stations", 0)
    quiet = replace(record, data=np.random.default_rng(0).normal(0, 1e-6, record.data.shape).astype(np.float32))
    _, target, answered = exact_input(windows, quiet, ["waveforms"])
    assert not answered
    start = windows.predicted_anchor(quiet) - windows.passport.preprocessing.pretrigger_s
    assert target[3] == pytest.approx(quiet.origin_s - start, abs=0.5 / tinyrun.RATE)


def test_signal_to_noise_is_the_median_of_peak_over_deviation():
    rng = np.random.default_rng(1)
    data = rng.normal(0.0, 2.0, (3, 5, 4000)).astype(np.float32)
    for station, peak in enumerate((20.0, 40.0, 60.0, 80.0, 100.0)):
        data[1, station, 2500 + station] = peak
    valid = np.ones(data.shape, bool)
    conditioned = Conditioned(data, valid, 100.0, 0.0)
    arrivals = np.full(5, 24.0)
    assert signal_to_noise(conditioned, arrivals) == pytest.approx(30.0, rel=0.05)
    valid[:, 4] = False
    data[:, 4] = 0.0
    assert signal_to_noise(conditioned, arrivals) == pytest.approx(25.0, rel=0.05), "four stations are left"
    data[:, 3, :2400] = 3.0
    assert signal_to_noise(conditioned, arrivals) == pytest.approx(20.0, rel=0.05), "a constant is no noise"
    assert np.isnan(signal_to_noise(conditioned, np.full(5, 1.0))), "no noise before P"


@pytest.mark.parametrize("rate", [20.0, 10.0])
def test_theoretical_data_of_a_source_that_filters_keep_their_rate_and_length(rate):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(3, 2, 600)).astype(np.float32)
    settings = replace(_settings(), sampling_rate_hz=rate)
    out = filtered(data, 20.0, settings)
    assert out.shape == data.shape
    spectrum = np.abs(np.fft.rfft(out[0, 0])) ** 2
    frequency = np.fft.rfftfreq(600, 1 / 20.0)
    inside = spectrum[(frequency > 1.2) & (frequency < 3.5)].mean()
    assert spectrum[frequency < 0.4].mean() < 0.02 * inside
    assert spectrum[frequency > 8.0].mean() < 0.02 * inside
    unfiltered = replace(settings, prefiltered=False)
    assert filtered(data, 20.0, unfiltered) is data


def _settings():
    from .bursts import SETTINGS

    return replace(SETTINGS, band_hz=(1.0, 4.0), corners=4)
