"""What a model for any network may claim, from what it said to events and to windows without one."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.anynet.calibrating import Claims, calibration, claims_of
from scipy.stats import chi2

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Hypocenter, ModelIdentity, Solution, Trigger

MODEL = ModelIdentity("any", "1.0.0", "0" * 64, "CPUExecutionProvider")


def solution(x_km: float, y_km: float, down_km: float, covariance: np.ndarray, peak: float) -> Solution:
    """An answer so far from where the event was."""
    latitude, longitude = (float(v) for v in LocalFrame(45.0, 7.0).to_geographic(x_km, y_km))
    trigger = Trigger("o", 0.0, "e", 45.0, 7.0, 10.0)
    return Solution(trigger, MODEL, Hypocenter(latitude, longitude, 10.0 + down_km, covariance, 0.0), peak=peak)


def test_errors_are_counted_in_what_is_stated() -> None:
    covariance = np.diag([4.0, 1.0, 9.0])
    claims = claims_of([solution(2.0, 0.0, 3.0, covariance, 0.7), solution(0.0, -3.0, 0.0, covariance, 0.9)])
    assert claims.epicentre == pytest.approx([1.0, 9.0], rel=1e-3)
    assert claims.depth == pytest.approx([1.0, 0.0], abs=1e-9)
    assert claims.peak.tolist() == [0.7, 0.9]


def test_events_without_an_answer_or_a_place_are_left_out() -> None:
    good = solution(1.0, 0.0, 0.0, np.eye(3), 0.5)
    nowhere = replace(good, trigger=Trigger("o", 0.0))
    assert len(claims_of([good, replace(good, hypocenter=None), nowhere]).epicentre) == 1
    assert len((claims_of([good]) + claims_of([good, good])).peak) == 3
    assert len(claims_of([]).epicentre) == 0


def test_scales_make_the_regions_hold_as_many_as_they_say() -> None:
    rng = np.random.default_rng(2)
    epicentre = 9.0 * (rng.standard_normal((4000, 2)) ** 2).sum(1)
    depth = 4.0 * rng.standard_normal(4000) ** 2
    found = calibration(Claims(epicentre, depth, np.ones(4000)), rng.uniform(0.1, 0.5, 4000))
    assert found["covariance_scale"] == pytest.approx(9.0, rel=0.08)
    assert found["depth_covariance_scale"] == pytest.approx(4.0, rel=0.1)
    inside = np.mean(epicentre / found["covariance_scale"] <= chi2.ppf(0.68, 2))
    assert inside == pytest.approx(0.68, abs=0.005)


def test_no_window_without_an_event_would_be_accepted() -> None:
    rng = np.random.default_rng(3)
    peaks = np.concatenate([rng.uniform(0.1, 0.55, 200), [np.nan]])
    found = calibration(Claims(np.ones(30), np.ones(30), np.ones(30)), peaks)
    assert np.nanmax(peaks) < found["peak_threshold"] <= np.nanmax(peaks) + 0.03
    assert np.mean(peaks[:200] < found["no_event_threshold"]) == pytest.approx(0.95, abs=0.03)
    assert calibration(Claims(np.ones(30), np.ones(30), np.ones(30)), np.full(30, 0.999))["peak_threshold"] == 1.0


@pytest.mark.parametrize(("events", "windows"), [(19, 100), (100, 19)])
def test_too_few_are_refused(events: int, windows: int) -> None:
    with pytest.raises(SettingError, match="needs 20 located events and 20 windows"):
        calibration(Claims(*np.ones((3, events))), np.full(windows, 0.2))
