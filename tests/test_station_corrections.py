"""The file of station corrections."""

import json
import math

import numpy as np
import pytest

from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.arrivals.sourceterms import SourceTerms
from seiscomp_dlloc.errors import ModelError, SettingError
from seiscomp_dlloc.formats.corrections import read_corrections, write_corrections

HASH = "0123456789ab"
CORRECTIONS = StationCorrections(
    "volcano",
    HASH,
    (
        StationDelay("XX.A", PhaseDelay(0.125, 31, 0.08), PhaseDelay(-0.3, 12, None)),
        StationDelay("XX.Ö", s=PhaseDelay(0.1, 5, 0.02)),
        StationDelay("YY.B"),
    ),
)


SOURCES = {
    "length_km": 7.0,
    "left_share": 0.5,
    "events": [[64.0, -21.0, 3.5], [64.1, -21.1, -1.0]],
    "residuals_s": {"XX.A": {"P": [0.1, None], "S": [-0.2, 0.3]}},
}


def document() -> dict:
    return {
        "format_version": 2,
        "earth_model": "volcano",
        "earth_hash": HASH,
        "stations": {"XX.A": {"P": {"delay_s": 0.1, "events": 3, "scatter_s": 0.05}}},
    }


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "corrections.json"
    write_corrections(path, CORRECTIONS)
    assert read_corrections(path) == CORRECTIONS
    assert [file.name for file in tmp_path.iterdir()] == ["corrections.json"]


@pytest.mark.parametrize(("number", "said"), [(1, "1 station"), (2, "2 stations")])
def test_what_they_are_is_told_in_the_right_number(number, said):
    assert StationCorrections("volcano", HASH, CORRECTIONS.stations[:number]).told == said
    place = np.full(number, 64.0)
    terms = SourceTerms(7.0, 0.5, place, place, place, ("XX.A",), np.zeros((number, 1, 2)))
    told = StationCorrections("volcano", HASH, CORRECTIONS.stations[:number], terms).told
    assert told == f"{said}, by place over 7 km from {said.replace('station', 'event')}"


def test_stations_are_sorted(tmp_path):
    path, turned = tmp_path / "a.json", tmp_path / "b.json"
    write_corrections(path, CORRECTIONS)
    write_corrections(turned, StationCorrections("volcano", HASH, CORRECTIONS.stations[::-1]))
    assert path.read_bytes() == turned.read_bytes()


def test_a_value_that_could_not_be_read_again_is_not_written_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "corrections.json"
    write_corrections(path, CORRECTIONS)
    before = path.read_bytes()
    for delay in (PhaseDelay(math.nan), PhaseDelay(0.1, -1), PhaseDelay(0.1, 1, math.inf), PhaseDelay(1e9)):
        with pytest.raises(ModelError, match=r"XX\.A P"):
            write_corrections(path, StationCorrections("volcano", HASH, (StationDelay("XX.A", delay),)))
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match="nowhere"):
        write_corrections(tmp_path / "nowhere" / "c.json", CORRECTIONS)


def changed(**parts) -> dict:
    return document() | parts


