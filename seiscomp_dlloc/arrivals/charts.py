"""A quick way from a local frame into the projection of a grid."""

import numpy as np

from ..geometry import LocalFrame
from ..traveltimes import FloatArray
from .projections import Projection

_DEGREE = 5
_GOOD_KM = 0.005


class Chart:
    """x and y of a frame to x and y of a projection, over the region of a grid.

    The way over degrees takes iterations. Both maps are smooth, so that a polynomial does; where it misses the way
    over degrees by more than 5 m somewhere on the region, that is taken. ``outline``: points (x, y) in km around the
    region, in the projection. Points beyond the region become NaN.
    """

    def __init__(self, frame: LocalFrame, projection: Projection, outline: tuple[FloatArray, FloatArray]):
        self._frame, self._projection = frame, projection
        x, y = frame.to_local(*projection.to_geographic(*outline))
        margin = 0.05 * max(float(np.ptp(x)), float(np.ptp(y)))
        self._low = np.array([x.min(), y.min()]) - margin
        self._high = np.array([x.max(), y.max()]) + margin
        # Chebyshev's points tame the polynomial near the edges
        points = self._low[:, None] + (self._high - self._low)[:, None] * (1.0 - np.cos(np.pi * np.arange(13) / 12)) / 2
        fit_x, fit_y = (a.ravel() for a in np.meshgrid(points[0], points[1]))
        aim = np.stack(self._over_degrees(fit_x, fit_y), axis=1)
        self._coefficients = np.linalg.lstsq(self._terms(fit_x, fit_y), aim, rcond=None)[0]
        between = (points[:, :-1] + points[:, 1:]) / 2.0
        x, y = (a.ravel() for a in np.meshgrid(between[0], between[1]))
        missed = self._terms(x, y) @ self._coefficients - np.stack(self._over_degrees(x, y), axis=1)
        self.quick = bool(np.max(np.abs(missed)) < _GOOD_KM)

    def to_grid(self, x_km: FloatArray, y_km: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(x, y) in km in the projection of points (k,) of the frame."""
        if not self.quick:
            return self._over_degrees(x_km, y_km)
        found = self._terms(x_km, y_km) @ self._coefficients
        beyond = (x_km < self._low[0]) | (x_km > self._high[0]) | (y_km < self._low[1]) | (y_km > self._high[1])
        found[beyond] = np.nan
        return found[:, 0], found[:, 1]

    def _over_degrees(self, x_km: FloatArray, y_km: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._projection.to_grid(*self._frame.to_geographic(x_km, y_km))

    def _terms(self, x_km: FloatArray, y_km: FloatArray) -> FloatArray:
        """Products of powers of the coordinates, scaled to -1 .. 1: (k, terms)."""
        u = (2.0 * x_km - self._low[0] - self._high[0]) / (self._high[0] - self._low[0])
        v = (2.0 * y_km - self._low[1] - self._high[1]) / (self._high[1] - self._low[1])
        terms = [u**i * v**j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
        return np.stack(terms, axis=1)
