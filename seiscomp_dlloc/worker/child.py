"""The engine's process, as its supervisor sees it: started, listened to, killed, started again with back-off."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections import deque

from .channel import Channel
from .config import WorkerConfig

SILENCE_S = 60.0
"""An engine that says nothing for so long hangs, and is killed. It says something every second."""

_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SETTLED_S = 60.0
_LONGEST_LINE = 2000
_TAIL = 20
_MOST_UNSENT = 1 << 30

log = logging.getLogger("dlloc.worker")


class Child:
    """The engine's process, or the pause before the next one. ``restarts`` counts those that died."""

    def __init__(self, config: WorkerConfig):
        self._config = config
        self.restarts = 0
        self.channel: Channel | None = None
        self.stderr: int | None = None
        self.ready = False
        self.report: dict[str, object] = {}
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.last_death = ""
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._pause = 0
        self._partial = b""

    @property
    def pid(self) -> int | None:
        """Of the running engine."""
        return self._process.pid if self._process else None

    @property
    def state(self) -> str:
        """``ready``, ``starting`` (jobs may be sent) or ``waiting`` (for the end of the pause)."""
        if self._process is None:
            return "waiting"
        return "ready" if self.ready else "starting"

    @property
    def due(self) -> float | None:
        """When (monotonic s) to call :meth:`start`; None while the engine runs."""
        return None if self._process else self._not_before

    def start(self) -> Channel:
        """Start the engine and send it its settings. Raises OSError where no process can be made."""
        self.tail.clear()
        ours, theirs = socket.socketpair()
        with theirs:
            read, write = os.pipe()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "seiscomp_dlloc.worker.engine", str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=write,
                    stderr=write,
                    pass_fds=[theirs.fileno()],
                    # A thread per job: with an arena each, glibc keeps twice the memory
                    env={"MALLOC_ARENA_MAX": "2", **os.environ},
                    # Ctrl-C in a terminal is for the supervisor
                    start_new_session=True,
                )
            except OSError:
                os.close(read)
                ours.close()
                raise
            finally:
                os.close(write)
        os.set_blocking(read, False)
        self.channel, self.stderr, self.ready = Channel(ours, _MOST_UNSENT), read, False
        self.started = time.monotonic()
        self.channel.send({"kind": "setup", "config": self._config.to_json()})
        log.info("engine %d started", self._process.pid)
        return self.channel

    def failed_to_start(self, error: OSError) -> None:
        """No process could be made: try again later."""
        self._delay()
        self.last_death = f"the engine cannot be started ({error.strerror or error})"
        log.error("%s", self.last_death)

    def hangs(self) -> bool:
        """Whether the engine has been silent for too long."""
        return self.channel is not None and time.monotonic() - self.channel.last_read > SILENCE_S

    def read_stderr(self) -> bool:
        """Take what native libraries and tracebacks wrote, line by line, into the log; False at its end."""
        if self.stderr is None:
            return False
        try:
            data = os.read(self.stderr, 1 << 16)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            data = b""
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-_LONGEST_LINE:]
        for line in lines:
            text = line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip()
            if text:
                self.tail.append(text)
                log.warning("engine: %s", text)
        return bool(data)

    def end(self, why: str = "", wanted: bool = False) -> None:
        """Kill the engine where it still runs, take leave of it, and set the pause before the next.

        ``wanted``: it has done its work, which is nothing to warn of.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(OSError):
            process.kill()
        code = process.wait()
        self.read_stderr()
        if self.channel is not None:
            self.channel.close()
        if self.stderr is not None:
            os.close(self.stderr)
        self.channel = self.stderr = None
        self.ready, self.report = False, {}
        self.last_death = why or (f"signal {-code}" if code < 0 else f"exit status {code}")
        if self.tail:
            self.last_death += f"; it last said: {self.tail[-1]}"
        if time.monotonic() - self.started > _SETTLED_S:
            self._pause = 0
        self._delay()
        self.restarts += 1
        log.log(logging.INFO if wanted else logging.WARNING, "engine %d ended (%s)", process.pid, self.last_death)

    def _delay(self) -> None:
        self._not_before = time.monotonic() + _PAUSES_S[min(self._pause, len(_PAUSES_S) - 1)]
        self._pause += 1
