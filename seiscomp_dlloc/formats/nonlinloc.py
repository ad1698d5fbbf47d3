"""Time grids of NonLinLoc: a header ``ROOT.P.STA.time.hdr`` and the times in ``ROOT.P.STA.time.buf``.

The header's first line has the numbers of nodes along x, y and z, the first node and the steps in km, the type and
the kind of number; the second the station and its x, y and z; a line ``TRANSFORM`` says what x and y are. The times
are 4-byte floats in the byte order of the machine, z running fastest. Source:
http://alomax.free.fr/nlloc/soft6.00/formats.html, section 3D Grid Files.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arrivals.grids import GridNodes, TimeGrid
from ..arrivals.projections import (
    SIMPLE_KM_PER_DEGREE,
    FrameProjection,
    LambertProjection,
    Projection,
    SimpleProjection,
)
from ..errors import ModelError
from ..geometry import LocalFrame
from .smalltext import number, read_text

_LONGEST_S = 1e5
_SHORTEST_S = 1e-3  # to the farthest node
_LARGEST_BYTES = 2**31
_SIMPLE = ("LatOrig", "LongOrig", "RotCW")
_LAMBERT = ("LatOrig", "LongOrig", "FirstStdParal", "SecondStdParal", "RotCW")


def read_time_grids(
    folder: str | Path, none_frame: LocalFrame | None = None, simple_km_per_degree: float = SIMPLE_KM_PER_DEGREE
) -> tuple[TimeGrid, ...]:
    """Every ``*.time.hdr`` of a folder, in the order of their names; see :func:`read_time_grid`.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` also where there is none.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ModelError(f"{folder}: no such folder; give the one that holds NonLinLoc's time grids")
    headers = sorted(path.glob("*.time.hdr"))
    if not headers:
        raise ModelError(f"{folder}: no *.time.hdr in it; run NonLinLoc's Grid2Time with GTMODE GRID3D")
    return tuple(read_time_grid(header, none_frame, simple_km_per_degree) for header in headers)


def read_time_grid(
    header: str | Path, none_frame: LocalFrame | None = None, simple_km_per_degree: float = SIMPLE_KM_PER_DEGREE
) -> TimeGrid:
    """One grid by its ``.hdr``; the phase, P or S, is that of the file's name.

    ``none_frame``: where x and y of a grid with TRANSFORM NONE are km east and north. ``simple_km_per_degree``:
    length of a degree in TRANSFORM SIMPLE; the documented 111.111, or 111.195 for grids of a NonLinLoc built since
    2017. Negative times mean that there is none. Raises :class:`~seiscomp_dlloc.errors.ModelError` naming the file
    and what to do.
    """
    path = Path(header)
    parts = path.name.split(".")
    if len(parts) < 5 or parts[-2:] != ["time", "hdr"] or parts[-4] not in ("P", "S"):
        raise ModelError(f"{path}: NonLinLoc names its time grids ROOT.P.STATION.time.hdr, or S; give that name")
    description = _read_header(path, none_frame, simple_km_per_degree)
    try:
        nodes = GridNodes(description.projection, description.origin_km, description.spacing_km, description.shape)
    except ModelError as error:
        raise ModelError(f"{path}: line 1: {error}") from error
    values = _read_times(path.with_suffix(".buf"), description.shape)
    return TimeGrid(description.station, "P" if parts[-4] == "P" else "S", nodes, description.station_km, values)


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, int, int]
    origin_km: tuple[float, float, float]
    spacing_km: tuple[float, float, float]
    station: str
    station_km: tuple[float, float, float]
    projection: Projection


def _read_header(path: Path, none_frame: LocalFrame | None, simple_km_per_degree: float) -> _Header:
    lines = [
        (number, text.split())
        for number, text in enumerate(read_text(path, ModelError).splitlines(), start=1)
        if text.strip()
    ]
    line, first = lines[0]
    if len(first) < 10:
        raise ModelError(f"{path}: line {line}: {len(first)} values; a header begins with three numbers of nodes, the "
                         "first node, the steps and the type")  # fmt: skip
    try:
        shape = int(first[0]), int(first[1]), int(first[2])
    except ValueError as error:
        raise ModelError(f"{path}: line {line}: numbers of nodes {' '.join(first[:3])} are no integers") from error
    values = [number(text, "a coordinate", f"{path}: line {line}", ModelError) for text in first[3:9]]
    if first[9] == "TIME2D":
        raise ModelError(f"{path}: is a 2-D grid of a 1-D model; give the layers themselves as the earth model, or run "
                         "Grid2Time with GTMODE GRID3D")  # fmt: skip
    if first[9] != "TIME":
        raise ModelError(f"{path}: is a grid of {first[9]}, not of TIME; run Grid2Time")
    if len(first) > 10 and first[10] != "FLOAT":
        raise ModelError(f"{path}: has numbers of kind {first[10]}; build NonLinLoc with FLOAT grids")
    if len(lines) < 2 or len(lines[1][1]) != 4:
        raise ModelError(f"{path}: line 2 must name the station and its x, y and z")
    line, second = lines[1]
    station = [number(text, "a coordinate", f"{path}: line {line}", ModelError) for text in second[1:]]
    for line, words in lines[2:]:
        if words[0] == "CASCADING_GRID":
            raise ModelError(f"{path}: line {line}: cascading grids are not read; compute a regular one")
    transform = next(((line, words[1:]) for line, words in lines[2:] if words[0] == "TRANSFORM" and words[1:]), None)
    if transform is None:
        raise ModelError(f"{path}: no TRANSFORM line; without it x and y stand nowhere")
    projection = _projection(f"{path}: line {transform[0]}", transform[1], none_frame, simple_km_per_degree)
    return _Header(
        shape,
        (values[0], values[1], values[2]),
        (values[3], values[4], values[5]),
        second[0],
        (station[0], station[1], station[2]),
        projection,
    )


def _projection(where: str, words: list[str], none_frame: LocalFrame | None, simple_km_per_degree: float) -> Projection:
    kind, stated = words[0], dict(zip(words[1::2], words[2::2], strict=False))
    if kind == "NONE":
        if none_frame is None:
            raise ModelError(
                f"{where}: TRANSFORM NONE does not place x and y; give the latitude and longitude of 0, 0, as origin "
                "in a file dlloc.json beside the grids"
            )
        return FrameProjection(none_frame.latitude, none_frame.longitude)
    if kind == "SIMPLE":
        latitude, longitude, rotation = _parameters(where, kind, stated, _SIMPLE)
        return SimpleProjection(latitude, longitude, rotation, simple_km_per_degree)
    if kind == "LAMBERT":
        latitude, longitude, first, second, rotation = _parameters(where, kind, stated, _LAMBERT)
        try:
            return LambertProjection(stated.get("RefEllipsoid", ""), latitude, longitude, first, second, rotation)
        except ModelError as error:
            raise ModelError(f"{where}: {error}") from error
    raise ModelError(f"{where}: transform {kind} is not known here; compute the grids with SIMPLE or LAMBERT")


def _parameters(where: str, kind: str, stated: dict[str, str], names: tuple[str, ...]) -> list[float]:
    missing = [name for name in names if name not in stated]
    if missing:
        raise ModelError(f"{where}: transform {kind} without {', '.join(missing)}")
    values = [number(stated[name], name, where, ModelError) for name in names]
    if abs(values[0]) > 90.0 or abs(values[1]) > 360.0:
        raise ModelError(f"{where}: origin {values[0]}, {values[1]} is no latitude and longitude")
    return values


def _read_times(path: Path, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Times (nx, ny, nz) of a buffer, NaN for negative ones."""
    wanted = 4 * math.prod(shape)
    if wanted > _LARGEST_BYTES:
        raise ModelError(f"{path}: {shape} nodes are more than {_LARGEST_BYTES} bytes hold; compute a coarser grid")
    try:
        size = path.stat().st_size
        if size != wanted:
            raise ModelError(
                f"{path}: {size} bytes, not the {wanted} of {shape} nodes; it is cut off, or another header's"
            )
        times = np.fromfile(path, np.float32).reshape(shape)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; it belongs beside its header") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
    if np.all(times < 0.0):
        raise ModelError(f"{path}: no node has a time; compute the grid again")
    if not np.all(np.abs(times) < _LONGEST_S) or times.max() < _SHORTEST_S:
        raise ModelError(f"{path}: holds numbers that are no travel times; was it written in another byte order?")
    times[times < 0.0] = np.nan
    return times
