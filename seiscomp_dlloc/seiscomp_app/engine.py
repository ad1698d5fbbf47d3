"""The engine: what decides, asks the worker and sends, in one loop that sleeps until something is there to do.

It runs in a process of its own (engineprocess.py), fed by the module's main process with lines that name origins.
"""

import logging
import os
import selectors
import time
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Set

from .audit import Audit
from .database import DatabaseAwayError
from .intake import AWAY_S, Candidate, consider
from .jobs import Jobs
from .journal import Job, Journal, Sending
from .lines import LineReader, LineWriter
from .plan import Plan
from .rules import is_own_id
from .sender import Link, Sender

LOG = logging.getLogger("dlloc.engine")

LONGEST_SLEEP_S = 10.0
MOST_CANDIDATES = 10000
MOST_CAUGHT_UP = 500
LATE_LOOKS_S = (5.0, 30.0)
"""After the messaging was away, origins may still be on their way into the database: it is searched again so late."""


class Engine:
    """The parts put together.

    ``database`` looks origins up (:class:`~.database.Database`). ``link`` None: nothing is sent (``--test``).
    ``sender``: in place of the usual one.
    """

    def __init__(
        self,
        plan: Plan,
        database: Any,
        link: Optional[Link],
        journal: Journal,
        audit: Audit,
        clock: Callable[[], float] = time.time,
        sender: Optional[Any] = None,
    ) -> None:
        self._plan, self._database, self._journal, self._audit = plan, database, journal, audit
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        self._sender = sender or Sender(link, database, journal, audit, clock, dry=link is None)
        self._jobs = Jobs(plan, journal, audit, self._selector, self._send, clock, self.wake)
        self._candidates: Dict[str, Candidate] = {}
        self._looks: List[float] = []
        self._caught_up: Set[str] = set()
        self._stopping = False

    def _send(self, sending: Sending) -> None:
        """At once: nothing that can wait comes before an origin."""
        self._sender.put(sending)
        self._guarded(self._sender.step)

    def wake(self) -> None:
        """End the sleep; from another thread or a signal's handler."""
        try:
            os.write(self._wake_in, b".")
        except BlockingIOError:
            # There is a byte in the pipe already: it will wake
            return

    def stop(self) -> None:
        """End :meth:`run` at the next turn; from another thread or a signal's handler."""
        self._stopping = True
        self.wake()

    # The loop

    def run(self, reader: LineReader, alive: Optional[LineWriter] = None) -> None:
        """Until the lines end or say so: then what is on its way gets two seconds, and the journal keeps the rest."""
        self._selector.register(reader, selectors.EVENT_READ, reader)
        self.begin()
        while not (self._stopping or reader.ended):
            if alive is not None:
                alive.put({"kind": "alive", "jobs": self._jobs.active, "sending": self._sender.waiting})
            self.turn(LONGEST_SLEEP_S)
        self.finish(2.0)

    def run_until_done(self, origin_ids: List[str], seconds: float, forced: bool) -> None:
        """Locate some origins, in at most ``seconds``; ``forced``: whatever the rules say."""
        for origin_id in origin_ids:
            self.consider(origin_id, "command line", forced=forced)
        end = self._clock() + seconds
        while self._clock() < end and (self._candidates or self._jobs.active or self._sender.waiting):
            self.turn(min(LONGEST_SLEEP_S, max(0.0, end - self._clock())))

    def begin(self) -> None:
        """Take up what the journal left: origins first, then jobs, then what came while nobody listened."""
        self._jobs.start_worker()
        for sending in self._journal.unstored():
            self._guarded(partial(self._sender.put, sending, True))
        for job in self._journal.unfinished():
            self._take_up(job)
        if not self._journal.fresh:
            self.catch_up()

    def _take_up(self, job: Job) -> None:
        now = self._clock()
        if any(s.final for s in (self._journal.sendings.get(name) for name in job.sent) if s is not None):
            # It died between its last origin and the word that it was the last
            self._journal.done(job.key, "accepted", now)
            return
        self._candidates[job.key] = Candidate(job.origin, "journal", now, now, profile=job.profile)

    def turn(self, longest_s: float) -> None:
        """One turn: sleep until something is due or comes, at most ``longest_s``, and do it."""
        # In the order of an origin's way, so that what one part leaves to the next is seen before the sleep
        wakes = [self._guarded(self._consider_due), self._guarded(self._jobs.step), self._guarded(self._sender.step)]
        times = [when for when in wakes if when is not None] + self._looks
        delay = max(0.0, min([when - self._clock() for when in times] + [longest_s]))
        for key, _ in self._selector.select(delay):
            self._guarded(partial(self._handle, key.data))

    def _guarded(self, deed: Callable[[], Any]) -> Any:
        """The engine outlives any error of a part: it is logged, and tried again when that part's turn comes."""
        try:
            return deed()
        except Exception as error:
            LOG.exception("unexpected")
            self._audit.write(self._clock(), "error", why=f"{type(error).__name__}: {error}")
            return self._clock() + 1.0

    def _handle(self, data: Any) -> None:
        if data is None:
            os.read(self._wake_out, 4096)
            return
        if isinstance(data, LineReader):
            for line in data.read():
                self.told(line)
            if data.ended:
                self._selector.unregister(data)
            return
        running, wait = data
        self._jobs.ready(running, wait)

    # What the main process says

    def told(self, line: Dict[str, Any]) -> None:
        """One line of the main process."""
        kind = line.get("kind")
        if kind == "origin" and self._plan.on_origins:
            self.consider(str(line.get("id", "")), "origin")
        elif kind == "event" and self._plan.on_events:
            self.consider(str(line.get("origin", "")), "event {}".format(line.get("id", "")))
        elif kind == "catchup":
            self.catch_up()
            self._looks = [self._clock() + late for late in LATE_LOOKS_S]
        elif kind == "stop":
            self._stopping = True

    def consider(self, origin_id: str, source: str, forced: bool = False) -> None:
        """An origin that may have to be located; ``forced``: whatever the rules say."""
        if not origin_id or is_own_id(origin_id) or origin_id in self._candidates:
            return
        if len(self._candidates) >= MOST_CANDIDATES:
            self._audit.write(self._clock(), "refused", origin=origin_id, why="too many origins wait for the database")
            return
        now = self._clock()
        self._candidates[origin_id] = Candidate(origin_id, source, now, now, forced=forced)

    def catch_up(self) -> None:
        """Look into the database for origins that came while nobody listened."""
        if self._plan.catchup_s <= 0:
            return
        now = self._clock()
        try:
            recent = self._database.recent(now - self._plan.catchup_s, MOST_CAUGHT_UP)
        except DatabaseAwayError as error:
            LOG.warning("%s; looked again in 5 s for origins that were missed", error)
            self._looks.append(now + 5.0)
            return
        known = {job.origin for job in self._journal.jobs.values()}
        fresh = [name for name in recent if name not in known and name not in self._caught_up and not is_own_id(name)]
        self._caught_up = set(recent)
        for name in fresh:
            self.consider(name, "database")

    def _consider_due(self) -> Optional[float]:
        now = self._clock()
        if self._looks and min(self._looks) <= now:
            self._looks.remove(min(self._looks))
            self.catch_up()
        for name, candidate in list(self._candidates.items()):
            if candidate.next_at <= now:
                self._guarded(partial(self._advance, name, candidate))
        self._journal.compact_when_long()
        times = [candidate.next_at for candidate in self._candidates.values()]
        return min(times) if times else None

    def _advance(self, name: str, candidate: Candidate) -> None:
        now = self._clock()
        # An error in what follows must not come back with every turn
        candidate.next_at = now + 5.0
        if now - candidate.since > 2 * AWAY_S:
            self._candidates.pop(name)
            return
        verdict = consider(candidate, self._database, self._plan, now)
        if verdict.refused is not None:
            self._candidates.pop(name)
            if candidate.profile is not None:
                self._journal.done(name, "failed", now)
            self._audit.write(now, "refused", origin=candidate.origin_id, why=verdict.refused, source=candidate.source)
        elif verdict.loaded is not None:
            self._candidates.pop(name)
            job = self._journal.jobs.get(name) if candidate.profile is not None else None
            if job is not None:
                revisions = [self._journal.sendings[s].revision for s in job.sent if s in self._journal.sendings]
                self._jobs.resume(verdict.loaded, job.profile, job.token, max(revisions, default=0), now)
                return
            for profile in verdict.loaded.profiles:
                self._jobs.take_on(verdict.loaded, profile, now)

    # The end

    def finish(self, seconds: float) -> None:
        """Give what is on its way a little time, then let go of everything."""
        self._jobs.close()
        end = self._clock() + seconds
        while self._sender.waiting and self._clock() < end:
            when = self._guarded(self._sender.step)
            if when is not None:
                time.sleep(max(0.0, min(when, end) - self._clock()))
        self._guarded(self._sender.close)
        self._guarded(self._database.close)
        self._guarded(self._journal.close)
        self._audit.close()
        self._selector.close()
        os.close(self._wake_out)
        os.close(self._wake_in)
