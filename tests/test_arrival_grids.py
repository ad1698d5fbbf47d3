"""3-D time grids: projections, interpolation, and who answers for stations without one."""

import numpy as np
import pytest

from seiscomp_dlloc.arrivals.charts import Chart
from seiscomp_dlloc.arrivals.grids import GridArrivals, GridNodes, TimeGrid
from seiscomp_dlloc.arrivals.projections import (
    ELLIPSOIDS,
    FrameProjection,
    LambertProjection,
    SimpleProjection,
)
from seiscomp_dlloc.arrivals.radial import RadialArrivals
from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

LATITUDE, LONGITUDE = 64.0, -21.0
SIMPLE = SimpleProjection(LATITUDE, LONGITUDE, 20.0)
LAMBERT = LambertProjection("WGS-84", LATITUDE, LONGITUDE, 63.0, 65.0, -35.0)
SOUTHERN = LambertProjection("International", -33.0, 179.5, -30.0, -36.0)
PROJECTIONS = [SIMPLE, LAMBERT, SOUTHERN, FrameProjection(LATITUDE, LONGITUDE)]
SPEED = {"P": 6.0, "S": 3.5}
RADIAL = RadialArrivals(LayeredTravelTimes([0.0], [5.0], [3.0]))


def nodes_of(projection=LAMBERT) -> GridNodes:
    return GridNodes(projection, (-30.0, -25.0, -2.0), (1.0, 1.25, 0.5), (61, 41, 45))


def straight(station: Station, phase="P", nodes=None, label="") -> TimeGrid:
    """Times of straight rays in the grid's own kilometres."""
    nodes = nodes or nodes_of()
    sx, sy = (float(v) for v in nodes.projection.to_grid(station.latitude, station.longitude))
    sz = -station.elevation_m / 1000.0
    axes = [o + d * np.arange(n) for o, d, n in zip(nodes.origin_km, nodes.spacing_km, nodes.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    times = np.sqrt((x - sx) ** 2 + (y - sy) ** 2 + (z - sz) ** 2) / SPEED[phase]
    return TimeGrid(label or station.code, phase, nodes, (sx, sy, sz), times.astype(np.float32))


A = Station("XX", "A", 64.02, -21.1, 500.0)
B = Station("XX", "B", 63.95, -20.9, 100.0)
BOTH = [straight(A, "P"), straight(A, "S")]


def test_lambert_equals_the_worked_example_of_snyder():
    """Snyder 1987, page 296: ellipsoid Clarke 1866, parallels 33 and 45, origin 23 N 96 W, point 35 N 75 W."""
    x, y = LambertProjection("Clarke-1866", 23.0, -96.0, 33.0, 45.0).to_grid(35.0, -75.0)
    assert (float(x), float(y)) == (pytest.approx(1894.4109, abs=1e-3), pytest.approx(1564.6495, abs=1e-3))


def test_simple_equals_the_documented_formula():
    x, y = SimpleProjection(60.0, 10.0).to_grid(60.5, 11.0)
    assert float(y) == pytest.approx(0.5 * 111.111)
    assert float(x) == pytest.approx(111.111 * np.cos(np.radians(60.5)))


@pytest.mark.parametrize(
    "projection",
    [SimpleProjection(60.0, 10.0, 90.0), LambertProjection("WGS-84", 60.0, 10.0, 59.0, 61.0, 90.0)],
    ids=["simple", "lambert"],
)
def test_north_stands_clockwise_of_the_y_axis_by_the_rotation(projection):
    x, y = projection.to_grid(60.1, 10.0)
    assert float(x) == pytest.approx(11.13, abs=0.03)
    assert float(y) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=str)
def test_projections_lead_back(projection):
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-150, 150, 7), np.linspace(-150, 150, 7)))
    there_x, there_y = projection.to_grid(*projection.to_geographic(x, y))
    np.testing.assert_allclose(there_x, x, atol=1e-6)
    np.testing.assert_allclose(there_y, y, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(ELLIPSOIDS) - {"Sphere"}))
def test_lambert_keeps_lengths_on_a_standard_parallel(name):
    """One degree of longitude at the parallel is a cos(lat) / sqrt(1 - e2 sin2(lat)) long."""
    radius, inverse = ELLIPSOIDS[name]
    e2 = (2.0 - 1.0 / inverse) / inverse
    sine = np.sin(np.radians(45.0))
    expected = np.radians(0.01) * radius / 1000.0 * np.cos(np.radians(45.0)) / np.sqrt(1.0 - e2 * sine**2)
    x, _ = LambertProjection(name, 45.0, 0.0, 45.0, 45.0).to_grid(45.0, 0.01)
    assert float(x) == pytest.approx(expected, rel=1e-6)


