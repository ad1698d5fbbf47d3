"""A run folder with answers made up so that every figure of the report is known beforehand."""

from pathlib import Path

import numpy as np
from dlloc_training.experiments.meta import Meta
from dlloc_training.experiments.predictions import Predictions
from dlloc_training.experiments.reading import ExperimentFile, read_experiment

from .smallexperiment import TEXT

NETWORKS = """
[networks.cnn2d]
network = "image_cnn"
title = "2D CNN"
outputs = [["x", "y"], ["depth", "magnitude", "time"]]
[networks.cnn3d]
network = "volume_cnn"
title = "3D CNN"
[networks.cnn3d_cut]
network = "volume_cnn"
title = "3D CNN with <cutout>"
lost = true
[networks.cnn3d_half]
network = "volume_cnn"
title = "3D CNN, half the events"
events_share = 0.5
[networks.cnn3d_coarse]
network = "volume_cnn"
title = "3D CNN, every other node"
node_stride = 2
[evaluation]
no_recorded = "no recorded events of these stations are public"
"""

PARAMETERS = ("x", "y", "depth", "time", "magnitude")
MACHINE = "a made-up machine"


def experiment(folder: Path, networks: str = NETWORKS) -> ExperimentFile:
    """The small experiment with ``networks``."""
    path = folder / "small.toml"
    path.write_text(TEXT + networks)
    return read_experiment(path)


def predictions(
    made: ExperimentFile,
    errors: np.ndarray,
    sigma: float = 1.0,
    until_s: tuple[float, ...] = (2.0, 4.0, 8.0),
    lost: int = 0,
    seed: int = 0,
) -> Predictions:
    """Answers whose published errors are ``errors`` (event, parameter); those of the windows before, so many times."""
    rng = np.random.default_rng(seed)
    events, windows = len(errors), len(until_s)
    region, frame = made.region, made.region.frame
    latitude = rng.uniform(region.south, region.north, events)
    longitude = rng.uniform(region.west, region.east, events)
    depth = rng.uniform(region.top_km, region.bottom_km, events)
    magnitude = rng.uniform(2.2, 4.5, events)
    truth = np.column_stack([*frame.to_local(latitude, longitude), depth, rng.normal(3.0, 0.5, events), magnitude])
    growth = np.arange(windows, 0, -1.0)
    return Predictions(
        np.array([f"e{k}" for k in range(events)]),
        PARAMETERS,
        truth,
        truth[:, None] + errors[:, None] * growth[:, None],
        np.full((events, windows, 5), sigma) * growth[:, None],
        np.array(until_s),
        10 ** rng.uniform(0.3, 2.0, events),
        np.full(events, lost),
        magnitude,
        latitude,
        longitude,
        depth,
        rng.uniform(0.5, 2.0, events),
    )


def write_network(folder: Path, name: str, title: str, sets: dict[str, Predictions], training_events: int) -> None:
    """Predictions, size and learning curves of a network."""
    for key, found in sets.items():
        found.save(folder / "predictions" / name / f"{key}.npz")
    meta = Meta(title, "volume_cnn", 1234, training_events, 4, 20, 75.0, MACHINE)
    meta.save(folder / "predictions" / name)
    curves = folder / "networks" / name
    curves.mkdir(parents=True)
    rows = [f"{k},{10 / (k + 1)},,\n{k},,{12 / (k + 1)},{3 / (k + 1)}\n" for k in range(5)]
    (curves / "metrics.csv").write_text("epoch,loss,loss_held_out,rmse_x\n" + "".join(rows))


def run_folder(folder: Path, made: ExperimentFile, recorded: bool = False) -> Path:
    """A run with every network of the file but the last one, errors drawn at random."""
    rng = np.random.default_rng(5)
    rows = list(made.settings["networks"].items())[:-1]
    for k, (name, row) in enumerate(rows):
        scale = np.array([1.0, 0.8, 0.6, 0.1, 0.1]) * (1.0 + 0.3 * k)

        def errors(count: int, scale: np.ndarray = scale) -> np.ndarray:
            return rng.normal(0.0, scale, (count, 5))

        sets = {"test": predictions(made, errors(60), seed=1), "held-out": predictions(made, errors(40), seed=2)}
        sets |= {f"lost-{n}": predictions(made, (1 + 0.2 * n) * errors(60), lost=n, seed=1) for n in (1, 3)}
        sets["off-node"] = predictions(made, errors(30), seed=3)
        if recorded:
            sets["recorded-test"] = predictions(made, 2.0 * errors(20), seed=4)
        write_network(folder, name, row["title"], sets, round(200 * row.get("events_share", 1.0)))
    write_training(folder, made)
    return folder


def write_training(folder: Path, made: ExperimentFile, count: int = 200) -> None:
    """Training events anywhere in the region."""
    rng, region = np.random.default_rng(9), made.region
    np.savez(
        folder / "predictions" / "training.npz",
        latitude=rng.uniform(region.south, region.north, count),
        longitude=rng.uniform(region.west, region.east, count),
        depth=rng.uniform(region.top_km, region.bottom_km, count),
        magnitude=rng.uniform(2.2, 4.5, count),
    )
