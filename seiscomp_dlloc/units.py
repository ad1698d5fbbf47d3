"""The only conversions between kilometres, metres and degrees.

Conventions: lengths inside the package are kilometres, depth is positive down from sea level, angles are degrees,
times are POSIX seconds (UTC) as float64 (resolution better than 1 microsecond until the year 2100).
"""

import math

M_PER_KM = 1000.0

# WGS84 (NIMA TR8350.2, 2000)
WGS84_A_KM = 6378.137
WGS84_F = 1.0 / 298.257223563
WGS84_E2 = WGS84_F * (2.0 - WGS84_F)

# Mean radius used by TauP and by SeisComP to turn epicentral degrees into kilometres
KM_PER_DEGREE_SPHERE = math.pi * 6371.0 / 180.0


def km_to_m(value: float) -> float:
    """Kilometres to metres."""
    return value * M_PER_KM


def m_to_km(value: float) -> float:
    """Metres to kilometres."""
    return value / M_PER_KM


def km_per_degree_latitude(latitude: float) -> float:
    """Length in km of one degree along the meridian at ``latitude`` (degrees), WGS84.

    Source: meridional radius of curvature, e.g. Torge, Geodesy (2001), eq. 4.13.
    """
    s = math.sin(math.radians(latitude))
    return math.radians(1.0) * WGS84_A_KM * (1.0 - WGS84_E2) / math.pow(1.0 - WGS84_E2 * s * s, 1.5)


def km_per_degree_longitude(latitude: float) -> float:
    """Length in km of one degree along the parallel at ``latitude`` (degrees), WGS84.

    Source: radius of curvature in the prime vertical, e.g. Torge, Geodesy (2001), eq. 4.15.
    """
    s = math.sin(math.radians(latitude))
    return math.radians(1.0) * WGS84_A_KM / math.sqrt(1.0 - WGS84_E2 * s * s) * math.cos(math.radians(latitude))


def north_km_to_degrees(value_km: float, latitude: float) -> float:
    """A northward length in km as degrees of latitude at ``latitude``."""
    return value_km / km_per_degree_latitude(latitude)


def east_km_to_degrees(value_km: float, latitude: float) -> float:
    """An eastward length in km as degrees of longitude at ``latitude``."""
    return value_km / km_per_degree_longitude(latitude)


def km_to_degrees(value_km: float) -> float:
    """A distance in km as epicentral degrees on the sphere of radius 6371 km."""
    return value_km / KM_PER_DEGREE_SPHERE


def degrees_to_km(value_deg: float) -> float:
    """Epicentral degrees on the sphere of radius 6371 km as km."""
    return value_deg * KM_PER_DEGREE_SPHERE
