"""Follows streams of the host with a helper of its own, for as long as the worker runs."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ..worker.protocol import Message
from .helper import Helper, HelperError
from .recordstream import Codes

SETTLED_S = 20.0
"""A channel of which nothing has come for so long since it was asked for has nothing."""

SERVER_SILENCE_S = 60.0
"""A server that sends nothing at all for so long is connected to again."""

HELPER_SILENCE_S = 150.0
"""A helper that says nothing for so long hangs."""

_PAUSES_S = (0.5, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCH_S = 0.05
_SHORT_S = 5.0
_ARCHIVE_AFTER = 3
_OVERLAP_S = 5.0

log = logging.getLogger("dlloc.recordstream")


class Sink(Protocol):
    """Where records go: :class:`~.ring.Ring`."""

    length_s: float

    def add(self, content: bytes) -> int:
        """Take records of one length; how many were new."""

    def ends(self) -> list[float]:
        """Last time (POSIX s) of each channel."""

    def keep(self, seed_ids: Iterable[str]) -> None:
        """Hold these channels, and none else."""

    def clear(self) -> None:
        """Forget everything."""


class Follower:
    """A thread with a helper that feeds ``sink``.

    ``state``: ``starting``; ``following``; ``away`` (the server or the helper fails, and is tried again); ``archive``:
    the RecordStream comes to its end at once, again and again, so there is nothing to follow, and the thread has
    ended; ``closed``. After a break everything since the last data of any channel is asked for again.
    """

    def __init__(
        self,
        command: Sequence[str],
        url: str,
        sink: Sink,
        changed: Callable[[str], None] = lambda state: None,
        clock: Callable[[], float] = time.time,
    ):
        """``changed`` is told each new state. Call :meth:`follow` to begin."""
        self._command, self.url, self._sink, self._changed, self._clock = list(command), url, sink, changed, clock
        self.state = "starting"
        self.trouble = ""
        self.streams: tuple[Codes, ...] = ()
        self.whole_since = float("inf")
        self.since_wall = float("inf")
        self.restarts = 0
        self._began = float("inf")
        self._brought = False
        self._wake = threading.Event()
        self._over = threading.Event()
        self._helper: Helper | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def up(self) -> bool:
        """Whether what is recorded now can be expected to come."""
        return self.state == "following"

    @property
    def settled(self) -> bool:
        """Whether a channel without any data has none, as far as can be told."""
        return self.up and time.monotonic() - self._began > SETTLED_S

    def follow(self, streams: Iterable[Codes]) -> None:
        """Follow these streams from now on, and none else."""
        wanted = tuple(sorted(set(streams)))
        with self._lock:
            if wanted == self.streams or self._over.is_set() or self.state == "archive":
                return
            new = set(wanted) - set(self.streams)
            self.streams = wanted
            self._sink.keep(".".join(codes) for codes in wanted)
            if new:
                # Of these there is nothing yet: the ring is whole again once they have been asked for
                self.whole_since = float("inf")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
                self._thread.start()
            elif self._helper is not None:
                self._helper.kill()
            self._wake.set()

    def close(self) -> None:
        """End the thread and its helper."""
        with self._lock:
            self._over.set()
            helper, thread = self._helper, self._thread
        self._wake.set()
        if helper is not None:
            helper.kill()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        self._say("closed")

    def _say(self, state: str, trouble: str = "") -> None:
        if trouble and trouble != self.trouble:
            log.warning("following %s: %s", self.url or "the host's recordstream", trouble)
        self.trouble = trouble
        if state != self.state:
            self.state = state
            self._changed(state)

    def _run(self) -> None:
        pause = short = 0
        while not self._over.is_set():
            self._wake.clear()
            streams = self.streams
            began = time.monotonic()
            self._brought = False
            try:
                trouble = self._once(streams)
            except HelperError as error:
                trouble = str(error)
            if self._over.is_set():
                return
            if streams != self.streams:
                continue
            lasted = time.monotonic() - began
            short = short + 1 if not trouble and lasted < _SHORT_S else 0
            if short >= _ARCHIVE_AFTER:
                self._sink.clear()
                self._say("archive")
                log.info("%s comes to an end at once: nothing to follow", self.url or "the host's recordstream")
                return
            pause = 0 if self._brought and lasted > _SHORT_S else min(pause + 1, len(_PAUSES_S) - 1)
            self.restarts += 1
            self._say("away" if trouble or self.state != "starting" else "starting", trouble)
            self._wake.wait(_PAUSES_S[pause])

    def _since(self) -> float:
        """From when on to ask (POSIX s): everything since the last data of any channel, at most the ring's length."""
        oldest = self._clock() - self._sink.length_s
        last = min(self._sink.ends(), default=oldest)
        since = max(oldest, last - _OVERLAP_S)
        if self.whole_since > since or since > last:
            self.whole_since = since
        return since

    def _once(self, streams: Sequence[Codes]) -> str:
        """Follow until that ends; what went wrong ('': nothing). Raises HelperError."""
        helper = Helper(self._command)
        with self._lock:
            self._helper = helper
        try:
            if self._over.is_set():
                return ""
            since = self._oldest() if self.whole_since == float("inf") else self._since()
            self._began, self.since_wall = time.monotonic(), self._clock()
            request = {
                "kind": "follow",
                "id": "follow",
                "streams": [list(codes) for codes in streams],
                "start": since,
                "timeout_s": SERVER_SILENCE_S,
                "url": self.url,
            }
            helper.ask(request, time.monotonic() + HELPER_SILENCE_S)
            while True:
                messages = helper.read(time.monotonic() + HELPER_SILENCE_S)
                if not messages:
                    raise HelperError(f"{helper.name}: says nothing{helper.last_words()}")
                ended = self._take(helper, messages)
                if ended is not None:
                    return ended
                # More may have come by now: records are cheaper to take many at once
                self._wake.wait(_BATCH_S)
        finally:
            with self._lock:
                self._helper = None
            helper.close()

    def _oldest(self) -> float:
        """The start of the ring, now whole from there on."""
        self.whole_since = self._clock() - self._sink.length_s
        return self.whole_since

    def _take(self, helper: Helper, messages: Sequence[Message]) -> str | None:
        """Records to the sink. What went wrong at the end ('': nothing); None where it goes on."""
        runs: dict[int, list[bytes]] = {}
        ended = None
        for header, blobs in messages:
            if header.get("id") != "follow" or header["kind"] not in ("data", "end"):
                raise HelperError(f"{helper.name}: talks nonsense: '{header['kind']}' is no record")
            if header["kind"] == "end":
                ended = str(header.get("error") or "")
            else:
                runs.setdefault(int(header.get("length") or 0), []).append(blobs.get("mseed", b""))
        brought = sum(self._sink.add(b"".join(contents)) for contents in runs.values())
        if runs:
            self._brought = self._brought or brought > 0
        if brought and ended is None:
            self._say("following")
        return ended
