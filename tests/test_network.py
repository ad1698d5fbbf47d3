"""Stations of an inventory against those of a passport: codes, places, epochs, directions."""

import copy
import json
from dataclasses import replace

import numpy as np
import obspy
import pytest
import tinymodels
from obspy.core.inventory import Channel, Inventory, Network
from obspy.core.inventory import Station as Entry
from samples import passport_document
from scene import inventory as scene_inventory
from scene import make_scene, quakeml, waveforms

from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Locator
from seiscomp_dlloc.model import load
from seiscomp_dlloc.network import (
    epoch_changes,
    inventory_stations,
    match_network,
    match_stations,
    network_report,
    nothing_recorded,
    stations_to_fetch,
)
from seiscomp_dlloc.passport import from_dict
from seiscomp_dlloc.records import Station

A, B, C = (Station("XX", code, latitude, -97.0, 300.0) for code, latitude in (("A", 35.0), ("B", 35.1), ("C", 35.2)))
WANTED = (A, B, C)
DAY = obspy.UTCDateTime(2020, 1, 1)


def standings(*available, tolerance_km=1.0):
    return [m.standing for m in match_network(WANTED, available, tolerance_km).matches]


def north(station, km, **changes):
    return replace(station, latitude=station.latitude + km / 111.0, **changes)


def test_stations_where_the_passport_has_them_match():
    match = match_network(WANTED, (C, A, B), 1.0)
    assert [m.standing for m in match.matches] == ["matched"] * 3
    assert match.stations == WANTED
    assert match.dropped == ()
    assert match.notes == ()


def test_a_station_under_another_code_is_known_by_its_place():
    new = north(B, 0.01, network="YY", code="NEW")
    match = match_network(WANTED, (A, new, C), 1.0)
    assert [m.standing for m in match.matches] == ["matched", "renamed", "matched"]
    assert match.stations == (A, new, C)
    assert "XX.B is YY.NEW" in match.notes[0]
    assert match.usable.all()


def test_a_station_that_moved_within_the_tolerance_is_used_where_it_stands():
    moved = north(B, 0.4)
    match = match_network(WANTED, (A, moved, C), 1.0)
    assert match.matches[1].standing == "shifted"
    assert match.stations[1] == moved
    assert "XX.B by 0.40 km" in match.notes[0]


def test_a_station_that_moved_further_is_left_out_and_said():
    match = match_network(WANTED, (A, north(B, 5.0), C), 1.0)
    assert match.usable.tolist() == [True, False, True]
    assert match.stations[1] == B
    assert match.dropped[0].reason == "5.0 km from where the model knows it (allowed 1 km)"


def test_height_counts_as_distance():
    assert standings(A, replace(B, elevation_m=1800.0), C) == ["matched", "moved", "matched"]


def test_two_strangers_at_a_place_are_not_guessed_between():
    match = match_network(WANTED, (A, north(B, 0.1, code="P"), north(B, 0.2, code="Q"), C), 1.0)
    assert match.matches[1].standing == "ambiguous"
    assert "XX.P and XX.Q" in match.dropped[0].reason
    assert not match.usable[1]


def test_a_stranger_between_two_places_belongs_to_neither():
    near = north(A, 0.8, code="A2")
    match = match_network((A, near), (north(A, 0.4, code="NEW"),), 1.0)
    assert [m.standing for m in match.matches] == ["ambiguous", "ambiguous"]


def test_a_neighbour_known_by_its_own_code_stands_in_for_nobody():
    close = north(A, 0.2, code="A2")
    match = match_network((A, close), (close,), 1.0)
    assert [m.standing for m in match.matches] == ["missing", "matched"]


def test_codes_that_changed_places_are_refused_not_guessed_at():
    match = match_network(WANTED, (replace(A, code="B"), replace(B, code="A"), C), 1.0)
    assert [m.standing for m in match.matches] == ["moved", "moved", "matched"]
    assert match.stations == WANTED


def test_a_network_shifted_by_the_spacing_of_its_stations_is_refused():
    shifted = [replace(station, latitude=station.latitude + 0.1) for station in WANTED]
    assert standings(*shifted) == ["moved", "moved", "moved"]


def test_nothing_matches_nothing():
    assert standings() == ["missing"] * 3
    usable, dropped = match_stations((), (A,), 1.0)
    assert usable.shape == (0,)
    assert dropped == ()


def test_waveforms_are_asked_for_under_present_codes():
    passport = from_dict(passport_document())
    first, *rest = passport.stations
    new = replace(first, code="ZZ9")
    assert stations_to_fetch(passport, (new, *rest)) == (new, *rest)
    assert stations_to_fetch(passport, tuple(rest)) == passport.stations


