"""Triggered origins from QuakeML and SCML."""

import time
from pathlib import Path

import pytest

from seiscomp_dlloc.errors import EventFileError
from seiscomp_dlloc.formats.triggers import TriggerFile, read_triggers

QUAKEML = 'xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"'
OLD_SCML = "http://geofon.gfz-potsdam.de/ns/seiscomp3-schema/"
NEW_SCML = "http://geofon.gfz.de/ns/seiscomp-schema/"
T0 = 1577934245.25  # 2020-01-02T03:04:05.25Z


def quakeml(body: str) -> bytes:
    return f'<q:quakeml {QUAKEML}><eventParameters publicID="smi:a/b">{body}</eventParameters></q:quakeml>'.encode()


def scml(body: str, version: str = "0.12", namespace: str | None = None) -> bytes:
    if namespace is None:
        namespace = (NEW_SCML if version == "0.14" else OLD_SCML) + version
    return (
        f'<?xml version="1.0"?><seiscomp xmlns="{namespace}" version="{version}">'
        f"<EventParameters>{body}</EventParameters></seiscomp>"
    ).encode()


def origin(public_id: str, when: str = "2020-01-02T03:04:05.25Z", depth: str = "5", arrivals: str = "") -> str:
    return (
        f'<origin publicID="{public_id}"><time><value>{when}</value></time>'
        f"<latitude><value>35.5</value></latitude><longitude><value>-97.25</value></longitude>"
        f"<depth><value>{depth}</value></depth>{arrivals}</origin>"
    )


def pick(public_id: str, when: str = "2020-01-02T03:04:06Z", station: str = "S01", hint: str = "P") -> str:
    return (
        f'<pick publicID="{public_id}"><time><value>{when}</value></time>'
        f'<waveformID networkCode="XX" stationCode="{station}" locationCode="00" channelCode="HHZ"/>'
        f"<phaseHint>{hint}</phaseHint></pick>"
    )


def arrival(pick_id: str, phase: str = "P", extra: str = "") -> str:
    return f"<arrival><pickID>{pick_id}</pickID><phase>{phase}</phase>{extra}</arrival>"


def event(public_id: str, body: str, preferred: str = "") -> str:
    head = f"<preferredOriginID>{preferred}</preferredOriginID>" if preferred else ""
    return f'<event publicID="{public_id}">{head}{body}</event>'


def messages(found: TriggerFile) -> list[str]:
    return [problem.message for problem in found.problems]


def test_a_quakeml_event_gives_its_preferred_origin_in_km() -> None:
    found = read_triggers(
        quakeml(event("smi:a/e", origin("smi:a/o1") + origin("smi:a/o2", depth="-1250"), preferred="smi:a/o2"))
    )
    (trigger,) = found.triggers
    assert (trigger.event_id, trigger.origin_id, trigger.public_id) == ("smi:a/e", "smi:a/o2", "smi:a/e")
    assert (trigger.time, trigger.latitude, trigger.longitude, trigger.depth_km) == (T0, 35.5, -97.25, -1.25)
    assert (found.kind, found.version, found.problems) == ("quakeml", "1.2", ())


def test_an_event_without_preferred_origin_gives_its_first() -> None:
    found = read_triggers(quakeml(event("smi:a/e", origin("smi:a/o1") + origin("smi:a/o2"))))
    assert [trigger.origin_id for trigger in found.triggers] == ["smi:a/o1"]


@pytest.mark.parametrize("version", [f"0.{minor}" for minor in range(7, 15)])
def test_scml_of_every_version_joins_events_origins_and_picks_that_stand_apart(version: str) -> None:
    body = (
        event("Event/1", "<originReference>Origin/1</originReference><originReference>Origin/2</originReference>")
        + origin("Origin/1", arrivals=arrival("Pick/1", "Pg"))
        + origin("Origin/2")
        + pick("Pick/1")
    )
    found = read_triggers(scml(body, version))
    (trigger,) = found.triggers
    assert (trigger.event_id, trigger.origin_id, trigger.depth_km) == ("Event/1", "Origin/1", 5.0)
    (seen,) = trigger.picks
    assert (seen.station_id, seen.location, seen.channel, seen.phase, seen.time) == (
        "XX.S01", "00", "HHZ", "Pg", T0 + 0.75
    )  # fmt: skip
    assert (found.kind, found.version) == ("scml", version)
    assert found.namespace.endswith(version)


def test_the_question_of_an_external_locator_has_no_event() -> None:
    body = pick("Pick/1") + pick("Pick/2", station="S02") + origin("Origin/1", arrivals=arrival("Pick/2", "S"))
    (trigger,) = read_triggers(scml(body, "0.14")).triggers
    assert (trigger.event_id, trigger.public_id) == ("", "Origin/1")
    assert [(p.station, p.phase) for p in trigger.picks] == [("S02", "S")]


