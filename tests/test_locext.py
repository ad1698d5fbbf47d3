"""The external locator's script as the host runs it: a process that gets a document and must answer with one Origin."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from workers import DEMO, EVENTS, MODEL, PATIENCE_S, REPOSITORY, until

from seiscomp_dlloc.errors import WorkerUnavailable
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.scml import namespace_of
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locext import Memory
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.worker.client import Client

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the worker is for Linux")

PROFILE = "demo"


class Place:
    """A folder with settings of a locator whose profile is the demo."""

    def __init__(self, *lines: str, waveforms: str = str(DEMO / "waveforms.mseed")):
        self._folder = tempfile.TemporaryDirectory(prefix="dlx", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.socket, self.log = str(self.folder / "w.sock"), self.folder / "locext.log"
        self.config = self.folder / "dlloc.cfg"
        self.config.write_text(
            "\n".join(
                [
                    f"profiles = {PROFILE}",
                    f"profile.{PROFILE}.model = {MODEL}",
                    f"profile.{PROFILE}.waveforms = {waveforms}",
                    f"profile.{PROFILE}.inventory = {DEMO / 'stations.xml'}",
                    f"worker.socket = {self.socket}",
                    f"worker.logFile = {self.folder / 'worker.log'}",
                    f"locator.logFile = {self.log}",
                    f"locator.deadline = {PATIENCE_S:g}",
                    *lines,
                ]
            )
            + "\n"
        )
        environment = {key: value for key, value in os.environ.items() if key != "SEISCOMP_ROOT"}
        environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), environment.get("PYTHONPATH", "")])
        self.environment = environment

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "seiscomp_dlloc.locext", "--config", str(self.config), *options]

    def call(self, document: bytes, *options: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            self.command(*options), input=document, capture_output=True, env=self.environment, timeout=2 * PATIENCE_S
        )

    def start(self) -> "Place":
        command = [sys.executable, "-m", "seiscomp_dlloc", "worker", "start", "--config", str(self.config)]
        subprocess.run(command, env=self.environment, check=True, timeout=PATIENCE_S, stdout=subprocess.DEVNULL)
        until(lambda: self.status()["engine"]["state"] == "ready")
        return self

    def status(self):
        return Client(self.socket).status(PATIENCE_S)

    def freeze(self) -> None:
        """Stop the engine where it is: jobs are taken and not answered."""
        os.kill(self.status()["engine"]["pid"], signal.SIGSTOP)

    def end(self) -> None:
        with contextlib.suppress(OSError, WorkerUnavailable):
            os.kill(Client(self.socket).status()["pid"], signal.SIGKILL)
        self._folder.cleanup()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place().start()
    yield made
    made.end()


@pytest.fixture
def fresh() -> Iterator:
    """Makes places that are ended with the test."""
    made: list[Place] = []

    def make(*lines: str, **kwargs: str) -> Place:
        made.append(Place(*lines, **kwargs))
        return made[-1]

    yield make
    for item in made:
        item.end()


def trigger():
    return read_triggers(EVENTS).triggers[0]


def document(version: str = "0.14", picks: int = 0, first_s: float = 4.0, namespace: str | None = None) -> bytes:
    """What locext writes for the demo's first event: picks and one origin beside them, in no event.

    ``picks``: so many of them, from ``first_s`` after the trigger's time on, at the demo's stations in turn.
    """
    event = trigger()
    uri = namespace_of(version) if namespace is None else namespace
    stations = inventory_stations(read_inventory(DEMO / "stations.xml"), event.time)

    def stamp(time_s: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s)) + f".{round(time_s % 1 * 1e6) % 1000000:06d}Z"

    parts, arrivals = [], []
    for k in range(picks):
        station = stations[k % len(stations)]
        parts.append(
            f'<pick publicID="Pick/{k:06d}"><time><value>{stamp(event.time + first_s + 0.01 * k)}</value></time>'
            f'<waveformID networkCode="{station.network}" stationCode="{station.code}" locationCode="" '
            'channelCode="HHZ"/><phaseHint>P</phaseHint></pick>'
        )
        arrivals.append(f"<arrival><pickID>Pick/{k:06d}</pickID><phase>P</phase><weight>1</weight></arrival>")
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><seiscomp xmlns="{uri}" version="{version}"><EventParameters>'
        f'{"".join(parts)}<origin publicID="Origin/given"><time><value>{stamp(event.time)}</value></time>'
        f"<latitude><value>{event.latitude}</value></latitude><longitude><value>{event.longitude}</value></longitude>"
        f"<depth><value>10</value></depth>{''.join(arrivals)}</origin></EventParameters></seiscomp>"
    )
    return text.encode()


def origin_of(answer: bytes) -> etree._Element:
    """The one Origin directly below the root."""
    root = etree.fromstring(answer)
    assert etree.QName(root).localname == "seiscomp"
    (origin,) = root
    assert etree.QName(origin).localname == "Origin"
    return origin


def value(origin: etree._Element, path: str) -> str:
    namespace = etree.QName(origin).namespace
    return origin.findtext("/".join(f"{{{namespace}}}{step}" for step in path.split("/")))


def failed(done: "subprocess.CompletedProcess[bytes]", place: Place, pattern: str) -> None:
    """No output, a status that tells, and the reason in the log and on stderr."""
    assert done.returncode == 1
    assert done.stdout == b""
    assert re.search(pattern, done.stderr.decode()), done.stderr.decode()
    assert re.search(pattern, place.log.read_text())


@pytest.mark.parametrize("version", ["0.12", "0.13", "0.14"])
def test_the_answer_is_one_origin_in_the_version_of_the_question(place, version):
    done = place.call(document(version), "--profile", PROFILE)
    assert done.returncode == 0, done.stderr
    origin = origin_of(done.stdout)
    assert etree.QName(origin).namespace == namespace_of(version)
    assert origin.getparent().get("version") == version
    assert value(origin, "methodID") == "External:DLLOC"
    assert value(origin, "earthModelID") == PROFILE
    assert -3.0 < float(value(origin, "depth/value")) < 40.0
    assert float(value(origin, "depth/uncertainty")) > 0.0
    [true] = [t for t in read_triggers(DEMO / "truth.xml").triggers if t.origin_id.endswith("theoretical-1")]
    assert abs(float(value(origin, "latitude/value")) - true.latitude) < 0.1


def test_every_answer_has_names_of_its_own(place):
    names = [origin_of(place.call(document(), "--profile", PROFILE).stdout).get("publicID") for _ in range(2)]
    assert len(set(names)) == 2
    assert "Origin/given" not in names


def test_options_of_the_host_are_honoured(place):
    fixed = origin_of(place.call(document(), "--fixed-depth=7.25").stdout)
    assert float(value(fixed, "depth/value")) == 7.25
    assert value(fixed, "depthType") == "operator assigned"
    whole, near, anywhere = (
        int(value(origin_of(place.call(document(), *options).stdout), "quality/usedStationCount"))
        for options in ([], ["--max-dist=100"], ["--max-dist=100", "--ignore-initial-location"])
    )
    assert near < whole == anywhere


def test_large_documents_pass_both_ways_as_the_host_moves_them(place):
    event = document(picks=3000)
    assert len(event) > 1 << 19
    process = subprocess.Popen(
        place.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment
    )
    # The host writes everything before it reads anything
    process.stdin.write(event)
    process.stdin.close()
    answer = process.stdout.read()
    assert process.wait(PATIENCE_S) == 0, process.stderr.read()
    assert len(answer) > 1 << 17
    origin = origin_of(answer)
    arrivals = origin.findall(f"{{{etree.QName(origin).namespace}}}arrival")
    assert len({value(arrival, "pickID") for arrival in arrivals}) == 3000
    assert all(float(value(arrival, "distance")) > 0 for arrival in arrivals)


def test_a_slow_reader_gets_everything_beyond_the_deadline(place):
    process = subprocess.Popen(
        place.command("--deadline", "10"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=place.environment
    )
    process.stdin.write(document(picks=1500))
    process.stdin.close()
    answer = process.stdout.read(1000)
    time.sleep(10.5)
    answer += process.stdout.read()
    assert process.wait(PATIENCE_S) == 0
    origin_of(answer)


def test_a_reader_that_goes_away_is_no_traceback(place):
    process = subprocess.Popen(
        place.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment
    )
    process.stdout.close()
    process.stdin.write(document(picks=1500))
    process.stdin.close()
    assert process.wait(PATIENCE_S) == 1
    assert b"Traceback" not in process.stderr.read()


def test_no_document_is_said(place):
    failed(place.call(b""), place, "stdin is empty")
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", *place.command()]
    done = subprocess.run(shell, capture_output=True, env=place.environment, timeout=PATIENCE_S)
    failed(done, place, "stdin cannot be read")


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (k, b"&l%d;" % (k - 1) * 10) for k in range(1, 12))


@pytest.mark.parametrize(
    "broken",
    [
        document()[:-40],
        b"<seiscomp>" + b"\0" * 100,
        b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s>&x;</s>',
        b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY l0 "lol">' + LAUGHS + b"]><s>&l11;</s>",
        document().replace(b"<origin", b"<orogin").replace(b"</origin", b"</orogin"),
    ],
    ids=["cut", "binary", "external entity", "billion laughs", "no origin"],
)
def test_a_bad_document_fails_with_its_reason(place, broken):
    done = place.call(broken)
    failed(done, place, "bad document|a moment ago")
    assert b"root:" not in done.stderr


def test_a_bad_option_or_profile_is_named(place):
    assert b"--max-dist" in place.call(document(), "--max-dist=far").stderr
    failed(place.call(document(), "--profile", "none"), place, "profile 'none'")
    done = place.call(document(), "--fixed-depth=nan")
    assert done.returncode == 2
    assert b"nan is not finite" in done.stderr


def test_a_second_call_fails_at_once_and_a_later_one_does_not(fresh):
    place = fresh().start()
    place.freeze()
    began = time.monotonic()
    failed(place.call(document(picks=5), "--deadline", "4"), place, "deadline|busy|in time")
    first = time.monotonic() - began
    # scolv's second call starts elsewhere with the same picks
    began = time.monotonic()
    moved = document(picks=5).replace(b"<depth><value>10", b"<depth><value>11")
    failed(place.call(moved, "--deadline", "4"), place, "as a moment ago")
    assert time.monotonic() - began < first / 2
    kept = Path(Memory(place.socket).path)
    kept.write_text(re.sub(r'"time": ([0-9.]+)', lambda m: f'"time": {float(m[1]) - 60.0}', kept.read_text()))
    assert b"a moment ago" not in place.call(moved, "--deadline", "2").stderr


def test_without_a_worker_one_is_started(fresh):
    place = fresh()
    assert place.call(document()).returncode == 0
    assert place.status()["counts"]["accepted"] == 1


def test_without_a_worker_that_may_be_started_the_job_is_done_here(fresh):
    place = fresh("worker.autostart = false")
    done = place.call(document())
    assert done.returncode == 0, done.stderr
    origin_of(done.stdout)
    with pytest.raises(WorkerUnavailable):
        place.status()


def test_a_socket_that_is_none_does_not_stop_the_locator(fresh):
    place = fresh()
    Path(place.socket).write_text("not a socket")
    done = place.call(document())
    assert done.returncode == 0, done.stderr


def test_a_worker_killed_meanwhile_is_replaced(fresh):
    place = fresh().start()
    place.freeze()
    process = subprocess.Popen(
        place.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment
    )
    process.stdin.write(document())
    process.stdin.close()
    until(lambda: sum(place.status()["jobs"][key] for key in ("running", "waiting", "queued")) > 0)
    os.kill(place.status()["pid"], signal.SIGKILL)
    answer = process.stdout.read()
    assert process.wait(PATIENCE_S) == 0, process.stderr.read()
    origin_of(answer)


def test_a_full_queue_is_waited_for_until_the_deadline(fresh):
    place = fresh("worker.jobs = 1", "worker.queue = 1").start()
    place.freeze()
    client = Client(place.socket)
    request = {"profile": PROFILE, "deadline_s": PATIENCE_S}
    waiting = [client.open({**request, "id": f"full-{k}"}, {"event": document()}) for k in range(16)]
    until(lambda: place.status()["counts"]["refused"] > 0)
    failed(place.call(document(), "--deadline", "2"), place, "too busy|deadline|in time")
    for item in waiting:
        item.close()


def test_a_log_that_cannot_be_written_costs_nothing(place):
    config = place.config.read_text().replace(str(place.log), "/proc/none/locext.log")
    other = place.folder / "other.cfg"
    other.write_text(config)
    done = place.call(document(), "--config", str(other))
    assert done.returncode == 0, done.stderr