def station_epochs(*rows):
    return Inventory([Network("XX", [Entry("B", latitude, -97.0, 0.0, start_date=day) for latitude, day in rows])])


def test_a_move_between_epochs_is_told_with_its_day():
    (change,) = epoch_changes(station_epochs((35.0, DAY), (35.01, DAY + 86400), (35.01, DAY + 2 * 86400)), ["XX.B"])
    assert change.what == "moved by 1.11 km"
    assert change.time == (DAY + 86400).timestamp


def oriented(code, azimuth, dip, start, location=""):
    return Channel(code, location, 35.0, -97.0, 0.0, 0.0, azimuth, dip, start_date=start, sample_rate=100.0)


def test_a_turned_component_is_told_and_a_vertical_has_no_azimuth():
    channels = [
        oriented("HHN", 0.0, 0.0, DAY),
        oriented("HHN", 358.0, 0.0, DAY + 86400),
        oriented("HHN", 358.5, 0.0, DAY + 2 * 86400),
        oriented("HHZ", 0.0, -90.0, DAY),
        oriented("HHZ", 180.0, -90.0, DAY + 86400),
        oriented("HHZ", 0.0, 90.0, DAY + 2 * 86400, "10"),
        oriented("HHZ", 0.0, -90.0, DAY + 3 * 86400, "10"),
    ]
    inventory = Inventory([Network("XX", [Entry("B", 35.0, -97.0, 0.0, channels=channels)])])
    told = [(change.seed_id, change.what) for change in epoch_changes(inventory, ["XX.B"])]
    assert told == [
        ("XX.B..HHN", "azimuth changed from 0 to 358 degrees"),
        ("XX.B.10.HHZ", "dip changed from 90 to -90 degrees"),
    ]
    assert epoch_changes(inventory, ["XX.A"]) == ()


def altered(rename=None, shift_km=None, omit=()):
    """The scene's inventory with stations renamed (code -> code), moved (code -> km north) or left out."""
    inventory = scene_inventory()
    network = inventory[0]
    network.stations = [s for s in network.stations if s.code not in omit]
    for station in network.stations:
        station.latitude = float(station.latitude) + (shift_km or {}).get(station.code, 0.0) / 111.0
        station.code = (rename or {}).get(station.code, station.code)
    return inventory


def located(inventory, rename=None, model=None):
    stream = waveforms(0)
    for trace in stream:
        trace.stats.station = (rename or {}).get(trace.stats.station, trace.stats.station)
    return locate_stream(inventory, stream, model)


def locate_stream(inventory, stream, model):
    trigger = read_triggers(quakeml([0]).encode()).triggers[0]
    return Locator(model, inventory).locate(trigger, stream)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(tinymodels.responsive_image())
    return load(path, "cpu", threads=1)


def test_a_renamed_station_gives_the_model_the_same_input(model):
    code = model.passport.stations[1].code
    before, after = located(altered(), model=model), located(altered({code: "NEW"}), {code: "NEW"}, model)
    for name in ("latitude", "longitude", "depth_km", "time"):
        assert getattr(after.hypocenter, name) == getattr(before.hypocenter, name)
    assert "XX.NEW" in after.used_stations
    assert any(f"XX.{code} is XX.NEW" in note for note in after.notes)
    assert not any("another code" in note for note in before.notes)


def test_a_moved_station_is_seen_from_where_it_stands(model):
    code = model.passport.stations[0].code
    before, after = located(altered(), model=model), located(altered(shift_km={code: -0.6}), model=model)
    assert after.used_stations == before.used_stations
    assert after.hypocenter.time != before.hypocenter.time
    assert any("have moved" in note for note in after.notes)


def test_a_station_is_turned_by_the_epoch_of_the_event(model):
    code, change = model.passport.stations[2].code, obspy.UTCDateTime(2025, 6, 1)
    turned, stream = altered(), waveforms(0)
    station = next(s for s in turned[0] if s.code == code)
    old = [copy.copy(channel) for channel in station]
    for channel in old:
        channel.end_date = change
    for channel in station:
        channel.start_date = change
        # What was north points east now, what was east points south
        channel.azimuth = {"N": 90.0, "E": 180.0, "Z": 0.0}[channel.code[-1]]
    north, east = (stream.select(station=code, component=c)[0] for c in "NE")
    north.data, east.data = east.data, -north.data
    plain = locate_stream(turned, stream, model)
    station.channels = old + station.channels
    before = located(altered(), model=model)
    assert locate_stream(altered(), stream, model).peak != before.peak
    for solution in (plain, locate_stream(turned, stream, model)):
        for name in ("latitude", "longitude", "depth_km", "time"):
            assert getattr(solution.hypocenter, name) == getattr(before.hypocenter, name)