@pytest.mark.parametrize("namespace", ["", "http://example.org/anything"])
def test_any_namespace_will_do(namespace: str) -> None:
    document = scml(origin("Origin/1"), "0.13", namespace)
    if not namespace:
        document = document.replace(b' xmlns=""', b"")
    found = read_triggers(document)
    assert (len(found.triggers), found.version, found.namespace) == (1, "0.13", namespace)


def test_public_ids_with_ampersands_are_read_as_they_are_meant() -> None:
    (trigger,) = read_triggers(scml(origin("smi:ws/query?a=1&amp;b=&#50;"))).triggers
    assert trigger.public_id == "smi:ws/query?a=1&b=2"


def test_origins_that_no_event_refers_to_follow_the_events() -> None:
    body = origin("Origin/lost") + origin("Origin/1") + event("Event/1", "<originReference>Origin/1</originReference>")
    found = read_triggers(scml(body))
    assert [(t.event_id, t.origin_id) for t in found.triggers] == [("Event/1", "Origin/1"), ("", "Origin/lost")]


def test_the_answer_of_an_external_locator_is_read_too() -> None:
    document = b'<seiscomp version="0.14">' + origin("Origin/1").replace("origin", "Origin").encode() + b"</seiscomp>"
    assert [trigger.origin_id for trigger in read_triggers(document).triggers] == ["Origin/1"]


def test_picks_come_from_the_arrivals_or_else_from_the_quakeml_event() -> None:
    both = pick("smi:a/p1") + pick("smi:a/p2", hint="S")
    with_arrivals = quakeml(event("smi:a/e", both + origin("smi:a/o", arrivals=arrival("smi:a/p2", "Sg"))))
    without = quakeml(event("smi:a/e", both + origin("smi:a/o")))
    assert [p.phase for p in read_triggers(with_arrivals).triggers[0].picks] == ["Sg"]
    assert [p.phase for p in read_triggers(without).triggers[0].picks] == ["P", "S"]


