"""The worker's client: connect, start the worker where there is none, submit a job, take its answer.

A job has a name of its own (``id``) and may be submitted again under it: the worker runs it once and keeps the answer
for a while. So where the worker dies, the job is submitted again to the next one. Standard library, Python 3.8.
"""

import errno
import os
import socket
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Union

from .. import __version__
from ..errors import ProtocolError, SettingError, WorkerTimeout, WorkerUnavailable
from .protocol import RETRY_REASONS, Blobs, Decoder, Header, Message, check_version, encode

Launcher = Callable[[float], None]
"""Makes sure that a worker listens, within so many seconds; raises WorkerUnavailable where that fails."""

LONGEST_PATH = 107
"""Bytes of a Unix socket's path (Linux: 108 with the closing zero)."""

MARGIN_S = 0.25
"""The worker is given this much less than the client waits, so that its own word on a late job arrives in time."""

_CHUNK = 1 << 16
_PAUSE_S = 0.1
_CONNECT_S = 2.0
_BUSY_S = 0.01


def check_path(path: Union[str, "os.PathLike[str]"]) -> str:
    """``path`` as text. Raises SettingError where it is too long for a Unix socket."""
    text = os.fspath(path)
    length = len(os.fsencode(text))
    if length > LONGEST_PATH:
        raise SettingError(
            f"worker.socket {text}: has {length} bytes, a Unix socket's path may have {LONGEST_PATH}; set a shorter one"
        )
    return text


class Wanted(NamedTuple):
    """The worker that a client would start now, to be compared with the one that runs.

    ``settings``: fingerprint of the client's settings; ``config``: absolute path of the file that was named for them,
    '' for the host's. A worker younger than ``least_age_s`` is taken as it is.
    """

    settings: str
    config: str = ""
    least_age_s: float = 0.0

    def denies(self, running: Mapping[str, Any]) -> bool:
        """Whether a worker that answers a ping, or says its status, so was started before an upgrade or a change of
        the settings. One with options of its own, or of another file, is the operator's: it is never denied."""
        known = running.get("settings") and not running.get("options") and running.get("config") == self.config
        if not known or float(running.get("uptime_s") or 0.0) < self.least_age_s:
            return False
        return bool(running["settings"] != self.settings or running.get("software") != __version__)


