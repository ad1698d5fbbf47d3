"""One picture per event: record section, network map, location image in plan and in two depth sections.

Matplotlib without pyplot: no global state, no display, any thread.
"""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..formats.atomic import write_atomically
from ..formats.plain import ellipse_km, sigma_depth_km
from ..locate import Located
from ..records import Hypocenter
from .maps import close_up, network_map
from .picture import INK, RESULT_COLOUR, EventPicture
from .section import record_section

__all__ = ["EventPicture", "event_figure", "located_png", "png", "save"]

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#555555",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    # A publicID with dollar signs is no formula
    "text.parse_math": False,
}


def save(figure: Figure, path: Path) -> None:
    """Write a PNG; SettingError where the file cannot be written."""
    write_atomically(path, png(figure))


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": "seiscomp_dlloc"})
    return buffer.getvalue()


def located_png(located: Located) -> bytes:
    """The picture of an event as it comes from the locator; empty where there is nothing to draw."""
    if located.solution.hypocenter is None or located.conditioned is None:
        return b""
    picture = EventPicture(located.solution, located.conditioned, located.stations, located.travel_times, located.image)
    return png(event_figure(picture))


def event_figure(picture: EventPicture) -> Figure:
    """The figure of one located event.

    Raises ValueError where the solution has no hypocentre: there is nothing to draw.
    """
    solution = picture.solution
    if solution.hypocenter is None:
        raise ValueError("a solution without hypocentre has no figure")
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(12.5, 8.6), facecolor="white")
        FigureCanvasAgg(figure)
        columns = figure.add_gridspec(
            1, 2, width_ratios=(1.0, 1.02), wspace=0.16, left=0.055, right=0.985, top=0.885, bottom=0.06
        )
        record_section(figure.add_subplot(columns[0]), picture, solution.hypocenter)
        rows = columns[1].subgridspec(2, 1, height_ratios=(1.0, 1.12), hspace=0.2)
        network_map(figure.add_subplot(rows[0]), picture, solution.hypocenter)
        close_up(figure, rows[1], picture, solution.hypocenter)
        _headline(figure, picture, solution.hypocenter)
    return figure


def _headline(figure: Figure, picture: EventPicture, hypocenter: Hypocenter) -> None:
    solution = picture.solution
    # To the next hundredth: cut off, 53.619991 s would read otherwise than in the tables
    when = datetime.fromtimestamp(round(hypocenter.time, 2), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-4]
    word = "Theoretical seismograms (synthetic): " if picture.theoretical else ""
    figure.text(0.055, 0.962, f"{word}{solution.trigger.public_id}", fontsize=12, fontweight="bold")
    sigma = _sigma_text(hypocenter)
    magnitude = f"   {solution.magnitude.type} {solution.magnitude.value:.1f}" if solution.magnitude else ""
    status = "accepted" if solution.abstention is None else f"abstained: {solution.abstention.reason}"
    peak = f"   peak {solution.peak:.2f}" if solution.peak is not None else ""
    figure.text(
        0.055,
        0.931,
        f"{when} UTC   {_degrees(hypocenter.latitude, 'NS')} {_degrees(hypocenter.longitude, 'EW')}{sigma[0]}   "
        f"depth {hypocenter.depth_km:.1f} km{sigma[1]}{magnitude}",
        fontsize=9.5,
    )
    figure.text(
        0.985,
        0.931,
        f"{status}{peak}   {len(solution.used_stations)} stations   {solution.model.label} on "
        f"{solution.model.provider.removesuffix('ExecutionProvider')}",
        fontsize=8.5,
        ha="right",
        color=INK if solution.accepted else RESULT_COLOUR,
    )


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):.3f}°{letters[0] if value >= 0 else letters[1]}"


def _sigma_text(hypocenter: Hypocenter) -> tuple[str, str]:
    """Standard deviations of the epicentre, along the longer axis of its ellipse as in the table, and of the depth."""
    major, depth = ellipse_km(hypocenter)[0], sigma_depth_km(hypocenter)
    texts = ["" if np.isnan(sigma) else f" ± {sigma:.1f} km" for sigma in (major, depth)]
    return texts[0], texts[1]