def test_lambert_of_a_sphere_has_no_eccentricity():
    x, _ = LambertProjection("Sphere", 45.0, 0.0, 45.0, 45.0).to_grid(45.0, 0.01)
    assert float(x) == pytest.approx(np.radians(0.01) * 6371.0088 * np.cos(np.radians(45.0)), rel=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [("Potato", 60, 10, 59, 61), ("WGS-84", 0, 10, -20, 20), ("WGS-84", 60, 10, 90, 61), ("WGS-84", 90, 0, 80, 85)],
    ids=str,
)
def test_a_projection_that_is_none_is_refused(arguments):
    with pytest.raises(ModelError):
        LambertProjection(*arguments)


@pytest.mark.parametrize("projection", [SIMPLE, LAMBERT], ids=str)
def test_a_chart_is_the_way_over_degrees(projection):
    frame = LocalFrame(64.2, -21.3)
    outline = np.array([-40.0, 40.0, 40.0, -40.0]), np.array([-40.0, -40.0, 40.0, 40.0])
    chart = Chart(frame, projection, outline)
    x, y = np.random.default_rng(0).uniform(-15.0, 15.0, (2, 200))
    expected = projection.to_grid(*frame.to_geographic(x, y))
    assert chart.quick
    np.testing.assert_allclose(chart.to_grid(x, y), expected, atol=0.005)


def test_a_chart_whose_region_is_too_large_goes_over_degrees():
    outline = np.array([-3000.0, 3000.0]), np.array([-1500.0, 1500.0])
    chart = Chart(LocalFrame(LATITUDE, LONGITUDE), LAMBERT, outline)
    assert not chart.quick
    x, y = np.array([10.0, -900.0]), np.array([20.0, 700.0])
    expected = LAMBERT.to_grid(*LocalFrame(LATITUDE, LONGITUDE).to_geographic(x, y))
    np.testing.assert_allclose(chart.to_grid(x, y), expected, atol=1e-9)


@pytest.mark.parametrize("projection", [SIMPLE, LAMBERT, FrameProjection(LATITUDE, LONGITUDE)], ids=str)
def test_interpolated_times_are_those_of_the_straight_ray(projection):
    nodes = nodes_of(projection)
    arrivals = GridArrivals([straight(A, phase, nodes) for phase in ("P", "S")])
    rng = np.random.default_rng(1)
    x, y, z = rng.uniform(-28, 28, 300), rng.uniform(-23, 23, 300), rng.uniform(6.0, 19.0, 300)
    times = arrivals.times(*projection.to_geographic(x, y), z, [A])
    sx, sy, sz = straight(A, "P", nodes).station_km
    distance = np.sqrt((x - sx) ** 2 + (y - sy) ** 2 + (z - sz) ** 2)
    # A trilinear cell misses a sphere by no more than (1 + 1.25^2 + 0.5^2) / 8 R
    missed = 0.36 / distance
    assert np.all(np.abs(times[:, 0, 0] - distance / 6.0) < missed / 6.0)
    assert np.all(np.abs(times[:, 0, 1] - distance / 3.5) < missed / 3.5)


