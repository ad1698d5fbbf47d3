"""Curves of rays in a sphere of Bullen layers, where they are known in closed form; and the earliest of a curve."""

import numpy as np
import pytest

from seiscomp_dlloc.spherelayers import Curve, SphereLayers, lower_to

RADIUS, SPEED = 6371.0, 5.8


def constant(bottom_km=2800.0, layers=40, rays=300):
    """A sphere of one velocity in many layers."""
    radius = RADIUS - np.linspace(0.0, bottom_km, layers + 1)
    slowness = radius / SPEED
    every = np.unique(np.concatenate([slowness, np.linspace(0.0, RADIUS / SPEED, rays)]))[::-1]
    return SphereLayers(radius[:-1], radius[1:], slowness[:-1], slowness[1:], every)


@pytest.mark.parametrize("depth", [0.0, 3.3, 70.0, 140.0, 650.0])
def test_rays_of_one_velocity_are_chords(depth):
    curve, radius = constant().curve(RADIUS - depth), RADIUS - depth
    # Those that turn at an end of a layer, or go up
    turning = np.isin(curve.slope, (RADIUS - np.linspace(0.0, 2800.0, 41)) / SPEED)
    level = int(np.argmax(curve.slope))
    turning[: level + 1] = True
    distance, time = curve.distance[turning], curve.time[turning]
    chord = np.sqrt(RADIUS**2 + radius**2 - 2.0 * RADIUS * radius * np.cos(distance))
    np.testing.assert_allclose(time, chord / SPEED, atol=1e-6)
    sine = RADIUS * radius * np.sin(distance) / np.maximum(chord, 1e-9) / SPEED
    np.testing.assert_allclose(sine[chord > 1.0], curve.slope[turning][chord > 1.0], rtol=1e-6)
    assert curve.distance[level] == pytest.approx(np.arccos(radius / RADIUS), abs=1e-6)


def test_a_jump_reflects_what_it_lets_not_pass():
    """Slowness falls at a depth without a layer between: rays too flat for what lies below go back up there."""
    radius = RADIUS - np.array([0.0, 30.0, 300.0])
    above, below = radius[:2] / 6.0, radius[1:] / 8.0
    rays = np.unique(np.concatenate([above, below, np.linspace(below[0], above[1], 9)]))[::-1]
    layers = SphereLayers(radius[:2], radius[1:], np.array([above[0], below[0]]), np.array([above[1], below[1]]), rays)
    curve = layers.curve(RADIUS)
    between = (curve.slope > below[0]) & (curve.slope < above[1]) & (curve.distance > 0)
    assert between.sum() == 7
    chord = np.sqrt(RADIUS**2 + radius[1] ** 2 - 2.0 * RADIUS * radius[1] * np.cos(curve.distance[between] / 2.0))
    np.testing.assert_allclose(curve.time[between], 2.0 * chord / 6.0, atol=1e-6)


@pytest.mark.parametrize("speeds", [(5.0, 4.0), (5.0, 5.0 * (RADIUS - 20.0) / RADIUS)], ids=["a jump", "a gradient"])
def test_slowness_that_rises_is_refused(speeds):
    radius = RADIUS - np.array([0.0, 20.0, 40.0])
    if speeds[1] == 4.0:
        top, bottom = radius[:2] / np.array(speeds), radius[1:] / np.array(speeds)
    else:
        top, bottom = radius[:2] / speeds[0], np.array([radius[0] / speeds[0] + 1.0, radius[2] / speeds[0]])
    with pytest.raises(ValueError, match="fall with depth"):
        SphereLayers(radius[:2], radius[1:], top, bottom, np.unique(np.concatenate([top, bottom]))[::-1])


def test_a_cubic_is_met_everywhere_and_only_the_earlier_of_two_counts():
    def cubic(x):
        return 2.0 + x - 0.3 * x**2 + 0.05 * x**3

    def slope(x):
        return 1.0 - 0.6 * x + 0.15 * x**2

    grid, knots = np.linspace(0.0, 4.0, 41), np.array([0.45, 1.0, 2.7, 3.31])
    inside = (grid >= knots[0]) & (grid <= knots[-1])
    for order in (slice(None), slice(None, None, -1)):
        earliest = np.full(grid.size, np.inf)
        lower_to(Curve(knots[order], cubic(knots)[order], slope(knots)[order]), grid, earliest)
        np.testing.assert_allclose(earliest[inside], cubic(grid[inside]), atol=1e-12)
        assert np.all(np.isinf(earliest[~inside]))
    # There and back again, later
    there_and_back = Curve(
        np.append(knots, 0.45), np.append(cubic(knots), cubic(3.31) + 1.0), np.append(slope(knots), -0.3)
    )
    lower_to(there_and_back, grid, earliest)
    np.testing.assert_allclose(earliest[inside], cubic(grid[inside]), atol=1e-12)
    lower_to(Curve(knots, cubic(knots) - 1.0, slope(knots)), grid, earliest)
    np.testing.assert_allclose(earliest[inside], cubic(grid[inside]) - 1.0, atol=1e-12)


def test_points_at_one_place_give_the_earlier_time():
    grid, earliest = np.array([0.0, 0.5, 1.0]), np.full(3, np.inf)
    lower_to(Curve(np.array([0.5, 0.5]), np.array([3.0, 2.0]), np.array([1.0, 1.0])), grid, earliest)
    np.testing.assert_array_equal(earliest, [np.inf, 2.0, np.inf])
