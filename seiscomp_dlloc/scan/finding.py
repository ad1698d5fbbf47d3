"""One stretch of a continuous record searched: from conditioned waveforms to candidate events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..locate import Locator
from ..migration.locating import STACK
from ..passport import Passport
from ..records import Conditioned
from .detecting import Candidate, Nodes, Plan, agreement, candidates
from .evidence import continuous_evidence


@dataclass(frozen=True)
class Findings:
    """What the search of a stretch gave.

    ``stations``: ids of those with data; ``coverage``: share of their time within the span that there are data of.
    """

    candidates: tuple[Candidate, ...]
    stations: tuple[str, ...]
    coverage: float


def find(locator: Locator, stream: Sequence[Any], span: tuple[float, float], plan: Plan) -> Findings:
    """Candidate events whose origin times lie in ``span`` (POSIX s; the end is not in it).

    ``stream``: traces of counts, as far beyond the span as :func:`reach` says or as far as there are. Raises
    EventErrors where nothing there can be used.
    """
    middle = 0.5 * (span[0] + span[1])
    record = locator.record(middle, stream, lambda passport: reach(span, passport, plan))
    seen = continuous_evidence(
        locator.model.run, record.conditioned, record.stations, record.passport, locator.travel_times
    )
    _, search = locator.migrator.search(seen.stations, record.passport, locator.options.fixed_depth_km)
    places, times, spacing = search.coarsest()
    nodes = Nodes(times, spacing, search.prior(*places))
    evidence = search.smoothed(seen.values)

    def stack(
        values: NDArray[np.float32], arrivals: NDArray[np.float32], origins: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return locator.model.run({"evidence": values, "arrivals": arrivals, "origins": origins}, (STACK,))[STACK]

    # Beyond the span, so that a peak near its border is seen against both of its sides
    wide = span[0] - 0.5 * plan.around_s, span[1] + 0.5 * plan.around_s
    found = agreement(evidence, seen.starttime, seen.step_s, stack, nodes, wide, plan)
    inside = tuple(one for one in candidates(found, plan) if span[0] <= one.time < span[1])
    return Findings(inside, tuple(station.id for station in seen.stations), coverage(record.conditioned, span))


def coverage(conditioned: Conditioned, span: tuple[float, float]) -> float:
    """The share of ``span`` (POSIX s) that there are data of, mean of the stations that have any."""
    there = np.logical_or.reduce(conditioned.valid, axis=0)
    there = there[there.any(axis=-1)]
    rate = conditioned.sampling_rate_hz
    first, last = (round((edge - conditioned.starttime) * rate) for edge in span)
    inside = there[:, max(first, 0) : max(last, 0)]
    return float(inside.sum()) / max((last - first) * len(there), 1)


def reach(span: tuple[float, float], passport: Passport, plan: Plan) -> tuple[float, float]:
    """Start and end (POSIX s) of the waveforms that tell of origin times in ``span``.

    Filters need their warm-up before it, and arrivals come as late as a window is long after it.
    """
    settings = passport.preprocessing
    return (
        span[0] - 0.5 * plan.around_s - settings.warmup_s - 1.0,
        span[1] + 0.5 * plan.around_s + settings.window_s,
    )
