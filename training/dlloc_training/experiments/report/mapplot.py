"""Maps of error vectors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from ..reading import ExperimentFile
from .measures import errors_of
from .plots import INK, PALE, canvas, heading, png
from .results import NetworkResults, is_recorded, set_title

MOST_MAPS = 6
_MAP = "coolwarm"
_FAR_DEG_SHARE = 0.6


def error_map(experiment: ExperimentFile, networks: Sequence[NetworkResults], name: str) -> bytes | None:
    """From each true epicentre of a set an arrow to the answer, coloured by the error of depth, with stations.

    The first six networks that have a longitude and a latitude; None where no network has.
    """
    shown = [n for n in networks if name in n.sets and {"x", "y"} <= set(n.sets[name].parameters)][:MOST_MAPS]
    if not shown:
        return None
    depths = [errors_of(n.sets[name]).get("depth", np.zeros(0)) for n in shown]
    known = np.abs(np.concatenate([d[np.isfinite(d)] for d in depths]))
    norm = Normalize(-(limit := float(np.quantile(known, 0.9)) if known.size else 1.0) or -1.0, limit or 1.0)
    title = heading(f"{set_title(name)}, from truth to answer", not is_recorded(name))
    with canvas(len(shown), title, columns=3, size=(3.4, 3.4), sharex=True, sharey=True) as (figure, panels):
        for network, axes in zip(shown, panels, strict=True):
            _panel(axes, experiment, network, name, norm)
        for axes in panels[::3]:
            axes.set_ylabel("latitude (°)")
        for axes in panels[-3:]:
            axes.set_xlabel("longitude (°)")
            axes.tick_params(labelbottom=True)
        figure.colorbar(
            ScalarMappable(norm, _MAP), ax=panels, shrink=0.7, aspect=30, label="depth, answer minus truth (km)"
        )
        return png(figure)


def _panel(axes: Axes, experiment: ExperimentFile, network: NetworkResults, name: str, norm: Normalize) -> None:
    events, region = network.sets[name], experiment.region
    errors = errors_of(events)
    x, y = region.frame.to_local(events.latitude, events.longitude)
    latitude, longitude = region.frame.to_geographic(x + errors["x"], y + errors["y"])
    depth = np.nan_to_num(errors.get("depth", np.zeros(len(events))))
    axes.quiver(
        events.longitude, events.latitude, longitude - events.longitude, latitude - events.latitude, depth,
        cmap=_MAP, norm=norm, angles="xy", scale_units="xy", scale=1.0, width=0.006, edgecolor=INK, linewidth=0.25,
        zorder=3,
    )  # fmt: skip
    axes.scatter(events.longitude, events.latitude, s=5, color=INK, zorder=4, linewidths=0)
    box_x = [region.west, region.east, region.east, region.west, region.west]
    box_y = [region.south, region.south, region.north, region.north, region.south]
    axes.plot(box_x, box_y, color=PALE, linewidth=0.8, linestyle=(0, (4, 3)))
    limits = _limits(experiment)
    axes.scatter(
        [s.longitude for s in experiment.stations], [s.latitude for s in experiment.stations],
        marker="^", s=24, facecolors="white", edgecolors=INK, linewidths=0.8, zorder=2,
    )  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1], title=network.title)
    axes.set_aspect(1.0 / np.cos(np.radians(region.frame.latitude)))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(useOffset=False)


def _limits(experiment: ExperimentFile) -> tuple[tuple[float, float], tuple[float, float]]:
    """The region with the stations near it and a margin: a far station would leave no room for the events."""
    region = experiment.region
    limits = []
    for low, high, places in (
        (region.west, region.east, [s.longitude for s in experiment.stations]),
        (region.south, region.north, [s.latitude for s in experiment.stations]),
    ):
        far = _FAR_DEG_SHARE * (high - low)
        near = [place for place in places if low - far <= place <= high + far]
        first, last = min([low, *near]), max([high, *near])
        margin = 0.1 * (last - first)
        limits.append((first - margin, last + margin))
    return limits[0], limits[1]
