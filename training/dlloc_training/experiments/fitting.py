"""Training of one network of an experiment, by Lightning: resumable, the same for a seed."""

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from numpy.typing import NDArray

from ..fit import SlimModule
from ..networks.image_head import ImageWithParameters
from ..networks.losses import loss as loss_of
from ..networks.regression import Regressor
from .computing import Compute, interruptible
from .curves import CURVES, Curves
from .plans import NetworkPlan
from .trained import EventBatches

# Its tips and hints about loaders' workers are not about this: the windows are in memory already
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", ".*does not have many workers.*")
warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
warnings.filterwarnings("ignore", ".*exists and is not empty.*")

LAST, BEST = "last.ckpt", "best.ckpt"
_WARM_UP_STEPS = 50


@dataclass(frozen=True)
class HeldOut:
    """Unaugmented held-out events: arrays (event, ...) in the network's order, ``targets`` (event, parameter); where
    there is a location image, x, y and depth first, then what stands beside it.
    """

    arrays: list[torch.Tensor]
    targets: torch.Tensor


def _schedule(parameters: Any, plan: NetworkPlan, steps: int) -> dict[str, Any]:
    """AdamW, linear warm-up, cosine to 1 % of the rate."""
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay)

    def factor(step: int) -> float:
        share = min(1.0, step / max(steps, 1))
        return min(1.0, (step + 1) / _WARM_UP_STEPS) * (0.495 * (1.0 + math.cos(math.pi * share)) + 0.01)

    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def best_window(network: Regressor, arrays: Sequence[torch.Tensor], targets: torch.Tensor) -> int:
    """The window whose standardised estimates have the least mean squared error; arrays and targets (event, ...)."""
    with torch.no_grad():
        squares = (network.curve(*arrays)[..., 0] - network.standardise(targets, curve=True)) ** 2
    return int(squares.nanmean((0, 2)).argmin())


class VectorFitting(lightning.LightningModule):
    """A :class:`Regressor` taught on one random window of each input."""

    def __init__(self, network: Regressor, plan: NetworkPlan, held_out: HeldOut, seed: int, steps: int):
        super().__init__()
        self.network, self.plan, self.seed, self.steps = network, plan, seed, steps
        self._held_out = held_out

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """Loss of one batch."""
        *arrays, targets = batch
        rng = np.random.default_rng([self.seed, 8, self.current_epoch, index, self.global_rank])
        windows = torch.from_numpy(rng.integers(self.network.windows, size=len(targets))).to(targets.device)
        estimate = self.network.at(windows, *arrays)
        loss = loss_of(estimate, self.network.standardise_at(targets, windows), self.plan.loss)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        """Loss and RMSE of the published estimate; ``batch`` holds indices of held-out events."""
        chosen = batch[0].cpu()
        arrays = [values[chosen].to(self.device) for values in self._held_out.arrays]
        targets = self._held_out.targets[chosen].to(self.device)
        if self.plan.published == "best":
            self.network.publish(best_window(self.network, arrays, targets))
        estimate, standard = self.network(*arrays), self.network.standardise(targets)
        kept: dict[str, Any] = {"on_epoch": True, "sync_dist": True, "batch_size": len(chosen)}
        self.log("loss_held_out", loss_of(estimate, standard, self.plan.loss), **kept)
        squares = (self.network.physical(estimate).mean - targets) ** 2
        for name, column in zip(self.network.outputs.names, squares.unbind(1), strict=True):
            self.log(f"square_{name}", column.nanmean(), **kept)
        self.log("square_held_out", ((estimate[..., 0] - standard) ** 2).nanmean(), **kept)

    def configure_optimizers(self) -> Any:
        """See :func:`_schedule`."""
        return _schedule(self.network.parameters(), self.plan, self.steps)


