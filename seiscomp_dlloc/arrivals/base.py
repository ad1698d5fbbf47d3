"""What a search asks of travel times: the same two questions, whatever answers them.

Times are seconds from the origin to the first arrival, NaN where there is none; the phase axis has the order of
:data:`~seiscomp_dlloc.traveltimes.PHASES`, P before S.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import LocalFrame
from ..records import Station
from ..traveltimes import PHASES, FloatArray

TimeArray = NDArray[np.float32]


class LocalArrivals(Protocol):
    """Travel times to stations whose places in one frame are known: what is asked thousands of times."""

    def times(self, x_km: ArrayLike, y_km: ArrayLike, z_km: ArrayLike) -> TimeArray:
        """Travel times (s) from nodes of the frame, (k, station, phase), float32.

        ``x_km`` east, ``y_km`` north, ``z_km`` depth below sea level, each (k,) and finite. The array is laid out in
        memory so that the nodes of one station and phase are neighbours. Raises ValueError for nodes that are no
        such arrays.
        """
        ...


class ArrivalTimes(Protocol):
    """Travel times from any node to any station."""

    def times(
        self, latitude: ArrayLike, longitude: ArrayLike, depth_km: ArrayLike, stations: Sequence[Station]
    ) -> FloatArray:
        """Travel times (s) from nodes to ``stations``, (k, station, phase).

        ``latitude`` and ``longitude`` in degrees, ``depth_km`` below sea level, each (k,) and finite.
        """
        ...

    def local(self, frame: LocalFrame, stations: Sequence[Station]) -> LocalArrivals:
        """The same for nodes given in ``frame``; what depends on the stations alone is computed once, here."""
        ...


def nodes(first: ArrayLike, second: ArrayLike, third: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The three coordinates of nodes as float64 (k,); ValueError where they are not finite or not of one length."""
    arrays = np.asarray(first, float), np.asarray(second, float), np.asarray(third, float)
    if any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        raise ValueError(f"nodes need three arrays of one length, got {[array.shape for array in arrays]}")
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise ValueError("the coordinates of nodes must be finite")
    return arrays


def empty_times(count: int, stations: int) -> TimeArray:
    """Room for (k, station, phase) times, the nodes of one station and phase side by side in memory."""
    return np.empty((stations, len(PHASES), count), np.float32).transpose(2, 0, 1)
