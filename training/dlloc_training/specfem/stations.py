"""``STATIONS``: where SPECFEM3D records. One line each: station, network, y, x, elevation (m), burial (m)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .text import SpecfemError, fortran_float, read_lines

_LONGEST_STATION, _LONGEST_NETWORK = 32, 8
_COLUMNS = 6


@dataclass(frozen=True)
class MeshStation:
    """A receiver. ``y`` and ``x`` as in :mod:`~dlloc_training.specfem.sources`; ``elevation_m`` is not used by
    SPECFEM3D; ``burial_m`` is the depth below the mesh's surface or, under USE_SOURCES_RECEIVERS_Z, the height z.
    """

    code: str
    network: str
    y: float
    x: float
    elevation_m: float = 0.0
    burial_m: float = 0.0

    @property
    def id(self) -> str:
        """``NET.STA``."""
        return f"{self.network}.{self.code}"


def read_stations(path: Path) -> tuple[MeshStation, ...]:
    """Stations in the order of the file; lines that begin with ``#`` are left out.

    Raises SpecfemError where a line is no station or a station stands there twice.
    """
    stations: dict[str, MeshStation] = {}
    for line in read_lines(path):
        if line.startswith("#"):
            continue
        words = line.split()
        try:
            y, x, elevation, burial = (fortran_float(word) for word in words[2:_COLUMNS])
        except ValueError as error:
            raise SpecfemError(
                f"{path}: '{line}' is no station (station network latitude|y longitude|x elevation_m burial_m)"
            ) from error
        station = MeshStation(words[0], words[1], y, x, elevation, burial)
        if station.id in stations:
            raise SpecfemError(f"{path}: {station.id} stands there twice; SPECFEM3D would rename one of them")
        stations[station.id] = station
    if not stations:
        raise SpecfemError(f"{path}: holds no station")
    return tuple(stations.values())


def format_stations(stations: Sequence[MeshStation]) -> str:
    """Text of a STATIONS file. Raises SpecfemError where a name does not fit into it."""
    for station in stations:
        fits = 0 < len(station.code) <= _LONGEST_STATION and 0 < len(station.network) <= _LONGEST_NETWORK
        if not fits or len(station.id.split()) != 1:
            raise SpecfemError(
                f"station {station.id!r}: SPECFEM3D takes station names of 1-{_LONGEST_STATION} and network names of "
                f"1-{_LONGEST_NETWORK} characters without blanks"
            )
    rows = (f"{s.code} {s.network} {s.y:.7f} {s.x:.7f} {s.elevation_m:.3f} {s.burial_m:.4f}" for s in stations)
    return "\n".join(rows) + "\n"
