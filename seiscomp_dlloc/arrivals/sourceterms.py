"""What stations' delays differ by from place to place: means over past events, the nearer the heavier.

Source-specific station terms after Richards-Dinger and Shearer (2000), Earthquake locations in southern California
obtained using source-specific station terms, J. Geophys. Res. 105, 10939-10960; smooth in the distance as those of
Lomax and Savvaidis (2022), High-precision earthquake location using source-specific station terms and inter-event
waveform similarity, J. Geophys. Res. 127.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..geometry import LocalFrame
from ..records import Station
from ..traveltimes import PHASES, FloatArray

SHRINK_EVENTS = 1.0
"""A mean over events of a total weight w counts w / (w + 1): as if one more event, near, had seen no difference."""

OUT_OF_REACH = 3.5
"""Events farther than so many lengths weigh less than 0.003 and are left out."""

_NODES = 4096


@dataclass(frozen=True, eq=False)
class SourceTerms:
    """Residuals of past events beyond their stations' delays.

    ``latitude``, ``longitude`` (degrees) and ``depth_km`` (event,); ``stations``: NET.STA; ``residual_s`` (event,
    station, 2) of P and S, NaN where it was not measured; ``length_km``: standard deviation of the Gaussian;
    ``left_share``: the share of the residuals' scatter that the terms of the others leave at an event. Raises
    :class:`~seiscomp_dlloc.errors.ModelError` where the shapes do not fit each other.
    """

    length_km: float
    left_share: float
    latitude: FloatArray
    longitude: FloatArray
    depth_km: FloatArray
    stations: tuple[str, ...]
    residual_s: FloatArray

    def __post_init__(self) -> None:
        events = len(self.latitude)
        wanted = (events, len(self.stations), len(PHASES))
        if (len(self.longitude), len(self.depth_km)) != (events, events) or self.residual_s.shape != wanted:
            raise ModelError(f"source terms: residuals of shape {self.residual_s.shape} are not those of {wanted}")

    def local(self, frame: LocalFrame, stations: Sequence[Station]) -> "LocalTerms":
        """The same for nodes of a frame and these stations; one that is not known has no terms."""
        places = np.stack([*frame.to_local(self.latitude, self.longitude), self.depth_km], axis=-1)
        rows = {name: row for row, name in enumerate(self.stations)}
        residual = np.full((len(places), len(stations), len(PHASES)), np.nan)
        for column, station in enumerate(stations):
            if station.id in rows:
                residual[:, column] = self.residual_s[:, rows[station.id]]
        return LocalTerms(places, residual, self.length_km)


class LocalTerms:
    """Terms of nodes in one frame. ``places_km`` (event, 3), ``residual_s`` (event, station, 2)."""

    def __init__(self, places_km: FloatArray, residual_s: FloatArray, length_km: float):
        self._places, self._length = places_km.astype(np.float32), np.float32(length_km)
        self._shape = residual_s.shape[1:]
        flat = residual_s.reshape(len(residual_s), -1)
        known = np.isfinite(flat)
        self._known, self._residual = known.astype(np.float32), np.where(known, flat, 0.0).astype(np.float32)

    def at(self, nodes_km: NDArray[np.floating]) -> NDArray[np.float32]:
        """Terms (node, station, 2) in s at nodes (node, 3) in km; 0 far from all events."""
        nodes = np.asarray(nodes_km, np.float32)
        out = np.zeros((len(nodes), self._residual.shape[1]), np.float32)
        for first in range(0, len(nodes), _NODES):
            part = nodes[first : first + _NODES]
            near = self._near(part)
            if near.any():
                out[first : first + _NODES] = self._means(part, near)
        return out.reshape(len(nodes), *self._shape)

    def _near(self, nodes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Events that any of the nodes may feel (event,)."""
        reach = OUT_OF_REACH * self._length
        low, high = nodes.min(axis=0) - reach, nodes.max(axis=0) + reach
        return np.asarray(np.all((self._places >= low) & (self._places <= high), axis=1))

    def _means(self, nodes: NDArray[np.float32], near: NDArray[np.bool_]) -> NDArray[np.float32]:
        weight = self.weights(nodes, self._places[near])
        return np.asarray((weight @ self._residual[near]) / (weight @ self._known[near] + SHRINK_EVENTS))

    def weights(self, nodes: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gaussian weights (node, event)."""
        square = np.sum(nodes**2, axis=1)[:, None] + np.sum(places**2, axis=1) - 2.0 * nodes @ places.T
        return np.asarray(np.exp(np.maximum(square, 0.0) * (-0.5 / self._length**2)))

    def left_out(self) -> NDArray[np.float32]:
        """Terms (event, station, 2) in s at every event's place without that event."""
        weight = self.weights(self._places, self._places)
        np.fill_diagonal(weight, 0.0)
        terms = (weight @ self._residual) / (weight @ self._known + SHRINK_EVENTS)
        return np.asarray(terms.reshape(len(self._places), *self._shape))
