"""From degrees to the kilometres of NonLinLoc's grids, and back.

Definitions: NonLinLoc's control file, statement TRANS (http://alomax.free.fr/nlloc/soft7.00/control.html). The Lambert
conformal conic projection on the ellipsoid: Snyder 1987, Map Projections, USGS Professional Paper 1395, equations
15-1 to 15-11 with 14-15 and 7-9.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ModelError
from ..geometry import LocalFrame
from ..traveltimes import FloatArray
from ..units import m_to_km

# Equatorial radius (m) and inverse flattening, 0 for a sphere, of what NonLinLoc (after GMT 3) knows by these names;
# they are the grids' own, older figures for WGS-84 among them
ELLIPSOIDS: dict[str, tuple[float, float]] = {
    "WGS-84": (6378137.0, 298.254),
    "GRS-80": (6378137.0, 298.257),
    "WGS-72": (6378135.0, 298.26),
    "Australian": (6378160.0, 298.25),
    "Krasovsky": (6378245.0, 298.3),
    "International": (6378388.0, 297.0),
    "Hayford-1909": (6378388.0, 297.0),
    "Clarke-1880": (6378249.1, 293.46),
    "Clarke-1866": (6378206.4, 294.98),
    "Airy": (6377563.4, 299.32),
    "Bessel": (6377397.2, 299.15),
    "Hayford-1830": (6377276.3, 300.80),
    "Sphere": (6371008.7714, 0.0),
}

SIMPLE_KM_PER_DEGREE = 111.111
"""Length of a degree in the transform SIMPLE as NonLinLoc documents it; builds since 2017 take 111.195."""


class Projection(Protocol):
    """x and y of a grid; degrees and km, arrays of any equal shape."""

    def to_grid(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(x, y) in km of points in degrees."""
        ...

    def to_geographic(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(latitude, longitude) in degrees of points of the grid."""
        ...


@dataclass(frozen=True)
class FrameProjection:
    """The transform NONE, whose x and y NonLinLoc does not place: here km east and north of a point (degrees)."""

    latitude: float
    longitude: float

    def to_grid(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        return LocalFrame(self.latitude, self.longitude).to_local(latitude, longitude)

    def to_geographic(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        return LocalFrame(self.latitude, self.longitude).to_geographic(x_km, y_km)


@dataclass(frozen=True)
class SimpleProjection:
    """The transform SIMPLE: y = (lat - lat0) c, x = (lon - lon0) c cos(lat), turned by ``rotation_deg`` clockwise.

    ``rotation_deg``: of geographic north from the y axis.
    """

    latitude: float
    longitude: float
    rotation_deg: float = 0.0
    km_per_degree: float = SIMPLE_KM_PER_DEGREE

    def to_grid(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        lat, lon = np.asarray(latitude, float), np.asarray(longitude, float)
        east = _turn(lon - self.longitude) * self.km_per_degree * np.cos(np.radians(lat))
        return _rotated(east, (lat - self.latitude) * self.km_per_degree, self.rotation_deg)

    def to_geographic(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        east, north = _rotated(np.asarray(x_km, float), np.asarray(y_km, float), -self.rotation_deg)
        lat = self.latitude + north / self.km_per_degree
        return lat, _turn(self.longitude + east / (self.km_per_degree * np.cos(np.radians(lat))))


@dataclass(frozen=True)
class LambertProjection:
    """The transform LAMBERT: conformal conic with two standard parallels (degrees), turned clockwise.

    ``ellipsoid`` is one of :data:`ELLIPSOIDS`; :class:`~seiscomp_dlloc.errors.ModelError` for another, and for
    parallels that make no cone.
    """

    ellipsoid: str
    latitude: float
    longitude: float
    first_parallel_deg: float
    second_parallel_deg: float
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.ellipsoid not in ELLIPSOIDS:
            raise ModelError(f"ellipsoid {self.ellipsoid!r} is not one of {', '.join(ELLIPSOIDS)}")
        parallels = self.first_parallel_deg, self.second_parallel_deg
        if abs(sum(parallels)) < 1e-6 or any(abs(p) >= 90.0 for p in parallels) or abs(self.latitude) >= 90.0:
            raise ModelError(f"standard parallels {parallels} at latitude {self.latitude} make no Lambert cone")

    @cached_property
    def _cone(self) -> tuple[float, float, float, float]:
        """Eccentricity, n, a F in km, and the radius rho0 (km) of the origin's parallel."""
        radius_m, inverse = ELLIPSOIDS[self.ellipsoid]
        flattening = 1.0 / inverse if inverse else 0.0
        e = math.sqrt(flattening * (2.0 - flattening))
        first, second = math.radians(self.first_parallel_deg), math.radians(self.second_parallel_deg)
        m1, m2 = (math.cos(p) / math.sqrt(1.0 - (e * math.sin(p)) ** 2) for p in (first, second))  # eq. 14-15
        t1, t2, t0 = _conformal(np.array([first, second, math.radians(self.latitude)]), e).tolist()
        same = math.isclose(first, second, abs_tol=1e-9)
        n = math.sin(first) if same else math.log(m1 / m2) / math.log(t1 / t2)  # eq. 15-8
        scale = m_to_km(radius_m) * m1 / (n * t1**n)  # eq. 15-10
        return e, n, scale, scale * t0**n

    def to_grid(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        e, n, scale, origin = self._cone
        rho = scale * _conformal(np.radians(np.asarray(latitude, float)), e) ** n  # eq. 15-7
        theta = n * np.radians(_turn(np.asarray(longitude, float) - self.longitude))  # eq. 14-4
        return _rotated(rho * np.sin(theta), origin - rho * np.cos(theta), self.rotation_deg)

    def to_geographic(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """See :class:`Projection`."""
        e, n, scale, origin = self._cone
        x, y = _rotated(np.asarray(x_km, float), np.asarray(y_km, float), -self.rotation_deg)
        sign = math.copysign(1.0, n)
        theta = np.arctan2(sign * x, sign * (origin - y))  # eq. 14-11
        t = (sign * np.hypot(x, origin - y) / scale) ** (1.0 / n)  # eqs. 14-10, 15-11
        lat = np.pi / 2.0 - 2.0 * np.arctan(t)
        for _ in range(10):  # eq. 7-9: every step gains more than two digits
            sine = e * np.sin(lat)
            lat = np.pi / 2.0 - 2.0 * np.arctan(t * ((1.0 - sine) / (1.0 + sine)) ** (e / 2.0))
        return np.degrees(lat), _turn(self.longitude + np.degrees(theta) / n)


def _conformal(latitude: FloatArray, e: float) -> FloatArray:
    """Snyder's t of latitudes in radians, eq. 15-9."""
    sine = e * np.sin(latitude)
    return np.asarray(np.tan(np.pi / 4.0 - latitude / 2.0) / ((1.0 - sine) / (1.0 + sine)) ** (e / 2.0))


def _turn(degrees: FloatArray) -> FloatArray:
    """Degrees between -180 and 180."""
    return np.asarray((degrees + 180.0) % 360.0 - 180.0)


def _rotated(x: FloatArray, y: FloatArray, clockwise_deg: float) -> tuple[FloatArray, FloatArray]:
    angle = math.radians(clockwise_deg)
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
