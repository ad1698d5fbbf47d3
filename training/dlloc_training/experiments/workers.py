"""Where pieces of work are computed: in this process, in processes of this machine, or on a Dask cluster.

Every place takes the same pieces and gives the same results, in whatever order they come. A piece whose worker dies
(no memory, a machine switched off) is given to another one. Processes of this machine need nothing but Python; Dask
needs the extra ``scale``.
"""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
"""In place of a scheduler's address: a Dask cluster of processes of this machine."""

_MOST_DEATHS = 3
_AHEAD = 2  # pieces under way per worker: one computed, one waiting; results never pile up
_CONNECT_S, _WORKERS_S = 30.0, 60.0


class Place(Protocol):
    """Where work is computed; ``remote``: whether in other processes than this one."""

    remote: bool

    def each(self, function: Callable[[T], R], pieces: Sequence[T]) -> Generator[R, None, None]:
        """``function`` of every piece, each as soon as it is there."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(workers: int | None, dask: str | None) -> int:
    """How many processes of this machine the options ``--workers`` and ``--dask`` ask for: by default one per core.

    Raises SettingError where both are given and the cluster is not :data:`LOCAL`.
    """
    if dask not in (None, LOCAL) and workers is not None:
        raise SettingError(f"--workers counts processes of this machine: leave it out with --dask {dask}")
    return cores() if workers is None else workers


@contextmanager
def workplace(workers: int = 1, dask: str | None = None) -> Iterator[Place]:
    """``workers`` processes of this machine (1: this process itself), or a Dask cluster.

    ``dask``: a scheduler's address (``tcp://host:8786``), or :data:`LOCAL` for a cluster of ``workers`` processes of
    this machine. Processes are spawned, so a script that asks for several must have its ``if __name__ ==
    "__main__"``. Raises SettingError where there are no workers, or Dask is not installed.
    """
    if workers < 1:
        raise SettingError(f"--workers {workers}: must be 1 or more")
    if dask is not None:
        with _dask(dask, workers) as place:
            yield place
    elif workers == 1:
        yield _Here()
    else:
        pool = _Processes(workers)
        try:
            yield pool
            pool.finish()
        finally:
            pool.end()


def _no_memory() -> SettingError:
    return SettingError("no memory left: ask for fewer --workers, or shorter records; what was made so far is kept")


class _Here:
    remote = False

    def each(self, function: Callable[[T], R], pieces: Sequence[T]) -> Generator[R, None, None]:
        for piece in pieces:
            try:
                result = function(piece)
            except MemoryError as error:
                raise _no_memory() from error
            yield result


class _Spread:
    """Pieces over the workers of an executor, a few ahead; those of a pool that broke are given out again."""

    remote = True
    _executor: Executor

    def each(self, function: Callable[[T], R], pieces: Sequence[T]) -> Generator[R, None, None]:
        waiting, running, deaths = deque(pieces), dict[Future[R], T](), 0
        while waiting or running:
            broken = False
            try:
                while waiting and len(running) < _AHEAD * self._size():
                    future = self._executor.submit(function, waiting[0])
                    running[future] = waiting.popleft()
            except BrokenExecutor:
                broken = True
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    result = self._result(future)
                except BrokenExecutor:
                    broken = True
                    continue
                except MemoryError as error:
                    raise _no_memory() from error
                del running[future]
                deaths = 0
                yield result
            if broken:
                # To the end and the other way round: a piece that kills its workers is not always first of its lot
                waiting.extend(reversed(running.values()))
                running.clear()
                self._renew()
                deaths += 1
                if deaths > _MOST_DEATHS:
                    raise SettingError(
                        f"{deaths} times a worker died before it had made anything (is there memory for each of "
                        f"{self._size()}?): ask for fewer --workers; what was made so far is kept"
                    )

    def _size(self) -> int:
        raise NotImplementedError

    def _result(self, future: "Future[R]") -> R:
        return future.result()

    def _renew(self) -> None:
        raise NotImplementedError


class _Processes(_Spread):
    def __init__(self, count: int):
        self._count = count
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")  # a fork would copy the locks of HDF5 and of the linear algebra as they stand
        reader, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(self._count, context, _begin, (reader,))

    def _size(self) -> int:
        return self._count

    def _renew(self) -> None:
        self.end()
        self._start()

    def finish(self) -> None:
        """Let the processes end when all is done."""
        self._executor.shutdown()

    def end(self) -> None:
        """End the processes, whatever they are at."""
        self._lifeline.close()
        self._executor.shutdown(cancel_futures=True)


def _begin(lifeline: Connection) -> None:
    """In a worker: end with the one that started it, at once, however it ends; leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())  # no bars here; tqdm's own semaphore would outlive a worker that is ended

    def watch() -> None:
        try:
            lifeline.recv()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _DaskCluster(_Spread):
    def __init__(self, client: Any, lost: type[Exception]):
        self._client, self._lost = client, lost
        self._executor = client.get_executor(pure=False)

    def _size(self) -> int:
        try:
            return max(sum(map(int, self._client.nthreads().values())), 1)
        except (OSError, TimeoutError) as error:
            raise self._gone() from error

    def _result(self, future: "Future[R]") -> R:
        try:
            return future.result()
        except CancelledError as error:
            raise self._gone() from error
        except self._lost as error:
            raise SettingError(
                f"Dask: several workers died one after another at the same work (no memory?): {error}"
            ) from error
        except ModuleNotFoundError as error:
            raise SettingError(f"Dask: a worker lacks a module ({error}): install dlloc_training there") from error

    def _renew(self) -> None:
        raise self._gone()

    def _gone(self) -> SettingError:
        return SettingError("Dask: the scheduler has gone; what was made so far is kept: the same command goes on")


@contextmanager
def _dask(address: str, workers: int) -> Iterator[Place]:
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        raise SettingError(
            f"--dask {address}: Dask is not installed ({error}): pip install 'dlloc_training[scale]', or leave --dask "
            "out for processes of this machine"
        ) from error
    if address == LOCAL:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield _DaskCluster(client, KilledWorker)
        return
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingError(f"--dask {address}: no scheduler answers there ({error})") from error
    with client:
        print(f"Dask: {client.dashboard_link}", file=sys.stderr)
        try:
            client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError as error:
            raise SettingError(f"--dask {address}: the scheduler has no workers; start one: dask worker") from error
        yield _DaskCluster(client, KilledWorker)
