import numpy as np
import pytest
from dlloc_training.noise import extend_noise, model_noise, noise_model_psd, random_levels
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from scipy.signal import butter, coherence, sosfiltfilt, welch

from seiscomp_dlloc.errors import SettingError

RATE = 20.0


def _band_passed(rng, shape, low=2.0, high=8.0):
    sections = butter(3, [low, high], "bandpass", fs=RATE, output="sos")
    return sosfiltfilt(sections, rng.standard_normal((*shape[:-1], shape[-1] + 400)))[..., 200:-200]


def test_levels_0_and_1_are_the_noise_models():
    for level, (period, decibel) in ((0.0, get_nlnm()), (1.0, get_nhnm())):
        inside = (period > 0.11) & (period < 1000.0)
        omega = 2.0 * np.pi / period[inside]
        acceleration = 10.0 * np.log10(noise_model_psd(1.0 / period[inside], level) * omega**2)
        assert acceleration == pytest.approx(decibel[inside], abs=0.01)
    with pytest.raises(SettingError, match="above 0 Hz"):
        noise_model_psd(0.0, 0.5)


def test_noise_lies_between_the_models():
    rng = np.random.default_rng(1)
    levels = random_levels(rng, 12)
    noise = model_noise(rng, levels, 6000, RATE)
    assert noise.shape == (3, 12, 6000)
    frequency, psd = welch(noise, RATE, nperseg=1024, axis=-1)
    band = (frequency > 0.1) & (frequency < 9.5)
    # Welch averages about 10 segments: single estimates scatter by 1.4 dB, allow 4 of their standard deviations
    margin = 10.0 ** (0.6)
    assert np.all(psd[..., band] > noise_model_psd(frequency[band], 0.0) / margin)
    assert np.all(psd[..., band] < noise_model_psd(frequency[band], 1.0) * margin)
    ratio = 10.0 * np.log10(psd[..., band] / noise_model_psd(frequency[band], levels[..., None]))
    assert abs(np.mean(ratio)) < 0.5


def test_noise_follows_its_generator():
    one = model_noise(np.random.default_rng(7), 0.5, 1000, RATE)
    assert np.array_equal(one, model_noise(np.random.default_rng(7), 0.5, 1000, RATE))
    assert not np.array_equal(one, model_noise(np.random.default_rng(8), 0.5, 1000, RATE))
    levels = random_levels(np.random.default_rng(7), 500)
    assert levels.min() >= 0.0
    assert levels.max() <= 1.0
    assert np.ptp(levels.mean(axis=0)) > 0.5


@pytest.mark.parametrize("coherent", [None, 0])
def test_extended_noise_keeps_level_and_spectrum(coherent):
    rng = np.random.default_rng(2)
    level = rng.uniform(0.1, 10.0, (3, 20, 1))
    segment = level * _band_passed(rng, (3, 20, 160))
    long = extend_noise(segment, 4000, rng, coherent)
    assert long.shape == (3, 20, 4000)
    assert long.std(axis=-1) == pytest.approx(segment.std(axis=-1), rel=0.12)
    frequency, psd = welch(long / level, RATE, nperseg=256, axis=-1)
    _, wanted = welch(_band_passed(rng, (60, 8000)), RATE, nperseg=256, axis=-1)
    average, wanted = psd.mean(axis=(0, 1)), wanted.mean(axis=0)
    band = (frequency > 2.5) & (frequency < 7.5)
    assert 10.0 * np.log10(average[band] / wanted[band]) == pytest.approx(np.zeros(band.sum()), abs=1.5)
    outside = (frequency < 0.8) | (frequency > 9.3)
    assert average[outside].max() < 10.0**-2.5 * average.max()


def test_extended_noise_does_not_repeat():
    rng = np.random.default_rng(3)
    segment = _band_passed(rng, (10, 160))
    long = extend_noise(segment, 2048, rng)
    tiled = np.tile(segment, 13)[:, :2048]
    for series, repeats in ((long, False), (tiled, True)):
        spectra = np.abs(np.fft.rfft(series - series.mean(axis=-1, keepdims=True), 4096, axis=-1)) ** 2
        correlation = np.fft.irfft(spectra, axis=-1)
        correlation /= correlation[:, :1]
        largest = np.abs(correlation[:, 100:1024]).max()
        assert (largest > 0.8) == repeats
        assert repeats or largest < 0.35
    # Nor does it hold the segment itself
    for one, other in zip(segment, long, strict=True):
        inner = np.correlate(other, one - one.mean(), "valid")
        local = np.sqrt(np.convolve(other**2, np.ones(160), "valid") * np.sum((one - one.mean()) ** 2))
        assert np.abs(inner / local).max() < 0.7
    again = extend_noise(segment, 2048, np.random.default_rng(4))
    assert not np.allclose(again, long, atol=0.1)


def test_coherence_between_components_is_kept_only_on_request():
    rng = np.random.default_rng(5)
    common = _band_passed(rng, (30, 200))
    segment = np.stack([common + 0.3 * _band_passed(rng, (30, 200)), common, _band_passed(rng, (30, 200))])
    for axis, (low, high) in ((0, (0.7, 1.0)), (None, (0.0, 0.2))):
        long = extend_noise(segment, 4000, rng, axis)
        frequency, measured = coherence(long[0], long[1], RATE, nperseg=256, axis=-1)
        band = (frequency > 3.0) & (frequency < 7.0)
        assert low < measured[:, band].mean() < high
        _, apart = coherence(long[0], long[2], RATE, nperseg=256, axis=-1)
        assert apart[:, band].mean() < 0.4
    correlation = np.mean(
        [np.corrcoef(a, b)[0, 1] for a, b in zip(*extend_noise(segment, 4000, rng, 0)[:2], strict=True)]
    )
    assert correlation == pytest.approx(1.0 / np.sqrt(1.09), abs=0.08)


def test_dead_traces_stay_dead_and_bad_segments_are_refused():
    rng = np.random.default_rng(6)
    segment = _band_passed(rng, (3, 4, 160))
    segment[1, 2] = 0.0
    segment[:, 3] = 5.0
    for axis in (None, 0):
        long = extend_noise(segment, 500, rng, axis)
        assert np.all(long[1, 2] == 0.0)
        assert np.all(long[:, 3] == 0.0)
        assert np.all(long[:, 0].std(axis=-1) > 0.0)
    with pytest.raises(SettingError, match="too short"):
        extend_noise(segment[..., :20], 500, rng)
    with pytest.raises(SettingError, match="not finite"):
        extend_noise(np.full(100, np.nan), 500, rng)
    with pytest.raises(SettingError, match="axis 2"):
        extend_noise(segment, 500, rng, 2)
