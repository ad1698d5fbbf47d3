"""Starts a worker where none listens, once, however many ask at the same time; renews one that is out of date.

Standard library, Python 3.8.
"""

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import time
from typing import Dict, Iterator, Mapping, Optional, Sequence

from ..errors import ProtocolError, WorkerTimeout, WorkerUnavailable
from .client import Client, Wanted, check_path
from .protocol import Header

_PING_S = 2.0
_POLL_S = 0.02

RENEWAL = "it was started with other settings or by another version; a new one takes its place"

LOG = logging.getLogger("dlloc.launch")


class WorkerLauncher:
    """Launcher for :class:`~seiscomp_dlloc.worker.client.Client`: starts ``dlloc worker run --detach``.

    ``socket_path``: where the worker shall listen. ``python``: interpreter of the worker's virtual environment, this
    one where ''. ``arguments``: further options of ``dlloc worker run``, paths absolute. ``environment``: in place of
    this process's. ``wanted``: a worker that it denies is replaced, at the first call only: programs whose settings
    differ for ever must not take turns.
    """

    def __init__(
        self,
        socket_path: str,
        python: str = "",
        arguments: Sequence[str] = (),
        environment: Optional[Mapping[str, str]] = None,
        wanted: Optional[Wanted] = None,
    ) -> None:
        self.path = check_path(os.path.abspath(socket_path))
        self._command = [
            python or sys.executable, "-m", "seiscomp_dlloc", "worker", "run", "--detach", "--socket", self.path,
            *arguments,
        ]  # fmt: skip
        self._environment = worker_environment(os.environ if environment is None else environment)
        self._wanted = wanted

    def __call__(self, timeout_s: float) -> None:
        """Make sure that a worker listens. Raises WorkerUnavailable saying why there is none within ``timeout_s``."""
        limit = time.monotonic() + timeout_s
        with _lock(self.path + ".launch", limit):
            running = self._running(limit)
            wanted, self._wanted = self._wanted, None
            if running is not None and wanted is not None and wanted.denies(running):
                LOG.info("worker %s at %s: %s", running.get("pid"), self.path, RENEWAL)
                if end_worker(self.path, limit):
                    running = None
            if running is None:
                self._start(limit)

    def _running(self, limit: float) -> Optional[Header]:
        """What the worker says to a ping; None where none listens."""
        try:
            return Client(self.path).ping(max(min(_PING_S, limit - time.monotonic()), 0.05))
        except WorkerUnavailable:
            return None
        except Exception:  # noqa: BLE001,RUF100 (it is there, and busy or of another version: not ours to replace)
            return {}

    def _start(self, limit: float) -> None:
        """Run the command, which returns when the worker listens and goes on without its parent."""
        try:
            done = subprocess.run(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Not where a folder seiscomp_dlloc may stand: Python looks there first
                cwd="/",
                env=self._environment,
                start_new_session=True,
                timeout=max(limit - time.monotonic(), 0.1),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise WorkerUnavailable(f"{self.path}: the worker did not start in time") from error
        except OSError as error:
            raise WorkerUnavailable(
                f"{self.path}: the worker cannot be started: {self._command[0]} ({error.strerror or error}); "
                "run 'dlloc doctor'"
            ) from error
        if done.returncode != 0:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()
            raise WorkerUnavailable(
                "{}: the worker cannot be started: {}".format(self.path, said[-1] if said else "it says nothing")
            )


def end_worker(path: str, limit: float) -> bool:
    """Ask the worker at ``path`` to end and wait for it; False where it does not take the word.

    ``limit`` is monotonic. Raises WorkerUnavailable where it has not ended by then.
    """
    try:
        Client(path).stop(max(min(_PING_S, limit - time.monotonic()), 0.05), RENEWAL)
    except WorkerUnavailable:
        pass
    except (WorkerTimeout, ProtocolError) as error:
        LOG.warning("%s: the worker cannot be asked to end (%s)", path, error)
        return False
    while _held(path + ".lock"):
        if time.monotonic() >= limit:
            raise WorkerUnavailable(f"{path}: the worker is told to end, and still has something to finish")
        time.sleep(_POLL_S)
    return True


def _held(path: str) -> bool:
    """Whether a process holds a worker's lock file."""
    try:
        with open(path, "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


_PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Lists of folders, of which those of the host are not the worker's: its packages, and its own libssl and the like."""


def worker_environment(environment: Mapping[str, str]) -> Dict[str, str]:
    """``environment`` without what would lead the worker's interpreter to the host's packages and libraries."""
    kept = {key: value for key, value in environment.items() if key not in ("PYTHONHOME", "PYTHONSTARTUP")}
    root = kept.get("SEISCOMP_ROOT", "")
    for name in _PATHS:
        # An empty part of either means the working directory, which is none of the worker's
        paths = [path for path in kept.pop(name, "").split(os.pathsep) if path]
        outside = [path for path in paths if not root or not _below(path, root)]
        if outside:
            kept[name] = os.pathsep.join(outside)
    return kept


def _below(path: str, root: str) -> bool:
    real, top = os.path.realpath(path), os.path.realpath(root)
    return real == top or real.startswith(top + os.sep)


@contextlib.contextmanager
def _lock(path: str, limit: float) -> Iterator[None]:
    """Hold the lock file at ``path``; of many launchers only one starts a worker."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise WorkerUnavailable(
            f"{path}: cannot be written ({error.strerror or error}), so no worker can be started there"
        ) from error
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= limit:
                    raise WorkerUnavailable(f"{path}: another process is starting the worker") from error
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)
