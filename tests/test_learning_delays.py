"""What onsets say that stations are late by, from where they were located or from where a catalogue has them."""

import pytest

from seiscomp_dlloc.arrivals.learning import LEAST_PROBABILITY, learn, residuals_of, seen_from
from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.records import Onset

EARTH = {"kind": "taup", "name": "iasp91"}
TIMES = {("XX.A", "P"): 4.0, ("XX.A", "S"): 7.0, ("XX.B", "P"): 6.0, ("XX.B", "S"): float("nan")}


def onset(station: str, phase: str, time: float, probability: float = 0.99) -> Onset:
    return Onset(station, phase, time, probability, residual_s=9.0)


def test_residuals_from_a_known_place_leave_the_catalogues_origin_time_out() -> None:
    for origin in (100.0, 103.5):
        late = {("XX.A", "P"): 0.2, ("XX.A", "S"): -0.1, ("XX.B", "P"): 0.0}
        onsets = [onset(*key, origin + TIMES[key] + delay) for key, delay in late.items()]
        found = seen_from([*onsets, onset("XX.B", "S", 120.0), onset("XX.C", "P", 111.0)], TIMES)
        assert {(one.station_id, one.phase): one.residual_s for one in found} == pytest.approx(late)


def test_doubtful_onsets_do_not_say_when_the_event_began() -> None:
    sure = [onset("XX.A", "P", 104.0), onset("XX.B", "P", 106.0)]
    doubtful = [onset("XX.A", "S", 117.0, 0.5 * LEAST_PROBABILITY)]
    assert [one.residual_s for one in seen_from(sure + doubtful, TIMES)] == pytest.approx([0.0, 0.0, 10.0])
    assert seen_from(doubtful, TIMES) == ()
    assert residuals_of([seen_from(sure + doubtful, TIMES)]) == {
        ("XX.A", "P"): pytest.approx([0.0]),
        ("XX.B", "P"): pytest.approx([0.0]),
    }


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(SettingError, match="no event was located"):
        learn(residuals_of([()]), EARTH)
