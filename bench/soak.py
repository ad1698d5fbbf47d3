"""A soak of the module in a real SeisComP: an origin every few seconds, every process killed in turn.

    SEISCOMP_ROOT=/opt/seiscomp python bench/soak.py FOLDER [--minutes N] [--every S] [--fault-every S]
        [--faults FROM UNTIL] [--write NAME]

FOLDER holds recorded events with catalog.xml, stations.xml, split.csv and waveforms/, such as ../shared/data/oklahoma.
scmaster with SQLite, scevent, the module and its worker run in a scratch root. Each dispatched origin is that of a
recorded event under names of its own, with P arrivals; its waveforms lie in an SDS archive, so its window is complete
when it comes. The way from dispatch to database is timed by watching the database.

An origin is lost where neither a final origin of ours is in the database nor the audit says why there is none; doubled
where there are two final ones for one trigger. What is killed (SIGKILL): the worker's supervisor, its engine, the
module, the module's engine, scmaster. The module and scmaster are started again after a second, as `seiscomp check`
would; the rest mends itself. Memory is compared between the tenth minute and the end: have the faults (--faults, in
minutes) between the two, and far from both, or young processes are compared.
"""

import argparse
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from tables import add_write_option, machine, markdown, publish

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "host"))

from oklahoma import OklahomaData, write_document, write_sds  # noqa: E402
from scratchroot import ScratchRoot, wait_until  # noqa: E402

FAULTS = ("worker", "worker engine", "module", "module engine", "scmaster")
PATIENCE_S = 240.0
MODULE = ("-m", "seiscomp_dlloc.seiscomp_app.module")
_FINAL = (
    "SELECT o.publicID, t.text FROM Comment c JOIN PublicObject o ON c._parent_oid = o._oid"
    " JOIN Comment t ON t._parent_oid = c._parent_oid AND t.id = 'dlloc/trigger'"
    " WHERE c.id = 'dlloc/data' AND c.text = 'complete'"
)


class Faults(NamedTuple):
    """When processes are killed: every so many seconds, from and until so many seconds after the first origin."""

    every_s: float
    begin_s: float
    end_s: float


@dataclass
class Figures:
    """What is measured on the way; times monotonic s."""

    sent: dict[str, float] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    faults: list[tuple[float, str]] = field(default_factory=list)
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    idle_share: float = 0.0


