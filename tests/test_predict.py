"""Predicted arrivals and their gradients, and what the place's uncertainty does to an origin time."""

import numpy as np
import pytest

from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.predict import location_variance, predict
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

TRAVEL_TIMES = LayeredTravelTimes([0.0, 15.0], [6.0, 7.0], [3.5, 4.0])
FRAME = LocalFrame(36.0, -97.0)
EAST, NORTH = np.array([30.0, 10.0, -20.0]), np.array([0.0, 40.0, -20.0])
LATITUDES, LONGITUDES = FRAME.to_geographic(EAST, NORTH)
STATIONS = [
    Station("XX", f"A{i}", float(a), float(o), 500.0)
    for i, (a, o) in enumerate(zip(LATITUDES, LONGITUDES, strict=True))
]
DEPTH = 8.0


def seen(x=0.0, y=0.0, deeper=0.0):
    latitude, longitude = (float(v) for v in FRAME.to_geographic(x, y))
    return predict(latitude, longitude, DEPTH + deeper, STATIONS, TRAVEL_TIMES)


def test_distances_azimuths_and_times_are_those_of_the_stations():
    got = seen()
    assert got.distance_km == pytest.approx(np.hypot(EAST, NORTH), abs=1e-3)
    assert got.azimuth_deg == pytest.approx([90.0, np.degrees(np.arctan(0.25)), 225.0], abs=1e-3)
    # Above the station's own elevation the ray is 0.5 km longer in depth
    assert got.times["P"] == pytest.approx(np.hypot(got.distance_km, DEPTH + 0.5) / 6.0, abs=1e-3)
    assert got.times["S"] == pytest.approx(np.hypot(got.distance_km, DEPTH + 0.5) / 3.5, abs=1e-3)


def test_a_source_that_comes_nearer_is_felt_earlier():
    gradients = seen().gradients["P"]
    assert gradients[0, 0] < 0 < gradients[2, 0]
    assert gradients[1, 1] < 0 < gradients[2, 1]
    assert np.all(gradients[:, 2] > 0)


@pytest.mark.parametrize("phase", ["P", "S"])
def test_gradients_are_differences_of_times_along_x_y_and_z(phase):
    step = 0.05
    got = seen().gradients[phase]
    for axis in range(3):
        move = step * np.eye(3)[axis]
        there, back = seen(*move), seen(*-move)
        assert got[:, axis] == pytest.approx((there.times[phase] - back.times[phase]) / (2 * step), abs=2e-4)


def test_the_places_variance_goes_into_the_time_along_the_gradient():
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0, 0.0, 16.0]])
    assert location_variance(np.array([0.5, 0.0, 0.0]), covariance) == pytest.approx(1.0)
    assert location_variance(np.array([0.1, -0.2, 0.3]), covariance) == pytest.approx(0.04 - 0.04 + 0.36 + 1.44)


def test_axes_of_unknown_variance_are_left_out():
    covariance = np.diag([4.0, 9.0, np.nan])
    assert location_variance(np.array([0.5, 0.0, 0.3]), covariance) == pytest.approx(1.0)
    assert location_variance(np.array([0.5, 0.0, 0.3]), np.full((3, 3), np.nan)) == 0.0
