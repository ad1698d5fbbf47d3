"""Training of the station network: where the onsets are, and where the migration of its evidence puts the event."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from seiscomp_dlloc.traveltimes import TravelTimes

from ..earth import EarthModel
from .draw import Window
from .earths import RATE_HZ
from .evidence import EVIDENCE_STRIDE, Evidence, energy_ratio
from .radial import RadialTable
from .stacking import stack

FloatArray = NDArray[np.float64]

STEP_S = EVIDENCE_STRIDE / RATE_HZ


@dataclass(frozen=True)
class Trials:
    """Trial hypocentres of an example: the true one, ``near``, ``middle`` and ``far`` ones at these scatters (km).

    Far ones lie within ``far_share`` of the network's reach. ``origin_reach_s``: trial origin times about the true one.
    ``delay_s``: standard deviation of what the travel times leave of each onset (S: 1.5 times that), drawn evenly in
    the logarithm; ``velocity_error`` of all times together.
    """

    near: int = 48
    near_km: float = 1.2
    middle: int = 40
    middle_km: float = 6.0
    far: int = 56
    far_share: float = 1.5
    origin_reach_s: float = 2.4
    delay_s: tuple[float, float] = (0.01, 0.15)
    velocity_error: float = 0.01


class Draws(Protocol):
    """Draws windows; ``earths``: those that the windows' numbers of an earth mean."""

    @property
    def earths(self) -> Sequence[EarthModel | TravelTimes]: ...  # noqa: D102

    def draw(self, rng: np.random.Generator) -> Window: ...  # noqa: D102


