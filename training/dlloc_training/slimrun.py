"""One training run of the slim network: loaders, trainer, checkpoints, curves."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from .experiment import Experiment
from .fit import SlimModule
from .sampler import ExampleSource, ExampleStream, model_input
from .slim import SlimFCN, SlimSettings

CHECKPOINT = "last.ckpt"
MADE_VALIDATION = 120


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
    batch: int = 16,
    seed: int = 0,
    workers: int = 1,
    every: int = 200,
    start: Path | None = None,
    **sizes: Any,
) -> Path:
    """Train for ``steps`` optimizer steps; returns the checkpoint, which stands in ``folder`` and is renewed.

    A run whose folder holds a checkpoint goes on from it. ``start``: weights to begin with, from another checkpoint.
    The curves are in ``folder``/curves/version_*/metrics.csv, one for each start.
    """
    lightning.seed_everything(seed, workers=True, verbose=False)
    # Convolutions along time run a quarter faster on CPUs with the channels innermost
    network = slim_network(experiment, **sizes)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = SlimModule(network, experiment.target.grid, steps)
    if start is not None:
        module.load_state_dict(torch.load(start, map_location="cpu", weights_only=False)["state_dict"])
    loader = DataLoader(
        ExampleStream(experiment.training, seed), batch_size=batch, num_workers=workers, persistent_workers=workers > 0
    )
    validation = [
        DataLoader(TensorDataset(*recorded_inputs(experiment)), batch_size=batch),
        DataLoader(TensorDataset(*made_inputs(experiment.made_validation, MADE_VALIDATION, seed)), batch_size=batch),
    ]
    keep = ModelCheckpoint(
        folder, save_last=True, save_top_k=0, every_n_train_steps=every, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_steps=steps,
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
    previous = folder / CHECKPOINT
    trainer.fit(module, loader, validation, ckpt_path=previous if previous.exists() else None, weights_only=False)
    trainer.save_checkpoint(previous)
    return previous


def load_slim(experiment: Experiment, checkpoint: Path) -> SlimFCN:
    """The network of a checkpoint, in evaluation mode."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)
    network = SlimFCN(SlimSettings(**state["slim_settings"]))
    module = SlimModule(network, experiment.target.grid, 1)
    module.load_state_dict(state["state_dict"])
    return network.eval()


def settings_of(network: SlimFCN) -> dict[str, Any]:
    """Sizes of a network, as a checkpoint and a passport keep them."""
    return asdict(network.settings)
