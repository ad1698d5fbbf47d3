"""Onsets of recorded events whose places are known and whose picks are not: what the catalogue and a network that has
been trained already say together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REACH_S = 2.5
"""So far from where the earth model has it an onset is looked for."""

SURE = 2.5
"""Evidence from which on a network's onset counts: odds of twelve to one that it is there."""

APART_S = (0.6, 1.0)
"""An onset of P, of S that is farther than this from what the stations' delays say belongs to something else."""

ROUNDS = 10


@dataclass(frozen=True)
class Delays:
    """Residuals taken apart: ``event`` (event,) of the origin time, ``station`` (station, 2) of P and S, s.

    A station without a sure onset has none (0), an event without one neither.
    """

    event: FloatArray
    station: FloatArray


def delays_of(residual: FloatArray) -> Delays:
    """Medians by event and by station, in turns, of ``residual`` (event, station, 2) s, NaN where there is no onset.

    Only the sum of both is defined: the events' median is 0.
    """
    events, stations, phases = residual.shape
    event, station = np.zeros(events), np.zeros((stations, phases))
    known = np.isfinite(residual)
    for _ in range(ROUNDS):
        left = residual - station
        event = np.array([np.median(left[k][known[k]]) if known[k].any() else 0.0 for k in range(events)])
        event -= np.median(event)
        left = residual - event[:, None, None]
        for s, p in np.ndindex(stations, phases):
            if known[:, s, p].any():
                station[s, p] = np.median(left[known[:, s, p], s, p])
    return Delays(event, station)


def onsets_of(predicted: FloatArray, seen: FloatArray, delays: Delays) -> FloatArray:
    """Onsets (event, station, 2) from those ``predicted`` and ``seen`` (the same shape, s; NaN where none is sure).

    What was seen, where that agrees with the delays; else what they say.
    """
    said = predicted + delays.event[:, None, None] + delays.station
    agrees = np.abs(np.nan_to_num(seen - said, nan=np.inf)) <= np.asarray(APART_S)
    return np.where(agrees, seen, said)