@pytest.mark.parametrize(
    ("extra", "used"),
    [
        ("", True),
        ("<weight>1</weight>", True),
        ("<weight>0</weight>", False),
        ("<timeWeight>0.0</timeWeight>", False),
        ("<timeUsed>false</timeUsed><weight>1</weight>", False),
    ],
)
def test_an_arrival_without_weight_is_marked_unused(extra: str, used: bool) -> None:
    body = pick("Pick/1") + origin("Origin/1", arrivals=arrival("Pick/1", "P", extra))
    assert read_triggers(scml(body)).triggers[0].picks[0].used is used


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-02T03:04:05.25Z", T0),
        ("2020-01-02T03:04:05.25", T0),
        ("2020-01-02T05:04:05.250000+02:00", T0),
        ("2020-01-02T03:04:05.2500000001Z", T0),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, expected: float) -> None:
    assert read_triggers(scml(origin("Origin/1", text))).triggers[0].time == expected


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (origin("smi:a/bad", "yesterday"), "time 'yesterday'"),
        (origin("smi:a/bad", "2020-01-02"), "no date and time"),
        (origin("smi:a/bad", ""), "no time"),
        (origin("smi:a/bad").replace("time>", "tyme>"), "no time"),
        ("", "it has no origin"),
    ],
)
def test_an_event_without_time_or_origin_is_named_and_the_others_stay(bad: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "events.xml"
    path.write_bytes(quakeml(event("smi:a/e1", bad) + event("smi:a/e2", origin("smi:a/o2"))))
    found = read_triggers(path)
    assert [trigger.event_id for trigger in found.triggers] == ["smi:a/e2"]
    (problem,) = found.problems
    assert problem.lost
    assert problem.public_id == "smi:a/e1"
    assert str(path) in problem.message
    assert "smi:a/e1" in problem.message
    assert reason in problem.message


@pytest.mark.parametrize("value", ["deep", "nan", "inf", ""])
def test_a_bad_depth_is_named_and_taken_as_unknown(value: str) -> None:
    found = read_triggers(scml(origin("Origin/1", depth=value)))
    assert found.triggers[0].depth_km is None
    assert [(p.public_id, p.lost) for p in found.problems] == [("Origin/1", False)]
    assert "depth" in found.problems[0].message


def test_a_latitude_out_of_range_is_unknown() -> None:
    found = read_triggers(scml(origin("Origin/1").replace("35.5", "95.5")))
    assert found.triggers[0].latitude is None
    assert "95.5 is out of range" in messages(found)[0]


def test_public_ids_that_stand_twice_are_named_and_the_first_kept() -> None:
    found = read_triggers(
        quakeml(
            event("smi:a/e1", origin("smi:a/o1"))
            + event("smi:a/e1", origin("smi:a/o2"))
            + event("smi:a/e3", origin("smi:a/o1"))
            + event("smi:a/e4", origin("smi:a/o4"))
        )
    )
    assert [(t.event_id, t.origin_id) for t in found.triggers] == [
        ("smi:a/e1", "smi:a/o1"), ("smi:a/e3", "smi:a/o1"), ("smi:a/e4", "smi:a/o4")
    ]  # fmt: skip
    assert sorted(p.public_id for p in found.problems if p.lost) == ["smi:a/e1", "smi:a/o1"]


def test_a_pick_that_cannot_be_used_is_left_out_and_named() -> None:
    arrivals = arrival("Pick/late") + arrival("Pick/ok") + arrival("Pick/nowhere") + arrival("Pick/anonymous")
    body = (
        pick("Pick/late", "later")
        + pick("Pick/ok")
        + pick("Pick/anonymous").replace('stationCode="S01"', "")
        + origin("Origin/1", arrivals=arrivals)
    )
    found = read_triggers(scml(body))
    assert [p.public_id for p in found.triggers[0].picks] == ["Pick/ok"]
    text = " | ".join(messages(found))
    assert "Pick/late: time 'later'" in text
    assert "Pick/anonymous: no station code" in text
    assert "1 of 4 arrivals name picks that are not in the file" in text
    assert not any(problem.lost for problem in found.problems)


def test_an_event_whose_preferred_origin_is_missing_falls_back_and_says_so() -> None:
    body = origin("Origin/1") + event("Event/1", "<originReference>Origin/1</originReference>", preferred="Origin/9")
    found = read_triggers(scml(body))
    assert found.triggers[0].origin_id == "Origin/1"
    assert "Origin/9 is not in the file" in messages(found)[0]


def test_objects_without_public_id_are_named_by_line() -> None:
    found = read_triggers(scml("\n" + origin("x").replace(' publicID="x"', "") + origin("Origin/1")))
    assert [trigger.origin_id for trigger in found.triggers] == ["Origin/1"]
    assert "line 2" in messages(found)[0]


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE q [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
for _n in range(30):
    LAUGHS += f'<!ENTITY {chr(98 + _n % 20)}{_n} "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">'.encode()
LAUGHS += b"]><q>&b;</q>"
EXTERNAL = b'<!DOCTYPE q [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"   \n", "no well-formed XML"),
        (b"\x00\x01\x02", "no well-formed XML"),
        (LAUGHS, "DOCTYPE"),
        (EXTERNAL + quakeml(event("&x;", origin("smi:a/o"))), "DOCTYPE"),
        ((EXTERNAL.decode() + "<seiscomp/>").encode("utf-16"), "DOCTYPE"),
        (quakeml(event("smi:a/e", origin("smi:a/o")))[:-40], "damaged or incomplete"),
        (quakeml(event("&undefined;", origin("smi:a/o"))), "damaged or incomplete"),
        (b"<html><body/></html>", "root element is <html>"),
        (b'<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1"/>', "holds stations"),
        (scml(origin("Origin/1"), "0.15"), "0.15; versions 0.7 to 0.14"),
        (scml(origin("Origin/1"), "0.6"), "0.6; versions 0.7 to 0.14"),
        (quakeml(event("smi:a/e", origin("smi:a/o"))).replace(b"/1.2", b"/2.0"), "only QuakeML 1.2"),
        (quakeml(""), "holds no origin"),
        (b'<?xml version="1.0" encoding="klingon"?><seiscomp/>', "no well-formed XML"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "events.xml"
    path.write_bytes(content)
    with pytest.raises(EventFileError) as error:
        read_triggers(path)
    assert str(path) in str(error.value)
    assert reason in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match="no such file"):
        read_triggers(tmp_path / "nothing.xml")
    with pytest.raises(EventFileError, match="is a folder"):
        read_triggers(tmp_path)


def test_a_file_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EventFileError, match=r"events\.xml: cannot be opened \(Permission denied\)"):
        read_triggers(tmp_path / "events.xml")


def test_thousands_of_events_are_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "many.xml"
    body = "".join(
        event(
            f"smi:a/e{i}",
            "".join(pick(f"smi:a/p{i}/{j}") for j in range(8))
            + origin(f"smi:a/o{i}", arrivals="".join(arrival(f"smi:a/p{i}/{j}") for j in range(8))),
        )
        for i in range(1000)
    )
    path.write_bytes(quakeml(body))
    start = time.process_time()
    found = read_triggers(path)
    assert time.process_time() - start < 8.0
    assert len(found.triggers) == 1000
    assert {len(trigger.picks) for trigger in found.triggers} == {8}
    assert found.problems == ()


@pytest.mark.shared
def test_the_catalogues_of_real_networks_are_read(shared_data: Path) -> None:
    for folder, count in (("oklahoma", 300), ("newberry", 99), ("iceland_dike", 27), ("hengill", 9)):
        found = read_triggers(shared_data / folder / "catalog.xml")
        assert (len(found.triggers), found.problems) == (count, ())
    (samos,) = read_triggers(shared_data / "samos" / "event_noa_quakeml.xml").triggers
    assert len(samos.picks) == 61
