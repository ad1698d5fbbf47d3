"""What a model for any network sees in records longer than its window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..migration.locating import ONSETS, Run
from ..passport import Passport
from ..records import Conditioned, Station
from ..representations import Window, build
from ..traveltimes import PHASES, TravelTimes


@dataclass(frozen=True)
class Continuous:
    """Evidence of P and S: ``values`` (station, phase, time), the first at ``starttime`` (POSIX s), ``step_s`` apart.

    0 where a station has no data: nothing is known there.
    """

    values: NDArray[np.float32]
    starttime: float
    step_s: float
    stations: tuple[Station, ...]


def continuous_evidence(
    run: Run, conditioned: Conditioned, stations: tuple[Station, ...], passport: Passport, travel_times: TravelTimes
) -> Continuous:
    """Evidence of all of ``conditioned`` (its station axis is ``stations``), of the stations with data.

    What a network makes of a record depends on how strong the rest of the window is, so that the windows are no longer
    than those it was trained on. They overlap by half; of each its middle half is kept, where it sees what comes
    before and after. Raises ModelError where the model cannot run.
    """
    settings, stride = passport.preprocessing, int(passport.representation["stride"])
    rate = conditioned.sampling_rate_hz
    # In steps of the evidence, so that every window begins on one
    half = settings.window_samples // (2 * stride)
    quarter, samples = half // 2, conditioned.data.shape[-1]
    steps = -(-samples // stride)
    values = np.zeros((len(stations), len(PHASES), steps), np.float32)
    place = {station.id: row for row, station in enumerate(stations)}
    count = max(-(-(steps - half) // half), 1)
    for number in range(count):
        first = number * half
        window = Window(conditioned, stations, (), conditioned.starttime + first * stride / rate, travel_times)
        built = build(window, passport)
        if not built.used:
            continue
        seen = run(dict(built.arrays), (ONSETS,))[ONSETS]
        low = 0 if number == 0 else quarter
        high = seen.shape[-1] if number == count - 1 else quarter + half
        high = min(high, steps - first)
        rows = [place[name] for name in built.used]
        values[rows, :, first + low : first + high] = seen[:, :, low:high]
    # A window speaks of all of its samples, of those without data too
    there = np.zeros((len(stations), steps * stride), bool)
    there[:, :samples] = np.logical_or.reduce(conditioned.valid, axis=0)
    seen_at: NDArray[np.bool_] = np.logical_or.reduce(there.reshape(len(stations), steps, stride), axis=-1)
    values *= seen_at[:, None]
    live = np.flatnonzero(seen_at.any(axis=-1))
    return Continuous(values[live], conditioned.starttime, stride / rate, tuple(stations[row] for row in live))
