"""What the report's figures share: style, colours of networks, panels, bytes. Matplotlib without pyplot or display."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .results import NetworkResults

DPI = 110
SYNTHETIC = "Theoretical seismograms (synthetic)"
INK, PALE = "#333333", "#8A8A8A"

# Okabe and Ito's palette: told apart by colour-blind readers; black comes last, yellow is left out on white
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
_MARKERS, _DASHES = "osD^vPX", ("-", "--", ":")
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#E3E6EA",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    # A title with dollar signs is no formula
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """How a network is drawn, the same in every figure."""

    color: str
    marker: str
    linestyle: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of ``Axes.plot`` for a line with marks."""
        return {**self.plain, "marker": self.marker, "markersize": 4}

    @property
    def plain(self) -> dict[str, Any]:
        """The same without marks."""
        return {"color": self.color, "linestyle": self.linestyle, "linewidth": 1.2}


def looks(networks: Iterable[NetworkResults]) -> dict[str, Look]:
    """A look for each network by its name; colours recur with other dashes after seven."""
    return {
        network.plan.name: Look(
            _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)], _DASHES[k // len(_COLOURS) % len(_DASHES)]
        )
        for k, network in enumerate(networks)
    }


@contextmanager
def canvas(panels: int, title: str, columns: int = 4, size: tuple[float, float] = (2.7, 2.5), **more: Any) -> Iterator[
    tuple[Figure, list[Axes]]
]:  # fmt: skip
    """A figure with so many panels, in the report's style while it is drawn. ``size``: of a panel, inches."""
    columns = min(columns, panels)
    rows = -(-panels // columns)
    with matplotlib.rc_context(_STYLE):
        width = max(columns * size[0], 6.5)
        figure = Figure(figsize=(width, rows * size[1] + 0.7), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
        grid: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False, **more)))
        for axes in grid[panels:]:
            axes.set_axis_off()
        yield figure, grid[:panels]


def legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, each label once, under them."""
    handles = {}
    for part in axes:
        handles.update({label: handle for handle, label in zip(*part.get_legend_handles_labels(), strict=True)})
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, max(1, len(handles))))


def png(figure: Figure) -> bytes:
    """The figure as a PNG of moderate size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "dlloc_training"})
    return buffer.getvalue()


def heading(text: str, theoretical: bool) -> str:
    """A figure's title, which says so where the data are theoretical."""
    return f"{SYNTHETIC}: {text.removeprefix('theoretical ')}" if theoretical else text[:1].upper() + text[1:]
