"""Travel times to a network's stations from tables, for locators that ask thousands of times about a few stations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.traveltimes import PHASES, Phase, TravelTimes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DISTANCE_STEP_KM, DEPTH_STEP_KM = 1.0, 0.5


@dataclass(frozen=True)
class TabledTimes:
    """Bilinear in distance and depth, straight on beyond the tables' ends; made by :func:`tabled`.

    ``seconds``: by phase, (station, depth, distance) from 0 km and from ``top_km`` on, ``steps_km`` apart.
    """

    seconds: dict[Phase, FloatArray]
    top_km: float
    steps_km: tuple[float, float]

    def times(self, phase: Phase, station: IntArray, distance_km: ArrayLike, depth_km: ArrayLike) -> FloatArray:
        """See :class:`~dlloc_training.conventional.StationTimes`."""
        table = self.seconds[phase]
        across = np.asarray(distance_km, float) / self.steps_km[1]
        down = (np.asarray(depth_km, float) - self.top_km) / self.steps_km[0]
        column = np.minimum(across.astype(np.int64), table.shape[2] - 2)
        row = np.clip(down.astype(np.int64), 0, table.shape[1] - 2)
        right, lower = across - column, down - row
        upper = table[station, row, column] * (1.0 - right) + table[station, row, column + 1] * right
        below = table[station, row + 1, column] * (1.0 - right) + table[station, row + 1, column + 1] * right
        return np.asarray(upper * (1.0 - lower) + below * lower)


def tabled(
    model: TravelTimes,
    elevation_m: FloatArray,
    farthest_km: float,
    depths_km: tuple[float, float],
    scale: float = 1.0,
) -> TabledTimes:
    """Tables of ``model`` for stations at ``elevation_m`` (station,), for distances to ``farthest_km`` and sources
    between ``depths_km``. Nodes stand ``scale`` km apart in distance, half of that in depth: some 0.05 s times
    ``scale`` are lost where layers end, next to nothing elsewhere.
    """
    depth_step, step = scale * DEPTH_STEP_KM, scale * DISTANCE_STEP_KM
    distance = step * np.arange(int(np.ceil(farthest_km / step)) + 2)
    depth = depths_km[0] + depth_step * np.arange(int(np.ceil((depths_km[1] - depths_km[0]) / depth_step)) + 2)
    heights, which = np.unique(elevation_m, return_inverse=True)
    return TabledTimes(
        {
            phase: np.stack([model.times(phase, distance, depth[:, None], height) for height in heights])[which]
            for phase in PHASES
        },
        depths_km[0],
        (depth_step, step),
    )
