"""When the network first felt the event: the anchor of the model's window.

The trigger says when and that an event happened. Its picks give the first break where it has any; else STA/LTA on
the network does (0.5 s / 5 s, ratio 4, as in Sugiyama et al. 2021).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import NoEventFound
from .records import Conditioned, Trigger

FloatArray = NDArray[np.float64]

STA_S = 0.5
LTA_S = 5.0
RATIO = 4.0

SEARCH_BEFORE_S = 15.0
SEARCH_AFTER_S = 30.0

COINCIDENCE_S = 10.0
"""Onsets at different stations within this time may belong to one event: P passes some 60 km meanwhile."""

HOP_S = 5.0
"""Longest pause between the onsets of one event on its way through the network."""

MIN_STATIONS = 3
PEAK_S = 1.0
CLEAR_POWER = 0.6
WEIGHT_OF_ONE = 0.1
"""What a station that just reaches RATIO adds to the score."""

_HALF = 0.5
_CHUNK = 2**15


@dataclass(frozen=True)
class Anchor:
    """The first break: ``time`` (POSIX s), ``method`` ``pick`` or ``sta/lta`` and the ``stations`` it rests on (their
    number of picks, or of coincident onsets)."""

    time: float
    method: str
    stations: int


def window_sum(values: FloatArray, length: int) -> FloatArray:
    """Sums over the last ``length`` samples up to each one, (..., n); fewer at the start.

    Built by doubling, not as a difference of cumulative sums: each sum depends on its own samples only, to the bit,
    and a large event does not wipe out the small numbers after it.
    """
    out = np.zeros_like(values)
    power, width, done = values, 1, 0
    remaining = length
    n = values.shape[-1]
    while remaining:
        if remaining & 1 and done < n:
            out[..., done:] += power[..., : n - done]
            done += width
        remaining >>= 1
        if remaining and width < n:
            doubled = np.empty_like(power)
            doubled[..., :width] = power[..., :width]
            np.add(power[..., width:], power[..., : n - width], out=doubled[..., width:])
            power = doubled
        width *= 2
    return out


def sta_lta(
    data: NDArray[np.floating],
    rate: float,
    sta_s: float = STA_S,
    lta_s: float = LTA_S,
    valid: NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Ratio of mean energy in the last ``sta_s`` to that in the ``lta_s`` before them, (..., n) like ``data``.

    Means are over valid samples. The ratio is 0 where less than half of either window is observed (so for half of
    ``lta_s`` from the start of the record) and where the long window holds no energy.
    """
    short, long = max(1, round(sta_s * rate)), max(1, round(lta_s * rate))
    n = data.shape[-1]
    rows = data.reshape(-1, n)
    observed = None if valid is None else valid.reshape(-1, n)
    out = np.zeros(rows.shape)
    if n <= short:
        return out.reshape(data.shape)
    every = _windows(np.ones(n), short, long)
    # A few rows at a time stay in the processor's cache through the many passes
    step = max(1, _CHUNK // n)
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        energy = np.square(rows[some], dtype=np.float64)
        counts = every
        if observed is not None:
            there = observed[some]
            energy *= there
            # Rows wholly valid or wholly not need no counting of their own: without energy the ratio is 0 anyway
            if not np.array_equal(there.all(axis=-1), there.any(axis=-1)):
                counts = _windows(there.astype(np.float64), short, long)
        sta, lta = _windows(energy, short, long)
        sta_n, lta_n = counts
        sensible = (sta_n >= _HALF * short) & (lta_n >= _HALF * long) & (lta > 0)
        np.divide(sta * lta_n, lta * sta_n, out=out[some, short:], where=sensible)
    return out.reshape(data.shape)


def _windows(values: FloatArray, short: int, long: int) -> tuple[FloatArray, FloatArray]:
    """Sums in the short window and in the long one before it, (..., n - short)."""
    # The long window ends where the short one begins, else an onset raises its own reference
    return window_sum(values, short)[..., short:], window_sum(values, long)[..., :-short]


def network_ratio(conditioned: Conditioned) -> FloatArray:
    """STA/LTA of each station, (station, sample): the mean of its components' ratios.

    Three components have three times the degrees of freedom of one: noise hardly ever reaches a ratio of 4, while an
    onset that is clear on one component alone still does.
    """
    ratio = sta_lta(conditioned.data, conditioned.sampling_rate_hz, valid=conditioned.valid).sum(axis=0)
    components = conditioned.valid.any(axis=2).sum(axis=0)
    out: FloatArray = ratio / np.maximum(components, 1)[:, None]
    return out


def _onsets(ratio: FloatArray, rate: float) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Samples, stations and peak ratios within :data:`PEAK_S` of all crossings of RATIO, in order of time."""
    above = ratio >= RATIO
    above[:, 1:] &= ratio[:, :-1] < RATIO
    sample, station = np.nonzero(above.T)
    ahead = max(1, round(PEAK_S * rate))
    following = np.minimum(sample[:, None] + np.arange(ahead), ratio.shape[1] - 1)
    return sample, station, ratio[station[:, None], following].max(axis=1, initial=RATIO)


def first_break(conditioned: Conditioned, trigger: Trigger) -> Anchor:
    """The first break of the trigger's event.

    The earliest pick in use by the trigger that lies within the data, where there is one. Otherwise from network
    STA/LTA, in four steps:

    1. onsets (a station's ratio crosses 4) on the whole record; those from 15 s before to 30 s after the trigger's
       time are candidates, so the trigger's time limits the choice and does nothing else;
    2. the event is the span of :data:`COINCIDENCE_S` with the greatest sum over stations of the log of peak ratios;
    3. onsets count from ``max(4, r ** 0.6)`` on, r the third-largest peak ratio of that span: beside a clear event
       a small excursion of noise is none;
    4. from there back in time as long as gaps between onsets are at most :data:`HOP_S` (the wave on its way through
       the network), then the first one with enough other stations within COINCIDENCE_S after it.

    Raises :class:`~seiscomp_dlloc.errors.NoEventFound` where fewer than three stations (all, where there are fewer)
    have onsets together.
    """
    inside = [p for p in trigger.picks if p.used and conditioned.starttime <= p.time <= conditioned.endtime]
    picks = sorted(pick.time for pick in inside)
    if picks:
        return Anchor(picks[0], "pick", len(picks))
    rate = conditioned.sampling_rate_hz
    needed = min(MIN_STATIONS, int(conditioned.valid.any(axis=(0, 2)).sum()))
    sample, station, peak = _onsets(network_ratio(conditioned), rate)
    since = conditioned.starttime - trigger.time + sample / rate
    near = (since >= -SEARCH_BEFORE_S) & (since <= SEARCH_AFTER_S)
    sample, station, peak = sample[near], station[near], peak[near]
    best, score, reference = -1, 0.0, 0.0
    for j, stop in enumerate(np.searchsorted(sample, sample + COINCIDENCE_S * rate, side="right")):
        largest = np.zeros(conditioned.data.shape[1])
        np.maximum.at(largest, station[j:stop], peak[j:stop])
        together = largest[largest > 0]
        if together.size < max(needed, 1):
            continue
        total = float(np.log(together / RATIO).sum()) + WEIGHT_OF_ONE * together.size
        if total > score:
            best, score, reference = j, total, float(np.sort(together)[-needed])
    if best < 0:
        raise NoEventFound(
            f"no first break: fewer than {max(needed, 1)} stations exceed STA/LTA {RATIO:g} together from "
            f"{SEARCH_BEFORE_S:g} s before to {SEARCH_AFTER_S:g} s after the trigger"
        )
    clear = peak >= max(RATIO, reference**CLEAR_POWER)
    first = int(np.searchsorted(sample[clear], sample[best]))
    sample, station = sample[clear], station[clear]
    while first > 0 and sample[first] - sample[first - 1] <= HOP_S * rate:
        first -= 1
    for j in range(first, sample.size):
        count = np.unique(station[j : np.searchsorted(sample, sample[j] + COINCIDENCE_S * rate, side="right")]).size
        if count >= needed:
            return Anchor(conditioned.starttime + int(sample[j]) / rate, "sta/lta", int(count))
    raise AssertionError("the best span holds enough clear onsets by construction")
