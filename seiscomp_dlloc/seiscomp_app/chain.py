"""The evolving chain of one trigger: when to ask the worker, what to send, when to stop. Pure: time is an argument.

Two questions are open at the worker at once: one that waits until the window is complete, from the start, so that its
answer comes the moment the data do; and, from ``first_delay_s`` on and every ``interval_s``, one that takes the data
there are. A refinement that moved less than both ``stop_distance_km`` and ``stop_time_s`` is not sent and is the last
one; the answer on complete data is sent after every partial one, unless a partial question found the data complete
already: then it is the final one and the other question is taken back.
"""

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple, Union

from ..worker.protocol import RETRY_REASONS

NOW, COMPLETE = "now", "complete"
EARTH_KM_PER_DEGREE = 111.19492664455873


@dataclass(frozen=True)
class Pace:
    """How a chain evolves: seconds, km. ``give_up_s``: how long a worker that fails is asked again."""

    evolve: bool = True
    first_delay_s: float = 2.0
    interval_s: float = 5.0
    most_origins: int = 5
    stop_distance_km: float = 1.0
    stop_time_s: float = 0.3
    deadline_s: float = 120.0
    give_up_s: float = 900.0


@dataclass(frozen=True)
class Ask:
    """Put a question to the worker."""

    wait: str


@dataclass(frozen=True)
class TakeBack:
    """A question is no longer of interest."""

    wait: str


@dataclass(frozen=True)
class Send:
    """Send the solution of an answer as revision ``revision``."""

    revision: int
    final: bool
    moved_km: Optional[float] = None
    moved_s: Optional[float] = None


@dataclass(frozen=True)
class Skip:
    """An answer that is not sent, and why."""

    why: str


@dataclass(frozen=True)
class End:
    """The chain has come to its end."""

    outcome: str
    detail: str = ""


Action = Union[Ask, TakeBack, Send, Skip, End]


@dataclass
class Chain:
    """State of one job: a trigger and a profile."""

    key: str
    origin_id: str
    profile: str
    started: float
    pace: Pace
    token: str = ""
    revision: int = 0
    ended: bool = False
    next_now: Optional[float] = None
    next_complete: Optional[float] = None
    open: Dict[str, bool] = field(default_factory=dict)
    last: Optional[Tuple[float, float, float, float]] = None
    failures: int = 0

    def start(self, now: float) -> List[Action]:
        """The first questions. A chain that is taken up after a restart has its revisions set before."""
        if self.pace.evolve and self.revision < self.pace.most_origins - 1:
            self.next_now = now + self.pace.first_delay_s
        return [self._ask(COMPLETE)]

    def next_time(self) -> Optional[float]:
        """When :meth:`due` is to be called; None while only answers are waited for."""
        times = [t for t in (self.next_now, self.next_complete) if t is not None]
        return None if self.ended or not times else min(times)

    def due(self, now: float) -> List[Action]:
        """Questions whose time has come."""
        actions: List[Action] = []
        if self.ended:
            return actions
        if self.next_complete is not None and self.next_complete <= now:
            self.next_complete = None
            actions.append(self._ask(COMPLETE))
        if self.next_now is not None and self.next_now <= now:
            self.next_now = None
            if not self.open.get(NOW):
                actions.append(self._ask(NOW))
        return actions

    def _ask(self, wait: str) -> Ask:
        self.open[wait] = True
        return Ask(wait)

    def answered(self, wait: str, answer: Dict[str, Any], now: float) -> List[Action]:
        """What follows from an answer of the worker to the question ``wait``."""
        self.open[wait] = False
        if self.ended:
            return []
        status = answer.get("status")
        why = ": ".join(str(answer[k]) for k in ("reason", "detail") if answer.get(k)) or str(status)
        if status == "refused" and is_passing(answer):
            return self._again(wait, why, now)
        final = wait == COMPLETE or bool(answer.get("complete"))
        if status == "accepted":
            return self._accepted(wait, answer, final, now)
        if not final:
            self._schedule(now)
            return [Skip(f"{status} on partial data: {why}")]
        # On all its data the model does not stand by an answer (or the question was a wrong one)
        return self._end("abstained" if status == "abstained" else str(status), why)

    def _accepted(self, wait: str, answer: Dict[str, Any], final: bool, now: float) -> List[Action]:
        place = place_of(answer.get("solution"))
        if place is None:
            return self._end("failed", "the worker accepted an answer without a hypocentre")
        kilometres, seconds = (None, None) if self.last is None else moved(self.last, place)
        if final:
            self.revision += 1
            self.last = place
            return [Send(self.revision, True, kilometres, seconds), *self._end("accepted", "")]
        if self.revision >= self.pace.most_origins - 1:
            return [Skip("evolve.maxOrigins is reached; waiting for complete data")]
        if kilometres is not None and seconds is not None and self._settled(kilometres, seconds):
            return [Skip(f"moved {kilometres:.2f} km and {seconds:.2f} s only; waiting for complete data")]
        self.revision += 1
        self.last = place
        self._schedule(now)
        return [Send(self.revision, False, kilometres, seconds)]

    def _settled(self, kilometres: float, seconds: float) -> bool:
        return kilometres < self.pace.stop_distance_km and seconds < self.pace.stop_time_s

    def _schedule(self, now: float) -> None:
        if self.pace.evolve and self.revision < self.pace.most_origins - 1:
            self.next_now = now + self.pace.interval_s

    def failed(self, wait: str, why: str, now: float) -> List[Action]:
        """The worker could not be asked, or died, or did not answer."""
        self.open[wait] = False
        return [] if self.ended else self._again(wait, why, now)

    def _again(self, wait: str, why: str, now: float) -> List[Action]:
        self.failures += 1
        if wait == NOW:
            self._schedule(now)
            return [Skip(why)]
        if now - self.started > self.pace.give_up_s:
            return self._end("failed", f"{why} (given up after {self.failures} attempts)")
        self.next_complete = now + backoff(self.failures, 0.5, 30.0)
        return [Skip(f"{why}; asked again")]

    def _end(self, outcome: str, detail: str) -> List[Action]:
        self.ended = True
        self.next_now = self.next_complete = None
        taken = [TakeBack(wait) for wait, is_open in sorted(self.open.items()) if is_open]
        self.open.clear()
        return [*taken, End(outcome, detail)]


