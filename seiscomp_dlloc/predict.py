"""Predicted arrivals at stations, and what they make of origin times: between the earth model and the solution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import LocalFrame
from .records import Pick, Station
from .traveltimes import PHASES, Phase, TravelTimes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Arrays (station,) seen from one hypocentre: distance (km), azimuth to the station (degrees), times (s).

    ``gradients[phase]`` (station, 3): change of the travel time with the hypocentre's x, y and z (s/km).
    """

    stations: tuple[Station, ...]
    distance_km: FloatArray
    azimuth_deg: FloatArray
    times: dict[Phase, FloatArray]
    gradients: dict[Phase, FloatArray]


_STEP_KM = 0.5


def predict(
    latitude: float, longitude: float, depth_km: float, stations: Sequence[Station], travel_times: TravelTimes
) -> Predictions:
    """First P and S arrivals at ``stations`` from a hypocentre."""
    x, y = LocalFrame(latitude, longitude).to_local(
        np.array([s.latitude for s in stations], float), np.array([s.longitude for s in stations], float)
    )
    elevation = np.array([s.elevation_m for s in stations], float)
    # The hypocentre and its neighbours at half a step along x, y and z in one call
    moves = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)]) * _STEP_KM
    distance = np.hypot(x - moves[:, :1], y - moves[:, 1:2])
    times: dict[Phase, FloatArray] = {}
    gradients: dict[Phase, FloatArray] = {}
    for phase in PHASES:
        table = travel_times.times(phase, distance, depth_km + moves[:, 2:], elevation[None, :])
        times[phase] = table[0]
        gradients[phase] = ((table[1:4] - table[4:7]) / (2 * _STEP_KM)).T
    return Predictions(tuple(stations), np.hypot(x, y), np.degrees(np.arctan2(x, y)) % 360.0, times, gradients)


def location_variance(gradient: FloatArray, covariance_km2: FloatArray) -> float:
    """Variance (s2) that the place's covariance puts into an origin time; ``gradient`` (3,) of the mean travel time.

    Axes of unknown covariance are left out.
    """
    known = np.isfinite(np.diag(covariance_km2)) & np.isfinite(gradient)
    g = gradient[known]
    variance = float(g @ covariance_km2[np.ix_(known, known)] @ g)
    return max(variance, 0.0)


@dataclass(frozen=True)
class SeenPick:
    """A pick with its place in :class:`Predictions`; ``hinted``: the pick itself names this phase."""

    pick: Pick
    station: int
    phase: Phase
    hinted: bool
