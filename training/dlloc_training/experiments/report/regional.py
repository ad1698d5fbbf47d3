"""Errors by quarter of the region."""

import numpy as np

from seiscomp_dlloc.geometry import LocalFrame

from ... import metrics
from .document import Cell, Table
from .measures import EPICENTRE, RESAMPLES
from .results import Results
from .scores import Scores

QUARTERS = {"north-west": (-1, 1), "north-east": (1, 1), "south-west": (-1, -1), "south-east": (1, -1)}


def quarter_table(results: Results, scores: Scores, name: str, frame: LocalFrame) -> Table | None:
    """Mean epicentre error and mean shift of the answers of a set in each quarter about the region's centre.

    None where no network has epicentres.
    """
    rows: list[tuple[Cell, ...]] = []
    for network in results.of(name):
        errors = scores.networks[network.plan.name, name].errors
        if network.reduced or EPICENTRE not in errors:
            continue
        events = network.sets[name]
        x, y = frame.to_local(events.latitude, events.longitude)
        for quarter, (east, north) in QUARTERS.items():
            inside = (np.where(x >= 0, 1, -1) == east) & (np.where(y >= 0, 1, -1) == north)
            inside &= np.isfinite(errors[EPICENTRE])
            if inside.any():
                shifts = [float(errors[q][inside].mean()) for q in ("x", "y")]
                depth = float(np.nanmean(errors["depth"][inside])) if "depth" in errors else None
                mean = metrics.bootstrap(errors[EPICENTRE][inside], metrics.mean_of, RESAMPLES)
                rows.append((network.label, quarter, int(inside.sum()), mean, *shifts, depth))
    heads = ("network", "quarter", "events", "epicentre, mean [68 %], km", "shift east, km", "shift north, km",
             "shift down, km")  # fmt: skip
    note = "Shifts: mean of answer minus truth; where they are large, answers are drawn to where training events lie."
    return Table(f"{name}-quarters", heads, tuple(rows), note) if rows else None
