"""Stations whose clock is wrong."""

import numpy as np
import pytest
from migrating import STEP_S, Network
from numpy.typing import NDArray

from seiscomp_dlloc.migration.clocks import told, wrong_clocks

NETWORK = Network()
NAMES = [f"XX.S{k:02d}" for k in range(len(NETWORK.places))]
PLACE = (5.0, -8.0, 12.0)
TIME_S = 10.0


def seen(late_s: dict[int, tuple[float, float]]) -> dict[str, float]:
    """The wrong clocks where P and S of some stations are late by so much."""
    evidence = NETWORK.evidence(*PLACE, TIME_S)
    for station, late in late_s.items():
        for phase, seconds in enumerate(late):
            evidence[station, phase] = np.roll(evidence[station, phase], round(seconds / STEP_S))
    return wrong_clocks(evidence, predicted(), NAMES, STEP_S)


def predicted() -> NDArray[np.float64]:
    x, y, z = (np.array([value]) for value in PLACE)
    return (NETWORK.arrivals(x, y, z)[0] + TIME_S) / STEP_S


def test_p_and_s_that_are_late_by_one_time_are_a_clocks() -> None:
    found = seen({3: (1.2, 1.2), 7: (-2.0, -1.9)})
    assert found == {"XX.S03": pytest.approx(1.2, abs=0.16), "XX.S07": pytest.approx(-2.0, abs=0.16)}


@pytest.mark.parametrize("late", [(0.3, 0.3), (1.2, 0.0), (1.0, 1.9), (5.0, 5.0)], ids=str)
def test_other_onsets_are_not(late: tuple[float, float]) -> None:
    # Near enough; P alone; as slower rocks would have it; too late to be told from another event
    assert seen({3: late}) == {}


def test_where_most_clocks_look_wrong_it_is_the_place_that_is() -> None:
    assert seen({station: (1.0, 1.0) for station in range(4)}).keys() == {"XX.S00", "XX.S01", "XX.S02", "XX.S03"}
    assert seen({station: (1.0, 1.0) for station in range(6)}) == {}


def test_onsets_beyond_the_record_tell_nothing() -> None:
    evidence, steps = NETWORK.evidence(*PLACE, TIME_S), predicted()
    steps[2] = np.nan
    steps[4] = evidence.shape[-1] + 20.0
    assert wrong_clocks(evidence, steps, NAMES, STEP_S) == {}


def test_the_note_names_station_and_time() -> None:
    assert told({"XX.S03": -1.2}) == ("P and S of XX.S03 are 1.2 s early, both: look at its clock",)
