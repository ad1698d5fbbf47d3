"""Local frame and grids.

The local frame has its origin at a reference point on the WGS84 ellipsoid: x east, y north (km), z depth below sea
level (km, positive down). A point at geodesic-like distance d and azimuth a from the reference has
x = d sin a, y = d cos a (azimuthal equidistant, from the chord through the ellipsoid), so that distances within a
few hundred kilometres are right to about 1e-4.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .units import WGS84_A_KM, WGS84_E2, km_per_degree_latitude, km_per_degree_longitude

FloatArray = NDArray[np.float64]


def _ecef_km(latitude: ArrayLike, longitude: ArrayLike) -> FloatArray:
    lat, lon = np.radians(np.asarray(latitude, float)), np.radians(np.asarray(longitude, float))
    n = WGS84_A_KM / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    return np.stack([n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - WGS84_E2) * np.sin(lat)])


@dataclass(frozen=True)
class LocalFrame:
    """Local frame at (``latitude``, ``longitude``), degrees."""

    latitude: float
    longitude: float

    @cached_property
    def _basis(self) -> tuple[FloatArray, FloatArray, float]:
        lat, lon = np.radians(self.latitude), np.radians(self.longitude)
        east = np.array([-np.sin(lon), np.cos(lon), 0.0])
        north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
        # Gaussian mean radius of curvature at the reference
        radius = WGS84_A_KM * np.sqrt(1 - WGS84_E2) / (1 - WGS84_E2 * np.sin(lat) ** 2)
        return np.stack([east, north]), _ecef_km(self.latitude, self.longitude), float(radius)

    def to_local(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Degrees to (x east, y north) in km. Arrays of any equal shape."""
        basis, origin, radius = self._basis
        chord = _ecef_km(latitude, longitude) - origin.reshape((3,) + (1,) * np.ndim(latitude))
        east, north = np.tensordot(basis, chord, axes=(1, 0))
        length = np.sqrt(np.sum(chord**2, axis=0))
        arc = 2.0 * radius * np.arcsin(np.clip(length / (2.0 * radius), 0.0, 1.0))
        flat = np.hypot(east, north)
        scale = np.where(flat > 0, arc / np.where(flat > 0, flat, 1.0), 1.0)
        return east * scale, north * scale

    def to_geographic(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(x east, y north) in km to (latitude, longitude) in degrees; inverse of :meth:`to_local` below 1 mm."""
        x, y = np.asarray(x_km, float), np.asarray(y_km, float)
        ky, kx = km_per_degree_latitude(self.latitude), km_per_degree_longitude(self.latitude)
        lat, lon = self.latitude + y / ky, self.longitude + x / kx
        # The chart is smooth and nearly linear: a few steps of the simplified Newton iteration converge
        for _ in range(12):
            gx, gy = self.to_local(lat, lon)
            lat, lon = lat + (y - gy) / ky, lon + (x - gx) / kx
        return lat, lon


def distance_azimuth(lat1: float, lon1: float, lat2: ArrayLike, lon2: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Distance (km) and azimuth (degrees, 0-360 clockwise from north) from point 1 to points 2."""
    x, y = LocalFrame(float(lat1), float(lon1)).to_local(lat2, lon2)
    return np.hypot(x, y), np.degrees(np.arctan2(x, y)) % 360.0


@dataclass(frozen=True)
class Grid:
    """A regular grid of nodes in a local frame; arrays on it have shape (nz, ny, nx).

    ``x0_km``, ``y0_km``, ``z0_km`` are the first node; ``dx_km``, ``dy_km``, ``dz_km`` the spacing; z is depth
    below sea level, positive down.
    """

    latitude: float
    longitude: float
    x0_km: float
    y0_km: float
    z0_km: float
    dx_km: float
    dy_km: float
    dz_km: float
    nx: int
    ny: int
    nz: int

    def __post_init__(self) -> None:
        if min(self.nx, self.ny, self.nz) < 1:
            raise ValueError(f"a grid needs at least one node along each axis, got {self.shape}")
        if min(self.dx_km, self.dy_km, self.dz_km) <= 0:
            raise ValueError("grid spacings must be positive")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx)."""
        return self.nz, self.ny, self.nx

    @cached_property
    def frame(self) -> LocalFrame:
        """The frame of x and y."""
        return LocalFrame(self.latitude, self.longitude)

    @cached_property
    def x_km(self) -> FloatArray:
        """East coordinates of the nodes, (nx,)."""
        return self.x0_km + self.dx_km * np.arange(self.nx, dtype=np.float64)

    @cached_property
    def y_km(self) -> FloatArray:
        """North coordinates of the nodes, (ny,)."""
        return self.y0_km + self.dy_km * np.arange(self.ny, dtype=np.float64)

    @cached_property
    def z_km(self) -> FloatArray:
        """Depths of the nodes, (nz,)."""
        return self.z0_km + self.dz_km * np.arange(self.nz, dtype=np.float64)

    def contains(self, x_km: float, y_km: float) -> bool:
        """Whether the point lies within half a cell of the grid horizontally."""
        return bool(
            self.x_km[0] - self.dx_km / 2 <= x_km <= self.x_km[-1] + self.dx_km / 2
            and self.y_km[0] - self.dy_km / 2 <= y_km <= self.y_km[-1] + self.dy_km / 2
        )
