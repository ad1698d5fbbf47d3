import numpy as np
import obspy
import pytest
from obspy.core.inventory import Inventory, Network
from obspy.core.inventory import Station as InventoryStation

from seiscomp_dlloc import trust
from seiscomp_dlloc.network import azimuthal_gap, inventory_stations, match_stations
from seiscomp_dlloc.passport import Calibration, Region
from seiscomp_dlloc.records import Abstention, Dropped, Station

CALIBRATION = Calibration(peak_threshold=0.4, covariance_scale=1.0, no_event_threshold=0.1)
REGION = Region((35.0, 36.0), (-98.0, -97.0), (0.0, 10.0))


def reason(rule):
    return None if rule is None else rule.reason


@pytest.mark.parametrize(("used", "expected"), [(4, "too few stations"), (5, None)])
def test_too_few_stations(used, expected):
    assert reason(trust.too_few_stations(used, 5, (Dropped("XX.A", "dead"),))) == expected


def test_too_few_stations_names_what_was_left_out():
    assert "XX.A (dead)" in trust.too_few_stations(1, 5, (Dropped("XX.A", "dead"),)).detail


@pytest.mark.parametrize(
    ("peak", "no_event", "low"),
    [(0.05, "no event in the window", "low peak"), (0.2, None, "low peak"), (0.5, None, None), (None, None, None)],
)
def test_peak_thresholds(peak, no_event, low):
    assert reason(trust.no_event(peak, CALIBRATION)) == no_event
    assert reason(trust.low_peak(peak, CALIBRATION)) == low


def test_outside_region():
    assert trust.outside_region(35.5, -97.5, REGION, at_edge=False) is None
    assert reason(trust.outside_region(36.2, -97.5, REGION, at_edge=False)) == "outside region"
    assert reason(trust.outside_region(35.5, -97.5, REGION, at_edge=True)) == "outside region"


def test_two_events_by_image_or_by_burst():
    assert trust.two_events(0, ()) is None
    assert "1 more peak in" in trust.two_events(1, ()).detail
    assert "+25.0 s" in trust.two_events(0, (25.0,)).detail


def bumps(*rows, floor=0.0):
    """Candidate times (s) and a stack with triangles 2 s wide: (time, height) each, the first one the event."""
    times = np.arange(-40.0, 40.0, 0.05)
    shapes = [height * np.clip(1.0 - np.abs(times - at), 0.0, None) for at, height in rows]
    return times, np.maximum(np.max(shapes, axis=0), floor)


@pytest.mark.parametrize(
    ("second", "floor", "found"),
    [
        ((20.0, 1.2), 0.0, True),
        ((-20.0, 1.2), 0.0, True),
        ((20.0, 0.9), 0.0, False),  # above the share of the first one, but below the level
        ((20.0, 1.2), 0.7, False),  # no dip in between
        ((2.5, 1.2), 0.0, False),  # within the main lobe
    ],
)
def test_a_second_burst_is_high_and_apart(second, floor, found):
    times, stack = bumps((0.0, 3.0), second, floor=floor)
    expected = (pytest.approx(second[0], abs=1e-6),) if found else ()
    assert trust.second_bursts(times, stack, 0.0) == expected


def test_a_second_burst_counts_against_the_first_ones_height():
    assert len(trust.second_bursts(*bumps((0.0, 3.0), (20.0, 1.2)), 0.0)) == 1
    assert trust.second_bursts(*bumps((0.0, 6.0), (20.0, 1.2)), 0.0) == ()


def test_a_stack_of_nothing_has_no_second_burst():
    times, stack = bumps((0.0, 3.0), (20.0, 1.2))
    assert trust.second_bursts(times, np.full_like(stack, np.nan), 0.0) == ()
    assert trust.second_bursts(times, stack, 1000.0) == ()


def test_station_mismatch_and_rate_mismatch():
    assert trust.station_mismatch(5, 5, 30) is None
    assert reason(trust.station_mismatch(4, 5, 30)) == "model mismatch"
    assert trust.rate_mismatch(5, 20, 5, 20.0) is None
    assert trust.rate_mismatch(2, 0, 5, 20.0) is None
    assert reason(trust.rate_mismatch(4, 20, 5, 20.0)) == "model mismatch"


def test_missing_data_counts_whole_p_and_s():
    p, s = np.array([10.0, 11.0, 12.0]), np.array([20.0, 21.0, 22.0])
    whole = [(0.0, 30.0)] * 3
    assert trust.missing_data(p, s, whole, 3) is None
    cut = [(0.0, 30.0), (0.0, 15.0), None]
    rule = trust.missing_data(p, s, cut, 2)
    assert rule.reason == "missing data"
    assert "only 1 of 2 stations" in rule.detail


def test_the_first_rule_is_the_reason_the_others_are_told():
    got = trust.first([None, Abstention("a", "one"), None, Abstention("b", "two")])
    assert got == Abstention("a", "one; also b: two")
    assert trust.first([None, None]) is None


def test_stations_match_by_code_and_place():
    wanted = [Station("XX", "A", 35.0, -97.0), Station("XX", "B", 35.1, -97.0), Station("XX", "C", 35.2, -97.0)]
    listed = [Station("XX", "A", 35.001, -97.0, 200.0), Station("XX", "B", 35.2, -97.0)]
    usable, dropped = match_stations(wanted, listed, 1.0)
    assert usable.tolist() == [True, False, False]
    assert [d.seed_id for d in dropped] == ["XX.B", "XX.C"]
    assert "11.1 km" in dropped[0].reason
    assert dropped[1].reason == "not in the inventory"


def test_inventory_stations_are_those_of_the_time():
    day = obspy.UTCDateTime(2020, 1, 1)
    rows = [
        InventoryStation("B", 35.0, -97.0, 100.0, start_date=day, end_date=day + 100),
        InventoryStation("B", 36.0, -97.0, 100.0, start_date=day + 100),
        InventoryStation("A", 34.0, -97.0, 100.0),
        InventoryStation("A", 34.0, -97.0, 100.0),
    ]
    inventory = Inventory([Network("XX", rows)])
    assert [s.id for s in inventory_stations(inventory, (day - 10).timestamp)] == ["XX.A"]
    assert [s.latitude for s in inventory_stations(inventory, (day + 10).timestamp)] == [34.0, 35.0]
    assert [s.latitude for s in inventory_stations(inventory, (day + 200).timestamp)] == [34.0, 36.0]


def test_azimuthal_gap():
    assert azimuthal_gap(np.array([0.0, 90.0, 180.0, 270.0])) == pytest.approx(90.0)
    assert azimuthal_gap(np.array([350.0, 10.0])) == pytest.approx(340.0)
    assert azimuthal_gap(np.array([33.0])) == pytest.approx(360.0)
    assert azimuthal_gap(np.zeros(0)) is None
