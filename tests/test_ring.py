"""The ring of recent data: what it holds, what it answers from, and how it is fed."""

import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from miniseed import T0, packed, trace
from workers import until

from seiscomp_dlloc.errors import WaveformReadError
from seiscomp_dlloc.waveforms.base import Acquired, Selection, WaveformSource
from seiscomp_dlloc.waveforms.follow import Follower
from seiscomp_dlloc.waveforms.mseed import NotMiniSeedError, Part, decode, split
from seiscomp_dlloc.waveforms.recordstream import Codes
from seiscomp_dlloc.waveforms.ring import Ring, RingSource

FAKE = Path(__file__).resolve().parent / "fakehelper.py"
SEED_ID = "XX.S01.00.HHZ"
CODES: Codes = ("XX", "S01", "00", "HHZ")
FAR_FUTURE = 4e9
RECORD = 512


def ring(length_s: float = 1e6, **options: object) -> Ring:
    return Ring(length_s, **({"clock": lambda: FAR_FUTURE} | options))  # type: ignore[arg-type]


def records(*traces, **options) -> list[bytes]:
    content = packed(*traces, **options)
    return [content[at : at + RECORD] for at in range(0, len(content), RECORD)]


def samples(content: bytes) -> np.ndarray:
    stream, dropped = decode([Part("ring", content)])
    assert not dropped
    stream.merge(method=-1)
    assert len(stream) == 1
    return stream[0].data


# What it holds


def test_records_are_told_apart_by_channel_and_time():
    found = split(packed(trace(npts=5000), trace("XX.S02..HHE", npts=5000)))
    assert {record.seed_id for record in found} == {SEED_ID, "XX.S02..HHE"}
    mine = [record for record in found if record.seed_id == SEED_ID]
    assert mine[0].start == T0
    assert mine[-1].end == pytest.approx(T0 + 50.0)
    assert all(a.end == pytest.approx(b.start) for a, b in itertools.pairwise(mine))
    with pytest.raises(NotMiniSeedError):
        split(b"\0" * 1024)


def test_in_whatever_order_and_however_often_records_come_the_samples_are_the_same():
    whole = trace(npts=20_000)
    parts = records(whole) * 2
    random.Random(1).shuffle(parts)
    held = ring()
    new = sum(held.add(part) for part in parts)
    assert new == len(parts) // 2
    assert held.held_bytes == new * RECORD
    _, content = held.packed(SEED_ID, T0, T0 + 1000.0)
    np.testing.assert_array_equal(samples(content), whole.data)


def test_a_record_that_comes_again_under_another_number_is_the_same():
    part = records(trace(npts=100))[0]
    held = ring()
    assert held.add(part) == 1
    assert held.add(b"000777" + part[6:]) == 0
    other = bytearray(part)
    other[-400:] = bytes(400)
    assert held.add(bytes(other)) == 1


def test_what_overlaps_the_window_is_given_and_no_more():
    held = ring()
    for part in records(trace(npts=60_000)):
        held.add(part)
    changes, content = held.packed(SEED_ID, T0 + 100.0, T0 + 110.0)
    found = split(content)
    assert found[0].start <= T0 + 100.0 <= found[0].end
    assert found[-1].start <= T0 + 110.0
    assert found[-1].end >= T0 + 110.0
    assert len(content) < held.held_bytes / 4
    assert held.packed(SEED_ID, T0 + 100.0, T0 + 110.0)[0] == changes
    held.add(records(trace(start=T0 + 600.0, npts=100))[0])
    assert held.packed(SEED_ID, T0 + 100.0, T0 + 110.0)[0] != changes
    assert held.packed("XX.NO..HHZ", T0, T0 + 1.0) == (0, b"")


def test_what_is_older_than_its_length_goes_channel_by_channel():
    held = ring(60.0)
    held.add(packed(trace("XX.OLD..HHZ", npts=1000)))
    for part in records(trace(npts=60_000)):
        held.add(part)
    first, last = held.span(SEED_ID) or (0.0, 0.0)
    assert last == pytest.approx(T0 + 600.0)
    assert 60.0 <= last - first < 60.0 + 15.0
    assert held.seconds() == pytest.approx(last - first)
    assert held.span("XX.OLD..HHZ") == (T0, pytest.approx(T0 + 10.0))
    assert held.add(records(trace(npts=100))[0]) == 0


