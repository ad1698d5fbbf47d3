"""A conventional chain: picks, association by votes for origin times, robust least squares.

P candidates of all stations vote, on a grid of epicentres, for the origin times that they imply; the node and time
with the most votes gathers one pick a station, and Geiger's method with Cauchy's loss fits the hypocentre while the
tolerance narrows. S is then read near its predicted time and added with half the weight.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from seiscomp_dlloc.records import Conditioned
from seiscomp_dlloc.traveltimes import Phase, TravelTimes

from .local import LocalNetwork, Located
from .moveout import MoveoutModel
from .phasepicks import Picks, pick_p, pick_s

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NODE_KM, BIN_S = 5.0, 0.5
MIN_P = 6
TOLERANCES_S = (3.0, 1.95, 1.2, 0.75)
FREE_DEPTH_FROM = 2  # place in TOLERANCES_S from which the depth is let free
START_DEPTHS_KM = (2.0, 5.0, 9.0)
MAX_DEPTH_KM = 20.0
S_WEIGHT = 0.5
_S_SPREAD_S = 1.5
_REACH_KM = 400.0


class StationTimes(Protocol):
    """Travel times to the stations of a network."""

    def times(self, phase: Phase, station: IntArray, distance_km: ArrayLike, depth_km: ArrayLike) -> FloatArray:
        """Seconds to ``station`` (n,) at epicentral distances (..., n) from ``depth_km`` that broadcasts with them."""
        ...


@dataclass(frozen=True)
class CalibratedTimes:
    """Straight rays with the delays and station terms of a :class:`~dlloc_training.moveout.MoveoutModel`."""

    model: MoveoutModel

    def times(self, phase: Phase, station: IntArray, distance_km: ArrayLike, depth_km: ArrayLike) -> FloatArray:
        """See :class:`StationTimes`."""
        speed, delay, terms = (
            (self.model.vp, self.model.p_delay, self.model.p_terms)
            if phase == "P"
            else (self.model.vs, self.model.s_delay, self.model.s_terms)
        )
        return np.asarray(np.hypot(distance_km, depth_km) / speed + delay + terms[station])


@dataclass(frozen=True)
class EarthModelTimes:
    """Travel times of an earth model, without anything fitted."""

    model: TravelTimes

    def times(self, phase: Phase, station: IntArray, distance_km: ArrayLike, depth_km: ArrayLike) -> FloatArray:
        """See :class:`StationTimes`."""
        return self.model.times(phase, distance_km, depth_km)


@dataclass(frozen=True)
class Phases:
    """Associated picks: ``station`` (n,), ``is_s`` (n,), ``time_s`` (n,) after sample 0, ``weight`` (n,)."""

    station: IntArray
    is_s: NDArray[np.bool_]
    time_s: FloatArray
    weight: FloatArray


class Chain:
    """Picks, associates and locates on one network with one set of travel times.

    ``depth_km`` is where it begins, ``surface_km`` the least depth below sea level. ``scale``: all lengths and times
    but the greatest depth are so many times those of regional networks.
    """

    def __init__(
        self,
        times: StationTimes,
        network: LocalNetwork,
        box_km: tuple[float, float, float, float],
        depth_km: float = 5.0,
        *,
        surface_km: float = 0.0,
        scale: float = 1.0,
    ):
        self.travel, self.network, self.depth_km = times, network, depth_km
        self.surface_km, self.scale = surface_km, scale
        step = scale * NODE_KM
        x = np.arange(box_km[0], box_km[1] + step, step)
        y = np.arange(box_km[2], box_km[3] + step, step)
        gx, gy = np.meshgrid(x, y, indexing="ij")
        self.nodes = np.stack([gx.ravel(), gy.ravel()], axis=-1)
        flat = self.nodes[:, None] - network.positions_km
        everyone = np.arange(len(network.stations))
        self.node_times = times.times("P", everyone, np.hypot(flat[..., 0], flat[..., 1]), depth_km)

    def run(
        self, conditioned: Conditioned, earliest_s: float, latest_s: float, least_p: int = MIN_P
    ) -> tuple[Located, Phases] | None:
        """Hypocentre and the phases it rests on, origin time sought between the bounds (s after sample 0).

        None where fewer than ``least_p`` picks agree.
        """
        candidates = pick_p(conditioned, self.scale)
        gathered = self._p_phases(candidates, earliest_s, latest_s, least_p)
        if gathered is None:
            return None
        point, phases = gathered
        with_s = self._with_s(conditioned, point, phases)
        if with_s is not phases:
            point = self.fit(with_s, point, None, 0.2 * self.scale)
        x, y, z, time = (float(v) for v in point)
        return Located(x, y, z, time, float(with_s.time_s.size)), with_s

    def predicted(self, phases: Phases, point: FloatArray) -> FloatArray:
        """Travel times (n,) s of ``phases`` from ``point`` (x, y, z, ...)."""
        flat = point[:2] - self.network.positions_km[phases.station]
        distance = np.hypot(flat[:, 0], flat[:, 1])
        out = np.empty(distance.shape)
        names: tuple[Phase, Phase] = ("P", "S")
        for value, name in enumerate(names):
            here = phases.is_s == bool(value)
            if np.any(here):
                out[here] = self.travel.times(name, phases.station[here], distance[here], float(point[2]))
        return out

    def fit(self, phases: Phases, start: FloatArray, fixed_depth_km: float | None, scale_s: float) -> FloatArray:
        """(x, y, z, t) of the least robust misfit, from ``start`` and, with free depth, several starting depths."""
        best, cost = start, np.inf
        starts = [self.surface_km + self.scale * depth for depth in START_DEPTHS_KM]
        for depth in starts if fixed_depth_km is None else (fixed_depth_km,):

            def misfit(v: FloatArray, held: float = depth) -> FloatArray:
                point = np.array([v[0], v[1], v[3] if v.size == 4 else held])
                return np.asarray(phases.weight * (phases.time_s - v[2] - self.predicted(phases, point)))

            first, low, high = [start[0], start[1], start[3]], [-_REACH_KM, -_REACH_KM, -np.inf], [_REACH_KM] * 2
            high, scales = [*high, np.inf], [1.0, 1.0, 0.2]
            if fixed_depth_km is None:
                first, low, high, scales = (
                    [*first, depth],
                    [*low, self.surface_km],
                    [*high, MAX_DEPTH_KM],
                    [*scales, 1.0],
                )
            result = least_squares(
                misfit, first, loss="cauchy", f_scale=scale_s, bounds=(low, high), x_scale=scales, max_nfev=60
            )
            if result.cost < cost:
                v, cost = result.x, float(result.cost)
                best = np.array([v[0], v[1], v[3] if v.size == 4 else depth, v[2]])
        return best

    def _p_phases(
        self, picks: Picks, earliest_s: float, latest_s: float, least_p: int
    ) -> tuple[FloatArray, Phases] | None:
        if len(picks) < least_p:
            return None
        point = self._vote(picks, earliest_s, latest_s)
        phases = None
        for step, tolerance in enumerate(TOLERANCES_S):
            chosen = self._nearest(picks, point, self.scale * tolerance)
            if chosen.size < least_p:
                return None
            n = chosen.size
            phases = Phases(picks.station[chosen], np.zeros(n, bool), picks.time_s[chosen], np.ones(n))
            held = self.depth_km if step < FREE_DEPTH_FROM else None
            point = self.fit(phases, point, held, self.scale * max(0.2, tolerance / 4))
        return None if phases is None else (point, phases)

    def _vote(self, picks: Picks, earliest_s: float, latest_s: float) -> FloatArray:
        """(x, y, z, t) with the most votes: origin times in bins of BIN_S, three bins together."""
        width = self.scale * BIN_S
        bins = int(np.ceil((latest_s - earliest_s) / width)) + 1
        place = np.floor((picks.time_s - self.node_times[:, picks.station] - earliest_s) / width).astype(np.int64)
        inside = (place >= 0) & (place < bins)
        node, pick = np.nonzero(inside)
        weight = np.clip(np.log(picks.ratio), 0.5, 3.0)[pick]
        votes = np.bincount(node * bins + place[inside], weights=weight, minlength=len(self.nodes) * bins)
        table = np.pad(votes.reshape(-1, bins), ((0, 0), (1, 1)))
        table = table[:, :-2] + table[:, 1:-1] + table[:, 2:]
        best, step = np.unravel_index(int(np.argmax(table)), table.shape)
        return np.array([*self.nodes[best], self.depth_km, earliest_s + (float(step) + 0.5) * width])

    def _nearest(self, picks: Picks, point: FloatArray, tolerance_s: float) -> IntArray:
        """Places of each station's pick nearest to its prediction, within a tolerance that grows with distance."""
        n = len(picks)
        every = Phases(picks.station, np.zeros(n, bool), picks.time_s, np.ones(n))
        late = np.abs(picks.time_s - point[3] - self.predicted(every, point))
        flat = point[:2] - self.network.positions_km[picks.station]
        near = late < tolerance_s * (0.7 + np.hypot(flat[:, 0], flat[:, 1]) / (150.0 * self.scale))
        order = np.lexsort((late, picks.station))
        order = order[near[order]]
        return np.asarray(order[np.unique(picks.station[order], return_index=True)[1]], np.int64)

    def _with_s(self, conditioned: Conditioned, point: FloatArray, phases: Phases) -> Phases:
        """``phases`` with S picks near their predicted times; the same where fewer than two stations have one."""
        everyone = np.arange(len(self.network.stations))
        n = everyone.size
        p, s = (
            point[3] + self.predicted(Phases(everyone, np.full(n, flag), np.zeros(n), np.ones(n)), point)
            for flag in (False, True)
        )
        found = []
        for station in everyone:
            half = self.scale + 0.04 * (s[station] - point[3])
            time = pick_s(conditioned, int(station), float(p[station]), float(s[station]), half, self.scale)
            if time is not None:
                found.append((station, time))
        if len(found) < 2:
            return phases
        station_of, times = np.array([f[0] for f in found]), np.array([f[1] for f in found])
        late = times - s[station_of]
        good = np.abs(late - np.median(late)) < self.scale * _S_SPREAD_S
        m = int(np.count_nonzero(good))
        return Phases(
            np.concatenate([phases.station, station_of[good]]),
            np.concatenate([phases.is_s, np.ones(m, bool)]),
            np.concatenate([phases.time_s, times[good]]),
            np.concatenate([phases.weight, np.full(m, S_WEIGHT)]),
        )
