"""Solutions to QuakeML 1.2."""

import io
from dataclasses import replace

import numpy as np
import obspy
import pytest
from solutions import LABELS, T0, comments, find, quakeml_errors, refusal, solution, value

from seiscomp_dlloc.formats.document import Labels
from seiscomp_dlloc.formats.quakeml import write_quakeml
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.records import Abstention, Dropped, Hypocenter, Magnitude, Trigger


def test_two_kilometres_north_are_18_thousandths_of_a_degree() -> None:
    document = write_quakeml([solution(covariance=np.diag([1.0, 4.0, 9.0]))], LABELS)
    assert value(document, "latitude", "uncertainty") == pytest.approx(0.018, abs=1e-4)
    # A degree of longitude at 35.2 N is 91 km
    assert value(document, "longitude", "uncertainty") == pytest.approx(1 / 91.06, rel=1e-3)
    assert value(document, "depth", "uncertainty") == 3000.0
    assert value(document, "depth", "value") == -1250.0


@pytest.mark.parametrize(
    "changed",
    [
        solution(),
        refusal(),
        solution(covariance=np.full((3, 3), np.nan)),
        solution(covariance=np.zeros((3, 3))),
        solution(abstention=Abstention("low peak", "0.1 below 0.2")),
        solution(magnitude=Magnitude(3.1, "Mdl")),
        solution(magnitude=None, magnitude_note="no responses in the inventory"),
        refusal(magnitude=Magnitude(3.1, "Mdl")),
        solution(arrivals=(), used_stations=(), azimuthal_gap_deg=None, min_distance_km=None, peak=None, anchor=None),
        solution(notes=("a\x00b\x1bc", "<&>\"'")),
    ],
    ids=lambda s: s.abstention.reason if s.abstention else f"{len(s.notes)}{s.magnitude_note[:2]}",
)
def test_every_document_is_valid(changed: object) -> None:
    document = write_quakeml([changed], LABELS)  # type: ignore[list-item]
    assert quakeml_errors(document) == ""
    for word in (b"nan", b"NaN", b"None", b">inf"):
        assert word not in document


def test_obspy_reads_back_what_was_written() -> None:
    catalogue = obspy.read_events(io.BytesIO(write_quakeml([solution(), refusal()], LABELS)), format="QUAKEML")
    event, empty = catalogue
    origin = event.preferred_origin()
    assert origin.time.timestamp == T0 + 0.25
    assert (origin.latitude, origin.longitude, origin.depth) == (35.2, -97.1, -1250.0)
    assert (origin.time_errors.uncertainty, origin.depth_errors.uncertainty) == (0.3, 3000.0)
    assert str(origin.method_id) == "smi:local/DLLOC"
    assert str(origin.earth_model_id) == "smi:local/sample/1.2.3"
    assert (origin.evaluation_mode, origin.evaluation_status) == ("automatic", "preliminary")
    quality = origin.quality
    assert (quality.used_station_count, quality.used_phase_count, quality.associated_phase_count) == (3, 3, 4)
    assert quality.azimuthal_gap == 120.0
    assert quality.minimum_distance == pytest.approx(10 / 111.195, rel=1e-4)
    assert quality.maximum_distance == pytest.approx(40 / 111.195, rel=1e-4)
    assert quality.standard_error == pytest.approx(np.sqrt((0.01 + 0.04 + 0.09) / 3), rel=1e-6)
    assert [a.time_weight for a in origin.arrivals] == [0.0, 1.0, 1.0, 1.0]
    assert origin.arrivals[2].distance == pytest.approx(30 / 111.195, rel=1e-4)
    assert (origin.arrivals[2].azimuth, origin.arrivals[2].time_residual) == (60.0, 0.2)
    assert [a.pick_id.get_referred_object() is p for a, p in zip(origin.arrivals, event.picks, strict=True)] == [
        True
    ] * 4
    assert event.picks[1].waveform_id.get_seed_string() == "XX.S01.00.HHZ"
    assert len(empty.origins) == 0
    assert str(empty.resource_id) == "smi:local/origin/7"


def test_magnitudes_come_with_stations_and_amplitudes_in_metres() -> None:
    (event,) = obspy.read_events(io.BytesIO(write_quakeml([solution()], LABELS)), format="QUAKEML")
    magnitude = event.preferred_magnitude()
    assert (magnitude.mag, magnitude.magnitude_type, magnitude.mag_errors.uncertainty) == (2.5, "ML", 0.2)
    assert magnitude.origin_id == event.origins[0].resource_id
    assert magnitude.station_count is None  # as in SCML: no host may take it into its own summary
    assert [(s.mag, s.waveform_id.get_seed_string()) for s in event.station_magnitudes] == [
        (2.4, "XX.S01.00.HHN"), (2.7, "XX.S02..HHE")
    ]  # fmt: skip
    assert [c.residual for c in magnitude.station_magnitude_contributions] == pytest.approx([-0.1, 0.2])
    assert [(a.generic_amplitude, a.unit, a.type) for a in event.amplitudes] == [(3e-4, "m", "AML"), (4e-4, "m", "AML")]


def test_a_learned_magnitude_keeps_its_type() -> None:
    (event,) = obspy.read_events(io.BytesIO(write_quakeml([solution(magnitude=Magnitude(3.1, "Mdl"))], LABELS)))
    assert (event.magnitudes[0].magnitude_type, event.station_magnitudes) == ("Mdl", [])