def test_its_bytes_are_bounded_and_the_oldest_give_way():
    held = ring(most_bytes=64 * RECORD)
    for part in records(trace(npts=100_000)) + records(trace("XX.S02..HHZ", npts=100_000)):
        held.add(part)
        assert held.held_bytes <= 64 * RECORD
    assert held.span(SEED_ID)[1] == pytest.approx(T0 + 1000.0)  # type: ignore[index]
    assert held.span(SEED_ID)[0] > T0 + 100.0  # type: ignore[index]


def test_a_station_with_a_clock_ahead_drives_nothing_out():
    now = T0 + 30.0
    held = Ring(60.0, clock=lambda: now)
    held.add(packed(trace(npts=3000)))
    assert held.add(packed(trace(start=T0 + 86400.0, npts=100))) == 0
    assert held.refused == 1
    assert held.span(SEED_ID) == (T0, pytest.approx(T0 + 30.0))


def test_only_wanted_channels_are_held():
    held = ring()
    held.add(packed(trace(npts=100), trace("XX.S02..HHZ", npts=100)))
    held.keep([SEED_ID])
    assert held.span("XX.S02..HHZ") is None
    assert held.held_bytes == RECORD
    assert held.add(packed(trace("XX.S02..HHZ", npts=100))) == 0


def test_what_is_no_miniseed_is_refused_and_counted():
    held = ring()
    assert held.add(b"GET / HTTP/1.1\r\n" * 32) == 0
    assert held.refused == 1


def test_threads_that_add_and_read_at_once_do_not_disturb_each_other():
    whole = trace(npts=100_000)
    parts = records(whole)
    held = ring()
    errors: list[BaseException] = []

    def write(some: list[bytes]) -> None:
        for part in some:
            held.add(part)

    def read() -> None:
        try:
            for _ in range(200):
                content = held.packed(SEED_ID, T0, T0 + 1000.0)[1]
                assert len(content) % RECORD == 0
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(parts[i::4],)) for i in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    np.testing.assert_array_equal(samples(held.packed(SEED_ID, T0, T0 + 1000.0)[1]), whole.data)


# What it answers from


@dataclass
class Feed:
    """What the source wants to know of its follower."""

    streams: tuple[Codes, ...] = (CODES,)
    whole_since: float = T0
    since_wall: float = T0 + 100.0
    up: bool = True
    settled: bool = False


@dataclass
class Older(WaveformSource):
    """A source that has everything, or fails; it notes what it was asked for."""

    asked: list[Selection] = field(default_factory=list)
    fails: bool = False
    address: str = "recordstream"

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        self.asked.append(selection)
        if self.fails:
            raise WaveformReadError("recordstream: no tape in the drive")
        stream, _ = decode([Part("older", packed(trace(npts=30_000), trace("XX.S09..HHZ", npts=30_000)))])
        return Acquired(stream)


def source(feed: Feed, npts: int = 20_000, start: float = T0, older: Older | None = None) -> tuple[RingSource, Older]:
    held = ring()
    if npts:
        held.add(packed(trace(npts=npts, start=start)))
    older = older or Older()
    return RingSource(held, feed, older), older  # type: ignore[arg-type]


def test_a_window_that_the_ring_covers_comes_from_memory_and_fast():
    answering, older = source(Feed())
    answering.get_waveforms(["XX.S01.*.*"], T0 + 50.0, T0 + 110.0)
    began = time.monotonic()
    for _ in range(20):
        acquired = answering.get_waveforms(["XX.S01.*.*"], T0 + 50.0, T0 + 110.0)
    assert time.monotonic() - began < 2.0
    np.testing.assert_array_equal(acquired.stream[0].data, np.arange(5000, 11001))
    assert not older.asked


