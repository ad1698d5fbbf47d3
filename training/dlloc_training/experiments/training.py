"""The stage ``train``: the networks of an experiment, one after the other, each in a folder of its own."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically
from seiscomp_dlloc.passport import Passport

from ..networks.registry import build, build_image
from ..networks.regression import Regressor
from ..networks.shapes import InputShape
from ..slim import SlimFCN
from .bank import TARGETS, Bank
from .drawing import TRAIN
from .fitting import BEST, Compute, HeldOut, ImageFitting, VectorFitting, fit_network
from .machine import machine
from .materials import MAIN, RECORDED, THEORETICAL, Materials
from .plans import NetworkPlan
from .predictions import HELD_OUT, RECORDED_HELD_OUT
from .trained import BankDataset, EventBatches

WEIGHTS, DONE = "network.pt", "done.json"


@dataclass(frozen=True)
class Fitted:
    """A trained network with its draft passport."""

    plan: NetworkPlan
    passport: Passport
    network: Regressor | SlimFCN
    meta: dict[str, Any]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it takes."""
        return InputShape.of(self.passport).inputs


def make_network(plan: NetworkPlan, passport: Passport) -> Regressor | SlimFCN:
    """The network with fresh weights. Raises SettingError naming it."""
    try:
        if not plan.image_head:
            return build(plan.kind, plan.settings, InputShape.of(passport, "window"), plan.outputs)
        network = build_image(plan.kind, plan.settings, InputShape.of(passport), passport.grid.shape)
        if not isinstance(network, SlimFCN):
            raise SettingError("fcn is trained by `dlloc-train recorded train --network full`; take slim here")
        return network
    except SettingError as error:
        raise SettingError(f"networks.{plan.name}: {error}") from error


def chosen_rows(materials: Materials, plan: NetworkPlan) -> tuple[Bank, NDArray[np.int64]]:
    """The windows that a network is trained on: the bank, and which of its rows."""
    if plan.data == "both":
        bank, rows = _joined(materials, plan)
    else:
        bank = materials.bank(plan.inputs, plan.data)
        rows = np.arange(len(bank))
    keep = np.ones(len(rows), bool) if plan.lost else bank.lost[rows] == 0
    if plan.data == THEORETICAL:
        keep &= _kept_events(materials, plan)[bank.event[rows]]
    rows = rows[keep]
    if not len(rows):
        raise SettingError(f"networks.{plan.name}: no window is left to train on; raise training.windows")
    return bank, rows


def _joined(materials: Materials, plan: NetworkPlan) -> tuple[Bank, NDArray[np.int64]]:
    first, second = (materials.bank(plan.inputs, source) for source in (THEORETICAL, RECORDED))
    arrays = {name: np.concatenate([first.arrays[name], second.arrays[name]]) for name in first.arrays}
    rest = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("peak", "targets", "second", "kind", "lost", "snr")
    }
    event = np.concatenate([first.event, second.event + first.event.max() + 1])
    bank = Bank(arrays, event=event, **rest)
    return bank, np.arange(len(bank))


def _kept_events(materials: Materials, plan: NetworkPlan) -> NDArray[np.bool_]:
    """(training event,): those of the plan's share and of its nodes."""
    train = materials.events.of(TRAIN)
    keep = np.ones(len(train), bool)
    if plan.node_stride > 1:
        grid = materials.experiment.settings["events"].get("grid")
        if grid is None:
            raise SettingError(f"networks.{plan.name}.node_stride: the experiment's events lie on no grid")
        places = np.stack([materials.events.latitude, materials.events.longitude, materials.events.depth_km], axis=-1)[
            train
        ]
        for column in places.T:
            values = np.unique(np.round(column, 6))
            keep &= np.searchsorted(values, np.round(column, 6) - 1e-9) % plan.node_stride == 0
    if plan.events_share < 1.0:
        order = np.random.default_rng([materials.experiment.seed, 11]).permutation(np.flatnonzero(keep))
        keep = np.zeros(len(train), bool)
        keep[order[: max(1, round(plan.events_share * len(order)))]] = True
    return keep


def held_out_of(materials: Materials, plan: NetworkPlan, passport: Passport) -> HeldOut:
    """Held-out events that a network is selected and calibrated on."""
    name = HELD_OUT if plan.data == THEORETICAL else RECORDED_HELD_OUT
    exact = materials.exact(plan.inputs, name)
    columns = list(range(3)) if plan.image_head else [TARGETS.index(each) for each in plan.outputs.names]
    arrays = [torch.from_numpy(exact.arrays[each]) for each in InputShape.of(passport).inputs]
    return HeldOut(arrays, torch.tensor(exact.targets[:, columns], dtype=torch.float32))


