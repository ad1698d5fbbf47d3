"""``dlloc`` under odd terminals, full disks, closed pipes, impatient users, and names made to do harm."""

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from obspy import UTCDateTime
from scene import Scene, inventory, make_scene, quakeml, waveforms

from seiscomp_dlloc.cli import run as run_module
from seiscomp_dlloc.cli import stdio
from seiscomp_dlloc.cli.main import main

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell and its devices")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(pristine: Scene, tmp_path: Path) -> Scene:
    """A copy that a test may damage."""
    shutil.copytree(pristine.folder, tmp_path / "scene")
    return Scene(tmp_path / "scene")


def shell(scene: Scene, redirection: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``dlloc locate`` in a shell with ``redirection`` behind it, status of dlloc itself."""
    command = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    arguments = [sys.executable, "-m", "seiscomp_dlloc", *scene.arguments(*more)]
    return subprocess.run(
        ["bash", "-c", command, "bash", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={**ENVIRONMENT, **environment},
    )


def clean(done: subprocess.CompletedProcess[str]) -> bool:
    said = done.stdout + done.stderr
    return "Traceback" not in said and "internal error" not in said and "Exception ignored" not in said


# Terminals


@needs_posix
@pytest.mark.parametrize(
    ("redirection", "status"),
    [("| head -1", (0, 2)), (">&-", (0,)), ("2>&-", (0,)), (">&- 2>&-", (0,)), ("<&-", (0,))],
)
def test_closed_streams_leave_no_traceback(pristine: Scene, redirection: str, status: tuple[int, ...]):
    done = shell(pristine, redirection)
    assert done.returncode in status
    assert clean(done)


@needs_posix
@pytest.mark.parametrize("more", [("--format", "scml"), ("--progress", "--plot", "{folder}/pictures")])
def test_a_reader_that_goes_early_costs_no_file(pristine: Scene, tmp_path: Path, more: tuple[str, ...]):
    target = tmp_path / "out.xml"
    done = shell(pristine, "| true", "-o", str(target), *(text.format(folder=tmp_path) for text in more))
    assert done.returncode == 0
    assert "3 events: 3 accepted" in done.stderr
    assert clean(done)
    assert target.read_text().count("smi:test/event/") >= 3
    assert len(list(tmp_path.glob("pictures/*.png"))) == (3 if "--plot" in more else 0)


@needs_posix
def test_a_reader_that_goes_early_ends_a_run_that_writes_no_file(pristine: Scene):
    done = shell(pristine, "| true")
    assert done.returncode == 2
    assert "accepted" not in done.stderr
    assert clean(done)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_full_disk_behind_stdout_is_said(pristine: Scene, more: tuple[str, ...]):
    done = shell(pristine, "> /dev/full", *more)
    assert done.returncode == 2
    assert "standard output: cannot be written" in done.stderr
    assert clean(done)


@needs_posix
def test_ids_in_any_script_come_out_of_a_terminal_without_it(scene: Scene):
    scene.events.write_text(scene.events.read_text().replace("smi:test/event/1", "حدث"), encoding="utf-8")
    done = shell(scene, "", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert "\\u062d" in done.stdout


def test_a_name_neither_breaks_a_row_nor_commands_the_terminal(scene: Scene, capsys: pytest.CaptureFixture[str]):
    scene.events.write_text(quakeml([0, 1, 2]).replace("smi:test/event/1", "a&#10;b&#x9b;31m"), encoding="utf-8")
    (scene.waveforms / "\x1b[31m").write_text("no waveforms")
    assert main(scene.arguments()) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "a?b?31m" in out
    assert "?[31m" in err
    assert "\x1b" not in out + err


def test_a_name_with_dollar_signs_is_drawn_as_it_stands(scene: Scene, tmp_path: Path):
    scene.events.write_text(quakeml([0]).replace("smi:test/event/0", r"$\frac$"))
    assert main(scene.arguments("--plot", str(tmp_path / "pictures"))) == 0
    assert [path.suffix for path in (tmp_path / "pictures").iterdir()] == [".png"]


def test_printable_text_stays_as_it_is():
    assert stdio.printable("µ 地震 é") == "µ 地震 é"
    assert stdio.printable("a\tb\x1b\u202e\udcff") == "a?b???"


def test_a_broken_pipe_is_no_error_of_the_disk(monkeypatch: pytest.MonkeyPatch):
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError):
        stdio.say("text")


# What is written, and what is never touched


@needs_posix
def test_a_device_or_pipe_is_written_to_and_never_replaced(pristine: Scene, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert main(pristine.arguments("-o", str(pipe))) == 0
        assert reader.communicate()[0].count(b"<event ") == 3
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_said(pristine: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    assert main(pristine.arguments("-o", str(link))) == 2
    assert f"{link}: cannot be written (No space left on device)" in capsys.readouterr().err
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize("which", ["events", "inventory", "model"])
def test_an_input_is_never_overwritten(scene: Scene, capsys: pytest.CaptureFixture[str], which: str):
    path: Path = getattr(scene, which)
    before = path.read_bytes()
    assert main(scene.arguments("-o", str(path))) == 2
    assert "is an input of this run" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("option", ["-o", "--plot"])
def test_a_folder_that_takes_no_files_is_said_before_the_work(
    pristine: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
):
    # Tests may run as root, whom no permission stops
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr(run_module, "load", None)
    target = tmp_path / "out.xml" if option == "-o" else tmp_path
    assert main(pristine.arguments(option, str(target))) == 2
    assert "cannot be written (Permission denied)" in capsys.readouterr().err


def test_an_output_that_was_there_stays_where_the_run_fails(scene: Scene, tmp_path: Path):
    target = tmp_path / "out.xml"
    target.write_text("earlier")
    scene.events.write_text("no XML")
    assert main(scene.arguments("-o", str(target))) == 2
    assert target.read_text() == "earlier"


def test_an_interrupt_while_writing_leaves_nothing_half_written(
    pristine: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "out.xml"
    target.write_text("earlier")
    monkeypatch.setattr(os, "fsync", interrupted)
    assert main(pristine.arguments("-o", str(target))) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out.xml"]
    assert target.read_text() == "earlier"


@needs_posix
def test_an_interrupt_in_the_middle_ends_in_one_line(scene: Scene, tmp_path: Path):
    many = [0, 1, 2] * 1000
    text = quakeml(many)
    for number in range(len(many)):
        text = text.replace(f'publicID="smi:test/event/{many[number]}"', f'publicID="e{number}"', 1)
        text = text.replace(f'publicID="smi:test/origin/{many[number]}"', f'publicID="o{number}"', 1)
    scene.events.write_text(text)
    command = [sys.executable, "-m", "seiscomp_dlloc", *scene.arguments("-o", str(tmp_path / "out.xml"))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    # A shell starts what runs behind it with SIGINT ignored, and that is inherited
    with subprocess.Popen(command, **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as run:
        assert run.stdout is not None
        for _ in range(3):  # it is at work
            run.stdout.readline()
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert err == "dlloc: interrupted\n"
    assert time.monotonic() - began < 30
    assert not (tmp_path / "out.xml").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


# Settings and paths


@pytest.mark.parametrize("option", ["--events", "--waveforms", "--inventory", "--model", "-o", "--plot"])
def test_an_empty_name_is_refused(pristine: Scene, capsys: pytest.CaptureFixture[str], option: str):
    with pytest.raises(SystemExit) as caught:
        main(pristine.arguments(option, ""))
    assert caught.value.code == 2
    assert "the name is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--batch", "1000000"], ["--threads", "1000000"], ["--batch", "many"], ["--fixed-depth", "deep"]]
)
def test_a_number_beyond_sense_is_refused(pristine: Scene, capsys: pytest.CaptureFixture[str], more: list[str]):
    with pytest.raises(SystemExit) as caught:
        main(pristine.arguments(*more))
    assert caught.value.code == 2
    assert more[1] in capsys.readouterr().err


@pytest.mark.parametrize("depth", ["1000", "-1000", "1e308"])
def test_a_depth_that_the_model_does_not_have_is_refused(
    pristine: Scene, capsys: pytest.CaptureFixture[str], depth: str
):
    assert main(pristine.arguments(f"--fixed-depth={depth}")) == 2
    assert "-9 to 10" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["events", "inventory", "waveforms", "model", "output"])
def test_a_name_that_is_too_long_is_named(pristine: Scene, capsys: pytest.CaptureFixture[str], which: str):
    name = "x" * 5000
    arguments = pristine.arguments("-o", name) if which == "output" else pristine.arguments(**{which: name})
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert name in err
    assert "internal error" not in err


@needs_posix
def test_events_and_inventory_may_come_through_pipes(pristine: Scene):
    arguments = pristine.arguments("--json", events="/dev/stdin")
    done = subprocess.run(
        [sys.executable, "-m", "seiscomp_dlloc", *arguments],
        input=pristine.events.read_bytes(),
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["accepted"] * 3


@needs_posix
def test_waveforms_do_not_come_from_a_pipe(pristine: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    os.mkfifo(tmp_path / "pipe")
    assert main(pristine.arguments(waveforms=tmp_path / "pipe")) == 2
    assert "neither a file nor a folder" in capsys.readouterr().err


# Data


def test_one_channel_of_two_sampling_rates_costs_no_event(scene: Scene, capsys: pytest.CaptureFixture[str]):
    stream = waveforms(1)
    first = stream[0]
    later = first.slice(first.stats.starttime + 45)
    first.trim(endtime=first.stats.starttime + 40)
    later.stats.sampling_rate = 2 * first.stats.sampling_rate
    stream.append(later)
    stream.write(str(scene.waveforms / "event1.mseed"), format="MSEED")
    assert main(scene.arguments("--json")) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("Hz left out" in item["reason"] for item in events[1]["dropped"])


def test_why_no_channel_is_usable_is_in_the_table(scene: Scene, capsys: pytest.CaptureFixture[str]):
    bare = inventory()
    for network in bare:
        for station in network:
            for channel in station:
                channel.end_date = UTCDateTime(2000, 1, 1)
    bare.write(str(scene.inventory), format="STATIONXML")
    assert main(scene.arguments()) == 1
    rows = capsys.readouterr().out.splitlines()[1:]
    assert all("no epoch in the inventory for its time (12)" in row for row in rows)


def test_metadata_that_are_no_text_are_refused(scene: Scene, capsys: pytest.CaptureFixture[str]):
    data = scene.model.read_bytes()
    at = data.index(b"four stations")
    scene.model.write_bytes(data[:at] + b"\xff\xfe" + data[at + 2 :])
    assert main(scene.arguments()) == 2
    assert "metadata are damaged" in capsys.readouterr().err


def test_a_model_behind_a_closed_folder_is_not_said_to_be_missing(
    pristine: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    real = Path.stat

    def refuse(self: Path, **options: bool) -> os.stat_result:
        if self == pristine.model:
            raise PermissionError(13, "Permission denied")
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert main(pristine.arguments()) == 2
    assert f"{pristine.model}: cannot be reached (Permission denied)" in capsys.readouterr().err
