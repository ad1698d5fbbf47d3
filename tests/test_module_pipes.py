"""The pipes between the module's processes, and the log of its decisions: neither may ever hold up or stop anything."""

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seiscomp_dlloc.seiscomp_app.audit import Audit
from seiscomp_dlloc.seiscomp_app.feeder import SILENCE_S, Feeder
from seiscomp_dlloc.seiscomp_app.lines import LineReader, LineWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_lines_arrive_whole_and_in_order(pipe: tuple[int, int]):
    reader, writer = LineReader(pipe[0]), LineWriter(pipe[1])
    for number in range(3):
        writer.put({"number": number, "text": "é\n"})
    assert reader.read() == [{"number": number, "text": "é\n"} for number in range(3)]
    assert reader.read() == []


def test_a_full_pipe_never_holds_the_writer_up_and_loses_nothing_that_there_is_room_for(pipe: tuple[int, int]):
    writer = LineWriter(pipe[1])
    for number in range(3000):
        writer.put({"number": number, "text": "x" * 100})
    reader, numbers = LineReader(pipe[0]), []
    while len(numbers) < 3000:
        numbers += [line["number"] for line in reader.read()]
        writer.flush()
    assert numbers == list(range(3000))
    assert writer.lost == 0


def test_without_room_the_newest_lines_are_kept_and_the_loss_is_counted(pipe: tuple[int, int]):
    writer = LineWriter(pipe[1], most=5)
    for number in range(3000):
        writer.put({"number": number, "text": "x" * 100})
    assert writer.lost > 0
    assert [line["number"] for line in writer.take_over()] == list(range(2995, 3000))


def test_a_dead_reader_is_noticed_and_is_no_error(pipe: tuple[int, int]):
    writer = LineWriter(pipe[1])
    os.close(pipe[0])
    writer.put({"number": 1})
    assert writer.broken
    writer.put({"number": 2})
    assert writer.take_over() == [{"number": 2}]


def test_what_is_no_json_object_is_left_out_and_counted(pipe: tuple[int, int]):
    os.write(pipe[1], b'{"a":1}\nnonsense\n[1]\n\xff\n{"a":2}\n{"a":')
    reader = LineReader(pipe[0])
    assert reader.read() == [{"a": 1}, {"a": 2}]
    assert reader.damaged == 3
    os.write(pipe[1], b"3}\n")
    assert reader.read() == [{"a": 3}]


def test_the_end_of_the_writer_is_seen(pipe: tuple[int, int]):
    reader = LineReader(pipe[0])
    os.close(pipe[1])
    assert reader.read() == []
    assert reader.ended


ECHO = """
import json, os, sys
log = open(sys.argv[1], "a")
print(json.dumps({"kind": "alive"}), flush=True)
for line in sys.stdin:
    log.write(line); log.flush()
    kind = json.loads(line).get("kind")
    if kind == "stop":
        sys.exit(0)
    if kind == "die":
        os.kill(os.getpid(), 9)
"""


class Ticking:
    """A feeder whose engine writes what it reads into a file."""

    def __init__(self, folder: Path):
        self.path = folder / "heard"
        self.path.touch()
        self.now = 1000.0
        command = [sys.executable, "-c", ECHO, str(self.path)]
        self.feeder = Feeder(command, {"kind": "hello"}, lambda: self.now)

    def heard(self) -> list[str]:
        return [json.loads(line).get("id") or json.loads(line)["kind"] for line in self.path.read_text().splitlines()]

    def until(self, what: Callable[[], bool]) -> None:
        """Tick, with the feeder's clock far ahead of the real one, until something is so."""
        end = time.monotonic() + 30.0
        while not what():
            assert time.monotonic() < end
            self.now += 1.0 if self.feeder.pid is None else 0.0
            self.feeder.tick()
            time.sleep(0.01)


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[Ticking]:
    made = Ticking(tmp_path)
    yield made
    made.feeder.stop(10.0)


