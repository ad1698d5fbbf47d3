"""Positions in SPECFEM3D's files and in the package's frame.

The package writes runs without projection: x and y of the mesh are x east and y north of a
:class:`~seiscomp_dlloc.geometry.LocalFrame`, in metres, so that nothing is projected twice and the mesh's axes are
north and east at the frame's reference. Runs under a UTM projection can be read; their components and moment tensors
stand along the axes of the projection, which differ from north and east by the grid's convergence (below 2 degrees
within a zone at middle latitudes), and are taken as they are.

Heights: under USE_SOURCES_RECEIVERS_Z sources and receivers stand at z, m above sea level: the choice for a mesh with
topography. Else depths count from the mesh's surface, which is taken to be flat at ``surface_elevation_m``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.units import M_PER_KM

from .text import SpecfemError

FloatArray = NDArray[np.float64]

PLACEMENT_FILE = "placement.json"
_KEYS = {"latitude", "longitude", "suppress_utm", "absolute_z", "surface_elevation_m"}


@dataclass(frozen=True)
class Placement:
    """How the files of a set of runs have positions. ``suppress_utm`` and ``absolute_z`` are the settings
    SUPPRESS_UTM_PROJECTION and USE_SOURCES_RECEIVERS_Z."""

    frame: LocalFrame
    suppress_utm: bool = True
    absolute_z: bool = False
    surface_elevation_m: float = 0.0

    def to_local(self, y: ArrayLike, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(x east, y north) in km of the columns ``y`` and ``x`` of a file."""
        if self.suppress_utm:
            return np.asarray(x, float) / M_PER_KM, np.asarray(y, float) / M_PER_KM
        return self.frame.to_local(y, x)

    def from_local(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Columns (y, x) of a file for a point x east, y north (km)."""
        if self.suppress_utm:
            return np.asarray(y_km, float) * M_PER_KM, np.asarray(x_km, float) * M_PER_KM
        return self.frame.to_geographic(x_km, y_km)

    def source_depth_km(self, depth: ArrayLike) -> FloatArray:
        """Depth below sea level (km) of the depth in a source's file."""
        value = np.asarray(depth, float)
        return -value / M_PER_KM if self.absolute_z else value - self.surface_elevation_m / M_PER_KM

    def source_depth(self, depth_km: ArrayLike) -> FloatArray:
        """Depth in a source's file of a depth below sea level (km); inverse of :meth:`source_depth_km`."""
        value = np.asarray(depth_km, float)
        return -value * M_PER_KM if self.absolute_z else value + self.surface_elevation_m / M_PER_KM

    def receiver_depth_km(self, burial_m: ArrayLike) -> FloatArray:
        """Depth below sea level (km) of the burial in STATIONS."""
        value = np.asarray(burial_m, float)
        return (-value if self.absolute_z else value - self.surface_elevation_m) / M_PER_KM

    def receiver_burial_m(self, depth_km: ArrayLike) -> FloatArray:
        """Burial (m) in STATIONS of a depth below sea level (km); inverse of :meth:`receiver_depth_km`."""
        value = np.asarray(depth_km, float) * M_PER_KM
        return -value if self.absolute_z else value + self.surface_elevation_m

    def to_json(self) -> str:
        """Text of the file that lies beside the runs."""
        content = {
            "latitude": self.frame.latitude,
            "longitude": self.frame.longitude,
            "suppress_utm": self.suppress_utm,
            "absolute_z": self.absolute_z,
            "surface_elevation_m": self.surface_elevation_m,
        }
        return json.dumps(content, indent=1) + "\n"


def read_placement(path: Path) -> Placement:
    """Read what :meth:`Placement.to_json` wrote. Raises SpecfemError naming the file."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict) or set(content) != _KEYS:
            raise ValueError(f"it must hold {', '.join(sorted(_KEYS))}")
        return Placement(
            LocalFrame(float(content["latitude"]), float(content["longitude"])),
            bool(content["suppress_utm"]),
            bool(content["absolute_z"]),
            float(content["surface_elevation_m"]),
        )
    except (OSError, ValueError, TypeError) as error:
        raise SpecfemError(f"{path}: cannot be read as the placement of runs ({error})") from error
