"""``dlloc locate``: what it prints and writes, and what it does with broken input."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import obspy
import onnxruntime as ort
import pytest
import tinymodels
from samples import passport_document
from scene import Scene, inventory, make_scene, quakeml, waveforms

from seiscomp_dlloc import model as model_module
from seiscomp_dlloc import models
from seiscomp_dlloc.cli import run as run_module
from seiscomp_dlloc.cli.main import main


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(pristine: Scene, tmp_path: Path) -> Scene:
    """A copy that a test may damage."""
    shutil.copytree(pristine.folder, tmp_path / "scene")
    return Scene(tmp_path / "scene")


class Outcome:
    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines, by event."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def states(self) -> list[str]:
        return [event["status"] for event in self.events]


@pytest.fixture
def dlloc(capsys: pytest.CaptureFixture[str]):
    """Runs the command line; whatever it is given, no traceback and no internal error may come out."""

    def run(arguments: list[str]) -> Outcome:
        status = main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert "internal error" not in err
        return Outcome(status, out, err)

    return run


# What it does


def test_every_event_is_located_and_accepted(pristine: Scene, dlloc):
    done = dlloc(pristine.arguments())
    assert done.status == 0
    header, *rows = done.out.splitlines()
    assert header.startswith("event")
    assert [row.split()[0] for row in rows] == [f"smi:test/event/{i}" for i in range(3)]
    assert all(row.endswith("accepted") for row in rows)
    assert "3 events: 3 accepted" in done.err


def test_json_has_one_object_per_event_with_every_key(pristine: Scene, dlloc):
    done = dlloc(pristine.arguments("--json"))
    assert done.status == 0
    assert [event["event"] for event in done.events] == [f"smi:test/event/{i}" for i in range(3)]
    for event in done.events:
        assert event["latitude"] == pytest.approx(36.0, abs=0.01)
        assert event["depth_km"] == pytest.approx(2.0, abs=0.5)
        assert event["used_stations"] == ["XX.A0", "XX.A1", "XX.A2", "XX.A3"]
        assert event["model"]["provider"] == "CPUExecutionProvider"
        assert event["model"]["sha256"] == model_module.load(pristine.model, "cpu").sha256
        assert event.keys() == done.events[0].keys()


def test_quakeml_keeps_the_publicids_and_names_the_model(pristine: Scene, tmp_path: Path, dlloc):
    target = tmp_path / "out.xml"
    assert dlloc(pristine.arguments("-o", str(target))).status == 0
    catalogue = obspy.read_events(str(target))
    assert [event.resource_id.id for event in catalogue] == [f"smi:test/event/{i}" for i in range(3)]
    origin = catalogue[0].preferred_origin()
    assert origin.earth_model_id.id.endswith("sample/1.2.3")
    assert origin.depth == pytest.approx(2000.0, abs=500.0)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("version", ["0.12", "0.13", "0.14"])
def test_scml_is_written_in_the_version_asked_for(pristine: Scene, tmp_path: Path, dlloc, version: str):
    target = tmp_path / "out.scml"
    assert dlloc(pristine.arguments("-o", str(target), "--format", "scml", "--scml-version", version)).status == 0
    assert f'version="{version}"' in target.read_text()[:300]


def test_scml_answers_in_the_version_of_the_events(pristine: Scene, tmp_path: Path, dlloc):
    question, answer = tmp_path / "in.scml", tmp_path / "out.scml"
    dlloc(pristine.arguments("-o", str(question), "--format", "scml", "--scml-version", "0.12"))
    assert dlloc(pristine.arguments("-o", str(answer), "--format", "scml", events=question)).status == 0
    assert 'version="0.12"' in answer.read_text()[:300]


def test_a_picture_per_event_is_drawn(pristine: Scene, tmp_path: Path, dlloc):
    assert dlloc(pristine.arguments("--plot", str(tmp_path / "new" / "pictures"))).status == 0
    pictures = sorted((tmp_path / "new" / "pictures").iterdir())
    assert [path.name for path in pictures] == ["0.png", "1.png", "2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 20_000 for path in pictures)


def test_the_progress_bar_is_shown_where_asked_and_not_into_a_file(pristine: Scene, dlloc):
    assert "2/3 [" in dlloc(pristine.arguments("--progress")).err
    assert "/3 [" not in dlloc(pristine.arguments()).err


def test_the_triggers_place_does_not_matter(scene: Scene, dlloc):
    here = dlloc(scene.arguments("--json")).events
    scene.events.write_text(quakeml([0, 1, 2], latitude=36.4, longitude=-97.4))
    assert dlloc(scene.arguments("--json")).events == here


def test_a_fixed_depth_is_kept(pristine: Scene, dlloc):
    assert {event["depth_km"] for event in dlloc(pristine.arguments("--json", "--fixed-depth", "3.5")).events} == {3.5}


def test_batches_of_any_size_give_the_same_answers(pristine: Scene, dlloc):
    one = dlloc(pristine.arguments("--json", "--batch", "1")).events
    assert dlloc(pristine.arguments("--json", "--batch", "2")).events == one


def test_without_a_model_the_default_one_is_taken_whichever_others_suit(
    pristine: Scene, tmp_path: Path, dlloc, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    arguments = pristine.arguments("--json")
    del arguments[arguments.index("--model") : arguments.index("--model") + 2]
    shutil.copy(pristine.model, tmp_path / "right.onnx")
    bad_input(dlloc(arguments), f"model {models.DEFAULT}: no such file", "(bundled: right)")
    tinymodels.save(tinymodels.any_network(), tmp_path, f"{models.DEFAULT}.onnx")
    assert {event["model"]["name"] for event in dlloc(arguments).events} == {"tiny-any"}
    tinymodels.save(tinymodels.any_network(tinymodels.any_document(min_stations=5)), tmp_path, f"{models.DEFAULT}.onnx")
    bad_input(dlloc(arguments), "model tiny-any needs 5 stations", "the inventory has 4")


def test_the_command_works_as_a_process_of_its_own(pristine: Scene):
    command = [sys.executable, "-m", "seiscomp_dlloc", *pristine.arguments()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accepted") == 3
    *notes, last = done.stderr.splitlines()
    assert all(line.startswith("dlloc: note: ") for line in notes)
    assert "3 events: 3 accepted" in last


# One event is broken: the others are located, exit status 1


def only_event_1_suffers(done: Outcome) -> dict[str, Any]:
    assert done.status == 1
    assert [done.states[0], done.states[2]] == ["accepted", "accepted"]
    assert done.states[1] in ("failed", "abstained")
    return done.events[1]


def test_without_waveforms_of_one_event_the_others_are_located(scene: Scene, tmp_path: Path, dlloc):
    (scene.waveforms / "event1.mseed").unlink()
    target = tmp_path / "out.xml"
    event = only_event_1_suffers(dlloc(scene.arguments("--json", "-o", str(target))))
    assert event["reason"] == "no waveforms"
    assert event["latitude"] is None
    catalogue = obspy.read_events(str(target))
    assert len(catalogue) == 3
    assert [len(event.origins) for event in catalogue] == [1, 0, 1]


@pytest.mark.parametrize("keep", [40, 1000, 20_000])
def test_a_truncated_file_costs_its_own_event_only(scene: Scene, dlloc, keep: int):
    path = scene.waveforms / "event1.mseed"
    path.write_bytes(path.read_bytes()[:keep])
    done = dlloc(scene.arguments("--json"))
    only_event_1_suffers(done)
    assert "event1.mseed" in done.err or done.events[1]["dropped"]


def test_a_file_that_is_not_miniseed_is_named(scene: Scene, dlloc):
    (scene.waveforms / "event1.mseed").write_text("no waveforms at all " * 100)
    done = dlloc(scene.arguments("--json"))
    only_event_1_suffers(done)
    assert "event1.mseed" in done.err


def test_a_file_without_read_permission_is_named(scene: Scene, dlloc, monkeypatch: pytest.MonkeyPatch):
    # Tests may run as root, whom no permission stops
    from seiscomp_dlloc.waveforms import files

    real = files.summarise

    def summarise(path: Path) -> Any:
        if path.name == "event1.mseed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(files, "summarise", summarise)
    done = dlloc(scene.arguments("--json"))
    only_event_1_suffers(done)
    assert "event1.mseed" in done.err
    assert "Permission denied" in done.err


def test_an_event_without_time_is_lost_by_name_and_the_others_are_located(scene: Scene, dlloc):
    text = scene.events.read_text().replace("2026-01-01T01:00:00.000000Z", "soon")
    assert "soon" in text
    scene.events.write_text(text)
    done = dlloc(scene.arguments("--json"))
    assert done.status == 1
    assert done.states == ["accepted", "accepted"]
    assert "smi:test/event/1" in done.err or "smi:test/origin/1" in done.err
    assert "3 events: 2 accepted, 1 failed" in done.err


def test_an_event_of_dead_channels_is_not_located_and_they_are_named(scene: Scene, dlloc):
    stream = waveforms(1)
    for trace in stream:
        trace.data[:] = 7
    stream.write(str(scene.waveforms / "event1.mseed"), format="MSEED")
    event = only_event_1_suffers(dlloc(scene.arguments("--json")))
    assert event["reason"] == "no waveforms"
    assert {item["seed_id"] for item in event["dropped"]} >= {f"XX.A0..HH{component}" for component in "ZNE"}


def test_an_event_of_noise_alone_is_not_accepted(scene: Scene, dlloc):
    stream = waveforms(1)
    for trace in stream:
        trace.data[:] = trace.data[:300].repeat(trace.stats.npts // 300)
    stream.write(str(scene.waveforms / "event1.mseed"), format="MSEED")
    only_event_1_suffers(dlloc(scene.arguments("--json")))


# A station is broken: it is named


def test_a_station_that_the_inventory_does_not_know_changes_nothing(scene: Scene, dlloc):
    before = dlloc(scene.arguments("--json")).events
    stream = waveforms(1)
    for trace in stream:
        trace.stats.network, trace.stats.station = "ZZ", "NOBODY"[:5]
    stream.write(str(scene.waveforms / "stranger.mseed"), format="MSEED")
    assert dlloc(scene.arguments("--json")).events == before


def test_a_model_station_that_the_inventory_lacks_is_named(scene: Scene, dlloc):
    smaller = inventory()
    smaller.networks[0].stations = smaller.networks[0].stations[:3]
    smaller.write(str(scene.inventory), format="STATIONXML")
    for event in dlloc(scene.arguments("--json")).events:
        assert {"seed_id": "XX.A3", "reason": "not in the inventory"} in event["dropped"]
        assert "XX.A3" not in event["used_stations"]


# The run cannot go on: exit status 2 and a message that names what is wrong


def bad_input(done: Outcome, *words: str) -> None:
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("dlloc: ")
    for word in words:
        assert word in done.err


BOMB = '<?xml version="1.0"?><!DOCTYPE q [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
THIEF = '<?xml version="1.0"?><!DOCTYPE q [<!ENTITY f SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("prologue", [BOMB, THIEF])
@pytest.mark.parametrize("which", ["events", "inventory"])
def test_xml_with_entities_is_refused(scene: Scene, dlloc, which: str, prologue: str):
    path: Path = getattr(scene, which)
    text = path.read_text()
    path.write_text(prologue + text[text.index("?>") + 2 :])
    bad_input(dlloc(scene.arguments()), path.name, "DOCTYPE" if "DOCTYPE" in text else "type declaration")


@pytest.mark.parametrize("which", ["events", "inventory", "waveforms", "model"])
def test_a_file_that_is_not_there_is_named(scene: Scene, dlloc, which: str):
    bad_input(dlloc(scene.arguments(**{which: scene.folder / "nowhere.x"})), "nowhere.x")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"<a><b></a>", b"\x00\xff" * 50])
@pytest.mark.parametrize("which", ["events", "inventory", "waveforms", "model"])
def test_a_file_of_nonsense_is_named(scene: Scene, dlloc, which: str, content: bytes):
    path = scene.folder / "nonsense.x"
    path.write_bytes(content)
    bad_input(dlloc(scene.arguments(**{which: path})), "nonsense.x")


def test_events_of_which_none_can_be_read_are_bad_input(scene: Scene, dlloc):
    scene.events.write_text(quakeml([0]).replace("2026-01-01T00:00:00.000000Z", "soon"))
    bad_input(dlloc(scene.arguments()), "events.xml", "soon")


def test_files_in_the_wrong_places_are_told_apart(scene: Scene, dlloc):
    bad_input(dlloc(scene.arguments(events=scene.inventory)), "holds stations, not events")
    bad_input(dlloc(scene.arguments(inventory=scene.events)), "holds events, not stations")
    bad_input(dlloc(scene.arguments(model=scene.events)), "not an ONNX model")


@pytest.mark.parametrize("which", ["events", "inventory", "model"])
def test_a_folder_in_place_of_a_file_is_named(scene: Scene, dlloc, which: str):
    bad_input(dlloc(scene.arguments(**{which: scene.waveforms})), "waveforms")


def test_an_empty_folder_of_waveforms_is_bad_input(scene: Scene, dlloc):
    (scene.folder / "empty").mkdir()
    bad_input(dlloc(scene.arguments(waveforms=scene.folder / "empty")), "empty")


def test_a_folder_without_read_permission_is_named(scene: Scene, dlloc, monkeypatch: pytest.MonkeyPatch):
    # Tests may run as root, whom no permission stops
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if Path(path) == scene.waveforms:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    bad_input(dlloc(scene.arguments()), str(scene.waveforms), "Permission denied", "right to read")


def test_an_unknown_scheme_of_waveforms_is_answered_with_the_known_ones(scene: Scene, dlloc):
    bad_input(dlloc(scene.arguments(waveforms="ftp://archive")), "unknown scheme", "fdsnws://", "sds://")


def test_a_model_of_another_network_is_refused_before_any_work(scene: Scene, dlloc):
    document = passport_document(name="elsewhere")
    for station in document["network"]["stations"]:
        station["code"], station["latitude"] = "Q" + station["code"], station["latitude"] + 3.0
    path = tinymodels.save(tinymodels.fixed_image(document), scene.folder, "elsewhere.onnx")
    bad_input(dlloc(scene.arguments(model=path)), "elsewhere", "XX.QA0", "needs 3", "has 0")


def test_tampered_weights_are_refused(scene: Scene, dlloc):
    data = bytearray(scene.model.read_bytes())
    data[data.index(b"zero") - 3] ^= 1
    path = scene.folder / "tampered.onnx"
    path.write_bytes(data)
    bad_input(dlloc(scene.arguments(model=path)), "tampered.onnx")


def test_requiring_a_gpu_fails_clearly_without_one(scene: Scene, dlloc, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    arguments = [text for text in scene.arguments("--require-gpu") if text not in ("--provider", "cpu")]
    bad_input(dlloc(arguments), "onnxruntime-gpu")


def test_what_cannot_be_written_is_said_before_the_work(scene: Scene, dlloc, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_module, "load", None)
    bad_input(dlloc(scene.arguments("-o", str(scene.folder))), "is a folder")
    bad_input(dlloc(scene.arguments("-o", str(scene.folder / "no" / "out.xml"))), "does not exist")
    bad_input(dlloc(scene.arguments("--plot", str(scene.events / "pictures"))), "pictures")


def test_nothing_is_left_behind_where_writing_fails(scene: Scene, dlloc, monkeypatch: pytest.MonkeyPatch):
    def replace(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(scene.folder.iterdir())
    monkeypatch.setattr(os, "replace", replace)
    done = dlloc(scene.arguments("-o", str(scene.folder / "out.xml")))
    assert done.status == 2
    assert "No space left on device" in done.err
    assert sorted(scene.folder.iterdir()) == before


@pytest.mark.parametrize(
    "more",
    [["--batch", "0"], ["--threads", "-1"], ["--fixed-depth", "nan"], ["--provider", "tpu"], ["--scml-version", "9"]],
)
def test_a_setting_that_cannot_be_is_refused(scene: Scene, capsys: pytest.CaptureFixture[str], more: list[str]):
    with pytest.raises(SystemExit) as caught:
        main(scene.arguments(*more))
    assert caught.value.code == 2
    assert more[0] in capsys.readouterr().err


def test_a_defect_of_ours_is_told_from_abstained_events(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.delenv("DLLOC_DEBUG", raising=False)
    monkeypatch.setattr(run_module, "required_window", broken)
    assert main(scene.arguments()) == 2
    err = capsys.readouterr().err
    assert "internal error: RuntimeError: a defect" in err
    assert "Traceback" not in err
    monkeypatch.setenv("DLLOC_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a defect"):
        main(scene.arguments())
