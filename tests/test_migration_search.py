"""The search by migration, on evidence made for it."""

import numpy as np
import pytest
from migrating import STEP_S, Network, stack
from numpy.typing import NDArray

from seiscomp_dlloc.migration.answer import (
    best_near,
    cut_off,
    image_of,
    misfit,
    moments,
    onsets_of,
    shares,
    sure_rms,
    trust_of,
)
from seiscomp_dlloc.migration.area import Box, axes, search_box
from seiscomp_dlloc.migration.prior import Expected, place_prior
from seiscomp_dlloc.migration.search import Plan, Search, smoothed, widened
from seiscomp_dlloc.records import Onset

BOX = Box((-60.0, 60.0), (-60.0, 60.0), (0.0, 20.0))


@pytest.mark.parametrize(
    ("place", "time"),
    [((0.0, 0.0, 10.0), 8.0), ((23.0, -17.0, 5.0), 3.3), ((-55.0, 40.0, 12.0), 1.0), ((3.0, 2.0, 8.0), -2.5)],
)
def test_the_place_and_time_of_the_onsets_are_found(place: tuple[float, float, float], time: float) -> None:
    network = Network()
    search = Search(BOX, network.arrivals, Plan(), STEP_S)
    found = search.run(network.evidence(*place, time), stack, -10.0, 20.0)
    mean, covariance = moments(found.axes, shares(found))
    assert np.hypot(mean[0] - place[0], mean[1] - place[1]) < 0.3
    assert mean[2] == pytest.approx(place[2], abs=1.0)
    assert float(np.sum(shares(found) * found.time_s)) == pytest.approx(time, abs=0.12)
    assert np.all(np.linalg.eigvalsh(covariance) > 0)
    assert found.score == pytest.approx(6.0 * 24, rel=0.05)


def test_a_dead_station_and_an_outlier_do_little_harm() -> None:
    network = Network()
    evidence = network.evidence(10.0, 5.0, 8.0, 4.0)
    evidence[0] = 0.0
    evidence[3] = np.roll(evidence[3], 40, axis=-1)
    found = Search(BOX, network.arrivals, Plan(), STEP_S).run(evidence, stack, -5.0, 15.0)
    mean, _ = moments(found.axes, shares(found))
    assert np.hypot(mean[0] - 10.0, mean[1] - 5.0) < 0.5


