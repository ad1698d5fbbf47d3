"""Dead, stuck, clipped and spiking channels."""

import numpy as np
import pytest
from streamsamples import counts

from seiscomp_dlloc.quality import inspect

N = 6000


def judge(x: np.ndarray, valid: np.ndarray | None = None, rate: float = 100.0) -> tuple[str, np.ndarray]:
    ok = np.ones(x.shape, bool) if valid is None else valid
    verdicts = inspect(np.where(ok, x, 0)[None].astype(float), ok[None], rate)
    return verdicts.reasons[0], verdicts.stuck[0]


def event(peak: float = 3e5, rate: float = 100.0, sharp: float = 0.01) -> np.ndarray:
    """Noise of a few counts, then an impulsive onset with coda."""
    since = np.maximum(np.arange(N) / rate - 20.0, 0.0)
    envelope = (1.0 - np.exp(-since / sharp)) * np.exp(-since / 4.0)
    carrier = counts(5, N, 1.0e4) / np.abs(counts(5, N, 1.0e4)).max()
    return np.rint(envelope * carrier * peak + counts(6, N, 20.0))


@pytest.mark.parametrize("scale", [1.0, 3.0, 1000.0, 1e6])
def test_noise_is_sound_even_where_rounding_repeats_samples(scale):
    reason, stuck = judge(counts(1, N, scale))
    assert reason == ""
    assert not stuck.any()


@pytest.mark.parametrize("sharp", [0.001, 0.05, 1.0])
def test_sharp_onsets_are_no_spikes(sharp):
    reason, stuck = judge(event(sharp=sharp))
    assert reason == ""
    assert not stuck.any()


def test_long_period_waves_are_not_clipped():
    t = np.arange(N) / 100.0
    for period in (5.0, 20.0, 60.0):
        for amplitude in (300.0, 3e4, 3e6):
            assert judge(np.rint(amplitude * np.sin(2 * np.pi * t / period)))[0] == ""


@pytest.mark.parametrize("value", [0.0, 17.0, -8388608.0])
def test_constant_is_dead(value):
    assert judge(np.full(N, value))[0] == "dead (constant)"


def test_nearly_constant_is_dead():
    x = np.full(N, 3.0)
    x[100], x[4000] = 4.0, 2.0
    assert judge(x)[0] == "dead (constant)"


def test_nothing_valid_is_named():
    valid = np.zeros(N, bool)
    valid[:200] = True
    assert "hardly any data" in judge(counts(1, N), valid)[0]


@pytest.mark.parametrize("level", [0.1, 0.4, 0.7])
def test_digital_clipping_is_named(level):
    x = event()
    limit = level * np.abs(x).max()
    assert "clipped" in judge(np.clip(x, -limit, limit).round())[0]


def test_plateaus_rounded_by_the_digitizers_filter_are_clipping():
    x = np.clip(event(peak=1.5e7), -6.8e6, 6.8e6)
    assert "clipped" in judge(np.rint(np.convolve(x, [0.05, 0.9, 0.05], "same")))[0]
    t = np.arange(N) / 100.0
    swing = np.clip(2e7 * np.sin(2 * np.pi * t / 15.0) * np.exp(-(((t - 30) / 15) ** 2)), -6.8e6, 6.8e6)
    assert "clipped" in judge(np.rint(np.convolve(swing, np.hanning(21) / np.hanning(21).sum(), "same")))[0]


def test_end_of_a_24_bit_range_is_clipping():
    x = event(peak=1.5e7)
    x = np.where(np.abs(x) > 7.8e6, np.sign(x) * 7.8e6 + counts(9, N, 5e4), x)
    assert "24-bit" in judge(np.rint(x))[0]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("height", [500.0, 1e6])
def test_spikes_are_named_with_their_time(width, height):
    x = counts(1, N, 20.0).astype(float)
    x[3000 : 3000 + width] += height
    reason = judge(x)[0]
    assert "spikes" in reason
    assert "30.0" in reason


def test_spikes_of_a_channel_of_fractions_are_found():
    x = np.sin(np.arange(N) / 11.0) * 1e-6
    x[1234] += 1e-4
    assert "spikes" in judge(x)[0]


def test_filled_gap_is_stuck_and_the_rest_stays():
    for fill in (0.0, 5210.0):
        x = counts(1, N, 300.0) + 5000.0
        x[1000:1500] = fill
        reason, stuck = judge(x)
        assert reason == ""
        assert stuck[1000:1500].all()
        assert stuck.sum() <= 505


def test_short_zero_fills_are_stuck_not_clipped():
    x = counts(1, N, 300.0) + 50000.0
    x[1000:1040], x[2000:2040] = 0.0, 0.0
    reason, stuck = judge(x)
    assert reason == ""
    assert stuck.sum() == 80


def test_mostly_stuck_is_dead():
    x = counts(1, N, 300.0).astype(float)
    x[200:5900] = 12345.0
    assert "dead" in judge(x)[0]


def test_gaps_are_neither_spikes_nor_clipping():
    valid = np.ones(N, bool)
    valid[2000:2100] = False
    valid[3000:3001] = False
    reason, stuck = judge(counts(1, N, 300.0) + 1e6, valid)
    assert reason == ""
    assert not stuck.any()


def test_channels_are_judged_one_by_one():
    x = np.stack([counts(1, N), np.zeros(N), counts(2, N)]).astype(float)
    x[2, 500] += 1e7
    reasons = inspect(x, np.ones(x.shape, bool), 100.0).reasons
    assert reasons[0] == ""
    assert "dead" in reasons[1]
    assert "spikes" in reasons[2]
