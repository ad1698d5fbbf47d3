"""The stage ``train``: the networks of an experiment, one after the other, each in a folder of its own."""

import json
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

from ..networks.regression import Regressor
from ..networks.shapes import InputShape
from ..slim import SlimFCN
from .bank import TARGETS, Bank
from .building import Network, make_network, take_over
from .choosing import chosen_rows, sources_of
from .computing import Compute, first_process
from .curves import seconds_of
from .fitting import LAST, HeldOut, ImageAndVectorFitting, ImageFitting, VectorFitting, best_window, fit_network
from .machine import machine
from .materials import THEORETICAL, Materials
from .plans import OF_IMAGE, NetworkPlan, plan_of
from .predictions import HELD_OUT, RECORDED_HELD_OUT
from .trained import BankDataset, EventBatches

WEIGHTS, DONE, SETTINGS = "network.pt", "done.json", "settings.json"


@dataclass(frozen=True)
class Fitted:
    """A trained network with its draft passport."""

    plan: NetworkPlan
    passport: Passport
    network: Network
    meta: dict[str, Any]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it takes."""
        return InputShape.of(self.passport).inputs


def held_out_of(materials: Materials, plan: NetworkPlan, passport: Passport) -> HeldOut:
    """Held-out events that a network is selected and calibrated on."""
    name = HELD_OUT if plan.data == THEORETICAL else RECORDED_HELD_OUT
    exact = materials.exact(plan.inputs, name)
    names = (*OF_IMAGE, *plan.beside_image) if plan.image_head else plan.outputs.names
    columns = [TARGETS.index(each) for each in names]
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
    """Train one network in ``folder``, go on where that was stopped, or take it from there where it is done.

    Raises SettingError where what is there was made with other settings.
    """
    seed, passport = materials.experiment.seed, materials.passport(plan)
    if (folder / DONE).exists():
        found = load_fitted(materials, plan, folder)
        if found is not None:
            return found
    _keep_settings(materials, plan, passport, folder)
    bank, rows = chosen_rows(materials, plan)
    held_out = held_out_of(materials, plan, passport)
    lightning_seed = seed * 1009 + sum(plan.name.encode())
    torch.manual_seed(lightning_seed)
    network = make_network(plan, passport)
    # Convolutions run up to a half faster on CPUs with the channels innermost
    solid = any(weight.dim() == 5 for weight in network.parameters())
    network.to(memory_format=torch.channels_last_3d if solid else torch.channels_last)  # type: ignore[call-overload]
    batches = EventBatches(bank, rows, plan.windows_per_epoch, plan.batch, seed)
    batches.share = (0, compute.processes)
    steps = plan.epochs * len(batches)
    names = InputShape.of(passport).inputs
    known = start is not None and take_over(network, start.network, plan)
    if not (known or isinstance(network, SlimFCN)):
        network.fit_targets(_targets(bank, rows, plan), all_windows=True)
    if isinstance(network, Regressor):
        data = BankDataset(bank, names, plan.outputs.names, False, seed, rows)
        module: Any = VectorFitting(network, plan, held_out, seed, steps)
    else:
        head = passport.head
        widths = float(head["label_sigma_km"]), float(head["label_sigma_depth_km"])
        data = BankDataset(bank, names, plan.beside_image, True, seed, rows)
        fitting = ImageAndVectorFitting if plan.beside_image else ImageFitting
        module = fitting(network, passport.grid, plan, held_out, widths, steps)
    best = fit_network(module, data, batches, len(held_out.targets), folder, plan, seed, compute, report)
    state = torch.load(best, map_location="cpu", weights_only=False)["state_dict"]
    module.load_state_dict(state)
    network = module.network.eval()
    if plan.published == "best" and isinstance(network, Regressor):
        network.publish(best_window(network, held_out.arrays, held_out.targets))
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
        "seconds": round(seconds_of(folder), 1),
        "machine": machine(),
    }
    fitted = Fitted(plan, passport, network, meta)
    if first_process():
        _save(fitted, folder)
    return fitted


def _targets(bank: Bank, rows: NDArray[np.int64], plan: NetworkPlan) -> NDArray[np.float64]:
    columns = [TARGETS.index(name) for name in plan.outputs.names]
    return np.asarray(bank.targets[rows][:, columns], np.float64)


def _signature(plan: NetworkPlan, passport: Passport) -> dict[str, Any]:
    """What a trained network depends on, apart from the seismograms."""
    document = {key: value for key, value in passport.raw.items() if key not in ("provenance", "calibration")}
    return {"plan": plan.resolved(), "passport": document}


def _keep_settings(materials: Materials, plan: NetworkPlan, passport: Passport, folder: Path) -> None:
    """Write down what the training rests on before it begins; SettingError where what is there rests on other things.

    Beside the plan and the passport: the windows, and the network that it starts from.
    """
    path = folder / SETTINGS
    document = {
        **_signature(plan, passport),
        "windows": {source: materials.header(plan.inputs, source) for source in sources_of(plan)},
        "start": plan_of(materials.experiment, plan.start).resolved() if plan.start else None,
    }
    if path.exists() and ((folder / LAST).exists() or (folder / DONE).exists()):
        if json.loads(path.read_text("utf-8")) != json.loads(json.dumps(document)):
            raise _other_settings(plan, folder)
    elif first_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def _other_settings(plan: NetworkPlan, folder: Path) -> SettingError:
    return SettingError(
        f"{folder}: was trained with other settings of networks.{plan.name} or its inputs; remove the folder, or "
        "take another run folder"
    )


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
        raise _other_settings(plan, folder)
    if (folder / SETTINGS).exists():
        _keep_settings(materials, plan, passport, folder)
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
            before = plan_of(materials.experiment, plan.start)
            start = load_fitted(materials, before, network_folder(materials.folder, plan.start))
            if start is None:
                raise SettingError(f"networks.{plan.name}.start: {plan.start} is not trained yet; train it first")
        there = (folder / DONE).exists()
        made[plan.name] = train_network(materials, plan, folder, compute, start)
        say(f"{plan.name}: {'was trained already' if there else 'trained'} ({made[plan.name].meta['seconds']} s)")
    return made