def test_phases_that_reach_no_station_take_no_part() -> None:
    network = Network()

    def arrivals(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        times = network.arrivals(x, y, z)
        times[:, 2:4, 1] = np.nan
        return times

    def stack_of_finite(e: NDArray[np.float32], a: NDArray[np.float32], o: NDArray[np.float32]) -> NDArray[np.float32]:
        return stack(e, np.where(np.isfinite(a), a, -1e6).astype(np.float32), o)

    search = Search(BOX, arrivals, Plan(), STEP_S)
    found = search.run(network.evidence(-12.0, 8.0, 6.0, 2.0), stack_of_finite, -5.0, 15.0)
    mean, _ = moments(found.axes, shares(found))
    assert np.hypot(mean[0] + 12.0, mean[1] - 8.0) < 0.3
    assert np.isfinite(search.latest_first_arrival())


def test_a_fixed_depth_is_kept() -> None:
    network = Network()
    box = Box(BOX.x_km, BOX.y_km, (7.0, 7.0))
    found = Search(box, network.arrivals, Plan(), STEP_S).run(network.evidence(5.0, 5.0, 7.0, 2.0), stack, -5.0, 15.0)
    assert found.axes.z_km.tolist() == [7.0]


def test_weak_evidence_gives_a_wide_answer() -> None:
    network = Network()
    search = Search(BOX, network.arrivals, Plan(), STEP_S)
    strong = search.run(network.evidence(5.0, 5.0, 7.0, 2.0), stack, -5.0, 15.0)
    weak = search.run(0.08 * network.evidence(5.0, 5.0, 7.0, 2.0, width=4.0), stack, -5.0, 15.0)
    spread = [np.sqrt(moments(found.axes, shares(found))[1][0, 0]) for found in (strong, weak)]
    assert spread[1] > 5.0 * spread[0]


def test_a_grid_reaches_from_border_to_border_with_no_larger_steps_than_asked() -> None:
    grid = axes(Box((0.0, 10.0), (-1.0, 1.0), (3.0, 3.0)), 3.0, 1.0)
    assert (grid.x_km[0], grid.x_km[-1]) == (0.0, 10.0)
    assert np.diff(grid.x_km).max() <= 3.0
    assert grid.shape == (1, 2, 5)
    x, y, z = grid.nodes()
    assert x.size == 10
    assert (x[1], y[1], z[1]) == (2.5, -1.0, 3.0)


def test_the_box_holds_stations_and_what_lies_below_them() -> None:
    box = search_box(np.array([[0.0, 0.0], [10.0, 4.0]]), np.array([1.5, 2.0]), 0.3, 1.0, 60.0)
    assert box.x_km == (-3.0, 13.0)
    assert box.y_km == (-3.0, 7.0)
    assert box.z_km == (-2.0, pytest.approx(8.5))
    assert search_box(np.zeros((1, 2)), np.zeros(1), 0.3, 1.0, 60.0).z_km[1] > 0
    assert search_box(np.array([[0.0, 0.0], [500.0, 4.0]]), np.zeros(2), 0.3, 1.0, 60.0).z_km[1] == 60.0


def test_evidence_is_widened_to_what_lies_near() -> None:
    evidence = np.zeros((1, 2, 9), np.float32)
    evidence[0, :, 4] = 1.0
    wide = widened(evidence, 1.0, 2.0)
    assert wide[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert wide[0, 1].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_smoothing_keeps_the_mean_of_the_likelihood_ratio() -> None:
    evidence = np.log(np.random.default_rng(1).uniform(0.5, 3.0, (2, 2, 200))).astype(np.float32)
    assert smoothed(evidence, 0.0, 3.0) is evidence
    wide = smoothed(evidence, 2.0, 3.0)
    assert np.exp(wide).mean() == pytest.approx(np.exp(evidence).mean(), rel=0.01)
    assert wide.std() < 0.7 * evidence.std()


def test_trust_grows_with_the_evidence_and_asks_for_more_of_it_where_there_are_more_stations() -> None:
    head = {"offset": -4.0, "score": 0.25, "stations": -0.2}
    assert trust_of(16.0, 0, head) == pytest.approx(0.5)
    assert trust_of(32.0, 20, head) == pytest.approx(0.5)
    peaks = [trust_of(score, 12, head) for score in (-1e6, 0.0, 20.0, 40.0, 1e6)]
    assert peaks == sorted(peaks)
    assert (peaks[0], peaks[-1]) == pytest.approx((0.0, 1.0))


def test_onsets_are_told_where_they_are_with_residual_and_probability() -> None:
    network = Network(3)
    evidence = network.evidence(0.0, 0.0, 5.0, 3.0)
    evidence[2] = 0.0
    at = (network.arrivals(np.zeros(1), np.zeros(1), np.array([5.0]))[0] + 3.0) / STEP_S
    at[1, 1] = 1e4
    found = onsets_of(*best_near(evidence, at - 4.0, 10), at - 4.0, ("A.1", "A.2", "A.3"), 1000.0, STEP_S)
    assert [(onset.station_id, onset.phase) for onset in found] == [
        ("A.1", "P"), ("A.1", "S"), ("A.2", "P"), ("A.3", "P"), ("A.3", "S")
    ]  # fmt: skip
    assert found[0].time == pytest.approx(1000.0 + at[0, 0] * STEP_S, abs=0.01)
    assert found[0].residual_s == pytest.approx(0.4, abs=0.01)
    assert found[0].probability > 0.99
    assert found[3].probability == 0.5


def test_an_onset_that_lies_beyond_the_reach_is_not_told() -> None:
    network = Network(3)
    evidence = network.evidence(0.0, 0.0, 5.0, 3.0, width=4.0)
    at = (network.arrivals(np.zeros(1), np.zeros(1), np.array([5.0]))[0] + 3.0) / STEP_S
    value, place = best_near(evidence, at - 12.0, 10)
    assert np.all(value > 1.0)
    assert np.all(np.isnan(place))
    assert onsets_of(value, place, at - 12.0, ("A.1", "A.2", "A.3"), 0.0, STEP_S) == ()


def test_the_image_stands_where_the_grid_is() -> None:
    from seiscomp_dlloc.geometry import LocalFrame

    network = Network()
    found = Search(BOX, network.arrivals, Plan(), STEP_S).run(network.evidence(10.0, -5.0, 8.0, 4.0), stack, -5.0, 15.0)
    image = image_of(found.axes, shares(found), LocalFrame(45.0, 10.0))
    _, iy, ix = np.unravel_index(int(np.argmax(image.values)), image.values.shape)
    assert image.grid.x_km[ix] == pytest.approx(10.0, abs=0.5)
    assert image.grid.y_km[iy] == pytest.approx(-5.0, abs=0.5)
    assert image.values.sum() == pytest.approx(1.0, abs=1e-4)


def test_of_two_places_that_are_seen_as_well_the_likelier_one_is_taken_and_no_other() -> None:
    network = Network()
    near, far = (10.0, 0.0, 8.0), (58.0, 0.0, 8.0)
    both = np.maximum(network.evidence(*near, 18.0), network.evidence(*far, 5.0))
    plan = Plan()
    here, there = np.array([[-40.0, -40.0], [40.0, 40.0]]), np.array([[55.0, -9.0], [60.0, 9.0]])
    for stations, expected in ((here, near), (there, far)):
        prior = place_prior(stations, {"outside_share": 0.2})
        found = Search(BOX, network.arrivals, plan, STEP_S, prior).run(both, stack, -5.0, 25.0)
        assert best_of(found)[:2] == pytest.approx(expected[:2], abs=1.0)
        # What is seen outweighs what is thought
        strong = np.maximum(both, 4.0 * network.evidence(*far, 5.0))
        found = Search(BOX, network.arrivals, plan, STEP_S, prior).run(strong, stack, -5.0, 25.0)
        assert best_of(found)[:2] == pytest.approx(far[:2], abs=1.0)


def test_of_two_times_that_are_seen_as_well_the_expected_one_is_taken() -> None:
    network = Network()
    both = np.maximum(network.evidence(5.0, 5.0, 8.0, 2.0), network.evidence(5.0, 5.0, 8.0, 15.0))
    search = Search(BOX, network.arrivals, Plan(), STEP_S)
    for time in (2.0, 15.0):
        found = search.run(both, stack, -5.0, 25.0, Expected(time - 1.0, 2.0))
        assert best_of(found)[3] == pytest.approx(time, abs=0.2)


def test_deep_and_distant_places_are_less_likely_and_none_is_likelier_than_those_among_stations() -> None:
    prior = place_prior(
        np.array([[0.0, 0.0], [20.0, 10.0]]), {"outside_share": 0.5, "shallow_km": 15.0, "deep_km": 5.0}
    )
    x, y, z = np.array([5.0, 30.0, 5.0, -3.0]), np.array([5.0, 5.0, 5.0, -4.0]), np.array([10.0, 0.0, 25.0, 20.0])
    assert prior(x, y, z) == pytest.approx([0.0, -1.0, -2.0, -1.5])
    assert place_prior(np.zeros((2, 2)), {})(x, y, z) == pytest.approx(0.0)


def best_of(found) -> tuple[float, float, float, float]:
    z, y, x = np.unravel_index(int(np.argmax(found.log_probability)), found.axes.shape)
    return found.axes.x_km[x], found.axes.y_km[y], found.axes.z_km[z], found.time_s[z, y, x]


def test_the_epicentre_without_a_station_is_that_of_the_others_evidence() -> None:
    network = Network(6)
    evidence = network.evidence(5.0, -3.0, 8.0, 4.0)
    evidence[2] = np.roll(evidence[2], 8, axis=-1)
    search = Search(BOX, network.arrivals, Plan(smooth_s=0.3), STEP_S)
    found = search.run(evidence, stack, -5.0, 25.0)
    means = search.without_each(evidence, stack, found)
    rest = evidence.copy()
    rest[2] = 0.0
    sums = np.exp(
        stack(search.smoothed(rest), network.arrivals(*found.axes.nodes()) / STEP_S, found.origins_s / STEP_S)
    )
    share = sums.sum(axis=1) / sums.sum()
    x, y, _ = found.axes.nodes()
    assert means[2] == pytest.approx([share @ x, share @ y], abs=0.01)
    assert np.hypot(*(means[2] - [5.0, -3.0])) < np.hypot(*(means[3] - [5.0, -3.0]))


def test_residuals_that_no_fitting_earth_leaves_are_told() -> None:
    def seen(residual: float, probability: float = 0.99) -> Onset:
        return Onset("XX.A", "P", 0.0, probability, residual)

    assert misfit([seen(0.3), seen(-0.3)], 0.1) == ()
    assert misfit([seen(0.3), seen(-0.9), seen(0.9, 0.5)], 0.1) != ()
    assert misfit([seen(0.9, 0.5)], 0.1) == ()
    assert misfit([], 0.1) == ()
    assert "0.30 s" in misfit([seen(0.3)], 0.04)[0]


def test_arrivals_before_the_window_are_told() -> None:
    assert cut_off(np.array([-3.0, 4.0, 9.0, 12.0, 15.0]), 5) == ()
    assert "P of 2 of 5 stations" in cut_off(np.array([-3.0, -1.0, 9.0, 12.0, np.nan]), 5)[0]


def test_onsets_that_do_not_fit_tell_how_far() -> None:
    def onset(residual_s: float, probability: float = 0.95) -> Onset:
        return Onset("XX.A", "P", 0.0, probability, residual_s)

    assert sure_rms([onset(0.3), onset(-0.4), onset(9.0, 0.5)]) == pytest.approx(np.sqrt(0.125))
    assert sure_rms([onset(1.0, 0.2)]) == 0.0


def test_onsets_that_are_far_off_pull_less_than_normal_errors_would_have_it() -> None:
    network = Network()
    evidence = network.evidence(6.0, -3.0, 10.0, 10.0)
    for station in (1, 5, 6):
        evidence[station] = np.roll(evidence[station], 9, axis=-1)
    off = {}
    for tails in (1.0, 1e6):
        search = Search(BOX, network.arrivals, Plan(smooth_s=0.3, tails=tails), STEP_S)
        found = search.run(evidence, stack, 5.0, 15.0)
        _, row, column = np.unravel_index(int(np.argmax(found.log_probability)), found.axes.shape)
        off[tails] = np.hypot(found.axes.x_km[column] - 6.0, found.axes.y_km[row] + 3.0)
    assert off[1.0] < 0.7 * off[1e6]
