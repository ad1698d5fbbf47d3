"""One event as experiments handle it: ground velocity of the network and what is known of the event."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.geometry import LocalFrame


@dataclass(frozen=True)
class Truth:
    """Hypocentre: degrees, km below sea level; ``magnitude`` NaN where it is not known."""

    latitude: float
    longitude: float
    depth_km: float
    magnitude: float = float("nan")

    def local(self, frame: LocalFrame) -> tuple[float, float, float]:
        """x east, y north, depth in km."""
        x, y = frame.to_local(self.latitude, self.longitude)
        return float(x), float(y), self.depth_km


@dataclass(frozen=True)
class Record:
    """Ground velocity ``data`` (3, station, sample) in m/s, components Z, N, E, stations in the experiment's order.

    ``valid`` (3, station, sample): where observed; data is 0 elsewhere. ``origin_s``: origin time in s after sample 0.
    ``first_pick_s``: the earliest pick of whoever triggered, s after sample 0; None without picks.
    """

    name: str
    data: NDArray[np.floating]
    valid: NDArray[np.bool_]
    rate_hz: float
    origin_s: float
    truth: Truth
    first_pick_s: float | None = None

    @property
    def live(self) -> NDArray[np.bool_]:
        """(station,): stations with any valid sample."""
        return np.asarray(self.valid.any(axis=(0, 2)))

    def without(self, stations: NDArray[np.bool_]) -> "Record":
        """The record with ``stations`` (station,) taken away."""
        keep = ~stations[:, None]
        return replace(self, data=self.data * keep, valid=self.valid & keep)
