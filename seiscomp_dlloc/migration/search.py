"""The search for the place and the origin time that the evidence of all stations agrees on best, coarse to fine."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .area import Axes, Box, axes
from .prior import Expected, Prior, anywhere

FloatArray = NDArray[np.float64]

Stack = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Evidence (station, 2, time), arrivals (node, station, 2) in its steps at the first trial origin time, trial origin
times (origin,) in whole steps after that one: the sum of the evidence (node, origin)."""

Arrivals = Callable[[FloatArray, FloatArray, FloatArray], NDArray[np.floating]]
"""Travel times (node, station, 2) in s, of P and of S, from nodes x, y, z (node,) in km; NaN where there is none."""

Candidate = tuple[float, float, float, float, float]
"""x, y, z (km), origin time (s after the evidence's first), sum of the evidence."""

P_SPEED, S_SPEED = 6.0, 3.5
"""km/s: how far apart in time neighbouring nodes see an onset."""


OUT_OF_REACH = 25.0
"""A place that is less likely by this logarithm than the best one stays so, whichever station is left out."""

FINEST_REACH, MOST_MOVES = 8.0, 8
"""Half width of the finest grid in its spacings, and how often it is moved or widened."""

TAILS_REACH = 12.0
"""Where the distribution of errors is cut, in its scale."""


@dataclass(frozen=True)
class Plan:
    """``first_nodes``: nodes along the longer side of the coarsest grid, fewer where they would stand closer than the
    evidence can tell apart (``coarsest_steps`` of it at the speed of P). ``refine``: by what the spacing is divided
    from grid to grid, until it is ``finest_steps`` of the evidence at the speed of P. ``candidates``: places kept from
    grid to grid. ``reach``: half width of a finer grid in spacings of the one before. ``most``: values of a stack held
    at once. ``smooth_s``, ``tails``: of the errors of predicted times, by which the evidence is widened (see
    :func:`smoothed`). ``temperature``: by what the stack is divided to make a log-probability of it.
    """

    first_nodes: int = 32
    first_depths: int = 4
    coarsest_steps: float = 4.0
    refine: float = 3.0
    finest_steps: float = 0.5
    candidates: int = 6
    reach: float = 1.6
    most: int = 6_000_000
    smooth_s: float = 0.0
    tails: float = 3.0
    temperature: float = 1.0


@dataclass(frozen=True)
class Found:
    """Where the search ended: the finest grid's log-probability and what belongs to its best node.

    ``axes`` of the grid, ``log_probability`` (nz, ny, nx), not normalised, the origin time summed out; ``time_s``
    (nz, ny, nx) each node's best origin time (s after the evidence's first time), ``score`` the highest sum of the
    evidence and of what was likely; ``others``: x, y, z, time, score of the best places of the coarser grids that are
    another maximum. ``origins_s`` (origin,): the trial origin times, of which those are likely that are ``expected``.
    """

    axes: Axes
    log_probability: FloatArray
    time_s: FloatArray
    score: float
    others: tuple[Candidate, ...]
    origins_s: FloatArray
    expected: Expected | None = None


def widened(evidence: NDArray[np.float32], p_steps: float, s_steps: float) -> NDArray[np.float32]:
    """Each trace's largest value within so many steps of each time, for nodes that far apart."""
    out = np.empty_like(evidence)
    for phase, reach in enumerate((p_steps, s_steps)):
        size = 2 * int(np.ceil(reach)) + 1
        out[:, phase] = ndimage.maximum_filter1d(evidence[:, phase], size, axis=-1, mode="nearest")
    return out


def smoothed(evidence: NDArray[np.float32], scale_steps: float, tails: float) -> NDArray[np.float32]:
    """Evidence of an onset that is predicted no better than this: the mean of its likelihood ratio.

    Errors of the prediction have Student's t distribution of ``tails`` degrees of freedom and this scale, for S 1.5
    times as large. With a normal distribution an onset that is far off, as by a wrong clock, would pull the more the
    farther it is (Lange et al. 1989).
    """
    if scale_steps <= 0.0:
        return evidence
    ratio = np.exp(evidence.astype(np.float64))
    parts = [
        ndimage.convolve1d(ratio[:, phase], _student(factor * scale_steps, tails), axis=-1, mode="nearest")
        for phase, factor in enumerate((1.0, 1.5))
    ]
    return np.asarray(np.log(np.stack(parts, axis=1)), np.float32)


def _student(scale_steps: float, tails: float) -> FloatArray:
    reach = int(np.ceil(TAILS_REACH * scale_steps))
    away = np.arange(-reach, reach + 1) / scale_steps
    weight = (1.0 + away**2 / tails) ** (-0.5 * (tails + 1.0))
    return np.asarray(weight / weight.sum())


