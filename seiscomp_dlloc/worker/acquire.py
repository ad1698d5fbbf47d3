"""Waveforms of one job: fetched in time, waited for where they are still coming, partial where they do not come."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from obspy import Stream

from ..errors import EventError, WaveformReadError
from ..waveforms.base import Acquired, Selection, WaveformSource
from ..waveforms.mseed import Part, decode
from .running import Running, Slots

SETTLED_S = 180.0
"""Data older than this are all there that will ever be: nothing is waited for."""

STALLED_S = 20.0
"""A station whose data have not advanced for so long while others' did is not waited for."""

REACH_S = 1.0
"""A station is complete with data up to this before the window's end: the window has a second to spare."""

_MOST_STUCK = 8


@dataclass(frozen=True)
class Window:
    """What is wanted: stations (NET.STA), and time in POSIX s."""

    stations: tuple[str, ...]
    start: float
    end: float


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
                answers.append(self._ask(window))
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

    def _ask(self, window: Window) -> Acquired:
        patterns = [f"{station}.*.*" for station in window.stations]
        if not self.alone:
            return self.source.get_waveforms(patterns, window.start, window.end)
        with self._one:
            return self.source.get_waveforms(patterns, window.start, window.end)

    def __post_init__(self) -> None:
        self._one = threading.Lock()


def gather(opened: Opened, window: Window, job: Running, slots: Slots, wait: bool, reserve_s: float) -> Gathered:
    """Waveforms for ``window``; with ``wait``, until they are complete or only ``reserve_s`` of the job's time is left.

    A slot is held while the source is asked, not while data are waited for. Raises WaveformReadError where the source
    failed to the end, :class:`~.running.Cancelled` where the job is over.
    """
    limit = job.limit - reserve_s
    best: Acquired | None = None
    error: EventError | None = None
    behind: list[str] = []
    ends: dict[str, tuple[float, float]] = {}
    while True:
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
            behind = _behind(acquired.stream, window.end, ends, now)
        settled = not wait or time.time() > window.end + SETTLED_S
        if best is not None and ends and not behind:
            return Gathered(best, True)
        if settled or now >= limit:
            break
        job.state("waiting")
        # Nothing can be complete before the window's end has come
        job.sleep(min(max(opened.poll_s, window.end - time.time()), max(limit - now, 0.0)))
    if best is None and error is not None:
        raise error
    if best is None:
        raise WaveformReadError("the source of waveforms did not answer in time")
    return _partial(best, behind, wait)


def _partial(acquired: Acquired, behind: Sequence[str], wait: bool) -> Gathered:
    """What is used although more could come."""
    many = f"{', '.join(behind[:5])}{' and others' if len(behind) > 5 else ''}"
    why = "at the deadline" if wait else "as asked"
    return Gathered(
        acquired, False, tuple(behind), f"partial data were used {why}: {many} ended early" if behind else ""
    )


def _behind(stream: Stream, end: float, ends: dict[str, tuple[float, float]], now: float) -> list[str]:
    """Stations that are still to be waited for, sorted; ``ends`` keeps where each was, and since when."""
    latest: dict[str, float] = {}
    for trace in stream:
        station = f"{trace.stats.network}.{trace.stats.station}"
        latest[station] = max(latest.get(station, 0.0), trace.stats.endtime.timestamp + trace.stats.delta)
    for station, time_ in latest.items():
        if station not in ends or time_ > ends[station][0]:
            ends[station] = time_, now
    moving = max((since for _, since in ends.values()), default=now)
    return sorted(
        station
        for station, (time_, since) in ends.items()
        if time_ < end - REACH_S and not (moving - since > STALLED_S)
    )
