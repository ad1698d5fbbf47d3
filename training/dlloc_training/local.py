"""A network in its own local frame, and what baselines answer there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Located:
    """Hypocentre in the local frame (km, down from sea level) and origin time in seconds after sample 0.

    ``score`` ranks answers of one method: the highest sum of a stack, or the number of phases of a fit.
    """

    x_km: float
    y_km: float
    depth_km: float
    time_s: float
    score: float


@dataclass(frozen=True)
class LocalNetwork:
    """Stations in the local frame about their mean position."""

    stations: tuple[Station, ...]

    @cached_property
    def frame(self) -> LocalFrame:
        """Frame about the stations' mean latitude and longitude."""
        return LocalFrame(
            float(np.mean([s.latitude for s in self.stations])), float(np.mean([s.longitude for s in self.stations]))
        )

    @cached_property
    def positions_km(self) -> FloatArray:
        """(station, 2): x east, y north."""
        return self.to_local([s.latitude for s in self.stations], [s.longitude for s in self.stations])

    def to_local(self, latitude: Sequence[float], longitude: Sequence[float]) -> FloatArray:
        """Degrees to (n, 2) x east, y north in km."""
        return np.stack(self.frame.to_local(latitude, longitude), axis=-1)

    def distances(self, hypocentre_km: FloatArray) -> FloatArray:
        """Hypocentral distances (..., station) of points (..., 3); stations are taken at sea level."""
        flat = hypocentre_km[..., None, :2] - self.positions_km
        return np.asarray(np.sqrt(np.sum(flat**2, axis=-1) + hypocentre_km[..., None, 2] ** 2))

    def box(self, margin_km: float) -> tuple[float, float, float, float]:
        """(x low, x high, y low, y high) that holds every station with ``margin_km`` around it."""
        (x0, y0), (x1, y1) = self.positions_km.min(axis=0) - margin_km, self.positions_km.max(axis=0) + margin_km
        return float(x0), float(x1), float(y0), float(y1)
