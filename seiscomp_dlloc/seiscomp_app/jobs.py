"""The chains that are under way: their questions at the worker, their answers, their origins into the journal."""

import logging
import selectors
import threading
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..errors import DllocError, WorkerError
from ..worker.client import Client
from .audit import Audit
from .chain import COMPLETE, Action, Ask, Chain, End, Send, Skip, TakeBack, job_key, origin_id_of, token_of
from .crowd import same_event
from .emission import UnusableAnswerError, compose
from .intake import Loaded
from .journal import Journal, Sending
from .objects import question
from .plan import Plan, ProfilePlan
from .questions import GRACE_S, NOW_DEADLINE_S, Question, Running, request_of

LOG = logging.getLogger("dlloc.jobs")


class Jobs:
    """Runs chains against the worker. ``send`` takes what stands in the journal and is to go out.

    ``selector`` gets the connections to the worker, with ``(running, wait)`` as data; give a ready one to
    :meth:`ready`. ``wake`` is called from the thread that starts the worker.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        audit: Audit,
        selector: selectors.BaseSelector,
        send: Callable[[Sending], None],
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._plan, self._journal, self._audit = plan, journal, audit
        self._selector, self._send, self._clock, self._wake = selector, send, clock, wake
        self._client = Client(plan.socket)
        self._running: Dict[str, Running] = {}
        self._waiting: List[Tuple[Running, str]] = []
        self._starting: Optional[threading.Thread] = None
        self._no_worker = ""
        self._session, self._number = uuid.uuid4().hex[:8], 0

    @property
    def active(self) -> int:
        """Chains under way."""
        return len(self._running)

    def start_worker(self) -> None:
        """Have a worker started, in a thread: it takes seconds. Nothing where the operator starts it."""
        if self._plan.launcher is None or (self._starting is not None and self._starting.is_alive()):
            return
        self._starting = threading.Thread(target=self._launch, name="worker starter", daemon=True)
        self._starting.start()

    def _launch(self) -> None:
        try:
            assert self._plan.launcher is not None
            self._plan.launcher(60.0)
            self._no_worker = ""
        except DllocError as error:
            self._no_worker = str(error)
            LOG.error("%s", error)
        except Exception:
            LOG.exception("the worker could not be started")
        finally:
            self._wake()

    # Taking on

    def take_on(self, loaded: Loaded, profile: str, now: float) -> bool:
        """Begin a job, or join it to one under way for the same earthquake; False where it was done before."""
        key = _key(loaded, profile)
        if self._journal.known(key):
            return False
        origin_id = loaded.seen.facts.public_id
        for running in self._running.values():
            if running.chain.profile == profile and same_event(running.seen, loaded.seen):
                # The next questions of that chain are about the newest origin
                running.document, running.seen = question(loaded.origin, loaded.picks), loaded.seen
                self._journal.begin(key, origin_id, profile, now)
                self._journal.done(key, "joined", now)
                self._audit.write(now, "joined", origin=origin_id, profile=profile, job=running.chain.key)
                return True
        self._journal.begin(key, origin_id, profile, now)
        self._audit.write(now, "triggered", origin=origin_id, profile=profile, phases=loaded.seen.facts.phases)
        LOG.info("locating %s with profile %s", origin_id, profile)
        token = token_of(origin_id, profile)
        self._run(Chain(key, origin_id, profile, now, self._plan.pace, token), loaded, now)
        return True

    def resume(self, loaded: Loaded, profile: str, token: str, revision: int, now: float) -> None:
        """Go on with a job that the journal knows and that has no end."""
        key = _key(loaded, profile)
        if key in self._running:
            return
        origin_id = loaded.seen.facts.public_id
        token = token or token_of(origin_id, profile)
        chain = Chain(key, origin_id, profile, now, self._plan.pace, token, revision)
        self._audit.write(now, "resumed", origin=chain.origin_id, profile=profile, revision=revision)
        self._run(chain, loaded, now)

    def _run(self, chain: Chain, loaded: Loaded, now: float) -> None:
        profile = self._profile(chain.profile)
        running = Running(
            chain, question(loaded.origin, loaded.picks), loaded.seen, dict(profile.options) if profile else {}
        )
        self._running[chain.key] = running
        self._do(running, chain.start(now))

    def _profile(self, name: str) -> Optional[ProfilePlan]:
        return next((profile for profile in self._plan.profiles if profile.name == name), None)

    # Time

    def step(self) -> Optional[float]:
        """Do what is due; when to be called again, None where only answers are waited for."""
        now = self._clock()
        for running in list(self._running.values()):
            for wait, asked in list(running.questions.items()):
                if asked.late_at <= now:
                    self._drop(running, wait)
                    self._do(running, running.chain.failed(wait, "the worker did not answer in time", now))
            self._do(running, running.chain.due(now))
        self._ask_waiting()
        times = [running.chain.next_time() for running in self._running.values()]
        times += [asked.late_at for running in self._running.values() for asked in running.questions.values()]
        known = [time for time in times if time is not None]
        return min(known) if known else None

    def _ask_waiting(self) -> None:
        """Put questions for which there was no room, those on complete data first."""
        self._waiting = [(r, w) for r, w in self._waiting if r.chain.key in self._running and r.chain.open.get(w)]
        self._waiting.sort(key=lambda pair: pair[1] != COMPLETE)
        while self._waiting and self._open() < self._plan.most_open:
            running, wait = self._waiting.pop(0)
            self._put(running, wait)

    def _open(self) -> int:
        return sum(len(running.questions) for running in self._running.values())

    # Questions and answers

    def _put(self, running: Running, wait: str) -> None:
        chain, now = running.chain, self._clock()
        self._number += 1
        deadline = self._plan.pace.deadline_s if wait == COMPLETE else min(NOW_DEADLINE_S, self._plan.pace.deadline_s)
        request = request_of(running, wait, f"{self._session}-{self._number}", deadline, self._plan)
        try:
            pending = self._client.open(request, {"event": running.document})
        except (WorkerError, OSError) as error:
            self.start_worker()
            # That there is none is no fault where it is about to be started
            why = str(error) if self._plan.launcher is None else self._no_worker or "the worker is being started"
            self._do(running, chain.failed(wait, why, now))
            return
        asked = Question(wait, pending, now + deadline + GRACE_S, pending.wants_write)
        running.questions[wait] = asked
        self._selector.register(pending, asked.events, (running, wait))

    def ready(self, running: Running, wait: str) -> None:
        """A connection to the worker has something."""
        asked = running.questions.get(wait)
        if asked is None:
            return
        descriptor, now = asked.pending.fileno(), self._clock()
        try:
            message = asked.pending.read()
        except (WorkerError, OSError) as error:
            self._forget(running, wait, descriptor)
            self.start_worker()
            self._do(running, running.chain.failed(wait, str(error), now))
            return
        if message is None:
            if asked.writes and not asked.pending.wants_write:
                asked.writes = False
                self._selector.modify(asked.pending, selectors.EVENT_READ, (running, wait))
            return
        self._forget(running, wait, descriptor)
        header, blobs = message
        if header.get("kind") != "answer":
            header = {"status": "refused", "reason": header.get("reason", "error"), "detail": header.get("detail")}
        actions = running.chain.answered(wait, header, now)
        self._do(running, actions, header, blobs)

    def _forget(self, running: Running, wait: str, descriptor: int) -> None:
        running.questions.pop(wait, None)
        try:
            # The connection closed itself: it is known to the selector by its number only
            self._selector.unregister(descriptor)
        except (KeyError, ValueError):
            LOG.debug("descriptor %d was not registered", descriptor)

    def _drop(self, running: Running, wait: str) -> None:
        asked = running.questions.get(wait)
        if asked is not None:
            self._forget(running, wait, asked.pending.fileno())
            asked.pending.close()

    # Deeds

    def _do(
        self,
        running: Running,
        actions: List[Action],
        answer: Optional[Dict[str, Any]] = None,
        blobs: Optional[Dict[str, bytes]] = None,
    ) -> None:
        chain, unusable = running.chain, False
        for action in actions:
            now = self._clock()
            if isinstance(action, Ask):
                self._waiting.append((running, action.wait))
                if self._open() < self._plan.most_open:
                    self._waiting.pop()
                    self._put(running, action.wait)
            elif isinstance(action, TakeBack):
                self._drop(running, action.wait)
            elif isinstance(action, Skip):
                self._audit.write(now, "not sent", origin=chain.origin_id, profile=chain.profile, why=action.why)
            elif isinstance(action, Send):
                if not self._emit(running, action, answer or {}, blobs or {}, now):
                    unusable = True
            elif isinstance(action, End):
                end = End("failed", "the worker's answer cannot be used") if unusable else action
                self._end(running, end, answer, now)

    def _emit(
        self, running: Running, action: Send, answer: Dict[str, Any], blobs: Dict[str, bytes], now: float
    ) -> bool:
        """Whether the answer became an origin on its way."""
        chain = running.chain
        public_id = origin_id_of(chain.token, action.revision, action.final, self._plan.last_name)
        if public_id in self._journal.sendings:
            self._audit.write(now, "not sent", origin=chain.origin_id, id=public_id, why="the journal has it already")
            return True
        try:
            document, apart = compose(chain, action, running.seen, public_id, answer, blobs, self._plan.output)
        except UnusableAnswerError as error:
            LOG.error("%s: the worker's answer cannot be used: %s", chain.origin_id, error)
            self._audit.write(now, "not sent", origin=chain.origin_id, profile=chain.profile, why=str(error))
            return False
        self._journal.sending(chain.key, chain.token, public_id, action.revision, document, now, action.final)
        self._audit.write(
            now,
            "sending",
            origin=chain.origin_id,
            profile=chain.profile,
            id=public_id,
            revision=action.revision,
            final=action.final,
            moved_km=None if action.moved_km is None else round(action.moved_km, 3),
            moved_s=None if action.moved_s is None else round(action.moved_s, 3),
            apart_km=None if apart is None else round(apart[0], 3),
            provider=answer.get("provider"),
            timing=answer.get("timing"),
            seconds=round(now - chain.started, 3),
        )
        self._send(self._journal.sendings[public_id])
        return True

    def _end(self, running: Running, action: End, answer: Optional[Dict[str, Any]], now: float) -> None:
        chain = running.chain
        self._running.pop(chain.key, None)
        self._journal.done(chain.key, action.outcome, now)
        self._audit.write(
            now,
            action.outcome,
            origin=chain.origin_id,
            profile=chain.profile,
            why=action.detail or None,
            origins=chain.revision,
            seconds=round(now - chain.started, 3),
            timing=(answer or {}).get("timing"),
        )
        LOG.info("%s: %s %s", chain.origin_id, action.outcome, action.detail)

    def close(self) -> None:
        """Take all questions back; the journal knows what is left to do."""
        for running in self._running.values():
            for wait in list(running.questions):
                self._drop(running, wait)
        self._running.clear()
        self._waiting.clear()


def _key(loaded: Loaded, profile: str) -> str:
    return job_key(loaded.seen.facts.public_id, profile)
