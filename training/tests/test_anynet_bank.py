"""Random earths, their travel times, and banks of theoretical events in them."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from dlloc_training.anynet import bank as bank_module
from dlloc_training.anynet.bank import LOCAL, REGIONAL, SAMPLES, STATIONS, Bank, make_bank, make_event, random_table
from dlloc_training.anynet.earths import RATE_HZ, local_earth, regional_earth
from dlloc_training.anynet.radial import RadialTable

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

from .anybank import SMALL, small  # noqa: F401

FIELDS = ("data", "peak", "p_s", "s_s", "places_km", "depth_km", "earth")


def make(path, earths=2, events=3, seed=7):
    make_bank(path, {"local": earths}, events, seed, progress=False)
    return Bank.read(path)


def same(one: Bank, other: Bank) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@pytest.mark.parametrize("draw", [regional_earth, local_earth])
def test_whatever_earth_is_drawn_is_a_solid_one(draw):
    thinnest, models = np.inf, []
    for seed in range(1000):
        earth = draw(np.random.default_rng(seed))  # unphysical ones are refused by EarthModel
        vp, vs = earth.vp_km_s, earth.vs_km_s
        poisson = (vp**2 - 2 * vs**2) / (2 * (vp**2 - vs**2))
        assert np.all((poisson > 0.2) & (poisson < 0.38))
        assert np.all((vp > 1.9) & (vp < 8.3))
        assert np.all((earth.density_g_cm3 > 1.9) & (earth.density_g_cm3 < 3.4))
        assert np.all(earth.qs >= 15.0)
        assert vp[-1] == vp.max()
        thinnest = min(thinnest, earth.thickness_km.min())
        models.append(vp[0])
    assert thinnest > 0.01
    assert len(set(models)) == 1000


def test_continents_have_a_crust_and_some_fields_a_slow_layer():
    depth, slow = [], 0
    for seed in range(200):
        depth.append(regional_earth(np.random.default_rng(seed)).tops_km[-1])
        slow += bool(np.any(np.diff(local_earth(np.random.default_rng(seed)).vp_km_s) < 0))
    assert min(depth) >= 26.0
    assert max(depth) <= 46.0
    assert max(depth) - min(depth) > 17.0
    assert 25 < slow < 80  # one in four


@pytest.mark.parametrize(("draw", "far"), [(regional_earth, 220.0), (local_earth, 50.0)])
def test_tabulated_travel_times_are_those_of_the_layers(draw, far):
    rng = np.random.default_rng(4)
    earth = draw(rng)
    distance, depth = rng.uniform(0.0, far, (30, 20)), rng.uniform(0.0, 30.0, (30, 20))
    got = RadialTable(earth).times(distance, depth)
    exact = LayeredTravelTimes(earth.tops_km.tolist(), earth.vp_km_s.tolist(), earth.vs_km_s.tolist())
    wanted = np.stack([exact.times("P", distance, depth), exact.times("S", distance, depth)], axis=-1)
    assert got.shape == (30, 20, 2)
    assert np.abs(got - wanted).max() < 0.12
    # Half a time step of the evidence; most are far better
    assert np.quantile(np.abs(got - wanted), 0.99) < 0.05
    assert np.median(np.abs(got - wanted)) < 0.01


def test_beyond_a_table_of_travel_times_its_edge_counts():
    table = RadialTable(local_earth(np.random.default_rng(1)), farthest_km=40.0, deepest_km=20.0, nodes=60)
    at = table.times(np.array([40.0, 90.0, 10.0, 10.0, 0.0]), np.array([5.0, 5.0, 20.0, 80.0, 0.0]))
    assert at[0] == pytest.approx(at[1], abs=0.01)
    assert at[2] == pytest.approx(at[3], abs=0.01)
    assert at[4] == pytest.approx([0.0, 0.0])
    assert np.all(at[:4] > 1.0)


def test_a_bank_follows_from_its_seed_and_earths_are_independent_of_their_number(small, tmp_path):  # noqa: F811
    one = make(tmp_path / "one.h5")
    assert same(one, make(tmp_path / "two.h5"))
    more = make(tmp_path / "more.h5", earths=3)
    assert np.array_equal(more.data[:6], one.data)
    assert not np.array_equal(make(tmp_path / "other.h5", seed=8).peak, one.peak)
    assert one.data.shape == (6, 3, STATIONS, SAMPLES)
    assert one.data.dtype == np.float16
    assert one.earth.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(one.earths) == 2
    # Scaled to 1 at every station
    assert np.abs(one.data).max(axis=(1, 3)) == pytest.approx(np.ones((6, STATIONS)), abs=1e-3)
    assert np.all(one.peak > 0.0)


@pytest.mark.parametrize("damage", ["unmarked", "removed", "half"])
def test_an_interrupted_bank_goes_on_and_is_as_if_never_stopped(small, tmp_path, monkeypatch, damage):  # noqa: F811
    path = tmp_path / "bank.h5"
    whole = make(path, earths=3)
    with h5py.File(path, "a") as file:
        if damage == "removed":
            del file["local-0001"]
        else:
            del file["local-0001"].attrs["complete"]
        if damage == "half":
            del file["local-0001"]["s_s"]
    if damage != "removed":
        with pytest.raises(SettingError, match=r"bank\.h5: the bank is not complete"):
            Bank.read(path)
    tables = []
    monkeypatch.setattr(bank_module, "random_table", lambda *a: tables.append(a) or random_table(*a))
    assert same(make(path, earths=3), whole)
    assert len(tables) == 1
    make(path, earths=3)  # nothing is left to do
    assert len(tables) == 1


def test_another_banks_file_is_refused_and_left_as_it_is(small, tmp_path):  # noqa: F811
    path = tmp_path / "bank.h5"
    before = make(path, earths=1)
    for other in ({"seed": 8}, {"events": 2}):
        with pytest.raises(SettingError, match=r"bank\.h5: is another bank"):
            make(path, earths=1, **other)
    assert same(Bank.read(path), before)


@pytest.mark.parametrize("content", ["text", "hdf5", "table", "nothing"])
def test_a_file_that_is_no_bank_is_neither_read_nor_written(tmp_path, content):
    path = tmp_path / "other.h5"
    if content == "text":
        path.write_text("not a bank\n" * 100)
    elif content != "nothing":
        with h5py.File(path, "w") as file:
            file["something"] = np.arange(3)
            if content == "table":
                file.attrs["format"] = "dlloc strain table"
    with pytest.raises(SettingError, match=r"other\.h5"):
        Bank.read(path)
    if content != "nothing":
        before = path.read_bytes()
        with pytest.raises(SettingError, match=r"other\.h5"):
            make_bank(path, {"local": 1}, 1, 0, progress=False)
        assert path.read_bytes() == before


def test_a_bank_without_events_or_of_unknown_earths_is_refused(tmp_path):
    for earths, events in (({"local": 0}, 1), ({"local": 1}, 0), ({"local": -1, "regional": 2}, 1), ({"lunar": 1}, 1)):
        with pytest.raises(SettingError, match="earth"):
            make_bank(tmp_path / "bank.h5", earths, events, 0, progress=False)
    assert not (tmp_path / "bank.h5").exists()


@pytest.fixture(scope="module")
def events():
    """Six events of a small earth, made at the distances of its table."""
    rng = np.random.default_rng(11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_module, "DEPTHS", 2)
        table = random_table(SMALL, rng)
    return table, [make_event(table, SMALL, rng) for _ in range(6)]


def test_seismograms_begin_at_the_onsets(events):
    late = []
    for event in events[1]:
        size = np.abs(event["data"].astype(float)).max(axis=0)  # (station, sample)
        time = np.arange(SAMPLES) / RATE_HZ
        first = time[(size > 0.2).argmax(axis=1)]
        assert np.all(first >= event["p_s"] - 0.1)
        for row, p, s in zip(size, event["p_s"], event["s_s"], strict=True):
            p_wave = row * (time < s - 0.1)
            late.append(time[(p_wave > 0.1 * p_wave.max()).argmax()] - p)
    assert -0.1 < np.median(late) < 0.1


def test_s_waves_begin_at_their_onsets(events):
    jump = []
    for event in events[1]:
        energy = (event["data"][1:].astype(float) ** 2).sum(axis=0)
        for row, s, p in zip(energy, event["s_s"], event["p_s"], strict=True):
            at, width = round(s * RATE_HZ), max(round(min(0.5, s - p) * RATE_HZ), 2)
            jump.append(row[at : at + width].mean() / row[at - width - 1 : at - 1].mean())
    assert np.median(jump) > 4.0


def test_onsets_are_those_of_the_layers_at_the_stations_places(events):
    table, made = events
    exact = LayeredTravelTimes(table.model.tops_km.tolist(), table.model.vp_km_s.tolist(), table.model.vs_km_s.tolist())
    for event in made:
        distance = np.hypot(*event["places_km"].T)
        # No seismogram is interpolated
        assert np.abs(distance[:, None] - table.distances_km).min(axis=1).max() < 1e-9
        assert event["depth_km"] in table.depths_km
        assert event["p_s"] == pytest.approx(exact.times("P", distance, event["depth_km"]))
        assert event["s_s"] == pytest.approx(exact.times("S", distance, event["depth_km"]))


def test_stations_beyond_the_table_are_drawn_nearer_and_stay_in_their_direction(events, monkeypatch):
    table, _ = events
    angle = np.linspace(0.0, 6.0, STATIONS)
    radius = np.where(np.arange(STATIONS) < 12, 10.0 * SMALL.farthest_km, 0.5 * SMALL.farthest_km)
    network = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    monkeypatch.setattr(bank_module, "random_network", lambda *_: network)
    monkeypatch.setattr(bank_module, "random_epicentre", lambda *_: np.zeros(2))
    places = make_event(table, SMALL, np.random.default_rng(1))["places_km"]
    distance = np.hypot(*places.T)
    step = np.diff(table.distances_km).max()
    assert distance.max() <= SMALL.farthest_km + 1e-9
    assert len(set(np.round(distance[:12], 6))) > 3  # scattered, not all at the edge
    assert np.abs(distance[12:] - 0.5 * SMALL.farthest_km).max() <= step
    assert places / distance[:, None] == pytest.approx(network / radius[:, None], abs=1e-9)


@pytest.mark.parametrize("kind", [REGIONAL, LOCAL])
def test_tables_are_made_for_distances_and_depths_of_their_kind(kind, monkeypatch):
    asked = {}
    monkeypatch.setattr(bank_module, "strain_table", lambda *a, **k: asked.update(k, a=a))
    for seed in range(100):
        random_table(kind, np.random.default_rng(seed))
        earth, depths, distances = asked["a"]
        assert np.all(np.diff(distances) > 0)
        assert distances[-1] == pytest.approx(kind.farthest_km)
        assert 0.0 < distances[0] < 1.5
        assert len(distances) == kind.distances
        assert kind.depth_km[0] <= depths[0]
        assert depths[-1] <= kind.depth_km[1] + 0.1
        # Strain is not continuous at a boundary
        assert np.abs(depths[:, None] - earth.tops_km).min() > 0.04
        assert asked["reduction_velocity_km_s"] > earth.vp_km_s.max()


def test_networks_have_all_apertures_and_events_lie_mostly_within(events):
    kind = replace(SMALL, aperture_km=(4.0, 400.0))
    aperture, outside = [], 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        stations = bank_module.random_network(kind, rng)
        assert stations.shape == (STATIONS, 2)
        reach = np.hypot(*stations.T).max()
        aperture.append(2.0 * reach)
        outside += np.hypot(*bank_module.random_epicentre(stations, rng)) > reach
    assert max(aperture) <= 400.0
    assert min(aperture) < 10.0 < 200.0 < max(aperture)
    assert 0 < outside < 75
