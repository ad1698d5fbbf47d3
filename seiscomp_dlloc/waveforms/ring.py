"""Recent data in memory: packed records by channel, bounded in time and in bytes; and a source that answers from it."""

import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from obspy import Stream, Trace

from ..errors import WaveformReadError
from ..records import Dropped
from .base import Acquired, Selection, WaveformSource
from .follow import Follower
from .mseed import NotMiniSeedError, Part, Record, decode, split
from .recordstream import RecordstreamSource

MOST_BYTES = 256 << 20
"""Of records in a ring; with more than this its length gives way."""

_SAME_S = 1e-4
_FUTURE_S = 60.0
_HEAD = 8
_ASK_AGAIN_S = 2.0
_ANSWERS = 8
_MOST_SAMPLES = 16_000_000
_HEADER = ("network", "station", "location", "channel", "starttime", "sampling_rate")

_Window = tuple[Selection, float, float]


@dataclass
class _Channel:
    """Records in order of their start. ``changes`` grows with each that comes or goes."""

    records: list[Record] = field(default_factory=list)
    end: float = float("-inf")
    longest: float = 0.0
    changes: int = 0


def _start(record: Record) -> float:
    return record.start


class Ring:
    """The last ``length_s`` seconds of each channel, at most ``most_bytes`` of records in all. For several threads.

    Records may come twice and out of order. Those that begin more than a minute in the future are refused: one of them
    would drive all others of its channel out.
    """

    def __init__(self, length_s: float, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.time):
        self.length_s, self._most_bytes, self._clock = length_s, most_bytes, clock
        self._channels: dict[str, _Channel] = {}
        self._wanted: frozenset[str] | None = None
        self._lock = threading.Lock()
        self.held_bytes = 0
        self.refused = 0

    def add(self, content: bytes) -> int:
        """Take records of one length; how many were new."""
        try:
            records = split(content)
        except NotMiniSeedError:
            self.refused += 1
            return 0
        latest = self._clock() + _FUTURE_S
        with self._lock:
            new = sum(self._add(record, latest) for record in records)
            while self.held_bytes > self._most_bytes:
                for channel in self._channels.values():
                    self._drop(channel, 1 + len(channel.records) // 10)
        return new

    def _add(self, record: Record, latest: float) -> bool:
        if self._wanted is not None and record.seed_id not in self._wanted:
            return False
        if record.start > latest:
            self.refused += 1
            return False
        channel = self._channels.setdefault(record.seed_id, _Channel())
        if record.end < channel.end - self.length_s or _present(channel.records, record):
            return False
        insort(channel.records, record, key=_start)
        channel.end = max(channel.end, record.end)
        channel.longest = max(channel.longest, record.end - record.start)
        channel.changes += 1
        self.held_bytes += len(record.content)
        self._drop(channel, bisect_left(channel.records, channel.end - self.length_s, key=lambda item: item.end))
        return True

    def _drop(self, channel: _Channel, number: int) -> None:
        """The oldest records of a channel."""
        if number > 0:
            self.held_bytes -= sum(len(record.content) for record in channel.records[:number])
            del channel.records[:number]
            channel.changes += 1

    def keep(self, seed_ids: Iterable[str]) -> None:
        """Hold these channels, and none else."""
        with self._lock:
            self._wanted = frozenset(seed_ids)
            for seed_id in set(self._channels) - self._wanted:
                self._drop(self._channels[seed_id], len(self._channels[seed_id].records))
                del self._channels[seed_id]

    def packed(self, seed_id: str, starttime: float, endtime: float) -> tuple[int, bytes]:
        """Records of a channel that overlap the window, and a number that is another once the channel has changed."""
        with self._lock:
            channel = self._channels.get(seed_id)
            if channel is None:
                return 0, b""
            first = bisect_left(channel.records, starttime - channel.longest, key=_start)
            last = bisect_right(channel.records, endtime, key=_start)
            inside = [record.content for record in channel.records[first:last] if record.end >= starttime]
            return channel.changes, b"".join(inside)

    def span(self, seed_id: str) -> tuple[float, float] | None:
        """First and last time (POSIX s) of a channel; None where there is nothing of it."""
        with self._lock:
            channel = self._channels.get(seed_id)
            return (channel.records[0].start, channel.end) if channel is not None and channel.records else None

    def ends(self) -> list[float]:
        """Last time (POSIX s) of each channel that has records."""
        with self._lock:
            return [channel.end for channel in self._channels.values() if channel.records]

    def seconds(self) -> float:
        """The longest span of a channel."""
        with self._lock:
            spans = [c.end - c.records[0].start for c in self._channels.values() if c.records]
        return max(spans, default=0.0)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._channels.clear()
            self.held_bytes = 0


def _present(records: Sequence[Record], record: Record) -> bool:
    """Whether the record is there already; its sequence number and its quality do not count."""
    for index in range(bisect_left(records, record.start - _SAME_S, key=_start), len(records)):
        other = records[index]
        if other.start > record.start + _SAME_S:
            return False
        if other.content[_HEAD:] == record.content[_HEAD:]:
            return True
    return False


class RingSource(WaveformSource):
    """Answers from a ring what it covers, and asks ``older`` for the rest.

    The ring covers a window of a channel where the follower has asked for all of it and has either got what there is,
    or got to the window's end. While the follower is away, only windows that end before the last sample are covered.
    """

    def __init__(self, ring: Ring, follower: Follower, older: RecordstreamSource):
        self.ring, self.follower, self._older = ring, follower, older
        self._decoded: OrderedDict[tuple[str, float, float], tuple[int, Stream]] = OrderedDict()
        self._answers: OrderedDict[tuple[Selection, float, float], tuple[float, Acquired | WaveformReadError]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def by(self, limit: float) -> WaveformSource:
        """The same source, answering by ``limit`` (monotonic s) with what has come till then."""
        return _Limited(self, limit)

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        return self.fetch(selection, starttime, endtime, None)

    def fetch(self, selection: Selection, starttime: float, endtime: float, limit: float | None) -> Acquired:
        """As :meth:`get_waveforms`, by ``limit`` (monotonic s), uncut. Raises WaveformReadError."""
        fed = self.follower.streams
        stations = {codes[:2] for codes in fed}
        # What nobody follows, by its pattern; of what is followed, the channels that the ring does not cover
        missing = [pattern for pattern in selection.patterns if pattern[:2] not in stations]
        covered = []
        for codes in fed:
            seed_id = ".".join(codes)
            if selection.matches(seed_id):
                (covered.append(seed_id) if self._covers(seed_id, starttime, endtime) else missing.append(codes))
        acquired = self._from_ring(covered, starttime, endtime)
        if not missing:
            return acquired
        rest = self._ask(Selection(tuple(sorted(missing))), starttime, endtime, limit, bool(acquired.stream))
        return Acquired(acquired.stream + rest.stream, acquired.dropped + rest.dropped)

    def _covers(self, seed_id: str, starttime: float, endtime: float) -> bool:
        span = self.ring.span(seed_id)
        if self.follower.whole_since > starttime:
            return False
        if span is not None and span[1] >= endtime:
            return True
        # What was missed comes first: a channel that has reached the time at which it was asked for has got that
        reached = span is not None and span[1] >= self.follower.since_wall
        return self.follower.up and (reached or self.follower.settled)

    def _from_ring(self, seed_ids: Iterable[str], starttime: float, endtime: float) -> Acquired:
        """Traces out of memory; a channel that has not changed is not decoded again."""
        stream = Stream()
        parts = []
        for seed_id in seed_ids:
            changes, content = self.ring.packed(seed_id, starttime - 1.0, endtime + 1.0)
            key = (seed_id, starttime, endtime)
            with self._lock:
                known = self._decoded.get(key)
            if known is not None and known[0] == changes:
                stream += _copied(known[1])
            elif content:
                parts.append((key, changes, content))
        if not parts:
            return Acquired(stream)
        fresh, dropped = decode(Part(key[0], content) for key, _, content in parts)
        by_id: dict[str, Stream] = {}
        for trace in fresh:
            by_id.setdefault(trace.id, Stream()).append(trace)
        with self._lock:
            for key, changes, _ in parts:
                self._decoded[key] = changes, _copied(by_id.get(key[0], Stream()))
                self._decoded.move_to_end(key)
            while sum(_samples(stream) for _, stream in self._decoded.values()) > _MOST_SAMPLES:
                self._decoded.popitem(last=False)
        return Acquired(stream + fresh, tuple(dropped))

    def _ask(
        self, selection: Selection, starttime: float, endtime: float, limit: float | None, partly: bool
    ) -> Acquired:
        """What the ring does not cover; not more often than every other second.

        A failure is told beside what the ring has, and is raised where that is nothing.
        """
        key = (selection, starttime, endtime)
        with self._lock:
            asked, answer = self._answers.get(key, (float("-inf"), None))
        if answer is None or time.monotonic() - asked > _ASK_AGAIN_S:
            source = self._older if limit is None else self._older.by(limit)
            try:
                answer = source.get_waveforms((".".join(p) for p in selection.patterns), starttime, endtime)
            except WaveformReadError as error:
                answer = error
            with self._lock:
                self._answers[key] = time.monotonic(), answer
                self._answers.move_to_end(key)
                while len(self._answers) > _ANSWERS:
                    self._answers.popitem(last=False)
        if isinstance(answer, Acquired):
            return Acquired(_copied(answer.stream), answer.dropped)
        if not partly:
            raise answer
        return Acquired(Stream(), (Dropped(self._older.address, str(answer)),))

    def close(self) -> None:
        """Stop following."""
        self.follower.close()


class _Limited(WaveformSource):
    """The source with a limit (monotonic s)."""

    def __init__(self, source: RingSource, limit: float):
        self._source, self._limit = source, limit

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        return self._source.fetch(selection, starttime, endtime, self._limit)


def _samples(stream: Stream) -> int:
    return sum(trace.stats.npts for trace in stream)


def _copied(stream: Stream) -> Stream:
    """Traces of their own, for they are cut in place; of the header what locating needs, it copies slowly."""
    return Stream([Trace(trace.data.copy(), {name: trace.stats[name] for name in _HEADER}) for trace in stream])
