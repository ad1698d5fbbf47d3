"""What the report says of tests of robustness: a table for each kind of condition."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import metrics
from ...metrics import Interval
from ..predictions import RECORDED_TEST, TEST
from ..robustness import conditions as c
from ..robustness.outcomes import Outcomes
from ..robustness.settings import RECREATED
from .dependence import bins_of, edges_of
from .document import Block, Cell, Section, Table
from .measures import RESAMPLES
from .results import NetworkResults, Results

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

SET_TITLES = {
    TEST: "synthetic: test events",
    RECREATED: "synthetic: recorded test events made again",
    RECORDED_TEST: "recorded: test events",
}
KINDS = {
    c.MAGNITUDE: "magnitude",
    c.NOISE: "noise",
    c.ANCHOR: "error of the first break",
    c.DEAD: "dead stations",
    c.NOISE_ALONE: "stations that record noise alone",
    c.GAIN: "stations of a wrong gain",
    c.SPACING: "spacing of the stations",
    c.SECOND: "a second event",
    c.OUTSIDE: "events outside the volume",
}
"""Kinds of conditions in the report's order, and their titles; windows of noise have a table of their own."""

_NOTES = {
    c.MAGNITUDE: "Groups: events as they were made or recorded, by their own magnitude. Scaled: all amplitudes times "
    "10 to the change of magnitude, as ML is defined, under noise of the old level; the spectrum of the source stays "
    "that of the larger event. Recorded events without a magnitude cannot be scaled to one.",
    c.NOISE: "Noise of such a level that the median over stations of the largest amplitude over the standard deviation "
    "of the noise, in the network's band, is as stated. Recorded events: noise like that before the event is added; "
    "those with a smaller ratio of their own are left out.",
    c.ANCHOR: "The window is moved by the error, positive: it begins too late.",
    c.DEAD: "Stations without data, drawn at random for each event; more of them are the same ones and others.",
    c.NOISE_ALONE: "Stations that send noise of their usual level and nothing of the event.",
    c.GAIN: "Stations whose amplitudes are too large or, as often, too small.",
    c.SPACING: "Stations taken away one by one, always one of the two that stand closest together; the spacing is the "
    "mean distance to the nearest neighbour. The networks are the same, not trained anew for fewer stations.",
    c.SECOND: "Another event of the same set above the first; its amplitude (median over stations of the largest) "
    "as a part of the first one's, its origin time after the first one's. Errors are against the first.",
    c.OUTSIDE: "Theoretical events beyond the sides of the region that networks were trained for. The best "
    "answer is a right one, or none.",
}  # fmt: skip

COLUMNS = ("network", "events", "condition", "windows", "median SNR", "first break found, %", "answered, %",
           "epicentre, mean [68 %], km", "epicentre, median, km", "depth, MAE, km",
           "epicentre of those answered, mean, km", "same events unperturbed, epicentre, mean, km")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Figures of one network in one condition of one set; ``at`` and ``group`` as the condition has them."""

    network: NetworkResults
    name: str
    label: str
    at: float
    group: str
    windows: int
    snr: float
    found: float
    answered: float
    mean: Interval
    median: float
    depth: float
    mean_answered: float
    unperturbed: float

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Under :data:`COLUMNS`."""
        return (
            self.network.label, SET_TITLES[self.name], self.label, self.windows, self.snr, 100 * self.found,
            100 * self.answered, self.mean, self.median, self.depth, self.mean_answered, self.unperturbed,
        )  # fmt: skip


def tested(results: Results) -> Iterator[tuple[NetworkResults, str, Outcomes]]:
    """Every network with every set that it was tested on, in the report's order."""
    for network in results.networks:
        for name in SET_TITLES:
            if name in network.robustness:
                yield network, name, network.robustness[name]


def rows_of(results: Results, kind: str) -> list[Row]:
    """Rows of a kind: of each network and set the unperturbed events, then the conditions; empty without any."""
    rows = []
    for network, name, found in tested(results):
        chosen = list(_conditions(found, kind))
        if chosen:
            every = found.condition == _first(found, c.UNPERTURBED)
            rows.append(_row(network, name, found, every, "unperturbed", np.nan, ""))
            rows += [_row(network, name, found, *of_one) for of_one in chosen]
    return rows


def _first(found: Outcomes, kind: str) -> int:
    return int(np.flatnonzero(found.kinds == kind)[0])


def _conditions(found: Outcomes, kind: str) -> Iterator[tuple[Mask, str, float, str]]:
    """Rows, label, place on the axis and group of each condition of a kind that has any events."""
    if kind == c.MAGNITUDE:
        yield from _groups(found)
    for index in np.flatnonzero(found.kinds == kind):
        mask = found.condition == index
        if mask.any():
            yield mask, str(found.labels[index]), float(found.at[index]), str(found.groups[index])


