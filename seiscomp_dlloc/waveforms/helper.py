"""The host's helper as a process: started, spoken to in frames, killed; and a few of them, kept warm.

What the helper does stands in ``seiscomp_app/recordstream.py``; here it is a command that speaks frames.
"""

import contextlib
import logging
import os
import queue
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..errors import ProtocolError, WaveformReadError
from ..worker.protocol import Decoder, Header, Message, check_version, encode

_CHUNK = 1 << 18
_TAIL = 10
_LONGEST_LINE = 1000
_SAME_LINE_S = 60.0
_CALM_S = 60.0

log = logging.getLogger("dlloc.recordstream")


class HelperError(Exception):
    """The helper died, does not answer or talks nonsense. The text names the command and tells its last words."""


class Spawner:
    """Starts processes from one thread that lives as long as this process.

    The system takes the end of the thread that started a process for the death of its parent (PR_SET_PDEATHSIG), and
    those who need a helper are threads that come and go.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[list[str], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """A process with pipes. Raises OSError where there can be none."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="helpers", daemon=True)
                self._thread.start()
        self._asked.put((list(command), answer))
        process = answer.get()
        if isinstance(process, OSError):
            raise process
        started: subprocess.Popen[bytes] = process
        return started

    def _serve(self) -> None:
        while True:
            command, answer = self._asked.get()
            try:
                pipe = subprocess.PIPE
                # A session of its own: Ctrl-C in a terminal is for the supervisor, and all of it can be killed
                made = subprocess.Popen(
                    command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
                )
                answer.put(made)
            except OSError as error:
                answer.put(error)


SPAWNER = Spawner()


