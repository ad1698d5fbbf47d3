"""Recorded events beside theoretical ones: onsets from a catalogue and a network, and the windows drawn from them."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.anynet.draw import Drawer
from dlloc_training.anynet.earths import RATE_HZ
from dlloc_training.anynet.fitting import Examples, Trials
from dlloc_training.anynet.labelling import delays_of, onsets_of
from dlloc_training.anynet.recorded import RECORDED, STRETCH, Recorded, RecordedDrawer, played
from dlloc_training.anynet.running import Beside, Training, recorded_in, train

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

from .anybank import CLEAN, bursts

EARTH = LayeredTravelTimes([0.0], [6.0], [3.5])
SAMPLES = 768


def event(stations: int = 6, seed: int = 0, delay_s: float = 0.2) -> Recorded:
    """Noise of 1 with bursts of 50 at P and S, which are as much later than straight rays say."""
    rng = np.random.default_rng(seed)
    places, depth, origin = rng.uniform(-30.0, 30.0, (stations, 2)), 8.0, 400.0
    length = np.hypot(np.hypot(*places.T), depth)
    onsets = (np.stack([length / 6.0, length / 3.5], axis=-1) + delay_s) * RATE_HZ + origin
    data = rng.standard_normal((stations, 3, 1600)).astype(np.float32)
    for k, phases in enumerate(np.rint(onsets).astype(int)):
        for at in phases:
            data[k, :, at : at + 20] *= 50.0
    return Recorded(data, np.ones(data.shape, bool), onsets, origin, places, depth, np.full((stations, 2), delay_s))


def test_residuals_are_taken_apart_into_events_and_stations() -> None:
    rng = np.random.default_rng(4)
    events, stations = rng.normal(0.0, 0.5, 40), rng.normal(0.5, 0.3, (9, 2))
    residual = events[:, None, None] + stations + rng.normal(0.0, 0.02, (40, 9, 2))
    residual[rng.random(residual.shape) < 0.3] = np.nan
    residual[rng.random(residual.shape) < 0.05] += 2.0
    residual[:, 8, 1] = np.nan
    found = delays_of(residual)
    shift = np.median(events)
    assert found.event == pytest.approx(events - shift, abs=0.06)
    assert found.station[:, 0] == pytest.approx(stations[:, 0] + shift, abs=0.06)
    assert found.station[8, 1] == 0.0


def test_an_onset_is_where_it_was_seen_unless_that_contradicts_the_delays() -> None:
    predicted = np.zeros((2, 2, 2))
    seen = np.array([[[0.1, 0.3], [np.nan, 0.2]], [[0.7, 0.3], [0.4, 5.0]]])
    delays = delays_of(np.full((2, 2, 2), 0.2))
    found = onsets_of(predicted, seen, delays)
    assert found[0] == pytest.approx(np.array([[0.1, 0.3], [0.2, 0.2]]))
    assert found[1] == pytest.approx(np.array([[0.7, 0.3], [0.4, 0.2]]))


def test_a_record_played_faster_is_the_same_in_fewer_samples() -> None:
    time = np.arange(900) / 900.0
    record = np.sin(2 * np.pi * 12.0 * time)[None, None].astype(np.float32)
    for count in (600, 1200):
        again = np.arange(count) / count
        assert played(record, count)[0, 0] == pytest.approx(np.sin(2 * np.pi * 12.0 * again), abs=1e-4)


def test_windows_hold_the_event_where_their_onsets_say() -> None:
    one = event()
    drawer = RecordedDrawer((one,), EARTH, SAMPLES, 6, CLEAN)
    rng, stretched = np.random.default_rng(0), 0
    for _ in range(20):
        window = drawer.draw(rng)
        assert 1 / STRETCH <= window.stretch <= STRETCH
        stretched += window.stretch != 1.0
        for traces, there, (p, _) in zip(window.waveforms, window.mask, window.onsets, strict=True):
            first = round(p)
            if there[0].all():
                before, after = traces[0, first - 60 : first - 8], traces[0, first : first + 8]
                assert np.std(after) > 4.0 * np.std(before)
        distance = np.hypot(*window.places_km.T)
        ray = np.hypot(distance, window.depth_km) / 6.0
        late = (window.onsets[:, 0] - window.origin) / RATE_HZ - ray
        assert late == pytest.approx(window.delays_s[:, 0], abs=1e-6)
    assert 0 < stretched < 20


def test_missing_stations_are_rows_without_data() -> None:
    window = RecordedDrawer((event(4),), EARTH, SAMPLES, 6, CLEAN).draw(np.random.default_rng(1))
    assert window.waveforms.shape == (6, 3, SAMPLES)
    assert not window.mask[4:].any()
    assert np.isnan(window.onsets[4:]).all()


def test_windows_without_an_event_are_noise_alone() -> None:
    drawer = RecordedDrawer((event(),), EARTH, SAMPLES, 6, replace(CLEAN, clean=0.0))
    window = drawer.draw(np.random.default_rng(2))
    assert window.earth == -1
    assert np.isnan(window.onsets).all()
    assert np.std(window.waveforms) > 0.1


def test_examples_take_the_share_of_recorded_windows_and_their_own_earth() -> None:
    bank = bursts(events=2)
    drawers = Drawer(bank, SAMPLES, 6, CLEAN), RecordedDrawer((event(),), EARTH, SAMPLES, 6, CLEAN)
    examples = Examples(drawers[0], Trials(delay_s=(1e-6, 2e-6), velocity_error=0.0), 1, 0, 0, drawers[1], 0.5)
    drawn = []
    for drawer in drawers:
        real = drawer.draw
        drawer.draw = lambda rng, real=real, drawer=drawer: drawn.append(type(drawer)) or real(rng)  # type: ignore[method-assign]
    for seed in range(40):
        row = examples.example(np.random.default_rng(seed))
        middle = Trials().origin_reach_s * RATE_HZ / 2
        apart = row["arrivals"][0] + middle - row["onsets"]
        # At the true place the arrivals are the onsets, half a step of the trial origin times aside
        assert np.nanmax(np.abs(apart)) < 0.6
    assert 10 < drawn.count(RecordedDrawer) < 30


def test_a_training_takes_recorded_events_beside_the_bank(tmp_path) -> None:
    drawer = RecordedDrawer((event(16),), EARTH, 1536, 16, RECORDED)
    settings = Training(steps=2, events=1, every=1)
    train(bursts(), tmp_path, settings, beside=Beside(drawer, drawer, 0.5, "6 events of here"))
    assert recorded_in(tmp_path) == "6 events of here"
    (curves,) = tmp_path.glob("curves/*/metrics.csv")
    assert {"recorded_onsets", "held_out_onsets"} <= set(curves.read_text().splitlines()[0].split(","))
    with pytest.raises(SettingError, match="share of recorded windows is 1"):
        Beside(drawer, drawer, 1.0, "")
    with pytest.raises(SettingError, match="finish the run"):
        recorded_in(tmp_path / "none")
