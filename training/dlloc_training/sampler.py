"""The endless stream of training examples: made or recorded, augmented, and put through the one preprocessing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from seiscomp_dlloc.preprocess import condition, cut
from seiscomp_dlloc.records import TraceBlock

from .augment import Augmentation, NoiseBank, anchor_error, damaged, noise_window, rebegun, smaller, superposed
from .made import Example
from .network import Target
from .theoretical import TheoreticalEvents
from .virtual import VirtualEvents


def model_input(example: Example, target: Target, window_start_s: float) -> NDArray[np.float32]:
    """What inference would see: (3, station, sample), from ``window_start_s`` after the example's first sample."""
    count = len(target.stations)
    block = TraceBlock(
        np.arange(count),
        np.asarray(example.data),
        example.valid,
        target.settings.sampling_rate_hz,
        0.0,
    )
    data, _, _ = cut(condition((block,), count, target.settings), window_start_s, target.settings)
    return data


@dataclass(frozen=True)
class Shares:
    """Where examples come from; the rest are recorded events as they are."""

    virtual: float = 0.5
    theoretical: float = 0.25


class ExampleSource:
    """Draws examples. ``theoretical`` may be None (then its share goes to virtual events)."""

    def __init__(
        self,
        target: Target,
        virtual: VirtualEvents,
        noise: NoiseBank,
        theoretical: TheoreticalEvents | None,
        shares: Shares,
        augmentation: Augmentation,
    ):
        self.target, self.virtual, self.noise, self.theoretical = target, virtual, noise, theoretical
        self.shares, self.augmentation = shares, augmentation
        self.samples = noise.records.shape[-1]

    def _event(self, rng: np.random.Generator) -> Example:
        u = rng.random()
        if u < self.shares.theoretical and self.theoretical is not None:
            return self.theoretical.draw(rng, self.noise.draw(rng))
        if u < self.shares.theoretical + self.shares.virtual:
            return self.virtual.draw(rng, self.samples)
        return self.virtual.recorded(int(rng.integers(len(self.virtual.events))))

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Model input (3, station, sample) and the hypocentres (event, 3) in its window."""
        a, rate = self.augmentation, self.target.settings.sampling_rate_hz
        kind = rng.random()
        if kind < a.noise_only:
            live = rng.random(len(self.target.stations)) < self.virtual.live_share
            example = noise_window(self.noise.draw(rng), live, float(rng.uniform(8.0, 12.0)))
        else:
            example = self._event(rng)
            if rng.random() < a.small:
                example = smaller(example, 10.0 ** rng.uniform(*a.small_range), self.noise.draw(rng))
            if kind < a.noise_only + a.two_events:
                other = self._event(rng)
                late = int(rng.uniform(-5.0, 30.0) * rate)
                example = superposed(example, other, late, 10.0 ** rng.uniform(-0.3, 0.3))
        example = damaged(rebegun(example, a, rate, rng), a, rate, rng)
        start = example.first_break_s - self.target.settings.pretrigger_s + anchor_error(a, rng)
        return model_input(example, self.target, start), example.hypocentres


class ExampleStream(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """``draw`` for ever as tensors: input, and up to two hypocentres padded with NaN (2, 3).

    Each worker has its own generator, of ``seed`` and of ``start``, the step at which training goes on: a run that is
    resumed must not see the same examples again.
    """

    def __init__(self, source: ExampleSource, seed: int, start: int = 0):
        self.source, self.seed, self.start = source, seed, start

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id, self.start])
        while True:
            data, points = self.source.draw(rng)
            padded = np.full((2, 3), np.nan, np.float32)
            padded[: len(points)] = points[:2]
            yield torch.from_numpy(data), torch.from_numpy(padded)
