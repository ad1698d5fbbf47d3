"""What a model is trained for: stations, grid of the location image, preprocessing, and where things lie."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Station

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """Ordered ``stations``, the ``grid`` that the head returns and the ``settings`` of the one preprocessing.

    Hypocentres of events lie in the grid's frame: x east, y north, z down, km. ``search_km`` is the box
    (x low, x high, y low, y high) from which epicentres of made events are drawn.
    """

    stations: tuple[Station, ...]
    grid: Grid
    settings: Preprocessing
    search_km: tuple[float, float, float, float]

    @cached_property
    def positions_km(self) -> FloatArray:
        """(station, 2): x, y of the stations in the grid's frame."""
        latitudes, longitudes = zip(*((s.latitude, s.longitude) for s in self.stations), strict=True)
        return np.stack(self.grid.frame.to_local(latitudes, longitudes), axis=-1)

    def distances(self, hypocentre_km: ArrayLike) -> FloatArray:
        """Hypocentral distances (..., station) of points (..., 3), stations at sea level."""
        point = np.asarray(hypocentre_km, float)
        flat = point[..., None, :2] - self.positions_km
        return np.asarray(np.sqrt(np.sum(flat**2, axis=-1) + point[..., None, 2] ** 2))
