"""Ellipse and ellipsoid of confidence from a covariance.

Both enclose 68.27 % of a normal distribution, the share that one standard deviation encloses in one dimension. In
more dimensions that takes more than one standard deviation along each axis: the factor is the square root of the
quantile of the chi-squared distribution with 2 or 3 degrees of freedom (1.515 and 1.878). The axes are eigenvectors,
so the longest one is found whichever way it points.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_PERCENT = 68.27
"""Confidence level of the ellipse and the ellipsoid."""

ELLIPSE_FACTOR = math.sqrt(-2.0 * math.log(1.0 - CONFIDENCE_PERCENT / 100.0))
"""Standard deviations to the ellipse: with 2 degrees of freedom the quantile has this closed form."""

ELLIPSOID_FACTOR = math.sqrt(3.526822179)
"""Standard deviations to the ellipsoid: 68.27 % quantile of chi-squared with 3 degrees of freedom."""

# Eigenvalues below this share of the largest are rounding
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Ellipse:
    """Horizontal ellipse: semi-axes (km) and azimuth of the longer one (degrees from north, 0 to 180)."""

    major_km: float
    minor_km: float
    azimuth_deg: float


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid: semi-axes (km) and the orientation of its axes (degrees).

    Convention: QuakeML 1.2, Basic Event Description, section 5.3 (ConfidenceEllipsoid): Tait-Bryan angles that turn
    the frame x north, y east, z down into X along the major and Y along the minor axis, one after the other about Z
    (azimuth), about the new Y (plunge) and about the new X (rotation). The text leaves open which sign plunge has;
    here it is positive down as everywhere in geology, and the major axis is taken by its lower end, so that it lies
    between 0 and 90. Rotation, 0 to 180, is 0 where the minor axis is horizontal and grows from there towards the
    direction X x Y.
    """

    major_km: float
    minor_km: float
    intermediate_km: float
    plunge_deg: float
    azimuth_deg: float
    rotation_deg: float


def sigma(variance: float) -> float | None:
    """Standard deviation; None where the variance is unknown (NaN) or not positive."""
    return math.sqrt(variance) if math.isfinite(variance) and variance > 0 else None


def ellipse(covariance_km2: NDArray[np.float64]) -> Ellipse | None:
    """Ellipse of the horizontal part of ``covariance_km2`` (x east, y north, z down), (3, 3) km^2.

    None where that part is unknown, zero, or no covariance.
    """
    found = _axes(np.asarray(covariance_km2, float)[:2, :2])
    if found is None:
        return None
    lengths, vectors = found
    east, north = vectors[:, 1]
    azimuth = math.atan2(east, north)
    return Ellipse(float(lengths[1]) * ELLIPSE_FACTOR, float(lengths[0]) * ELLIPSE_FACTOR, _degrees(azimuth, 180.0))


def ellipsoid(covariance_km2: NDArray[np.float64]) -> Ellipsoid | None:
    """Ellipsoid of ``covariance_km2`` (x east, y north, z down), (3, 3) km^2; None as in :func:`ellipse`."""
    order = [1, 0, 2]  # north, east, down
    found = _axes(np.asarray(covariance_km2, float)[np.ix_(order, order)])
    if found is None:
        return None
    lengths, vectors = found
    major, minor = vectors[:, 2], vectors[:, 0]
    # An axis has two ends: take the lower one, and of a horizontal axis the eastern
    if major[2] < -1e-12 or (abs(major[2]) <= 1e-12 and major[1] < 0):
        major = -major
    flat = math.hypot(major[0], major[1])
    azimuth = math.atan2(major[1], major[0]) if flat > 1e-12 else 0.0
    plunge = math.atan2(major[2], flat)
    level = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    rotation = math.atan2(float(minor @ np.cross(major, level)), float(minor @ level))
    semi = lengths * ELLIPSOID_FACTOR
    return Ellipsoid(
        float(semi[2]),
        float(semi[0]),
        float(semi[1]),
        math.degrees(plunge),
        _degrees(azimuth, 360.0),
        _degrees(rotation, 180.0),
    )


def _axes(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Standard deviations along the principal axes, ascending, and the axes as columns."""
    if not np.isfinite(covariance).all():
        return None
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    if values[-1] <= 0 or values[0] < -_ROUNDING * values[-1]:
        return None
    return np.sqrt(np.clip(values, 0.0, None)), vectors


def _degrees(angle: float, period: float) -> float:
    """Radians to degrees between 0 and ``period``, which itself is 0 even where rounding puts it just below."""
    wrapped = math.degrees(angle) % period
    return 0.0 if period - wrapped < 1e-9 else wrapped
