"""Round trip of a job at a warm worker, beside the same location in the process and the network alone.

    python bench/worker.py [--repeats N] [--threads N] [--write NAME]

The demo's events, whose theoretical seismograms come with the package. The worker is started for the bench, on a socket
of its own; each round trip is a connection, a job with its document, and an answer with SCML. The three ways take
turns, so that whatever else the machine does falls on all of them. The floor is the network alone.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from tables import add_write_option, machine, markdown, publish

from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Locator, required_window
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.waveforms import open_source
from seiscomp_dlloc.worker.client import Client
from seiscomp_dlloc.worker.launch import WorkerLauncher

PATIENCE_S = 120.0
MODEL = "oklahoma-fcn-slim"
"""That of the demo's network."""


class Ways:
    """The same event by three ways."""

    def __init__(self, folder: Path, threads: int, socket: str):
        document = folder / "triggers.xml"
        self.document = document.read_bytes()
        self.triggers = read_triggers(document).triggers
        self.model = load(resolve(MODEL), "cpu", threads=threads)
        self.locator = Locator(self.model, read_inventory(folder / "stations.xml"), Options(batch_size=1))
        self.source = open_source(folder / "waveforms.mseed")
        self.client = Client(socket)
        self._inputs: dict[str, Any] = {name: value for name, value in self.model.golden.inputs.items()}
        self._jobs = 0

    def network(self, _: int) -> None:
        """One run of the graph on its golden input."""
        self.model.run(self._inputs)

    def inside(self, number: int) -> None:
        """Waveforms and location in this process."""
        trigger = self.triggers[number]
        stations = (f"{station.id}.*.*" for station in self.model.passport.stations)
        acquired = self.source.get_waveforms(stations, *required_window(trigger, self.model.passport))
        assert self.locator.locate(trigger, acquired.stream).hypocenter is not None

    def worker(self, number: int) -> None:
        """The same asked of the worker."""
        self._jobs += 1
        request = {"id": f"bench {self._jobs}", "origin": self.triggers[number].origin_id, "reply": "origin"}
        header, blobs = self.client.locate(request, {"event": self.document}, PATIENCE_S)
        assert header["solution"]["latitude"] is not None, header
        assert blobs["scml"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50, help="rounds over the demo's events (default 50)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model (default 1)")
    add_write_option(parser)
    arguments = parser.parse_args()
    with (
        resources.as_file(resources.files("seiscomp_dlloc.data") / "demo") as folder,
        tempfile.TemporaryDirectory(prefix="dlw") as scratch,
    ):
        socket = f"{scratch}/w.sock"
        options = [
            "--waveforms", str(folder / "waveforms.mseed"), "--inventory", str(folder / "stations.xml"),
            "--model", MODEL, "--provider", "cpu", "--threads", str(arguments.threads), "--log", f"{scratch}/w.log",
        ]  # fmt: skip
        started = time.perf_counter()
        WorkerLauncher(socket, sys.executable, options)(PATIENCE_S)
        listens = time.perf_counter() - started
        ways = Ways(folder, arguments.threads, socket)
        try:
            while not ways.client.ping()["ready"]:
                time.sleep(0.05)
            times = measure([ways.network, ways.inside, ways.worker], len(ways.triggers), arguments.repeats)
            memory = ways.client.status()["memory_mib"]
        finally:
            ways.client.stop()
    network, inside, worker = (1e3 * statistics.median(row) for row in times)
    late = 1e3 * statistics.quantiles(times[2], n=20)[-1]
    header = [
        "events", "network alone, floor (ms)", "in the process (ms)", "round trip (ms)", "95 % (ms)",
        "beyond the process (ms)", "beyond the network (ms)", "ratio to the process",
    ]  # fmt: skip
    row = [
        str(len(times[2])),
        *(f"{value:.1f}" for value in (network, inside, worker, late, worker - inside, worker - network)),
        f"{worker / inside:.2f}",
    ]
    note = (
        f"{machine()}; {ways.model.identity.label} on {ways.model.provider}, {arguments.threads} threads. Medians. The "
        f"worker listens {1e3 * listens:.0f} ms after it was asked for; memory {memory['supervisor']:.0f} MiB "
        f"(supervisor) and {memory['engine']:.0f} MiB (engine) after the bench."
    )
    publish(f"{note}\n\n{markdown(header, [row])}", arguments.write)


def measure(ways: list[Callable[[int], None]], events: int, repeats: int) -> list[list[float]]:
    """Seconds of each way for every event and repeat; one round to warm up is left out."""
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for event in range(events):
            for way, row in zip(ways, times, strict=True):
                start = time.perf_counter()
                way(event)
                if turn > 0:
                    row.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