def _groups(found: Outcomes) -> Iterator[tuple[Mask, str, float, str]]:
    """Unperturbed events by their own magnitude."""
    every = found.condition == _first(found, c.UNPERTURBED)
    edges = edges_of(found.magnitude[every], most=3)
    if edges.size:
        bins = np.where(every, bins_of(found.magnitude, edges), -1)
        for k in range(len(edges) - 1):
            label = f"as it is, {edges[k]:.1f} to {edges[k + 1]:.1f}"
            yield bins == k, label, float(np.median(found.magnitude[bins == k])), "as it is"


def _row(network: NetworkResults, name: str, found: Outcomes, mask: Mask, label: str, at: float, group: str) -> Row:
    before = dict(zip(*(values[found.condition == _first(found, c.UNPERTURBED)]
                        for values in (found.names, found.epicentre_km)), strict=True))  # fmt: skip
    errors = found.epicentre_km[mask]
    same = np.array([before.get(event, np.nan) for event in found.names[mask]])
    kept = found.answered[mask]
    return Row(
        network,
        name,
        label,
        at,
        group,
        int(mask.sum()),
        _over(np.median, found.snr[mask]),
        _over(np.mean, found.anchored[mask].astype(float)),
        _over(np.mean, kept.astype(float)),
        metrics.bootstrap(errors, metrics.mean_of, RESAMPLES) if len(errors) else Interval(*[float("nan")] * 3),
        _over(np.median, errors),
        _over(np.mean, np.abs(found.depth_km[mask])),
        _over(np.mean, errors[kept]),
        _over(np.mean, same),
    )


def _over(figure: Callable[[FloatArray], Any], values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(figure(known)) if known.size else float("nan")


NOISE_COLUMNS = ("network", "noise of", "windows", "first break found, %", "answered, %", "answered if asked, %",
                 "peak, median", "peak, 95 % below", "peak, largest", "events' peak, 5 % below",
                 "stated sigma of the epicentre, median, km", "events' stated sigma, median, km")  # fmt: skip


def silent_table(results: Results) -> Table | None:
    """Windows without an event: how many answers they get, and how sure of itself the network is."""
    cells: list[tuple[Cell, ...]] = []
    for network, name, found in tested(results):
        silent = found.kinds[found.condition] == c.SILENT
        events = found.kinds[found.condition] == c.UNPERTURBED
        if silent.any():
            peaks = found.peak[silent]
            cells.append((
                network.label, SET_TITLES[name], int(silent.sum()), 100 * float(found.anchored[silent].mean()),
                100 * float(found.answered[silent].mean()), 100 * float((found.reason[silent] == "").mean()),
                _over(np.median, peaks), _quantile(peaks, 0.95),
                _over(np.max, peaks), _quantile(found.peak[events], 0.05), _over(np.median, found.sigma_km[silent]),
                _over(np.median, found.sigma_km[events]),
            ))  # fmt: skip
    note = (
        "Each window holds noise alone. Where the plugin finds no first break there it gives no answer. Answered if "
        "asked: the network's own false alarms, as if it had found one where an event's first P would be, which is "
        "where such a window stands. Networks that return parameters have no peak: nothing but a place outside the "
        "region keeps them from answering."
    )
    return Table("robustness-silent", NOISE_COLUMNS, tuple(cells), note) if cells else None


def _quantile(values: FloatArray, level: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, level)) if known.size else float("nan")


def table_of(results: Results, kind: str) -> Table | None:
    """The table of a kind; None without such conditions."""
    rows = rows_of(results, kind)
    name = f"robustness-{kind.replace(' ', '-')}"
    return Table(name, COLUMNS, tuple(row.cells for row in rows), _NOTES[kind]) if rows else None


def robustness_sections(results: Results, figure: Sequence[Block]) -> tuple[Section, ...]:
    """Everything about robustness, ``figure`` first; nothing where it was not tested."""
    found = list(tested(results))
    if not found:
        return ()
    notes = dict.fromkeys(str(note) for _, _, outcomes in found for note in outcomes.notes)
    intro = (
        "The same events with something wrong, as in the supplement of Zhang et al. (2020): the same noise and the "
        "same draws for every network. Errors are of all windows, whether or not the plugin would stand by the "
        "answer; where it finds no first break, the window stands where the first P is expected. Answered: the share "
        "that it would stand by, by its rules on the first break, the number of stations, the peak (calibrated on "
        "held-out events), the region and second peaks. How errors depend on the number of training events and on the "
        "width of the labels stands under the headings that say so, where networks were trained on several."
        + "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
    )
    sections = [Section("Robustness", (intro, *figure))]
    for kind, title in KINDS.items():
        table = table_of(results, kind)
        if table is not None:
            sections.append(Section(f"Robustness: {title}", (table,)))
    silent = silent_table(results)
    if silent is not None:
        sections.append(Section("Robustness: noise without an event", (silent,)))
    return tuple(sections)
