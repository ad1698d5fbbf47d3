"""The figure of the tests of robustness."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from ..predictions import RECORDED_TEST, TEST
from ..robustness import conditions as c
from ..robustness.settings import RECREATED
from .plots import SYNTHETIC, Look, canvas, legend_below, png
from .results import Results
from .robustness import KINDS, SET_TITLES, Row, rows_of, tested

AXES = {
    c.MAGNITUDE: "magnitude",
    c.NOISE: "peak SNR",
    c.ANCHOR: "error of the first break (s)",
    c.DEAD: "stations",
    c.NOISE_ALONE: "stations",
    c.GAIN: "stations",
    c.SPACING: "spacing (km)",
    c.SECOND: "later by (s)",
    c.OUTSIDE: "outside by (km)",
}
_DASHES = {TEST: "-", RECREATED: ":", RECORDED_TEST: "--"}


def robustness_figure(results: Results, look: Mapping[str, Look]) -> bytes | None:
    """A panel for each kind of condition, and each ratio of second events: mean epicentre errors, those of the
    unperturbed events as short lines at the left; of events outside the volume the share answered. None without any.
    """
    panels = {}
    for kind in KINDS:
        rows = rows_of(results, kind)
        for group in dict.fromkeys(row.group for row in rows if np.isfinite(row.at)):
            panels[kind, group] = rows
    if not panels:
        return None
    recorded = {name == RECORDED_TEST for _, name, _ in tested(results)}
    what = {frozenset({False}): SYNTHETIC, frozenset({True}): "Recorded events"}
    title = what.get(frozenset(recorded), f"{SYNTHETIC} and recorded events (dashed)")
    with canvas(len(panels), f"{title}: robustness") as (figure, grid):
        for ((kind, group), rows), axes in zip(panels.items(), grid, strict=True):
            for network, name, _ in tested(results):
                own = [row for row in rows if row.network is network and row.name == name]
                points = sorted((row for row in own if row.group == group and np.isfinite(row.at)), key=lambda r: r.at)
                if not points:
                    continue
                style = {**look[network.plan.name].line, "linestyle": _DASHES[name]}
                label = f"{network.title}, {SET_TITLES[name]}"
                axes.plot([row.at for row in points], [_height(row, kind) for row in points], label=label, **style)
                if kind != c.OUTSIDE:
                    axes.axhline(own[0].mean.value, xmax=0.06, color=style["color"], linestyle=_DASHES[name])
            axes.set(title=": ".join(filter(None, (KINDS[kind], group))), xlabel=AXES[kind])
            axes.set_ylabel("answered (%)" if kind == c.OUTSIDE else "epicentre (km)")
            axes.set_ylim(bottom=0.0)
            if kind == c.NOISE:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter("{x:g}")
        legend_below(figure, grid)
        return png(figure)


def _height(row: Row, kind: str) -> float:
    return 100 * row.answered if kind == c.OUTSIDE else row.mean.value
