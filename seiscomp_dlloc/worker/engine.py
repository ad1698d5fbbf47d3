"""The worker's second process: warm models, jobs in threads. Started by the supervisor, and dies with it.

    python -m seiscomp_dlloc.worker.engine DESCRIPTOR PID

DESCRIPTOR is a connected socket to the supervisor, PID the supervisor's process. What is slow to import is imported
behind the first beat, so that the supervisor hears of the engine at once.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError
from .answers import empty_answer
from .config import WorkerConfig
from .protocol import Blobs, Decoder, Header, encode
from .running import Running

if TYPE_CHECKING:
    from .work import Workshop

_BEAT_S = 1.0
_WARM_AGAIN_S = 30.0
_CHUNK = 1 << 18
_PR_SET_PDEATHSIG = 1

log = logging.getLogger("dlloc.engine")


class Outbox:
    """Sends messages to the supervisor, from any thread. Without supervisor there is nothing left to live for."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, header: Header, blobs: Blobs | None = None) -> None:
        """Send a message whole. Raises ProtocolError where it cannot be sent."""
        frame = encode(header, blobs)
        with self._lock:
            try:
                self._connection.sendall(frame)
            except OSError:
                os._exit(0)


class _LogHandler(logging.Handler):
    """The supervisor writes the log."""

    def __init__(self, outbox: Outbox):
        super().__init__()
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)[:8000]
        with contextlib.suppress(ProtocolError):
            self._outbox.send({"kind": "log", "level": record.levelno, "text": f"engine: {text}"})


class Engine:
    """Takes jobs from the supervisor and answers them, each in a thread."""

    def __init__(self, config: WorkerConfig, outbox: Outbox):
        self._config, self._outbox = config, outbox
        self._jobs: dict[str, Running] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._workshop: Workshop | None = None

    def prepare(self) -> None:
        """Import what is heavy, load the models, and say so; then keep up with what changes."""
        from .stock import Stock
        from .work import Workshop

        stock = Stock(self._config)
        self._workshop = Workshop(self._config, stock)
        stock.warm()
        self._ready.set()
        self._outbox.send({"kind": "ready", "report": stock.report()})
        pause = threading.Event()
        while True:
            pause.wait(_WARM_AGAIN_S)
            try:
                stock.warm()
            except Exception:
                # Jobs that need it fail and say so; the others go on
                log.exception("keeping profiles warm")

    def close(self) -> None:
        """End what was started."""
        if self._workshop is not None:
            self._workshop.stock.close()

    def beat(self) -> None:
        """Say every second that the engine lives, and what it holds."""
        pause = threading.Event()
        while True:
            report: dict[str, Any] = {"threads": threading.active_count()}
            if self._ready.is_set() and self._workshop is not None:
                report.update(self._workshop.stock.report())
            self._outbox.send({"kind": "beat", "report": report})
            pause.wait(_BEAT_S)

    def take(self, header: Header, blobs: Blobs) -> None:
        """A message of the supervisor."""
        if header["kind"] == "cancel":
            with self._lock:
                job = self._jobs.get(str(header["id"]))
            if job is not None:
                job.cancel()
        elif header["kind"] == "locate":
            job = Running(header, blobs, self._say_state)
            with self._lock:
                self._jobs[job.id] = job
            threading.Thread(target=self._work, args=(job,), name=f"job {job.id[:40]}", daemon=True).start()

    def _say_state(self, identifier: str, state: str) -> None:
        self._outbox.send({"kind": "state", "id": identifier, "state": state})

    def _work(self, job: Running) -> None:
        try:
            self._ready.wait(max(job.left_s, 0.0))
            message = self._workshop.answer(job) if self._ready.is_set() and self._workshop is not None else None
        finally:
            with self._lock:
                if self._jobs.get(job.id) is job:
                    del self._jobs[job.id]
        if message is None:
            # Late, or cancelled; the supervisor has answered already, and now knows that the thread is free
            message = empty_answer(job.id, "failed", "deadline", "its deadline passed"), {}
        try:
            self._outbox.send(*message)
        except ProtocolError as error:
            self._outbox.send(empty_answer(job.id, "failed", "internal error", str(error)))


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent dies, however that happens (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main(arguments: list[str]) -> None:
    """Serve the supervisor until it goes."""
    connection = socket.socket(fileno=int(arguments[0]))
    die_with(int(arguments[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the libraries warn of our own records report per station
    warnings.simplefilter("ignore")
    outbox = Outbox(connection)
    root = logging.getLogger("dlloc")
    root.setLevel(logging.INFO)
    root.propagate = False
    root.addHandler(_LogHandler(outbox))
    decoder = Decoder(max_header=1 << 22)
    engine: Engine | None = None
    while True:
        data = connection.recv(_CHUNK)
        if not data:
            if engine is not None:
                engine.close()
            os._exit(0)
        for header, blobs in decoder.feed(data):
            if header["kind"] == "setup":
                engine = Engine(WorkerConfig.from_json(header["config"]), outbox)
                threading.Thread(target=engine.beat, name="beat", daemon=True).start()
                threading.Thread(target=_or_die, args=(engine.prepare,), name="prepare", daemon=True).start()
            elif engine is not None:
                engine.take(header, blobs)


def _or_die(task: Any) -> None:
    """Run ``task``; an engine that cannot be prepared ends, and is started again after a pause."""
    try:
        task()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
