"""1-D earth models in the formats that people have them in, as a passport's ``earth_model``.

* CSV of constant layers: a header with ``depth_km`` (of the top, below sea level, negative above it), ``vp_km_s`` and
  ``vs_km_s`` or ``vp_vs``; separated by commas, semicolons or blanks; ``#`` begins a comment. Without either S column
  Vp/Vs is the square root of 3 (a Poisson solid).
* ``.tvel`` and ``.nd`` of TauP: points joined by linear gradients, of a spherical earth
  (https://docs.obspy.org/packages/obspy.taup.html).
* ``LAYER depth VpTop VpGrad VsTop VsGrad rhoTop rhoGrad`` lines of NonLinLoc
  (http://alomax.free.fr/nlloc/soft7.00/control.html), also without the keyword where a comment names these columns.
* The name of one of TauP's own models: iasp91, ak135, ...
"""

import importlib.util
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .gradients import Layer, Segment, flat_layers, flattened_layers
from .smalltext import number, read_text

_POISSON = math.sqrt(3.0)
_DEEPEST_KM = 700.0  # earthquakes do not reach deeper
_FASTEST_KM_S = 15.0
_CORE = {"outer-core", "outercore", "outer core", "cmb"}
_NAMED = re.compile(r"depth\W+vp_?top\W+vp_?grad\W+vs_?top\W+vs_?grad", re.IGNORECASE)

_HOW = (
    "write a CSV of constant layers with the header depth_km,vp_km_s,vs_km_s (depth of each layer's top); points that "
    "are joined by gradients belong in TauP's .nd format or in LAYER lines of NonLinLoc"
)


def read_earth_model(source: str | Path) -> dict[str, Any]:
    """``{"kind": "layers", "name", "layers": [...]}`` of a file, ``{"kind": "taup", "name"}`` of a name of TauP's.

    Layers: ``top_km``, ``vp_km_s``, ``vs_km_s``. Gradients become layers thin enough that first arrivals to 400 km
    stay within 0.02 s; of TauP's formats, whose earth is a sphere and whose layers here are flat, those from no deeper
    than 30 km (:func:`~seiscomp_dlloc.formats.gradients.flattened_layers`). Raises
    :class:`~seiscomp_dlloc.errors.ModelError` naming file, line and remedy.
    """
    path = Path(source)
    if re.fullmatch(r"\w+", str(source)) and not path.exists():
        return taup_model(str(source))
    lines = list(enumerate(read_text(path, ModelError).splitlines(), start=1))
    if path.suffix.lower() == ".tvel":
        layers = flattened_layers(_profile(str(path), lines[2:]))
    elif path.suffix.lower() == ".nd":
        layers = flattened_layers(_profile(str(path), lines))
    elif _is_nonlinloc(lines):
        layers = flat_layers(_nonlinloc(str(path), lines))
    else:
        layers = _csv(str(path), lines)
    return {"kind": "layers", "name": path.stem, "layers": layers}


def taup_model(name: str) -> dict[str, Any]:
    """``{"kind": "taup", "name"}`` of one of TauP's own models, found among ObsPy's files without loading ObsPy.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming those there are.
    """
    spec = importlib.util.find_spec("obspy")
    folders = [Path(place) / "taup" / "data" for place in (spec.submodule_search_locations or [])] if spec else []
    known = sorted(file.stem for folder in folders for file in folder.glob("*.npz"))
    if name not in known:
        raise ModelError(f"earth model {name}: no such file, and none of TauP's models, which are {', '.join(known)}")
    return {"kind": "taup", "name": name}


Lines = list[tuple[int, str]]


