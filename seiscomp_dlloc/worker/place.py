"""Where a worker lives: its lock, its socket, its log, and leaving the terminal. Standard library only."""

import contextlib
import fcntl
import logging
import logging.handlers
import os
import socket
import stat
import sys
from pathlib import Path

from ..errors import SettingError, WorkerError
from .client import check_path

_LOG_BYTES = 5 << 20
_LOG_FILES = 3
_BACKLOG = 128


class AlreadyRunning(WorkerError):  # noqa: N818 (named for what is the case)
    """Another worker has the socket."""


class Place:
    """The lock and the listening socket of a worker; the folder is made where it is missing (mode 0700).

    Raises :class:`AlreadyRunning` where another worker has the lock, SettingError where the place cannot be used.
    """

    def __init__(self, path: str):
        self.path = check_path(path)
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            self._lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingError(
                f"worker.socket {self.path}: no worker can be there ({error.strerror or error})"
            ) from error
        folder = os.path.dirname(self.path)
        if any(os.stat(place).st_uid not in (0, os.getuid()) for place in (folder, os.path.dirname(folder))):
            os.close(self._lock)
            raise SettingError(f"worker.socket {self.path}: its folder belongs to another user; name another path")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise AlreadyRunning(f"{self.path}: a worker runs there already; see 'dlloc worker status'") from error
        try:
            self.listener = self._listen()
        except BaseException:
            os.close(self._lock)
            raise
        self._inode = self._seen()
        self.note_pid()

    def _listen(self) -> socket.socket:
        """Bind the socket, in place of one that a dead worker left; nobody but this user may connect."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
                raise SettingError(f"worker.socket {self.path}: is there already and no socket; name another path")
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(self.path)
        except OSError as error:
            listener.close()
            raise SettingError(f"worker.socket {self.path}: cannot be made ({error.strerror or error})") from error
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        return listener

    def note_pid(self) -> None:
        """Write this process's number into the lock file."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _seen(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @property
    def ours(self) -> bool:
        """Whether the socket's file is still the one that was made."""
        return self._inode is not None and self._seen() == self._inode

    def leave(self) -> None:
        """Remove the socket and give the lock back."""
        self.listener.close()
        if self.ours:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._lock)


def open_log(path: Path, console: bool) -> None:
    """Send the worker's log to a file that is rotated, and to stderr with ``console``. Raises SettingError."""
    log = logging.getLogger("dlloc.worker")
    log.setLevel(logging.INFO)
    log.propagate = False
    mask = os.umask(0o077)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.handlers.RotatingFileHandler(
            path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise SettingError(f"worker.logFile {path}: cannot be written ({error.strerror or error})") from error
    finally:
        os.umask(mask)
    handlers: list[logging.Handler] = [to_file, logging.StreamHandler()] if console else [to_file]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        log.addHandler(handler)
    # A full disk must not end the worker, nor fill a terminal
    logging.raiseExceptions = False


def detach() -> None:
    """Go on in a process of its own, away from the terminal; the caller's process ends here with status 0."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    os.chdir("/")