def test_a_linear_field_is_interpolated_exactly_and_axes_are_not_mixed_up():
    nodes = nodes_of(FrameProjection(LATITUDE, LONGITUDE))
    axes = [o + d * np.arange(n) for o, d, n in zip(nodes.origin_km, nodes.spacing_km, nodes.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    field = (100.0 + 1.0 * x + 0.1 * y + 0.01 * z).astype(np.float32)
    frame = LocalFrame(LATITUDE, LONGITUDE)
    sx, sy = (float(v) for v in frame.to_local(A.latitude, A.longitude))
    grids = [TimeGrid("A", phase, nodes, (sx, sy, -0.5), field) for phase in ("P", "S")]
    rng = np.random.default_rng(2)
    px, py, pz = rng.uniform(-30, 30, 200), rng.uniform(-25, 25, 200), rng.uniform(-2, 20, 200)
    times = GridArrivals(grids).local(frame, [A]).times(px, py, pz)
    np.testing.assert_allclose(times[:, 0, 0], 100.0 + px + 0.1 * py + 0.01 * pz, atol=5e-3)


def test_nodes_of_the_frame_equal_those_in_degrees():
    arrivals, frame = GridArrivals(BOTH), LocalFrame(64.1, -21.3)
    x, y, z = np.random.default_rng(1).uniform(-40, 40, (3, 500))
    times = arrivals.local(frame, [A]).times(x, y, z)
    expected = arrivals.times(*frame.to_geographic(x, y), z, [A])
    sure = np.isfinite(times) & np.isfinite(expected)
    assert np.mean(np.isfinite(times) == np.isfinite(expected)) > 0.99
    assert 100 < sure.sum() < sure.size
    np.testing.assert_allclose(times[sure], expected[sure], atol=0.003)


@pytest.mark.parametrize("outside", [(31.0, 0.0, 5.0), (0.0, -26.0, 5.0), (0.0, 0.0, -2.1), (0.0, 0.0, 20.1)], ids=str)
def test_outside_the_grid_there_is_no_time(outside):
    x, y, z = outside
    times = GridArrivals(BOTH).times(*(np.atleast_1d(v) for v in LAMBERT.to_geographic(x, y)), [z], [A])
    assert np.all(np.isnan(times))


@pytest.mark.parametrize("corner", [(-30.0, -25.0, -2.0), (30.0, 25.0, 20.0)], ids=str)
def test_the_outermost_nodes_belong_to_the_grid(corner):
    x, y, z = corner
    times = GridArrivals(BOTH).times(*(np.atleast_1d(v) for v in LAMBERT.to_geographic(x, y)), [z], [A])
    sx, sy, sz = BOTH[0].station_km
    assert times[0, 0, 0] == pytest.approx(np.sqrt((x - sx) ** 2 + (y - sy) ** 2 + (z - sz) ** 2) / 6.0, abs=1e-5)


def test_a_cell_with_a_node_without_time_has_none():
    grid = straight(A)
    grid.values[30, 20, 10] = np.nan  # x 0, y 0, z 3
    arrivals = GridArrivals([grid, straight(A, "S")])
    latitude, longitude = LAMBERT.to_geographic([0.3, 1.3], [0.3, 1.6])
    times = arrivals.times(latitude, longitude, [3.2, 3.2], [A])
    assert np.isnan(times[0, 0, 0])
    assert np.all(np.isfinite(times[1]))
    assert np.all(np.isfinite(times[:, 0, 1]))


def test_stations_without_a_grid_take_the_layers_and_are_named():
    arrivals = GridArrivals([*BOTH, straight(B, "P")], RADIAL)
    frame = LocalFrame(LATITUDE, LONGITUDE)
    c = Station("XX", "C", 64.0, -21.0)
    x, y, z = np.array([1.0, 3.0]), np.array([-2.0, 5.0]), np.array([7.0, 9.0])
    times = arrivals.local(frame, [A, B, c]).times(x, y, z)
    layers = RADIAL.local(frame, [A, B, c]).times(x, y, z)
    np.testing.assert_array_equal(times[:, 2], layers[:, 2])
    np.testing.assert_array_equal(times[:, 1, 1], layers[:, 1, 1])
    assert np.all(times[:, 0] < layers[:, 0])
    assert np.all(times[:, 1, 0] < layers[:, 1, 0])
    in_degrees = arrivals.times(*frame.to_geographic(x, y), z, [A, B, c])
    np.testing.assert_allclose(times, in_degrees, atol=0.003)
    notes = arrivals.notes([A, B, c])
    assert [note.split(":")[0] for note in notes] == ["XX.B", "XX.C"]
    assert "grid of S;" in notes[0]
    assert "P and S" in notes[1]


def test_without_a_grid_and_without_layers_it_is_an_error():
    with pytest.raises(ModelError, match=r"XX\.B: no time grid of P"):
        GridArrivals(BOTH).local(LocalFrame(LATITUDE, LONGITUDE), [A, B])


@pytest.mark.parametrize("label", ["A", "XX.A", "XX_A"])
def test_a_grid_is_found_by_code_and_by_network_and_code(label):
    arrivals = GridArrivals([straight(A, phase, label=label) for phase in ("P", "S")])
    assert arrivals.notes([A]) == ()
    assert np.all(np.isfinite(arrivals.times([64.0], [-21.0], [5.0], [A])))


def test_a_grid_of_another_network_is_not_taken():
    arrivals = GridArrivals([straight(A, phase, label="YY_A") for phase in ("P", "S")])
    with pytest.raises(ModelError, match=r"XX\.A: no time grid"):
        arrivals.times([64.0], [-21.0], [5.0], [A])


def test_a_grid_that_stands_elsewhere_is_refused():
    moved = Station("XX", "A", A.latitude + 0.1, A.longitude, A.elevation_m)
    with pytest.raises(ModelError, match=r"XX\.A: its P time grid is for a station 11\.1 km away"):
        GridArrivals(BOTH).local(LocalFrame(LATITUDE, LONGITUDE), [moved])


def test_two_grids_of_one_station_and_phase_are_refused():
    with pytest.raises(ModelError, match="two time grids of station A"):
        GridArrivals([BOTH[0], BOTH[0]])


@pytest.mark.parametrize(
    ("spacing", "shape"), [((1.0, 1.0, 0.0), (3, 3, 3)), ((1.0, np.nan, 1.0), (3, 3, 3)), ((1.0, 1.0, 1.0), (1, 3, 3))]
)
def test_a_grid_that_is_none_is_refused(spacing, shape):
    with pytest.raises(ModelError):
        GridNodes(SIMPLE, (0.0, 0.0, 0.0), spacing, shape)


def test_values_of_another_shape_are_refused():
    with pytest.raises(ModelError, match="nodes"):
        TimeGrid("A", "P", nodes_of(), (0.0, 0.0, 0.0), np.zeros((2, 2, 2), np.float32))