class Soak:
    """The chain and what is done to it."""

    def __init__(self, folder: Path, scratch: Path, events: int):
        self.host = ScratchRoot(Path(os.environ["SEISCOMP_ROOT"]), scratch)
        data = OklahomaData(folder, *self._read(folder))
        names = data.test_names[:events]
        write_sds(data, names, scratch / "sds")
        self.documents = []
        for name in names:
            path = scratch / f"{name}.xml"
            write_document(data, (name,), path)
            # scevent makes the events
            text = re.sub(r"<event .*?</event>\s*", "", path.read_text("utf-8"), flags=re.DOTALL)
            self.documents.append((name, text))
        (self.host.root / "lib" / "python" / "seiscomp_dlloc").symlink_to(REPOSITORY / "seiscomp_dlloc")
        python = scratch / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} "$@"\n', "utf-8")
        python.chmod(0o755)
        self.scratch = scratch
        self.host.write_config(
            "dlloc",
            "profiles = oklahoma",
            "profile.oklahoma.model = oklahoma-fcn-slim",
            f"profile.oklahoma.waveforms = sds://{scratch / 'sds'}",
            f"profile.oklahoma.inventory = {folder / 'stations.xml'}",
            f"worker.python = {python}",
            "ring.enable = false",
            "trigger.maxAge = 0",
        )
        self.figures = Figures()
        self._stop = threading.Event()

    @staticmethod
    def _read(folder: Path) -> tuple:  # type: ignore[type-arg]
        read = OklahomaData.read(folder.parent)
        return read.inventory, read.catalog, read.test_names

    # Processes

    def start(self) -> None:
        """The chain, until the worker listens."""
        self.host.start_master()
        self.host.start("scevent", "scevent")
        self.start_module()
        wait_until((self.host.root / "var" / "run" / "dlloc.sock").exists, PATIENCE_S)

    def start_module(self) -> None:
        """The module, as the init script starts it."""
        self.host.start("dlloc", self.host.root / "bin" / "seiscomp-python", *MODULE)

    def processes(self) -> dict[str, int]:
        """Name -> process of those that are there."""
        found = {}
        module = self.host._processes.get("dlloc")
        if module is not None and module.poll() is None:
            found["module"] = module.pid
            children = _children(module.pid)
            if children:
                found["module engine"] = children[0]
        lock = self.host.root / "var" / "run" / "dlloc.sock.lock"
        try:
            worker = int(lock.read_text())
            os.kill(worker, 0)
        except (OSError, ValueError):
            return found
        found["worker"] = worker
        for child in _children(worker):
            found["worker engine"] = child
        return found

    def fault(self, name: str) -> None:
        """Kill one process, and start what nothing else starts again."""
        self.figures.faults.append((time.monotonic(), name))
        if name == "scmaster":
            self.host.kill("scmaster")
            time.sleep(1.0)
            self.host.start_master()
            return
        pid = self.processes().get(name)
        if pid is None:
            return
        if name == "module":
            self.host.kill("dlloc")
            time.sleep(1.0)
            self.start_module()
        else:
            os.kill(pid, signal.SIGKILL)

    # Origins

    def triggers(self) -> Iterator[tuple[str, str]]:
        """(publicID, document) without end; each time under new names."""
        for number, (name, text) in enumerate(cycle(self.documents)):
            own = f"{name}.{number}"
            yield f"Origin/conventional/{own}", text.replace(f"/{name}", f"/{own}")

    def dispatch(self, public_id: str, document: str) -> None:
        """Send one, again while scmaster is away."""
        path = self.scratch / "next.xml"
        path.write_text(document, "utf-8")
        while True:
            began = time.monotonic()
            try:
                self.host.dispatch(path)
            except (AssertionError, subprocess.TimeoutExpired):
                time.sleep(0.5)
                continue
            self.figures.sent[public_id] = began
            return

    def watch(self) -> None:
        """Note when a final origin of ours is first seen in the database."""
        connection = sqlite3.connect(f"file:{self.host.database}?mode=ro", uri=True, timeout=30)
        last = 0
        while not self._stop.is_set():
            try:
                rows = connection.execute(f"{_FINAL.replace('SELECT', 'SELECT c._oid,')} AND c._oid > ?", (last,))
                for oid, _, trigger in rows.fetchall():
                    last = max(last, oid)
                    self.figures.stored.setdefault(trigger, time.monotonic())
            except sqlite3.Error:
                pass
            self._stop.wait(0.02)
        connection.close()

    def sample(self, began: float, every_s: float) -> None:
        """Resident memory (MiB) of our processes, every half minute; every five, the figures so far."""
        while not self._stop.wait(30.0):
            now = time.monotonic() - began
            self.figures.memory.append((now, {name: _rss(pid) for name, pid in self.processes().items()}))
            if len(self.figures.memory) % 10 == 0:
                # A soak that is broken off has still shown what it has shown
                (self.scratch / "soak.md").write_text(report(self, round(now / 60.0), every_s) + "\n", "utf-8")

    def idle(self, seconds: float) -> float:
        """Share of a core that module and its engine use without origins."""
        before = sum(_cpu(pid) for name, pid in self.processes().items() if name.startswith("module"))
        time.sleep(seconds)
        after = sum(_cpu(pid) for name, pid in self.processes().items() if name.startswith("module"))
        return (after - before) / seconds

    def run(self, minutes: float, every_s: float, faults: "Faults") -> None:
        """Dispatch, kill, watch; then wait until everything has its outcome."""
        self.start()
        time.sleep(5.0)
        self.figures.idle_share = self.idle(20.0)
        began = time.monotonic()
        threads = [threading.Thread(target=self.watch), threading.Thread(target=self.sample, args=(began, every_s))]
        for thread in threads:
            thread.start()
        killer = threading.Thread(target=self._kill, args=(began, faults))
        killer.start()
        following = began
        try:
            for public_id, document in self.triggers():
                if time.monotonic() - began > 60.0 * minutes:
                    break
                time.sleep(max(following - time.monotonic(), 0.0))
                following = max(following + every_s, time.monotonic())
                self.dispatch(public_id, document)
            killer.join()
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end and self.lost():
                time.sleep(1.0)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            environment = {**self.host.environment, "PYTHONPATH": str(REPOSITORY)}
            stop = [sys.executable, "-m", "seiscomp_dlloc", "worker", "stop"]
            subprocess.run(stop, env=environment, capture_output=True)
            self.host.close()

    def _kill(self, began: float, faults: "Faults") -> None:
        following = began + faults.begin_s
        for name in cycle(FAULTS):
            following += faults.every_s
            if faults.every_s <= 0 or following > began + faults.end_s:
                return
            time.sleep(max(following - time.monotonic(), 0.0))
            self.fault(name)

    # The end

    def final(self) -> dict[str, list[str]]:
        """Trigger -> our final origins in the database."""
        found: dict[str, list[str]] = {}
        for own, trigger in self.host.query(_FINAL):
            found.setdefault(str(trigger), []).append(str(own))
        return found

    def without(self) -> dict[str, str]:
        """Trigger -> why the module gave no origin, from its audit."""
        found: dict[str, str] = {}
        for path in sorted((self.host.root / "var" / "log").glob("dlloc-audit.jsonl*")):
            for line in path.read_text("utf-8").splitlines():
                row = json.loads(line)
                if row.get("decision") == "abstained":
                    found[str(row.get("origin"))] = str(row.get("why") or row.get("reason") or row.get("detail"))
        return found

    def lost(self) -> list[str]:
        """Triggers without an outcome."""
        have = set(self.final()) | set(self.without())
        return sorted(set(dict(self.figures.sent)) - have)

    def doubled(self) -> list[str]:
        """Triggers with two final origins."""
        return sorted(trigger for trigger, own in self.final().items() if len(set(own)) > 1)


