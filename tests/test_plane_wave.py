"""Whether P is better explained by a plane wave than by a place."""

import numpy as np
import pytest
from migrating import STEP_S, Network, stack
from numpy.typing import NDArray

from seiscomp_dlloc import trust
from seiscomp_dlloc.migration.area import Box
from seiscomp_dlloc.migration.planewave import better_wave
from seiscomp_dlloc.migration.search import Plan, Search

NETWORK = Network()

WINDOWS = [(190.0, 210.0), (220.0, 280.0)]
"""Steps at which P and what follows may cross the middle."""


def crossing(back_azimuth_deg: float, velocity_km_s: float, time_s: float = 20.0) -> NDArray[np.float32]:
    """(station, 2, 400): P of 6 at each station, no S."""
    turn = np.radians(back_azimuth_deg + 180.0)
    places = NETWORK.places - NETWORK.places.mean(axis=0)
    at = (places @ np.array([np.sin(turn), np.cos(turn)]) / velocity_km_s + time_s) / STEP_S
    p = 6.0 * np.exp(-0.5 * ((np.arange(400.0) - at[:, None]) / 1.5) ** 2)
    return np.stack([p, np.zeros_like(p)], axis=1).astype(np.float32)


@pytest.mark.parametrize(("azimuth", "velocity"), [(0.0, 8.0), (75.0, 6.0), (200.0, 12.0), (310.0, 24.0)])
def test_a_plane_wave_is_known_by_its_azimuth_and_velocity(azimuth: float, velocity: float) -> None:
    wave = better_wave(crossing(azimuth, velocity), stack, NETWORK.places, WINDOWS, STEP_S, 30.0)
    assert wave is not None
    assert wave.score == pytest.approx(6.0 * 12, rel=0.06)
    off = (wave.back_azimuth_deg - azimuth + 180.0) % 360.0 - 180.0
    assert abs(off) < 8.0
    assert wave.velocity_km_s == pytest.approx(velocity, rel=0.15)


def with_coda(slowness_ratio: float) -> NDArray[np.float32]:
    """P of 12 km/s, and as much evidence for S that follows 5 s later in the middle and takes so many times as long."""
    evidence = crossing(200.0, 12.0)
    evidence[:, 1] = crossing(200.0, 12.0 / slowness_ratio, 25.0)[:, 0]
    # As learned evidence does, it speaks against onsets, too
    evidence[0, 0, 0] = -1.0
    return evidence


def test_what_follows_as_fast_as_p_is_the_waves_own() -> None:
    wave = better_wave(with_coda(1.0), stack, NETWORK.places, WINDOWS, STEP_S, 80.0)
    assert wave is not None
    # Less the logarithm of the steps at which it might be
    assert wave.score == pytest.approx(2 * 6.0 * 12 - np.log(72.0), rel=0.06)
    off = (wave.back_azimuth_deg - 200.0 + 180.0) % 360.0 - 180.0
    assert abs(off) < 8.0
    assert wave.velocity_km_s == pytest.approx(12.0, rel=0.15)


def test_s_of_a_place_is_not() -> None:
    wave = better_wave(with_coda(1.73), stack, NETWORK.places, WINDOWS, STEP_S, 30.0)
    assert wave is not None
    assert wave.score < 0.85 * 2 * 6.0 * 12


def test_energy_that_follows_is_no_s() -> None:
    wave = better_wave(np.maximum(with_coda(1.0), 0.0), stack, NETWORK.places, WINDOWS, STEP_S, 80.0)
    assert wave is None


def test_what_came_before_p_does_not_follow_it() -> None:
    evidence = crossing(200.0, 12.0)
    evidence[:, 1] = crossing(200.0, 12.0, 19.0)[:, 0]
    wave = better_wave(evidence, stack, NETWORK.places, [(190.0, 210.0), (180.0, 200.0)], STEP_S, 30.0)
    assert wave is not None
    assert wave.score == pytest.approx(6.0 * 12, rel=0.06)


def test_a_wave_from_straight_below_has_no_end_of_velocity() -> None:
    wave = better_wave(crossing(0.0, 1e9), stack, NETWORK.places, WINDOWS, STEP_S, 30.0)
    assert wave is not None
    assert wave.velocity_km_s > 60.0


def test_a_place_that_explains_more_stands() -> None:
    evidence = NETWORK.evidence(12.0, -9.0, 8.0, 10.0)
    search = Search(Box((-60.0, 60.0), (-60.0, 60.0), (0.0, 20.0)), NETWORK.arrivals, Plan(), STEP_S)
    found = search.run(evidence, stack, 0.0, 20.0)
    assert better_wave(evidence, stack, NETWORK.places, [(100.0, 180.0), (120.0, 260.0)], STEP_S, found.score) is None
    # P alone, too: its moveout is no plane
    evidence[:, 1] = 0.0
    found = search.run(evidence, stack, 0.0, 20.0)
    assert better_wave(evidence, stack, NETWORK.places, [(100.0, 180.0), (120.0, 260.0)], STEP_S, found.score) is None


def test_where_no_wave_could_have_more_none_is_looked_for() -> None:
    def never(*_: object) -> NDArray[np.float32]:
        raise AssertionError("the stack was asked")

    assert better_wave(crossing(40.0, 8.0), never, NETWORK.places, WINDOWS, STEP_S, 73.0) is None


def test_an_answer_beside_a_better_wave_is_not_stood_by() -> None:
    wave = better_wave(crossing(200.0, 12.0), stack, NETWORK.places, WINDOWS, STEP_S, 30.0)
    said = trust.far_away(wave, 30.0)
    assert said is not None
    assert said.reason == trust.OUTSIDE_REGION
    assert "plane wave from" in said.detail
    assert "against 30" in said.detail
    assert trust.far_away(None, 30.0) is None
