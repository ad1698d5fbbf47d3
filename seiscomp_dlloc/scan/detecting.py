"""When and where the evidence of a network's stations agrees: candidate events of a continuous record."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from ..migration.search import P_SPEED, S_SPEED, Stack, widened

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Nodes:
    """Places where events are looked for: ``times`` (node, station, phase) s of P and S; ``spacing_km`` apart.

    ``likely`` (node,): what is known of them before anything is seen, added to the evidence; None where nothing is.
    """

    times: NDArray[np.floating]
    spacing_km: float
    likely: FloatArray | None = None

    @property
    def latest_s(self) -> float:
        """The longest travel time; 0 where no phase reaches any station."""
        return float(np.nanmax(self.times, initial=0.0))

    @property
    def reach_s(self) -> tuple[float, float]:
        """How much earlier or later than from a node P and S come from half way to the next one."""
        return 0.5 * self.spacing_km / P_SPEED, 0.5 * self.spacing_km / S_SPEED


@dataclass(frozen=True)
class Plan:
    """How candidates are looked for.

    ``most``: values of a stack held at once; ``block``: trial origin times in one stack. A candidate is a peak of the
    agreement that rises ``least`` above what is on both sides of it within ``around_s``, in units of the evidence,
    log-likelihood ratios, and ``times_median`` times as high as half of all peaks do: most peaks are noise's.
    ``apart_s``: candidates are no nearer to each other in time.
    """

    most: int = 6_000_000
    block: int = 64
    around_s: float = 60.0
    least: float = 5.0
    times_median: float = 8.0
    apart_s: float = 1.0


@dataclass(frozen=True)
class Agreement:
    """``level`` (origin,): the largest sum over the nodes at each of ``times`` (POSIX s), and whose: ``node``."""

    times: FloatArray
    level: FloatArray
    node: NDArray[np.intp]


@dataclass(frozen=True)
class Candidate:
    """An event that there may be: origin time (POSIX s), node, and how far the agreement rises there."""

    time: float
    node: int
    rise: float


def agreement(
    evidence: NDArray[np.float32],
    starttime: float,
    step_s: float,
    stack: Stack,
    nodes: Nodes,
    span: tuple[float, float],
    plan: Plan,
) -> Agreement:
    """How well the stations agree on each origin time of ``span`` (POSIX s), at the node where they agree best.

    ``evidence`` (station, phase, time), its first value at ``starttime`` (POSIX s). It is widened by as much as
    arrivals from between the nodes may come earlier or later.
    """
    early, late = (reach / step_s for reach in nodes.reach_s)
    blurred = widened(evidence, early, late)
    first, last = (int(np.floor((edge - starttime) / step_s)) for edge in span)
    origins = np.arange(first, last + 1, max(int(early), 1))
    level, best = np.full(origins.size, -np.inf), np.zeros(origins.size, np.intp)
    arrival = np.asarray(nodes.times / step_s, np.float32)
    likely = np.zeros(len(arrival)) if nodes.likely is None else nodes.likely
    reached = int(np.ceil(nodes.latest_s / step_s)) + 2
    part = max(plan.most // (plan.block * evidence.shape[0] * evidence.shape[1]), 1)
    for start in range(0, origins.size, plan.block):
        some = origins[start : start + plan.block]
        # What these origin times reach of the evidence; beyond the record it is 0
        low = min(max(int(some[0]), 0), evidence.shape[-1] - 1)
        piece = np.ascontiguousarray(blurred[..., low : max(int(some[-1]) + reached, low) + 1])
        steps = (some - some[0]).astype(np.float32)
        high, whose = (row[start : start + some.size] for row in (level, best))
        for k in range(0, len(arrival), part):
            agreed = stack(piece, arrival[k : k + part] + np.float32(some[0] - low), steps)
            sums = agreed + likely[k : k + part, None]
            at = np.argmax(sums, axis=0)
            value = sums[at, np.arange(some.size)]
            better = value > high
            high[better], whose[better] = value[better], k + at[better]
    return Agreement(starttime + origins * np.float64(step_s), level, best)


def candidates(found: Agreement, plan: Plan) -> list[Candidate]:
    """Peaks of the agreement that rise well above their surroundings, in order of time."""
    if found.times.size < 3:
        return []
    step = float(found.times[1] - found.times[0])
    around = 2 * max(round(0.5 * plan.around_s / step), 1) + 1
    peaks, about = find_peaks(found.level, distance=max(plan.apart_s / step, 1.0), prominence=(None, None), wlen=around)
    rise = about["prominences"]
    enough = max(plan.least, plan.times_median * float(np.median(rise))) if rise.size else np.inf
    return [
        Candidate(float(found.times[k]), int(found.node[k]), float(height))
        for k, height in zip(peaks, rise, strict=True)
        if height >= enough
    ]
