"""Figures of errors: their distributions, what they depend on, and how far stated regions hold."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from .dependence import Dependence
from .measures import FOLLOWED, LEVELS, QUANTITIES, TITLES, coverage_of, with_unit
from .plots import INK, PALE, Look, canvas, heading, legend_below, png
from .results import Results, is_recorded, set_title
from .scores import BASELINES, Scores

MOST_TICKS = 6
COVERAGE_LEVELS = np.linspace(0.05, 0.95, 19)
_BASELINE_STYLES = dict(zip(BASELINES, ((0, (1, 1)), (0, (5, 2))), strict=True))


def distributions(results: Results, scores: Scores, name: str, look: Mapping[str, Look]) -> bytes | None:
    """Share of the events of a set whose error is smaller than so much, networks and baselines."""
    rows = {network.title: (scores.networks[network.plan.name, name], look[network.plan.name])
            for network in results.of(name) if not network.reduced}  # fmt: skip
    quantities = [q for q in FOLLOWED if any(q in score.measures for score, _ in rows.values())]
    if not quantities:
        return None
    with canvas(len(quantities), heading(set_title(name), not is_recorded(name))) as (figure, panels):
        for quantity, axes in zip(quantities, panels, strict=True):
            limits = []
            for title, (score, style) in rows.items():
                if quantity in score.measures:
                    values, shares = _cumulative(score.errors[quantity])
                    axes.step(values, shares, where="post", label=title, **style.plain)
                    limits.append(np.quantile(values, 0.98))
            for baseline, dashes in _BASELINE_STYLES.items():
                simple = scores.baselines.get((baseline, name))
                if simple is not None and quantity in simple.measures:
                    values, shares = _cumulative(simple.errors[quantity])
                    axes.step(values, shares, where="post", color=PALE, linestyle=dashes, linewidth=1.0, label=baseline)
                    limits.append(np.quantile(values, 0.5))
            axes.set(xlim=(0.0, 1.05 * max(limits) or 1.0), ylim=(0.0, 1.0))
            axes.set(xlabel=f"error of {with_unit(quantity)}", title=TITLES[quantity])
        panels[0].set_ylabel("share of events")
        legend_below(figure, panels)
        return png(figure)


def _cumulative(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.sort(np.abs(errors[np.isfinite(errors)]))
    return values, np.arange(1, values.size + 1) / values.size


def dependence(found: Dependence, title: str, axis: str, look: Mapping[str, Look], logarithmic: bool = False) -> bytes:
    """Mean absolute errors with 68 % bootstrap intervals over an axis, one line per network."""
    quantities = [q for q in FOLLOWED if any(q in p.errors for line in found.lines for p in line.points)]
    places = np.unique([p.at for line in found.lines for p in line.points])
    with canvas(len(quantities), title) as (figure, panels):
        for quantity, axes in zip(quantities, panels, strict=True):
            for line in found.lines:
                points = [p for p in line.points if quantity in p.errors]
                if not points:
                    continue
                at = np.array([p.at for p in points])
                middle, low, high = (
                    np.array([getattr(p.errors[quantity], part) for p in points]) for part in ("value", "low", "high")
                )
                bars = [np.maximum(middle - low, 0.0), np.maximum(high - middle, 0.0)]
                axes.errorbar(at, middle, bars, label=line.title, elinewidth=0.7, capsize=2, **look[line.key].line)
            unit = QUANTITIES[quantity]
            axes.set(xlabel=axis, ylabel=f"mean error ({unit})" if unit else "mean error", title=TITLES[quantity])
            axes.set_ylim(bottom=0.0)
            if logarithmic:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            else:
                axes.xaxis.set_major_locator(MaxNLocator(5))
            if places.size <= MOST_TICKS and not found.continuous:
                axes.set_xticks(places)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter("{x:g}")
        legend_below(figure, panels)
        return png(figure)


def coverage(results: Results, name: str, look: Mapping[str, Look]) -> bytes | None:
    """Share of truths inside the stated regions against the share that was stated, for every network of a set."""
    networks = [network for network in results.of(name) if not network.reduced]
    curves = {}
    for region in FOLLOWED:
        for network in networks:
            found = [coverage_of(network.sets[name], region, level) for level in COVERAGE_LEVELS]
            curves[region, network.plan.name] = [share.share.value for share in found if share is not None]
    regions = [region for region in FOLLOWED if any(shares and key[0] == region for key, shares in curves.items())]
    if not regions:
        return None
    with canvas(len(regions), heading(set_title(name), not is_recorded(name)), size=(2.7, 2.9)) as (figure, panels):
        for region, axes in zip(regions, panels, strict=True):
            axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="as stated")
            for level in LEVELS:
                axes.axvline(level, color=PALE, linewidth=0.6)
            for network in networks:
                shares = curves[region, network.plan.name]
                if shares:
                    axes.plot(COVERAGE_LEVELS, shares, label=network.title, **look[network.plan.name].plain)
            axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=TITLES[region], xlabel="stated probability")
        panels[0].set_ylabel("share of truths inside")
        legend_below(figure, panels)
        return png(figure)
