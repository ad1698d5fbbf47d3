"""Travel times of 1-D models from tables, and station corrections."""

import numpy as np
import pytest

from seiscomp_dlloc.arrivals.corrections import CorrectedArrivals, PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.arrivals.lattice import Extent, lattice_for, rounded_up
from seiscomp_dlloc.arrivals.radial import RadialArrivals
from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.traveltimes import PHASES, LayeredTravelTimes, from_passport

FRAME = LocalFrame(64.05, -21.2)
HALF_SPACE = LayeredTravelTimes([0.0], [6.0], [3.5])
# Strong contrasts near the surface, as on a volcano; an interface above sea level
VOLCANO = LayeredTravelTimes(
    [-3, -0.5, 0.8, 1.8, 2.9, 5.8, 9.8], [2, 3.3, 4.2, 5, 6, 6.5, 6.9], [1.1, 1.9, 2.4, 2.8, 3.4, 3.6, 3.9]
)
REGION = LayeredTravelTimes([0, 4, 18, 32], [5.0, 5.9, 6.6, 8.0], [2.9, 3.4, 3.8, 4.5])
DELAYED = LayeredTravelTimes([0, 3], [4.0, 6.0], [2.3, 3.5], p_delay_s=0.3, s_delay_s=-0.2)  # fmt: skip


def station(x_km: float, y_km: float, elevation_m: float, code: str = "A") -> Station:
    latitude, longitude = FRAME.to_geographic(x_km, y_km)
    return Station("XX", code, float(latitude), float(longitude), elevation_m)


def network(extent_km: float, highest_m: float, count: int = 5) -> list[Station]:
    rng = np.random.default_rng(7)
    place, elevation = rng.uniform(-extent_km / 3, extent_km / 3, (2, count)), rng.uniform(0.0, highest_m, count)
    return [station(x, y, e, f"S{i}") for i, (x, y, e) in enumerate(zip(*place, elevation, strict=True))]


