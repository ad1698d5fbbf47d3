"""The sections of an experiment's report."""

import datetime
from collections.abc import Callable, Mapping

import numpy as np

from seiscomp_dlloc.units import km_per_degree_latitude

from ..inputs import label_widths
from ..predictions import HELD_OUT, OFF_NODE, RECORDED_TEST, TEST
from ..reading import ExperimentFile
from . import curveplots, dependence, errorplots, tables, texts
from .dependence import Dependence
from .document import Block, Document, Picture, Section, Table
from .mapplot import MOST_MAPS, error_map
from .papertable import paper_table
from .plots import Look, heading, looks
from .regional import quarter_table
from .results import NetworkResults, Results, is_recorded, set_title
from .robustness import robustness_sections
from .robustnessplot import robustness_figure
from .scores import Scores

FOLLOWED_SETS = (TEST, RECORDED_TEST)
"""Sets that maps, evolution and dependences are shown of."""

COMPARED_SETS = (TEST, OFF_NODE, RECORDED_TEST)
"""Sets that distributions, and errors against what was trained on, are shown of."""

CHECKED_SETS = (TEST, HELD_OUT, RECORDED_TEST)
"""Sets that the coverage of stated regions is drawn of."""


def compose(
    experiment: ExperimentFile, results: Results, scores: Scores, searched: Section
) -> tuple[Document, tuple[Table, ...]]:
    """The report, and the tables that are written beside it and not shown; ``searched``: what a search tried."""
    look = looks(results.networks)
    followed = {f"{name}-{of}": found for of in FOLLOWED_SETS for name, found in _by_event(results, scores, of).items()}
    followed |= _by_training(experiment, results, scores)
    sections = [
        Section("Splits", (*texts.splits(experiment, results), *texts.same_events(results))),
        _paper(experiment, results, scores),
        *(_set(experiment, results, scores, name, look) for name in texts.of_interest(results)),
        Section("What the baselines are", texts.baseline_notes(results)),
        _coverage(results, scores, look),
        _evolution(results, look),
        *(_dependence(key, found, look) for key, found in followed.items()),
        *robustness_sections(results, _pictures("robustness", robustness_figure(results, look),
                "Mean epicentre errors (of events outside the volume the share answered) against how far something "
                "is wrong; short lines at the left: the same events with nothing wrong.")),
        Section("Learning curves", _pictures("learning", curveplots.learning(results, look),
                "Loss while training, and loss and errors of the published estimate of the held-out events, by epoch. "
                "Losses of different kinds of networks cannot be compared.")),
        searched,
        Section("What was trained, how long, on what", (tables.size_table(results),)),
    ]  # fmt: skip
    document = Document(
        f"{experiment.settings.get('title', experiment.name)}: evaluation",
        texts.banner(results),
        texts.facts(experiment, results, datetime.datetime.now(datetime.UTC).date()),
        tuple(section for section in sections if section.blocks),
    )
    return document, (tables.everything(results, scores), tables.all_groups(followed))


def _pictures(name: str, png: bytes | None, caption: str) -> tuple[Picture, ...]:
    return (Picture(name, png, caption),) if png else ()