class Search:
    """A search within a box with one network's travel times; ``prior`` says how likely places are to begin with."""

    def __init__(self, box: Box, arrivals: Arrivals, plan: Plan, step_s: float, prior: Prior = anywhere):
        self.box, self.arrivals, self.plan, self.step_s, self.prior = box, arrivals, plan, step_s, prior
        coarse = max(box.width_km / plan.first_nodes, plan.coarsest_steps * step_s * P_SPEED)
        depth = box.z_km[1] - box.z_km[0]
        self._first = axes(box, coarse, max(depth / max(plan.first_depths - 1, 1), 1e-3))
        self._coarse_km, self._coarse_depth_km = coarse, max(depth / max(plan.first_depths - 1, 1), 1e-3)
        self._first_times: NDArray[np.floating] | None = None

    def smoothed(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Evidence (station, 2, time) as the search takes it: of onsets predicted no better than the plan says."""
        return smoothed(evidence, self.plan.smooth_s / self.step_s, self.plan.tails)

    def latest_first_arrival(self) -> float:
        """How long P takes from the coarsest grid's nodes to each one's nearest station, at most (s)."""
        times = self._times_of_first()
        first = np.nanmin(np.where(np.isfinite(times[..., 0]), times[..., 0], np.inf), axis=1)
        return float(np.max(np.where(np.isfinite(first), first, 0.0)))

    def coarsest(self) -> tuple[tuple[FloatArray, FloatArray, FloatArray], NDArray[np.floating], float]:
        """Nodes x, y, z (km) of the first grid, their travel times (node, station, phase) in s, their spacing in km."""
        return self._first.nodes(), self._times_of_first(), self._coarse_km

    def _times_of_first(self) -> NDArray[np.floating]:
        if self._first_times is None:
            self._first_times = self.arrivals(*self._first.nodes())
        return self._first_times

    def run(
        self,
        evidence: NDArray[np.float32],
        stack: Stack,
        earliest_s: float,
        latest_s: float,
        expected: Expected | None = None,
    ) -> Found:
        """The best place for ``evidence`` (station, 2, time), origin times between two bounds (s after its first)."""
        plan, step = self.plan, self.step_s
        evidence = self.smoothed(evidence)
        spacing, depth_spacing = self._coarse_km, self._coarse_depth_km
        finest = plan.finest_steps * step * P_SPEED
        nodes, times = self._first.nodes(), self._times_of_first()
        window = (earliest_s, latest_s)
        kept: list[Candidate] = []
        while True:
            reach_s = 0.5 * spacing / P_SPEED, 0.5 * spacing / S_SPEED
            blurred = widened(evidence, reach_s[0] / step, reach_s[1] / step)
            stride = max(int(reach_s[0] / step), 1)
            best, when = self._best(blurred, stack, times, window, stride, expected)
            best = best + self.prior(*nodes)
            kept = self._candidates(nodes, best, when, spacing)
            if spacing <= 1.5 * finest:
                break
            spacing, depth_spacing = max(spacing / plan.refine, finest), depth_spacing / plan.refine
            reach, reach_depth = plan.reach * plan.refine * spacing, plan.reach * plan.refine * depth_spacing
            grids = [axes(self.box.around(*c[:3], reach, reach_depth), spacing, depth_spacing) for c in kept]
            parts = [grid.nodes() for grid in grids]
            nodes = tuple(np.concatenate([part[k] for part in parts]) for k in range(3))  # type: ignore[assignment]
            times = self.arrivals(*nodes)
            slack = 2.0 * plan.refine * spacing / P_SPEED
            window = (
                max(min(c[3] for c in kept) - slack, earliest_s),
                min(max(c[3] for c in kept) + slack, latest_s),
            )
        return self._finest(evidence, stack, kept, finest, expected)

    def _best(
        self,
        evidence: NDArray[np.float32],
        stack: Stack,
        times: NDArray[np.floating],
        window: tuple[float, float],
        stride: int,
        expected: Expected | None,
    ) -> tuple[FloatArray, FloatArray]:
        """Each node's highest sum and its origin time, both (node,)."""
        step = self.step_s
        origins = np.arange(0.0, max(int(np.ceil((window[1] - window[0]) / step)), 1) + 1, stride)
        arrival = ((times + window[0]) / step).astype(np.float32)
        likely = _likely(expected, window[0] + origins * step)
        best, when = np.empty(len(times)), np.empty(len(times))
        part = max(self.plan.most // (origins.size * 2 * evidence.shape[0]), 1)
        for first in range(0, len(times), part):
            sums = stack(evidence, arrival[first : first + part], origins.astype(np.float32)) + likely
            at = np.argmax(sums, axis=1)
            best[first : first + part] = sums[np.arange(len(sums)), at]
            when[first : first + part] = window[0] + origins[at] * step
        return best, when

    def _candidates(
        self, nodes: tuple[FloatArray, FloatArray, FloatArray], best: FloatArray, when: FloatArray, spacing: float
    ) -> list[Candidate]:
        """The best nodes, none within two spacings of a better one (depth aside)."""
        x, y, z = nodes
        found: list[Candidate] = []
        left = best.copy()
        while len(found) < self.plan.candidates and np.any(np.isfinite(left)):
            k = int(np.argmax(left))
            found.append((float(x[k]), float(y[k]), float(z[k]), float(when[k]), float(best[k])))
            left[np.hypot(x - x[k], y - y[k]) < 2.0 * spacing] = -np.inf
        return found

    def _finest(
        self,
        evidence: NDArray[np.float32],
        stack: Stack,
        kept: list[Candidate],
        finest: float,
        expected: Expected | None,
    ) -> Found:
        """A grid about the best candidate, moved and widened until its probability lies within it."""
        x, y, z, time, _ = kept[0]
        spacing, reach = finest, FINEST_REACH * finest
        for _ in range(MOST_MOVES):
            depth_reach = min(max(3.0 * reach, 1.0), self.box.z_km[1] - self.box.z_km[0])
            grid = axes(
                self.box.around(x, y, z, reach, depth_reach), spacing, max(depth_reach / FINEST_REACH, 0.5 * spacing)
            )
            sums, origins = self._around(evidence, stack, grid, time, reach)
            sums += self.prior(*grid.nodes())[:, None] + _likely(expected, origins)
            score = float(sums.max())
            log_probability = np.log(np.sum(np.exp((sums - score) / self.plan.temperature), axis=1)).reshape(grid.shape)
            when = origins[np.argmax(sums, axis=1)].reshape(grid.shape)
            share = np.exp(log_probability - log_probability.max()).sum(axis=0)
            (x, spread_x), (y, spread_y) = (
                _mean_and_spread(line, share.sum(axis=axis)) for axis, line in enumerate((grid.x_km, grid.y_km))
            )
            best = np.unravel_index(int(np.argmax(log_probability)), grid.shape)
            z, time = float(grid.z_km[best[0]]), float(when[best])
            if 3.0 * max(spread_x, spread_y) <= reach or reach >= 0.5 * self.box.width_km:
                break
            reach, spacing = 2.0 * reach, 2.0 * spacing
        return Found(grid, log_probability, when, score, tuple(kept[1:]), origins, expected)

    def without_each(self, evidence: NDArray[np.float32], stack: Stack, found: Found) -> FloatArray:
        """(station, 2) km: the mean epicentre on the grid of ``found`` without each station's evidence."""
        evidence, step = self.smoothed(evidence), self.step_s
        some = found.log_probability.ravel() >= found.log_probability.max() - OUT_OF_REACH
        nodes, origins = tuple(line[some] for line in found.axes.nodes()), found.origins_s
        arrival = ((self.arrivals(*nodes) + origins[0]) / step).astype(np.float32)
        steps = np.rint((origins - origins[0]) / step).astype(np.float32)
        alone = [stack(evidence[k : k + 1], arrival[:, k : k + 1], steps) for k in range(len(evidence))]
        total = np.sum(alone, axis=0, dtype=np.float64)
        total += self.prior(*nodes)[:, None] + _likely(found.expected, origins)
        flat = np.stack(nodes[:2])
        means = []
        for one in alone:
            left = (total - one) / self.plan.temperature
            share = np.exp(left - left.max()).sum(axis=1)
            means.append(flat @ (share / share.sum()))
        return np.array(means)

    def _around(
        self, evidence: NDArray[np.float32], stack: Stack, grid: Axes, time_s: float, reach_km: float
    ) -> tuple[FloatArray, FloatArray]:
        """Sums (node, origin) of a grid that reaches so far, and the trial origin times (s) about ``time_s``."""
        step = self.step_s
        slack = 1.5 * reach_km / P_SPEED + 6.0 * step
        count = int(np.ceil(2.0 * slack / step)) + 1
        steps = np.arange(0.0, count, max(count // 60, 1))
        arrival = ((self.arrivals(*grid.nodes()) + time_s - slack) / step).astype(np.float32)
        part = max(self.plan.most // (steps.size * 2 * evidence.shape[0]), 1)
        sums = [
            stack(evidence, arrival[first : first + part], steps.astype(np.float32))
            for first in range(0, len(arrival), part)
        ]
        return np.concatenate(sums).astype(np.float64), time_s - slack + steps * step


def _likely(expected: Expected | None, times_s: FloatArray) -> FloatArray:
    """Log-probability of origin times (n,)."""
    return np.zeros(times_s.size) if expected is None else expected.of(times_s)


def _mean_and_spread(line: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation along an axis."""
    share = weight / weight.sum()
    mean = float(share @ line)
    return mean, float(np.sqrt(share @ (line - mean) ** 2))
