"""Automatic P and S picks of the conventional chain: STA/LTA, refined by AIC."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from obspy.signal.trigger import aic_simple, trigger_onset

from seiscomp_dlloc.records import COMPONENTS, Conditioned

from .onsets import energy_ratio

FloatArray = NDArray[np.float64]

STA_S, LTA_S, THRESHOLD = 0.8, 6.0, 3.0
MAX_PER_TRACE = 6
SKIP_S = 2.0
"""STA/LTA of the first seconds rests on half a long window: no pick there."""

_BEFORE_PEAK_S, _AFTER_PEAK_S = 2.5, 1.0
_LEAST_AIC = 20
_Z, _N, _E = (COMPONENTS.index(c) for c in ("Z", "N", "E"))


@dataclass(frozen=True)
class Picks:
    """P candidates: ``station`` (n,) places, ``time_s`` (n,) after sample 0, ``ratio`` (n,) highest STA/LTA."""

    station: NDArray[np.int64]
    time_s: FloatArray
    ratio: FloatArray

    def __len__(self) -> int:
        return int(self.time_s.size)


def aic_onset(trace: FloatArray) -> int | None:
    """Sample at which Maeda's AIC of ``trace`` (n,) is least; None where nothing moves or it is too short."""
    scale = float(np.max(np.abs(trace), initial=0.0))
    if trace.size < _LEAST_AIC or not scale > 0:
        return None
    curve = aic_simple(trace / scale)[3:-4]
    # A trace with a silent beginning has a variance of zero there, whose logarithm is no measure of anything
    curve = np.where(np.isfinite(curve), curve, np.inf)
    return int(np.argmin(curve)) + 3 if np.any(np.isfinite(curve)) else None


def pick_p(conditioned: Conditioned, scale: float = 1.0) -> Picks:
    """P candidates on the verticals: every stretch of STA/LTA above THRESHOLD, the strongest MAX_PER_TRACE a trace.

    ``scale``: all lengths of time are so many times those of regional networks.
    """
    rate = conditioned.sampling_rate_hz
    ratios = np.nan_to_num(energy_ratio(conditioned, "P", scale * STA_S, scale * LTA_S), nan=0.0)
    ratios[:, : round(scale * SKIP_S * rate)] = 0.0
    rows: list[tuple[int, float, float]] = []
    for station in np.flatnonzero(ratios.max(axis=-1) > THRESHOLD):
        trace, ratio = conditioned.data[_Z, station].astype(float), ratios[station]
        found, last = [], -1
        for on, off in trigger_onset(ratio, THRESHOLD, THRESHOLD):
            if on <= last:  # within a second of the one before: its coda
                continue
            peak = int(on) + int(np.argmax(ratio[on : off + 1]))
            start = max(peak - round(scale * _BEFORE_PEAK_S * rate), 0)
            onset = aic_onset(trace[start : peak + round(scale * _AFTER_PEAK_S * rate)])
            if onset is not None:
                found.append((int(station), (start + onset) / rate, float(ratio[peak])))
            last = int(off) + round(scale * rate)
        rows += sorted(found, key=lambda row: -row[2])[:MAX_PER_TRACE]
    station_of, times, highest = zip(*rows, strict=True) if rows else ((), (), ())
    return Picks(np.array(station_of, np.int64), np.array(times, float), np.array(highest, float))


def pick_s(
    conditioned: Conditioned, station: int, p_s: float, s_s: float, half_s: float, scale: float = 1.0
) -> float | None:
    """S onset (s after sample 0) on the horizontals within ``half_s`` of the predicted ``s_s``; None where unclear.

    The sum of the AIC of both horizontals is least there; the RMS of the second after must be twice that of the two
    seconds before. The search starts a second after the predicted P. All seconds are ``scale`` times as long.
    """
    rate = conditioned.sampling_rate_hz
    second = scale * rate
    samples = conditioned.data.shape[-1]
    first = round(max(s_s - half_s - scale, p_s + scale) * rate)
    stop = round((s_s + half_s + scale) * rate)
    if first < 0 or stop > samples - round(second) or stop - first < 1.5 * second:
        return None
    rows = conditioned.data[[_N, _E], station].astype(float)
    if not np.all(conditioned.valid[[_N, _E], station, first:stop]):
        return None
    curves = []
    for trace in rows[:, first:stop]:
        scale = np.max(np.abs(trace))
        if scale > 0:
            curves.append(aic_simple(trace / scale)[3:-4])
    if not curves:
        return None
    total = np.sum(curves, axis=0)
    total = np.where(np.isfinite(total), total, np.inf)
    if not np.any(np.isfinite(total)):
        return None
    onset = first + 3 + int(np.argmin(total))
    energy = np.sum(rows**2, axis=0)
    before, after = energy[max(onset - round(2 * second), 0) : onset - 2], energy[onset : onset + round(second)]
    if before.size < second / 2 or after.size < second / 2 or not after.mean() > 4.0 * before.mean():
        return None
    return onset / rate