def test_too_few_stations_are_refused_with_their_reasons(model):
    codes = [station.code for station in model.passport.stations]
    solution = located(altered(shift_km={codes[0]: 30.0}, omit=codes[1:3]), model=model)
    assert solution.hypocenter is None
    assert solution.abstention.reason == "model mismatch"
    assert "30.0 km" in solution.abstention.detail


def test_the_report_counts_names_and_serialises(model):
    passport = model.passport
    codes = [station.code for station in passport.stations]
    inventory = altered({codes[0]: "NEW"}, {codes[1]: 0.3, codes[2]: 7.0})
    report = network_report(passport, inventory, DAY.timestamp)
    text = "\n".join(report.lines())
    assert report.found == len(codes) - 1
    assert f"XX.{codes[0]}: renamed, XX.NEW stands at 0.00 km from its place" in text
    assert f"XX.{codes[1]}: moved, 0.30 km from its place; used" in text
    assert f"XX.{codes[2]}: moved, left out: 7.0 km" in text
    again = json.loads(json.dumps(report.as_dict()))
    assert [row["standing"] for row in again["stations"]][:3] == ["renamed", "shifted", "moved"]
    nothing = network_report(passport, station_epochs((0.0, DAY)), DAY.timestamp)
    assert not nothing.enough
    assert "TOO FEW" in nothing.lines()[0]


def test_model_check_shows_the_inventory_and_refuses(tmp_path, capsys):
    scene = make_scene(tmp_path, events=1)
    code = inventory_stations(scene_inventory(), DAY.timestamp)[0].code
    arguments = ["model", "check", str(scene.model), "--threads", "1", "--inventory"]
    altered({code: "NEW"}).write(str(tmp_path / "renamed.xml"), format="STATIONXML")
    assert main([*arguments, str(tmp_path / "renamed.xml"), "--time", "2026-01-01"]) == 0
    assert "renamed, XX.NEW stands" in capsys.readouterr().out
    others = [s.code for s in scene_inventory()[0] if s.code != code]
    altered(omit=others).write(str(tmp_path / "few.xml"), format="STATIONXML")
    assert main([*arguments, str(tmp_path / "few.xml"), "--time", "2026-01-01"]) == 1
    assert "TOO FEW" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, str(tmp_path / "few.xml"), "--time", "yesterday"])
    assert stopped.value.code == 2


def test_locating_fetches_a_renamed_station_by_its_new_code(tmp_path, capsys):
    scene = make_scene(tmp_path, events=1)
    code = scene_inventory()[0][1].code
    stream = obspy.read(str(scene.waveforms / "event0.mseed"))
    for trace in stream:
        trace.stats.station = "NEW" if trace.stats.station == code else trace.stats.station
    stream.write(str(scene.waveforms / "event0.mseed"), format="MSEED")
    altered({code: "NEW"}).write(str(scene.inventory), format="STATIONXML")
    main(scene.arguments("--json"))
    row = json.loads(capsys.readouterr().out)
    assert "XX.NEW" in row["used_stations"]
    assert np.isfinite(row["latitude"])


@pytest.mark.parametrize(
    ("listed", "recorded", "said"),
    [
        ((), ("XX.A",), "the inventory has no station at that time: look at the start and end dates of its stations"),
        ((A,), (), "no waveforms of the 1 station of the inventory at that time (XX.A): look at the source's span, and "
                   "whether its waveforms have the network codes of the inventory"),
        ((A, B), ("XX.A", "XX.B"), "(XX.A, XX.B): look at the source's span"),
        ((A, B), ("YY.B", "YY.Q"), "the network codes differ: the waveforms are of YY.B, the inventory has XX.B: give"),
        ((A, B, C), ("YY.A", "YY.B", "ZZ.A"), "are of YY.A, the inventory has XX.A, and 1 more alike: give both"),
        ((A, B), ("QQ.1", "QQ.2", "QQ.3", "QQ.4"), "; there are some of QQ.1, QQ.2, QQ.3 and 1 more: give"),
    ],
)  # fmt: skip
def test_without_waveforms_it_is_said_what_there_is_instead(listed, recorded, said):
    assert said in nothing_recorded(listed, recorded)
