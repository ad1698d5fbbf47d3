"""Inputs, networks and a passport small enough for tests of the regression networks."""

import numpy as np
import torch
from dlloc_training.networks.outputs import PARAMETERS, Outputs
from dlloc_training.networks.registry import build
from dlloc_training.networks.regression import Regressor
from dlloc_training.networks.shapes import InputShape

FRAMES, SIDE, STATIONS, SAMPLES, RATE = 12, 16, 5, 256, 10.0
IMAGES = InputShape("snapshots", (FRAMES, SIDE, SIDE), RATE, ("snapshots", "log_scale"))
MASKED = InputShape("snapshots", (FRAMES, SIDE, SIDE), RATE, ("snapshots", "log_scale", "mask"), "window")
WAVES = InputShape("stations", (3, STATIONS, SAMPLES), RATE, ("waveforms", "log_scale", "mask"))

CASES = [
    ("image_cnn", IMAGES),
    ("image_cnn", MASKED),
    ("convnetquake", IMAGES),
    ("convnetquake", WAVES),
    ("volume_cnn", IMAGES),
    ("volume_cnn", MASKED),
    ("image_lstm", IMAGES),
    ("two_stream", MASKED),
]
IDS = [f"{name}-{shape.kind}-{shape.scale}" for name, shape in CASES]

CENTRE = np.array([3.0, -2.0, 6.0, 0.5, 3.0])
SPREAD = np.array([8.0, 6.0, 2.0, 0.4, 0.6])


def targets(count: int, seed: int = 0) -> np.ndarray:
    """x, y, depth (km), origin time (s) and magnitude of events, (event, 5)."""
    return CENTRE + SPREAD * np.random.default_rng(seed).normal(size=(count, len(PARAMETERS)))


def network(name: str, shape: InputShape, outputs: Outputs | None = None, **settings) -> Regressor:
    """A fitted network with weights of seed 0, ready to predict."""
    torch.manual_seed(0)
    made = build(name, settings, shape, outputs or Outputs())
    wanted = targets(100)[:, [PARAMETERS.index(n) for n in made.outputs.names]]
    made.fit_targets(wanted)
    return made.eval()


def example(shape: InputShape, batch: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    return shape.example(batch, torch.Generator().manual_seed(seed))
