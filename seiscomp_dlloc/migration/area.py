"""Where a network looks for events: a box about its stations, and the nodes of ever finer grids within it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """Ranges (low, high) in km of a local frame: x east, y north, z down from sea level."""

    x_km: tuple[float, float]
    y_km: tuple[float, float]
    z_km: tuple[float, float]

    @property
    def width_km(self) -> float:
        """The longer of the horizontal sides."""
        return max(self.x_km[1] - self.x_km[0], self.y_km[1] - self.y_km[0])

    def around(self, x_km: float, y_km: float, z_km: float, reach_km: float, reach_depth_km: float) -> "Box":
        """The part within these distances of a point (which lies in the box)."""

        def cut(whole: tuple[float, float], centre: float, reach: float) -> tuple[float, float]:
            return max(whole[0], centre - reach), min(whole[1], centre + reach)

        return replace(
            self,
            x_km=cut(self.x_km, x_km, reach_km),
            y_km=cut(self.y_km, y_km, reach_km),
            z_km=cut(self.z_km, z_km, reach_depth_km),
        )


@dataclass(frozen=True)
class Axes:
    """Coordinates of a grid's nodes along x, y and z, km, evenly spaced."""

    x_km: FloatArray
    y_km: FloatArray
    z_km: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx)."""
        return self.z_km.size, self.y_km.size, self.x_km.size

    def nodes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, y, z of all nodes, each (node,), x fastest."""
        z, y, x = np.meshgrid(self.z_km, self.y_km, self.x_km, indexing="ij")
        return x.ravel(), y.ravel(), z.ravel()


def axes(box: Box, spacing_km: float, spacing_depth_km: float) -> Axes:
    """Nodes no farther apart than this, the first and the last on the borders of the box."""

    def line(ends: tuple[float, float], spacing: float) -> FloatArray:
        count = int(np.ceil((ends[1] - ends[0]) / spacing - 1e-6)) + 1
        return np.linspace(*ends, max(count, 1)) if ends[1] > ends[0] else np.array([ends[0]])

    return Axes(line(box.x_km, spacing_km), line(box.y_km, spacing_km), line(box.z_km, spacing_depth_km))


def search_box(
    stations_km: FloatArray,
    elevation_km: FloatArray,
    margin_share: float,
    deepest_share: float,
    deepest_km: float,
) -> Box:
    """The box about stations (station, 2) in km, heights (station,) in km above sea level.

    Horizontally as far as ``margin_share`` of the network's aperture beyond its outermost stations; from the highest
    station down to ``deepest_share`` of the aperture below the lowest one, at most ``deepest_km`` below sea level.
    """
    low, high = stations_km.min(axis=0), stations_km.max(axis=0)
    aperture = float(max(np.max(high - low), 1.0))
    margin = margin_share * aperture
    bottom = min(-float(elevation_km.min()) + max(deepest_share * aperture, 2.0), deepest_km)
    return Box(
        (float(low[0] - margin), float(high[0] + margin)),
        (float(low[1] - margin), float(high[1] + margin)),
        (-float(elevation_km.max()), max(bottom, -float(elevation_km.max()) + 1.0)),
    )
