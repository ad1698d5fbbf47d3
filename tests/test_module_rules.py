"""Which origins the module locates, and how it knows its own and those of one earthquake."""

import math
from dataclasses import replace

import pytest

from seiscomp_dlloc.seiscomp_app.apart import distance
from seiscomp_dlloc.seiscomp_app.crowd import Seen, same_event
from seiscomp_dlloc.seiscomp_app.rules import Facts, Own, Trigger, choose_profiles, is_own_id, matches, refusal

NOW = 1000.0
OWN = Own("dlloc@host", "External:DLLOC")
ORIGIN = Facts(
    "Origin/2016",
    time=900.0,
    latitude=36.0,
    longitude=-97.0,
    depth_km=5.0,
    agency="TST",
    author="scautoloc@proc",
    method="LOCSAT",
    mode="automatic",
    phases=8,
)


def why(trigger: Trigger, **changed: object) -> str | None:
    return refusal(replace(ORIGIN, **changed), trigger, OWN, NOW)


def in_oklahoma(latitude: float, longitude: float) -> bool:
    return 34.0 < latitude < 37.5 and -100.0 < longitude < -94.0


def test_without_conditions_every_foreign_origin_is_located():
    assert why(Trigger()) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"public_id": "Origin/dlloc/0123/1"},
        {"author": "dlloc@host"},
        {"method": "External:DLLOC"},
        {"method": "DLLOC"},
        {"method": "DLLOC/okla"},
    ],
)
def test_our_own_origins_never_are(changed: dict[str, str]):
    assert why(Trigger(), **changed) == "an origin of our own"


def test_own_ids_are_known_by_their_beginning():
    assert is_own_id("Origin/dlloc/abc/1")
    assert not is_own_id("Origin/20201030115448.477122.57903")


@pytest.mark.parametrize(
    ("trigger", "changed", "word"),
    [
        (Trigger(agencies=("TST",)), {"agency": "GFZ"}, "agencies"),
        (Trigger(agencies=("TST",)), {"agency": ""}, "(none)"),
        (Trigger(agencies_blacklist=("T*",)), {}, "agenciesBlacklist"),
        (Trigger(authors=("scautoloc*",)), {"author": "scanloc@proc"}, "authors"),
        (Trigger(authors_blacklist=("sc*@proc",)), {}, "authorsBlacklist"),
        (Trigger(modes=("automatic",)), {"mode": "manual"}, "manual"),
        (Trigger(modes=("manual",)), {"mode": ""}, "automatic"),
        (Trigger(min_phases=9), {}, "8 phases, trigger.minPhases is 9"),
        (Trigger(max_age_s=99.0), {}, "100 s old"),
        (Trigger(region=in_oklahoma), {"latitude": 10.0}, "trigger.region"),
        (Trigger(), {"status": "rejected"}, "rejected"),
        (Trigger(), {"latitude": math.nan}, "finite"),
    ],
)
def test_each_condition_refuses_by_name(trigger: Trigger, changed: dict[str, object], word: str):
    assert word in str(why(trigger, **changed))


def test_each_condition_lets_the_right_origin_pass():
    trigger = Trigger(
        agencies=("GFZ", "TST"),
        agencies_blacklist=("X",),
        authors=("scautoloc*",),
        authors_blacklist=("scautoloc@test",),
        modes=("automatic",),
        min_phases=8,
        max_age_s=100.0,
        region=in_oklahoma,
    )
    assert why(trigger) is None


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("scautoloc@proc", "scautoloc@*", True),
        ("scautoloc@proc", "*@proc", True),
        ("scautoloc@proc", "*auto*", True),
        ("scautoloc@proc", "scautoloc@pro?", True),
        ("scautoloc@proc", "scautoloc", False),
        ("scautoloc@proc", "scautoloc@proc?", False),
        ("scautoloc@[::1]", "scautoloc@[::1]", True),
        ("a", "**", True),
        ("", "*", False),
        ("a*b", "a*b", True),
    ],
)
def test_patterns_have_stars_and_question_marks(value: str, pattern: str, expected: bool):
    assert matches(value, [pattern]) is expected


def test_a_profile_is_chosen_by_its_region_and_one_without_takes_all():
    profiles = [("okla", in_oklahoma), ("world", None)]
    assert choose_profiles(ORIGIN, profiles) == ["okla", "world"]
    assert choose_profiles(replace(ORIGIN, latitude=0.0), profiles) == ["world"]


def seen(picks: str, **changed: object) -> Seen:
    return Seen(replace(ORIGIN, **changed), frozenset(picks))


def test_origins_that_share_three_picks_are_of_one_earthquake_wherever_they_lie():
    assert same_event(seen("abcde"), seen("cdexy", latitude=30.0, time=950.0))
    assert not same_event(seen("abcde"), seen("dexyz"))


def test_origins_with_few_picks_are_when_time_and_place_agree():
    assert same_event(seen(""), seen("", time=903.0))
    assert same_event(seen("ab"), seen("bc"))
    assert not same_event(seen(""), seen("", time=910.0))
    assert not same_event(seen(""), seen("", latitude=37.0))
    assert not same_event(seen("ab"), seen("xy"))


SOLUTION = {
    "latitude": 36.0 + 3.0 / 111.195,
    "longitude": -97.0,
    "depth_km": 9.0,
    "covariance_km2": [[4.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 4.0]],
}


def test_the_distance_is_given_in_km_on_the_map_and_in_standard_deviations_in_space():
    kilometres, sigma = distance(SOLUTION, ORIGIN)
    assert kilometres == pytest.approx(3.0, abs=0.01)
    # One in the north, two in depth
    assert sigma == pytest.approx(math.sqrt(5.0), abs=0.01)


def test_without_a_depth_uncertainty_the_map_is_what_can_be_judged():
    flat = {**SOLUTION, "covariance_km2": [[4.0, 0.0, None], [0.0, 9.0, None], [None, None, None]]}
    assert distance(flat, ORIGIN)[1] == pytest.approx(1.0, abs=0.01)
    assert distance(SOLUTION, replace(ORIGIN, depth_km=None))[1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("covariance", [None, [], [[None] * 3] * 3, [[-1.0, 0.0, 0.0]] * 3, [[0.0] * 3] * 3])
def test_without_a_covariance_there_are_km_only(covariance: object):
    kilometres, sigma = distance({**SOLUTION, "covariance_km2": covariance}, ORIGIN)
    assert kilometres == pytest.approx(3.0, abs=0.01)
    assert sigma is None


def test_correlated_uncertainties_are_whitened():
    turned = {**SOLUTION, "depth_km": 5.0, "covariance_km2": [[4.0, 3.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]}
    # 3 km to the north: 9 * 4 / (16 - 9)
    assert distance(turned, ORIGIN)[1] == pytest.approx(math.sqrt(36.0 / 7.0), rel=1e-3)


def test_no_solution_has_no_distance():
    assert distance(None, ORIGIN) is None
    assert distance({"latitude": None, "longitude": None}, ORIGIN) is None


def test_the_date_line_is_no_distance():
    there = {"latitude": 0.0, "longitude": -179.95, "covariance_km2": None}
    assert distance(there, replace(ORIGIN, latitude=0.0, longitude=179.95))[0] == pytest.approx(11.1, abs=0.1)