PASSING = (*RETRY_REASONS, "deadline")
"""Reasons of a refusal that may be gone a moment later."""


def is_passing(answer: Dict[str, Any]) -> bool:
    """Whether a refused question may be put again with hope."""
    return any(word in str(answer.get("reason", "")) for word in PASSING)


def backoff(failures: int, first_s: float, most_s: float) -> float:
    """Seconds to wait after the n-th failure in a row: doubled each time, to ``most_s``."""
    return float(min(most_s, first_s * 2.0 ** max(0, min(failures, 30) - 1)))


def job_key(origin_id: str, profile: str) -> str:
    """Name of a job in the journal."""
    return f"{origin_id}|{profile}"


def token_of(origin_id: str, profile: str) -> str:
    """The part of our origins' publicIDs that names the job: the same trigger and profile give the same."""
    # The bar at the end is in the names of all origins that are out there
    text = f"{origin_id}|{profile}|"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


FINAL = "final"
"""Name of the last revision."""


def origin_id_of(token: str, revision: int, final: bool, last: str = FINAL) -> str:
    """publicID of a revision of our origin. That of the ``last`` one is known before there is any."""
    return f"Origin/dlloc/{token}/{last if final else revision}"


def place_of(solution: Optional[Dict[str, Any]]) -> Optional[Tuple[float, float, float, float]]:
    """(POSIX s, latitude, longitude, depth km) of a solution as the worker gives it; None where one is missing."""
    if solution is None:
        return None
    try:
        text = str(solution["time"]).rstrip("Z")
        form = "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S"
        when = datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
        place = (when, float(solution["latitude"]), float(solution["longitude"]), float(solution["depth_km"]))
    except (KeyError, TypeError, ValueError):
        return None
    return place if all(map(math.isfinite, place)) else None


def moved(before: Tuple[float, float, float, float], after: Tuple[float, float, float, float]) -> Tuple[float, float]:
    """How far (km, in three dimensions) and how long (s) two solutions lie apart."""
    horizontal = distance_km(before[1], before[2], after[1], after[2])
    return math.hypot(horizontal, after[3] - before[3]), abs(after[0] - before[0])


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Distance on the sphere (haversine); good to 0.5 %, enough to say whether an origin moved."""
    a, b = math.radians(lat1), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half)))) * EARTH_KM_PER_DEGREE
