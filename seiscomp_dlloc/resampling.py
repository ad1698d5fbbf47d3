"""Change of sampling rate and sub-sample shift in one linear step.

A band-limited signal sampled at ``rate_in`` is evaluated at any regular times by a low-pass kernel, a sinc under a
Kaiser window (Oppenheim and Schafer, Discrete-Time Signal Processing, section 7.6): flat up to ``pass_hz`` and
60 dB down from the Nyquist frequency of the slower of the two rates on. Only output samples are computed, by small
matrix products for simple ratios of the rates, by :func:`scipy.signal.upfirdn` for others.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

ATTENUATION_DB = 60.0
"""Attenuation of the stop band."""

ALIGNMENT = 0.01
"""Sample grids that differ by less than this share of a sample count as one grid."""

SLACK = 1e-4
"""A rate that is too low by less than this share counts as a rounded header value."""

_MAX_TERM = 4000
_LARGEST_DENSE = 64
_BLOCK = 32
_CHUNK = 2**16


@dataclass(frozen=True)
class Resampled:
    """``data`` (..., sample); ``reach_s`` is the half-width of the kernel: an output sample rests on the input samples
    within this time of it (0 where samples were only copied)."""

    data: NDArray[np.float64]
    reach_s: float


def ratio(rate_in: float, rate_out: float, samples: int) -> Fraction:
    """The fraction that stands for ``rate_out / rate_in``.

    Sampling rates in headers are rounded or slightly off nominal (99.9998 Hz). The simplest fraction is taken whose
    error grows to less than a tenth of an input sample over ``samples``.
    """
    exact = rate_out / rate_in
    if 1.0 < exact < 1.0 + SLACK:
        return Fraction(1)
    for limit in (1, 10, 50, 200, 1000, _MAX_TERM):
        # limit_denominator bounds the denominator only; rate_out <= rate_in keeps the numerator below it
        fraction = Fraction(exact).limit_denominator(limit)
        if fraction > 0 and abs(float(fraction) / exact - 1.0) * samples < 0.1:
            return fraction
    return Fraction(exact).limit_denominator(_MAX_TERM)


@lru_cache(maxsize=64)
def _kernel(rate_in: float, up: int, pass_hz: float, stop_hz: float, phase: float) -> tuple[NDArray[np.float64], int]:
    """Kernel at ``up * rate_in``, delayed by ``phase`` of its samples: (2 half + 1,) and half."""
    fine = rate_in * up
    taps, beta = signal.kaiserord(ATTENUATION_DB, (stop_hz - pass_hz) / (fine / 2.0))
    half = max(math.ceil((taps - 1) / 2), up)
    m = np.arange(-half, half + 1) + phase
    window = np.i0(beta * np.sqrt(np.clip(1.0 - (m / (half + 1.0)) ** 2, 0.0, 1.0))) / np.i0(beta)
    cut = pass_hz + stop_hz
    kernel = cut / rate_in * np.sinc(cut * m / fine) * window
    kernel.setflags(write=False)
    return kernel, half


def resample(
    data: NDArray[np.float64], rate_in: float, rate_out: float, offset_s: float, samples: int, pass_hz: float
) -> Resampled:
    """Evaluate ``data`` (..., n) at ``offset_s + k / rate_out`` after its first sample, k = 0 ... samples - 1.

    ``pass_hz``: highest frequency to keep; it is lowered to 0.9 of the Nyquist frequency where it lies above. Times
    outside the input give zeros or, within ``reach_s`` of it, what the kernel makes of zeros: the caller masks them.
    Raises ValueError for ``rate_out`` above ``rate_in`` (nothing can be said about the frequencies in between).
    """
    fraction = ratio(rate_in, rate_out, data.shape[-1])
    up, down = fraction.numerator, fraction.denominator
    if up > down:
        raise ValueError(f"cannot resample from {rate_in} Hz up to {rate_out} Hz")
    # Offsets in units of the fine grid, and within ALIGNMENT of an output sample taken as exact
    position = offset_s * rate_in * up
    whole = round(position)
    phase = position - whole
    if abs(phase) <= ALIGNMENT * up:
        phase = 0.0
    if up == down == 1 and phase == 0.0:
        return Resampled(_shifted(data, whole, samples), 0.0)
    nyquist = rate_out / 2.0
    kernel, half = _kernel(rate_in, up, min(pass_hz, 0.9 * nyquist), nyquist, phase)
    reach = (half + 1) / (rate_in * up)
    if up <= _LARGEST_DENSE:
        return Resampled(_dense(data, kernel, half, up, down, whole, samples), reach)
    ahead = -(whole + half) % down
    first = (whole + half + ahead) // down
    filtered = signal.upfirdn(np.concatenate([np.zeros(ahead), kernel]), data, up, down)
    return Resampled(_shifted(filtered, first, samples), reach)


def _dense(
    data: NDArray[np.float64],
    kernel: NDArray[np.float64],
    half: int,
    up: int,
    down: int,
    whole: int,
    samples: int,
) -> NDArray[np.float64]:
    """``y[k] = sum_j x[j] kernel[k down + whole - j up + half]`` as matrix products.

    Every ``up`` outputs the same coefficients return ``down`` inputs later, so blocks of outputs are one small matrix
    times overlapping stretches of input. Several times faster than a polyphase loop although most of the matrix is
    zero. One product per channel: a result must not depend on which other channels go along.
    """
    block = up * max(1, round(_BLOCK / up))
    hop = block // up * down
    first = -((half - whole) // up)
    span = ((block - 1) * down + whole + half) // up - first + 1
    at = np.arange(block) * down + whole - (first + np.arange(span))[:, None] * up + half
    matrix = np.where((at >= 0) & (at < kernel.size), kernel[np.clip(at, 0, kernel.size - 1)], 0.0)
    blocks = -(-samples // block)
    rows = data.reshape(-1, data.shape[-1])
    out = np.empty((rows.shape[0], blocks, block))
    step = max(1, _CHUNK // rows.shape[1])
    for start in range(0, rows.shape[0], step):
        stretch = _shifted(rows[start : start + step], first, (blocks - 1) * hop + span)
        windows = np.lib.stride_tricks.sliding_window_view(stretch, span, axis=-1)[..., ::hop, :]
        np.matmul(np.ascontiguousarray(windows), matrix, out=out[start : start + step])
    return out.reshape((*data.shape[:-1], blocks * block))[..., :samples]


def _shifted(data: NDArray[np.float64], first: int, samples: int) -> NDArray[np.float64]:
    """``data[..., first : first + samples]``, zeros where that lies outside; a view where it does not."""
    available = data.shape[-1]
    if first >= 0 and first + samples <= available:
        return data[..., first : first + samples]
    out = np.zeros((*data.shape[:-1], samples))
    start, stop = max(first, 0), min(first + samples, available)
    if stop > start:
        out[..., start - first : stop - first] = data[..., start:stop]
    return out


def supported(
    valid: NDArray[np.bool_], rate_in: float, rate_out: float, offset_s: float, samples: int, reach_s: float
) -> NDArray[np.bool_]:
    """Which output samples rest on valid input only; arguments as in :func:`resample`, ``valid`` (..., n).

    An output sample is True where every input sample within ``reach_s`` of it exists and is valid.
    """
    n = valid.shape[-1]
    centre = (offset_s + np.arange(samples) / rate_out) * rate_in
    low = np.ceil(centre - reach_s * rate_in - ALIGNMENT).astype(np.int64)
    high = np.floor(centre + reach_s * rate_in + ALIGNMENT).astype(np.int64)
    inside = (low >= 0) & (high < n) & (high >= low)
    rows = valid.reshape(-1, n)
    out = np.zeros((rows.shape[0], samples), bool)
    whole = rows.all(axis=1)
    out[whole] = inside
    some = np.flatnonzero(~whole & rows.any(axis=1))
    if some.size:
        missing = np.zeros((some.size, n + 1), np.int32)
        np.cumsum(~rows[some], axis=1, out=missing[:, 1:])
        count = missing[:, np.clip(high + 1, 0, n)] - missing[:, np.clip(low, 0, n)]
        out[some] = inside & (count == 0)
    return out.reshape((*valid.shape[:-1], samples))
