"""Windows in memory as batches for training: which rows, and what a network is taught from them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from .augmenting import NO_EVENT
from .bank import TARGETS, Bank


class BankDataset(Dataset[list[torch.Tensor]]):
    """Batches of a bank: an index is an array of rows. Arrays in the order of ``names``, then targets of ``columns``.

    Windows without an event get the parameters of some other event, anew each time: what is right for them is to know
    no more than the training events' mean and spread, and that is what the loss then teaches. ``rows``: those that are
    trained on, by default all; the other event is one of theirs. With ``points`` the targets are the hypocentres of
    the events in the window, (row, 2, 3), NaN where there is none; then, if there are any, those of ``columns``, which
    are left unknown without an event: the location image says that there is none.
    """

    def __init__(
        self,
        bank: Bank,
        names: Sequence[str],
        columns: Sequence[str],
        points: bool,
        seed: int,
        rows: NDArray[np.int64] | None = None,
    ):
        self.bank, self.names, self.points = bank, tuple(names), points
        self._columns = [TARGETS.index(name) for name in columns]
        rows = np.arange(len(bank)) if rows is None else rows
        self._events, self._seed = rows[bank.kind[rows] != NO_EVENT], seed

    def __getitem__(self, rows: NDArray[np.int64]) -> list[torch.Tensor]:
        """Tensors of one batch."""
        arrays = [torch.from_numpy(values) for values in self.bank.rows(rows, self.names)]
        return [*arrays, *(torch.from_numpy(each) for each in self._taught(rows))]

    def _taught(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        if self.points:
            yield np.stack([self.bank.targets[rows, :3], self.bank.second[rows]], 1)
            if self._columns:
                yield self.bank.targets[rows][:, self._columns]
            return
        targets = self.bank.targets[rows].copy()
        empty = np.flatnonzero(self.bank.kind[rows] == NO_EVENT)
        if empty.size:
            # Of the rows alone: a run that goes on after an interruption must be taught the same
            rng = np.random.default_rng([self._seed, 6, *rows.tolist()])
            targets[empty] = self.bank.targets[rng.choice(self._events, empty.size)]
        yield targets[:, self._columns]


class EventBatches(Sampler[NDArray[np.int64]]):
    """Each epoch ``per_event`` rows of each event, drawn from ``rows``, shuffled, in batches; the last, short batch is
    left out where it is not the only one. Epoch k draws the same rows for a seed, whichever epochs came before it;
    ``share`` (number, of how many) gives each of several processes its own part.
    """

    def __init__(
        self,
        bank: Bank,
        rows: NDArray[np.int64],
        per_event: int,
        batch: int,
        seed: int,
    ):
        events = np.unique(bank.event[rows])
        self._of_event = [rows[bank.event[rows] == event] for event in events]
        self._per_event, self._batch, self._seed = per_event, batch, seed
        self.epoch, self.share = 0, (0, 1)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = len(self._of_event) * self._per_event // self.share[1]
        return max(count // self._batch, 1)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng([self._seed, 7, self.epoch])
        drawn = [rng.choice(rows, self._per_event, replace=len(rows) < self._per_event) for rows in self._of_event]
        order = rng.permutation(np.concatenate(drawn))[self.share[0] :: self.share[1]]
        for number in range(len(self)):
            yield order[number * self._batch : (number + 1) * self._batch]
