"""What a network would record of an event of the bank."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.anynet import draw as draw_module
from dlloc_training.anynet.draw import P_WINDOW_S, Drawer, Faults, Window, coloured, preprocessing
from dlloc_training.anynet.earths import RATE_HZ

from .anybank import CLEAN, bursts

SAMPLES = 768
STATIONS = 8
BANK = bursts(events=4)
LEVEL = round(P_WINDOW_S * RATE_HZ)


def windows(faults: Faults, count: int = 30, seed: int = 0) -> list[Window]:
    drawer, rng = Drawer(BANK, SAMPLES, STATIONS, faults), np.random.default_rng(seed)
    return [drawer.draw(rng) for _ in range(count)]


@pytest.fixture
def recorded(monkeypatch):
    """Blocks (3, station, sample) before the preprocessing, in the order of the windows."""
    blocks = []
    real = draw_module.condition

    def spy(given, *rest):
        blocks.append(given[0])
        return real(given, *rest)

    monkeypatch.setattr(draw_module, "condition", spy)
    return blocks


def ratios(window: Window, block) -> np.ndarray:
    """(station,) RMS of the first 1.5 s of P, without the noise's power, over the RMS of the noise before it.

    NaN where the station has no data.
    """
    lead = block.data.shape[-1] - SAMPLES
    out = np.full(STATIONS, np.nan)
    for k, onset in enumerate(np.rint(window.onsets[:, 0]).astype(int) + lead):
        if block.valid[:, k].any():
            noise = np.mean(block.data[:, k, : onset - 10] ** 2)
            signal = np.mean(block.data[0, k, onset : onset + LEVEL] ** 2)
            out[k] = np.sqrt(max(signal - np.mean(block.data[0, k, : onset - 10] ** 2), 0.0) / noise)
    return out


def test_a_drawers_windows_follow_from_the_generator():
    one, same, other = windows(Faults(), 6), windows(Faults(), 6), windows(Faults(), 6, seed=1)
    for a, b in zip(one, same, strict=True):
        for name in Window.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert not np.array_equal(one[0].waveforms, other[0].waveforms)


def test_a_window_is_what_the_plugins_preprocessing_makes():
    settings = preprocessing(SAMPLES)
    for window in windows(Faults(), 40):
        assert window.waveforms.shape == window.mask.shape == (STATIONS, 3, SAMPLES)
        assert window.waveforms.dtype == window.mask.dtype == np.float32
        assert set(np.unique(window.mask)) <= {0.0, 1.0}
        assert np.all(window.waveforms[window.mask == 0.0] == 0.0)
        assert np.isfinite(window.waveforms).all()
        peak, live = np.abs(window.waveforms).max(axis=(1, 2)), window.mask.any(axis=(1, 2))
        assert peak == pytest.approx(live.astype(float), abs=1e-6)
    assert (settings.sampling_rate_hz, settings.window_samples) == (RATE_HZ, SAMPLES)
    assert settings.normalisation == "station_max"


def test_the_window_begins_before_the_first_p_and_onsets_are_those_of_the_bank():
    for window in windows(CLEAN):
        first = np.nanmin(window.onsets[:, 0]) / RATE_HZ
        row = np.flatnonzero((BANK.depth_km == window.depth_km) & (BANK.earth == window.earth))[0]
        assert CLEAN.early_s[0] - 0.05 <= first <= CLEAN.early_s[1] + 0.05
        for place, onset in zip(window.places_km, window.onsets, strict=True):
            station = np.flatnonzero((BANK.places_km[row] == place).all(axis=1))[0]
            wanted = np.array([BANK.p_s[row, station], BANK.s_s[row, station]]) * RATE_HZ + window.origin
            assert onset == pytest.approx(wanted)


def test_p_is_visible_where_the_label_has_it_and_s_too():
    clean = replace(CLEAN, early_s=(6.0, 8.0))
    found, jumps = [], []
    for window in windows(clean):
        for k in np.flatnonzero(window.mask.all(axis=(1, 2))):
            p, s = np.rint(window.onsets[k]).astype(int)
            vertical, flat = window.waveforms[k, 0], (window.waveforms[k, 1:] ** 2).sum(axis=0)
            noise = np.abs(vertical[: p - 4]).max()
            if np.abs(vertical[p : p + 20]).max() > 10.0 * noise and s + 10 < SAMPLES:
                found.append((np.abs(vertical) > 3.0 * noise).argmax() - p)
                jumps.append(flat[s : s + 10].mean() / flat[s - 12 : s - 2].mean())
    assert len(found) > 60
    # The filter is causal: nothing is seen before, and all soon after
    assert min(found) >= -1
    assert max(found) <= 8
    assert np.median(jumps) > 20.0


def test_stations_of_an_even_ratio_all_have_the_one_asked_for(recorded):
    asked = replace(CLEAN, clean=0.0, even=1.0, low_snr=(6.0, 6.0))
    got = np.array([ratios(w, b) for w, b in zip(windows(asked), recorded, strict=True)])
    assert np.nanmedian(got) == pytest.approx(6.0, rel=0.1)
    assert np.nanquantile(got, 0.1) > 3.0
    assert np.nanquantile(got, 0.9) < 12.0


def test_a_networks_ratio_is_that_of_its_median_station_and_the_noise_is_even(recorded):
    asked = replace(CLEAN, clean=0.0, network=1.0, low_snr=(8.0, 8.0))
    middle, levels, spread = [], [], []
    for window, block in zip(windows(asked), recorded, strict=True):
        got = ratios(window, block)
        middle.append(np.nanmedian(got))
        spread.append(np.nanmax(got) / np.nanmin(got))
        before = int(window.onsets[:, 0].min()) + block.data.shape[-1] - SAMPLES
        noise = np.sqrt(np.mean(block.data[:, :, : before - 4] ** 2, axis=(0, 2)))
        levels.append(np.std(np.log(noise)))
    assert np.median(middle) == pytest.approx(8.0, rel=0.25)
    assert np.median(levels) < 0.35
    assert np.median(spread) > 2.0  # far stations have less, unlike where the ratio is even


def test_clean_events_have_medians_from_3_to_1000(recorded):
    middle = np.array([np.nanmedian(ratios(w, b)) for w, b in zip(windows(CLEAN, 60), recorded, strict=True)])
    assert 1.5 < middle.min() < 12.0
    assert 200.0 < middle.max() < 3000.0
    assert 20.0 < np.median(middle) < 160.0


def test_windows_without_an_event_have_noise_and_no_label():
    for window in windows(replace(CLEAN, clean=0.0)):
        assert window.earth == -1
        assert np.isnan(window.onsets).all()
        live = window.mask.any(axis=(1, 2))
        assert live.any()
        half = SAMPLES // 2
        power = (window.waveforms**2).mean(axis=1)[live]
        assert np.median(power[:, half:].mean(1) / power[:, :half].mean(1)) == pytest.approx(1.0, abs=0.5)


def test_the_shares_of_events_are_as_asked():
    quiet = np.mean([w.earth < 0 for w in windows(replace(CLEAN, clean=0.5, even=0.1, network=0.1), 200)])
    assert 0.2 < quiet < 0.4


def test_dead_stations_are_masked_and_keep_their_labels():
    share = []
    for window in windows(replace(CLEAN, dead=0.5), 60):
        dead = ~window.mask.any(axis=(1, 2))
        share.append(dead.mean())
        assert np.all(window.waveforms[dead] == 0.0)
        assert np.isfinite(window.onsets).all()
        assert not dead.all()
    assert 0.3 < np.mean(share) < 0.6


def test_faults_of_stations_are_in_the_mask_where_they_were_asked_for():
    def missing(**faults) -> np.ndarray:
        masks = np.stack([w.mask for w in windows(replace(CLEAN, **faults))])
        return 1.0 - masks[masks.any(axis=(2, 3))]  # (station, 3, sample) of those with data

    assert missing().mean() == 0.0
    vertical = missing(vertical=1.0)
    assert np.all(vertical[:, 1:] == 1.0)
    assert vertical[:, 0].mean() == 0.0
    gap = missing(gap=1.0)
    assert 0.05 < gap.mean() < 0.5
    assert np.all(gap.min(axis=1) == gap.max(axis=1))
    begun = missing(begun=1.0)
    assert np.all(begun[..., 0].mean() >= begun[..., SAMPLES // 3].mean())
    assert 0.15 < begun[..., -1].mean() <= 1.0


def test_a_clock_that_is_off_moves_the_record_and_its_label_alike():
    off = []
    for window in windows(replace(CLEAN, early_s=(6.0, 8.0), late=1.0, late_s=3.0)):
        row = np.flatnonzero((BANK.depth_km == window.depth_km) & (BANK.earth == window.earth))[0]
        for k in np.flatnonzero(window.mask.all(axis=(1, 2))):
            station = np.flatnonzero((BANK.places_km[row] == window.places_km[k]).all(axis=1))[0]
            off.append(window.onsets[k, 0] - window.origin - BANK.p_s[row, station] * RATE_HZ)
            p, vertical = round(window.onsets[k, 0]), window.waveforms[k, 0]
            noise = np.abs(vertical[10 : p - 4]).max() if p > 50 else np.inf
            if np.abs(vertical[p : p + 20]).max() > 10.0 * noise:
                assert -1 <= (np.abs(vertical[10:]) > 3.0 * noise).argmax() + 10 - p <= 8
    assert np.abs(off).max() <= 3.0 * RATE_HZ + 1e-6
    assert np.std(off) > 20.0


def test_glitches_second_events_and_filters_change_the_record_alone(recorded):
    plain = windows(CLEAN, 1)[0]
    for change in ({"glitch": 1.0}, {"second": 1.0}, {"filtered": 1.0}):
        changed = windows(replace(CLEAN, **change), 1)[0]
        assert changed.waveforms.shape == plain.waveforms.shape
        assert not np.array_equal(changed.waveforms, plain.waveforms)
        np.testing.assert_array_equal(changed.onsets, plain.onsets)
    # A filter leaves little where the band is not
    low = [np.abs(np.fft.rfft(b.data[0]))[:, 1:12].mean() / np.abs(np.fft.rfft(b.data[0])).mean() for b in recorded]
    assert low[3] < 0.2 * low[0]


def test_noise_has_unit_power_at_every_station_and_a_colour_of_its_own():
    noise = coloured((40, 3, 1024), np.random.default_rng(0))
    assert np.mean(noise.astype(float) ** 2, axis=(1, 2)) == pytest.approx(np.ones(40), rel=1e-4)
    spectrum = np.abs(np.fft.rfft(noise[:, 0])) ** 2
    slope = np.log(spectrum[:, 256:].mean(1) / spectrum[:, :256].mean(1))
    assert slope.min() < -0.5 < 0.5 < slope.max()
