import numpy as np
import pytest
from dlloc_training.tabled import tabled

from seiscomp_dlloc.traveltimes import LayeredTravelTimes

EARTH = LayeredTravelTimes([-2.0, 1.0, 10.0], [4.0, 6.0, 7.0], [2.2, 3.4, 4.0])
HEIGHTS = np.array([500.0, 1500.0, 500.0])


@pytest.mark.parametrize(("scale", "wrong_s"), [(1.0, 0.05), (0.4, 0.02)])
@pytest.mark.parametrize("phase", ["P", "S"])
def test_tables_are_the_model_between_their_nodes(scale, wrong_s, phase):
    table = tabled(EARTH, HEIGHTS, 90.0, (-1.5, 20.0), scale)
    rng = np.random.default_rng(0)
    station = rng.integers(0, 3, 500)
    distance, depth = rng.uniform(0.0, 90.0, 500), rng.uniform(0.5, 20.0, 500)
    exact = EARTH.times(phase, distance, depth, HEIGHTS[station])
    found = table.times(phase, station, distance, depth)
    assert np.max(np.abs(found - exact)) < wrong_s
    assert np.median(np.abs(found - exact)) < 0.1 * wrong_s


def test_beyond_its_ends_a_table_goes_straight_on():
    table = tabled(EARTH, HEIGHTS, 90.0, (-1.5, 20.0))
    one, two, three = (float(table.times("P", np.array([1]), x, 5.0)[0]) for x in (120.0, 160.0, 200.0))
    assert two - one == pytest.approx(three - two)
    assert two - one == pytest.approx(40.0 / 7.0, rel=0.01)


def test_sources_broadcast_with_stations():
    table = tabled(EARTH, HEIGHTS, 90.0, (-1.5, 20.0))
    found = table.times("P", np.arange(3), np.array([[10.0, 20.0, 30.0], [20.0, 20.0, 20.0]]), 5.0)
    assert found.shape == (2, 3)
    assert found[0, 1] == found[1, 1]
    assert found[1, 0] == found[1, 2] < found[1, 1]
