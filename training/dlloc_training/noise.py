"""Ambient noise: between the new low and high noise models, or recorded noise made longer.

Power spectral densities are one-sided. The noise models are those of Peterson (1993), as ObsPy has them, in dB
relative to 1 (m/s^2)^2/Hz of acceleration; velocity is that divided by (2 pi f)^2.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal.windows import dpss

from seiscomp_dlloc.errors import SettingError

FloatArray = NDArray[np.float64]

_TIME_BANDWIDTH = 4.0
_TAPERS = 5  # of the 2 NW - 1 useful ones; the last two leak into the stop-band


@cache
def _noise_models() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    low_period, low_db = get_nlnm()
    high_period, high_db = get_nhnm()
    order, order_high = np.argsort(low_period), np.argsort(high_period)
    return np.log(low_period[order]), low_db[order], np.log(high_period[order_high]), high_db[order_high]


def noise_model_psd(frequency_hz: ArrayLike, level: ArrayLike) -> FloatArray:
    """PSD of ground velocity ((m/s)^2/Hz) at frequencies above 0; the arguments broadcast.

    ``level`` 0 is the NLNM, 1 the NHNM, between them in proportion of dB. Outside 0.1 s to 100 000 s the acceleration
    of the nearest period holds.
    """
    frequency = np.asarray(frequency_hz, float)
    if np.any(frequency <= 0):
        raise SettingError("noise: frequencies must be above 0 Hz")
    low_period, low_db, high_period, high_db = _noise_models()
    log_period = -np.log(frequency)
    low, high = np.interp(log_period, low_period, low_db), np.interp(log_period, high_period, high_db)
    decibel = low + np.asarray(level, float) * (high - low)
    return np.asarray(10.0 ** (decibel / 10.0) / (2.0 * np.pi * frequency) ** 2)


def model_noise(
    rng: np.random.Generator, levels: ArrayLike, samples: int, sampling_rate_hz: float
) -> NDArray[np.float32]:
    """Gaussian noise (..., sample) of ground velocity in m/s; ``levels`` (...) as in :func:`noise_model_psd`."""
    level = np.asarray(levels, float)
    length = next_fast_len(samples, real=True)
    frequency = np.fft.rfftfreq(length, 1.0 / sampling_rate_hz)
    psd = np.zeros((*level.shape, len(frequency)))
    psd[..., 1:] = noise_model_psd(frequency[1:], level[..., None])
    amplitude = np.sqrt(0.5 * sampling_rate_hz * length * psd).astype(np.float32)
    return _to_time(amplitude * _complex_normal(rng, amplitude.shape), length, samples)


def random_levels(
    rng: np.random.Generator, stations: int, least: float = 0.1, largest: float = 0.9, spread: float = 0.05
) -> FloatArray:
    """(3, station): one noise level per station, uniform between ``least`` and ``largest``; components differ.

    ``spread`` is the standard deviation of a component's level about its station's.
    """
    level = rng.uniform(least, largest, stations) + spread * rng.standard_normal((3, stations))
    return np.clip(level, 0.0, 1.0)


def extend_noise(
    segment: NDArray[np.floating], samples: int, rng: np.random.Generator, coherent_axis: int | None = None
) -> NDArray[np.float32]:
    """New noise (..., ``samples``) like the recorded ``segment`` (..., sample), as long as wanted, never repeating it.

    Phase randomisation: the spectrum of each trace is estimated by multitapers (Thomson 1982; DPSS, NW = 4, so
    smoothed over 8 / (length of the segment)) and filled with Gaussian random values, which keeps level, spectrum
    and band, and nothing of the wiggles. With ``coherent_axis`` (an axis before the last, usually the component's)
    the cross-spectra along that axis are kept as well. The variance of the result is, in expectation, that of the
    segment about its mean. A dead trace (constant) stays 0.

    Raises SettingError where the segment is shorter than 32 samples or not finite.
    """
    data = np.asarray(segment, float)
    if data.shape[-1] < 32:
        raise SettingError(f"noise: a segment of {data.shape[-1]} samples is too short to extend, give 32 or more")
    if not np.all(np.isfinite(data)):
        raise SettingError("noise: the segment holds values that are not finite")
    data = data - data.mean(axis=-1, keepdims=True)
    if coherent_axis is not None:
        if not -data.ndim <= coherent_axis < data.ndim or coherent_axis % data.ndim == data.ndim - 1:
            raise SettingError(f"noise: axis {coherent_axis} is not one of the axes before the last")
        data = np.moveaxis(data, coherent_axis, -2)
        factor = _spectral_factor(data)
        out = _fill(factor, samples, rng, data)
        return np.moveaxis(out, -2, coherent_axis)
    return _fill(np.sqrt(_power(_eigenspectra(data))), samples, rng, data)


def _eigenspectra(data: FloatArray) -> NDArray[np.complex128]:
    """(..., taper, frequency); the mean over tapers of the square is the PSD times half the sampling rate."""
    tapers = dpss(data.shape[-1], _TIME_BANDWIDTH, _TAPERS)
    return np.asarray(rfft(data[..., None, :] * tapers, axis=-1))


def _power(eigenspectra: NDArray[np.complex128]) -> FloatArray:
    return np.asarray(np.mean(eigenspectra.real**2 + eigenspectra.imag**2, axis=-2))


def _spectral_factor(data: FloatArray) -> NDArray[np.complex128]:
    """(..., component, component, frequency): Cholesky factors of the cross-spectra of (..., component, sample)."""
    eigenspectra = np.moveaxis(_eigenspectra(data), -1, -3)  # (..., frequency, component, taper)
    cross = eigenspectra @ np.conj(np.swapaxes(eigenspectra, -1, -2)) / _TAPERS
    # A component that is dead, or a copy of another, leaves the matrix singular
    ridge = 1e-9 * np.trace(cross, axis1=-2, axis2=-1).real + np.finfo(float).tiny
    factor = np.linalg.cholesky(cross + ridge[..., None, None] * np.eye(cross.shape[-1]))
    return np.asarray(np.moveaxis(factor, -3, -1))


def _fill(factor: NDArray[np.inexact], samples: int, rng: np.random.Generator, data: FloatArray) -> NDArray[np.float32]:
    """Random spectra coloured by ``factor`` (frequencies of the segment), back in time, at the segment's level."""
    length = next_fast_len(samples, real=True)
    fine = _interpolate(factor, length // 2 + 1)
    normal = _complex_normal(rng, (*data.shape[:-1], length // 2 + 1))
    if factor.ndim == data.ndim:
        spectra = fine * normal
        power = np.mean(np.abs(fine) ** 2, axis=-1, keepdims=True)
    else:
        spectra = np.einsum("...ijf,...jf->...if", fine, normal)
        power = np.mean(np.sum(np.abs(fine) ** 2, axis=-2), axis=-1, keepdims=True)
    variance = np.mean(data**2, axis=-1, keepdims=True)
    # A trace with less than float32's resolution of the largest one is dead
    dead = variance <= np.finfo(np.float32).tiny
    scale = np.where(dead, 0.0, np.sqrt(variance * length / np.where(dead, 1.0, power)))
    return _to_time(spectra * scale, length, samples)


def _interpolate(values: NDArray[np.inexact], count: int) -> NDArray[np.inexact]:
    """Linear interpolation along the last axis to ``count`` values between the same ends."""
    position = np.linspace(0.0, values.shape[-1] - 1.0, count)
    left = np.minimum(position.astype(np.int64), values.shape[-1] - 2)
    share = position - left
    return np.asarray(values[..., left] * (1.0 - share) + values[..., left + 1] * share)


def _complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Complex Gaussian values of unit mean square."""
    parts = rng.standard_normal((*shape, 2), np.float32) * np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)[..., 0]


def _to_time(spectra: NDArray[np.complexfloating], length: int, samples: int) -> NDArray[np.float32]:
    spectra[..., 0] = 0.0
    return np.ascontiguousarray(irfft(spectra, length, axis=-1)[..., :samples], dtype=np.float32)
