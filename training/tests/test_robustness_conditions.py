"""What goes wrong with an event in the tests of robustness, one condition after the other."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.experiments.records import Record, Truth
from dlloc_training.experiments.robustness import conditions as c
from dlloc_training.experiments.robustness.settings import Robustness

STATIONS, SAMPLES, RATE, ORIGIN_S = 6, 2000, 20.0, 30.0


def event(seed: int = 0, own: bool = False, magnitude: float = 3.0, name: str = "e") -> c.Event:
    """A spike at each station, at another time at each, over Gaussian noise; ``own``: the noise is in the record."""
    rng = np.random.default_rng(seed)
    data = np.zeros((3, STATIONS, SAMPLES), np.float32)
    for station in range(STATIONS):
        data[:, station, 700 + 10 * station + seed] = 50.0 + 10.0 * station
    if own:
        data += rng.normal(size=data.shape).astype(np.float32)
    truth = Truth(45.0, 10.0, 5.0, magnitude)
    record = Record(name, data, np.ones(data.shape, bool), RATE, ORIGIN_S, truth, first_pick_s=35.0)
    noise = rng.normal(size=data.shape).astype(np.float32)
    return c.Event(record, noise, own, 75.0, level=0.0 if own else 1.0)


def draw() -> np.random.Generator:
    return np.random.default_rng(7)


def changed_stations(before: c.Event, after: c.Event) -> list[int]:
    return np.flatnonzero(np.any(before.finished().data != after.finished().data, axis=(0, 2))).tolist()


def test_an_event_is_scaled_to_a_magnitude_under_the_same_noise() -> None:
    before = event()
    after = c.scaled_to(before, draw(), (), magnitude=1.0)
    expected = before.record.data * np.float32(0.01) + before.noise
    np.testing.assert_allclose(after.finished().data, expected, rtol=1e-5)
    assert after.finished().truth.magnitude == 1.0
    assert after.snr == pytest.approx(0.75)


def test_a_recorded_event_keeps_the_level_of_its_noise_when_it_is_made_smaller() -> None:
    before = event(own=True)
    after = c.scaled_to(before, draw(), (), magnitude=2.5)
    quiet = slice(0, 600)
    levels = [record.data[..., quiet].std() for record in (before.finished(), after.finished())]
    assert levels[1] == pytest.approx(levels[0], rel=0.03)
    peaks = [record.data[0, 0, 700] for record in (before.finished(), after.finished())]
    assert peaks[1] == pytest.approx(10**-0.5 * peaks[0], abs=4.0)


def test_what_cannot_be_scaled_is_left_out() -> None:
    unknown = event(own=True, magnitude=float("nan"))
    assert c.scaled_to(unknown, draw(), (), magnitude=1.0) is None
    assert c.scaled_to(event(own=True), draw(), (), magnitude=3.5) is None  # its noise cannot be made less
    assert c.scaled_to(event(), draw(), (), magnitude=3.5) is not None
    without_noise = replace(event(own=True), noise=np.zeros((3, STATIONS, SAMPLES), np.float32))
    assert c.scaled_to(without_noise, draw(), (), magnitude=1.0) is None


@pytest.mark.parametrize("own", [False, True])
def test_noise_has_the_level_that_gives_the_ratio(own: bool) -> None:
    before = event(own=own)
    after = c.with_snr(before, draw(), (), snr=5.0)
    assert after.finished().data[..., :600].std() == pytest.approx(75.0 / 5.0, rel=0.03)
    np.testing.assert_array_equal(after.record.data, before.record.data)


def test_noise_of_a_recorded_event_is_never_made_less() -> None:
    assert c.with_snr(event(own=True), draw(), (), snr=100.0) is None
    assert c.with_snr(event(), draw(), (), snr=100.0).level == pytest.approx(0.75)


def test_more_dead_stations_are_the_same_ones_and_others() -> None:
    before = event()
    gone = []
    for count in (1, 3, 5):
        record = c.without_stations(before, draw(), (), count=count).finished()
        gone.append(set(np.flatnonzero(~record.live)))
        assert len(gone[-1]) == count
        assert not record.data[:, ~record.live].any()
        np.testing.assert_array_equal(record.data[:, record.live], before.finished().data[:, record.live])
    assert gone[0] < gone[1] < gone[2]
    assert c.without_stations(before, draw(), (), count=STATIONS) is None


@pytest.mark.parametrize("own", [False, True])
def test_stations_that_record_noise_alone_have_nothing_of_the_event(own: bool) -> None:
    before = event(own=own)
    after = c.with_noise_alone(before, draw(), (), count=2)
    changed = changed_stations(before, after)
    assert len(changed) == 2
    np.testing.assert_array_equal(after.finished().data[:, changed], before.noise[:, changed])
    assert after.finished().live.all()


def test_wrong_gains_make_amplitudes_larger_or_smaller() -> None:
    before = event()
    after = c.with_wrong_gain(before, draw(), (), count=4, factor=10.0)
    ratios = after.finished().data[0, :, 5] / before.finished().data[0, :, 5]
    known = np.array([0.1, 1.0, 10.0])
    nearest = known[np.abs(np.log(ratios)[:, None] - np.log(known)).argmin(axis=1)]
    np.testing.assert_allclose(ratios, nearest, rtol=1e-4)
    assert np.count_nonzero(nearest != 1.0) == 4
    drawn = [c.with_wrong_gain(before, np.random.default_rng(k), (), count=1, factor=10.0) for k in range(20)]
    sizes = [np.abs(each.record.data).sum() > np.abs(before.record.data).sum() for each in drawn]
    assert 0 < sum(sizes) < 20


def test_a_thinned_network_loses_the_stations_that_stand_closest() -> None:
    line = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [9.0, 0.0], [9.5, 0.0], [20.0, 0.0]])
    assert np.flatnonzero(c.thinned(line, 5)).tolist() == [3]  # of 9 and 9.5 the one nearer to 5
    assert np.flatnonzero(c.thinned(line, 4)).tolist() == [1, 3]
    assert not c.thinned(line, 6).any()
    spacings = [c.spacing_km(line[~c.thinned(line, keep)]) for keep in (6, 4, 3)]
    assert spacings[0] == pytest.approx((1 + 1 + 4 + 0.5 + 0.5 + 10.5) / 6)
    assert spacings == sorted(spacings)


def test_a_second_event_comes_so_late_and_so_large() -> None:
    first, other = event(name="a"), event(seed=3, name="b")
    late = replace(other, record=replace(other.record, origin_s=ORIGIN_S - 2.0))
    after = c.with_second(first, draw(), (first, late), ratio=0.5, delay_s=4.0)
    beside = after.record.data - first.record.data
    # Both have a median peak of 75; the other's first spike lies 3 samples later, its origin time 2 s earlier
    assert np.flatnonzero(beside[0, 0]).tolist() == [703 + int(6.0 * RATE)]
    assert beside[0, 0].max() == pytest.approx(25.0)
    assert after.record.truth == first.record.truth
    assert c.with_second(first, draw(), (first,), ratio=0.5, delay_s=4.0) is None


@pytest.mark.parametrize("own", [False, True])
def test_silence_holds_noise_and_no_pick(own: bool) -> None:
    before = event(own=own)
    after = c.silenced(before, draw(), ())
    np.testing.assert_array_equal(after.finished().data, before.noise)
    assert after.silent
    assert after.finished().first_pick_s is None


def test_stations_without_noise_are_left_out_where_noise_is_added() -> None:
    before = event()
    noise = before.noise.copy()
    noise[:, 2] = 0.0
    record = replace(before, noise=noise).finished()
    assert np.flatnonzero(~record.live).tolist() == [2]
    assert not record.data[:, 2].any()


def test_every_condition_is_made_once_and_the_unperturbed_one_first() -> None:
    places = np.random.default_rng(1).uniform(-20, 20, (STATIONS, 2))
    wanted = Robustness((), (), dead=(1, 5, 6, 15), kept_shares=(0.9, 0.5, 0.45), magnitudes=())
    found = c.conditions(wanted, places)
    assert found[0].kind == c.UNPERTURBED
    of_kind = {kind: [each.at for each in found if each.kind == kind] for kind in dict.fromkeys(e.kind for e in found)}
    assert c.MAGNITUDE not in of_kind
    assert of_kind[c.DEAD] == [1.0, 5.0]  # all six, or more, cannot be dead
    assert [each.label.split(" stations")[0] for each in found if each.kind == c.SPACING] == ["5 of 6", "3 of 6"]
    assert len(of_kind[c.SECOND]) == len(wanted.second_ratios) * len(wanted.second_delays_s)
    before = event()
    errors = {each.at: each.anchor_error_s for each in found if each.kind == c.ANCHOR}
    assert errors == {value: value for value in wanted.anchor_errors_s}
    for each in found:
        assert each.change(before, draw(), (before, event(1, name="o"))).record.data.shape == before.record.data.shape