def test_the_comments_say_what_has_no_field() -> None:
    said = comments(write_quakeml([solution(abstention=Abstention("low peak", "0.1 < 0.2"))], LABELS))
    assert said == {
        "summary": "ABSTAINED (low peak), peak 0.81, 3 stations, CPU",
        "trigger": "Origin/2020 1@x",
        "model": "sample/1.2.3 sha256:" + "ab" * 32,
        "provider": "CPUExecutionProvider",
        "peak": "0.8125",
        "secondary-peaks": "1",
        "anchor": "2020-01-02T03:04:06.250000Z",
        "stations": "XX.S01 XX.S02 XX.S03",
        "dropped": "XX.S09: dead; XX.S10..HHN: clipped",
        "abstention": "low peak: 0.1 < 0.2",
        "notes": "filter warm-up left out",
    }
    assert comments(write_quakeml([refusal()], LABELS))["abstention"] == "too few stations: 2 of at least 5"


def test_only_an_accepted_origin_is_put_forward_as_preferred() -> None:
    def preferred(**changes) -> list:
        return find(write_quakeml([solution(**changes)], LABELS), "event", "preferredOriginID")

    assert len(preferred()) == 1
    assert preferred(abstention=Abstention("low peak")) == []


def test_an_abstention_is_rejected_and_acceptance_can_be_named() -> None:
    def status(labels: Labels, abstention: Abstention | None) -> set[str]:
        document = write_quakeml([solution(abstention=abstention)], labels)
        return {str(element.text) for element in find(document, "evaluationStatus")}

    assert status(LABELS, None) == {"preliminary"}
    assert status(replace(LABELS, status="reviewed"), None) == {"reviewed"}
    assert status(replace(LABELS, status="reviewed"), Abstention("low peak")) == {"rejected"}


def test_every_event_keeps_the_public_id_that_it_answers() -> None:
    triggers = [
        Trigger("smi:a/o1", T0, "smi:local/event/event104"),
        Trigger("smi:a/o2", T0),
        Trigger("Origin/20201030115448.477122.57903", T0),
        Trigger("o", T0, "gfz2020 vipzs?x=1&y=ü"),
    ]
    document = write_quakeml([solution(trigger=trigger) for trigger in triggers], LABELS)
    assert [element.get("publicID") for element in find(document, "event")] == [
        "smi:local/event/event104",
        "smi:local/seiscomp/smi~3Aa/o2",  # an authority of one letter is not valid
        "smi:local/seiscomp/Origin/20201030115448.477122.57903",
        "smi:local/seiscomp/gfz2020~20vipzs?x=1&y=~C3~BC",
    ]
    assert quakeml_errors(document) == ""


def test_what_was_written_can_be_triggered_on_again() -> None:
    (trigger,) = read_triggers(write_quakeml([solution()], LABELS)).triggers
    assert (trigger.time, trigger.latitude, trigger.depth_km) == (T0 + 0.25, 35.2, -1.25)
    assert [pick.used for pick in trigger.picks] == [False, True, True, True]
    assert [pick.time for pick in trigger.picks] == [pick.time for pick in solution().trigger.picks]


def test_new_public_ids_are_unique_and_fresh_unless_a_token_is_given() -> None:
    def new(labels: Labels) -> list[str]:
        document = write_quakeml([solution(), solution()], labels)
        return [
            e.get("publicID") for tag in ("origin", "arrival", "magnitude", "amplitude") for e in find(document, tag)
        ]

    ids = new(Labels())
    assert len(ids) == len(set(ids)) == 2 * (1 + 4 + 1 + 2)
    assert not set(ids) & set(new(Labels()))
    assert write_quakeml([solution()], LABELS) == write_quakeml([solution()], LABELS)


def test_a_hypocentre_that_is_not_finite_is_left_out_and_said() -> None:
    broken = solution(hypocenter=Hypocenter(35.0, float("nan"), 5.0, np.eye(3), T0))
    document = write_quakeml([broken], LABELS)
    assert find(document, "origin") == []
    assert "not finite" in comments(document)["notes"]
    assert quakeml_errors(document) == ""


def test_a_covariance_without_depth_gives_an_ellipse_without_ellipsoid() -> None:
    covariance = np.diag([1.0, 4.0, np.nan])
    document = write_quakeml([solution(covariance=covariance)], LABELS)
    assert find(document, "confidenceEllipsoid") == []
    assert find(document, "depth", "uncertainty") == []
    # Two degrees of freedom: 68.27 % lies within 1.515 standard deviations
    assert value(document, "maxHorizontalUncertainty") == pytest.approx(2000 * 1.5152, rel=1e-4)
    assert value(document, "minHorizontalUncertainty") == pytest.approx(1000 * 1.5152, rel=1e-4)
    assert value(document, "azimuthMaxHorizontalUncertainty") == 0.0
    assert value(document, "originUncertainty", "confidenceLevel") == 68.27


def test_characters_that_xml_forbids_do_not_break_the_document() -> None:
    odd = solution(dropped=(Dropped("XX.S01", "bad \x00\x0b\udcff name"),))
    assert comments(write_quakeml([odd], LABELS))["dropped"] == "XX.S01: bad ??? name"


def test_strings_that_are_too_long_for_the_schema_are_cut() -> None:
    labels = replace(LABELS, author="x" * 200, agency_id="y" * 100, version="z" * 100)
    assert quakeml_errors(write_quakeml([solution()], labels)) == ""