class Helper:
    """One process. Not for several threads at once, but for :meth:`kill`, which ends a :meth:`read`, too."""

    def __init__(self, command: Sequence[str]):
        """Start it; it answers once it has. Raises HelperError where the command cannot be run."""
        self.name = shlex.join(command)
        self.started = time.monotonic()
        self.asked = 0
        self.versions: Header = {}
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._decoder = Decoder()
        try:
            self._process = SPAWNER.start(command)
        except OSError as error:
            raise HelperError(f"{self.name}: cannot be run ({error.strerror or error})") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._words = threading.Thread(target=self._listen, name=f"helper {self._process.pid}", daemon=True)
        self._words.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ask(self, header: Header, limit: float) -> None:
        """Send a request by ``limit`` (monotonic s). Raises HelperError."""
        self.asked += 1
        frame = memoryview(encode(header))
        while frame:
            try:
                frame = frame[os.write(self._in, frame) :]
            except BlockingIOError:
                left = limit - time.monotonic()
                if left <= 0 or not select.select([], [self._in], [], left)[1]:
                    raise HelperError(f"{self.name}: does not take requests") from None
            except OSError:
                raise self._dead() from None

    def read(self, limit: float) -> list[Message]:
        """What it says next, waited for until ``limit`` (monotonic s); [] where that is nothing. Raises HelperError."""
        while True:
            readable = select.select([self._out], [], [], max(limit - time.monotonic(), 0.0))[0]
            if not readable:
                return []
            try:
                data = os.read(self._out, _CHUNK)
            except BlockingIOError:
                continue
            if not data:
                raise self._dead()
            try:
                messages = [message for message in self._decoder.feed(data) if not self._greets(message[0])]
            except ProtocolError as error:
                raise HelperError(f"{self.name}: talks nonsense: {error}{self.last_words()}") from error
            if messages:
                return messages

    def _greets(self, header: Header) -> bool:
        """Take note of the first frame. Raises ProtocolError where it is of another version."""
        if header["kind"] == "error":
            raise ProtocolError(str(header.get("detail", ""))[:500])
        if header["kind"] != "hello":
            return False
        check_version(header)
        self.versions = header
        return True

    def _dead(self) -> HelperError:
        """What to say of a helper whose pipe is closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        code = self._process.returncode
        self._words.join(0.5)
        how = "closed its output" if code is None else f"signal {-code}" if code < 0 else f"exit status {code}"
        return HelperError(f"{self.name}: ended ({how}){self.last_words()}")

    def last_words(self) -> str:
        """The end of what it wrote to stderr, '' where it wrote nothing."""
        return f"; it last said: {' | '.join(list(self._tail)[-3:])}" if self._tail else ""

    def _listen(self) -> None:
        """Its stderr into the log; a line that it repeats, once a minute."""
        assert self._process.stderr is not None
        last, since = "", 0.0
        with contextlib.suppress(OSError, ValueError):
            for line in iter(lambda: self._process.stderr.readline(_LONGEST_LINE), b""):  # type: ignore[union-attr]
                text = line.decode("utf-8", "replace").strip()
                if not text:
                    continue
                self._tail.append(text)
                # The host's lines begin with the time
                said = text.partition(" ")[2] if text[:2].isdigit() else text
                if said != last or time.monotonic() - since > _SAME_LINE_S:
                    last, since = said, time.monotonic()
                    log.warning("recordstream helper %d: %s", self._process.pid, text)

    def kill(self) -> None:
        """End it and all that it started; from any thread. Who reads hears that it has died."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it for good: for the one who talks to it."""
        self.kill()
        self._words.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class HelperPool:
    """At most ``most`` helpers of one command, one of them warm and idle whenever that is allowed."""

    def __init__(self, command: str | Sequence[str], most: int = 4, age_s: float = 600.0):
        """``command``: as of a shell, or its words. Helpers older than ``age_s`` give way: they know old settings."""
        if isinstance(command, str):
            # A path may have blanks in it
            command = [command] if os.path.exists(command) else shlex.split(command)
        self.command = list(command)
        if not self.command:
            raise ValueError("the command of the helper is empty")
        self._most, self._age_s = most, age_s
        self._idle: list[Helper] = []
        self._busy: set[Helper] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._taken = float("-inf")

    def warm(self) -> None:
        """See that a request finds a spare, and that no more are kept than that in a calm. Raises HelperError."""
        now = time.monotonic()
        with self._changed:
            calm = now - self._taken > _CALM_S
            # The youngest stays: an old one knows old settings
            good = [helper for helper in self._idle if helper.alive and now - helper.started < self._age_s]
            keep = good[-1:] if calm else good
            gone = [helper for helper in self._idle if helper not in keep]
            self._idle = keep
            self._spare()
        for helper in gone:
            helper.close()

    def take(self, limit: float) -> Helper:
        """A helper for oneself, by ``limit`` (monotonic s). Raises HelperError and WaveformReadError."""
        with self._changed:
            while True:
                if self._closed:
                    raise WaveformReadError("the source of waveforms has been closed")
                gone = [helper for helper in self._idle if not helper.alive]
                self._idle = [helper for helper in self._idle if helper.alive]
                for helper in gone:
                    helper.close()
                if self._idle or len(self._busy) < self._most:
                    break
                if not self._changed.wait(max(limit - time.monotonic(), 0.0)) and time.monotonic() >= limit:
                    raise WaveformReadError(f"{shlex.join(self.command)}: all {self._most} helpers are busy")
            self._taken = time.monotonic()
            helper = self._idle.pop(0) if self._idle else Helper(self.command)
            self._busy.add(helper)
            with contextlib.suppress(HelperError):
                self._spare()
            return helper

    def give(self, helper: Helper, usable: bool) -> None:
        """Give a helper back; one that is not ``usable`` is killed."""
        keep = usable and helper.alive and time.monotonic() - helper.started < self._age_s
        if not keep:
            helper.close()
        with self._changed:
            self._busy.discard(helper)
            if keep and not self._closed and len(self._idle) < 2:
                self._idle.append(helper)
                keep = False
            if not self._closed:
                with contextlib.suppress(HelperError):
                    self._spare()
            self._changed.notify()
        if keep:
            helper.close()

    def close(self) -> None:
        """End all of them."""
        with self._changed:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
            self._changed.notify_all()
        for helper in busy:
            helper.kill()
        for helper in idle:
            helper.close()

    def _spare(self) -> None:
        if not self._closed and not self._idle and len(self._busy) < self._most:
            self._idle.append(Helper(self.command))
