"""Travel times of the earths of a bank, from tables: thousands of trial hypocentres for each example."""

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.traveltimes import TravelTimes

from ..earth import EarthModel
from .bank import travel_times_of

FloatArray = NDArray[np.float64]


class RadialTable:
    """First arrivals of P and S in one earth, bilinear in the square roots of distance and depth.

    Square roots, as times bend most near the source. Reaches ``farthest_km`` and ``deepest_km``; beyond them the edge
    counts.
    """

    def __init__(
        self, earth: EarthModel | TravelTimes, farthest_km: float = 400.0, deepest_km: float = 60.0, nodes: int = 240
    ):
        self._distance = np.linspace(0.0, np.sqrt(farthest_km), nodes)
        self._depth = np.linspace(0.0, np.sqrt(deepest_km), 60)
        times = travel_times_of(earth) if isinstance(earth, EarthModel) else earth
        r, z = self._distance[None, :] ** 2, self._depth[:, None] ** 2
        self._table = np.stack([times.times("P", r, z), times.times("S", r, z)], axis=-1).astype(np.float32)

    def times(self, distance_km: FloatArray, depth_km: FloatArray) -> NDArray[np.float32]:
        """(..., 2) s for distances and depths (...)."""
        x = np.sqrt(np.clip(distance_km, 0.0, None)) / self._distance[1]
        y = np.sqrt(np.clip(depth_km, 0.0, None)) / self._depth[1]
        x, y = np.minimum(x, len(self._distance) - 1.001), np.minimum(y, len(self._depth) - 1.001)
        i, j = x.astype(np.int64), y.astype(np.int64)
        a, b = (x - i)[..., None].astype(np.float32), (y - j)[..., None].astype(np.float32)
        t = self._table
        upper = t[j, i] * (1 - a) + t[j, i + 1] * a
        lower = t[j + 1, i] * (1 - a) + t[j + 1, i + 1] * a
        return np.asarray(upper * (1 - b) + lower * b, np.float32)
