"""What is likely of an event before anything is seen of it, as log-probabilities: they are added to the evidence.

Evidence of a clear event is hundreds of these units and nothing here matters; where noise covers it, a place far
outside of the network or deep in the mantle needs more of it than one below the stations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

Prior = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""x, y, z (node,) km to log-probability (node,), not normalised."""


@dataclass(frozen=True)
class Expected:
    """When the event is thought to have begun (s after the evidence's first time): -|t - time_s| / scale_s."""

    time_s: float
    scale_s: float

    def of(self, times_s: FloatArray) -> FloatArray:
        """Of origin times (n,)."""
        return np.asarray(-np.abs(times_s - self.time_s) / self.scale_s)


def place_prior(stations_km: FloatArray, head: dict[str, Any]) -> Prior:
    """Places are as likely as any among the stations (station, 2) and down to the passport's ``shallow_km``.

    Beyond, the logarithm falls by one for every ``outside_share`` of the network's aperture and every ``deep_km``.
    From ``deepest_km`` on, if there is one, no depth is less likely than another. Without these entries everything is
    as likely.
    """
    low, high = stations_km.min(axis=0), stations_km.max(axis=0)
    aperture = float(max(np.max(high - low), 1.0))
    outside = float(head.get("outside_share", np.inf)) * aperture
    shallow, deep = float(head.get("shallow_km", 0.0)), float(head.get("deep_km", np.inf))
    deepest = float(head.get("deepest_km", np.inf))

    def prior(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        beyond = [np.maximum(np.maximum(low[k] - line, line - high[k]), 0.0) for k, line in enumerate((x, y))]
        return np.asarray(-np.hypot(*beyond) / outside - np.maximum(np.minimum(z, deepest) - shallow, 0.0) / deep)

    return prior


def anywhere(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """All places are as likely."""
    return np.zeros(len(x))
