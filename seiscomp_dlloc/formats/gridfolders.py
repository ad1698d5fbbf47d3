"""An earth model that somebody names: a model of TauP, a file of layers, or a folder of NonLinLoc's time grids.

A folder may hold ``dlloc.json``, an object of what the grids do not say themselves, each entry left out at will:
``beside``, a 1-D earth model (a name of TauP's, or a file of the folder) for stations without grids; ``origin``,
latitude and longitude of x = y = 0 in grids of TRANSFORM NONE; ``km_per_degree``, length of a degree in those of
TRANSFORM SIMPLE (111.111, as NonLinLoc documents it, unless given; builds since 2017 take 111.195).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..arrivals.gridearth import GridEarth
from ..arrivals.grids import TimeGrid
from ..arrivals.projections import SIMPLE_KM_PER_DEGREE
from ..errors import ModelError
from ..geometry import LocalFrame
from .earthmodels import read_earth_model
from .jsonchecks import is_number
from .nonlinloc import read_time_grids
from .smalltext import read_text

SIDE_FILE = "dlloc.json"

_SAMPLES = 4096


def read_earth(source: str | Path) -> dict[str, Any] | GridEarth:
    """The earth model that ``source`` names: a folder's grids, else :func:`~.earthmodels.read_earth_model`.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming file and remedy.
    """
    return read_grid_earth(source) if Path(source).is_dir() else read_earth_model(source)


def read_earth_document(source: str | Path) -> dict[str, Any]:
    """The document of :func:`read_earth`, which :func:`~seiscomp_dlloc.traveltimes.hash_of` takes."""
    earth = read_earth(source)
    return earth.document if isinstance(earth, GridEarth) else earth


def read_grid_earth(folder: str | Path) -> GridEarth:
    """All grids of a folder, in memory. Raises :class:`~seiscomp_dlloc.errors.ModelError` as :func:`read_earth`."""
    path = Path(folder)
    told = _side_file(path / SIDE_FILE)
    origin = told.get("origin")
    frame = None if origin is None else LocalFrame(*origin)
    grids = read_time_grids(path, frame, told.get("km_per_degree", SIMPLE_KM_PER_DEGREE))
    beside = told.get("beside")
    layered = None
    if beside is not None:
        layered = read_earth_model(path / beside if (path / beside).exists() else beside)
    earth = GridEarth(path.resolve().name or str(path), _sha256(path, grids, told), grids, layered)
    try:
        earth.arrivals  # noqa: B018 - two grids of one station are told now, not with the first event
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    return earth


def signature(source: str) -> tuple[int, ...]:
    """Changes when the file, or one of the folder's, comes, goes, grows or is written; () where there is none."""
    path = Path(source)
    try:
        files = sorted(entry for entry in path.iterdir() if _of_earth(entry)) if path.is_dir() else [path]
        states = [entry.stat() for entry in files]
    except OSError:
        return ()
    return tuple(value for state in states for value in (state.st_ino, state.st_size, state.st_mtime_ns))


def _of_earth(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _sha256(folder: Path, grids: tuple[TimeGrid, ...], told: dict[str, Any]) -> str:
    """Of the side file's transform, and of each grid's phase, header, length and 4096 of its times, evenly spread.

    All times would take seconds per gigabyte; grids of another velocity model of the same size differ in every one.
    """
    places = {key: told[key] for key in ("origin", "km_per_degree") if key in told}
    digest = hashlib.sha256(json.dumps(places, sort_keys=True).encode())
    headers = sorted(folder.glob("*.time.hdr"))
    for header, grid in zip(headers, grids, strict=True):
        flat = grid.values.reshape(-1)
        some = flat[np.linspace(0, flat.size - 1, min(_SAMPLES, flat.size)).astype(np.intp)]
        content = header.read_bytes()
        digest.update(f"\n{grid.phase} {len(content)} {flat.size}\n".encode())
        digest.update(content)
        digest.update(np.where(np.isfinite(some), some, -1.0).astype("<f4").tobytes())
    return digest.hexdigest()


def _side_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document = json.loads(read_text(path, ModelError))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is no valid JSON ({error})") from error
    known = {"beside", "origin", "km_per_degree"}
    if not isinstance(document, dict) or not set(document) <= known:
        raise ModelError(f"{path}: must be an object of {', '.join(sorted(known))}")
    if "beside" in document and (not isinstance(document["beside"], str) or not document["beside"]):
        raise ModelError(f"{path}: beside must be a model of TauP or a file of the folder")
    origin = document.get("origin")
    if "origin" in document and not (
        isinstance(origin, list)
        and len(origin) == 2
        and all(map(is_number, origin))
        and abs(origin[0]) <= 90.0
        and abs(origin[1]) <= 360.0
    ):
        raise ModelError(f"{path}: origin must be a latitude and a longitude, as [64.0, -21.0]")
    length = document.get("km_per_degree", SIMPLE_KM_PER_DEGREE)
    if not is_number(length) or not 110.0 <= length <= 112.0:
        raise ModelError(f"{path}: km_per_degree must be a number about 111, not {length!r}")
    return document