def test_answers_are_the_askers_own():
    answering, _ = source(Feed())
    first = answering.get_waveforms(["XX.S01.*.*"], T0 + 50.0, T0 + 60.0)
    first.stream[0].data[:] = 0
    first.stream[0].stats.station = "MINE"
    second = answering.get_waveforms(["XX.S01.*.*"], T0 + 50.0, T0 + 60.0)
    np.testing.assert_array_equal(second.stream[0].data, np.arange(5000, 6001))


def test_what_has_come_since_is_in_the_next_answer():
    answering, _ = source(Feed(settled=True), npts=10_000)
    assert answering.get_waveforms(["XX.S01.*.*"], T0, T0 + 200.0).stream[0].stats.npts == 10_000
    answering.ring.add(packed(trace(start=T0 + 100.0, npts=5000)))
    (found,) = answering.get_waveforms(["XX.S01.*.*"], T0, T0 + 200.0).stream
    np.testing.assert_array_equal(found.data, np.arange(15_000))


@pytest.mark.parametrize(
    ("feed", "covered"),
    [
        (Feed(), True),
        (Feed(whole_since=T0 + 20.0), False),  # it begins after the window does
        (Feed(up=False), True),  # away, but the window's end had come before
        (Feed(whole_since=float("inf")), False),  # streams that were asked for just now
    ],
)
def test_a_window_is_covered_where_all_of_it_was_asked_for(feed: Feed, covered: bool):
    answering, older = source(feed)
    (found,) = answering.get_waveforms(["XX.S01.*.*"], T0 + 10.0, T0 + 150.0).stream
    np.testing.assert_array_equal(found.data, np.arange(1000, 15_001))
    assert bool(older.asked) is not covered


@pytest.mark.parametrize(
    ("feed", "npts", "covered"),
    [
        (Feed(), 20_000, True),  # has reached the time of asking
        (Feed(), 5_000, False),  # is still being made up for
        (Feed(settled=True), 5_000, True),  # the station has stopped
        (Feed(settled=True), 0, True),  # the station is dead
        (Feed(), 0, False),  # not known yet
        (Feed(up=False), 20_000, False),  # away: newer data may be had otherwise
    ],
)
def test_a_window_beyond_the_last_sample_is_covered_where_nothing_more_can_be_had(feed: Feed, npts: int, covered: bool):
    answering, older = source(feed, npts)
    answering.get_waveforms(["XX.S01.*.*"], T0 + 10.0, T0 + 290.0)
    assert bool(older.asked) is not covered


def test_stations_that_nobody_follows_are_asked_for_and_not_at_every_poll():
    answering, older = source(Feed())
    for _ in range(5):
        acquired = answering.get_waveforms(["XX.S01.*.*", "XX.S09.*.*"], T0 + 50.0, T0 + 110.0)
    assert [found.id for found in acquired.stream] == [SEED_ID, "XX.S09..HHZ"]
    assert [selection.patterns for selection in older.asked] == [(("XX", "S09", "*", "*"),)]


def test_a_failure_of_the_rest_is_told_beside_what_the_ring_has():
    answering, _ = source(Feed(), older=Older(fails=True))
    acquired = answering.get_waveforms(["XX.S01.*.*", "XX.S09.*.*"], T0 + 50.0, T0 + 110.0)
    assert [found.id for found in acquired.stream] == [SEED_ID]
    assert [item.reason for item in acquired.dropped] == ["recordstream: no tape in the drive"]
    with pytest.raises(WaveformReadError, match="no tape"):
        answering.get_waveforms(["XX.S09.*.*"], T0 + 50.0, T0 + 110.0)


# How it is fed


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []
    (tmp_path / "records").write_bytes(b"")

    def start(sink: Ring, *streams: Codes, mode: str = "good", **options: object) -> Follower:
        made.append(Follower([sys.executable, str(FAKE), mode, str(tmp_path)], "", sink, **options))  # type: ignore[arg-type]
        made[-1].follow(streams or (CODES,))
        return made[-1]

    yield start
    for one in made:
        one.close()


def feed(folder: Path, name: str, content: bytes = b"") -> None:
    """Have the helper send something."""
    scratch = folder / "feed" / f"{name}.tmp"
    scratch.parent.mkdir(exist_ok=True)
    scratch.write_bytes(content)
    scratch.rename(folder / "feed" / name)


