"""Training runs of the station network: held-out earths, checkpoints, curves."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically

from ..experiments.computing import interruptible
from .bank import SAMPLES, Bank
from .draw import Drawer
from .evidence import Evidence
from .fitting import Draws, Examples, StationModule, Trials

CHECKPOINT = "last.ckpt"
TOLD = "trained.json"
"""What a finished run tells of itself."""

HELD_OUT = 8
"""One earth in so many is held out: no event in it is trained on."""

VALIDATION_BATCHES = 20


@dataclass(frozen=True)
class Training:
    """How long and how: optimizer steps, windows of an event each in a step, stations of a window, learning rate."""

    steps: int = 4000
    events: int = 3
    stations: int = 16
    learning_rate: float = 3e-3
    every: int = 250
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "events", "stations", "every"):
            if getattr(self, name) < 1:
                raise SettingError(f"training: {name} is {getattr(self, name)}, it must be 1 or more")


def split(bank: Bank) -> tuple[Bank, Bank]:
    """The bank without every eighth earth, and those alone. Raises SettingError where there are too few earths."""
    held = np.arange(len(bank.earths)) % HELD_OUT == HELD_OUT - 1
    if not held.any():
        raise SettingError(f"the bank has {len(bank.earths)} earths; make {HELD_OUT} or more, one in eight is held out")
    rows = held[bank.earth]
    return _part(bank, ~rows), _part(bank, rows)


def _part(bank: Bank, rows: NDArray[np.bool_]) -> Bank:
    names = ("data", "peak", "p_s", "s_s", "places_km", "depth_km", "earth")
    return replace(bank, **{name: getattr(bank, name)[rows] for name in names})


@dataclass(frozen=True)
class Beside:
    """Recorded events to train on beside the bank's: those of ``training`` with probability ``share`` each time.

    ``held_out`` are looked at as the held-out earths are. ``source``: what they are, in words.
    """

    training: Draws
    held_out: Draws
    share: float
    source: str

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise SettingError(f"training: the share of recorded windows is {self.share}, it must be between 0 and 1")


def train(
    bank: Bank, folder: Path, training: Training, start: Path | None = None, beside: Beside | None = None
) -> Path:
    """Train; returns the checkpoint, which stands in ``folder`` and is renewed. Goes on from one that is there.

    ``start``: a checkpoint whose weights are the first ones. Raises SettingError for a checkpoint that is none, and
    KeyboardInterrupt where the operator stops it.
    """
    lightning.seed_everything(training.seed, workers=True, verbose=False)
    previous = folder / CHECKPOINT
    done = int(_read(previous)["global_step"]) if previous.exists() else 0
    trials, (ours, held) = Trials(), split(bank)

    def drawer(part: Bank) -> Drawer:
        return Drawer(part, SAMPLES, training.stations)

    def fixed(draws: Draws) -> DataLoader[dict[str, torch.Tensor]]:
        # The same windows each time, made once
        windows = iter(Examples(draws, trials, training.events, training.seed + 1))
        made: Any = [next(windows) for _ in range(VALIDATION_BATCHES)]
        return DataLoader(made, batch_size=None)

    recorded = (None, 0.0) if beside is None else (beside.training, beside.share)
    examples = Examples(drawer(ours), trials, training.events, training.seed, done, *recorded)
    module = StationModule(Evidence(), training.steps, training.learning_rate, trials=trials)
    if start is not None and not done:
        module.network.load_state_dict(trained(start).state_dict())
    loader: DataLoader[dict[str, torch.Tensor]] = DataLoader(
        examples,
        batch_size=None,
        num_workers=training.workers,
        persistent_workers=training.workers > 0,
    )
    keep = ModelCheckpoint(
        folder, save_last=True, save_top_k=0, every_n_train_steps=training.every, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_steps=training.steps,
        val_check_interval=training.every,
        num_sanity_val_steps=0,
        gradient_clip_val=3.0,
        log_every_n_steps=20,
        callbacks=[keep],
        logger=CSVLogger(folder, name="curves"),
        enable_model_summary=False,
        default_root_dir=folder,
    )
    held_out = [fixed(draws) for draws in (drawer(held), beside.held_out if beside else None) if draws is not None]
    with interruptible():
        trainer.fit(module, loader, held_out, ckpt_path=previous if done else None, weights_only=False)
    trainer.save_checkpoint(previous)
    told = {"recorded": None if beside is None else beside.source, "steps": training.steps}
    write_atomically(folder / TOLD, (json.dumps(told) + "\n").encode())
    return previous


def recorded_in(folder: Path) -> str | None:
    """The recorded events that a run was trained on, in words; None for theoretical ones alone.

    Raises SettingError where a finished run does not tell.
    """
    try:
        told = json.loads((folder / TOLD).read_text("utf-8"))["recorded"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingError(f"{folder / TOLD}: does not tell what was trained on ({error}); finish the run") from error
    return None if told is None else str(told)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The network's weights in a checkpoint. Raises SettingError where it is none."""
    state = _read(checkpoint)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=False)
        return {name: read[name] for name in ("global_step", "state_dict")}
    except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, UnpicklingError) as error:
        raise SettingError(f"{checkpoint}: cannot be read as a checkpoint of this training ({error})") from error


def trained(checkpoint: Path) -> Evidence:
    """The network of a checkpoint, in evaluation mode. Raises SettingError where it is none, or of another network."""
    network = Evidence()
    try:
        network.load_state_dict(weights(checkpoint))
    except RuntimeError as error:
        raise SettingError(f"{checkpoint}: holds the weights of another network ({str(error)[:200]})") from error
    return network.eval()
