"""How far two origins of an event are apart: in km, in sigma, and in what the picks say of both.

Distances in sigma are Mahalanobis's (1936): d^2 = D' (A + B)^-1 D with D the difference of the two hypocentres and A, B
their covariances, the errors of both taken as independent and normal. d^2 then follows the chi-squared distribution
with 2 (epicentre) or 3 (hypocentre) degrees of freedom. Two locators that saw the same arrivals share errors; their
distance in sigma comes out too small rather than too large.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..formats.origins import CatalogueOrigin
from ..geometry import LocalFrame, distance_azimuth
from ..origintime import first_arrival_phase
from ..records import Station
from ..traveltimes import PHASES, TravelTimes

FloatArray = NDArray[np.float64]
ABSTAINED = "dlloc/abstention"
"""Comment of an origin that the locator does not stand by."""

Stations = Callable[[str, float], Station | None]
"""Station of ``NET.STA`` at a time (POSIX s), None where it is unknown."""


@dataclass(frozen=True)
class Residual:
    """One pick seen from both hypocentres: observed minus predicted (s).

    ``..._shifted``: with the origin time that fits the picks best (median of the picks in use), so that the place
    alone counts. ``distance_km`` epicentral, from the conventional origin.
    """

    station_id: str
    phase: str
    used: bool
    distance_km: float
    theirs_s: float
    ours_s: float
    theirs_shifted_s: float = math.nan
    ours_shifted_s: float = math.nan


@dataclass(frozen=True)
class Pair:
    """Our origin and the conventional one of the same event.

    ``locator``: whose the conventional one is; ``how`` they were joined. ``east_km``, ``north_km``, ``down_km``,
    ``later_s``, ``larger``: ours minus theirs. ``sigma2``, ``sigma3``: distance of epicentres and hypocentres in
    sigma, ``sigma_of`` whose covariances went in (``both``, ``ours``, ``theirs`` or ''). NaN where unknown.
    """

    ours: CatalogueOrigin
    theirs: CatalogueOrigin
    locator: str
    how: str
    east_km: float
    north_km: float
    down_km: float
    later_s: float
    larger: float
    sigma2: float
    sigma3: float
    sigma_of: str
    residuals: tuple[Residual, ...] = ()

    @property
    def event_id(self) -> str:
        """The event's publicID, else the conventional origin's."""
        return self.theirs.event_id or self.ours.event_id or self.theirs.public_id

    @property
    def epicentral_km(self) -> float:
        """Distance of the epicentres."""
        return math.hypot(self.east_km, self.north_km)

    @property
    def hypocentral_km(self) -> float:
        """Distance of the hypocentres; of the epicentres where a depth is unknown."""
        down = self.down_km if math.isfinite(self.down_km) else 0.0
        return math.hypot(self.east_km, self.north_km, down)

    @property
    def abstained(self) -> bool:
        """Whether our locator does not stand by its origin."""
        return ABSTAINED in self.ours.comments

    def rms_s(self, side: str) -> float:
        """Root mean square of the residuals ``theirs`` or ``ours`` (``theirs_shifted`` ...) of the picks in use."""
        values = np.array([getattr(r, f"{side}_s") for r in self.residuals if r.used])
        values = values[np.isfinite(values)]
        return float(np.sqrt(np.mean(values**2))) if values.size else math.nan


def measure(ours: CatalogueOrigin, theirs: CatalogueOrigin, locator: str = "", how: str = "") -> Pair:
    """The pair with its distances, in km and in sigma."""
    frame = LocalFrame(theirs.latitude, theirs.longitude)
    east, north = (float(v) for v in frame.to_local(ours.latitude, ours.longitude))
    down = math.nan
    if ours.depth_km is not None and theirs.depth_km is not None:
        down = ours.depth_km - theirs.depth_km
    larger = math.nan
    if ours.magnitude is not None and theirs.magnitude is not None:
        larger = ours.magnitude - theirs.magnitude
    difference = np.array([east, north, down])
    total, whose = _summed(ours.covariance_km2, theirs.covariance_km2, 2)
    total3, _ = _summed(ours.covariance_km2, theirs.covariance_km2, 3)
    return Pair(
        ours, theirs, locator, how, east, north, down, ours.time - theirs.time, larger,
        in_sigma(difference[:2], total), in_sigma(difference, total3), whose,
    )  # fmt: skip


def _summed(ours: FloatArray, theirs: FloatArray, size: int) -> tuple[FloatArray, str]:
    """Sum of the known covariances (size, size), NaN where neither is known, and whose they are."""
    parts = {"ours": ours[:size, :size], "theirs": theirs[:size, :size]}
    known = {name: part for name, part in parts.items() if np.isfinite(part).all()}
    if not known:
        return np.full((size, size), np.nan), ""
    total: FloatArray = np.sum(list(known.values()), axis=0)
    return total, "both" if len(known) == 2 else next(iter(known))


def in_sigma(difference: FloatArray, covariance: FloatArray) -> float:
    """Mahalanobis distance of ``difference`` (n,) under ``covariance`` (n, n); NaN where either is unknown."""
    if not (np.isfinite(difference).all() and np.isfinite(covariance).all()):
        return math.nan
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    if values[0] <= 1e-12 * values[-1] or values[-1] <= 0:
        return math.nan
    return float(np.sqrt(np.sum((difference @ vectors) ** 2 / values)))


def with_residuals(pair: Pair, stations: Stations, travel_times: TravelTimes) -> Pair:
    """The pair with the residuals of the conventional origin's P and S picks at both hypocentres."""
    rows = []
    for pick in pair.theirs.picks:
        phase, station = first_arrival_phase(pick.phase), stations(pick.station_id, pick.time)
        if phase is not None and station is not None:
            rows.append((pick, phase, station))
    if not rows:
        return pair
    observed = np.array([pick.time for pick, _, _ in rows])
    phases = np.array([phase for _, phase, _ in rows])
    used = np.array([pick.used for pick, _, _ in rows])
    latitude, longitude, elevation = (
        np.array([getattr(s, name) for _, _, s in rows]) for name in ("latitude", "longitude", "elevation_m")
    )
    sides, distances = [], []
    for origin in (pair.theirs, pair.ours):
        distance, _ = distance_azimuth(origin.latitude, origin.longitude, latitude, longitude)
        predicted = np.full(len(rows), np.nan)
        for phase in PHASES:
            here = phases == phase
            if here.any() and origin.depth_km is not None:
                predicted[here] = travel_times.times(phase, distance[here], origin.depth_km, elevation[here])
        raw = observed - origin.time - predicted
        counted = raw[used & np.isfinite(raw)]
        sides += [raw, raw - (np.median(counted) if counted.size else math.nan)]
        distances.append(distance)
    residuals = tuple(
        Residual(
            pick.station_id, phase, pick.used, float(distances[0][i]),
            float(sides[0][i]), float(sides[2][i]), float(sides[1][i]), float(sides[3][i]),
        )
        for i, (pick, phase, _) in enumerate(rows)
    )  # fmt: skip
    return replace(pair, residuals=residuals)
