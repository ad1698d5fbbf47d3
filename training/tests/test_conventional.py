import numpy as np
import pytest
from dlloc_training.conventional import CalibratedTimes, Chain, EarthModelTimes, Phases
from dlloc_training.phasepicks import aic_onset, pick_p, pick_s

from seiscomp_dlloc.traveltimes import from_passport

from . import bursts


@pytest.fixture(scope="module")
def events():
    return bursts.known(5, dead=2)


@pytest.fixture(scope="module")
def chain(events):
    return Chain(CalibratedTimes(bursts.MODEL), events.network, events.network.box(10.0))


def onsets(events, k, phase):
    return bursts.ORIGIN_S + bursts.MODEL.times(phase, events.network.distances(events.hypocentre_km[k]))


def test_aic_finds_where_a_burst_begins():
    rng = np.random.default_rng(0)
    trace = rng.normal(size=200)
    trace[120:] *= 8.0
    assert abs(aic_onset(trace) - 120) <= 2
    assert aic_onset(np.zeros(200)) is None
    assert aic_onset(trace[:10]) is None
    silent = np.concatenate([np.zeros(50), trace])
    assert aic_onset(silent) is not None


def test_p_is_among_the_candidates_of_every_living_station(events):
    picks = pick_p(events.conditioned[0])
    truth = onsets(events, 0, "P")
    for station in range(bursts.STATIONS):
        times = picks.time_s[picks.station == station]
        assert (times.size == 0) if station == 2 else (np.min(np.abs(times - truth[station])) < 0.15)
    assert np.all(np.bincount(picks.station) <= 6)


def test_s_is_read_near_its_prediction_and_only_there(events):
    p, s = onsets(events, 1, "P"), onsets(events, 1, "S")
    far = int(np.argmax(np.where(np.arange(bursts.STATIONS) == 2, 0.0, s - p)))  # 2 is dead
    assert pick_s(events.conditioned[1], far, p[far], s[far] + 0.3, 1.5) == pytest.approx(s[far], abs=0.15)
    assert pick_s(events.conditioned[1], far, 2.0, 8.0, 1.5) is None  # nothing rises there
    assert pick_s(events.conditioned[1], 2, p[2], s[2], 1.5) is None  # dead


def test_events_are_located_with_most_of_their_phases(events, chain):
    for k in range(len(events)):
        located, phases = chain.run(events.conditioned[k], 10.0, 30.0)
        assert np.hypot(*(np.array([located.x_km, located.y_km]) - events.hypocentre_km[k, :2])) < 1.0
        assert located.time_s == pytest.approx(bursts.ORIGIN_S, abs=0.3)
        assert np.count_nonzero(~phases.is_s) >= 8
        assert np.count_nonzero(phases.is_s) >= 4


def test_noise_is_no_event(events, chain):
    quiet = bursts.known(1, snr=0.0)
    assert chain.run(quiet.conditioned[0], 10.0, 30.0) is None


def exact_phases(events, k, times):
    stations = np.arange(bursts.STATIONS)
    flat = events.hypocentre_km[k, :2] - events.network.positions_km
    distance = np.hypot(flat[:, 0], flat[:, 1])
    p, s = (times.times(phase, stations, distance, events.hypocentre_km[k, 2]) for phase in ("P", "S"))
    is_s = np.repeat([False, True], bursts.STATIONS)
    return Phases(np.tile(stations, 2), is_s, 20.0 + np.concatenate([p, s]), np.ones(is_s.size))


@pytest.mark.parametrize("kind", ["calibrated", "iasp91"])
def test_the_fit_finds_an_exact_hypocentre_and_ignores_a_wrong_pick(events, kind):
    if kind == "calibrated":
        times = CalibratedTimes(bursts.MODEL)
    else:
        times = EarthModelTimes(from_passport({"kind": "taup", "name": "iasp91"}))
    chain = Chain(times, events.network, events.network.box(10.0))
    phases = exact_phases(events, 3, times)
    phases.time_s[4] += 5.0
    start = np.array([0.0, 0.0, 5.0, 18.0])
    if kind == "calibrated":
        x, y, z, t = chain.fit(phases, start, None, 0.2)
        assert z == pytest.approx(events.hypocentre_km[3, 2], abs=0.3)
    else:
        depth = float(events.hypocentre_km[3, 2])
        x, y, z, t = chain.fit(phases, start, depth, 0.2)
        assert z == depth
    assert [x, y] == pytest.approx(events.hypocentre_km[3, :2].tolist(), abs=0.1)
    assert t == pytest.approx(20.0, abs=0.05)
