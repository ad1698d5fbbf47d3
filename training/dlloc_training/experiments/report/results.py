"""What a run folder holds of an experiment's networks: their answers, their size, their learning curves."""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import InputError, SettingError

from ..meta import FILE as META
from ..meta import Meta
from ..plans import NetworkPlan, plans
from ..predictions import HELD_OUT, OFF_NODE, RECORDED_HELD_OUT, RECORDED_TEST, TEST, Predictions
from ..reading import ExperimentFile
from ..robustness.outcomes import FOLDER as ROBUSTNESS
from ..robustness.outcomes import Outcomes

FloatArray = NDArray[np.float64]

THEORETICAL, RECORDED = "theoretical", "recorded"
_LOST = re.compile(r"lost-(\d+)")
_EXPECTED = (HELD_OUT, TEST)


@dataclass(frozen=True)
class TrainingEvents:
    """Hypocentres (event,) that networks were trained on: degrees, km below sea level; magnitude NaN where unknown."""

    latitude: FloatArray
    longitude: FloatArray
    depth_km: FloatArray
    magnitude: FloatArray

    @classmethod
    def load(cls, path: Path) -> "TrainingEvents":
        """Read ``latitude``, ``longitude``, ``depth`` and ``magnitude`` of an .npz; SettingError where they lack."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(*(np.asarray(file[key], float) for key in ("latitude", "longitude", "depth", "magnitude")))
        except (OSError, KeyError, ValueError) as error:
            raise SettingError(f"{path}: cannot be read as training events ({error}); evaluate again") from error


@dataclass(frozen=True)
class NetworkResults:
    """One network. ``sets``: its answers by the name of the set; ``curves``: column -> (epoch,), (value,);
    ``robustness``: what it made of events that something was wrong with, by the set that they are of.
    """

    plan: NetworkPlan
    meta: Meta
    sets: dict[str, Predictions]
    curves: dict[str, tuple[FloatArray, FloatArray]]
    robustness: dict[str, Outcomes] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.meta.title

    @property
    def label(self) -> str:
        """Title and size, for tables: training events x windows of each in an epoch x epochs."""
        meta = self.meta
        return f"{meta.title} ({meta.training_events} x {meta.windows_per_epoch} x {meta.epochs})"

    @property
    def reduced(self) -> bool:
        """Whether it was trained on a part of the events or nodes only, to show what more of them bring."""
        return self.plan.events_share < 1 or self.plan.node_stride > 1


@dataclass(frozen=True)
class Results:
    """All networks in the order of the file; training events by kind; ``missing``: what is not there, in sentences."""

    networks: tuple[NetworkResults, ...]
    training: dict[str, TrainingEvents]
    missing: tuple[str, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of all sets that any network answered, tests first."""
        return tuple(sorted({name for network in self.networks for name in network.sets}, key=_rank))

    def of(self, name: str) -> tuple[NetworkResults, ...]:
        """The networks that answered the set."""
        return tuple(network for network in self.networks if name in network.sets)


def lost_of(name: str) -> int | None:
    """Stations cut out in the set of that name: 0 for the test; None for sets that have nothing to do with it."""
    match = _LOST.fullmatch(name)
    return int(match[1]) if match else 0 if name == TEST else None


def is_recorded(name: str) -> bool:
    """Whether a set holds recorded events."""
    return name in (RECORDED_TEST, RECORDED_HELD_OUT)


def set_title(name: str) -> str:
    """What the set is, for a heading."""
    lost = lost_of(name)
    if lost:
        return f"theoretical test events, {lost} station{'s' if lost > 1 else ''} cut out"
    return {
        TEST: "theoretical test events",
        OFF_NODE: "theoretical events off the nodes",
        HELD_OUT: "theoretical held-out events",
        RECORDED_TEST: "recorded test events",
        RECORDED_HELD_OUT: "recorded held-out events",
    }[name]


def _rank(name: str) -> tuple[int, int]:
    order = (TEST, OFF_NODE, RECORDED_TEST, HELD_OUT, RECORDED_HELD_OUT)
    return (order.index(name), 0) if name in order else (len(order), lost_of(name) or 0)


def _known(name: str) -> bool:
    return is_recorded(name) or name in (HELD_OUT, OFF_NODE) or lost_of(name) is not None


def read_results(experiment: ExperimentFile, folder: Path) -> Results:
    """Everything in ``folder`` that the report needs.

    Raises InputError where no network of the experiment has answered anything, SettingError for a file that is damaged.
    """
    place = folder / "predictions"
    wanted = plans(experiment)
    networks, missing = [], []
    for plan in wanted:
        files = sorted((place / plan.name).glob("*.npz"))
        sets = {path.stem: Predictions.load(path) for path in files if _known(path.stem)}
        missing += [f"{path.name} of {plan.name} is no set of an evaluation" for path in files if not _known(path.stem)]
        sets = {name: found for name, found in sets.items() if len(found)}
        if not sets:
            missing.append(f"network {plan.name} ({plan.title}) was not evaluated")
            continue
        missing += [f"{plan.title}: no {set_title(name)}" for name in _EXPECTED if name not in sets]
        meta = Meta.load(place / plan.name / META)
        curves = read_curves(folder / "networks" / plan.name / "metrics.csv")
        disturbed = {path.stem: Outcomes.load(path) for path in (folder / ROBUSTNESS / plan.name).glob("*.npz")}
        networks.append(NetworkResults(plan, meta, sets, curves, disturbed))
    if not networks:
        raise InputError(f"{place}: holds no predictions of the networks of {experiment.path}; evaluate first")
    if place.is_dir():
        strangers = {path.name for path in place.iterdir() if path.is_dir()} - {plan.name for plan in wanted}
        missing += [
            f"{name}: has predictions, but is no network of the experiment's file" for name in sorted(strangers)
        ]
    training = {
        kind: TrainingEvents.load(place / file)
        for kind, file in ((THEORETICAL, "training.npz"), (RECORDED, "training-recorded.npz"))
        if (place / file).exists()
    }
    if not training:
        missing.append("no training events (predictions/training.npz), so no trivial baselines")
    return Results(tuple(networks), training, tuple(missing))


def read_curves(path: Path) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Learning curves, column -> (epoch,), (value,), from a table with a column ``epoch``; empty without the file.

    Cells may be empty; of several rows of an epoch the last that has a value counts. Raises SettingError for a table
    of something else.
    """
    if not path.exists():
        return {}
    found: dict[str, dict[float, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for name, text in row.items():
                    if name not in ("epoch", "step", "seconds") and text:
                        found.setdefault(name, {})[float(row["epoch"])] = float(text)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SettingError(f"{path}: is no table of learning curves with a column epoch ({error!r})") from error
    return {name: (np.array(list(values)), np.array(list(values.values()))) for name, values in found.items()}
