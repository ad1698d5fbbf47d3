"""How errors depend on what events are like, and on what the networks were trained on."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ... import metrics
from ...metrics import Interval
from ..plans import NetworkPlan
from ..predictions import Predictions
from .measures import FOLLOWED, RESAMPLES
from .results import NetworkResults, Results, lost_of
from .scores import Errors, Scores

FloatArray = NDArray[np.float64]

MOST_BINS, LEAST_EVENTS = 5, 5

Reduction = Literal["events_share", "node_stride", "label_sigma_km"]


@dataclass(frozen=True)
class Point:
    """Mean absolute errors of ``count`` events of the network ``label``, at ``at`` on the axis; none without events."""

    label: str
    at: float
    count: int
    errors: dict[str, Interval]


@dataclass(frozen=True)
class Line:
    """The points of one network, or of several that differ in what is followed alone; ``key``: network that it is."""

    key: str
    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Dependence:
    """Lines over the same groups; ``groups``: what each is called (empty where each line has points of its own).

    ``continuous``: whether groups are ranges of values, not values.
    """

    lines: tuple[Line, ...]
    groups: tuple[str, ...]
    continuous: bool = False


def edges_of(values: FloatArray, most: int = MOST_BINS, least: int = LEAST_EVENTS) -> FloatArray:
    """Edges (bin + 1,) of at most ``most`` bins with equal numbers of events, ``least`` each, in ascending order.

    NaN and infinite values belong nowhere. Fewer bins where values recur; no edges (0,) with too few events for two.
    """
    known = values[np.isfinite(values)]
    count = min(most, known.size // least)
    if count < 2:
        return np.zeros(0)
    edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, count + 1)))
    return edges if edges.size > 2 else np.zeros(0)


def bins_of(values: FloatArray, edges: FloatArray) -> NDArray[np.int64]:
    """Bin (event,) of each value, the last one closed above; -1 outside."""
    inside = np.isfinite(values) & (values >= edges[0]) & (values <= edges[-1])
    place = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    return np.where(inside, place, -1)


def point(label: str, at: float, errors: Errors, chosen: NDArray[np.bool_] | None = None) -> Point:
    """Mean absolute errors of the ``chosen`` events, of all by default."""
    found, count = {}, 0
    for name in FOLLOWED:
        if name in errors:
            values = np.abs(errors[name] if chosen is None else errors[name][chosen])
            known = int(np.isfinite(values).sum())
            if known:
                found[name] = metrics.bootstrap(values, metrics.mean_of, RESAMPLES)
                count = max(count, known)
    return Point(label, at, count, found)


def by_value(
    results: Results, scores: Scores, name: str, value: Callable[[Predictions], FloatArray], digits: int
) -> Dependence | None:
    """Errors on a set against something known of each event; None where events are too few to be grouped."""
    networks = [network for network in results.of(name) if not network.reduced]
    if not networks:
        return None
    reference = value(networks[0].sets[name])
    edges = edges_of(reference)
    if not edges.size:
        return None
    middles = [float(np.median(reference[bins_of(reference, edges) == k])) for k in range(len(edges) - 1)]
    lines = []
    for network in networks:
        values = value(network.sets[name])
        bins, errors = bins_of(values, edges), scores.networks[network.plan.name, name].errors
        points = tuple(point(network.label, middle, errors, bins == k) for k, middle in enumerate(middles))
        lines.append(Line(network.plan.name, network.title, points))
    groups = [f"{low:.{digits}f} to {high:.{digits}f}" for low, high in itertools.pairwise(edges)]
    return Dependence(tuple(lines), tuple(groups), continuous=True)


def by_lost(results: Results, scores: Scores) -> Dependence | None:
    """Errors on the test events against the number of stations cut out; None without such sets."""
    sets = sorted((lost, name) for name in results.sets if (lost := lost_of(name)) is not None)
    if len(sets) < 2:
        return None
    lines = []
    for network in results.networks:
        if not network.reduced and any(name in network.sets and lost for lost, name in sets):
            rows = [(lost, scores.networks.get((network.plan.name, name))) for lost, name in sets]
            points = tuple(point(network.label, float(lost), row.errors if row else {}) for lost, row in rows)
            lines.append(Line(network.plan.name, network.title, points))
    return Dependence(tuple(lines), tuple(str(lost) for lost, _ in sets)) if lines else None


def families(networks: Sequence[NetworkResults], what: Reduction) -> list[list[NetworkResults]]:
    """Networks that differ in ``what`` (and in the time given to training) alone, two at least, in the file's order."""
    found: dict[str, list[NetworkResults]] = {}
    for network in networks:
        found.setdefault(_same(network.plan, what), []).append(network)
    return [family for family in found.values() if len({getattr(n.plan, what) for n in family}) > 1]


def _same(plan: NetworkPlan, what: Reduction) -> str:
    row = asdict(plan)
    beside = ["label_sigma_depth_km"] if what == "label_sigma_km" else []
    for name in ("name", "title", "epochs", "windows_per_epoch", what, *beside):
        del row[name]
    return json.dumps(row, sort_keys=True, default=str)


def by_training(
    results: Results, scores: Scores, name: str, what: Reduction, at: Callable[[NetworkResults], float]
) -> Dependence | None:
    """Errors on a set against ``at`` of each network, one line for each family; None where there is none."""
    lines = []
    for family in families(results.of(name), what):
        points = [
            point(network.label, at(network), scores.networks[network.plan.name, name].errors) for network in family
        ]
        head = max(family, key=lambda network: (not network.reduced, network.plan.events_share))
        title = head.title if not head.reduced else f"{head.plan.kind} ({head.title})"
        lines.append(Line(head.plan.name, title, tuple(sorted(points, key=lambda p: p.at))))
    return Dependence(tuple(lines), ()) if lines else None
