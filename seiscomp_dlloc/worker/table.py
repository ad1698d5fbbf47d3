"""The supervisor's table of jobs: what is asked, what runs, what was answered. Pure: no sockets, no processes.

A job is named by its ``id``. Submitted again while it runs it gets one more waiter; submitted again after that it gets
the answer that was kept. A job whose engine died is handed out again; one that an engine died on twice is refused.
Jobs that an engine died on are suspects and handed out one at a time, so that a bad one takes no good ones with it.
"""

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .answers import empty_answer
from .protocol import Blobs, Header, Message

ACTIVE = ("acquiring", "locating")
"""States in which the engine works on a job, and may die on it."""

LONGEST_ID = 400
LONGEST_DEADLINE_S = 86400.0
MOST_DEATHS = 2
_MOST_RUNS = 20


@dataclass(frozen=True)
class Limits:
    """Bounds of the table. ``jobs`` run at once, ``queue`` wait behind them; ``deadline_s`` where a job has none.

    ``keep`` answers, of at most ``keep_bytes``, are kept for ``keep_s``; ``held_bytes`` bounds unfinished jobs.
    """

    jobs: int = 2
    queue: int = 64
    deadline_s: float = 60.0
    keep: int = 500
    keep_bytes: int = 32 << 20
    keep_s: float = 900.0
    held_bytes: int = 512 << 20


@dataclass
class Job:
    """A job that has not been answered. Times on the table's clock (s); ``waiters`` are the connections that asked."""

    id: str
    header: Header
    blobs: Blobs
    fingerprint: str
    submitted: float
    deadline: float
    waiters: set[int] = field(default_factory=set)
    state: str = "new"
    deaths: int = 0
    runs: int = 0

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return sum(map(len, self.blobs.values()))


@dataclass(frozen=True)
class _Kept:
    message: Message
    fingerprint: str
    time: float

    @property
    def size(self) -> int:
        return sum(map(len, self.message[1].values()))


Done = tuple[Job, Message]


