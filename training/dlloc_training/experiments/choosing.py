"""Which windows a network is trained on: of which events, with which stations lost."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError

from .bank import Bank
from .drawing import TRAIN
from .materials import RECORDED, THEORETICAL, VIRTUAL, Materials
from .plans import NetworkPlan


def sources_of(plan: NetworkPlan) -> tuple[str, ...]:
    """Where its training events come from."""
    named = (THEORETICAL, RECORDED) if plan.data == "both" else (plan.data,)
    return (*named, VIRTUAL) if plan.virtual else named


def chosen_rows(materials: Materials, plan: NetworkPlan) -> tuple[Bank, NDArray[np.int64]]:
    """The windows that a network is trained on: the bank, and which of its rows."""
    parts = [materials.bank(plan.inputs, source) for source in sources_of(plan)]
    bank = reduce(joined, parts)
    kept = np.concatenate([kept_events(materials, plan, source) for source in sources_of(plan)])
    keep = kept[bank.event] & (plan.lost | (bank.lost == 0))
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise SettingError(f"networks.{plan.name}: no window is left to train on; raise training.windows")
    return bank, rows


def joined(first: Bank, second: Bank) -> Bank:
    """The rows of both; events of the second are numbered after those of the first."""
    arrays = {name: np.concatenate([first.arrays[name], second.arrays[name]]) for name in first.arrays}
    rest = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("peak", "targets", "second", "kind", "lost", "snr")
    }
    return Bank(arrays, event=np.concatenate([first.event, second.event + first.event.max() + 1]), **rest)


def kept_events(materials: Materials, plan: NetworkPlan, source: str) -> NDArray[np.bool_]:
    """(event,) of the training events of a source: those of the plan's share and, of theoretical ones, of its nodes."""
    if source != THEORETICAL:
        keep = np.ones(len(materials.records(plan.inputs, source)), bool)
    else:
        keep = _on_nodes(materials, plan)[materials.events.of(TRAIN)]
    if plan.events_share < 1.0:
        seed = [materials.experiment.seed, 11, *([1] if source == RECORDED else [])]
        order = np.random.default_rng(seed).permutation(np.flatnonzero(keep))
        keep = np.zeros(len(keep), bool)
        keep[order[: max(1, round(plan.events_share * len(order)))]] = True
    return keep


def _on_nodes(materials: Materials, plan: NetworkPlan) -> NDArray[np.bool_]:
    """(event,): whether an event lies on every so-manyth node along each side of the grid."""
    events = materials.events
    keep = np.ones(len(events), bool)
    if plan.node_stride > 1:
        for column in (events.latitude, events.longitude, events.depth_km):
            # All nodes, whatever they are for: where a plane has no training event, the others keep their numbers
            nodes = np.unique(np.round(column[events.node >= 0], 6))
            keep &= np.searchsorted(nodes, np.round(column, 6) - 1e-9) % plan.node_stride == 0
    return keep
