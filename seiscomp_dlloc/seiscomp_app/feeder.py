"""The main process's side of the engine: starts it, writes lines to it, starts it again when it dies. Never waits."""

import logging
import subprocess
import time
from typing import Any, Callable, Dict, List, Optional, Sequence

from .chain import backoff
from .lines import LineReader, LineWriter

LOG = logging.getLogger("dlloc.feeder")

SILENCE_S = 180.0
"""An engine that says nothing for so long hangs: it is killed and started again. It speaks at least every 10 s."""

STEADY_S = 60.0
"""An engine that ran so long is no failure when it ends: it is started again at once."""


class Feeder:
    """Runs ``command`` as the engine; ``hello`` is the first line of each one's life."""

    def __init__(
        self, command: Sequence[str], hello: Dict[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._command, self._hello, self._clock = list(command), hello, clock
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._writer: Optional[LineWriter] = None
        self._reader: Optional[LineReader] = None
        self._kept: List[Dict[str, Any]] = []
        self._heard = self._started = 0.0
        self._failures = 0
        self._start_at = 0.0
        self.starts = 0

    @property
    def pid(self) -> Optional[int]:
        """Process number of the engine; None while there is none."""
        return None if self._process is None else self._process.pid

    def put(self, line: Dict[str, Any]) -> None:
        """Give a line to the engine, or keep it for the next one."""
        if self._writer is None or self._writer.broken:
            self._kept = [*self._kept[-9999:], line]
        else:
            self._writer.put(line)

    def tick(self) -> None:
        """To be called every second or so: takes what the engine says, and starts one where none runs."""
        now = self._clock()
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
            return
        assert self._writer is not None
        assert self._reader is not None
        if self._reader.read():
            self._heard = now
        self._writer.flush()
        if self._process.poll() is None and now - self._heard > SILENCE_S:
            LOG.error("the engine has said nothing for %.0f s; it is started again", SILENCE_S)
            self._process.kill()
            return
        status = self._process.poll()
        if status is not None:
            self._ended(status, now)

    def _start(self, now: float) -> None:
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            self._failures += 1
            self._start_at = now + backoff(self._failures, 1.0, 60.0)
            LOG.error("the engine cannot be started: %s", error)
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._writer = LineWriter(self._process.stdin.fileno())
        self._reader = LineReader(self._process.stdout.fileno())
        self._heard = self._started = now
        self.starts += 1
        kept, self._kept = self._kept, []
        self._writer.put(self._hello)
        for line in kept:
            self._writer.put(line)

    def _ended(self, status: int, now: float) -> None:
        steady = now - self._started > STEADY_S
        self._failures = 1 if steady else self._failures + 1
        wait = 0.0 if steady else backoff(self._failures, 0.5, 60.0)
        LOG.error("the engine ended with %d; started again in %.1f s", status, wait)
        self._start_at = now + wait
        if self._writer is not None:
            self._kept = [line for line in self._writer.take_over() if line.get("kind") != "hello"] + self._kept
        self._close()
        # What it had read and not yet written down is found in the database by the next one, which searches it
        if wait == 0.0:
            self._start(now)

    def _close(self) -> None:
        process, self._process, self._writer, self._reader = self._process, None, None, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        # What the pipe's buffer held for a dead process
                        continue

    def stop(self, seconds: float) -> None:
        """End the engine: kindly, then after ``seconds`` by force."""
        process = self._process
        if process is None:
            return
        self.put({"kind": "stop"})
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        self._close()