def _given(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _paper(experiment: ExperimentFile, results: Results, scores: Scores) -> Section:
    return Section("The table of Sugiyama et al. (2021)", _given(paper_table(experiment, results, scores)))


def _set(experiment: ExperimentFile, results: Results, scores: Scores, name: str, look: Mapping[str, Look]) -> Section:
    rows = tables.rows_of(results, scores, name)
    blocks: list[Block] = list(
        _given(tables.rmse_table(rows, name), tables.mae_table(rows, name), tables.skill_table(rows, name))
    )
    title = heading(set_title(name), not is_recorded(name))
    if name in COMPARED_SETS:
        blocks += _pictures(
            f"errors-{name}", errorplots.distributions(results, scores, name, look),
            f"{title}: share of events with an error smaller than so much.",
        )  # fmt: skip
    if name in FOLLOWED_SETS:
        full = [network for network in results.networks if not network.reduced]
        blocks += _pictures(
            f"map-{name}", error_map(experiment, full, name),
            f"{title}: arrows from the true epicentre (dot) to the answer, coloured by the error of depth; triangles: "
            "stations; dashed: the region." + (f" The first {MOST_MAPS} networks." if len(full) > MOST_MAPS else ""),
        )  # fmt: skip
        blocks += _given(quarter_table(results, scores, name, experiment.region.frame))
    return Section(set_title(name)[:1].upper() + set_title(name)[1:], tuple(blocks))


def _coverage(results: Results, scores: Scores, look: Mapping[str, Look]) -> Section:
    blocks: list[Block] = list(_given(tables.coverage_table(results, scores, texts.of_interest(results))))
    for name in CHECKED_SETS:
        blocks += _pictures(
            f"coverage-{name}", errorplots.coverage(results, name, look),
            f"{heading(set_title(name), not is_recorded(name))}: share of truths inside the stated regions; below the "
            "dashed line the network is surer of itself than it should be.",
        )  # fmt: skip
    return Section("How far the stated regions hold", tuple(blocks))


def _evolution(results: Results, look: Mapping[str, Look]) -> Section:
    full = [network for network in results.networks if not network.reduced]
    blocks: list[Block] = []
    for name in FOLLOWED_SETS:
        blocks += _pictures(
            f"evolution-{name}", curveplots.evolution(full, name, look),
            f"{heading(set_title(name), not is_recorded(name))}: median error (line) and its 16 and 84 % quantiles "
            "(band), and the median stated sigma (dashed; of the epicentre the root of the sum of the squares of both "
            "axes), against the data that the estimate rests on. The last one is the published one.",
        )  # fmt: skip
    return Section("Evolution of the estimate", tuple(blocks))


_AXES = {
    "magnitude": "magnitude",
    "snr": "signal-to-noise ratio",
    "lost": "stations cut out",
    "training": "training events",
    "grid": "spacing of the nodes, km",
    "label": "width of the labels, km",
}


def _by_event(results: Results, scores: Scores, name: str) -> dict[str, Dependence]:
    found = {
        "magnitude": dependence.by_value(results, scores, name, lambda events: events.magnitude, 1),
        "snr": dependence.by_value(results, scores, name, lambda events: events.snr, 1),
        "lost": dependence.by_lost(results, scores) if name == TEST else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _by_training(experiment: ExperimentFile, results: Results, scores: Scores) -> dict[str, Dependence]:
    grid = experiment.settings["events"].get("grid")
    degree_km = km_per_degree_latitude(experiment.region.frame.latitude)

    def spacing(name: str) -> Callable[[NetworkResults], float]:
        if grid:
            return lambda network: round(network.plan.node_stride * grid["spacing_deg"] * degree_km, 2)
        return lambda network: round(float(np.median(network.sets[name].spacing_km)), 2)

    def width(network: NetworkResults) -> float:
        plan = network.plan
        return label_widths(experiment, (plan.label_sigma_km, plan.label_sigma_depth_km))[0]

    found = {}
    for name in COMPARED_SETS:
        found[f"label-{name}"] = dependence.by_training(results, scores, name, "label_sigma_km", width)
        found[f"training-{name}"] = dependence.by_training(
            results, scores, name, "events_share", lambda network: float(network.meta.training_events)
        )
        found[f"grid-{name}"] = dependence.by_training(results, scores, name, "node_stride", spacing(name))
    return {key: value for key, value in found.items() if value is not None}


def _dependence(key: str, found: Dependence, look: Mapping[str, Look]) -> Section:
    what, _, name = key.partition("-")
    title, axis = heading(set_title(name), not is_recorded(name)), _AXES[what]
    caption = f"{title}: mean errors with 68 % bootstrap intervals against {axis.partition(',')[0]}."
    png = errorplots.dependence(found, title, axis, look, logarithmic=what in ("snr", "training"))
    table = (tables.group_table if found.groups else tables.training_table)(found, key, axis)
    return Section(f"Error against {axis.partition(',')[0]}: {set_title(name)}", (table, Picture(key, png, caption)))
