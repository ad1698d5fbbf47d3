"""First arrivals in many layers against rays traced one by one."""

import numpy as np
import pytest
from scipy.optimize import brentq

from seiscomp_dlloc.traveltimes import LayeredTravelTimes


def direct(x, depths, tops, velocity):
    """Time of the direct ray, its angle sought by bisection layer by layer; ``depths`` of its two ends."""
    upper, lower = sorted(depths)
    edges = [-np.inf, *tops[1:], np.inf]
    crossed = [
        (min(lower, bottom) - max(upper, top), v)
        for top, bottom, v in zip(edges[:-1], edges[1:], velocity, strict=True)
        if min(lower, bottom) > max(upper, top)
    ]
    fastest = max(v for _, v in crossed)

    def cosines(q):
        return [np.sqrt((1.0 + (1.0 - (v / fastest) ** 2) * q * q) / (1.0 + q * q)) for _, v in crossed]

    def reach(q):
        sines = [v / fastest * q / np.hypot(1.0, q) for _, v in crossed]
        return sum(h * s / c for (h, _), s, c in zip(crossed, sines, cosines(q), strict=True))

    q = brentq(lambda q: reach(q) - x, 0.0, 1e7, xtol=1e-13, rtol=1e-13) if x > 0 else 0.0
    return sum(h / (v * c) for (h, v), c in zip(crossed, cosines(q), strict=True))


def head(x, depths, tops, velocity, refractor):
    """The earlier head wave along the top or the bottom of a layer; inf where there is none."""
    edges, v = [-np.inf, *tops[1:], np.inf], velocity[refractor]
    found = [np.inf]
    for edge, within in (
        (edges[refractor], range(refractor)),
        (edges[refractor + 1], range(refractor + 1, len(velocity))),
    ):
        if not np.isfinite(edge) or (edge < max(depths) if within.stop == refractor else edge > min(depths)):
            continue
        time, critical = x / v, 0.0
        for depth in depths:
            for i in within:
                leg = min(max(depth, edge), edges[i + 1]) - max(min(depth, edge), edges[i])
                if leg > 0:
                    if velocity[i] >= v:
                        critical = np.inf
                        break
                    cosine = np.sqrt(1.0 - (velocity[i] / v) ** 2)
                    time, critical = time + leg * cosine / velocity[i], critical + leg * velocity[i] / v / cosine
        found.append(time if x >= critical else np.inf)
    return min(found)


@pytest.mark.parametrize("rising", [True, False], ids=["faster downwards", "low velocities between"])
def test_first_arrivals_equal_rays_traced_one_by_one(rising):
    rng = np.random.default_rng(4)
    tops = np.concatenate([[-2.0], np.sort(rng.uniform(-1.0, 30.0, 14))])
    velocity = rng.uniform(2.0, 8.0, 15)
    velocity = np.sort(velocity) if rising else velocity
    model = LayeredTravelTimes(tops.tolist(), velocity.tolist(), (velocity / 1.8).tolist())
    x = rng.choice([0.01, 1.0, 30.0, 300.0], 300) * rng.exponential(1.0, 300)
    z, elevation = rng.uniform(-3.0, 40.0, 300), rng.choice([-25000.0, 0.0, 1700.0, 3400.0], 300)
    z[:40] = rng.choice(tops[1:], 40)
    x[:5] = 0.0
    expected = []
    for distance, depth, e in zip(x, z, elevation, strict=True):
        ends, layers = (depth, -e / 1000.0), (tops.tolist(), velocity.tolist())
        waves = [head(distance, ends, *layers, refractor) for refractor in range(15)]
        expected.append(min(direct(distance, ends, *layers), *waves))
    times = model.times("P", x, z, elevation)
    np.testing.assert_allclose(times, expected, atol=1e-8, rtol=0.0)
    np.testing.assert_allclose(model.times("S", x, z, elevation), 1.8 * times, atol=1e-8)


def test_times_do_not_depend_on_how_many_are_asked_for_at_once():
    model = LayeredTravelTimes([0, 1, 4, 9, 20], [3.0, 5.0, 4.5, 6.5, 8.0], [1.7, 2.9, 2.6, 3.7, 4.6])
    rng = np.random.default_rng(5)
    x, z = rng.uniform(0.0, 150.0, 9000), rng.choice(rng.uniform(-1.0, 25.0, 30), 9000)
    whole = model.times("P", x, z, 800.0)
    some = slice(4000, 4100)
    np.testing.assert_allclose(model.times("P", x[some], z[some], 800.0), whole[some], atol=1e-10, rtol=0.0)


def test_no_times_are_asked_for():
    model = LayeredTravelTimes([0, 5], [5.0, 7.0], [3.0, 4.0])
    assert model.times("P", np.zeros((0, 3)), np.zeros((0, 1))).shape == (0, 3)
