"""One event, found several times: from the answers to candidates to a catalogue in which each event stands once."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from ..compare.distance import in_sigma
from ..geometry import LocalFrame
from ..records import Solution, Trigger

TIME_S = 1.0
"""Origin times of one event may be so far apart, beside their uncertainties."""

SIGMA = 3.0
"""And epicentres so many standard deviations, and origin times so many of theirs."""

SHARED = 0.5
"""Two answers that share this part of the onsets of the one with fewer are one event: no wave has two sources."""

SAME_ONSET_S = 0.15
LEAST_PROBABILITY = 0.5
"""Onsets are compared that a station rather recorded than not; times of one differ by a sample or two."""

FARTHEST_S = 120.0
"""Answers with origin times farther apart are not compared: their windows hold other waves."""


def same_event(first: Solution, second: Solution) -> bool:
    """Whether two answers with hypocentres are of one event: at one time and place, or of the same waves."""
    return _coincide(first, second) or _share(first, second)


def _coincide(first: Solution, second: Solution) -> bool:
    a, b = first.hypocenter, second.hypocenter
    if a is None or b is None:
        return False
    sigma = math.hypot(a.time_sigma_s or 0.0, b.time_sigma_s or 0.0)
    if abs(a.time - b.time) > TIME_S + SIGMA * sigma:
        return False
    apart = np.array([float(v) for v in LocalFrame(a.latitude, a.longitude).to_local(b.latitude, b.longitude)])
    return in_sigma(apart, a.covariance_km2[:2, :2] + b.covariance_km2[:2, :2]) <= SIGMA


def _share(first: Solution, second: Solution) -> bool:
    """Whatever phase they are taken for: a ghost takes S of an event for P of its own."""
    times = [_onsets(solution) for solution in (first, second)]
    fewer, more = sorted(times, key=lambda onsets: sum(map(len, onsets.values())))
    count = sum(map(len, fewer.values()))
    shared = sum(
        any(abs(time - other) <= SAME_ONSET_S for other in more.get(station, ()))
        for station, seen in fewer.items()
        for time in seen
    )
    return count > 0 and shared >= SHARED * count


def _onsets(solution: Solution) -> dict[str, list[float]]:
    """Times of the onsets by station."""
    found: dict[str, list[float]] = {}
    for onset in solution.onsets:
        if onset.probability >= LEAST_PROBABILITY:
            found.setdefault(onset.station_id, []).append(onset.time)
    return found


def unique(solutions: Iterable[Solution]) -> tuple[Solution, ...]:
    """Each event once, in order of the origin times; of several answers an accepted one, of these the highest peak.

    Those without a hypocentre are left out.
    """

    def trust(solution: Solution) -> tuple[bool, float, float]:
        return not solution.accepted, -(solution.peak or 0.0), _time(solution)

    kept: list[Solution] = []
    for solution in sorted((one for one in solutions if one.hypocenter is not None), key=trust):
        time = _time(solution)
        first = bisect_left(kept, time - FARTHEST_S, key=_time)
        last = bisect_left(kept, time + FARTHEST_S, key=_time)
        if not any(same_event(solution, other) for other in kept[first:last]):
            insort(kept, solution, key=_time)
    return tuple(kept)


def _time(solution: Solution) -> float:
    return math.nan if solution.hypocenter is None else solution.hypocenter.time


def named(solutions: Iterable[Solution]) -> tuple[Solution, ...]:
    """The solutions with publicIDs that say model and origin time, and are the same whenever they are made."""
    found, taken = [], set[str]()
    for solution in solutions:
        when = datetime.fromtimestamp(round(_time(solution), 3), UTC).strftime("%Y%m%d%H%M%S.%f")[:-3]
        stem = f"Event/dlloc/{solution.model.name}/{when}"
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        found.append(replace(solution, trigger=Trigger("", _time(solution), event_id=name)))
    return tuple(found)