class Table:
    """Jobs by their id. ``clock`` gives seconds that never go back."""

    def __init__(self, limits: Limits, clock: Callable[[], float]):
        self.limits, self._clock = limits, clock
        self._jobs: dict[str, Job] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0

    @property
    def unfinished(self) -> int:
        """How many jobs are to be answered."""
        return len(self._jobs)

    @property
    def held_bytes(self) -> int:
        """Bytes of the documents and waveforms of unfinished jobs."""
        return sum(job.size for job in self._jobs.values())

    @property
    def kept(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    def states(self) -> dict[str, int]:
        """Number of unfinished jobs in each state."""
        counts = dict.fromkeys(("new", "queued", "waiting", *ACTIVE), 0)
        for job in self._jobs.values():
            counts[job.state] = counts.get(job.state, 0) + 1
        return counts

    def submit(self, header: Header, blobs: Blobs, waiter: int) -> Message | None:
        """Take a job; its answer where there is one at once (a refusal, or one that was kept), else None."""
        now = self._clock()
        identifier = header.get("id")
        if not isinstance(identifier, str) or not 0 < len(identifier) <= LONGEST_ID:
            return _refuse("", "bad request", f"a job needs an id, a text of 1 to {LONGEST_ID} characters")
        deadline_s = header.get("deadline_s")
        if deadline_s is None:
            deadline_s = self.limits.deadline_s
        if isinstance(deadline_s, bool) or not isinstance(deadline_s, int | float) or not _sane(deadline_s):
            return _refuse(identifier, "bad request", f"deadline_s is no number from 0 to {LONGEST_DEADLINE_S:g}")
        print_ = fingerprint(header, blobs)
        self._forget(now)
        known = self._jobs.get(identifier) or self._kept.get(identifier)
        if known is not None and known.fingerprint != print_:
            return _refuse(identifier, "id in use", "another job has this id; give each job an id of its own")
        if isinstance(known, _Kept):
            return known.message
        if isinstance(known, Job):
            known.waiters.add(waiter)
            known.deadline = max(known.deadline, now + deadline_s)
            return None
        job = Job(identifier, header, blobs, print_, now, now + deadline_s, {waiter})
        most = self.limits.jobs + self.limits.queue
        if len(self._jobs) >= most:
            return _refuse(identifier, "queue full", f"{most} jobs are waiting or running; try again later")
        if self.held_bytes + job.size > self.limits.held_bytes:
            return _refuse(identifier, "queue full", "the waiting jobs hold too many waveforms; try again later")
        self._jobs[identifier] = job
        return None

    def hand_out(self) -> Iterator[tuple[Job, float]]:
        """Jobs that the engine shall have now, and the seconds that each has left."""
        # One that waits for data does no harm yet, and may take minutes
        suspect = any(job.deaths and job.state in ("queued", *ACTIVE) for job in self._jobs.values())
        for job in self._jobs.values():
            if job.state != "new" or (job.deaths and suspect):
                continue
            suspect = suspect or job.deaths > 0
            job.state = "queued"
            job.runs += 1
            yield job, job.deadline - self._clock()

    def note(self, identifier: str, state: str) -> None:
        """The engine says what it does with a job."""
        job = self._jobs.get(identifier)
        if job is not None and job.state != "new":
            job.state = state

    def finish(self, identifier: str, message: Message) -> Job | None:
        """A job is answered; None where nobody knows it (any more)."""
        job = self._jobs.pop(identifier, None)
        if job is not None and message[0].get("status") != "refused":
            self._keep(job, message)
        return job

    def expire(self) -> list[Done]:
        """Jobs past their deadline, with what to answer."""
        now = self._clock()
        done = []
        for job in [job for job in self._jobs.values() if job.deadline <= now]:
            begun = job.state in (*ACTIVE, "waiting")
            waited = now - job.submitted
            where = f"while {job.state}" if begun else "before its turn came"
            message: Message = (
                empty_answer(
                    job.id,
                    "failed" if begun else "refused",
                    "deadline",
                    f"the deadline of {job.deadline - job.submitted:.3g} s passed {where}",
                    waited,
                ),
                {},
            )
            self.finish(job.id, message)
            done.append((job, message))
        return done

    def next_deadline(self) -> float | None:
        """When the next job expires."""
        return min((job.deadline for job in self._jobs.values()), default=None)

    def engine_died(self, guilty: bool = True) -> list[Done]:
        """Take back what the engine had; the jobs that are refused now. ``guilty``: whether a job may be the cause."""
        active = [job for job in self._jobs.values() if job.state in ACTIVE]
        suspects = [job for job in active if job.deaths] or active
        for job in suspects if guilty else ():
            job.deaths += 1
        refused = []
        for job in list(self._jobs.values()):
            job.state = "new"
            if job.deaths >= MOST_DEATHS or job.runs >= _MOST_RUNS:
                times = "twice" if job.deaths >= MOST_DEATHS else f"{job.runs} times"
                detail = f"the worker died on this job {times}; its log says more"
                message = _refuse(job.id, "worker died", detail, self._clock() - job.submitted)
                del self._jobs[job.id]
                # Kept although it is a refusal: the same job would only do it again
                self._keep(job, message)
                refused.append((job, message))
        return refused

    def refuse_all(self, reason: str, detail: str, idle_only: bool) -> list[Done]:
        """Answer what is unfinished; with ``idle_only`` not what the engine is working on."""
        done = []
        for job in list(self._jobs.values()):
            if not (idle_only and job.state in ACTIVE):
                message = _refuse(job.id, reason, detail, self._clock() - job.submitted)
                self.finish(job.id, message)
                done.append((job, message))
        return done

    def _keep(self, job: Job, message: Message) -> None:
        kept = _Kept(message, job.fingerprint, self._clock())
        self._kept[job.id] = kept
        self._kept_bytes += kept.size
        self._forget(kept.time)

    def _forget(self, now: float) -> None:
        """Drop the oldest answers that are over a bound."""
        while self._kept:
            oldest = next(iter(self._kept.values()))
            over = len(self._kept) > self.limits.keep or self._kept_bytes > self.limits.keep_bytes
            if not over and now - oldest.time <= self.limits.keep_s:
                return
            self._kept.popitem(last=False)
            self._kept_bytes -= oldest.size


def fingerprint(header: Header, blobs: Blobs) -> str:
    """What a job asks, whenever and however often: everything but its deadline."""
    asked = {key: value for key, value in header.items() if key not in ("deadline_s", "blobs")}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for name in sorted(blobs):
        digest.update(f"\n{name} {len(blobs[name])}\n".encode())
        digest.update(blobs[name])
    return digest.hexdigest()


def _sane(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 < seconds <= LONGEST_DEADLINE_S


def _refuse(identifier: str, reason: str, detail: str, total_s: float | None = None) -> Message:
    return empty_answer(identifier, "refused", reason, detail, total_s), {}
