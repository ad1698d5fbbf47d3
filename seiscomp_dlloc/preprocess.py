"""The one preprocessing: ground velocity as recorded to the numbers that a model sees.

Training augments :class:`~seiscomp_dlloc.records.TraceBlock` arrays and calls the same two functions that inference
calls; nothing else in this project filters, resamples, cuts or normalises model input.

Order of the steps, and why:

1. detrend over the valid samples; gaps become zeros;
2. resampling onto one time axis at the passport's rate (:mod:`seiscomp_dlloc.resampling`; 60 dB down from the new
   Nyquist frequency on);
3. band-pass at the new rate, so the filter is the same digital filter whatever rate a station has. It is a causal
   Butterworth filter: a zero-phase filter runs ahead of the onset, by which the first break and the arrival order are
   judged, and lets what follows a gap spoil what precedes it. The delay is part of what the model learns;
4. whatever a gap, the record's ends or the filter's start (``warmup_s``) could have touched is marked invalid and
   set to zero.

Data that come already filtered (``prefiltered``) at the passport's rate are only detrended.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .errors import ModelMismatch, NoWaveforms
from .passport import Preprocessing
from .records import COMPONENTS, Conditioned, Dropped, Station, TraceBlock
from .resampling import ALIGNMENT, SLACK, resample, supported

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=16)
def band_pass(band_hz: tuple[float, float], corners: int, rate_hz: float) -> FloatArray:
    """Second-order sections (section, 6) of the causal Butterworth band-pass of ``corners`` poles at each side."""
    sections: FloatArray = signal.butter(corners, band_hz, "bandpass", output="sos", fs=rate_hz)
    return sections


def detrend(data: NDArray[np.floating], valid: NDArray[np.bool_], kind: str) -> FloatArray:
    """Remove mean (``constant``) or straight line (``linear``) of the valid samples of each row (..., n).

    Returns float64 with zeros where not valid. Rows are computed independently of one another.
    """
    # Contiguous rows: the order of a sum, and with it the last bit, must not depend on the caller's strides
    x = np.ascontiguousarray(data, dtype=np.float64)
    whole = bool(valid.all())
    if not whole:
        x = np.where(valid, x, 0.0)
    count = np.maximum(valid.sum(axis=-1, keepdims=True), 1)
    out: FloatArray = x - x.sum(axis=-1, keepdims=True) / count
    if kind == "linear":
        t = np.arange(x.shape[-1], dtype=np.float64)
        centred = (t - (valid * t).sum(axis=-1, keepdims=True) / count) * valid
        power = (centred**2).sum(axis=-1, keepdims=True)
        slope = (centred * out).sum(axis=-1, keepdims=True) / np.where(power > 0, power, 1.0)
        out -= slope * centred
    if not whole:
        out *= valid
    return out


def _axis(blocks: tuple[TraceBlock, ...], rate: float) -> tuple[float, int]:
    """Start and length of the common time axis; its grid is that of the block with most valid samples."""
    # Ties fall to the first block of the sequence
    largest = max(blocks, key=lambda block: int(np.count_nonzero(block.valid)))
    reference = largest.starttime
    first = min(block.starttime for block in blocks)
    last = max(block.starttime + (block.data.shape[-1] - 1) / block.sampling_rate_hz for block in blocks)
    low = math.ceil((first - reference) * rate - ALIGNMENT)
    high = math.floor((last - reference) * rate + ALIGNMENT)
    return reference + low / rate, high - low + 1


def _settled(valid: NDArray[np.bool_], warmup: int) -> NDArray[np.bool_]:
    """Samples whose ``warmup`` predecessors are all valid too; (..., n)."""
    if warmup <= 0:
        return valid
    n = valid.shape[-1]
    missing = np.zeros((*valid.shape[:-1], n + 1), np.int32)
    np.cumsum(~valid, axis=-1, out=missing[..., 1:])
    out = np.zeros_like(valid)
    if warmup < n:
        out[..., warmup:] = missing[..., warmup + 1 :] == missing[..., : n - warmup]
    return out


def condition(blocks: tuple[TraceBlock, ...], station_count: int, settings: Preprocessing) -> Conditioned:
    """Filtered ground motion of ``station_count`` stations on one time axis at ``settings.sampling_rate_hz``.

    ``blocks`` from :func:`seiscomp_dlloc.traces.collect` or plain arrays of training. Units stay those of the blocks
    (m/s). Samples that a gap, an end of the record or the filter's start could have touched are not valid. The axis
    covers all blocks; it has the sample grid of the largest one, the others are interpolated where theirs differs by
    more than 1 % of a sample.

    Raises :class:`~seiscomp_dlloc.errors.NoWaveforms` without any valid sample and
    :class:`~seiscomp_dlloc.errors.ModelMismatch` for a block of a lower rate, which would have to be made up
    (``traces.collect`` leaves such channels out by name where it is told the rate).
    """
    rate = settings.sampling_rate_hz
    if not any(block.valid.any() for block in blocks):
        raise NoWaveforms("no station has usable waveforms in the window of the event")
    for block in blocks:
        if block.sampling_rate_hz < rate * (1.0 - SLACK):
            raise ModelMismatch(
                f"waveforms sampled at {block.sampling_rate_hz:g} Hz cannot serve a model that needs {rate:g} Hz; "
                "leave these channels out (traces.collect with min_rate_hz)"
            )
    start, samples = _axis(blocks, rate)
    data = np.zeros((len(COMPONENTS), station_count, samples), np.float32)
    valid = np.zeros(data.shape, bool)
    for block in blocks:
        x, ok = _on_axis(block, start, samples, settings)
        data[:, block.station_index], valid[:, block.station_index] = x, ok
    return Conditioned(data, valid, rate, start)


def _on_axis(
    block: TraceBlock, start: float, samples: int, settings: Preprocessing
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """One block detrended, resampled and filtered: data and valid, (component, station, ``samples``)."""
    rate_in, rate = block.sampling_rate_hz, settings.sampling_rate_hz
    offset = start - block.starttime
    x = detrend(block.data, block.valid, settings.detrend)
    resampled = resample(x, rate_in, rate, offset, samples, settings.band_hz[1])
    valid = supported(block.valid, rate_in, rate, offset, samples, resampled.reach_s)
    out = resampled.data
    if not settings.prefiltered:
        # Rows without data stay zero; filtering them would only cost time
        rows = block.valid.any(axis=-1)
        filtered = np.zeros(out.shape)
        filtered[rows] = signal.sosfilt(band_pass(settings.band_hz, settings.corners, rate), out[rows], axis=-1)
        out = filtered
        valid = _settled(valid, round(settings.warmup_s * rate))
    return (out if valid.all() else out * valid), valid


def window_offset(conditioned: Conditioned, window_start: float) -> int:
    """Sample of ``conditioned`` (may be negative) at which a window of ``window_start`` begins: the nearest one."""
    return round((window_start - conditioned.starttime) * conditioned.sampling_rate_hz)


def cut(
    conditioned: Conditioned, window_start: float, settings: Preprocessing
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """The model's window: data and mask (component, station, ``settings.window_samples``), log_scale (station,).

    ``window_start`` (POSIX s) is rounded to the sample grid. Beyond the record data is 0 and the mask False. Data is
    multiplied by ``unit_scale``, then divided by the largest absolute value within the window of each station
    (``station_max``) or of all (``network_max``). ``log_scale`` is log10 of that value in m/s, 0 for stations without
    data and without normalisation.
    """
    if conditioned.sampling_rate_hz != settings.sampling_rate_hz:
        raise ModelMismatch(
            f"waveforms conditioned to {conditioned.sampling_rate_hz:g} Hz given to a model of "
            f"{settings.sampling_rate_hz:g} Hz"
        )
    n, available = settings.window_samples, conditioned.data.shape[-1]
    first = window_offset(conditioned, window_start)
    data = np.zeros((*conditioned.data.shape[:-1], n), np.float32)
    mask = np.zeros(data.shape, bool)
    start, stop = max(first, 0), min(first + n, available)
    if stop > start:
        inside = slice(start - first, stop - first)
        np.multiply(conditioned.data[..., start:stop], np.float32(settings.unit_scale), out=data[..., inside])
        mask[..., inside] = conditioned.valid[..., start:stop]
    log_scale = np.zeros(data.shape[1], np.float32)
    if settings.normalisation != "none":
        peak = np.maximum(data.max(axis=(0, 2)), -data.min(axis=(0, 2)))
        alive = peak > 0
        if settings.normalisation == "network_max":
            peak = np.full_like(peak, peak.max())
        data /= np.where(alive, peak, np.float32(1.0))[:, None]
        log_scale[alive] = np.log10(peak[alive].astype(np.float64) / settings.unit_scale)
    return data, mask, log_scale


def complete_dropped(
    dropped: tuple[Dropped, ...], stations: tuple[Station, ...], observed: list[bool]
) -> tuple[Dropped, ...]:
    """``dropped`` and, for stations not ``observed`` that it does not account for, that nothing is left of them."""
    named = {".".join(item.seed_id.split(".")[:2]) for item in dropped if not item.reason.startswith("in part")}
    return dropped + tuple(
        Dropped(station.id, "no valid sample in the window")
        for station, there in zip(stations, observed, strict=True)
        if not there and station.id not in named
    )
