"""What goes wrong while seismograms are made, or just before: it is said in one line, and nothing made is lost."""

import errno
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from dlloc_training.__main__ import main
from dlloc_training.experiments import dataset
from dlloc_training.experiments.dataset import DatasetWriter
from dlloc_training.experiments.synthesis import DATASET

from seiscomp_dlloc.errors import SettingError

from .smallexperiment import heed_interrupts
from .test_experiment_synthesis import SMALL

MANY = SMALL.replace("off_node = 3", "off_node = 300")

# Batches that take a while, so that there is something to interrupt; workers run this file too, as their __main__
SLOWED = """
import sys, time
from dlloc_training.__main__ import main
from dlloc_training.experiments import synthesis

def slowed(*arguments, made=synthesis.make_records):
    time.sleep(0.3)
    return made(*arguments)

synthesis.make_records = slowed
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "many.toml"
    path.write_text(MANY)
    return path


def synthesize(file: Path, folder: Path, *options: str) -> int:
    return main(["synthesize", str(file), "-o", str(folder), *(options or ("--workers", "1"))])


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / DATASET).read_bytes()).hexdigest()


def events_done(folder: Path) -> int:
    try:
        with h5py.File(folder / (DATASET + ".part"), "r", locking=False) as part:
            return int(np.count_nonzero(part["done"][()]))
    except (OSError, KeyError):
        return 0


def children(pid: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue  # it has ended
        if int(parent) == pid:
            found.add(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on_to_the_same_file(
    file: Path, tmp_path: Path, sent: signal.Signals, workers: str
) -> None:
    folder, script = tmp_path / "run", tmp_path / "slowed.py"
    script.write_text(SLOWED)
    command = [sys.executable, str(script), "synthesize", str(file), "-o", str(folder), "--workers", workers]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, preexec_fn=heed_interrupts, **pipes) as process:
        until = time.monotonic() + 60
        while not events_done(folder):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        helpers = children(process.pid)
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
    assert len(helpers) >= (2 if workers == "2" else 0)
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert said.strip().splitlines()[-1] == "synthesize: interrupted; the same command goes on from here"
        assert "Traceback" not in said
    done = events_done(folder)
    assert 0 < done < 312
    assert not (folder / DATASET).exists()
    until = time.monotonic() + 10
    while any(alive(pid) for pid in helpers):
        assert time.monotonic() < until, "workers outlive the run that they worked for"
        time.sleep(0.05)
    assert synthesize(file, folder) == 0
    assert synthesize(file, tmp_path / "whole") == 0
    assert digest(folder) == digest(tmp_path / "whole")
    assert not (folder / (DATASET + ".part")).exists()


def test_a_disk_that_fills_up_is_said_and_costs_nothing_made(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written, real, room = [0], os.pwrite, 1_000_000

    def full(descriptor: int, data: memoryview, place: int) -> int:
        left = room - written[0]
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(descriptor, data[:left], place)  # the last write before the end is a short one
        written[0] += count
        return count

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert synthesize(file, folder) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{folder / DATASET}.part: cannot be written (No space left on device)" in said
    assert "what was made so far is kept" in said
    kept = events_done(folder)
    assert 0 < kept < 312
    assert kept * 3 * 2 * 140 * 4 <= room
    assert synthesize(file, folder) == 0
    assert synthesize(file, tmp_path / "whole") == 0
    assert digest(folder) == digest(tmp_path / "whole")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB. Needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_too_small_is_said_before_anything_is_made(
    file: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synthesize(file, small_disk / "run") == 2
    assert re.search(rf"synthesize: {small_disk}/run/{DATASET}: needs .* GiB, the disk has", capsys.readouterr().err)
    assert not (small_disk / "run" / "tables").exists()


def test_room_that_others_take_in_the_meantime_is_missed_at_once(
    file: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dataset.shutil, "disk_usage", lambda _: dataset.shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    many = file.with_name("more.toml")
    many.write_text(SMALL.replace("off_node = 3", "off_node = 1000"))
    assert synthesize(many, small_disk / "run") == 2  # nothing but the file system itself says that it is full
    said = capsys.readouterr().err
    assert f"{DATASET}.part: cannot be written (No space left on device)" in said
    assert "Green's functions" not in said
    assert not any(small_disk.rglob("*.part"))
    (small_disk / "filled").write_bytes(bytes(1_500_000))
    few = file.with_name("few.toml")
    few.write_text(SMALL.replace("duration_s = 12.0", "duration_s = 120.0"))  # now it is the tables that do not fit
    assert synthesize(few, small_disk / "few") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(r"few/tables/model_0\.h5: cannot be written \(No space left on device\); make room", said)
    assert not list((small_disk / "few" / "tables").iterdir())


def test_a_run_folder_that_cannot_be_is_named(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file")
    assert synthesize(file, tmp_path / "taken") == 2
    assert f"{tmp_path / 'taken'}: cannot be written" in capsys.readouterr().err


def test_two_runs_do_not_write_one_file(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with DatasetWriter(folder / DATASET, {"a": 1}, (1, 1, 4)) as writer:
        assert synthesize(file, folder) == 2
        assert "another run is writing it" in capsys.readouterr().err
        writer.write(np.array([0]), np.ones((1, 3, 1, 4), np.float32))
    with pytest.raises(RuntimeError, match="closed"):
        writer.write(np.array([0]), np.ones((1, 3, 1, 4), np.float32))
    with DatasetWriter(folder / DATASET, {"a": 1}, (1, 1, 4)) as writer:
        assert writer.done.all()


def test_a_part_of_other_settings_is_made_anew(tmp_path: Path) -> None:
    for header, shape in (({"a": 1}, (2, 1, 4)), ({"a": 2}, (2, 1, 4)), ({"a": 2}, (3, 1, 4))):
        with DatasetWriter(tmp_path / "x.h5", header, shape) as writer:
            assert not writer.done.any()
            writer.write(np.array([0]), np.ones((1, 3, 1, 4), np.float32))
    with pytest.raises(SettingError, match="cannot be written"):
        DatasetWriter(tmp_path / "nowhere" / "x.h5", {}, (1, 1, 4))
