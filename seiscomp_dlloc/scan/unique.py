"""One event, found several times: from the answers to candidates to a catalogue in which each event stands once."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from ..compare.distance import in_sigma
from ..geometry import LocalFrame
from ..records import Onset, Solution, Trigger

TIME_S = 1.0
"""Origin times of one event may be so far apart, beside their uncertainties."""

SIGMA = 3.0
"""And epicentres so many standard deviations, and origin times so many of theirs."""

SHARED = 0.5
"""Two answers are one event where this part of the weaker one's evidence is the other's: no wave has two sources."""

SAME_ONSET_S = 0.3
"""So far apart are the times of one onset in two answers: it is seen within its evidence's width."""

SUREST = 1e-4
"""Probabilities nearer to 1 count as one that is so far from it."""

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
    """Whatever phase they are taken for: a ghost takes S of an event for P of its own.

    What an onset weighs is its evidence, the logarithm of its odds; those that a station rather did not record weigh
    nothing. Much of what a ghost rests on beside an event's onsets is noise.
    """
    weaker, other = sorted((first, second), key=lambda one: sum(map(_weight, one.onsets)))
    seen: dict[str, list[float]] = {}
    for onset in other.onsets:
        if _weight(onset) > 0.0:
            seen.setdefault(onset.station_id, []).append(onset.time)
    total = sum(map(_weight, weaker.onsets))
    shared = sum(
        _weight(onset)
        for onset in weaker.onsets
        if any(abs(onset.time - time) <= SAME_ONSET_S for time in seen.get(onset.station_id, ()))
    )
    return total > 0.0 and shared >= SHARED * total


def _weight(onset: Onset) -> float:
    chance = min(max(onset.probability, 0.5), 1.0 - SUREST)
    return math.log(chance / (1.0 - chance))


def unique(solutions: Iterable[Solution]) -> tuple[Solution, ...]:
    """Each event once, in order of the origin times; of several answers an accepted one, of these the highest peak.

    Those without a hypocentre are left out.
    """

    def trust(solution: Solution) -> tuple[float, ...]:
        return not solution.accepted, -(solution.peak or 0.0), *_order(solution)

    kept: list[Solution] = []
    for solution in sorted((one for one in solutions if one.hypocenter is not None), key=trust):
        time = _time(solution)
        edges: list[tuple[float, ...]] = [(time - FARTHEST_S,), (time + FARTHEST_S,)]
        first, last = (bisect_left(kept, edge, key=_order) for edge in edges)
        if not any(same_event(solution, other) for other in kept[first:last]):
            insort(kept, solution, key=_order)
    return tuple(kept)


def _time(solution: Solution) -> float:
    return math.nan if solution.hypocenter is None else solution.hypocenter.time


def _order(solution: Solution) -> tuple[float, ...]:
    h = solution.hypocenter
    return (math.nan,) if h is None else (h.time, h.latitude, h.longitude)


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
