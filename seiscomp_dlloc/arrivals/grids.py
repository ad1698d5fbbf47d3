"""Travel times of 3-D earth models, from grids of times that somebody else computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ModelError
from ..geometry import LocalFrame
from ..records import Station
from ..traveltimes import PHASES, FloatArray, Phase
from .base import ArrivalTimes, LocalArrivals, TimeArray, empty_times, nodes
from .charts import Chart
from .projections import Projection

_SAME_PLACE_KM = 1.0
_EDGE = 0.02


@dataclass(frozen=True)
class GridNodes:
    """A regular grid: ``shape`` nodes (nx, ny, nz) from ``origin_km`` in steps of ``spacing_km``, (x, y, z) each.

    x and y belong to ``projection``, z is depth below sea level. Raises
    :class:`~seiscomp_dlloc.errors.ModelError` for less than two nodes along an axis and steps that are not positive.
    """

    projection: Projection
    origin_km: tuple[float, float, float]
    spacing_km: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if min(self.shape) < 2:
            raise ModelError(f"a 3-D time grid needs two nodes along each axis, got {self.shape}")
        if not min(self.spacing_km) > 0.0 or not np.all(np.isfinite([*self.origin_km, *self.spacing_km])):
            raise ModelError(f"a time grid needs an origin and positive steps, got {self.origin_km}, {self.spacing_km}")

    def cells(self, x_km: FloatArray, y_km: FloatArray, z_km: FloatArray) -> "Cells":
        """Where points (k,) lie in the grid; the outermost nodes belong to it."""
        corner = np.zeros(x_km.size, np.intp)
        inside = np.ones(x_km.size, bool)
        shares = []
        for axis, values in enumerate((x_km, y_km, z_km)):
            place = (values - self.origin_km[axis]) / self.spacing_km[axis]
            last = self.shape[axis] - 1
            # Rounding in a header of six decimals must not put a node on the face outside
            inside &= (place >= -1e-6) & (place <= last + 1e-6)
            cell = np.clip(np.floor(np.where(np.isfinite(place), place, 0.0)), 0, last - 1).astype(np.intp)
            shares.append(np.clip(place - cell, 0.0, 1.0).astype(np.float32))
            corner = corner * self.shape[axis] + cell
        points = np.stack((x_km, y_km, z_km), axis=-1)[~inside]
        return Cells(corner, shares[0], shares[1], shares[2], inside, points, np.clip(points, *self.ends_km()))

    def ends_km(self) -> tuple[FloatArray, FloatArray]:
        """The first and the last node, (x, y, z) each."""
        first, steps = np.array(self.origin_km), np.array(self.spacing_km)
        return first, first + steps * (np.array(self.shape) - 1)


@dataclass(frozen=True)
class Cells:
    """Points (k,) in a grid: flat index of their cell's first node, place in the cell, whether they are inside.

    ``outside_km`` (m, 3): those that are not, in their order; ``border_km`` (m, 3): the grid's point nearest to each.
    """

    corner: NDArray[np.intp]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    z: NDArray[np.float32]
    inside: NDArray[np.bool_]
    outside_km: FloatArray
    border_km: FloatArray


@dataclass(frozen=True)
class TimeGrid:
    """Travel times (s) of one phase from every node of a grid to one station.

    ``station``: the grid's label, NET.STA, NET_STA or STA; ``station_km``: (x, y, z) of the station in the grid's
    coordinates; ``values`` (nx, ny, nz) float32, NaN where there is none. Raises
    :class:`~seiscomp_dlloc.errors.ModelError` where the values are not of the grid's shape.
    """

    station: str
    phase: Phase
    nodes: GridNodes
    station_km: tuple[float, float, float]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.shape != self.nodes.shape:
            raise ModelError(f"{self.station} {self.phase}: {self.values.shape} times on {self.nodes.shape} nodes")

    def at(self, cells: Cells, continued: bool = False) -> NDArray[np.float32]:
        """Trilinear times (k,) in s; NaN outside the grid and where a node around has none.

        ``continued``: outside the grid with the mean slowness between the station and the nearest point of the border.
        """
        flat = self.values.ravel()
        ny_nz, nz = self.nodes.shape[1] * self.nodes.shape[2], self.nodes.shape[2]

        def edge(offset: int) -> NDArray[np.float32]:
            first = flat.take(cells.corner + offset)
            return np.asarray(first + cells.z * (flat.take(cells.corner + (offset + 1)) - first))

        near, far = edge(0), edge(ny_nz)
        near += cells.y * (edge(nz) - near)
        far += cells.y * (edge(ny_nz + nz) - far)
        near += cells.x * (far - near)
        near[~cells.inside] = near[~cells.inside] * self._farther(cells) if continued else np.nan
        return near

    def _farther(self, cells: Cells) -> NDArray[np.float32]:
        """How many times as far as the border the points outside are from the station (m,)."""
        far, border = (
            np.maximum(np.linalg.norm(points - np.array(self.station_km), axis=-1), min(self.nodes.spacing_km))
            for points in (cells.outside_km, cells.border_km)
        )
        return np.asarray(far / border, np.float32)


class GridArrivals:
    """Arrival times from 3-D grids; nodes outside a station's grid have none.

    ``continued``: they have that of :meth:`TimeGrid.at`, so that a search which reaches beyond the grids is drawn
    neither to them nor away; what it finds there (:meth:`at_edge`) is not to be believed. Stations (or phases) without
    a grid take their times from ``fallback``; :meth:`notes` names them. Raises
    :class:`~seiscomp_dlloc.errors.ModelError` for two grids of one station and phase; its methods raise it for a
    station without a grid where there is no ``fallback``, and for one whose grid stands elsewhere.
    """

    def __init__(self, grids: Sequence[TimeGrid], fallback: ArrivalTimes | None = None, continued: bool = False):
        self._grids: dict[tuple[str, Phase], TimeGrid] = {}
        self._fallback = fallback
        self._continued = continued
        for grid in grids:
            key = (grid.station.replace("_", "."), grid.phase)
            if key in self._grids:
                raise ModelError(f"two time grids of station {grid.station}, phase {grid.phase}; leave one of them")
            self._grids[key] = grid

    def notes(self, stations: Sequence[Station]) -> tuple[str, ...]:
        """A sentence for every station that has no grid of a phase."""
        return tuple(
            f"{station.id}: no time grid of {' and '.join(missing)}; the 1-D earth model stands in"
            for station in stations
            if (missing := self.missing(station))
        )

    def missing(self, station: Station) -> list[Phase]:
        """The phases of which a station has no grid."""
        return [phase for phase in PHASES if self._find(station, phase) is None]

    def at_edge(self, latitude: float, longitude: float, depth_km: float, stations: Sequence[Station]) -> bool:
        """Whether a place lies outside a grid of ``stations``, or horizontally within 2 % of its border."""
        plan = [[self._find(station, phase) for phase in PHASES] for station in stations]
        for places in _all_nodes(plan):
            x, y = places.projection.to_grid(latitude, longitude)
            first, last = places.ends_km()
            share = (np.array([float(x), float(y), depth_km]) - first) / (last - first)
            if not np.all((share[:2] >= _EDGE) & (share[:2] <= 1.0 - _EDGE)) or not 0.0 <= share[2] <= 1.0:
                return True
        return False

    def times(
        self, latitude: ArrayLike, longitude: ArrayLike, depth_km: ArrayLike, stations: Sequence[Station]
    ) -> FloatArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.times`."""
        lat, lon, z = nodes(latitude, longitude, depth_km)
        plan, lacking = self._plan(stations)
        filled = np.full((lat.size, len(stations), len(PHASES)), np.nan)
        if self._fallback is not None and lacking:
            filled[:, lacking] = self._fallback.times(lat, lon, z, [stations[j] for j in lacking])
        cells = {places: places.cells(*places.projection.to_grid(lat, lon), z) for places in _all_nodes(plan)}
        for j, row in enumerate(plan):
            for number, grid in enumerate(row):
                if grid is not None:
                    filled[:, j, number] = grid.at(cells[grid.nodes], self._continued)
        return filled

    def local(self, frame: LocalFrame, stations: Sequence[Station]) -> "GridLocal":
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.local`."""
        plan, lacking = self._plan(stations)
        fallback = None
        if self._fallback is not None and lacking:
            fallback = self._fallback.local(frame, [stations[j] for j in lacking])
        return GridLocal(frame, plan, lacking, fallback, self._continued)

    def _find(self, station: Station, phase: Phase) -> TimeGrid | None:
        return self._grids.get((station.id, phase)) or self._grids.get((station.code, phase))

    def _plan(self, stations: Sequence[Station]) -> tuple[list[list[TimeGrid | None]], list[int]]:
        """The grid of every station and phase, None where the fallback answers; places of the stations it answers."""
        plan = [[self._find(station, phase) for phase in PHASES] for station in stations]
        for station, row in zip(stations, plan, strict=True):
            for phase, grid in zip(PHASES, row, strict=True):
                if grid is not None:
                    _check_place(station, grid)
                elif self._fallback is None:
                    raise ModelError(
                        f"{station.id}: no time grid of {phase}; compute one, or name a 1-D earth model to stand in"
                    )
        return plan, [j for j, row in enumerate(plan) if None in row]


class GridLocal:
    """Grids of stations, and the way from one frame into them."""

    def __init__(
        self,
        frame: LocalFrame,
        plan: list[list[TimeGrid | None]],
        lacking: list[int],
        fallback: LocalArrivals | None,
        continued: bool = False,
    ):
        self._plan, self._continued = plan, continued
        self._lacking = lacking
        self._fallback = fallback
        self._charts = {places: Chart(frame, places.projection, _outline(places)) for places in _all_nodes(plan)}

    def times(self, x_km: ArrayLike, y_km: ArrayLike, z_km: ArrayLike) -> TimeArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.LocalArrivals.times`."""
        x, y, z = nodes(x_km, y_km, z_km)
        filled = empty_times(x.size, len(self._plan))
        if self._fallback is not None:
            filled[:, self._lacking] = self._fallback.times(x, y, z)
        cells = {places: places.cells(*chart.to_grid(x, y), z) for places, chart in self._charts.items()}
        for j, row in enumerate(self._plan):
            for number, grid in enumerate(row):
                if grid is not None:
                    filled[:, j, number] = grid.at(cells[grid.nodes], self._continued)
        return filled


def _all_nodes(plan: list[list[TimeGrid | None]]) -> list[GridNodes]:
    """The distinct geometries of the grids, in the order of the stations: grids of one run share theirs."""
    return list(dict.fromkeys(grid.nodes for row in plan for grid in row if grid is not None))


def _outline(places: GridNodes) -> tuple[FloatArray, FloatArray]:
    """Points (x, y) in km around the edge of a grid."""
    share = np.linspace(0.0, 1.0, 9)
    low, high = np.zeros(9), np.ones(9)
    x = np.concatenate([share, share, low, high]) * (places.shape[0] - 1) * places.spacing_km[0]
    y = np.concatenate([low, high, share, share]) * (places.shape[1] - 1) * places.spacing_km[1]
    return places.origin_km[0] + x, places.origin_km[1] + y


def _check_place(station: Station, grid: TimeGrid) -> None:
    x, y = grid.nodes.projection.to_grid(station.latitude, station.longitude)
    away = float(np.hypot(x - grid.station_km[0], y - grid.station_km[1]))
    if not away <= _SAME_PLACE_KM:
        raise ModelError(
            f"{station.id}: its {grid.phase} time grid is for a station {away:.1f} km away; "
            "compare its coordinates, and the grid's transform"
        )