def _children(pid: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _rss(pid: int) -> float:
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return float("nan")
    return int(found.group(1)) / 1024.0 if found else float("nan")


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else float("nan")


def report(soak: Soak, minutes: float, every_s: float) -> str:
    """The figures as Markdown."""
    figures = soak.figures
    lost, doubled = soak.lost(), soak.doubled()
    # Other threads go on adding
    sent, stored = dict(figures.sent), dict(figures.stored)
    waits = {name: stored[name] - begun for name, begun in sent.items() if name in stored}
    # Away from faults: half a minute after each one is not what the bar is about
    quiet = [
        wait
        for name, wait in waits.items()
        if all(not -2.0 < sent[name] - moment < 30.0 for moment, _ in tuple(figures.faults))
    ]
    every = list(waits.values())
    names = ("module", "module engine", "worker", "worker engine")
    rows = []
    for name in names:
        levels = [(moment, memory[name]) for moment, memory in figures.memory if name in memory]
        early = [value for moment, value in levels if 540.0 <= moment <= 660.0]
        late = [value for moment, value in levels if moment >= figures.memory[-1][0] - 120.0] if figures.memory else []
        cells = [statistics.median(part) if part else float("nan") for part in (early, late)]
        rows.append([name, *(f"{value:.1f}" for value in cells), f"{100.0 * (cells[1] / cells[0] - 1.0):+.1f} %"])
    first = min(sent.values(), default=0.0)
    at = [(moment - first) / 60.0 for moment, _ in figures.faults]
    killed = {name: sum(1 for _, what in figures.faults if what == name) for name in FAULTS}
    return "\n".join(
        [
            f"{machine()}. {minutes:g} minutes, {len(sent)} origins, one every {every_s:g} s; killed: "
            + ", ".join(f"{name} {count} times" for name, count in killed.items())
            + (f", between minutes {min(at):.0f} and {max(at):.0f}." if at else "."),
            "",
            markdown(
                ["origins", "final in the database", "abstained", "lost", "doubled"],
                [
                    [
                        str(len(sent)),
                        str(len(soak.final())),
                        str(len(soak.without())),
                        str(len(lost)),
                        str(len(doubled)),
                    ]
                ],
            ),
            "",
            markdown(
                ["dispatch to database (s)", "origins", "median", "95 %", "longest"],
                [
                    [name, str(len(part)), *(f"{percentile(part, q):.2f}" for q in (0.5, 0.95, 1.0))]
                    for name, part in (("half a minute or more after a fault", quiet), ("all", every))
                ],
            ),
            "",
            markdown(["resident memory (MiB)", "after 10 minutes", "at the end", "change"], rows),
            "",
            f"Module and its engine without origins: {100.0 * figures.idle_share:.2f} % of a core. Dispatching (a "
            "program started for each origin), scevent and scmaster share the cores with us.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between origins (default %(default)s)")
    parser.add_argument("--fault-every", type=float, default=90.0, help="seconds between faults, 0: none")
    parser.add_argument("--faults", type=float, nargs=2, metavar=("FROM", "UNTIL"), help="minutes")
    parser.add_argument("--events", type=int, default=50, help="recorded test events that take turns")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR and leave it; soak.md there: so far")
    add_write_option(parser)
    arguments = parser.parse_args()
    if "SEISCOMP_ROOT" not in os.environ:
        parser.error("SEISCOMP_ROOT is not set: name the folder of an installed SeisComP")
    with tempfile.TemporaryDirectory(prefix="dlsoak") as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        soak = Soak(arguments.folder.resolve(), folder, arguments.events)
        begin, end = arguments.faults or (0.0, arguments.minutes - 0.5)
        faults = Faults(arguments.fault_every, 60.0 * begin, 60.0 * end)
        soak.run(arguments.minutes, arguments.every, faults)
        publish(report(soak, arguments.minutes, arguments.every), arguments.write)
        for name in soak.lost() + soak.doubled():
            print("look at", name, file=sys.stderr)


if __name__ == "__main__":
    main()