def requests(folder: Path) -> list[dict]:
    path = folder / "requests"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_what_is_followed_comes_into_the_ring_and_a_gap_is_made_up_for(follow, tmp_path: Path):
    held = Ring(600.0, clock=lambda: T0 + 100.0)
    feed(tmp_path, "1", packed(trace(npts=5000)))
    states: list[str] = []
    follower = follow(held, changed=states.append, clock=lambda: T0 + 100.0)
    until(lambda: held.span(SEED_ID))
    until(lambda: follower.up)
    assert requests(tmp_path)[0]["start"] == T0 - 500.0
    assert follower.whole_since == T0 - 500.0
    feed(tmp_path, "2.die")
    until(lambda: len(requests(tmp_path)) == 2)
    assert states[:2] == ["following", "away"]
    assert "exit status 4" in follower.trouble or follower.up
    # Again from the last data on, and what was there before comes twice
    assert requests(tmp_path)[1]["start"] == pytest.approx(T0 + 45.0)
    feed(tmp_path, "3", packed(trace(start=T0 + 40.0, npts=6000)))
    until(lambda: held.span(SEED_ID)[1] > T0 + 99.0)  # type: ignore[index]
    until(lambda: follower.up)
    # Packed anew, so the same samples stand in other records
    stream, _ = decode([Part("ring", held.packed(SEED_ID, T0, T0 + 100.0)[1])])
    stream.merge(method=1)
    np.testing.assert_array_equal(stream[0].data, np.arange(10_000))
    assert follower.whole_since == T0 - 500.0


def test_after_a_break_longer_than_the_ring_it_is_whole_from_then_on_only(follow, tmp_path: Path):
    clock = [T0 + 60.0]
    held = Ring(100.0, clock=lambda: clock[0])
    feed(tmp_path, "1", packed(trace(npts=5000)))
    follower = follow(held, clock=lambda: clock[0])
    until(lambda: held.span(SEED_ID))
    clock[0] = T0 + 1000.0
    feed(tmp_path, "2.die")
    until(lambda: len(requests(tmp_path)) == 2)
    until(lambda: follower.whole_since == T0 + 900.0)


def test_a_recordstream_that_ends_at_once_is_an_archive_and_is_left_alone(follow, tmp_path: Path):
    states: list[str] = []
    held = ring()
    follower = follow(held, changed=states.append)
    until(lambda: follower.state == "archive")
    assert states == ["archive"]
    asked = len(requests(tmp_path))
    time.sleep(0.7)
    assert len(requests(tmp_path)) == asked
    assert not follower.up


@pytest.mark.parametrize(
    ("mode", "said"), [("complains", "no route"), ("nonsense", "nonsense"), ("stranger", "nonsense")]
)
def test_a_follower_that_fails_is_away_says_why_and_tries_again(follow, tmp_path: Path, mode: str, said: str):
    follower = follow(ring(), mode=mode)
    until(lambda: len(requests(tmp_path)) >= 4)
    assert follower.state == "away"
    assert said in follower.trouble


def test_other_streams_are_followed_from_the_start_of_the_ring(follow, tmp_path: Path):
    held = Ring(600.0, clock=lambda: T0 + 100.0)
    feed(tmp_path, "1", packed(trace(npts=5000)))
    follower = follow(held, clock=lambda: T0 + 100.0)
    until(lambda: held.span(SEED_ID))
    follower.follow([CODES])
    follower.follow([CODES, ("XX", "S02", "", "HHZ")])
    until(lambda: len(requests(tmp_path)) == 2)
    again = requests(tmp_path)[1]
    assert again["streams"] == [["XX", "S01", "00", "HHZ"], ["XX", "S02", "", "HHZ"]]
    assert again["start"] == T0 - 500.0
    until(lambda: follower.whole_since == T0 - 500.0)


def test_a_follower_that_is_closed_stops_at_once(follow, tmp_path: Path):
    feed(tmp_path, "1", packed(trace(npts=500)))
    held = ring()
    follower = follow(held)
    until(lambda: held.span(SEED_ID))
    began = time.monotonic()
    follower.close()
    assert time.monotonic() - began < 3.0
    assert follower.state == "closed"
