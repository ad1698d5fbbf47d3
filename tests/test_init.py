"""The host's init script of the module: what it does with the worker when the module is stopped."""

import fcntl
import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "etc" / "init" / "dlloc.py"


class HostModule:
    """As seiscomp.kernel.Module: what the script calls of it."""

    def __init__(self, env: types.SimpleNamespace, name: str):
        self.env, self.name = env, name

    def stop(self) -> int:
        return 0

    def _run(self) -> int:
        return self.env.started


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The script's Module in a host whose root is ``tmp_path``."""
    kernel = types.ModuleType("seiscomp.kernel")
    kernel.Module = HostModule  # type: ignore[attr-defined]
    package = types.ModuleType("seiscomp")
    package.kernel = kernel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "seiscomp", package)
    monkeypatch.setitem(sys.modules, "seiscomp.kernel", kernel)
    monkeypatch.setenv("SEISCOMP_ROOT", str(tmp_path))
    monkeypatch.setenv("SEISCOMP_LOCAL_CONFIG", str(tmp_path / "own"))
    (tmp_path / "var" / "run").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    specification = importlib.util.spec_from_file_location("dlloc_init", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    said: list[str] = []
    environment = types.SimpleNamespace(
        SEISCOMP_ROOT=str(tmp_path),
        moduleName=lambda path: Path(path).stem,
        logFile=lambda name: str(tmp_path / f"{name}.log"),
        log=said.append,
        said=said,
        started=0,
    )
    return script.Module(environment)


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing until it is ended."""
    made = subprocess.Popen(["sleep", "600"])
    yield made
    made.kill()
    made.wait(10)


def test_the_module_is_the_one_that_the_file_is_named_for(module):
    assert module.name == "dlloc"
    assert (module.supportsAliases(), module.updateConfig()) == (False, 0)


def test_why_it_does_not_start_is_shown(module, tmp_path: Path):
    (tmp_path / "dlloc.log").write_text("old\ndlloc: setting trigger.minPhases: 'many' is no number\n")
    assert module._run() == 0
    assert module.env.said == []
    module.env.started = 512
    assert module._run() == 512
    assert module.env.said[-1] == "dlloc: setting trigger.minPhases: 'many' is no number"
    (tmp_path / "dlloc.log").unlink()
    assert module._run() == 512


@pytest.mark.parametrize("place", ["var/run/dlloc.sock", "elsewhere.sock"])
def test_the_worker_that_holds_the_lock_is_ended(
    module, process: "subprocess.Popen[bytes]", tmp_path: Path, place: str
):
    (tmp_path / "etc" / "dlloc.cfg").write_text(f"worker.socket = @ROOTDIR@/{place}\n")
    with (tmp_path / f"{place}.lock").open("w") as lock:
        lock.write(f"{process.pid}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert module.stop() == 0
    assert process.wait(10) == -15


def test_settings_that_cannot_be_read_leave_the_usual_place(module, process: "subprocess.Popen[bytes]", tmp_path: Path):
    (tmp_path / "etc" / "dlloc.cfg").write_text("nonsense\n")
    with (tmp_path / "var" / "run" / "dlloc.sock.lock").open("w") as lock:
        lock.write(f"{process.pid}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert module.stop() == 0
    assert process.wait(10) == -15


def test_a_number_that_a_dead_worker_left_ends_nobody(module, process: "subprocess.Popen[bytes]", tmp_path: Path):
    (tmp_path / "var" / "run" / "dlloc.sock.lock").write_text(f"{process.pid}\n")
    assert module.stop() == 0
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)


def test_without_a_worker_or_with_a_lock_that_says_nothing_it_stops_just_the_same(module, tmp_path: Path):
    assert module.stop() == 0
    path = tmp_path / "var" / "run" / "dlloc.sock.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert module.stop() == 0
    assert os.path.exists(path)
