"""Covariances from what origins of QuakeML and SCML say of their errors."""

import math
from dataclasses import dataclass

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from ..units import km_per_degree_latitude, km_per_degree_longitude, m_to_km
from .eventtables import Tables
from .uncertainty import CONFIDENCE_PERCENT

FloatArray = NDArray[np.float64]

_MISTAKEN = 20.0
"""Errors of the coordinates that, read as degrees, exceed the ellipse so many times are kilometres."""


def number_at(element: etree._Element, *path: str) -> float:
    """Number at a path of local names, NaN where there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path))
    try:
        return math.nan if found is None else float((found.text or "").strip())
    except ValueError:
        return math.nan


@dataclass
class StatedErrors:
    """What an origin says of its uncertainty, in km but ``north`` and ``east``, which the file has in its own unit."""

    latitude: float
    north: float
    east: float
    down: float
    short: float
    long: float
    azimuth: float
    level: float

    def in_degrees(self) -> tuple[float, float]:
        """``north`` and ``east`` in km where they are degrees."""
        return self.north * km_per_degree_latitude(self.latitude), self.east * km_per_degree_longitude(self.latitude)

    @property
    def mistaken(self) -> bool | None:
        """Whether the ellipse says that the errors are no degrees; None where there is none to tell."""
        away = math.hypot(*self.in_degrees())
        return away > _MISTAKEN * self.long if math.isfinite(away + self.long) else None


def read_errors(origin: etree._Element, kind: str) -> StatedErrors:
    """What an ``<origin>`` says; NaN for what it does not. ``kind`` is that of the document."""
    body = origin.find("{*}originUncertainty" if kind == "quakeml" else "{*}uncertainty")
    body = etree.Element("none") if body is None else body
    unit = m_to_km(1.0) if kind == "quakeml" else 1.0
    radius = unit * number_at(body, "horizontalUncertainty")
    short, long, azimuth = (
        unit * number_at(body, "minHorizontalUncertainty"),
        unit * number_at(body, "maxHorizontalUncertainty"),
        number_at(body, "azimuthMaxHorizontalUncertainty"),
    )
    if not math.isfinite(short + long):
        short, long, azimuth = radius, radius, 0.0
    latitude = number_at(origin, "latitude", "value")
    return StatedErrors(
        latitude if abs(latitude) <= 90.0 else math.nan,
        number_at(origin, "latitude", "uncertainty"),
        number_at(origin, "longitude", "uncertainty"),
        unit * number_at(origin, "depth", "uncertainty"),
        short,
        long,
        azimuth,
        number_at(body, "confidenceLevel"),
    )


def _covariance(errors: StatedErrors, degrees: bool) -> FloatArray:
    """Covariance (km2) from standard errors and the horizontal ellipse.

    The size comes from the uncertainties of latitude, longitude and depth, taken as one standard deviation; the
    orientation from the ellipse, whose size counts only where those of the coordinates are absent: then it encloses
    the confidenceLevel (68.27 % where none is stated). Depth is taken as independent of the epicentre.
    """
    north, east = errors.in_degrees() if degrees else (errors.north, errors.east)
    flat = np.full((2, 2), np.nan)
    if errors.short > 0 and errors.long > 0 and math.isfinite(errors.short + errors.long + errors.azimuth):
        angle = math.radians(errors.azimuth)
        axes = np.array([[math.sin(angle), math.cos(angle)], [math.cos(angle), -math.sin(angle)]])
        percent = errors.level if errors.level > 0 else CONFIDENCE_PERCENT
        share = min(max(percent / 100.0, 0.01), 0.9999)
        flat = axes @ np.diag([errors.long**2, errors.short**2]) @ axes.T / (-2.0 * math.log(1.0 - share))
    if north > 0 and east > 0:
        if np.isfinite(flat).all():
            scale = np.array([east, north]) / np.sqrt(np.diag(flat))
            flat = flat * np.outer(scale, scale)
        else:
            flat = np.diag([east**2, north**2])
    covariance = np.full((3, 3), np.nan)
    covariance[:2, :2] = flat
    covariance[2, 2] = errors.down**2 if errors.down > 0 else math.nan
    if np.isfinite(flat).all():
        covariance[2, :2] = covariance[:2, 2] = 0.0
    return covariance


def covariances(stated: dict[str, StatedErrors], tables: Tables, kind: str) -> dict[str, FloatArray]:
    """Covariance (3, 3) km2 of every origin by publicID, NaN where unknown.

    QuakeML that SeisComP exported has errors of the coordinates in km, although they should be degrees. An ellipse
    tells; where all ellipses of a file tell the same, the origins without one go with them.
    """
    mistaken = {public_id: errors.mistaken for public_id, errors in stated.items()} if kind == "quakeml" else {}
    wrong = [public_id for public_id, told in mistaken.items() if told]
    others = False if any(told is False for told in mistaken.values()) else bool(wrong)
    if wrong:
        whose = "all origins have" if others else f"{len(wrong)} origins have"
        message = (
            f"{whose} errors of latitude and longitude in kilometres, which QuakeML has in degrees; they are read as "
            "kilometres"
        )
        tables.report(wrong[0], message, lost=False)
    return {
        public_id: _covariance(
            errors, kind == "quakeml" and not (others if mistaken[public_id] is None else mistaken[public_id])
        )
        for public_id, errors in stated.items()
    }
