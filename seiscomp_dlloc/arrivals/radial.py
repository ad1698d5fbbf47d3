"""Travel times of 1-D earth models, looked up in tables."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import LocalFrame
from ..records import Station
from ..traveltimes import PHASES, FloatArray, TravelTimes
from ..units import m_to_km
from .base import TimeArray, empty_times, nodes
from .lattice import Extent, Lattice, lattice_for, rounded_up
from .tables import Table, make_table

_CHUNK = 4096
_MARGIN_KM = 1e-3


class RadialArrivals:
    """Travel times of any :class:`~seiscomp_dlloc.traveltimes.TravelTimes` from tables on depth and distance.

    A table belongs to one elevation of receivers, rounded to a step such that the rounding changes a time by less
    than 2 ms (:attr:`~seiscomp_dlloc.arrivals.lattice.Lattice.elevation_step_m`; the true elevation enters the straight
    distance, which takes most of that back), and to an extent of distances and depths, which is that of the nodes
    asked for, rounded up. Tables are made when first asked for; those last used stay for others, ``kept_mib`` of
    them.

    Against the model asked directly: better than 5 ms where no node is farther than 20 km from a station, than 20 ms
    within 400 km. Where the model itself jumps, the table passes from one side to the other within a step: TauP's
    correction for elevation does so where another wave becomes the first.
    """

    def __init__(self, travel_times: TravelTimes, kept_mib: float = 256.0):
        self._travel_times = travel_times
        self._kept_bytes = kept_mib * 2**20
        self._lattices: dict[Extent, Lattice] = {}
        self._tables: OrderedDict[tuple[Extent, float], Table] = OrderedDict()
        # Threads that share it wait for a table that one of them makes
        self._lock = threading.Lock()

    def times(
        self, latitude: ArrayLike, longitude: ArrayLike, depth_km: ArrayLike, stations: Sequence[Station]
    ) -> FloatArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.times`."""
        lat, lon, z = nodes(latitude, longitude, depth_km)
        out = empty_times(lat.size, len(stations))
        if out.size == 0:
            return out.astype(np.float64)
        distances = [np.hypot(*LocalFrame(s.latitude, s.longitude).to_local(lat, lon)) for s in stations]
        lattice = self.lattice(_extent(max(float(d.max()) for d in distances), z))
        rows, share = lattice.rows(z)
        for j, (station, distance) in enumerate(zip(stations, distances, strict=True)):
            look_up(self.table(lattice, station), station, distance.astype(np.float32), z, rows, share, out[:, j])
        return out.astype(np.float64)

    def local(self, frame: LocalFrame, stations: Sequence[Station]) -> "RadialLocal":
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.local`."""
        return RadialLocal(self, frame, stations)

    def lattice(self, extent: Extent) -> Lattice:
        """The nodes of tables that cover ``extent``."""
        wanted = rounded_up(extent)
        with self._lock:
            if wanted not in self._lattices:
                self._lattices[wanted] = lattice_for(self._travel_times, wanted)
            return self._lattices[wanted]

    def table(self, lattice: Lattice, station: Station) -> Table:
        """The table of a station's elevation."""
        step = lattice.elevation_step_m
        elevation = round(station.elevation_m / step) * step
        key = (lattice.extent, elevation)
        with self._lock:
            if key not in self._tables:
                self._tables[key] = make_table(self._travel_times, lattice, elevation)
            self._tables.move_to_end(key)
            table = self._tables[key]
            while len(self._tables) > 1 and sum(t.slowness.nbytes for t in self._tables.values()) > self._kept_bytes:
                self._tables.popitem(last=False)
        return table


class RadialLocal:
    """Tables and places of stations in one frame. The extent grows with what is asked, and never shrinks."""

    def __init__(self, arrivals: RadialArrivals, frame: LocalFrame, stations: Sequence[Station]):
        self._arrivals = arrivals
        self._stations = tuple(stations)
        x, y = frame.to_local(
            np.array([s.latitude for s in stations], float), np.array([s.longitude for s in stations], float)
        )
        self._x, self._y = x.astype(np.float32), y.astype(np.float32)
        self._covered: tuple[Lattice, list[Table]] | None = None

    @property
    def lattice(self) -> Lattice | None:
        """The present one; None before anything was asked."""
        return None if self._covered is None else self._covered[0]

    def times(self, x_km: ArrayLike, y_km: ArrayLike, z_km: ArrayLike) -> TimeArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.LocalArrivals.times`."""
        x, y, z = nodes(x_km, y_km, z_km)
        out = empty_times(x.size, len(self._stations))
        if out.size == 0:
            return out
        lattice, tables = self._lattice_over(x, y, z)
        x32, y32 = x.astype(np.float32), y.astype(np.float32)
        for start in range(0, x.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            rows, share = lattice.rows(z[part])
            for j, (station, table) in enumerate(zip(self._stations, tables, strict=True)):
                distance = np.sqrt((x32[part] - self._x[j]) ** 2 + (y32[part] - self._y[j]) ** 2)
                look_up(table, station, distance, z[part], rows, share, out[part, j])
        return out

    def _lattice_over(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[Lattice, list[Table]]:
        """The lattice that covers nodes, and its tables; where the present one does not, both are made anew."""
        # No node is farther from a station than from the corner of the nodes' box opposite to it
        away_x = np.maximum(x.max() - self._x, self._x - x.min())
        away_y = np.maximum(y.max() - self._y, self._y - y.min())
        wanted = _extent(float(np.hypot(away_x, away_y).max()), z)
        covered = self._covered
        if covered is None or not covered[0].extent.covers(wanted):
            wanted = wanted if covered is None else wanted.joined(covered[0].extent)
            lattice = self._arrivals.lattice(wanted)
            # Set together: threads that share it must not see the one without the other
            covered = self._covered = lattice, [self._arrivals.table(lattice, station) for station in self._stations]
        return covered


def _extent(distance_km: float, z_km: FloatArray) -> Extent:
    return Extent(distance_km + _MARGIN_KM, float(z_km.min()), float(z_km.max()))


def look_up(
    table: Table,
    station: Station,
    distance_km: NDArray[np.float32],
    z_km: FloatArray,
    rows: NDArray[np.intp],
    share: FloatArray,
    out: TimeArray,
) -> None:
    """Write the times (k, phase) to ``out``: bilinear in depth and the root of distance, times the straight distance.

    ``rows`` and ``share`` (k,) are the depths' places in the lattice.
    """
    lattice = table.lattice
    root, stretch = lattice.root, np.float32(lattice.stretch_km)
    columns = lattice.x_km.size
    per_step = np.float32((columns - 1) / (root[-1] - root[0]))
    place = (np.sqrt(distance_km + stretch) - np.float32(root[0])) * per_step
    column = np.minimum(place.astype(np.int32), columns - 2)
    right = place - column
    down = share.astype(np.float32)
    height = z_km.astype(np.float32) + np.float32(m_to_km(station.elevation_m))
    straight = np.sqrt(distance_km * distance_km + height * height)
    corner = rows * columns + column
    upper_left, lower_left = corner, corner + columns
    upper_right, lower_right = corner + 1, lower_left + 1
    for number in range(len(PHASES)):
        values = table.slowness[number]
        upper = values.take(upper_left)
        upper += right * (values.take(upper_right) - upper)
        lower = values.take(lower_left)
        lower += right * (values.take(lower_right) - lower)
        upper += down * (lower - upper)
        upper *= straight
        upper += table.delay_s[number]
        out[:, number] = upper
