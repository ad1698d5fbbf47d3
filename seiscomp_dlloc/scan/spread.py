"""Where chunks are searched: in this process, or by the workers of a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import Any, TypeVar

from ..errors import SettingError

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2
"""Pieces under way for each worker: one that is computed, one that waits."""

_CONNECT_S = 30.0


def each(
    function: Callable[[T], R], pieces: Sequence[T], workers: int = 1, scheduler: str | None = None
) -> Iterator[R]:
    """``function`` of every piece, as they are done: with one worker in this process, in order.

    ``workers`` processes of this machine, or those of the Dask ``scheduler`` at an address (``tcp://host:8786``).
    Raises SettingError where Dask is not installed, or nobody answers at the address.
    """
    if scheduler is None and workers <= 1:
        yield from map(function, pieces)
        return
    option = f"--workers {workers}" if scheduler is None else f"--scheduler {scheduler}"
    try:
        import distributed
    except ImportError as error:
        raise SettingError(
            f"{option}: Dask is not installed ({error}): pip install 'seiscomp_dlloc[scan]', or use one worker"
        ) from error
    # Its classes have no annotations
    dask: Any = distributed
    with ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            address = stack.enter_context(
                dask.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
            )
        try:
            client = stack.enter_context(dask.Client(address, timeout=_CONNECT_S, set_as_default=False))
        except (OSError, ValueError) as error:
            raise SettingError(f"{option}: no scheduler answers there ({error})") from error
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            raise SettingError(f"{option}: the scheduler has no workers; start one: dask worker") from error
        waiting = deque(pieces)
        slots = max(sum(client.nthreads().values()), 1) * _AHEAD

        def submit() -> Any:
            return client.submit(function, waiting.popleft(), pure=False)

        running = dask.as_completed([submit() for _ in range(min(slots, len(waiting)))], loop=client.loop)
        for future in running:
            try:
                result = future.result()
            except CancelledError as error:
                raise SettingError(
                    f"{option}: the scheduler has gone ({error}); what was done is kept: the same command goes on"
                ) from error
            except dask.KilledWorker as error:
                raise SettingError(
                    f"{option}: workers died at the same work ({error}); is there memory for each? Ask for fewer, or "
                    "for shorter chunks; what was done is kept"
                ) from error
            if waiting:
                running.add(submit())
            yield result