def with_delay(**parts) -> dict:
    delay = {"delay_s": 0.1, "events": 3, "scatter_s": 0.05} | parts
    return changed(stations={"XX.A": {"P": delay}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "must be an object of format_version, earth_model, earth_hash, stations"),
        (changed(more=1), "must be an object of format_version"),
        (changed(format_version=4), "format 4 of station corrections is not known"),
        (
            {"format_version": 1, "earth_model": "volcano", "stations": {}},
            r"format 1 .* \(it reads formats 2 and 3\); measure them again",
        ),
        (changed(earth_hash="0123"), "earth_hash must be 12 hexadecimal digits"),
        (changed(earth_hash=12), "earth_hash must be 12 hexadecimal digits"),
        (changed(earth_model=""), "earth_model must be the name"),
        (changed(stations=[]), "stations must be an object"),
        (changed(stations={"A": {}}), "A: is not of the form NET.STA"),
        (changed(stations={"XX.A.00": {}}), "is not of the form NET.STA"),
        (changed(stations={"XX.A": {"Pg": {}}}), "XX.A: must be an object of P and S"),
        (changed(stations={"XX.A": {"P": {"delay_s": 1}}}), "XX.A P: must be an object of delay_s, events, scatter_s"),
        (with_delay(delay_s="0.1"), "XX.A P: delay_s must be a number"),
        (with_delay(delay_s=True), "XX.A P: delay_s must be a number"),
        (with_delay(delay_s=61.0), "XX.A P: delay_s must be a number of seconds up to 60"),
        (with_delay(events=1.5), "XX.A P: events must be a count"),
        (with_delay(events=True), "XX.A P: events must be a count"),
        (with_delay(events=-1), "XX.A P: events must be a count"),
        (with_delay(scatter_s=-0.1), "XX.A P: scatter_s must be null or not negative"),
    ],
    ids=lambda value: str(value)[-45:],
)
def test_a_document_of_another_form_is_refused(tmp_path, content, message):
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message) as refused:
        read_corrections(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"{", "no valid JSON"),
        (b"\x00\x01", "is binary"),
        (json.dumps(document()).replace("0.1", "NaN").encode(), "NaN stands in it"),
        (b'{"format_version": 1, "format_version": 1}', "'format_version' stands in it twice"),
        (b"[" * 100_000, "no valid JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "corrections.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_corrections(path)
    with pytest.raises(ModelError, match="no such file"):
        read_corrections(tmp_path / "nowhere.json")


def by_place(**parts) -> dict:
    return document() | {"format_version": 3, "sources": SOURCES | parts}


def test_what_differs_by_place_is_read_back(tmp_path):
    path, again = tmp_path / "corrections.json", tmp_path / "again.json"
    path.write_text(json.dumps(by_place()))
    read = read_corrections(path)
    assert read.sources.length_km == 7.0
    assert read.left_share == 0.5
    np.testing.assert_array_equal(read.sources.residual_s, [[[0.1, -0.2]], [[np.nan, 0.3]]])
    assert "1 station, by place over 7 km from 2 events" in read.told
    write_corrections(again, read)
    assert json.loads(again.read_text()) == json.loads(path.read_text())


def test_a_station_that_no_event_was_seen_at_is_left_out(tmp_path):
    unseen = SourceTerms(
        2.0, 0.9, np.zeros(1), np.zeros(1), np.zeros(1), ("XX.A", "XX.B"), np.array([[[0.1, 0.2], [np.nan] * 2]])
    )
    path = tmp_path / "corrections.json"
    write_corrections(path, StationCorrections("volcano", HASH, (), unseen))
    assert list(json.loads(path.read_text())["sources"]["residuals_s"]) == ["XX.A"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"length_km": 0}, "length_km must be a number above 0"),
        ({"left_share": 1.5}, "left_share must be a number above 0, up to 1"),
        ({"events": []}, "events must be a list"),
        ({"events": [[64.0, -21.0]] * 2}, "event 1 must be"),
        ({"events": [[64.0, -21.0, 3.0], [91.0, 0.0, 0.0]]}, "event 2 must be"),
        ({"residuals_s": []}, "residuals_s must be an object of NET.STA"),
        ({"residuals_s": {"A": {"P": [], "S": []}}}, "A: is not of the form NET.STA"),
        ({"residuals_s": {"XX.A": {"P": [0.1, 0.1]}}}, "XX.A: must be an object of P, S"),
        ({"residuals_s": {"XX.A": {"P": [0.1], "S": [0.1, 0.1]}}}, "XX.A P: must be a list of 2 residuals"),
        ({"residuals_s": {"XX.A": {"P": [0.1, "x"], "S": [0.1, 0.1]}}}, "XX.A P: 'x' is no residual"),
        ({"residuals_s": {"XX.A": {"P": [0.1, 99], "S": [0.1, 0.1]}}}, "XX.A P: 99 is no residual"),
        ({"more": 1}, "sources: must be an object of length_km"),
    ],
    ids=lambda value: str(value)[-45:],
)
def test_what_differs_by_place_in_another_form_is_refused(tmp_path, parts, message):
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(by_place(**parts)))
    with pytest.raises(ModelError, match=message) as refused:
        read_corrections(path)
    assert str(path) in str(refused.value)