class ImageFitting(SlimModule):
    """A slim network taught on location images; held-out events by the highest node."""

    def __init__(self, network: Any, grid: Any, plan: NetworkPlan, held_out: HeldOut, widths: Any, steps: int):
        label, label_depth = widths
        super().__init__(network, grid, steps, plan.learning_rate, (2.0 * label, label), label_depth)
        self.plan, self._held_out = plan, held_out

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Loss of one batch."""
        waveforms, points = batch
        return self._image_loss(self.network(waveforms), points)

    def _image_loss(self, image: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """At the label's width of the moment."""
        first, last = self.sigma_km
        width = first + (last - first) * min(1.0, self.global_step / self.steps)
        loss = self.cross_entropy(image, points, width)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(points))
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int, dataloader_idx: int = 0) -> None:
        """Loss and RMSE of the highest node; ``batch`` holds indices of held-out events."""
        arrays, targets, kept = self._held_out_batch(batch)
        self._measure_image(self.network(*arrays), targets, kept)

    def _held_out_batch(self, batch: list[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor, dict[str, Any]]:
        """Arrays and targets of held-out events, and how their figures are logged."""
        chosen = batch[0].cpu()
        arrays = [values[chosen].to(self.device) for values in self._held_out.arrays]
        kept = {"on_epoch": True, "sync_dist": True, "batch_size": len(chosen)}
        return arrays, self._held_out.targets[chosen].to(self.device), kept

    def _measure_image(self, image: torch.Tensor, targets: torch.Tensor, kept: dict[str, Any]) -> None:
        targets = targets[:, :3]
        points = torch.stack([targets, torch.full_like(targets, torch.nan)], 1)
        self.log("loss_held_out", self.cross_entropy(image, points, self.sigma_km[1]), **kept)
        image = image.exp()
        nx = image.shape[3]
        place, level = image.sum(1).flatten(1).argmax(1), image.flatten(2).sum(2).argmax(1)
        found = torch.stack([self.axes.x_km[place % nx], self.axes.y_km[place // nx], self.axes.z_km[level]], 1)
        squares = (found - targets) ** 2
        for name, column in zip(("x", "y", "depth"), squares.unbind(1), strict=True):
            self.log(f"square_{name}", column.mean(), **kept)
        self.log("square_held_out", squares[:, :2].sum(1).mean(), **kept)

    def configure_optimizers(self) -> Any:
        """See :func:`_schedule`."""
        return _schedule(self.parameters(), self.plan, self.steps)


class ImageAndVectorFitting(ImageFitting):
    """A slim network taught as :class:`ImageFitting` does, and beside it a head on its features, detached from them.

    A batch holds the arrays, the points of the image, and the head's targets, NaN where they are unknown or there is
    no event. Losses and ``square_held_out`` are those of the image: it is what decides which epoch is best.
    """

    network: ImageWithParameters

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """The sum of both losses, of weights that they do not share."""
        *arrays, points, targets = batch
        image, estimate = self.network(*arrays)
        beside = loss_of(estimate, self.network.standardise(targets), self.plan.loss)
        return self._image_loss(image, points) + beside

    def validation_step(self, batch: list[torch.Tensor], _: int, dataloader_idx: int = 0) -> None:
        """As for the image, and RMSE of the head's parameters."""
        arrays, targets, kept = self._held_out_batch(batch)
        image, estimate = self.network(*arrays)
        self._measure_image(image, targets, kept)
        squares = (self.network.physical(estimate).mean - targets[:, 3:]) ** 2
        for name, column in zip(self.network.outputs.names, squares.unbind(1), strict=True):
            self.log(f"square_{name}", column.nanmean(), **kept)


class _Epochs(Callback):
    """Everything drawn in an epoch depends on the seed and its number alone, however often the run was stopped."""

    def __init__(self, batches: EventBatches, seed: int):
        self.batches, self.seed = batches, seed

    def setup(self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str) -> None:
        """Give each of several processes its part."""
        self.batches.share = (trainer.global_rank, trainer.world_size)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed dropout: anew for every batch, as a run that goes on has drawn other numbers between the epochs."""
        place = [self.seed, 13, trainer.current_epoch, batch_idx, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))


def fit_network(
    module: lightning.LightningModule,
    data: torch.utils.data.Dataset[list[torch.Tensor]],
    batches: EventBatches,
    held_out: int,
    folder: Path,
    plan: NetworkPlan,
    seed: int,
    compute: Compute,
    report: Any = None,
) -> Path:
    """Train for the plan's epochs; returns the checkpoint of the epoch that did best on held-out events.

    A folder that holds a checkpoint is gone on with. ``report``: called with (epoch, RMSE of held-out events in
    standardised units) after each epoch. Raises KeyboardInterrupt where the operator stops it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    previous = folder / LAST
    loader: Any = torch.utils.data.DataLoader(data, sampler=batches, batch_size=None)
    indices: NDArray[np.int64] = np.arange(held_out)
    parts: Any = [[torch.from_numpy(part)] for part in np.array_split(indices, max(1, -(-held_out // plan.batch)))]
    validation: Any = torch.utils.data.DataLoader(parts, batch_size=None)
    # The last epoch apart from the best: Lightning's save_last keeps it only where it is the best as well
    keep = [
        ModelCheckpoint(
            folder,
            filename=Path(name).stem,
            monitor=monitor,
            save_top_k=1,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        for name, monitor in ((BEST, "square_held_out"), (LAST, None))
    ]
    trainer = compute.trainer(
        max_epochs=plan.epochs,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        # Weight by weight: by their common norm, branches that share none would act on each other
        gradient_clip_val=1.0,
        gradient_clip_algorithm="value",
        callbacks=[_Epochs(batches, seed), Curves(folder / CURVES, report), *keep],
        logger=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    start = previous if previous.exists() else None
    with interruptible():
        trainer.fit(module, loader, validation, ckpt_path=start, weights_only=False)
    return folder / BEST
