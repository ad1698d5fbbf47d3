"""The host's control script and the module's init script: start, status, check after a crash, stop."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratchroot import ScratchRoot, wait_until

pytestmark = [pytest.mark.seiscomp, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def controlled(host: ScratchRoot, tmp_path: Path) -> Iterator[ScratchRoot]:
    """A host with master, init script and a program ``dlloc``; the module starts a worker of a profile without data."""
    (host.root / "lib" / "python" / "seiscomp_dlloc").symlink_to(REPOSITORY / "seiscomp_dlloc")
    shutil.copy(REPOSITORY / "etc" / "init" / "dlloc.py", host.root / "etc" / "init")
    program = host.root / "bin" / "dlloc"
    program.write_text(
        f'#!/bin/sh\nexec "{host.root}/bin/seiscomp-python" -m seiscomp_dlloc.seiscomp_app.module "$@"\n', "utf-8"
    )
    program.chmod(0o755)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)
    (tmp_path / "sds").mkdir()
    host.write_config(
        "dlloc",
        f"worker.python = {python}",
        f"profile.default.waveforms = sds://{tmp_path / 'sds'}",
        f"profile.default.inventory = {REPOSITORY / 'seiscomp_dlloc' / 'data' / 'demo' / 'stations.xml'}",
        "ring.enable = false",
    )
    host.start_master()
    yield host
    host.control("stop", "dlloc", check=False)


def pid(host: ScratchRoot, name: str) -> int:
    """The number in a file of var/run, 0 where there is none."""
    path = host.root / "var" / "run" / name
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else 0


def alive(number: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_started_checked_after_a_crash_and_stopped_with_its_worker(controlled: ScratchRoot):
    host = controlled
    assert "dlloc" in host.control("list", "modules")
    host.control("enable", "dlloc")
    assert "is not running" in host.control("status", "dlloc")
    host.control("start", "dlloc")
    first = int(str(wait_until(lambda: pid(host, "dlloc.pid"))))
    assert "dlloc                is running" in host.control("status", "dlloc")
    assert "already running" in host.control("start", "dlloc", check=False)

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first))
    assert "not running [WARNING]" in host.control("status", "dlloc"), "it should run, for it was started"
    host.control("check", "dlloc")
    second = int(str(wait_until(lambda: pid(host, "dlloc.pid") not in (0, first) and pid(host, "dlloc.pid"))))
    assert "is running" in host.control("status", "dlloc")

    worker = int(str(wait_until(lambda: pid(host, "dlloc.sock.lock"), 120)))
    assert alive(worker)
    host.control("stop", "dlloc")
    wait_until(lambda: not alive(second) and not alive(worker), 30)
    assert "is not running" in host.control("status", "dlloc")
    host.control("disable", "dlloc")
    assert "dlloc" not in host.control("list", "enabled").split()


def test_a_wrong_setting_is_shown_at_the_start(controlled: ScratchRoot):
    with (controlled.root / "etc" / "dlloc.cfg").open("a") as settings:
        settings.write("trigger.minPhases = many\n")
    said = controlled.control("start", "dlloc", check=False)
    assert "setting trigger.minPhases: 'many' is no number" in said
    assert "0 modules started" in said
    assert "trigger.minPhases" in (controlled.root / "var" / "log" / "dlloc.log").read_text("utf-8")


def test_a_worker_of_older_settings_is_replaced_when_the_module_starts(controlled: ScratchRoot, tmp_path: Path):
    host = controlled
    python = tmp_path / "python"
    # As scolv's locator would have it started
    host.run(python, "-m", "seiscomp_dlloc", "worker", "start")
    first = int(str(wait_until(lambda: pid(host, "dlloc.sock.lock"), 120)))
    host.control("start", "dlloc")
    wait_until(lambda: pid(host, "dlloc.pid"))
    time.sleep(3.0)
    assert pid(host, "dlloc.sock.lock") == first, "the settings are the same"
    module = pid(host, "dlloc.pid")
    os.kill(module, signal.SIGTERM)
    wait_until(lambda: not alive(module))
    assert alive(first), "others may use it"
    with (host.root / "etc" / "dlloc.cfg").open("a") as settings:
        settings.write("worker.jobs = 3\n")
    host.control("check", "dlloc")
    second = int(
        str(wait_until(lambda: pid(host, "dlloc.sock.lock") not in (0, first) and pid(host, "dlloc.sock.lock")))
    )
    status = json.loads(host.run(python, "-m", "seiscomp_dlloc", "worker", "status", "--json", check=False))
    assert (status["pid"], status["jobs"]["at_once"]) == (second, 3)
    wait_until(lambda: not alive(first))
    host.control("stop", "dlloc")
    wait_until(lambda: not alive(second), 30)


def test_there_are_no_aliases_of_it(controlled: ScratchRoot):
    said = controlled.control("alias", "create", "dlloc2", "dlloc", check=False)
    assert not (controlled.root / "etc" / "init" / "dlloc2.py").exists(), said
