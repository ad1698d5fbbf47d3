import numpy as np
import pytest
from dlloc_training.moveout import MoveoutModel, Records, calibrate, pick

RATE = 20.0
SAMPLES = 1600
VP, VS, P_DELAY, S_DELAY = 6.1, 3.5, 0.25, 0.8


def synthetic(events=40, stations=12, seed=0, noise_s=0.0, wrong=0.0):
    """Characteristic functions with a Gaussian bump at every onset; ``wrong`` of the bumps stand up to 2 s off."""
    rng = np.random.default_rng(seed)
    distance = rng.uniform(8.0, 120.0, (events, stations))
    origin = rng.uniform(7.0, 9.0, events)
    p_terms, s_terms = rng.normal(0.0, 0.2, stations), rng.normal(0.0, 0.3, stations)
    event_terms = rng.normal(0.0, 0.4, events)
    functions = []
    for speed, delay, terms in ((VP, P_DELAY, p_terms), (VS, S_DELAY, s_terms)):
        onset = (origin + event_terms)[:, None] + distance / speed + delay + terms
        onset = onset + rng.normal(0.0, noise_s, onset.shape) if noise_s else onset
        onset = onset + np.where(rng.random(onset.shape) < wrong, rng.uniform(-2.0, 2.0, onset.shape), 0.0)
        t = np.arange(SAMPLES) / RATE
        functions.append(4.0 * np.exp(-0.5 * ((t - onset[..., None]) / 0.15) ** 2))
    return Records(functions[0], functions[1], RATE, origin, distance), (p_terms, s_terms, event_terms)


def test_velocities_delays_and_terms_come_back():
    records, (p_terms, s_terms, event_terms) = synthetic()
    model = calibrate(records)
    assert model.vp == pytest.approx(VP, rel=2e-3)
    assert model.vs == pytest.approx(VS, rel=2e-3)
    # The model's means are zero by its own rule, and the delays hold what the means of the truth were
    assert model.p_delay == pytest.approx(P_DELAY + p_terms.mean() + np.median(event_terms), abs=0.03)
    assert model.s_delay == pytest.approx(S_DELAY + s_terms.mean() + np.median(event_terms), abs=0.03)
    np.testing.assert_allclose(model.p_terms, p_terms - p_terms.mean(), atol=0.03)
    np.testing.assert_allclose(model.s_terms, s_terms - s_terms.mean(), atol=0.03)
    np.testing.assert_allclose(model.event_terms, event_terms - np.median(event_terms), atol=0.03)
    assert model.p_mad_s < 0.02
    assert model.s_mad_s < 0.02


def test_a_fifth_of_wrong_picks_does_little():
    records, _ = synthetic(noise_s=0.05, wrong=0.2)
    model = calibrate(records)
    assert model.vp == pytest.approx(VP, rel=0.01)
    assert model.vs == pytest.approx(VS, rel=0.01)


def test_times_are_those_of_the_onsets():
    records, _ = synthetic()
    model = calibrate(records)
    onset = (records.origin_s + model.event_terms)[:, None] + model.times("S", records.distance_km)
    highest = np.argmax(records.s, axis=-1) / RATE
    assert np.median(np.abs(onset - highest)) < 0.05
    with pytest.raises(ValueError, match="P or S"):
        model.times("Lg", 1.0)


def test_a_silent_station_has_no_term_and_leaves_the_others_alone():
    records, _ = synthetic()
    whole = calibrate(records)
    records.p[:, 3], records.s[:, 3] = np.nan, np.nan
    model = calibrate(records)
    assert model.p_terms[3] == 0.0
    assert model.s_terms[3] == 0.0
    others = np.arange(12) != 3
    spread = model.p_terms[others] - whole.p_terms[others]
    assert np.ptp(spread) < 0.02
    assert model.p_picks == whole.p_picks - 40


def test_too_few_picks_are_refused():
    records, _ = synthetic(events=2)
    records.s[:] = 0.0
    with pytest.raises(ValueError, match="picks of S"):
        calibrate(records)


def test_shapes_must_agree():
    records, _ = synthetic(events=3)
    with pytest.raises(ValueError, match="distance_km"):
        Records(records.p[:2], records.s, RATE, records.origin_s, records.distance_km)


def test_pick_refines_below_the_sample_and_refuses_edges():
    t = np.arange(200) / RATE
    function = np.exp(-0.5 * ((t - 5.013) / 0.2) ** 2)
    assert pick(function, RATE, np.array(4.8), 1.0, 0.5) == pytest.approx(5.013, abs=0.005)
    assert np.isnan(pick(function, RATE, np.array(4.8), 1.0, 1.5))
    assert np.isnan(pick(function, RATE, np.array(3.9), 1.0, 0.1))  # still rising at the window's end
    assert np.isnan(pick(function, RATE, np.array(np.nan), 1.0, 0.1))
    assert np.isnan(pick(function, RATE, np.array(99.0), 1.0, 0.0))


def test_earth_model_is_what_a_passport_takes():
    model = MoveoutModel(6.0, 3.5, 0.3, 0.8, np.zeros(2), np.zeros(2), np.zeros(1), 0.1, 0.1, 9, 9)
    from seiscomp_dlloc.traveltimes import from_passport

    times = from_passport(model.earth_model())
    assert times.times("P", 30.0, 40.0) == pytest.approx(model.times("P", 50.0)[0])
    assert times.times("S", 30.0, 40.0) == pytest.approx(model.times("S", 50.0)[0])