def test_the_engine_hears_hello_first_and_then_what_was_said_before_it_ran(ticking: Ticking):
    ticking.feeder.put({"kind": "origin", "id": "A"})
    ticking.until(lambda: ticking.heard() == ["hello", "A"])


def test_an_engine_that_is_killed_is_started_again_and_hears_what_comes_after(ticking: Ticking):
    ticking.until(lambda: ticking.heard() == ["hello"])
    first = ticking.feeder.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    ticking.until(lambda: ticking.feeder.pid not in (first, None))
    ticking.feeder.put({"kind": "origin", "id": "B"})
    ticking.until(lambda: ticking.heard() == ["hello", "hello", "B"])
    assert ticking.feeder.starts == 2


def test_lines_for_a_dead_engine_wait_for_the_next(ticking: Ticking):
    ticking.until(lambda: ticking.heard() == ["hello"])
    ticking.feeder.put({"kind": "die"})
    ticking.until(lambda: ticking.feeder.pid is None)
    ticking.feeder.put({"kind": "origin", "id": "C"})
    ticking.until(lambda: ticking.heard()[-1] == "C")


def test_an_engine_that_dies_at_once_is_started_less_and_less_often(tmp_path: Path):
    now = [0.0]
    feeder = Feeder([sys.executable, "-c", "raise SystemExit(3)"], {"kind": "hello"}, lambda: now[0])
    starts = []
    end = time.monotonic() + 60.0
    while feeder.starts < 5 and time.monotonic() < end:
        before = feeder.starts
        feeder.tick()
        if feeder.starts > before:
            starts.append(now[0])
        if feeder.pid is None:
            now[0] += 0.1
        else:
            time.sleep(0.01)
    feeder.stop(5.0)
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 3.0


def test_an_engine_that_hangs_is_killed_and_started_again(ticking: Ticking):
    ticking.until(lambda: ticking.heard() == ["hello"])
    first = ticking.feeder.pid
    ticking.feeder.tick()
    ticking.now += SILENCE_S + 1.0
    ticking.until(lambda: ticking.feeder.pid not in (first, None))


def test_an_interpreter_that_is_not_there_is_no_exception(tmp_path: Path):
    feeder = Feeder([str(tmp_path / "none")], {"kind": "hello"})
    feeder.tick()
    feeder.put({"kind": "origin", "id": "A"})
    assert feeder.pid is None
    feeder.stop(0.1)


def test_stopping_ends_the_engine(ticking: Ticking):
    ticking.until(lambda: ticking.heard() == ["hello"])
    pid = ticking.feeder.pid
    assert pid is not None
    ticking.feeder.stop(30.0)
    assert ticking.heard()[-1] == "stop"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_each_decision_is_a_json_line_with_its_time(tmp_path: Path):
    audit = Audit(str(tmp_path / "log" / "audit.jsonl"))
    audit.write(0.25, "refused", origin="O", why="too old", profile=None)
    audit.write(1.0, "sent", value=float("nan"))
    first, second = map(json.loads, (tmp_path / "log" / "audit.jsonl").read_text().splitlines())
    assert first == {"time": "1970-01-01T00:00:00.250000Z", "decision": "refused", "origin": "O", "why": "too old"}
    assert second["value"] == "nan"


def test_the_audit_log_rotates_and_keeps_so_many(tmp_path: Path):
    audit = Audit(str(tmp_path / "audit.jsonl"), most_bytes=300, keep=2)
    for number in range(40):
        audit.write(0.0, "refused", number=number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    lines = [json.loads(line)["number"] for name in ("audit.jsonl.2", "audit.jsonl.1", "audit.jsonl")
             for line in (tmp_path / name).read_text().splitlines()]  # fmt: skip
    assert lines == list(range(lines[0], 40))
    assert all(path.stat().st_size <= 300 for path in tmp_path.iterdir())


def test_a_disk_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    told: list[str] = []
    audit = Audit(str(tmp_path / "file" / "audit.jsonl"), complain=told.append)
    for _ in range(3):
        audit.write(0.0, "refused")
    assert len(told) == 1
    assert audit.lost == 3
