"""Training runs of the two networks: loaders, trainer, checkpoints, curves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .calibration import ImageKind
from .experiment import Experiment
from .fcn import FCN, LabelImage
from .fit import FullModule, ImageModule, SlimModule
from .sampler import ExampleSource, ExampleStream, model_input
from .slim import Density, SlimFCN, SlimSettings

CHECKPOINT = "last.ckpt"
MADE_VALIDATION = 120
LABEL_SIGMA_KM, LABEL_SIGMA_DEPTH_KM = 3.0, 1.5
"""Final width of the slim network's labels."""
FULL_SIGMA_KM, FULL_SIGMA_DEPTH_KM = 6.0, 3.0
"""Width of the full network's labels."""


def slim_network(experiment: Experiment, **sizes: Any) -> SlimFCN:
    """A slim network of the experiment's stations, window and image."""
    target = experiment.target
    return SlimFCN(
        SlimSettings(
            stations=len(target.stations),
            samples=target.settings.window_samples,
            sampling_rate_hz=target.settings.sampling_rate_hz,
            image=target.grid.shape,
            **sizes,
        )
    )


def recorded_inputs(experiment: Experiment) -> tuple[torch.Tensor, torch.Tensor]:
    """Held-out events as they are, with right anchors: inputs and hypocentres padded as in training."""
    held, target = experiment.held_out, experiment.target
    inputs: list[NDArray[np.float32]] = []
    points = []
    for k in range(len(held.events)):
        example = held.recorded(k)
        inputs.append(model_input(example, target, example.first_break_s - target.settings.pretrigger_s))
        points.append(np.vstack([example.hypocentres, np.full((1, 3), np.nan)]))
    return torch.from_numpy(np.array(inputs)), torch.tensor(np.array(points), dtype=torch.float32)


def made_inputs(source: ExampleSource, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` augmented single events from held-out traces, the same for a seed."""
    rng = np.random.default_rng([seed, 2])
    inputs: list[NDArray[np.float32]] = []
    points = []
    while len(inputs) < count:
        data, where = source.draw(rng)
        if len(where) == 1:
            inputs.append(data)
            points.append(np.vstack([where, np.full((1, 3), np.nan)]))
    return torch.from_numpy(np.array(inputs)), torch.tensor(np.array(points), dtype=torch.float32)


def train_slim(
    experiment: Experiment,
    folder: Path,
    *,
    steps: int,
    start: Path | None = None,
    learning_rate: float = 2e-3,
    sigma_km: tuple[float, float] = (6.0, LABEL_SIGMA_KM),
    sizes: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Train the slim network; returns the checkpoint. ``start``: a checkpoint whose weights are the first ones.

    ``sizes`` go to :class:`SlimSettings`, ``options`` to :func:`fit`.
    """
    network = slim_network(experiment, **(sizes or {}))
    # Convolutions along time run a quarter faster on CPUs with the channels innermost
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = SlimModule(network, experiment.target.grid, steps, learning_rate, sigma_km, LABEL_SIGMA_DEPTH_KM)
    if start is not None:
        module.load_state_dict(torch.load(start, map_location="cpu", weights_only=False)["state_dict"])
    return fit(module, experiment, folder, **options)


def train_full(experiment: Experiment, folder: Path, *, steps: int, width: int = 64, **options: Any) -> Path:
    """Train the network of Zhang et al. (2020) as they did; ``options`` go to :func:`fit`. Meant for a GPU."""
    module = FullModule(
        FCN(width), experiment.target.grid, steps, sigma_km=FULL_SIGMA_KM, sigma_depth_km=FULL_SIGMA_DEPTH_KM
    )
    return fit(module, experiment, folder, **options)


def fit(
    module: ImageModule,
    experiment: Experiment,
    folder: Path,
    *,
    batch: int = 16,
    seed: int = 0,
    workers: int = 1,
    every: int = 200,
) -> Path:
    """Train for ``module.steps`` optimizer steps; returns the checkpoint, which stands in ``folder`` and is renewed.

    A run whose folder holds a checkpoint goes on from it. The curves are in ``folder``/curves/version_*/metrics.csv,
    one for each start.
    """
    lightning.seed_everything(seed, workers=True, verbose=False)
    previous = folder / CHECKPOINT
    done = torch.load(previous, map_location="cpu", weights_only=False)["global_step"] if previous.exists() else 0
    loader = DataLoader(
        ExampleStream(experiment.training, seed, done),
        batch_size=batch,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    validation = [
        DataLoader(TensorDataset(*recorded_inputs(experiment)), batch_size=batch),
        DataLoader(TensorDataset(*made_inputs(experiment.made_validation, MADE_VALIDATION, seed)), batch_size=batch),
    ]
    keep = ModelCheckpoint(
        folder, save_last=True, save_top_k=0, every_n_train_steps=every, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_steps=module.steps,
        val_check_interval=every,
        limit_val_batches=1.0,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        log_every_n_steps=20,
        callbacks=[keep],
        # A new version for each start: a run that goes on must not delete the curves so far
        logger=CSVLogger(folder, name="curves"),
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, loader, validation, ckpt_path=previous if done else None, weights_only=False)
    trainer.save_checkpoint(previous)
    return previous


@dataclass(frozen=True)
class Kept:
    """A trained network as it is exported, in evaluation mode, and what its images are."""

    network: nn.Module
    kind: ImageKind
    architecture: str
    description: str


def load_network(checkpoint: Path) -> Kept:
    """The network of a checkpoint: densities (slim) or label images (full width)."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)
    weights = {key.removeprefix("network."): value for key, value in state["state_dict"].items()}
    if "slim_settings" in state:
        slim = SlimFCN(SlimSettings(**state["slim_settings"]))
        slim.load_state_dict(weights)
        kind = ImageKind("density", LABEL_SIGMA_KM, LABEL_SIGMA_DEPTH_KM)
        return Kept(Density(slim).eval(), kind, "dlloc_training.slim.SlimFCN", "Slim fully convolutional network")
    full = FCN(weights["layers.0.weight"].shape[0])
    full.load_state_dict(weights)
    kind = ImageKind("label", FULL_SIGMA_KM, FULL_SIGMA_DEPTH_KM)
    return Kept(LabelImage(full).eval(), kind, "dlloc_training.fcn.FCN", "Fully convolutional network")
