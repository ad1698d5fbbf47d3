import threading

import numpy as np
import pytest

from seiscomp_dlloc import traveltimes
from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.traveltimes import LayeredTravelTimes, TaupTravelTimes, from_passport

X = np.linspace(0.0, 200.0, 401)


def half_space(**delays):
    return LayeredTravelTimes([0.0], [6.0], [3.5], **delays)


@pytest.mark.parametrize(("depth", "elevation"), [(8.0, 0.0), (-0.7, 1500.0), (3.0, -200.0), (-1.5, 1000.0)])
def test_half_space_is_the_straight_ray(depth, elevation):
    height = depth + elevation / 1000
    np.testing.assert_allclose(half_space().times("P", X, depth, elevation), np.hypot(X, height) / 6.0, atol=1e-9)
    np.testing.assert_allclose(half_space().times("S", X, depth, elevation), np.hypot(X, height) / 3.5, atol=1e-9)


def test_delays_are_added_per_phase():
    with_delay, without = half_space(p_delay_s=0.3, s_delay_s=-0.2), half_space()
    np.testing.assert_allclose(with_delay.times("P", X, 5.0) - without.times("P", X, 5.0), 0.3)
    np.testing.assert_allclose(with_delay.times("S", X, 5.0) - without.times("S", X, 5.0), -0.2)


def test_two_layers_direct_and_head_wave_closed_form():
    v1, v2, interface, depth, height = 5.0, 8.0, 30.0, 10.0, 0.5
    model = LayeredTravelTimes([0.0, interface], [v1, v2], [v1 / 2, v2 / 2])
    legs = (interface - depth) + (interface + height)
    critical = legs * (v1 / v2) / np.sqrt(1 - (v1 / v2) ** 2)
    head = X / v2 + legs * np.sqrt(1 / v1**2 - 1 / v2**2)
    direct = np.hypot(X, depth + height) / v1
    expected = np.where(critical <= X, np.minimum(direct, head), direct)
    assert np.any(expected < direct)
    np.testing.assert_allclose(model.times("P", X, depth, height * 1000), expected, atol=1e-9)


def test_layers_without_contrast_are_a_half_space():
    model = LayeredTravelTimes([0, 2, 5, 20], [6.0] * 4, [3.5] * 4)
    for depth in (-0.5, 1.0, 5.0, 33.0):
        np.testing.assert_allclose(model.times("P", X, depth), half_space().times("P", X, depth), atol=1e-8)


@pytest.mark.parametrize("depth", [4.0, 5.0, 12.0, 40.0])
def test_direct_ray_obeys_fermat(depth):
    """The time through two layers is the least over the place where the ray crosses the interface."""
    model = LayeredTravelTimes([0.0, 4.0], [3.0, 6.5], [1.5, 3.6])
    for x in (0.0, 1.0, 7.0, 60.0):
        crossing = np.linspace(0, x, 400001)
        path = np.hypot(crossing, 4.0) / 3.0 + np.hypot(x - crossing, depth - 4.0) / 6.5
        assert model.times("P", x, depth) == pytest.approx(path.min(), abs=1e-7)


def test_reciprocity_and_broadcasting():
    model = LayeredTravelTimes([0, 3, 10], [4.0, 6.0, 8.0], [2.3, 3.4, 4.5])
    forth = model.times("P", X, 7.0, -1000.0)
    back = model.times("P", X, 1.0, -7000.0)
    np.testing.assert_allclose(forth, back, atol=1e-9)
    table = model.times("S", X[None, :], np.array([[1.0], [8.0]]), np.zeros(1))
    assert table.shape == (2, X.size)
    np.testing.assert_allclose(table[1], model.times("S", X, 8.0))


def test_source_close_to_a_fast_layer_converges():
    model = LayeredTravelTimes([0.0, 20.0], [5.0, 8.0], [3.0, 4.5])
    assert np.all(np.abs(model.times("P", X, 20.0 + 1e-7) - model.times("P", X, 20.0 - 1e-7)) < 1e-6)


def test_layers_out_of_order_are_refused():
    with pytest.raises(ModelError, match="increase"):
        from_passport({"kind": "layers", "layers": [
            {"top_km": 5, "vp_km_s": 5, "vs_km_s": 3}, {"top_km": 0, "vp_km_s": 6, "vs_km_s": 3}]})  # fmt: skip


def test_unknown_taup_model_is_refused():
    with pytest.raises(ModelError, match="nosuchmodel"):
        from_passport({"kind": "taup", "name": "nosuchmodel"})


@pytest.fixture(scope="module")
def iasp91():
    return from_passport({"kind": "taup", "name": "iasp91"})


def test_taup_table_equals_taup_asked_directly(iasp91):
    from obspy.taup import TauPyModel

    from seiscomp_dlloc.units import km_to_degrees

    direct, x = TauPyModel("iasp91"), np.array([0.3, 4.0, 37.7, 151.3, 420.9, 903.0])
    for phase, names in (("P", ["p", "P", "Pn"]), ("S", ["s", "S", "Sn"])):
        for depth in (7.3, 33.2):
            expected = [min(a.time for a in direct.get_travel_times(depth, km_to_degrees(d), names)) for d in x]
            np.testing.assert_allclose(iasp91.times(phase, x, depth), expected, atol=0.01)


