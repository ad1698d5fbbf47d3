"""A worker that was started before an upgrade or a change of the settings: a new one takes its place, once."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workers import DEMO, EVENTS, MODEL, PATIENCE_S, REPOSITORY, SHORT_S, RunningWorker, alive, job, until

from seiscomp_dlloc import locext
from seiscomp_dlloc.errors import WorkerUnavailable
from seiscomp_dlloc.settings.fingerprint import fingerprint
from seiscomp_dlloc.settings.parameters import PARAMETERS
from seiscomp_dlloc.settings.values import Settings
from seiscomp_dlloc.worker import client as client_module
from seiscomp_dlloc.worker.client import Client, Wanted
from seiscomp_dlloc.worker.launch import WorkerLauncher
from seiscomp_dlloc.worker.protocol import RETRY_REASONS
from seiscomp_dlloc.worker.settings import from_settings


class Site:
    """A settings file and the workers that are started by it."""

    def __init__(self, folder: Path, waveforms: Path):
        self.folder, self.waveforms = folder, waveforms
        self.config, self.socket = folder / "dlloc.cfg", str(folder / "w.sock")
        self.client = Client(self.socket)
        self.write()

    def write(self, *lines: str) -> None:
        """The settings, anew."""
        fixed = (
            f"worker.socket = {self.socket}", f"worker.logFile = {self.folder / 'w.log'}",
            f"locator.logFile = {self.folder / 'locext.log'}", f"profile.default.waveforms = {self.waveforms}",
            f"profile.default.inventory = {DEMO / 'stations.xml'}", f"profile.default.model = {MODEL}", *lines,
        )  # fmt: skip
        self.config.write_text("\n".join(fixed) + "\n", "utf-8")

    def wanted(self) -> Wanted:
        return Wanted(fingerprint(Settings.load(str(self.config))), str(self.config))

    def launcher(self, *options: str) -> WorkerLauncher:
        """As a client makes it at its start."""
        return WorkerLauncher(
            self.socket, sys.executable, ["--config", str(self.config), *options], wanted=self.wanted()
        )

    def launch(self, *options: str) -> dict[str, Any]:
        self.launcher(*options)(PATIENCE_S)
        return self.client.status(PATIENCE_S)

    def command(self, *arguments: str) -> str:
        """``dlloc worker ...`` as the operator types it."""
        words = [sys.executable, "-m", "seiscomp_dlloc", "worker", *arguments, "--config", str(self.config)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.stdout + done.stderr


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("SEISCOMP_ROOT", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    with tempfile.TemporaryDirectory(prefix="dlw", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        made = Site(Path(folder), DEMO / "waveforms.mseed")
        yield made
        with contextlib.suppress(OSError, ValueError, WorkerUnavailable):
            os.kill(int(Path(made.socket + ".lock").read_text()), signal.SIGKILL)


def test_with_the_same_settings_the_worker_stays(site: Site):
    first = site.launch()
    assert site.launch()["pid"] == first["pid"]
    site.write("trigger.minPhases = 7", "locator.deadline = 5", "profile.default.region = -10, -10, 10, 10")
    assert site.launch()["pid"] == first["pid"], "these are not the worker's"
    assert "runs already" in site.command("start")
    assert "outdated" not in site.command("status")


def test_after_a_change_a_new_worker_has_the_new_settings(site: Site):
    first = site.launch()
    assert first["jobs"]["at_once"] == 2
    site.write("worker.jobs = 3")
    assert "outdated" in site.command("status")
    second = site.launch()
    assert second["pid"] != first["pid"]
    assert second["jobs"]["at_once"] == 3
    assert not alive(first["pid"])
    log = (site.folder / "w.log").read_text("utf-8")
    assert "a new one takes its place" in log
    assert "WARNING" not in log
    # The operator's own word does the same
    site.write("worker.jobs = 4")
    assert "it ends" in site.command("start")
    assert until(lambda: site.client.status(PATIENCE_S))["jobs"]["at_once"] == 4


def test_after_an_upgrade_the_worker_is_replaced_once(site: Site, monkeypatch: pytest.MonkeyPatch):
    first = site.launch()
    launcher = site.launcher()
    monkeypatch.setattr(client_module, "__version__", "99.0")
    launcher(PATIENCE_S)
    second = site.client.ping(PATIENCE_S)
    assert second["pid"] != first["pid"]
    # The new one is of the old version, too (it may be installed for this user only): they do not take turns
    launcher(PATIENCE_S)
    assert site.client.ping(PATIENCE_S)["pid"] == second["pid"]


def test_a_worker_with_options_of_its_own_is_left_alone(site: Site):
    first = site.launch("--jobs", "1")
    site.write("worker.jobs = 3")
    assert site.launch()["pid"] == first["pid"]
    assert "runs already" in site.command("start")


def test_a_worker_of_another_file_is_left_alone(site: Site):
    first = site.launch()
    other = site.folder / "other.cfg"
    other.write_text(site.config.read_text("utf-8") + "worker.jobs = 3\n", "utf-8")
    site.config = other
    assert site.launch()["pid"] == first["pid"]


def test_jobs_of_the_old_worker_are_not_lost(site: Site):
    short = RunningWorker(cut_s=SHORT_S)
    try:
        site.waveforms = short.waveforms
        site.write()
        site.launch()
        request = job("waiting", wait="complete", deadline_s=PATIENCE_S)
        pending = site.client.open(request, {"event": EVENTS})
        until(lambda: site.client.status(PATIENCE_S)["jobs"]["waiting"] == 1)
        site.waveforms = DEMO / "waveforms.mseed"
        site.write()
        site.launch()
        refused, _ = until(pending.read)
        assert refused["reason"] in RETRY_REASONS, "the module and locext put such a question again"
        answer, _ = site.client.locate(request, {"event": EVENTS}, PATIENCE_S)
        assert answer["status"] == "accepted"
        assert answer["complete"]
    finally:
        short.end()


@pytest.mark.parametrize("young_s", [0.0, 3600.0])
def test_the_locator_replaces_a_worker_that_is_not_young(site: Site, monkeypatch: pytest.MonkeyPatch, young_s: float):
    from test_locext import document

    monkeypatch.setattr(locext, "YOUNG_S", young_s)
    first = site.launch()
    site.write("worker.jobs = 3")
    arguments = locext.Arguments(["--config", str(site.config)])
    found, why = locext.locate(arguments, document(), Settings.load(str(site.config)), time.monotonic() + PATIENCE_S)
    assert found, why
    assert (site.client.ping(PATIENCE_S)["pid"] == first["pid"]) == (young_s > 0)


OTHER = {"boolean": "false", "int": "7", "double": "333.5", "string": "other", "file": "/other", "path": "/other"}
CHOICES = {"worker.provider": "cpu", "worker.requireGPU": "true", "profile.$name.minPeak": "0.5"}


@pytest.mark.parametrize("key", [p.key for p in PARAMETERS if p.type in OTHER and not p.key.startswith("output.")])
def test_the_fingerprint_changes_with_every_setting_of_the_worker_and_with_no_other(key: str):
    (kind,) = [parameter.type for parameter in PARAMETERS if parameter.key == key]
    changed = {key.replace("$name", "default"): [CHOICES.get(key, OTHER[kind])]}
    before, after = Settings.from_getter(lambda _: None), Settings.from_getter(changed.get)
    configs = [from_settings(settings).to_json() for settings in (before, after)]
    for config in configs:
        # The settings' own name is what is asked about, and a worker is found by its socket
        del config["settings"], config["socket"]
    if key == "worker.python":
        assert fingerprint(before) != fingerprint(after)
    else:
        assert (fingerprint(before) != fingerprint(after)) == (configs[0] != configs[1])


def test_the_fingerprint_changes_with_the_hosts_recordstream():
    with_stream = Settings.from_getter({"recordstream": ["slink://localhost"]}.get)
    assert fingerprint(with_stream) != fingerprint(Settings.from_getter(lambda _: None))
