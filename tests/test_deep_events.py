"""Events below the crust: the second search, and what it says."""

import numpy as np
import pytest
from migrating import STEP_S, Network, stack

from seiscomp_dlloc.migration.area import Box
from seiscomp_dlloc.migration.deep import box_below, depths, nearly, prior_of
from seiscomp_dlloc.migration.prior import place_prior
from seiscomp_dlloc.migration.search import Found, Plan, Search

BOX = Box((-150.0, 150.0), (-150.0, 150.0), (0.0, 60.0))
HEAD = {"deepest_km": 60.0, "prior": {"shallow_km": 15.0, "deep_km": 8.0}}


def test_wide_networks_look_below_and_small_ones_do_not() -> None:
    assert box_below(BOX, 49.0) is None
    assert box_below(BOX, 80.0) is None, "too little room below the first box"
    below = box_below(BOX, 140.0)
    assert below is not None
    assert below.z_km == (60.0, 140.0)
    assert below.x_km == BOX.x_km
    deepest = box_below(BOX, 900.0)
    assert deepest is not None
    assert deepest.z_km == (60.0, 300.0)
    assert depths(deepest) == 10


def test_below_the_first_box_no_depth_is_less_likely_than_another() -> None:
    prior = place_prior(np.array([[0.0, 0.0], [100.0, 100.0]]), prior_of(HEAD))
    z = np.array([10.0, 31.0, 60.0, 150.0, 290.0])
    np.testing.assert_allclose(prior(50.0 + 0 * z, 50.0 + 0 * z, z), [0.0, -2.0, -5.625, -5.625, -5.625])
    assert prior_of({"deepest_km": 60.0}) == {}


def both(depth_km: float) -> tuple[Found, Found]:
    """What the two searches find of an event at that depth below a network of 160 km."""
    network = Network(radius_km=80.0)
    evidence = network.evidence(12.0, -20.0, depth_km, 4.0)
    below = box_below(BOX, 160.0)
    assert below is not None
    plan = Plan(first_depths=depths(below))
    return (
        Search(BOX, network.arrivals, Plan(), STEP_S).run(evidence, stack, -5.0, 20.0),
        Search(below, network.arrivals, plan, STEP_S).run(evidence, stack, -5.0, 20.0),
    )


@pytest.mark.parametrize("depth_km", [8.0, 30.0])
def test_a_shallow_event_is_found_above(depth_km: float) -> None:
    above, below = both(depth_km)
    assert above.score > below.score + 20.0
    assert nearly(above, below) == ()


@pytest.mark.parametrize("depth_km", [95.0, 140.0])
def test_a_deep_event_is_found_below(depth_km: float) -> None:
    above, below = both(depth_km)
    assert below.score > above.score + 20.0
    best = np.unravel_index(int(np.argmax(below.log_probability)), below.axes.shape)
    assert below.axes.z_km[best[0]] == pytest.approx(depth_km, abs=4.0)


def test_what_explains_nearly_as_much_is_told() -> None:
    above, below = both(60.5)
    (said,) = nearly(above, below)
    assert "km deep" in said
