"""Where the nodes of a table of travel times stand: fine near the receiver and the surface, and on every interface.

First arrivals have a kink where one wave overtakes another. Linear interpolation over a step h misses a kink, at
which the slope changes by d, by at most h d / 4, and no slope exceeds the model's largest slowness: the steps follow
from that slowness and from the error that an extent may have.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..traveltimes import PHASES, FloatArray, TravelTimes
from ..units import km_to_m

LEVELS = 4
"""The numbers of steps are multiples of 2 ** LEVELS, so that tables can be filled coarse to fine in halvings."""

_LOCAL_KM = 20.0
_BLOCK = 2**LEVELS
_STEP_S = 0.015  # the first step times the largest slowness, where the extent is local
_STRETCH_KM = 4.0
_MAX_STEPS = 1024
_PROBE_TOP_KM = -9.0
_PROBE_STEP_KM = 0.05
_PROBE_COUNT = 2000
_KINK_S = 2e-4


@dataclass(frozen=True)
class Extent:
    """What a table covers: epicentral distances from 0 (km) and depths of the source below sea level (km)."""

    distance_km: float
    top_km: float
    bottom_km: float

    def covers(self, other: "Extent") -> bool:
        """Whether all of ``other`` lies inside."""
        return (
            self.distance_km >= other.distance_km and self.top_km <= other.top_km and self.bottom_km >= other.bottom_km
        )

    def joined(self, other: "Extent") -> "Extent":
        """The least extent that covers both."""
        return Extent(
            max(self.distance_km, other.distance_km),
            min(self.top_km, other.top_km),
            max(self.bottom_km, other.bottom_km),
        )

    @cached_property
    def coarseness(self) -> float:
        """How much larger steps are than on a local extent: 1 to 20 km, 3.3 at 400 km."""
        return float(max(1.0, self.distance_km / _LOCAL_KM) ** 0.4)


def rounded_up(extent: Extent) -> Extent:
    """The extent of tables to make: one of few, so that neighbouring searches share them."""
    return Extent(
        _ladder(extent.distance_km, 5.0),
        -_ladder(-extent.top_km, 1.0) if extent.top_km < 0 else 0.0,
        _ladder(extent.bottom_km, 5.0),
    )


def _ladder(value: float, first: float) -> float:
    """Smallest of ``first`` 2^(n/2) that is not below ``value``."""
    return float(first * 2.0 ** (np.ceil(2.0 * np.log2(max(value, first) / first)) / 2.0))


@dataclass(frozen=True)
class Lattice:
    """Nodes of tables: depths (nz,), and distances (nx,) at equal steps of sqrt(distance + ``stretch_km``).

    ``largest_slowness`` (s/km): of S between the highest receiver and the bottom.
    """

    extent: Extent
    z_km: FloatArray
    x_km: FloatArray
    stretch_km: float
    largest_slowness: float

    @cached_property
    def root(self) -> FloatArray:
        """sqrt(x + stretch) of the nodes (nx,): equal steps."""
        return np.asarray(np.sqrt(self.x_km + self.stretch_km))

    @cached_property
    def elevation_step_m(self) -> float:
        """Step to which receivers' elevations are rounded: a power of two such that half of it is within 2 ms."""
        return float(2.0 ** np.floor(np.log2(km_to_m(0.004 / self.largest_slowness))))

    @cached_property
    def _bins(self) -> tuple[float, NDArray[np.intp]]:
        """Bins per km, and of each bin the interval in which it begins."""
        per_km = 1.0 / float(np.min(np.diff(self.z_km)))
        count = int(np.ceil((self.z_km[-1] - self.z_km[0]) * per_km)) + 1
        starts = self.z_km[0] + np.arange(count) / per_km
        return per_km, np.clip(np.searchsorted(self.z_km, starts, side="right") - 1, 0, self.z_km.size - 2)

    def rows(self, z_km: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        """Interval (k,) of each depth and the place in it, 0 to 1; depths beyond the ends count as the ends."""
        per_km, bins = self._bins
        z = np.clip(z_km, self.z_km[0], self.z_km[-1])
        row = bins[((z - self.z_km[0]) * per_km).astype(np.intp)]
        # A bin is no wider than any interval, so that it holds one node at most
        row = row + ((z >= self.z_km[row + 1]) & (row < self.z_km.size - 2))
        return row, (z - self.z_km[row]) / (self.z_km[row + 1] - self.z_km[row])


def lattice_for(travel_times: TravelTimes, extent: Extent) -> Lattice:
    """The nodes on which linear interpolation of ``travel_times`` keeps to the errors of ``extent``."""
    interfaces, slowness = _probe(travel_times, extent.bottom_km)
    step = _STEP_S / slowness * extent.coarseness
    stretch = _STRETCH_KM * np.sqrt(extent.coarseness)
    x = _stretched(extent.distance_km, step, stretch)
    z = extent.top_km + _stretched(extent.bottom_km - extent.top_km, step, stretch)
    inside = interfaces[(interfaces > extent.top_km) & (interfaces < extent.bottom_km)]
    return Lattice(extent, _on_interfaces(z, inside), x, float(stretch), slowness)


def _stretched(length: float, step: float, stretch: float) -> FloatArray:
    """Nodes from 0 to ``length``: equal steps of the root of distance + stretch, the first about ``step`` long."""
    first, last = np.sqrt(stretch), np.sqrt(length + stretch)
    wanted = min((last - first) * 2.0 * first / step, _MAX_STEPS)
    steps = _BLOCK * max(1, int(np.ceil(wanted / _BLOCK)))
    return np.asarray(np.linspace(first, last, steps + 1) ** 2 - stretch)


def _on_interfaces(z: FloatArray, interfaces: FloatArray) -> FloatArray:
    """``z`` with the node nearest to each interface moved onto it; the ends stay."""
    moved = z.copy()
    for depth in interfaces:
        place = 1 + int(np.argmin(np.abs(z[1:-1] - depth)))
        if moved[place - 1] < depth < moved[place + 1]:
            moved[place] = depth
    return moved


def _probe(travel_times: TravelTimes, bottom_km: float) -> tuple[FloatArray, float]:
    """Depths (km) where the velocity jumps, and the largest slowness (s/km): from vertical rays to a high receiver."""
    step = max(_PROBE_STEP_KM, (bottom_km - _PROBE_TOP_KM) / _PROBE_COUNT)
    z = np.arange(_PROBE_TOP_KM, bottom_km + 2.0 * step, step)
    found: list[float] = []
    largest = 0.0
    for phase in PHASES:
        time = travel_times.times(phase, 0.0, z, -km_to_m(_PROBE_TOP_KM))
        slope = np.diff(time) / step
        largest = max(largest, float(np.max(slope, initial=0.0, where=np.isfinite(slope))))
        # A jump inside step i shows between the slopes before and after it, and its place is where the lines meet
        before, after = slope[:-2], slope[2:]
        jump = np.abs(after - before) * step
        for i in np.flatnonzero(jump > _KINK_S):
            depth = (time[i + 2] - time[i + 1] + before[i] * z[i + 1] - after[i] * z[i + 2]) / (before[i] - after[i])
            if z[i + 1] - 1e-6 <= depth <= z[i + 2] + 1e-6:
                found.append(float(depth))
    if not largest > 0.0:
        raise ModelError("earth model: it gives no travel times along the vertical; is it the right model?")
    return np.unique(np.round(np.array(found, float), 5)), largest
