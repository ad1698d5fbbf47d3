import numpy as np
import pytest

from seiscomp_dlloc import trust
from seiscomp_dlloc.origintime import (
    ONSET_SIGMA_S,
    first_arrival_phase,
    from_moveout,
    from_picks,
    moveout,
    weighted_median,
)
from seiscomp_dlloc.records import Conditioned

RATE, START = 20.0, 1_600_000_000.0
RNG = np.random.default_rng(7)
P = RNG.uniform(2.0, 20.0, 12)
PREDICTED = {"P": P, "S": 1.75 * P}


def conditioned(origins, snr=20.0, shifts=None, samples=2048, stations=12):
    """Noise with a decaying burst at every P (vertical) and S (horizontals) of the events at ``origins`` (s)."""
    rng = np.random.default_rng(1)
    data = rng.standard_normal((3, stations, samples))
    t = np.arange(samples) / RATE
    for origin in origins:
        for phase, rows in (("P", (0,)), ("S", (1, 2))):
            for station in range(stations):
                onset = origin + PREDICTED[phase][station] + (0.0 if shifts is None else shifts[station])
                after = t - onset
                envelope = np.where(after >= 0, snr * np.exp(-np.clip(after, 0, 50) / 2.0), 0.0)
                for row in rows:
                    data[row, station] += envelope * rng.choice([-1.0, 1.0], samples)
    return Conditioned(data.astype(np.float32), np.ones(data.shape, bool), RATE, START)


def stack_of(record, start=0.0, end=60.0, predicted=PREDICTED):
    return moveout(record, predicted, START + start, START + end)


@pytest.mark.parametrize("origin", [20.0, 31.03, 44.387])
def test_moveout_finds_the_origin_time(origin):
    got = from_moveout(stack_of(conditioned([origin])))
    assert got.time == pytest.approx(START + origin, abs=0.06)
    assert ONSET_SIGMA_S <= got.sigma_s < ONSET_SIGMA_S + 0.05
    assert got.method == "moveout"
    assert got.used == 12


def test_moveout_outvotes_a_wrong_station_and_says_so_by_sigma():
    wrong = np.zeros(12)
    wrong[:2] = 1.0
    got = from_moveout(stack_of(conditioned([30.0], shifts=wrong)))
    assert got.time == pytest.approx(START + 30.0, abs=0.1)
    spread = from_moveout(stack_of(conditioned([30.0], shifts=np.linspace(-1, 1, 12))))
    assert spread.sigma_s > got.sigma_s


def test_moveout_skips_what_is_not_valid():
    record = conditioned([30.0])
    record.valid[:, 0], record.data[:, 0] = False, 0.0
    record.valid[:, :, :500] = False
    record.data[:, :, :500] = 0.0
    got = from_moveout(stack_of(record))
    assert got.used == 11
    assert got.time == pytest.approx(START + 30.0, abs=0.06)
    record.valid[:] = False
    assert from_moveout(stack_of(record)) is None


def test_one_station_is_no_network():
    record = conditioned([30.0])
    record.valid[:, 1:] = False
    assert from_moveout(stack_of(record)) is None


def test_a_second_event_at_the_place_is_a_second_burst():
    stack = stack_of(conditioned([20.0, 45.0]))
    got = from_moveout(stack.between(START + 10, START + 30))
    bursts = trust.second_bursts(stack.times, stack.stack, got.time)
    assert bursts == pytest.approx((25.0,), abs=0.2)
    assert trust.two_events(0, bursts).reason == "two events in the window"
    single = stack_of(conditioned([20.0]))
    assert trust.second_bursts(single.times, single.stack, START + 20.0) == ()


def test_picks_give_the_time_despite_an_outlier():
    noise = RNG.normal(0, 0.1, 12)
    observed = START + 30.0 + P + noise
    observed[3] += 25.0
    got = from_picks(observed, P, np.ones(12))
    assert got.time == pytest.approx(START + 30.0, abs=0.1)
    assert got.weights[3] == 0.0
    assert got.used == 11
    assert 0.005 < got.sigma_s < 0.1
    assert got.method == "picks"


def test_exact_picks_keep_microseconds():
    got = from_picks(START + 30.123456 + P, P, np.ones(12))
    assert got.time - START == pytest.approx(30.123456, abs=2e-6)


def test_too_few_picks_are_no_answer():
    assert from_picks(START + P[:2], P[:2], np.ones(2)) is None
    assert from_picks(START + P[:4], P[:4], np.array([1.0, 1.0, 0.0, 0.0])) is None
    assert from_picks(np.zeros(0), np.zeros(0), np.zeros(0)) is None


def test_weighted_median():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)) == 2.0
    assert weighted_median(np.array([1.0, 2.0]), np.ones(2)) == 1.5
    assert weighted_median(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 5.0])) == 9.0


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("P", "P"),
        ("Pn", "P"),
        ("p", "P"),
        ("Sg", "S"),
        ("S*", "S"),
        ("", None),
        ("PcP", None),
        ("pP", None),
        ("Lg", None),
    ],
)
def test_first_arrival_phases(name, phase):
    assert first_arrival_phase(name) == phase


def test_a_wrong_place_stacks_worse_and_is_no_second_event():
    record = conditioned([30.0])
    right = from_moveout(stack_of(record))
    wrong = PREDICTED["P"][::-1]
    stack = stack_of(record, predicted={"P": wrong, "S": 1.75 * wrong})
    astray = from_moveout(stack)
    assert astray.mean_ratio < 0.5 * right.mean_ratio
    assert trust.second_bursts(stack.times, stack.stack, astray.time) == ()
