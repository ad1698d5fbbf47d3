"""What a model for any network may claim, from what it said to events and to windows without one."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.anynet.calibrating import (
    NEAR_SHARE,
    Claims,
    calibration,
    claims_of,
    claims_of_noise,
    fitted_trust,
    joined,
)
from scipy.stats import chi2

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.records import Hypocenter, ModelIdentity, Solution, Trigger

MODEL = ModelIdentity("any", "1.0.0", "0" * 64, "CPUExecutionProvider")
TRUST = {"offset": -4.0, "score": 0.3, "stations": -0.2}


def row(east_km: float, north_km: float, down_km: float, covariance: np.ndarray) -> dict:
    """An answer so far from where the event was."""
    return {
        "located": True,
        "east_km": east_km,
        "north_km": north_km,
        "depth_km": down_km,
        "covariance_km2": covariance.tolist(),
        "doubt_km2": (0.25 * covariance).tolist(),
        "score": 30.0,
        "stations": 12,
    }


def claims(near: bool | None, score: np.ndarray, stations: float = 10.0, off: float = 1.0) -> Claims:
    """Answers near their events or not; of windows without one where ``near`` is None."""
    count = len(score)
    error = np.full(count, np.inf if near is None else 0.01 if near else 0.5)
    apart = np.full((count, 3), np.nan if near is None else off)
    covariance = np.tile(np.eye(3), (count, 1, 1))
    return Claims(apart, covariance, 0.0 * covariance, error, score, np.full(count, stations))


def test_errors_are_counted_in_what_is_stated_and_in_the_networks_aperture() -> None:
    covariance = np.diag([4.0, 1.0, 9.0])
    lost = {**row(0.0, 0.0, 0.0, covariance), "located": False}
    found = claims_of([row(2.0, 0.0, 3.0, covariance), lost, row(0.0, -3.0, 0.0, covariance)], 25.0)
    assert found.apart.tolist() == [[2.0, 0.0, 3.0], [0.0, -3.0, 0.0]]
    assert np.array_equal(found.covariance, 4.0 * found.doubt)
    assert found.error == pytest.approx([0.08, 0.12])
    assert found.near.tolist() == [True, False]
    assert len(claims_of([], 25.0).error) == 0


def test_windows_without_an_event_have_no_near_answer() -> None:
    place = Hypocenter(45.0, 7.0, 10.0, np.eye(3), 0.0)
    answered = Solution(Trigger("o", 0.0), MODEL, place, score=7.0, used_stations=("XX.A", "XX.B"))
    found = claims_of_noise([answered, replace(answered, hypocenter=None)])
    assert (found.score.tolist(), found.stations.tolist(), found.near.tolist()) == ([7.0], [2.0], [False])
    assert len(joined([found, found, claims(True, np.ones(3))]).error) == 5


def test_the_trust_is_the_share_of_answers_that_are_near_an_event() -> None:
    rng = np.random.default_rng(1)
    count = 6000
    score, stations = rng.uniform(0.0, 50.0, count), rng.integers(4, 30, count).astype(float)
    chance = 1.0 / (1.0 + np.exp(-(-4.0 + 0.3 * score - 0.2 * stations)))
    near = rng.random(count) < chance
    found = replace(claims(True, score), error=np.where(near, 0.5, 2.0) * NEAR_SHARE, stations=stations)
    trust = fitted_trust(found)
    assert trust == pytest.approx(TRUST, rel=0.15)
    peaks = found.peaks(trust)
    for low in (0.1, 0.4, 0.7):
        part = (peaks > low) & (peaks < low + 0.2)
        assert np.mean(near[part]) == pytest.approx(np.mean(peaks[part]), abs=0.06)


@pytest.mark.parametrize("doubted", [0.0, 3.0])
def test_scales_make_the_regions_of_answers_that_are_stood_by_hold_as_many_as_they_say(doubted: float) -> None:
    rng = np.random.default_rng(2)
    sure = claims(True, np.full(4000, 60.0))
    # Nine and four times what is stated, and what no scale changes
    spread = np.sqrt(np.array([9.0, 9.0, 4.0]) + doubted)
    doubt = doubted * sure.covariance
    sure = replace(sure, apart=spread * rng.standard_normal((4000, 3)), covariance=sure.covariance + doubt, doubt=doubt)
    weak = claims(True, np.full(500, 5.0), off=100.0)
    noise = claims(None, rng.uniform(0.0, 10.0, 300))
    blurred = replace(sure, apart=0.1 * sure.apart)
    found = calibration(joined([sure, blurred, weak, noise]), TRUST, [joined([sure, weak]), joined([blurred, weak])])
    assert found["covariance_scale"] == pytest.approx(9.0, rel=0.1)
    assert found["depth_covariance_scale"] == pytest.approx(4.0, rel=0.2)
    squares = np.sum(sure.apart[:, :2] ** 2, axis=1) / (found["covariance_scale"] + doubted)
    assert np.mean(squares <= chi2.ppf(0.68, 2)) == pytest.approx(0.68, abs=0.005)


def test_where_the_doubt_alone_holds_all_the_rest_is_made_small() -> None:
    sure = claims(True, np.full(30, 60.0), off=0.1)
    doubt = 4.0 * sure.covariance
    sure = replace(sure, covariance=sure.covariance + doubt, doubt=doubt)
    found = calibration(joined([sure, claims(None, np.zeros(40))]), TRUST, [sure])
    assert found["covariance_scale"] == 0.01


def test_no_window_without_an_event_would_be_accepted_nor_anything_that_is_likely_wrong() -> None:
    rng = np.random.default_rng(3)
    events = claims(True, np.full(30, 80.0))
    loud = claims(None, rng.uniform(0.0, 22.0, 200))
    peaks = loud.peaks(TRUST)
    found = calibration(joined([events, loud]), TRUST, [events])
    assert peaks.max() < found["peak_threshold"] <= peaks.max() + 0.03
    assert np.mean(peaks < found["no_event_threshold"]) == pytest.approx(0.95, abs=0.03)
    assert calibration(joined([events, claims(None, np.zeros(40))]), TRUST, [events])["peak_threshold"] == 0.5


@pytest.mark.parametrize(
    ("near", "far", "noise", "message"),
    [(19, 100, 100, "19 answers are near"), (100, 10, 9, "19 are not")],
)
def test_too_few_answers_for_a_trust_are_refused(near: int, far: int, noise: int, message: str) -> None:
    parts = [claims(True, np.ones(near)), claims(False, np.ones(far)), claims(None, np.ones(noise))]
    with pytest.raises(SettingError, match=message):
        fitted_trust(joined(parts))


@pytest.mark.parametrize(
    ("events", "windows", "message"),
    [(19, 100, "19 events of a network have"), (100, 19, "20 windows without")],
)
def test_too_few_are_refused(events: int, windows: int, message: str) -> None:
    recorded = claims(True, np.full(events, 60.0))
    with pytest.raises(SettingError, match=message):
        calibration(joined([recorded, claims(None, np.ones(windows))]), TRUST, [recorded])
