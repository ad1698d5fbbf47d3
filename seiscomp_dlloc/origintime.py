"""Origin time where the model gives none: from picks, or from stacking the waveforms along the predicted moveout."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .firstbreak import LTA_S, STA_S, sta_lta
from .records import COMPONENTS, Conditioned
from .traveltimes import Phase

FloatArray = NDArray[np.float64]

PHASE_WEIGHT: dict[Phase, float] = {"P": 1.0, "S": 0.5}
"""S onsets stand in the P coda and are read about 1.4 times less well, by people and by STA/LTA."""

MIN_PICKS = 3
"""With fewer usable picks there is nothing to tell an outlier by: the waveforms are stacked instead."""

_COMPONENTS: dict[Phase, tuple[str, ...]] = {"P": ("Z",), "S": ("N", "E")}
ONSET_SIGMA_S = 0.2
"""What the stations of a stack share and a jackknife cannot see, such as emergent onsets read late together: at the
catalogue's places of Oklahoma's 250 training events the stack scatters by 0.2 s (1.4826 MAD) about the catalogue's
times. The starts of these records were themselves fitted to P onsets, so that is a lower bound."""

_TUKEY = 4.685  # 95 % efficiency on normal residuals (Holland and Welsch 1977)
_SCALE_FLOOR_S = 0.1  # a pick is seldom better; keeps agreeing picks from rejecting all others

_FIRST_ARRIVAL = re.compile(r"^([PpSs])(?:[gbn*1])?$")


@dataclass(frozen=True)
class OriginTime:
    """Origin time (POSIX s) and its one-sigma uncertainty; ``method`` is ``picks`` or ``moveout``.

    ``weights`` (n,): final weight of each pick, between 0 and 1; empty for the moveout. ``used``: picks with a weight,
    or stations in the stack. ``mean_ratio``: geometric mean of STA/LTA at the onsets that the moveout stacks, the
    higher the better the place explains them (median of Oklahoma's training events: 88 at the catalogue's place, 51
    with errors of 2.2 km along x and y, 22 with 5 km).
    """

    time: float
    sigma_s: float
    method: str
    used: int
    weights: FloatArray
    mean_ratio: float | None = None


def first_arrival_phase(name: str) -> Phase | None:
    """``P`` or ``S`` for names of crustal first arrivals (P, Pg, Pb, P*, Pn, P1, p and so for S), else None."""
    match = _FIRST_ARRIVAL.match(name.strip())
    if match is None:
        return None
    return "P" if match[1] in "Pp" else "S"


def from_picks(observed: FloatArray, predicted_s: FloatArray, weights: FloatArray) -> OriginTime | None:
    """Origin time from picks (n,) POSIX s, predicted travel times (n,) s and prior weights (n,).

    Weighted median of observed minus predicted, then Tukey's biweight mean about it with the scale 1.4826 MAD (at
    least 0.1 s), iterated. Sigma: standard deviation of the residuals weighted so, over the square root of the
    effective number of picks. None with fewer than MIN_PICKS picks of positive weight.
    """
    candidates = np.asarray(observed, float) - np.asarray(predicted_s, float)
    prior = np.where(np.isfinite(candidates), np.asarray(weights, float), 0.0)
    if np.count_nonzero(prior) < MIN_PICKS:
        return None
    reference = float(candidates[prior > 0][0])  # small numbers keep the microseconds
    delta = np.where(prior > 0, candidates - reference, 0.0)
    centre = weighted_median(delta[prior > 0], prior[prior > 0])
    scale = max(1.4826 * weighted_median(np.abs(delta - centre)[prior > 0], prior[prior > 0]), _SCALE_FLOOR_S)
    weight = prior
    for _ in range(30):
        u = (delta - centre) / (_TUKEY * scale)
        weight = prior * np.where(np.abs(u) < 1.0, (1.0 - u**2) ** 2, 0.0)
        before, centre = centre, float(np.sum(weight * delta) / np.sum(weight))
        if abs(centre - before) < 1e-6:
            break
    variance = float(np.sum(weight * (delta - centre) ** 2) / np.sum(weight))
    effective = float(np.sum(weight) ** 2 / np.sum(weight**2))
    sigma = np.sqrt(variance / max(effective - 1.0, 1.0))
    return OriginTime(reference + centre, float(sigma), "picks", int(np.count_nonzero(weight > 0)), weight)


def weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """The value at which the sorted weights reach half of their sum; between two values, their mean."""
    order = np.argsort(values, kind="stable")
    v, w = values[order], weights[order]
    total = np.cumsum(w)
    half = 0.5 * total[-1]
    index = int(np.searchsorted(total, half * (1 - 1e-12)))
    if np.isclose(total[index], half, rtol=1e-12) and index + 1 < v.size:
        return float(0.5 * (v[index] + v[index + 1]))
    return float(v[index])


@dataclass(frozen=True)
class Moveout:
    """Stack of the network's onsets over candidate origin times.

    ``times`` (n,) POSIX s, ``stack`` (n,) weighted mean of log STA/LTA over stations and phases (NaN where less than
    half of the traces that ever take part are there), ``parts`` (station, n) each station's sum and ``counts``
    (station, n) the weights in it.
    """

    times: FloatArray
    stack: FloatArray
    parts: FloatArray
    counts: FloatArray

    def between(self, start: float, end: float) -> "Moveout":
        """The part for origin times from ``start`` to ``end``."""
        here = (self.times >= start) & (self.times <= end)
        return Moveout(self.times[here], self.stack[here], self.parts[:, here], self.counts[:, here])


def moveout(conditioned: Conditioned, predicted_s: Mapping[Phase, FloatArray], start: float, end: float) -> Moveout:
    """Stack the onsets of P on the vertical and of S on the horizontals along ``predicted_s`` (station,).

    Candidate origin times run from ``start`` to ``end`` (POSIX s) in steps of a sample. The onsets' measure is log of
    STA/LTA (0.5 s / 5 s, at least 1), read where the short window begins with the onset, so that an impulsive onset
    peaks at its own time. There is no upper limit: it would flatten the peak.
    """
    rate = conditioned.sampling_rate_hz
    steps = max(int(np.ceil((end - start) * rate)) + 1, 1)
    stations, samples = conditioned.data.shape[1:]
    parts, counts = np.zeros((stations, steps)), np.zeros((stations, steps))
    # The window of k samples that begins with the onset ends k - 1 samples later, half a sample more on average
    first = start - conditioned.starttime + (round(STA_S * rate) - 0.5) / rate
    for phase, rows in _COMPONENTS.items():
        if phase not in predicted_s:
            continue
        measure, known = _onsets(conditioned, rows)
        weight = PHASE_WEIGHT[phase]
        for station in np.flatnonzero(known.any(axis=-1) & np.isfinite(predicted_s[phase])):
            # Candidates and samples have the same step, so one shift and one share serve all of them
            place = float((first + predicted_s[phase][station]) * rate)
            whole = math.floor(place)
            share = place - whole
            low, high = max(-whole, 0), min(samples - 1 - whole, steps)
            if high <= low:
                continue
            here, after = slice(low + whole, high + whole), slice(low + whole + 1, high + whole + 1)
            inside = known[station, here] & known[station, after]
            value = measure[station, here] * (1.0 - share) + measure[station, after] * share
            parts[station, low:high] += weight * np.where(inside, value, 0.0)
            counts[station, low:high] += weight * inside
    offsets = np.arange(steps) / rate
    return Moveout(start + offsets, _mean(parts.sum(axis=0), counts.sum(axis=0)), parts, counts)


def _mean(total: FloatArray, count: FloatArray) -> FloatArray:
    """Mean (..., n), NaN where less than half of the largest weight of the row takes part."""
    enough = (count > 0) & (count >= 0.5 * np.max(count, axis=-1, initial=0.0, keepdims=True))
    return np.where(enough, total / np.where(count > 0, count, 1.0), np.nan)


def _onsets(conditioned: Conditioned, components: tuple[str, ...]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Log STA/LTA of the vector length over ``components`` and where it is known, both (station, sample)."""
    rows = [COMPONENTS.index(c) for c in components]
    data = np.sqrt(np.sum(np.square(conditioned.data[rows], dtype=np.float64), axis=0))
    valid = np.all(conditioned.valid[rows], axis=0)
    rate = conditioned.sampling_rate_hz
    ratio = sta_lta(data, rate, STA_S, LTA_S, valid)
    # Half a long window at the start of a record is no reference yet
    reach = round((STA_S + LTA_S) * rate)
    missing = np.cumsum(~valid, axis=-1)
    known = np.zeros_like(valid)
    if reach < valid.shape[-1]:
        known[:, reach:] = valid[:, reach:] & (missing[:, reach:] == missing[:, : valid.shape[-1] - reach])
    return np.log(np.maximum(ratio, 1.0)), known


