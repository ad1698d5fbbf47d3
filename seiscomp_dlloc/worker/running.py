"""A job in the engine, and the slots that jobs take turns in."""

import threading
import time
from collections import deque
from collections.abc import Callable

from .protocol import Blobs, Header


class Cancelled(Exception):  # noqa: N818 (leaves a job early, is no error)
    """The job has been answered without us, or its deadline is over."""


class Running:
    """A job and its clock. ``limit`` (monotonic s) is when it must be answered; ``report`` tells its state."""

    def __init__(self, header: Header, blobs: Blobs, report: Callable[[str, str], None]):
        self.id = str(header["id"])
        self.header, self.blobs = header, blobs
        self.began = time.monotonic()
        self.age_s = float(header.get("age_s", 0.0))
        self.limit = self.began + float(header["left_s"])
        self.times: dict[str, float] = {}
        self._report, self._state = report, ""
        self._cancelled = threading.Event()
        self._held: list[Slots] = []
        self._lock = threading.Lock()

    @property
    def total_s(self) -> float:
        """Seconds since the job was submitted."""
        return self.age_s + time.monotonic() - self.began

    @property
    def left_s(self) -> float:
        """Seconds to the deadline."""
        return self.limit - time.monotonic()

    def state(self, name: str) -> None:
        """Say what is being done: queued, acquiring, waiting (for data), locating."""
        if name != self._state:
            self._state = name
            self._report(self.id, name)

    def check(self) -> None:
        """Raise :class:`Cancelled` where nobody waits for an answer from here any more."""
        if self._cancelled.is_set() or self.left_s <= 0:
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the job. Raises :class:`Cancelled` then."""
        self._cancelled.wait(max(min(seconds, self.left_s), 0.0))
        self.check()

    def cancel(self) -> None:
        """Nobody waits for the job any more: free its slots, even where it is stuck in one."""
        self._cancelled.set()
        with self._lock:
            held, self._held = self._held, []
        for slots in held:
            slots.give()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled.is_set()

    def enter(self, slots: "Slots") -> None:
        """Take a slot. Raises :class:`Cancelled` where none comes free in time."""
        if not slots.take(self):
            raise Cancelled
        with self._lock:
            if not self._cancelled.is_set():
                self._held.append(slots)
                return
        slots.give()
        raise Cancelled

    def leave(self, slots: "Slots") -> None:
        """Give the slot back, where the job still has it."""
        with self._lock:
            if slots not in self._held:
                return
            self._held.remove(slots)
        slots.give()


class Slots:
    """So many jobs at once; first come, first served."""

    def __init__(self, number: int):
        self._free = number
        self._queue: deque[Running] = deque()
        self._changed = threading.Condition()

    def take(self, job: Running) -> bool:
        """Wait for a slot; False where the job ends before."""
        with self._changed:
            self._queue.append(job)
            try:
                while self._free <= 0 or self._queue[0] is not job:
                    if job.cancelled or job.left_s <= 0:
                        return False
                    self._changed.wait(min(job.left_s, 0.5))
                self._free -= 1
                return True
            finally:
                self._queue.remove(job)
                self._changed.notify_all()

    def give(self) -> None:
        """A slot is free again."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()