def scattered(extent_km: float, top_km: float, bottom_km: float, stations: list[Station], count: int = 3000):
    """Nodes everywhere, a third of them close to stations: below, beside and above."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-extent_km / 3, extent_km / 3, (2, count))
    z = rng.uniform(top_km, bottom_km, count)
    near = count // 3
    chosen = rng.integers(0, len(stations), near)
    sx, sy = FRAME.to_local([s.latitude for s in stations], [s.longitude for s in stations])
    x[:near], y[:near] = sx[chosen] + rng.normal(0.0, 0.3, near), sy[chosen] + rng.normal(0.0, 0.3, near)
    x[: near // 9], y[: near // 9] = sx[chosen[: near // 9]], sy[chosen[: near // 9]]
    heights = np.array([s.elevation_m for s in stations]) / 1000.0
    z[:near:2] = np.clip(rng.normal(0.0, 0.3, near) - heights[chosen], top_km, bottom_km)[::2]
    return x, y, z


def directly(model, x, y, z, stations):
    sx, sy = FRAME.to_local([s.latitude for s in stations], [s.longitude for s in stations])
    distance = np.hypot(x[:, None] - sx, y[:, None] - sy)
    elevation = np.array([s.elevation_m for s in stations])
    return np.stack([model.times(phase, distance, z[:, None], elevation) for phase in PHASES], axis=2)


@pytest.mark.parametrize(
    ("model", "extent_km", "top_km", "bottom_km", "highest_m", "error_s"),
    [
        (VOLCANO, 5.0, -1.5, 4.0, 1500.0, 0.005),
        (VOLCANO, 20.0, -1.5, 14.0, 1500.0, 0.005),
        (DELAYED, 20.0, -1.0, 12.0, 1000.0, 0.005),
        (REGION, 400.0, -1.0, 40.0, 1500.0, 0.020),
        (VOLCANO, 400.0, -1.0, 40.0, 1500.0, 0.020),
    ],
    ids=["5 km", "20 km", "delays", "400 km", "400 km, slow surface"],
)
def test_tables_equal_the_layers_asked_directly(model, extent_km, top_km, bottom_km, highest_m, error_s):
    stations = network(extent_km, highest_m)
    x, y, z = scattered(extent_km, top_km, bottom_km, stations)
    times = RadialArrivals(model).local(FRAME, stations).times(x, y, z)
    assert times.shape == (x.size, len(stations), 2)
    assert times.dtype == np.float32
    np.testing.assert_allclose(times, directly(model, x, y, z, stations), atol=error_s, rtol=0.0)


def test_half_space_is_the_straight_ray_to_within_rounding():
    stations = network(20.0, 2000.0)
    x, y, z = scattered(20.0, -2.0, 15.0, stations)
    times = RadialArrivals(HALF_SPACE).local(FRAME, stations).times(x, y, z)
    np.testing.assert_allclose(times, directly(HALF_SPACE, x, y, z, stations), atol=2e-5, rtol=1e-5)


def test_a_source_at_the_station_arrives_at_once_and_one_above_it_later():
    arrivals = RadialArrivals(HALF_SPACE).local(FRAME, [station(0.0, 0.0, 1300.0)])
    times = arrivals.times([0.0, 0.0], [0.0, 0.0], [-1.3, -1.9])
    np.testing.assert_allclose(times[:, 0, 0], [0.0, 0.1], atol=1e-4)


@pytest.fixture(scope="module")
def iasp91():
    return from_passport({"kind": "taup", "name": "iasp91"})


@pytest.mark.parametrize(("extent_km", "error_s"), [(18.0, 0.005), (330.0, 0.020)])
def test_tables_equal_taup_asked_directly(iasp91, extent_km, error_s):
    stations = [station(0.0, 0.0, 0.0)]
    rng = np.random.default_rng(5)
    x, z = rng.uniform(0.0, extent_km, 4000), rng.uniform(0.0, 13.0, 4000)
    x[:500] /= 20.0
    times = RadialArrivals(iasp91).local(FRAME, stations).times(x, 0.0 * x, z)
    np.testing.assert_allclose(times, directly(iasp91, x, 0.0 * x, z, stations), atol=error_s, rtol=0.0)


def test_taup_below_a_high_station_is_off_only_where_taup_itself_jumps(iasp91):
    stations = [station(0.0, 0.0, 1000.0)]
    rng = np.random.default_rng(5)
    x, z = rng.uniform(0.0, 330.0, 4000), rng.uniform(-0.9, 13.0, 4000)
    times = RadialArrivals(iasp91).local(FRAME, stations).times(x, 0.0 * x, z)
    missed = np.abs(times - directly(iasp91, x, 0.0 * x, z, stations)).max(axis=(1, 2))
    assert np.mean(missed > 0.020) < 0.01
    # The jump: the elevation times the change of the vertical slowness from the direct wave to the head wave (S)
    assert missed.max() < 1.9 * np.sqrt(1 / 3.36**2 - 1 / 4.47**2)


def test_beyond_the_reach_of_the_model_there_is_no_time():
    class Short:
        def times(self, phase, distance_km, depth_km, elevation_m=0.0):
            times = HALF_SPACE.times(phase, distance_km, depth_km, elevation_m)
            return np.where(np.asarray(distance_km) > 50.0, np.nan, times)

    times = RadialArrivals(Short()).local(FRAME, [station(0.0, 0.0, 0.0)]).times([10.0, 90.0], [0.0, 0.0], [5.0, 5.0])
    assert np.all(np.isfinite(times[0]))
    assert np.all(np.isnan(times[1]))


def test_geographic_nodes_equal_those_of_the_frame():
    stations = network(20.0, 800.0)
    x, y, z = scattered(20.0, 0.0, 12.0, stations, 300)
    arrivals = RadialArrivals(VOLCANO)
    latitude, longitude = FRAME.to_geographic(x, y)
    times = arrivals.times(latitude, longitude, z, stations)
    assert times.dtype == np.float64
    np.testing.assert_allclose(times, arrivals.local(FRAME, stations).times(x, y, z), atol=2e-3)


def test_times_do_not_depend_on_which_nodes_are_asked_for_together():
    stations = network(20.0, 800.0)
    x, y, z = scattered(20.0, 0.0, 12.0, stations, 9000)
    local = RadialArrivals(VOLCANO).local(FRAME, stations)
    whole = local.times(x, y, z)
    np.testing.assert_array_equal(local.times(x[5000:5010], y[5000:5010], z[5000:5010]), whole[5000:5010])


def test_the_extent_grows_with_what_is_asked_and_never_shrinks():
    local = RadialArrivals(REGION).local(FRAME, [station(0.0, 0.0, 0.0)])
    local.times([3.0], [0.0], [2.0])
    small = local.lattice
    local.times([300.0], [0.0], [30.0])
    large = local.lattice
    assert small.extent.distance_km < 10.0
    assert large.extent.covers(Extent(300.0, 0.0, 30.0))
    local.times([3.0], [0.0], [2.0])
    assert local.lattice is large


def test_stations_of_nearly_one_elevation_share_a_table_and_tables_are_kept_for_the_next():
    calls = []

    class Counting:
        def times(self, phase, distance_km, depth_km, elevation_m=0.0):
            calls.append(elevation_m)
            return HALF_SPACE.times(phase, distance_km, depth_km, elevation_m)

    arrivals = RadialArrivals(Counting())
    one, other = station(1.0, 0.0, 103.0, "A"), station(2.0, 0.0, 105.0, "B")
    first = arrivals.local(FRAME, [one]).times([0.0], [0.0], [3.0])
    made = len(calls)
    both = arrivals.local(FRAME, [one, other]).times([0.0], [0.0], [3.0])
    assert len(calls) == made
    np.testing.assert_array_equal(both[:, :1], first)


def test_tables_beyond_the_limit_are_dropped_and_made_again():
    roomy, tight = RadialArrivals(REGION), RadialArrivals(REGION, kept_mib=0.001)
    stations = network(20.0, 3000.0)
    x, y, z = scattered(20.0, 0.0, 12.0, stations, 50)
    np.testing.assert_array_equal(
        tight.local(FRAME, stations).times(x, y, z), roomy.local(FRAME, stations).times(x, y, z)
    )


def test_rounding_an_elevation_costs_two_milliseconds_at_most():
    for model, slowest in ((HALF_SPACE, 3.5), (VOLCANO, 1.1)):
        lattice = lattice_for(model, Extent(20.0, -1.0, 10.0))
        assert lattice.largest_slowness == pytest.approx(1.0 / slowest, rel=1e-6)
        assert lattice.elevation_step_m / 2000.0 / slowest <= 0.002


def test_interfaces_are_nodes():
    lattice = lattice_for(VOLCANO, Extent(20.0, -1.0, 14.0))
    for depth in (-0.5, 0.8, 1.8, 2.9, 5.8, 9.8):
        assert np.min(np.abs(lattice.z_km - depth)) < 1e-4
    assert np.all(np.diff(lattice.z_km) > 0)


def test_every_depth_finds_its_interval():
    lattice = lattice_for(VOLCANO, Extent(20.0, -1.0, 14.0))
    depth = np.concatenate([lattice.z_km, np.linspace(-1.0, 14.0, 2001)])
    row, share = lattice.rows(depth)
    assert np.all((share >= 0.0) & (share <= 1.0))
    np.testing.assert_allclose(
        lattice.z_km[row] + share * (lattice.z_km[row + 1] - lattice.z_km[row]), depth, atol=1e-9
    )


def test_extents_are_rounded_up_to_few():
    wanted = Extent(13.0, -0.4, 21.0)
    assert rounded_up(wanted).covers(wanted)
    assert rounded_up(wanted) == rounded_up(Extent(13.5, -0.9, 22.0))


def test_a_model_without_times_is_refused():
    class Silent:
        def times(self, phase, distance_km, depth_km, elevation_m=0.0):
            return np.full(np.broadcast(distance_km, depth_km, elevation_m).shape, np.nan)

    with pytest.raises(ModelError, match="no travel times"):
        RadialArrivals(Silent()).local(FRAME, [station(0.0, 0.0, 0.0)]).times([1.0], [1.0], [1.0])


@pytest.mark.parametrize(
    "nodes", [([0.0, 1.0], [0.0], [0.0]), ([[0.0]], [[0.0]], [[0.0]]), ([np.nan], [0.0], [0.0])], ids=str
)
def test_nodes_that_are_none_are_refused(nodes):
    with pytest.raises(ValueError, match="nodes"):
        RadialArrivals(HALF_SPACE).local(FRAME, [station(0.0, 0.0, 0.0)]).times(*nodes)


def test_no_nodes_and_no_stations_give_no_times():
    arrivals = RadialArrivals(HALF_SPACE)
    assert arrivals.local(FRAME, [station(0.0, 0.0, 0.0)]).times([], [], []).shape == (0, 1, 2)
    assert arrivals.local(FRAME, []).times([1.0], [1.0], [1.0]).shape == (1, 0, 2)
    assert arrivals.times([64.0], [-21.0], [1.0], []).shape == (1, 0, 2)


def test_corrections_are_added_where_there_are_some():
    stations = [station(0.0, 0.0, 0.0, "A"), station(5.0, 0.0, 0.0, "B"), station(0.0, 5.0, 0.0, "C")]
    corrections = StationCorrections(
        "half space",
        "0" * 12,
        (StationDelay("XX.A", PhaseDelay(0.2), PhaseDelay(-0.1)), StationDelay("XX.B", s=PhaseDelay(0.5))),
    )
    plain = RadialArrivals(HALF_SPACE)
    corrected = CorrectedArrivals(plain, corrections)
    x, y, z = np.array([1.0, 2.0]), np.array([0.0, 3.0]), np.array([4.0, 5.0])
    added = np.broadcast_to([[0.2, -0.1], [0.0, 0.5], [0.0, 0.0]], (2, 3, 2))
    difference = corrected.local(FRAME, stations).times(x, y, z) - plain.local(FRAME, stations).times(x, y, z)
    np.testing.assert_allclose(difference, added, atol=1e-6)
    places = (*FRAME.to_geographic(x, y), z)
    np.testing.assert_allclose(corrected.times(*places, stations) - plain.times(*places, stations), added, atol=1e-6)


def test_a_station_with_two_corrections_is_refused():
    with pytest.raises(ModelError, match=r"XX\.A twice"):
        StationCorrections("m", "0" * 12, (StationDelay("XX.A"), StationDelay("XX.A")))