class Examples(IterableDataset[dict[str, torch.Tensor]]):
    """Batches of ``events`` windows for ever; each worker has a generator of ``seed`` and ``start``.

    A window is drawn by ``other`` instead of ``drawer`` with the probability ``share``.
    """

    def __init__(
        self,
        drawer: Draws,
        trials: Trials,
        events: int,
        seed: int,
        start: int = 0,
        other: Draws | None = None,
        share: float = 0.0,
    ):
        self.drawers, self.trials, self.events, self.seed, self.start = (drawer, other), trials, events, seed, start
        self.share = share
        self.tables = [
            [RadialTable(earth) for earth in one.earths] if one is not None else [] for one in (drawer, other)
        ]

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id, self.start])
        while True:
            rows = [self.example(rng) for _ in range(self.events)]
            yield {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def example(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """One window with its trial hypocentres."""
        # Without another drawer nothing is drawn for the choice: what a seed gives stays what it was
        which = int(self.drawers[1] is not None and rng.random() < self.share)
        drawer = self.drawers[which] or self.drawers[0]
        assert drawer is not None
        window = drawer.draw(rng)
        return {
            "waveforms": window.waveforms,
            "mask": window.mask,
            "onsets": (window.onsets / EVIDENCE_STRIDE).astype(np.float32),
            "arrivals": self._trials(window, self.tables[which], rng).astype(np.float32),
        }

    def _trials(self, window: Window, tables: Sequence[RadialTable], rng: np.random.Generator) -> FloatArray:
        """Arrivals (node, station, 2) in steps at the earliest trial origin time, the true node first.

        NaN without an event.
        """
        t, count = self.trials, 1 + self.trials.near + self.trials.middle + self.trials.far
        if window.earth < 0:
            return np.full((count, len(window.mask), 2), np.nan)
        reach = max(float(np.hypot(*window.places_km.T).max()), 5.0)
        flat = np.concatenate(
            [
                np.zeros((1, 2)),
                rng.normal(0.0, t.near_km, (t.near, 2)),
                rng.normal(0.0, t.middle_km, (t.middle, 2)),
                rng.uniform(-t.far_share * reach, t.far_share * reach, (t.far, 2)),
            ]
        )
        scatter = np.repeat([0.0, t.near_km, 0.5 * t.middle_km, t.middle_km], [1, t.near, t.middle, t.far])
        depth = np.abs(window.depth_km + scatter * rng.standard_normal(count))
        distance = np.hypot(*(window.places_km[None] - flat[:, None]).transpose(2, 0, 1))
        depths = np.broadcast_to(depth[:, None], distance.shape)
        times = tables[window.earth].times(window.stretch * distance, window.stretch * depths) / window.stretch
        times = times + window.delays_s
        delay = np.exp(rng.uniform(*np.log(t.delay_s)))
        wrong = delay * rng.standard_normal((len(window.mask), 2)) * np.array([1.0, 1.5])
        times = times * (1.0 + t.velocity_error * rng.standard_normal()) + wrong
        start = window.origin / RATE_HZ - t.origin_reach_s + rng.uniform(-0.5, 0.5) * STEP_S
        return np.asarray((times + start) / STEP_S)


class StationModule(lightning.LightningModule):
    """Cross-entropy of the onsets in time, and of the migration's place among trial hypocentres.

    The second is that of the true place alone, without a width: so what the stations say together is as sure as it is
    right, travel times being as wrong as :class:`Trials` says.

    ``label_s``: width of the onsets' labels. The weight of the place rises from 0 to ``place_weight`` over the first
    fifth of ``steps``, as there is nothing to stack before there are onsets.
    """

    def __init__(
        self,
        network: Evidence,
        steps: int,
        learning_rate: float = 3e-3,
        label_s: tuple[float, float] = (0.2, 0.1),
        place_weight: float = 0.25,
        trials: Trials = Trials(),
    ):
        super().__init__()
        self.network, self.steps, self.learning_rate = network, steps, learning_rate
        self.label_s, self.place_weight = label_s, place_weight
        reach = round(trials.origin_reach_s / STEP_S)
        self.origins: torch.Tensor
        self.register_buffer("origins", torch.arange(0, 2 * reach + 1, 2), persistent=False)

    def _labels(self, onsets: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """(n, 2, time + 1) from onsets (n, 2) in steps and valid times (n, 1, time): the last is none."""
        progress = min(1.0, self.global_step / self.steps)
        width = (self.label_s[0] + (self.label_s[1] - self.label_s[0]) * progress) / STEP_S
        time = torch.arange(valid.shape[-1], device=valid.device)
        there = torch.nan_to_num(onsets, nan=-1e3)
        label = torch.exp(-0.5 * ((time - there[..., None]) / width) ** 2) * valid
        mass = label.sum(-1, keepdim=True)
        found = mass > 0.5 * width
        label = torch.where(found, label / mass.clamp_min(1e-6), torch.zeros_like(label))
        return torch.cat([label, 1.0 - found.to(label.dtype)], dim=-1)

    def losses(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the onsets and of the places, each a mean."""
        events, stations = batch["waveforms"].shape[:2]
        waveforms, mask = batch["waveforms"].flatten(0, 1), batch["mask"].flatten(0, 1)
        log_probability, valid = self.network.log_probabilities(waveforms, mask)
        label = self._labels(batch["onsets"].flatten(0, 1), valid)
        live = (valid.sum((1, 2)) > 0).to(label.dtype)
        each = -(label * log_probability).sum(-1).mean(-1)
        onsets = (each * live).sum() / live.sum().clamp_min(1.0)
        evidence = self.network.of(log_probability, valid, energy_ratio(waveforms, mask))
        evidence = evidence.reshape(events, stations, *evidence.shape[1:])
        places = []
        for k in range(events):
            if torch.isfinite(batch["arrivals"][k]).any():
                score = stack(evidence[k], batch["arrivals"][k], self.origins).logsumexp(1)
                places.append(-score.log_softmax(0)[0])
        return onsets, torch.stack(places).mean() if places else onsets.new_zeros(())

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """One batch."""
        onsets, places = self.losses(batch)
        weight = self.place_weight * min(1.0, max(0.0, self.global_step / (0.2 * self.steps) - 0.25))
        self.log("onsets", onsets, prog_bar=True)
        self.log("places", places, prog_bar=True)
        return onsets + weight * places

    def validation_step(self, batch: dict[str, torch.Tensor], _: int, dataloader_idx: int = 0) -> None:
        """The same losses on held-out earths, and on recorded events that are held out."""
        onsets, places = self.losses(batch)
        of = ("held_out", "recorded")[dataloader_idx]
        self.log(f"{of}_onsets", onsets, batch_size=1, add_dataloader_idx=False)
        self.log(f"{of}_places", places, batch_size=1, add_dataloader_idx=False)

    def configure_optimizers(self) -> Any:
        """AdamW, linear warm-up over 60 steps, cosine to 1 % of the rate."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-3)

        def factor(step: int) -> float:
            share = min(1.0, step / self.steps)
            return float(min(1.0, (step + 1) / 60) * (0.5 * (1.0 + np.cos(np.pi * share)) + 0.01))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
