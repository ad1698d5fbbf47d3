"""Onsets that a model sees, as picks and arrivals in files, and nowhere else."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import obspy
import pytest
import tinymodels
from scene import Scene, make_scene
from solutions import LABELS, ONSETS, T0, find, quakeml_errors, refusal, scml_errors, seen

from seiscomp_dlloc.channels import ChannelEpoch, ChannelIndex
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.formats.document import Labels
from seiscomp_dlloc.formats.identifiers import from_smi
from seiscomp_dlloc.formats.origins import read_origins
from seiscomp_dlloc.formats.quakeml import write_quakeml
from seiscomp_dlloc.formats.scml import VERSIONS, write_origin_reply, write_scml
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.onsets import completed
from seiscomp_dlloc.predict import predict
from seiscomp_dlloc.records import Abstention, Dropped, Onset, Solution, Station
from seiscomp_dlloc.traveltimes import LayeredTravelTimes


def ours(event: obspy.core.event.Event) -> list[obspy.core.event.Pick]:
    return [pick for pick in event.picks if "Pick/dlloc/" in str(pick.resource_id)]


@pytest.mark.parametrize("changed", [seen(), seen(abstention=Abstention("low peak", "0.1 below 0.2")), refusal()])
def test_every_document_with_own_picks_is_valid(changed: Solution) -> None:
    others = [seen(), replace(changed, trigger=replace(changed.trigger, event_id="Event/other"))]
    assert quakeml_errors(write_quakeml(others, LABELS, own=True)) == ""
    for version in VERSIONS:
        assert scml_errors(write_scml(others, version, LABELS, own=True), version) == ""


@pytest.mark.parametrize("kind", ["quakeml", *VERSIONS])
def test_obspy_reads_sure_onsets_back_as_automatic_picks_with_arrivals(kind: str) -> None:
    document = write_quakeml([seen()], LABELS, own=True) if kind == "quakeml" else write_scml(
        [seen()], kind, LABELS, own=True
    )  # fmt: skip
    (event,) = obspy.read_events(io.BytesIO(document))
    picks = ours(event)
    assert [(p.waveform_id.station_code, p.waveform_id.channel_code, p.phase_hint) for p in picks] == [
        ("S01", "HHZ", "P"),
        ("S01", "HHN", "S"),
        ("S02", None, "P"),
    ]
    assert picks[0].waveform_id.get_seed_string() == "XX.S01.00.HHZ"
    assert [p.time.timestamp for p in picks] == pytest.approx([T0 + 3.0, T0 + 5.5, T0 + 4.25], abs=1e-6)
    assert {p.evaluation_mode for p in picks} == {"automatic"}
    assert all(str(p.method_id).endswith("sample/1.2.3") for p in picks)
    assert [p.comments[0].text for p in picks] == ["0.9000", "0.7500", "0.5000"]
    assert all(str(p.comments[0].resource_id).endswith("dlloc/probability") for p in picks)
    assert {p.creation_info.agency_id for p in picks} == {"TST"}
    (origin,) = event.origins
    own = {a.pick_id: a for a in origin.arrivals if a.pick_id in {p.resource_id for p in picks}}
    assert len(origin.arrivals) == 4 + 3
    first, second, third = (own[p.resource_id] for p in picks)
    assert (first.phase, second.phase, third.phase) == ("P", "S", "P")
    assert (second.azimuth, second.time_residual, second.time_weight) == (30.0, -0.1, 0.75)
    assert third.distance == pytest.approx(30 / 111.195, rel=1e-4)


def test_the_quality_counts_what_the_file_holds() -> None:
    def quality(document: bytes) -> tuple[int, int, float | None]:
        told = obspy.read_events(io.BytesIO(document))[0].origins[0].quality
        return told.associated_phase_count, told.used_phase_count, told.standard_error

    assert quality(write_quakeml([seen()], LABELS)) == (4, 0, None)
    weights, residuals = np.array([0.9, 0.75, 0.5]), np.array([0.02, -0.1, 0.3])
    rms = float(np.sqrt(np.sum(weights * residuals**2) / weights.sum()))
    assert quality(write_quakeml([seen()], LABELS, own=True)) == (7, 3, pytest.approx(rms))
    assert quality(write_scml([seen()], "0.14", LABELS, own=True)) == (7, 3, pytest.approx(rms))


def test_public_ids_are_the_same_each_time_and_once_in_a_document() -> None:
    other = replace(seen(), trigger=replace(seen().trigger, event_id="Event/other", picks=()), arrivals=())

    def identifiers(document: bytes) -> list[str]:
        found = [from_smi(element.get("publicID")) for element in find(document, "pick")]
        return [name for name in found if name.startswith("Pick/dlloc/")]

    pair = [seen(), other]
    written = identifiers(write_scml(pair, labels=Labels(), own=True))
    assert len(written) == len(set(written)) == 6
    assert identifiers(write_scml(pair, labels=Labels(), own=True)) == written
    assert identifiers(write_quakeml(pair, Labels(), own=True)) == written
    moved = replace(seen(), onsets=(replace(ONSETS[0], time=T0 + 3.001), *ONSETS[1:]))
    assert set(identifiers(write_scml([moved], own=True))) & set(written) == set(written[1:3])


def test_a_host_is_never_told_of_a_pick_that_it_has_not() -> None:
    for document in (write_scml([seen()], labels=LABELS), write_origin_reply(seen(), labels=LABELS)):
        told = [element.text for element in find(document, "arrival", "pickID")]
        assert told == [pick.public_id for pick in seen().trigger.picks]
        assert b"Pick/dlloc" not in document


def test_without_a_hypocentre_there_are_no_picks_of_ours() -> None:
    failed = replace(seen(), hypocenter=None, abstention=Abstention("no waveforms", ""))
    assert b"Pick/dlloc" not in write_quakeml([failed], LABELS, own=True)
    assert b"Pick/dlloc" not in write_scml([failed], labels=LABELS, own=True)


def test_the_picks_of_a_rejected_origin_are_rejected() -> None:
    doubtful = seen(abstention=Abstention("low peak", "0.1 below 0.2"))
    (event,) = obspy.read_events(io.BytesIO(write_quakeml([doubtful], LABELS, own=True)))
    assert {p.evaluation_status for p in ours(event)} == {"rejected"}


def test_our_own_readers_take_them_for_picks_in_use() -> None:
    for document in (write_quakeml([seen()], LABELS, own=True), write_scml([seen()], "0.13", LABELS, own=True)):
        (origin,) = read_origins(document).origins
        assert [pick.used for pick in origin.picks] == [False] * 4 + [True] * 3
        (trigger,) = read_triggers(document).triggers
        assert min(pick.time for pick in trigger.picks if pick.used) == pytest.approx(T0 + 3.0, abs=1e-6)


# The channel


def traces(*seed_ids: str) -> obspy.Stream:
    rows = [dict(zip(("network", "station", "location", "channel"), s.split("."), strict=True)) for s in seed_ids]
    return obspy.Stream([obspy.Trace(np.zeros(4), row) for row in rows])


def channels_of(stream: obspy.Stream, dips: dict[str, float], *dropped: Dropped) -> list[str]:
    index = ChannelIndex(
        ChannelEpoch(seed_id, 0.0, 4e9, 0.0, dip, 1.0, "M/S", 1.0, 1) for seed_id, dip in dips.items()
    )  # fmt: skip
    network = predict(36.0, -97.0, 5.0, [Station("XX", "A", 36.2, -97.0)], LayeredTravelTimes([0.0], [6.0], [3.5]))
    bare = (Onset("XX.A", "P", 1e9, 0.9, 0.0), Onset("XX.A", "S", 1e9 + 2, 0.9, 0.0))
    found = completed(bare, network, stream, dropped, index)
    assert found[0].distance_km == pytest.approx(22.2, abs=0.05)
    assert np.cos(np.radians(found[0].azimuth_deg)) == pytest.approx(1.0)
    return [onset.channel for onset in found]


def test_p_is_picked_on_the_vertical_and_s_on_a_horizontal_of_the_sensor_in_use() -> None:
    dips = {"XX.A.00.HHZ": -90.0, "XX.A.00.HHN": 0.0, "XX.A.00.HHE": 0.0}
    stream = traces(*dips)
    assert channels_of(stream, dips) == ["XX.A.00.HHZ", "XX.A.00.HHE"]
    partly = Dropped("XX.A.00.HHZ", "in part: 0.20 s stuck at one value left out")
    assert channels_of(stream, dips, Dropped("XX.A.00.HHE", "dead"), partly) == ["XX.A.00.HHZ", "XX.A.00.HHN"]
    # Letters do not tell which of 1, 2, 3 is vertical: the inventory does
    numbered = {"XX.A..BH1": 0.0, "XX.A..BH2": 0.0, "XX.A..BH3": -90.0}
    assert channels_of(traces(*numbered), numbered) == ["XX.A..BH3", "XX.A..BH1"]
    slanting = {"XX.A..BHU": -35.3, "XX.A..BHV": -35.3, "XX.A..BHW": -35.3}
    assert channels_of(traces(*slanting), slanting) == ["", ""]


def test_no_channel_is_named_where_two_sensors_might_have_been_used() -> None:
    dips = {"XX.A.00.HHZ": -90.0, "XX.A.10.HNZ": -90.0}
    assert channels_of(traces(*dips), dips)[0] == ""
    spare = Dropped("XX.A.10.HNZ", "not used: XX.A.00.HH? is preferred")
    assert channels_of(traces(*dips), dips, spare)[0] == "XX.A.00.HHZ"


# The command


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = make_scene(tmp_path_factory.mktemp("scene"))
    made.model.write_bytes(tinymodels.any_network())
    return made


def test_dlloc_locate_writes_them_unless_told_not_to(scene: Scene, tmp_path: Path) -> None:
    with_them, without = tmp_path / "with.xml", tmp_path / "without.xml"
    assert main(scene.arguments("-o", str(with_them))) in (0, 1)
    assert main(scene.arguments("--no-own-picks", "-o", str(without))) in (0, 1)
    assert not any(event.picks for event in obspy.read_events(without))
    for event in obspy.read_events(with_them):
        picks = ours(event)
        assert {pick.waveform_id.station_code for pick in picks} == {f"A{i}" for i in range(4)}
        assert {pick.waveform_id.channel_code for pick in picks if pick.phase_hint == "P"} == {"HHZ"}
        assert {pick.waveform_id.channel_code for pick in picks if pick.phase_hint == "S"} == {"HHE"}
        origin = event.origins[0]
        assert len(picks) == len(event.picks) == len(origin.arrivals) == origin.quality.used_phase_count
        by_id = {pick.resource_id: pick for pick in picks}
        for arrival in origin.arrivals:
            # Stations stand on the meridian of the epicentre, one at it and the others up to 40 km away
            assert arrival.distance < 0.4
            if arrival.distance > 0.05:
                assert min(arrival.azimuth % 180, 180 - arrival.azimuth % 180) < 20
            assert by_id[arrival.pick_id].phase_hint == arrival.phase
