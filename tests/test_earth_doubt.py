"""What travel times that are wrong do to a place."""

import numpy as np
import pytest
from migrating import Network
from numpy.typing import NDArray
from scipy.optimize import least_squares

from seiscomp_dlloc.migration.area import Box
from seiscomp_dlloc.migration.earthdoubt import Doubt, doubt_of, earth_covariance, share_of

NETWORK = Network()
BOX = Box((-300.0, 300.0), (-300.0, 300.0), (-2.0, 60.0))
INSIDE, OUTSIDE = np.array([5.0, -8.0, 12.0]), np.array([90.0, 10.0, 12.0])


def everywhere() -> NDArray[np.float64]:
    return np.ones((len(NETWORK.places), 2))


def relocated(place: NDArray[np.float64], doubt: Doubt, rng: np.random.Generator) -> NDArray[np.float64]:
    """x, y, z and origin time by least squares of P and S that are wrong as ``doubt`` says."""
    times = NETWORK.arrivals(*place[:, None])[0]
    wrong = np.sqrt(doubt.common) * rng.normal(size=(1, 2)) + np.sqrt(1.0 - doubt.common) * rng.normal(size=times.shape)
    observed = times * (1.0 + doubt.share * wrong)

    def residuals(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((NETWORK.arrivals(*at[:3, None])[0] + at[3] - observed).ravel())

    return np.asarray(least_squares(residuals, [*place, 0.0]).x)


@pytest.mark.parametrize("common", [0.0, 0.5])
@pytest.mark.parametrize("place", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_the_covariance_is_that_of_relocations_with_wrong_times(place: NDArray[np.float64], common: float) -> None:
    doubt = Doubt(0.005, common, 0.05)
    rng = np.random.default_rng(4)
    made = np.cov(np.array([relocated(place, doubt, rng) for _ in range(600)]).T)
    stated = earth_covariance(NETWORK.arrivals, place, everywhere(), BOX, doubt)
    # 600 draws tell a standard deviation to 3 per cent; the rest is what is not linear
    assert np.sqrt(np.diag(stated)) == pytest.approx(np.sqrt(np.diag(made)), rel=0.15)
    stated_axes, made_axes = (np.linalg.eigvalsh(matrix[:2, :2]) for matrix in (stated, made))
    assert stated_axes == pytest.approx(made_axes, rel=0.3)


def test_an_event_outside_is_doubted_more_the_farther_away_it_is() -> None:
    doubt = doubt_of(0.03, 0.1)
    places = [np.array([x, 0.0, 10.0]) for x in (0.0, 80.0, 160.0)]
    along = [earth_covariance(NETWORK.arrivals, place, everywhere(), BOX, doubt)[0, 0] for place in places]
    assert 3.0 * along[0] < along[1] < along[2]


def test_fewer_stations_leave_more_doubt() -> None:
    few = everywhere()
    few[4:] = 0.0
    doubt = Doubt(0.03, 0.0, 0.15)
    all_of_them, some = (
        np.linalg.eigvalsh(earth_covariance(NETWORK.arrivals, INSIDE, weight, BOX, doubt)[:2, :2]).max()
        for weight in (everywhere(), few)
    )
    assert some > 2.0 * all_of_them


def test_half_of_the_error_leaves_half_of_the_doubt() -> None:
    whole, half = (
        earth_covariance(NETWORK.arrivals, INSIDE, everywhere(), BOX, doubt_of(share, 0.1)) for share in (0.03, 0.015)
    )
    assert whole == pytest.approx(4.0 * half)


def test_a_depth_that_is_given_stays_and_a_place_at_the_border_is_no_trouble() -> None:
    fixed = Box(BOX.x_km, BOX.y_km, (12.0, 12.0))
    found = earth_covariance(NETWORK.arrivals, INSIDE, everywhere(), fixed, doubt_of(0.03, 0.1))
    assert not found[2].any()
    assert not found[:, 2].any()
    assert np.all(np.diag(found)[[0, 1, 3]] > 0.0)
    border = np.array([BOX.x_km[1], 0.0, BOX.z_km[0]])
    assert np.isfinite(earth_covariance(NETWORK.arrivals, border, everywhere(), BOX, doubt_of(0.03, 0.1))).all()


def test_onsets_without_travel_times_do_not_count() -> None:
    def arrivals(*nodes: NDArray[np.float64]) -> NDArray[np.float64]:
        times = NETWORK.arrivals(*nodes)
        times[:, 6:] = np.nan
        return times

    doubt = doubt_of(0.03, 0.1)
    weight = everywhere()
    weight[6:] = 0.0
    without = earth_covariance(NETWORK.arrivals, INSIDE, weight, BOX, doubt)
    assert earth_covariance(arrivals, INSIDE, everywhere(), BOX, doubt) == pytest.approx(without)
    assert not earth_covariance(NETWORK.arrivals, INSIDE, 0.0 * weight, BOX, doubt).any()


def test_an_earth_of_the_whole_world_is_doubted_more_until_it_is_corrected() -> None:
    world, own = {"kind": "taup", "name": "iasp91"}, {"kind": "layers", "layers": []}
    assert share_of(world, False) > share_of(own, False) == share_of(world, True)
