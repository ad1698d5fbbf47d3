"""Real workers for the tests: started on a socket of their own, and ended by their process's number."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obspy

from seiscomp_dlloc.errors import WorkerUnavailable
from seiscomp_dlloc.worker.client import Client
from seiscomp_dlloc.worker.launch import WorkerLauncher

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO = REPOSITORY / "seiscomp_dlloc" / "data" / "demo"
EVENTS = (DEMO / "triggers.xml").read_bytes()
MODEL = "oklahoma-fcn-slim"
"""The demo network's own: it is fast, and the demo's records hold the windows that it wants."""
PATIENCE_S = 90.0
"""Ten times what an idle machine needs for the slowest step."""
SHORT_S = 8.0
"""The demo's records end three to four seconds after the windows that their first breaks ask for."""


class RunningWorker:
    """A worker in a folder of its own, with the demo's waveforms and inventory, and the model of its network.

    ``cut_s``: so much of each record's end is left out. With :data:`SHORT_S` no window of the demo's is complete.
    """

    def __init__(self, *options: str, cut_s: float = 0.0):
        self._folder = tempfile.TemporaryDirectory(prefix="dlw", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.socket = str(self.folder / "w.sock")
        self.log = self.folder / "w.log"
        self.waveforms = DEMO / "waveforms.mseed"
        if cut_s:
            records = obspy.read(self.waveforms)
            self.waveforms = self.folder / "waveforms.mseed"
            for record in records:
                record.trim(endtime=record.stats.endtime - cut_s)
            records.write(str(self.waveforms), format="MSEED")
        self.options = [
            "--waveforms", str(self.waveforms), "--inventory", str(DEMO / "stations.xml"), "--model", MODEL,
            "--log", str(self.log), *options,
        ]  # fmt: skip
        # Neither the operator's own settings nor a host's
        environment = {key: value for key, value in os.environ.items() if key != "SEISCOMP_ROOT"}
        environment["XDG_STATE_HOME"] = str(self.folder)
        environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), environment.get("PYTHONPATH", "")])
        self.environment = environment
        self.launcher = WorkerLauncher(self.socket, sys.executable, self.options, environment)
        self.client = Client(self.socket)

    def start(self) -> "RunningWorker":
        self.launcher(PATIENCE_S)
        return self

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """``dlloc worker ...`` as the operator types it."""
        command = [sys.executable, "-m", "seiscomp_dlloc", "worker", *arguments, "--socket", self.socket]
        return subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=PATIENCE_S, check=False
        )

    def status(self) -> dict[str, Any]:
        return self.client.status(PATIENCE_S)

    def ready(self) -> "RunningWorker":
        until(lambda: self.status()["engine"]["state"] == "ready")
        return self

    def locate(self, name: str, deadline_s: float = PATIENCE_S, event: bytes = EVENTS, **request: Any):
        header, blobs = self.client.locate(job(name, **request), {"event": event}, deadline_s)
        return header, blobs

    def end(self) -> None:
        with contextlib.suppress(OSError, ValueError, WorkerUnavailable):
            os.kill(int(Path(self.socket + ".lock").read_text()), signal.SIGKILL)
        self._folder.cleanup()


def job(name: str, number: int = 1, **request: Any) -> dict[str, Any]:
    """A job on one of the demo's events."""
    return {"id": name, "origin": f"smi:dlloc/demo/origin/theoretical-{number}", **request}


def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for ``condition`` and give what it gives."""
    limit = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)
    return value


class Answers:
    """Jobs asked for in threads of their own; :meth:`take` gives the answer to one."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._answers: dict[str, Any] = {}

    def ask(self, client: Client, name: str, deadline_s: float, **request: Any) -> None:
        def run() -> None:
            try:
                self._answers[name] = client.locate(job(name, **request), {"event": EVENTS}, deadline_s)
            except Exception as error:
                self._answers[name] = error

        self._threads[name] = threading.Thread(target=run, daemon=True)
        self._threads[name].start()

    def take(self, name: str) -> Any:
        self._threads[name].join(PATIENCE_S)
        answer = self._answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer[0]


@contextlib.contextmanager
def mute_server() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"fdsnws://127.0.0.1:{server.getsockname()[1]}"


def alive(pid: int) -> bool:
    """Whether a process runs (one that only waits to be reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