def train_network(
    materials: Materials,
    plan: NetworkPlan,
    folder: Path,
    compute: Compute,
    start: "Fitted | None" = None,
    report: Callable[[int, float], None] | None = None,
) -> Fitted:
    """Train one network in ``folder``, or take it from there where it is done."""
    seed, passport = materials.experiment.seed, materials.passport(plan)
    if (folder / DONE).exists():
        found = load_fitted(materials, plan, folder)
        if found is not None:
            return found
    bank, rows = chosen_rows(materials, plan)
    held_out = held_out_of(materials, plan, passport)
    lightning_seed = seed * 1009 + sum(plan.name.encode())
    torch.manual_seed(lightning_seed)
    network = make_network(plan, passport)
    # Convolutions run up to a half faster on CPUs with the channels innermost
    solid = any(weight.dim() == 5 for weight in network.parameters())
    network.to(memory_format=torch.channels_last_3d if solid else torch.channels_last)  # type: ignore[call-overload]
    batches = EventBatches(bank, rows, plan.windows_per_epoch, plan.batch, seed)
    steps = plan.epochs * len(batches)
    names = InputShape.of(passport).inputs
    if start is not None:
        network.load_state_dict(start.network.state_dict())
    if isinstance(network, Regressor):
        if start is None:
            network.fit_targets(_targets(bank, rows, plan), all_windows=True)
        data = BankDataset(bank, names, plan.outputs.names, False, seed)
        module: Any = VectorFitting(network, plan, held_out, seed, steps)
    else:
        head = passport.head
        widths = float(head["label_sigma_km"]), float(head["label_sigma_depth_km"])
        data = BankDataset(bank, names, (), True, seed)
        module = ImageFitting(network, passport.grid, plan, held_out, widths, steps)
    began = time.monotonic()
    best = fit_network(module, data, batches, len(held_out.targets), folder, plan, seed, compute, report)
    seconds = time.monotonic() - began
    state = torch.load(best, map_location="cpu", weights_only=False)["state_dict"]
    module.load_state_dict(state)
    network = module.network.eval()
    meta = {
        "title": plan.title,
        "network": plan.kind,
        "parameters": sum(p.numel() for p in network.parameters()),
        "training_events": len(np.unique(bank.event[rows])),
        "windows_per_event": int(len(rows) // max(len(np.unique(bank.event[rows])), 1)),
        "windows_per_epoch": plan.windows_per_epoch,
        "epochs": plan.epochs,
        "batch": plan.batch,
        "learning_rate": plan.learning_rate,
        "data": plan.data,
        "lost": plan.lost,
        "events_share": plan.events_share,
        "node_stride": plan.node_stride,
        "seconds": round(seconds, 1),
        "machine": machine(),
    }
    fitted = Fitted(plan, passport, network, meta)
    _save(fitted, folder)
    return fitted


def _targets(bank: Bank, rows: NDArray[np.int64], plan: NetworkPlan) -> NDArray[np.float64]:
    columns = [TARGETS.index(name) for name in plan.outputs.names]
    return np.asarray(bank.targets[rows][:, columns], np.float64)


def _signature(plan: NetworkPlan, passport: Passport) -> dict[str, Any]:
    """What a trained network depends on, apart from the seismograms."""
    document = {key: value for key, value in passport.raw.items() if key not in ("provenance", "calibration")}
    return {"plan": plan.resolved(), "passport": document}


def _save(fitted: Fitted, folder: Path) -> None:
    temporary = folder / (WEIGHTS + ".part")
    torch.save(fitted.network.state_dict(), temporary)
    temporary.replace(folder / WEIGHTS)
    document = {"meta": fitted.meta, **_signature(fitted.plan, fitted.passport)}
    write_atomically(folder / DONE, (json.dumps(document, indent=1) + "\n").encode())


def load_fitted(materials: Materials, plan: NetworkPlan, folder: Path) -> Fitted | None:
    """The trained network of ``folder``; None where there is none. SettingError where it is of other settings."""
    if not (folder / DONE).exists():
        return None
    document, passport = json.loads((folder / DONE).read_text("utf-8")), materials.passport(plan)
    meta = document.pop("meta")
    if document != json.loads(json.dumps(_signature(plan, passport))):
        raise SettingError(
            f"{folder}: was trained with other settings of networks.{plan.name} or its inputs; remove the folder, or "
            "take another run folder"
        )
    network = make_network(plan, passport)
    network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return Fitted(plan, passport, network.eval(), meta)


def network_folder(folder: Path, name: str) -> Path:
    """Where a network of a run stands."""
    return folder / "networks" / name


def run_training(
    materials: Materials, chosen: tuple[NetworkPlan, ...], compute: Compute, say: Callable[[str], None] = print
) -> dict[str, Fitted]:
    """Train the networks, by name; those that are done are taken as they are."""
    made: dict[str, Fitted] = {}
    for plan in chosen:
        folder = network_folder(materials.folder, plan.name)
        start = made.get(plan.start) if plan.start else None
        if plan.start and start is None:
            raise SettingError(f"networks.{plan.name}.start: {plan.start} is not trained yet")
        there = (folder / DONE).exists()
        made[plan.name] = train_network(materials, plan, folder, compute, start)
        say(f"{plan.name}: {'was trained already' if there else 'trained'} ({made[plan.name].meta['seconds']} s)")
    return made


__all__ = ["BEST", "MAIN", "Fitted", "load_fitted", "make_network", "network_folder", "run_training", "train_network"]
