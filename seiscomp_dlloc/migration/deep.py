"""Events below the crust: a second search, beneath the first one's box, where a network is wide enough to see them.

Most networks have no such events, and none of what the first search finds changes unless depth explains more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .area import Box
from .search import Found

DEEPEST_KM = 300.0
"""Below, P of local distances leaves the crust's phases; and the window ends."""

NEARLY = 10.0
"""Units of the evidence: what the prior for depth may decide alone, and a little."""

SPACING_KM = 30.0
"""Between the depths of the first grid."""


def box_below(box: Box, aperture_km: float) -> Box | None:
    """What lies below ``box``, as deep as the network is wide; None where that leaves no room.

    A smaller network sees a deep event as a wave from straight below.
    """
    top, bottom = box.z_km[1], min(DEEPEST_KM, aperture_km)
    if bottom < top + SPACING_KM:
        return None
    return Box(box.x_km, box.y_km, (top, bottom))


def nearly(shallow: Found, deep: Found) -> tuple[str, ...]:
    """A note where the one that is not taken explains nearly as much."""
    if abs(shallow.score - deep.score) > NEARLY:
        return ()
    left, taken = sorted((shallow, deep), key=lambda found: found.score)
    (x, y, z), (x0, y0, _) = (_best(found) for found in (left, taken))
    return (f"an event {z:.0f} km deep, {np.hypot(x - x0, y - y0):.0f} km away, explains nearly as much",)


def _best(found: Found) -> tuple[float, float, float]:
    depth, row, column = np.unravel_index(int(np.argmax(found.log_probability)), found.axes.shape)
    return float(found.axes.x_km[column]), float(found.axes.y_km[row]), float(found.axes.z_km[depth])


def depths(box: Box) -> int:
    """Depths of the first grid in a box."""
    return int((box.z_km[1] - box.z_km[0]) / SPACING_KM) + 2


def prior_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """The passport's ``prior`` for such events: as unlikely all the way down as at the first box's end."""
    prior = dict(head.get("prior", {}))
    if "deep_km" in prior:
        prior["deepest_km"] = float(head["deepest_km"])
    return prior
