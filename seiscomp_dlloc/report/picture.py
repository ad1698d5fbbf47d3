"""What a figure shows, and the colours and marks that its panels share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Conditioned, Hypocenter, LocationImage, Solution, Station
from ..traveltimes import TravelTimes

FloatArray = NDArray[np.float64]

# Okabe and Ito's palette: told apart by colour-blind readers
P_COLOUR, S_COLOUR, RESULT_COLOUR, TRUTH_COLOUR = "#0072B2", "#D55E00", "#C1121F", "#009E73"
INK, PALE = "#333333", "#8A8A8A"

RESULT_MARK: dict[str, Any] = {
    "marker": "*", "color": RESULT_COLOUR, "markersize": 13, "markeredgecolor": "white", "markeredgewidth": 0.7,
    "linestyle": "none", "zorder": 6,
}  # fmt: skip
TRIGGER_MARK: dict[str, Any] = {
    "marker": "D", "color": "none", "markersize": 7, "markeredgecolor": "#B8860B", "markeredgewidth": 1.4,
    "linestyle": "none", "zorder": 5,
}  # fmt: skip
TRUTH_MARK: dict[str, Any] = {
    "marker": "+", "color": TRUTH_COLOUR, "markersize": 11, "markeredgewidth": 2.0, "linestyle": "none", "zorder": 7,
}  # fmt: skip


@dataclass(frozen=True)
class EventPicture:
    """What a figure shows.

    ``stations`` are in the order of ``conditioned``'s station axis. ``image`` is None for a model with a vector
    head. ``truth`` is the hypocentre that theoretical seismograms were computed for; ``theoretical`` puts that word
    into the title.
    """

    solution: Solution
    conditioned: Conditioned
    stations: tuple[Station, ...]
    travel_times: TravelTimes
    image: LocationImage | None = None
    theoretical: bool = False
    truth: Hypocenter | None = None