def from_moveout(stack: Moveout) -> OriginTime | None:
    """Origin time at the stack's maximum.

    The place of the maximum is refined below the sampling step by a parabola through its neighbours. Sigma: the
    jackknife over stations (the maximum is sought again, within 2 s, with each station left out) and ONSET_SIGMA_S,
    added as squares; a wrong hypocentre is not in it. None where nothing can be stacked, or with a single station.
    """
    if not np.any(np.isfinite(stack.stack)):
        return None
    used = np.flatnonzero(stack.counts.any(axis=1))
    if used.size < 2:
        return None
    best, total, count = _peak(stack.stack), stack.parts.sum(axis=0), stack.counts.sum(axis=0)
    step = float(stack.times[1] - stack.times[0]) if stack.times.size > 1 else 0.0
    near = np.abs(np.arange(stack.times.size) - best) * step <= 2.0
    without = np.where(near, _mean(total - stack.parts[used], count - stack.counts[used]), np.nan)
    left_out = [_peak(row) if np.any(np.isfinite(row)) else best for row in without]
    values = np.asarray(left_out) * step
    n = used.size
    sigma = np.sqrt((n - 1) / n * np.sum((values - values.mean()) ** 2))
    return OriginTime(
        time=float(stack.times[0] + best * step),
        sigma_s=float(np.hypot(sigma, ONSET_SIGMA_S)),
        method="moveout",
        used=int(n),
        weights=np.zeros(0),
        mean_ratio=float(np.exp(np.nanmax(stack.stack))),
    )


def _peak(values: FloatArray) -> float:
    """Index of the maximum, refined by a parabola."""
    i = int(np.nanargmax(values))
    if 0 < i < values.size - 1 and np.isfinite(values[i - 1]) and np.isfinite(values[i + 1]):
        curvature = values[i - 1] - 2 * values[i] + values[i + 1]
        if curvature < 0:
            return i + 0.5 * float((values[i - 1] - values[i + 1]) / curvature)
    return float(i)
