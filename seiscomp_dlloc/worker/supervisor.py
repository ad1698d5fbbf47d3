"""The worker's first process: owns the socket and the jobs, keeps an engine alive; imports nothing heavy.

One thread, one loop. Clients come and go, send noise, or never read; the engine may die or hang: none of it stops the
loop, and every job is answered by its deadline.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from .. import __version__
from ..errors import ProtocolError
from .abandoned import Abandoned
from .answers import empty_answer, unknown_kind, unknown_version
from .channel import Channel
from .child import SILENCE_S, Child
from .clients import Clients, listen_for
from .config import WorkerConfig
from .place import Place
from .protocol import RETRY_REASONS, VERSION, Header, Message
from .statistics import Statistics, resident_mib
from .table import Done, Limits, Table

STOP_S = 5.0
"""What the engine is working on when the worker is stopped may take so long."""

_TICK_S = 1.0

NOT_TAKEN = (*RETRY_REASONS, "bad request", "id in use")
"""Reasons of refusals that never became a job."""

log = logging.getLogger("dlloc.worker")


class Supervisor:
    """Serves at ``place`` until it is stopped."""

    def __init__(self, config: WorkerConfig, place: Place):
        self.config, self.place = config, place
        self.table = Table(Limits(config.jobs, config.queue, config.deadline_s), time.monotonic)
        self.child = Child(config)
        self.statistics = Statistics()
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self.clients = Clients(self._selector, place.listener, self._request)
        self._abandoned = Abandoned(config.jobs + config.queue, time.monotonic)
        self._stopping: float | None = None
        self._wake, self._waker = socket.socketpair()

    def serve(self) -> None:
        """Run until SIGTERM, SIGINT or a request to stop; the socket is gone afterwards."""
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self._selector.register(self.place.listener, selectors.EVENT_READ, ("listener", None))
        self._selector.register(self._wake, selectors.EVENT_READ, ("signal", None))
        log.info("worker %d, version %s, listens at %s", os.getpid(), __version__, self.place.path)
        try:
            while not self._done():
                self._tend()
                for key, mask in self._selector.select(self._pause()):
                    kind, item = key.data
                    self._handle(kind, item, mask)
        finally:
            self.clients.close()
            self.child.end("the worker stops", wanted=self._stopping is not None)
            self.place.leave()
            log.info("worker %d ended", os.getpid())

    def stop(self) -> None:
        """End soon: no new jobs; what waits is refused, what runs may finish for :data:`STOP_S`."""
        if self._stopping is None:
            self._stopping = time.monotonic() + STOP_S

    def _done(self) -> bool:
        if self._stopping is None:
            return False
        over = time.monotonic() > self._stopping
        self._answer_all(self.table.refuse_all("stopping", "the worker stops; submit the job again", not over))
        return not self.table.unfinished and (not self.clients.unsent or time.monotonic() > self._stopping + 1.0)

    def _pause(self) -> float:
        """Seconds until something is due."""
        times = [self.table.next_deadline(), self.child.due]
        due = min((t for t in times if t is not None), default=time.monotonic() + _TICK_S)
        return min(max(due - time.monotonic(), 0.0), _TICK_S)

    def _tend(self) -> None:
        """What is due whether or not something came."""
        due = self.child.due
        if due is not None and due <= time.monotonic() and self._stopping is None:
            self._start_engine()
        if self.child.hangs():
            self._engine_ended(f"killed: it said nothing for {SILENCE_S:g} s")
        late = self.table.expire()
        for _, (header, _) in late:
            if not self.child.ready and self.child.last_death:
                header["detail"] += f"; the engine does not run: {self.child.last_death}"
        self._answer_all(late)
        for job, _ in late:
            if job.state not in ("new", "queued"):
                self._abandoned.add(job.id)
            self._to_engine({"kind": "cancel", "id": job.id})
        if self._abandoned.too_many():
            self._engine_ended(f"killed: {len(self._abandoned)} jobs hang in it beyond their deadlines", guilty=False)
        for job, left in list(self.table.hand_out()) if self.child.channel is not None else ():
            header = {**job.header, "kind": "locate", "left_s": left, "age_s": time.monotonic() - job.submitted}
            try:
                self._to_engine(header, job.blobs)
            except ProtocolError as error:  # its header was just short enough to come, and is too long to go on
                message: Message = empty_answer(job.id, "refused", "bad request", str(error)), {}
                self.table.finish(job.id, message)
                self._answer_all([(job, message)])
        self.clients.drop_idle()
        if not self.place.ours and self._stopping is None:
            log.error("%s has been removed or replaced: the worker ends", self.place.path)
            self.stop()

    def _handle(self, kind: str, item: Any, mask: int) -> None:
        if kind == "listener":
            self.clients.accept()
        elif kind == "client":
            self.clients.handle(item, mask)
        elif kind == "engine":
            self._from_engine(item, mask)
        elif kind == "stderr" and item == self.child.stderr and not self.child.read_stderr():
            self._selector.unregister(item)
        elif kind == "signal":
            with contextlib.suppress(OSError):
                self._wake.recv(4096)

    # The engine

    def _start_engine(self) -> None:
        try:
            channel = self.child.start()
        except OSError as error:
            self.child.failed_to_start(error)
            return
        self._selector.register(channel.socket, selectors.EVENT_READ, ("engine", channel))
        if self.child.stderr is not None:
            self._selector.register(self.child.stderr, selectors.EVENT_READ, ("stderr", self.child.stderr))

    def _to_engine(self, header: Header, blobs: dict[str, bytes] | None = None) -> None:
        channel = self.child.channel
        if channel is None:
            return
        with contextlib.suppress(OSError):  # it has died: its end of the socket says so next
            channel.send(header, blobs)
            listen_for(self._selector, channel, ("engine", channel))

    def _from_engine(self, channel: Channel, mask: int) -> None:
        if channel is not self.child.channel:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                channel.flush()
                listen_for(self._selector, channel, ("engine", channel))
            for header, blobs in channel.receive() if mask & selectors.EVENT_READ else ():
                self._engine_says(header, blobs)
        except (OSError, ProtocolError) as error:
            self._engine_ended(f"its socket broke: {error}")
            return
        if channel.ended:
            self._engine_ended()

    def _engine_says(self, header: Header, blobs: dict[str, bytes]) -> None:
        kind = header["kind"]
        if kind == "answer":
            identifier = str(header.get("id"))
            self._abandoned.discard(identifier)
            job = self.table.finish(identifier, (header, blobs))
            if job is not None:
                self._answer_all([(job, (header, blobs))])
        elif kind == "state":
            self.table.note(str(header.get("id")), str(header.get("state")))
        elif kind == "log":
            log.log(int(header.get("level", logging.INFO)), "%s", str(header.get("text"))[:4000])
        elif kind in ("beat", "ready"):
            self.child.ready = self.child.ready or kind == "ready"
            self.child.report.update(header.get("report") or {})

    def _engine_ended(self, why: str = "", guilty: bool = True) -> None:
        if self.child.channel is not None:
            self._selector.unregister(self.child.channel.socket)
        stderr = self.child.stderr
        if stderr is not None and stderr in self._selector.get_map():
            self._selector.unregister(stderr)
        self.child.end(why)
        self._abandoned.clear()
        self._answer_all(self.table.engine_died(guilty))

    # The clients

    def _request(self, number: int, header: Header, blobs: dict[str, bytes]) -> None:
        kind = header["kind"]
        if header.get("version") != VERSION:
            self.clients.reply(number, unknown_version(header))
        elif kind == "locate":
            self._locate(number, header, blobs)
        elif kind == "ping":
            self.clients.reply(number, {"kind": "pong", **self._identity(), "ready": self.child.ready})
        elif kind == "status":
            self.clients.reply(number, self.status())
        elif kind == "stop":
            self.clients.reply(number, {"kind": "stopping", "pid": os.getpid()})
            log.info("told to end: %.200s", " ".join(str(header.get("why") or "no reason given").split()))
            self.stop()
        else:
            self.clients.reply(number, unknown_kind(header))

    def _locate(self, number: int, header: Header, blobs: dict[str, bytes]) -> None:
        answer = self.table.submit(header, blobs, number)
        if answer is None:
            self.clients.expects(number, header["id"])
            return
        if answer[0]["reason"] in NOT_TAKEN:
            self.statistics.count(answer[0])
            log.warning("job %.80s refused: %s", answer[0]["id"], answer[0]["detail"])
        self.clients.reply(number, *answer)

    def _answer_all(self, done: list[Done]) -> None:
        for job, (header, blobs) in done:
            self.statistics.count(header)
            level = logging.WARNING if header["status"] in ("failed", "refused") else logging.INFO
            said = header.get("detail") or header.get("reason") or ""
            seconds = (header.get("timing") or {}).get("total_s") or 0.0
            log.log(level, "job %.80s %s after %.3f s %s", job.id, header["status"], seconds, said)
            for number in sorted(job.waiters):
                self.clients.answer(number, job.id, header, blobs)

    # Health

    def _identity(self) -> Header:
        """Who answers, and what it was started with."""
        return {
            "pid": os.getpid(),
            "software": __version__,
            "settings": self.config.settings,
            "config": self.config.config_file,
            "options": self.config.options,
            "uptime_s": round(time.monotonic() - self._started, 1),
        }

    def status(self) -> Header:
        """Header of the answer to ``status``."""
        now, states, child = time.monotonic(), self.table.states(), self.child
        return {
            "kind": "status",
            **self._identity(),
            "socket": self.place.path,
            "log": str(self.config.log),
            "stopping": self._stopping is not None,
            "engine": {
                "state": child.state,
                "pid": child.pid,
                "uptime_s": round(now - child.started, 1) if child.pid else None,
                "restarts": child.restarts,
                "last_death": child.last_death or None,
            },
            "jobs": {
                "queued": states["new"] + states["queued"],
                "waiting": states["waiting"],
                "running": states["acquiring"] + states["locating"],
                "at_once": self.config.jobs,
                "queue": self.config.queue,
                "held_bytes": self.table.held_bytes,
                "answers_kept": self.table.kept,
            },
            **self.statistics.report(),
            "memory_mib": {
                "supervisor": resident_mib(os.getpid()),
                "engine": resident_mib(child.pid) if child.pid else None,
            },
            "connections": len(self.clients),
            "models": [],
            "profiles": [],
            "ring": None,
            **child.report,
        }


def serve(config: WorkerConfig, place: Place, ready: Callable[[], None] | None = None) -> None:
    """Serve with ``config`` at ``place``; ``ready`` is called once clients may connect."""
    if ready is not None:
        ready()
        place.note_pid()
    try:
        Supervisor(config, place).serve()
    except BaseException:
        # Detached there is no other place where it could be read
        log.exception("the worker fails")
        raise
