"""A search whose trials are networks of an experiment, trained on a part of its events."""

import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seiscomp_dlloc.passport import Passport

from ..networks.registry import entry
from ..networks.regression import Regressor
from .building import make_network
from .computing import Compute
from .materials import Materials
from .plans import NetworkPlan, plan_to_search
from .search import EPOCHS, EVENTS_SHARE, SEARCH, Best, Space, TooLargeError, run_search
from .training import held_out_of, train_network


def search_network(materials: Materials, compute: Compute) -> Best:
    """The stage ``search``: settings of the network that the section names, by its errors on held-out events.

    What the network's table sets stays where it is not in the space that is searched. Raises SettingError without the
    section, and for networks of location images.
    """
    experiment = materials.experiment
    plan = plan_to_search(experiment)
    wanted = experiment.settings["search"]
    smaller = replace(
        plan, epochs=wanted.get("epochs", EPOCHS), events_share=wanted.get("events_share", EVENTS_SHARE), start=None
    )
    place = materials.folder / SEARCH
    place.mkdir(parents=True, exist_ok=True)
    # A process for each trial: several share a search by its storage
    quiet = replace(compute, progress=False, devices=1, nodes=1, strategy="auto")
    most = wanted.get("most_weights")
    passport = materials.passport(plan)

    def train(settings: dict[str, Any], report: Callable[[int, float], None]) -> dict[str, float]:
        if most is not None:
            _check_weights(replace(smaller, settings=settings), passport, most)
        with tempfile.TemporaryDirectory(dir=place, prefix="trial-") as folder:
            return _errors(materials, replace(smaller, settings=settings), Path(folder), quiet, report)

    about = {"epochs": smaller.epochs, "events_share": smaller.events_share, "windows": materials.data.header}
    if most is not None:
        about["most_weights"] = most
    return run_search(
        Space(plan.kind, _pixels(materials, plan), _fixed(plan)),
        materials.folder,
        train,
        wanted["trials"],
        experiment.seed,
        storage=wanted.get("storage"),
        name=f"{experiment.name}-{plan.name}",
        about=about,
        progress=compute.progress,
    )


def _check_weights(plan: NetworkPlan, passport: Passport, most: int) -> None:
    """Raises TooLargeError for a network of more weights than that; takes no memory for them."""
    with torch.device("meta"):
        weights = sum(values.numel() for values in make_network(plan, passport).parameters())
    if weights > most:
        raise TooLargeError(f"{weights} weights, search.most_weights is {most}")


def _fixed(plan: NetworkPlan) -> dict[str, Any]:
    """Settings of the network's table that the search leaves alone."""
    searched = {item.name for item in fields(entry(plan.kind).settings) if item.metadata.get("search") is not None}
    return {name: value for name, value in plan.settings.items() if name not in searched}


def _pixels(materials: Materials, plan: NetworkPlan) -> tuple[int, int] | None:
    if plan.inputs != "images":
        return None
    what = materials.passport(plan).representation
    return int(what["rows"]), int(what["columns"])


def _errors(
    materials: Materials, plan: NetworkPlan, folder: Path, compute: Compute, report: Callable[[int, float], None]
) -> dict[str, float]:
    """RMSE of each parameter on held-out events, in standard deviations of the training events."""
    fitted = train_network(materials, plan, folder, compute, report=report)
    network = fitted.network
    assert isinstance(network, Regressor)
    held_out = held_out_of(materials, plan, fitted.passport)
    with torch.inference_mode():
        mean = network.predict(*held_out.arrays).mean
    ratio = ((mean - held_out.targets) / network.scale).double().numpy()
    return dict(zip(network.outputs.names, np.sqrt(np.nanmean(ratio**2, axis=0)).tolist(), strict=True))
