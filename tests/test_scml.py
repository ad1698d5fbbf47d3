"""Solutions to SCML: EventParameters and the answer of an external locator."""

import io
from dataclasses import replace

import numpy as np
import obspy
import pytest
from lxml import etree
from solutions import LABELS, T0, comments, find, refusal, scml_errors, solution, value

from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.document import Labels
from seiscomp_dlloc.formats.quakeml import write_quakeml
from seiscomp_dlloc.formats.scml import VERSIONS, namespace_of, write_origin_reply, write_scml
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.formats.xmlinput import SCML_VERSIONS
from seiscomp_dlloc.records import Abstention, Hypocenter, Magnitude, Trigger

CASES = [
    solution(),
    refusal(),
    solution(covariance=np.full((3, 3), np.nan)),
    solution(covariance=np.diag([1.0, 4.0, np.nan])),
    solution(abstention=Abstention("low peak", "0.1 below 0.2")),
    solution(magnitude=Magnitude(3.1, "Mdl")),
    solution(magnitude=None, magnitude_note="no responses in the inventory"),
    refusal(magnitude=Magnitude(3.1, "Mdl")),
    solution(arrivals=(), used_stations=(), azimuthal_gap_deg=None, min_distance_km=None, peak=None, anchor=None),
]


def test_two_kilometres_north_are_two() -> None:
    document = write_scml([solution()], labels=LABELS)
    assert value(document, "latitude", "uncertainty") == 2.0
    assert value(document, "longitude", "uncertainty") == 1.0
    assert value(document, "depth", "uncertainty") == 3.0
    assert value(document, "depth", "value") == -1.25


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_document_is_valid(version: str, case: int) -> None:
    document = write_scml([CASES[case], solution(trigger=Trigger("Origin/2", T0))], version, LABELS)
    assert scml_errors(document, version) == ""
    root = etree.fromstring(document)
    assert (root.get("version"), etree.QName(root).namespace) == (version, namespace_of(version))
    for word in (b"nan", b"NaN", b"None", b">inf"):
        assert word not in document


def test_the_ellipse_is_km_and_the_ellipsoid_metres() -> None:
    scml = write_scml([solution()], labels=LABELS)
    quakeml = write_quakeml([solution()], LABELS)
    for tag in ("minHorizontalUncertainty", "maxHorizontalUncertainty"):
        assert value(scml, tag) == pytest.approx(value(quakeml, tag) / 1000)
    for tag in ("semiMajorAxisLength", "semiMinorAxisLength", "semiIntermediateAxisLength", "majorAxisPlunge"):
        assert value(scml, tag) == value(quakeml, tag)
    assert value(scml, "semiMajorAxisLength") > 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_obspy_reads_back_what_was_written(version: str) -> None:
    event, empty = obspy.read_events(io.BytesIO(write_scml([solution(), refusal()], version, LABELS)))
    (origin,) = event.origins
    assert origin.time.timestamp == T0 + 0.25
    assert (origin.latitude, origin.longitude, origin.depth) == (35.2, -97.1, -1250.0)
    assert origin.depth_errors.uncertainty == 3000.0
    assert origin.quality.used_station_count == 3
    assert [a.time_residual for a in origin.arrivals] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [a.distance for a in origin.arrivals] == pytest.approx([d / 111.195 for d in (10, 20, 30, 40)], rel=1e-4)
    assert [a.azimuth for a in origin.arrivals] == [0.0, 30.0, 60.0, 90.0]
    assert len(event.picks) == 4
    assert (event.magnitudes[0].mag, event.magnitudes[0].magnitude_type) == (2.5, "ML")
    assert len(empty.origins) == 0


def test_public_ids_stay_as_they_are() -> None:
    document = write_scml([solution(), refusal()], labels=LABELS)
    assert [e.get("publicID") for e in find(document, "event")] == ["Event/abcd", "smi:local/origin/7"]
    assert [e.get("publicID") for e in find(document, "pick")] == [f"Pick/2020.{i}" for i in range(4)]
    assert [e.text for e in find(document, "arrival", "pickID")] == [f"Pick/2020.{i}" for i in range(4)]


def test_identifiers_that_went_through_quakeml_come_back() -> None:
    (trigger,) = read_triggers(write_quakeml([solution()], LABELS)).triggers
    document = write_scml([solution(trigger=trigger, arrivals=())], labels=LABELS)
    assert find(document, "event")[0].get("publicID") == "Event/abcd"
    assert [e.get("publicID") for e in find(document, "pick")] == [f"Pick/2020.{i}" for i in range(4)]


@pytest.mark.parametrize("document", [write_scml([solution()]), write_origin_reply(solution())])
def test_magnitudes_never_carry_a_station_count(document: bytes) -> None:
    assert len(find(document, "origin", "magnitude") + find(document, "Origin", "magnitude")) == 1
    assert len(find(document, "stationMagnitude")) == 2
    assert b"tationCount" in document  # that of the origin's quality
    assert find(document, "stationCount") == []


