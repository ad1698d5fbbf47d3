"""The figures that a model's passport needs of an evaluation, as JSON."""

from pathlib import Path
from typing import Any

from ..reading import ExperimentFile
from .measures import EPICENTRE, QUANTITIES, TITLES
from .results import Results, read_results
from .scores import Score, Scores, score_all

DIGITS = 4
_MEASURES = {EPICENTRE: {"mean": "mae", "median": "median", "rmse": "rmse"}}
_OTHERS = {"rmse": "rmse", "mae": "mae"}


def summarise(experiment: ExperimentFile, folder: Path) -> dict[str, Any]:
    """Figures of the networks evaluated in ``folder``, as :func:`summary_of` has them. Raises as the report does."""
    results = read_results(experiment, folder)
    return summary_of(experiment.name, results, score_all(results, experiment.region.frame))


def summary_of(name: str, results: Results, scores: Scores) -> dict[str, Any]:
    """``networks`` -> network -> ``sets`` -> set -> figures; ``baselines`` -> set -> baseline -> figures.

    Figures: ``count``; ``epicentre_km`` with ``mean``, ``median``, ``rmse``; ``longitude_km``, ``latitude_km``,
    ``depth_km``, ``origin_time_s`` and ``magnitude`` with ``rmse`` and ``mae``; ``coverage`` -> region -> ``68`` and
    ``90`` (shares); ``skill`` -> baseline -> quantity. What is not known is not there.
    """
    return {
        "experiment": name,
        "networks": {
            network.plan.name: {
                "title": network.title,
                "training_events": network.meta.training_events,
                "windows_per_epoch": network.meta.windows_per_epoch,
                "epochs": network.meta.epochs,
                "training_seconds": round(network.meta.seconds, 1),
                "machine": network.meta.machine,
                "sets": {key: _figures(scores.networks[network.plan.name, key]) for key in network.sets},
            }
            for network in results.networks
        },
        "baselines": {
            key: {title: _figures(score) for (title, of), score in scores.baselines.items() if of == key}
            for key in results.sets
        },
    }


def label(quantity: str) -> str:
    """``depth_km``: the quantity's name with its unit."""
    return "_".join([*TITLES[quantity].split(), *([QUANTITIES[quantity]] if QUANTITIES[quantity] else [])])


def _figures(score: Score) -> dict[str, Any]:
    found: dict[str, Any] = {"count": score.events}
    for quantity, measure in score.measures.items():
        kinds = _MEASURES.get(quantity, _OTHERS)
        found[label(quantity)] = {key: round(getattr(measure, name).value, DIGITS) for key, name in kinds.items()}
        if measure.count < score.events:
            found[label(quantity)]["count"] = measure.count
    if score.coverage:
        found["coverage"] = {
            TITLES[region]: {f"{100 * c.level:.0f}": round(c.share.value, DIGITS) for c in pair}
            for region, pair in score.coverage.items()
        }
    if score.skill:
        found["skill"] = {
            title: {TITLES[name]: round(value, DIGITS) for name, value in sorted(of.items())}
            for title, of in score.skill.items()
        }
    return found