class Pending:
    """A request on its way, for a caller that waits on several at once with ``selectors``.

    Register :meth:`fileno` for reading, and for writing while :attr:`wants_write`; call :meth:`read` when it is ready.
    """

    def __init__(self, connection: socket.socket, frame: bytes) -> None:
        self._connection = connection
        self._connection.setblocking(False)
        self._unsent = memoryview(frame)
        self._decoder = Decoder()
        self._flush()

    def fileno(self) -> int:
        """The connection's descriptor; -1 once it is closed."""
        return self._connection.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether part of the request has not gone out yet."""
        return len(self._unsent) > 0

    def read(self) -> Optional[Message]:
        """The answer, or None where it is not there yet; never blocks.

        Raises WorkerUnavailable where the worker has gone (submit the job again), ProtocolError where what came is no
        answer. The connection is closed with the answer and with an error.
        """
        try:
            self._flush()
            while True:
                try:
                    data = self._connection.recv(_CHUNK)
                except (BlockingIOError, InterruptedError):
                    return None
                if not data:
                    raise WorkerUnavailable("the worker ended before it answered")
                messages = self._decoder.feed(data)
                if messages:
                    self.close()
                    return _checked(messages[0])
        except OSError as error:
            self.close()
            raise WorkerUnavailable(f"the worker ended before it answered ({error})") from error
        except (WorkerUnavailable, ProtocolError):
            self.close()
            raise

    def close(self) -> None:
        """Forget the answer. The worker runs the job on and keeps its answer for whoever asks again."""
        self._connection.close()

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except (BrokenPipeError, ConnectionResetError):
            # It may have refused before it had read everything: its answer is still there to be read
            self._unsent = memoryview(b"")


class Client:
    """Speaks with the worker at ``socket_path``. ``launcher`` starts one where none listens (see launch.py)."""

    def __init__(self, socket_path: Union[str, "os.PathLike[str]"], launcher: Optional[Launcher] = None) -> None:
        """Raises SettingError where the path is too long for a socket."""
        self.path = check_path(socket_path)
        self._launcher = launcher

    def ping(self, timeout_s: float = 2.0) -> Header:
        """Ask whether a worker listens; never starts one. Raises WorkerUnavailable, WorkerTimeout."""
        return self._ask({"kind": "ping"}, timeout_s)

    def status(self, timeout_s: float = 5.0) -> Header:
        """Health and statistics; never starts a worker. Raises WorkerUnavailable, WorkerTimeout."""
        return self._ask({"kind": "status"}, timeout_s)

    def stop(self, timeout_s: float = 5.0, why: str = "") -> Header:
        """Ask the worker to end; its log says ``why``. Raises WorkerUnavailable where there is none, WorkerTimeout."""
        return self._ask({"kind": "stop", "why": why}, timeout_s)

    def open(self, request: Mapping[str, Any], blobs: Optional[Blobs] = None) -> Pending:
        """Send a request and return at once. Raises WorkerUnavailable where nobody listens; starts no worker."""
        return Pending(self._connect(), encode(_complete(request), blobs))

    def locate(self, request: Mapping[str, Any], blobs: Blobs, deadline_s: float) -> Message:
        """Submit a job and wait for its answer, no longer than ``deadline_s``.

        ``request`` holds ``id`` and what else the job needs (docs/worker.md); ``deadline_s`` is set here. Where the
        worker is not there or dies, one is started (with a launcher) and the job is submitted again under its id.

        Raises WorkerUnavailable (no worker, none could be started), WorkerTimeout, ProtocolError.
        """
        limit = time.monotonic() + deadline_s
        while True:
            remaining = limit - time.monotonic()
            if remaining <= 0:
                raise WorkerTimeout(f"{self.path}: no answer within {deadline_s:g} s")
            asked = dict(_complete(request), kind="locate", deadline_s=max(remaining - MARGIN_S, 0.8 * remaining))
            try:
                return _wait(self._connect(), encode(asked, blobs), limit, self.path)
            except WorkerUnavailable:
                if self._launcher is None:
                    raise
                self._launcher(max(limit - time.monotonic(), 0.0))
                # A worker that dies at every job must not be started without a pause
                time.sleep(max(min(_PAUSE_S, limit - time.monotonic()), 0.0))

    def _ask(self, request: Mapping[str, Any], timeout_s: float) -> Header:
        return _wait(self._connect(), encode(request), time.monotonic() + timeout_s, self.path)[0]

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        limit = time.monotonic() + _CONNECT_S
        while True:
            try:
                connection.settimeout(_CONNECT_S)
                connection.connect(self.path)
                return connection
            except OSError as error:
                # The worker is there, and has more connections to take than the system keeps waiting
                if error.errno == errno.EAGAIN and time.monotonic() < limit:
                    time.sleep(_BUSY_S)
                    continue
                connection.close()
                raise WorkerUnavailable(_why_not(self.path, error)) from error


def _complete(request: Mapping[str, Any]) -> Dict[str, Any]:
    return {"kind": "locate", **request}


def _wait(connection: socket.socket, frame: bytes, limit: float, path: str) -> Message:
    """Send ``frame`` and return the one message that answers it."""
    decoder = Decoder()
    with connection:
        try:
            try:
                connection.settimeout(_left(limit))
                connection.sendall(frame)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have refused before it had read everything: its answer is still there to be read
            while True:
                connection.settimeout(_left(limit))
                data = connection.recv(_CHUNK)
                if not data:
                    raise WorkerUnavailable(f"{path}: the worker ended before it answered")
                messages = decoder.feed(data)
                if messages:
                    return _checked(messages[0])
        except socket.timeout as error:
            raise WorkerTimeout(f"{path}: the worker does not answer in time") from error
        except OSError as error:
            raise WorkerUnavailable(f"{path}: the worker ended before it answered ({error})") from error


def _checked(message: Message) -> Message:
    """``message``, where it answers the request. Raises what an error that came instead stands for."""
    header = message[0]
    check_version(header)
    if header["kind"] == "error":
        if header.get("reason") in RETRY_REASONS:
            raise WorkerUnavailable("the worker is busy: {}".format(header.get("detail")))
        raise ProtocolError("the worker does not understand: {}".format(header.get("detail")))
    return message


def _left(limit: float) -> float:
    left = limit - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _why_not(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path}: no worker has been started there"
    if error.errno == errno.ECONNREFUSED:
        return f"{path}: the worker that was there has died"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path}: belongs to another user; run as the user of the worker"
    return f"{path}: no worker can be reached ({error.strerror or error})"