def test_an_event_does_not_prefer_the_new_origin_unless_asked() -> None:
    (origin,) = find(write_scml([solution()], labels=LABELS), "origin")
    public_id = origin.get("publicID")
    plain, asked = write_scml([solution()], labels=LABELS), write_scml([solution()], labels=LABELS, prefer=True)
    refused = write_scml([solution(abstention=Abstention("low peak"))], labels=LABELS, prefer=True)
    assert [e.text for e in find(plain, "event", "originReference")] == [public_id]
    assert find(plain, "preferredOriginID") == find(refused, "preferredOriginID") == []
    assert [e.text for e in find(asked, "preferredOriginID")] == [public_id]


@pytest.mark.parametrize(
    ("abstention", "status", "expected"),
    [(None, "", "reported"), (None, "preliminary", "preliminary"), (Abstention("low peak"), "", "rejected")],
)
def test_the_status_says_what_the_host_must_not_prefer(
    abstention: Abstention | None, status: str, expected: str
) -> None:
    document = write_scml([solution(abstention=abstention)], labels=replace(LABELS, status=status))
    assert [e.text for e in find(document, "origin", "evaluationStatus")] == [expected]
    assert [e.text for e in find(document, "origin", "evaluationMode")] == ["automatic"]


def test_a_pick_that_two_events_share_is_written_once() -> None:
    pair = [solution(), solution(trigger=replace(solution().trigger, event_id="Event/2"))]
    assert len(find(write_scml(pair, labels=LABELS), "pick")) == 4


def test_comments_carry_their_ids() -> None:
    said = comments(write_scml([solution()], labels=LABELS))
    assert said["peak"] == "0.8125"
    assert said["provider"] == "CPUExecutionProvider"
    assert "dlloc/peak" in [e.text for e in find(write_scml([solution()], labels=LABELS), "comment", "id")]
    assert comments(write_scml([refusal()], labels=LABELS))["abstention"] == "too few stations: 2 of at least 5"


def test_what_was_written_can_be_triggered_on_again() -> None:
    found = read_triggers(write_scml([solution()], "0.13", LABELS))
    (trigger,) = found.triggers
    assert (found.version, trigger.event_id, trigger.depth_km) == ("0.13", "Event/abcd", -1.25)
    assert [pick.used for pick in trigger.picks] == [False, True, True, True]


def test_other_versions_are_refused() -> None:
    with pytest.raises(SettingError, match=r"0\.11 is not written; choose one of 0\.12"):
        write_scml([solution()], "0.11")
    with pytest.raises(SettingError, match=r"0\.15 is not known"):
        write_origin_reply(solution(), "0.15")


@pytest.mark.parametrize("version", SCML_VERSIONS)
def test_the_reply_is_a_capital_origin_right_under_the_root(version: str) -> None:
    document = write_origin_reply(solution(), version, labels=LABELS)
    assert scml_errors(document, version) == ""
    root = etree.fromstring(document)
    (origin,) = root
    assert etree.QName(origin).localname == "Origin"
    assert root.get("version") == version
    assert document.startswith(b"<?xml")
    assert find(document, "pick") == find(document, "amplitude") == find(document, "amplitudeID") == []
    assert [e.text for e in find(document, "Origin", "arrival", "pickID")] == [f"Pick/2020.{i}" for i in range(4)]


@pytest.mark.parametrize("namespace", ["", "http://example.org/mine", None])
def test_the_reply_echoes_the_namespace(namespace: str | None) -> None:
    root = etree.fromstring(write_origin_reply(solution(), "0.13", namespace, LABELS))
    assert etree.QName(root).namespace == (namespace_of("0.13") if namespace is None else namespace or None)
    assert etree.QName(root[0]).namespace == etree.QName(root).namespace


def test_the_reply_has_a_fresh_id_and_the_labels_of_the_profile() -> None:
    labels = Labels(method_id="External:DLLOC", earth_model_id="regional")
    documents = [write_origin_reply(solution(), labels=labels) for _ in range(2)]
    ids = {e.get("publicID") for d in documents for e in etree.fromstring(d).xpath("//*[@publicID]")}
    assert len(ids) == 2 * (1 + 2 + 1)
    assert [e.text for e in find(documents[0], "Origin", "methodID")] == ["External:DLLOC"]
    assert [e.text for e in find(documents[0], "Origin", "earthModelID")] == ["regional"]


@pytest.mark.parametrize(
    "lacking", [refusal(), solution(hypocenter=Hypocenter(35.0, -97.0, float("nan"), np.eye(3), T0))]
)
def test_without_a_finite_hypocentre_there_is_no_reply(lacking: object) -> None:
    with pytest.raises(EventError, match="no origin to answer with"):
        write_origin_reply(lacking)  # type: ignore[arg-type]