@pytest.mark.parametrize("name", ["iasp91", "ak135"])
def test_taup_table_equals_taup_asked_directly_to_ten_degrees_and_300_km(name):
    """The documented 0.02 s; a source above sea level is one on TauP's surface, under a receiver as much lower."""
    from obspy.taup import TauPyModel

    from seiscomp_dlloc.units import km_to_degrees

    direct, model, rng = TauPyModel(name), from_passport({"kind": "taup", "name": name}), np.random.default_rng(8)
    x, z = rng.uniform(0.0, 1112.0, 40), rng.uniform(-3.0, 300.0, 40)
    x[:10] /= 40.0
    z[5:20] /= 10.0
    for phase, names in (("P", ["p", "P", "Pn"]), ("S", ["s", "S", "Sn"])):
        expected = [
            min(a.time for a in direct.get_travel_times(max(depth, 0.0), km_to_degrees(d), names))
            for d, depth in zip(x, z, strict=True)
        ]
        times = model.times(phase, x, z, -1000.0 * np.minimum(z, 0.0))
        np.testing.assert_allclose(times, expected, atol=0.01)


def without_rays_of_ours(monkeypatch, name):
    """The model with every time summed up by TauP."""
    monkeypatch.setattr(traveltimes, "_mantle", lambda *_: None)
    return TaupTravelTimes(name)


@pytest.mark.parametrize("name", ["iasp91", "ak135", "prem", "jb", "herrin", "1066a"])
def test_rays_through_taups_layers_take_taups_times(name, monkeypatch):
    """Of 1066a only P: S has a channel of low velocity, and is left to TauP."""
    ours, taups = TaupTravelTimes(name), without_rays_of_ours(monkeypatch, name)
    x = np.concatenate([np.random.default_rng(2).uniform(0.0, 1500.0, 2000), [0.0, 0.01, 1499.9, 1500.0]])
    # On the surface, on interfaces of iasp91 and on none, in the mantle, at the ends of what earthquakes do
    for depth in (-1.0, 0.0, 7.3, 20.0, 35.0, 68.2, 300.0, 660.0, 699.0):
        for phase in traveltimes.PHASES:
            expected = taups.times(phase, x, depth, 800.0)
            np.testing.assert_allclose(ours.times(phase, x, depth, 800.0), expected, atol=1e-7, rtol=0.0)


def test_rays_that_are_not_taups_are_not_taken(monkeypatch):
    expected = TaupTravelTimes("iasp91").times("P", [3.0, 90.0, 500.0], [5.0, 15.0, 40.0])
    whole = traveltimes._mantle

    class Late:
        def __init__(self, rays):
            self._rays = rays

        def curve(self, radius_km):
            curve = self._rays.curve(radius_km)
            return curve._replace(time=1.001 * curve.time)

    monkeypatch.setattr(traveltimes, "_mantle", lambda model, phase: Late(whole(model, phase)))
    times = TaupTravelTimes("iasp91").times("P", [3.0, 90.0, 500.0], [5.0, 15.0, 40.0])
    np.testing.assert_allclose(times, expected, atol=1e-7)


def test_far_and_near_distances_are_one_curve(iasp91):
    x = np.array([[1499.0, 1499.99, 1500.0, 1500.01, 1501.0, 9000.0]])
    times = iasp91.times("P", x, np.array([[10.0], [200.0]]))
    assert np.all(np.diff(times, axis=1) > 0.0)
    np.testing.assert_allclose(times[:, 3] - times[:, 1], 0.02 * 0.123, atol=1e-3)
    np.testing.assert_allclose(times[:, 5], [iasp91.times("P", 9000.0, z) for z in (10.0, 200.0)])
    assert iasp91.times("P", np.zeros(0), np.zeros(0)).shape == (0,)


def test_threads_that_share_a_model_get_the_same_times():
    shared, x = TaupTravelTimes("ak135"), np.linspace(0.0, 300.0, 200)
    depths, found = np.linspace(0.0, 90.0, 160), {}

    def ask(number):
        order = np.random.default_rng(number).permutation(depths.size)
        rows = {i: shared.times("S", x, depths[i]) for i in order}
        found[number] = np.stack([rows[i] for i in range(depths.size)])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = TaupTravelTimes("ak135").times("S", x, depths[:, None])
    assert len(found) == 4
    for times in found.values():
        np.testing.assert_array_equal(times, expected)


def test_layered_iasp91_crust_agrees_with_taup(iasp91):
    layers = LayeredTravelTimes([0, 20, 35], [5.8, 6.5, 8.04], [3.36, 3.75, 4.47])
    x = np.linspace(1, 250, 60)
    for depth in (2.0, 11.0, 25.0):
        for phase in ("P", "S"):
            # the sphere and the mantle's gradient are all that differ
            np.testing.assert_allclose(layers.times(phase, x, depth), iasp91.times(phase, x, depth), atol=0.35)


def test_taup_elevation_and_source_above_sea_level(iasp91):
    higher = iasp91.times("P", np.array([0.0, 30.0]), 10.0, 2000.0) - iasp91.times("P", np.array([0.0, 30.0]), 10.0)
    assert higher[0] == pytest.approx(2.0 / 5.8, abs=0.002)
    assert higher[1] == pytest.approx(2.0 / 5.8 * 10 / np.hypot(30, 10), abs=0.01)
    assert iasp91.times("P", 0.0, -1.0, 1500.0) == pytest.approx(0.5 / 5.8, abs=1e-3)
