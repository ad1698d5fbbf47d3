"""What the input files are made from: a table of sources, and hypocentre grids."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame

from ..events import Sources
from ..moment import double_couple, moment_from_magnitude
from ..source import corner_frequency

FloatArray = NDArray[np.float64]

COLUMNS = ("latitude", "longitude", "depth_km", "mw", "strike", "dip", "rake")
_MOST_NODES = 10**6  # the number in a node's name has six digits


def read_sources(path: Path, frame: LocalFrame) -> Sources:
    """Double couples from a table with the columns :data:`COLUMNS` (degrees, km below sea level).

    Corner frequencies are Brune's for 3 MPa. Raises SettingError naming the file and the row.
    """
    rows = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise SettingError(f"{path}: has no column {', '.join(missing)}")
            for number, row in enumerate(reader, start=2):
                try:
                    values = [float(row[name] or "nan") for name in COLUMNS]
                except (TypeError, ValueError) as error:
                    raise SettingError(f"{path}: line {number} is not all numbers ({error})") from error
                if not np.all(np.isfinite(values)):
                    raise SettingError(f"{path}: line {number} lacks a number")
                rows.append(values)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({error})") from error
    if not rows:
        raise SettingError(f"{path}: holds no source")
    latitude, longitude, depth, mw, strike, dip, rake = np.array(rows).T
    x, y = frame.to_local(latitude, longitude)
    return Sources(
        x_km=x,
        y_km=y,
        depth_km=depth,
        tensors=double_couple(strike, dip, rake, moment_from_magnitude(mw)),
        corner_hz=corner_frequency(mw),
    )


def grid_nodes(x_km: Sequence[float], y_km: Sequence[float], depth_km: Sequence[float]) -> FloatArray:
    """(node, 3): all points of three axes, each given by its first and last value and its step (km).

    Depth runs slowest, x fastest. Raises SettingError where an axis is not one, or there are too many nodes.
    """
    axes = [_axis(name, values) for name, values in (("x", x_km), ("y", y_km), ("depth", depth_km))]
    if np.prod([len(axis) for axis in axes]) > _MOST_NODES:
        raise SettingError(f"the grid has more than {_MOST_NODES} nodes: take larger steps")
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def _axis(name: str, values: Sequence[float]) -> FloatArray:
    first, last, step = values
    if not (step > 0 and last >= first):
        raise SettingError(f"axis {name}: from {first:g} to {last:g} km by {step:g} km is no axis (FIRST LAST STEP)")
    return np.asarray(first + step * np.arange(int(np.floor((last - first) / step + 1e-9)) + 1), np.float64)