def _rows(lines: Lines) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments and blank ones."""
    for line, text in lines:
        content = text.partition("#")[0].strip()
        if content:
            yield line, content


def _csv(path: str, lines: Lines) -> list[Layer]:
    rows = list(_rows(lines))
    if not rows:
        raise ModelError(f"{path}: holds comments only; {_HOW}")
    separator = next((mark for mark in ",;" if mark in rows[0][1]), None)
    names = [name.strip().strip('"').lower() for name in rows[0][1].split(separator)]
    missing = [name for name in ("depth_km", "vp_km_s") if name not in names]
    if missing:
        raise ModelError(f"{path}: line {rows[0][0]}: no column {' and no column '.join(missing)}; {_HOW}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"{path}: line {rows[0][0]}: column {', '.join(twice)} twice; leave one of them")
    layers: list[Layer] = []
    for line, content in rows[1:]:
        where = f"{path}: line {line}"
        cells = [cell.strip() for cell in content.split(separator)]
        if len(cells) != len(names):
            raise ModelError(f"{where}: {len(cells)} values under {len(names)} columns; give every column a value")
        row = dict(zip(names, cells, strict=True))
        depth = number(row["depth_km"], "depth_km", where, ModelError)
        vp = number(row["vp_km_s"], "vp_km_s", where, ModelError)
        vs = _s_velocity(row, vp, where)
        if layers and depth <= layers[-1]["top_km"]:
            raise ModelError(f"{where}: depth_km {depth} does not lie below {layers[-1]['top_km']}; sort the layers")
        _check(depth, vp, vs, where)
        layers.append({"top_km": depth, "vp_km_s": vp, "vs_km_s": vs})
    if not layers:
        raise ModelError(f"{path}: a header and no layer; add one line per layer")
    return layers


def _s_velocity(row: dict[str, str], vp: float, where: str) -> float:
    stated, ratio = row.get("vs_km_s", ""), row.get("vp_vs", "")
    if stated and ratio:
        raise ModelError(f"{where}: both vs_km_s and vp_vs; leave one of them empty")
    if stated:
        return number(stated, "vs_km_s", where, ModelError)
    if not ratio and ("vs_km_s" in row or "vp_vs" in row):
        raise ModelError(f"{where}: neither vs_km_s nor vp_vs; give one of them")
    value = number(ratio, "vp_vs", where, ModelError) if ratio else _POISSON
    if value <= 1.0:
        raise ModelError(f"{where}: vp_vs {value} must be above 1, for Vs is below Vp")
    return vp / value


def _check(depth: float, vp: float, vs: float, where: str) -> None:
    """Whether depth (km) and velocities (km/s) are those of rock."""
    if not -10.0 <= depth <= _DEEPEST_KM * 10.0:
        raise ModelError(f"{where}: a depth of {depth} km lies outside the earth; give km below sea level")
    if vp > 0.0 and vs == 0.0:
        raise ModelError(
            f"{where}: Vs is 0 at {depth} km: a liquid; leave water out and let the rock below it begin the model"
        )
    if vp <= 0.0 or vs <= 0.0:
        raise ModelError(f"{where}: velocities {vp} and {vs} must be above 0")
    if vs >= vp:
        raise ModelError(f"{where}: Vs {vs} is not below Vp {vp}; are the columns swapped?")
    if vp > _FASTEST_KM_S:
        raise ModelError(f"{where}: Vp {vp} km/s is faster than any rock; give km/s, not m/s")


def _profile(path: str, lines: Lines) -> list[Segment]:
    """Points (depth, Vp, Vs, ...) joined by straight lines, down to the deepest earthquakes."""
    points: list[tuple[float, float, float]] = []
    for line, content in _rows(lines):
        where, cells = f"{path}: line {line}", content.split()
        if content.lower() in _CORE:
            break
        if len(cells) == 1 and cells[0][0].isalpha():  # the name of a boundary in .nd
            continue
        if len(cells) < 3:
            raise ModelError(f"{where}: {len(cells)} values; TauP's formats have depth, Vp and Vs in km and km/s")
        names = ("depth", "Vp", "Vs")
        depth, vp, vs = (number(cell, name, where, ModelError) for name, cell in zip(names, cells[:3], strict=True))
        if not points and depth != 0.0:
            raise ModelError(f"{where}: begins at {depth} km; TauP's formats begin at depth 0")
        if points and depth < points[-1][0]:
            raise ModelError(f"{where}: depth {depth} lies above {points[-1][0]}; sort the lines by depth")
        if not points or points[-1][0] < _DEEPEST_KM:
            _check(depth, vp, vs, where)
            points.append((depth, vp, vs))
    if not points:
        raise ModelError(f"{path}: no line with depth, Vp and Vs; is it a model of TauP's?")
    segments = [
        Segment(above[0], below[0], (above[1], below[1]), (above[2], below[2]))
        for above, below in itertools.pairwise(points)
        if above[0] < below[0]
    ]
    depth, vp, vs = points[-1]
    return [*segments, Segment(depth, math.inf, (vp, vp), (vs, vs))]


def _is_nonlinloc(lines: Lines) -> bool:
    return any(text.split()[:1] == ["LAYER"] for _, text in lines) or _columns_named(lines)


def _columns_named(lines: Lines) -> bool:
    return any(text.lstrip().startswith("#") and _NAMED.search(text) for _, text in lines)


def _nonlinloc(path: str, lines: Lines) -> list[Segment]:
    """The LAYER lines: velocities at each top and their gradients, down to the next top."""
    keyword = any(text.split()[:1] == ["LAYER"] for _, text in lines)
    tops: list[tuple[float, float, float, float, float]] = []
    where = path
    for line, content in _rows(lines):
        cells = content.split()
        if keyword and cells[0] != "LAYER":
            continue  # another statement of the control file
        where, cells = f"{path}: line {line}", cells[1:] if keyword else cells
        if len(cells) not in (5, 7):
            raise ModelError(f"{where}: {len(cells)} values; a layer has depth, Vp, its gradient, Vs, its gradient, "
                             "perhaps density, its gradient")  # fmt: skip
        names = ("depth", "VpTop", "VpGrad", "VsTop", "VsGrad")
        depth, vp, vp_gradient, vs, vs_gradient = (
            number(cell, name, where, ModelError) for name, cell in zip(names, cells[:5], strict=True)
        )
        if tops and depth <= tops[-1][0]:
            raise ModelError(f"{where}: depth {depth} does not lie below {tops[-1][0]}; sort the layers")
        _check(depth, vp, vs, where)
        tops.append((depth, vp, vp_gradient, vs, vs_gradient))
    if not tops:
        raise ModelError(f"{path}: no layer; {_HOW}")
    if tops[-1][2] != 0.0 or tops[-1][4] != 0.0:
        raise ModelError(f"{where}: the last layer has no bottom, so that its gradients must be 0; add a layer below")
    segments = []
    for above, bottom in zip(tops, [*(top[0] for top in tops[1:]), math.inf], strict=True):
        depth, vp, vp_gradient, vs, vs_gradient = above
        thickness = 0.0 if math.isinf(bottom) else bottom - depth
        vp_below, vs_below = vp + vp_gradient * thickness, vs + vs_gradient * thickness
        _check(depth + thickness, vp_below, vs_below, f"{path}: at the bottom of the layer from {depth} km")
        segments.append(Segment(depth, bottom, (vp, vp_below), (vs, vs_below)))
    return segments
