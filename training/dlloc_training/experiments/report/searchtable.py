"""What a search of settings tried, and what it found."""

import csv
from pathlib import Path

from ..reading import ExperimentFile
from ..search import BEST, EPOCHS, EVENTS_SHARE, SEARCH, TRIALS, read_best
from .document import Block, Cell, Section, Table

SHOWN = 10
"""Trials in the table, the best first; the file has all."""

_NOT_SETTINGS = ("trial", "state", "value", "epochs", "seconds", "reason")


def search_section(experiment: ExperimentFile, folder: Path) -> Section:
    """The trials of the search in a run folder; without blocks where there was none."""
    place, wanted = folder / SEARCH, experiment.settings.get("search", {})
    blocks: list[Block] = []
    if wanted and (place / BEST).exists() and (place / TRIALS).exists():
        best = read_best(folder)
        with (place / TRIALS).open(newline="") as file:
            rows = list(csv.DictReader(file))
        counts = ", ".join(f"{number} {state}" for state, number in best.trials.items())
        epochs, share = wanted.get("epochs", EPOCHS), wanted.get("events_share", EVENTS_SHARE)
        blocks.append(
            f"Bayesian optimisation (Optuna's tree-structured Parzen estimator) of {wanted['network']}'s settings, "
            f"trials of {epochs} epochs on {100 * share:g} % of the training events: {counts}. Best is trial "
            f"{best.trial}."
        )
        blocks.append(_table(rows))
    return Section("Search of settings", tuple(blocks))


def _table(rows: list[dict[str, str]]) -> Table:
    tried = [row for row in rows if row["value"]]
    tried.sort(key=lambda row: (row["state"] != "complete", float(row["value"])))
    # Settings that no trial changed say nothing
    varied = [
        name
        for name in (rows[0] if rows else ())
        if name not in _NOT_SETTINGS and not name.startswith("rmse_") and len({row[name] for row in tried}) > 1
    ]
    cells: list[tuple[Cell, ...]] = [
        (row["trial"], row["state"], float(row["value"]), row["epochs"], *(_short(row[name]) for name in varied))
        for row in tried[:SHOWN]
    ]
    columns = ("trial", "state", "mean RMSE", "epochs", *(name.replace("_", " ") for name in varied))
    note = (
        "RMSE of the parameters on held-out events, in standard deviations of the training events, after the last "
        "epoch; pruned trials were stopped as worse than the median."
    )
    return Table("search", columns, tuple(cells), note)


def _short(value: str) -> str:
    try:
        return f"{float(value):.3g}"
    except ValueError:
        return value.replace("True", "yes").replace("False", "no")
