"""Waveforms of one job: fetched in time, waited for where they are still coming, partial where they do not come."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from obspy import Stream

from ..errors import EventError, WaveformReadError
from ..waveforms.base import Acquired, Selection, WaveformSource
from ..waveforms.mseed import Part, decode
from .running import Running, Slots

SETTLED_S = 180.0
"""Data older than this are all there that will ever be: nothing is waited for."""

STALLED_S = 20.0
"""A station whose data have not advanced for so long is not waited for once most others are complete."""

REACH_S = 1.0
"""A station is complete with data up to this before the window's end: the window has a second to spare."""

_MOST_STUCK = 8
_LOOK_S = 0.05
# A source that can keep a limit has this to hand over what came till then
_ANSWER_S = 0.3


@dataclass(frozen=True)
class Window:
    """What is wanted: stations (NET.STA), and time in POSIX s."""

    stations: tuple[str, ...]
    start: float
    end: float


@dataclass(frozen=True)
class Later:
    """A window whose true end is known only once data reach the time ``at`` (POSIX s).

    ``end`` tells it from these data, None where they do not tell.
    """

    at: float
    end: Callable[[Stream], float | None]


@dataclass(frozen=True)
class Gathered:
    """What there was. ``complete``: all stations that sent anything reach the end; ``behind``: those that do not."""

    acquired: Acquired
    complete: bool
    behind: tuple[str, ...] = ()
    note: str = ""


class BlobSource(WaveformSource):
    """miniSEED that came with the job."""

    def __init__(self, content: bytes):
        self._content = content

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        stream, dropped = decode([Part("waveforms of the job", self._content)])
        return Acquired(stream, tuple(dropped))


@dataclass
class Opened:
    """A source that jobs share. ``poll_s``: how often it may be asked; ``alone``: whether one at a time."""

    source: WaveformSource
    poll_s: float = 1.0
    alone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    stuck: Counter[str] = field(default_factory=Counter)

    def fetch(self, window: Window, job: Running, limit: float) -> Acquired | None:
        """The window's waveforms, None where the source does not answer by ``limit`` (monotonic s).

        The request then runs on in a thread of its own, for nothing can stop it; where too many do, none is added.
        Raises what the source does, and :class:`~.running.Cancelled`.
        """
        if self.stuck["threads"] >= _MOST_STUCK:
            raise WaveformReadError(f"the source does not answer {_MOST_STUCK} earlier requests")
        answers: list[Acquired] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                answers.append(self._ask(window, limit))
            except BaseException as error:
                errors.append(error)
            finally:
                with self.lock:
                    self.stuck["threads"] -= done.is_set()
                done.set()

        threading.Thread(target=ask, name=f"fetch {job.id[:40]}", daemon=True).start()
        answered = done.wait(max(limit - time.monotonic(), 0.0))
        if not answered:
            with self.lock:
                # Set by us: the thread takes itself off the count when it ends
                if not done.is_set():
                    self.stuck["threads"] += 1
                    done.set()
                    return None
        if errors:
            raise errors[0]
        return answers[0]

    def _ask(self, window: Window, limit: float) -> Acquired:
        patterns = [f"{station}.*.*" for station in window.stations]
        source = self.source.by(limit - _ANSWER_S)
        if not self.alone:
            return source.get_waveforms(patterns, window.start, window.end)
        with self._one:
            return source.get_waveforms(patterns, window.start, window.end)

    def __post_init__(self) -> None:
        self._one = threading.Lock()


def gather(
    opened: Opened,
    window: Window,
    job: Running,
    slots: Slots,
    wait: bool,
    reserve_s: float,
    later: Later | None = None,
) -> Gathered:
    """Waveforms for ``window``; with ``wait``, until they are complete or only ``reserve_s`` of the job's time is left.

    With ``later`` the window ends where the data say, if that is earlier. A slot is held while the source is asked,
    not while data are waited for. Raises WaveformReadError where the source
    failed to the end, :class:`~.running.Cancelled` where the job is over.
    """
    limit = job.limit - reserve_s
    best: Acquired | None = None
    error: EventError | None = None
    progress = Progress(window.end)
    last = False
    while True:
        asked = time.monotonic()
        job.enter(slots)
        job.state("acquiring")
        try:
            acquired = opened.fetch(window, job, limit)
            error = None
        except EventError as failure:
            acquired, error = None, failure
        finally:
            job.leave(slots)
        now = time.monotonic()
        if acquired is not None:
            best = acquired
            progress.note(acquired.stream, now)
            if later is not None and progress.done(now, later.at):
                window, later = _narrowed(window, later, acquired.stream, job, slots), None
                progress.end = window.end
        settled = not wait or time.time() > window.end + SETTLED_S
        # The last look must be over by the limit; it may take twice as long as this one did
        latest = limit - 2.0 * (now - asked) - _LOOK_S
        if settled or last or now >= limit or (best is not None and progress.done(now)):
            break
        job.state("waiting")
        # Nothing can be complete before the window's end has come
        next_s = (window.end if later is None else min(later.at, window.end)) - time.time()
        job.sleep(min(max(opened.poll_s, next_s), max(latest - now, 0.0)))
        last = time.monotonic() >= latest
    if best is None and error is not None:
        raise error
    if best is None:
        raise WaveformReadError("the source of waveforms did not answer in time")
    behind = progress.behind()
    if not behind:
        return Gathered(best, progress.any)
    many = f"{', '.join(behind[:5])}{f' and {len(behind) - 5} more' if len(behind) > 5 else ''}"
    return Gathered(best, False, behind, f"partial data were used: {many} ended before the window did")


def _narrowed(window: Window, later: Later, stream: Stream, job: Running, slots: Slots) -> Window:
    """The window as far as it is needed, now that the data tell."""
    job.enter(slots)
    try:
        end = later.end(stream)
    finally:
        job.leave(slots)
    return window if end is None else replace(window, end=min(end, window.end))


class Progress:
    """How far each station's data have come towards ``end`` (POSIX s), and since when."""

    def __init__(self, end: float):
        self.end = end
        self._ends: dict[str, tuple[float, float]] = {}

    @property
    def any(self) -> bool:
        """Whether any station has sent anything."""
        return bool(self._ends)

    def note(self, stream: Stream, now: float) -> None:
        """Take what has come by ``now`` (monotonic s)."""
        latest: dict[str, float] = {}
        for trace in stream:
            station = f"{trace.stats.network}.{trace.stats.station}"
            latest[station] = max(latest.get(station, 0.0), trace.stats.endtime.timestamp + trace.stats.delta)
        for station, time_ in latest.items():
            if station not in self._ends or time_ > self._ends[station][0]:
                self._ends[station] = time_, now

    def behind(self, end: float | None = None) -> tuple[str, ...]:
        """Stations whose data do not reach the end, or ``end``, sorted."""
        wanted = (self.end if end is None else end) - REACH_S
        return tuple(sorted(station for station, (time_, _) in self._ends.items() if time_ < wanted))

    def done(self, now: float, end: float | None = None) -> bool:
        """Whether there is nothing more to wait for: all are there, or but a few that stand still."""
        behind = self.behind(end)
        if not self._ends or 2 * len(behind) > len(self._ends):
            return False
        return all(now - self._ends[station][1] > STALLED_S for station in behind)
