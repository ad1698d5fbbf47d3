"""What trains: processors, processes and machines, as Lightning knows them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only

from seiscomp_dlloc.errors import SettingError


@dataclass(frozen=True)
class Compute:
    """What Lightning trains on. ``devices`` processes of each of ``nodes`` machines.

    ``strategy`` ``auto``: several processes of one machine are spawned for the training and end with it; the rest of
    the program knows nothing of them. ``ddp``: the whole command runs in every process, as launchers of clusters
    (SLURM, torchrun) have it, and as several machines need it.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"
    progress: bool = True
    strategy: str = "auto"

    @property
    def processes(self) -> int:
        """How many train together."""
        return self.devices * self.nodes

    def trainer(self, **settings: Any) -> lightning.Trainer:
        """Lightning's trainer; ``settings`` go there. Raises SettingError where there is no such machine."""
        spawned = self.strategy == "auto" and self.devices > 1 and self.nodes == 1
        try:
            return lightning.Trainer(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                precision=self.precision,  # type: ignore[arg-type]
                strategy="ddp_spawn" if spawned else self.strategy,
                enable_progress_bar=self.progress,
                **settings,
            )
        except (MisconfigurationException, ValueError) as error:
            raise SettingError(f"computing: {' '.join(str(error).split())}") from error


def first_process() -> bool:
    """Whether this process is the only one, or the first of several that run the same command."""
    return not getattr(rank_zero_only, "rank", 0)


@contextmanager
def interruptible() -> Iterator[None]:
    """Around Lightning: an operator's interruption stays a KeyboardInterrupt, and the next one is heard as well.

    Lightning ends the program with status 1 instead, and ignores SIGINT from then on.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
