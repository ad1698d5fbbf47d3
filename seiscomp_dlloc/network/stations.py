"""Stations of an inventory at a time, and in all their epochs."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Station


def inventory_stations(inventory: Any, time: float) -> tuple[Station, ...]:
    """The stations of an :class:`obspy.Inventory` at ``time`` (POSIX s), in order of their ids.

    A station may stand in the inventory several times: the entry valid at ``time`` counts, the latest started one
    where several are; stations without an entry for ``time`` are absent.
    """
    found: dict[str, tuple[float, Station]] = {}
    for start, end, station in _entries(inventory):
        if start <= time <= end and (station.id not in found or start >= found[station.id][0]):
            found[station.id] = start, station
    return tuple(found[key][1] for key in sorted(found))


def _entries(inventory: Any) -> Iterator[tuple[float, float, Station]]:
    """Start, end (POSIX s) and station of every epoch of every station."""
    for network in inventory:
        for item in network:
            station = Station(
                network.code, item.code, float(item.latitude), float(item.longitude), float(item.elevation or 0.0)
            )
            yield *span(item), station


def station_epochs(inventory: Any) -> dict[str, list[tuple[float, float, Station]]]:
    """Start, end (POSIX s) and station of every epoch by ``NET.STA``, in order of the starts."""
    found: dict[str, list[tuple[float, float, Station]]] = {}
    for start, end, station in _entries(inventory):
        found.setdefault(station.id, []).append((start, end, station))
    for epochs in found.values():
        epochs.sort(key=lambda epoch: epoch[0])
    return found


def span(item: Any) -> tuple[float, float]:
    """Start and end (POSIX s) of an epoch, infinite where open."""
    start = item.start_date.timestamp if item.start_date else -math.inf
    return start, item.end_date.timestamp if item.end_date else math.inf


def azimuthal_gap(azimuths_deg: NDArray[np.float64]) -> float | None:
    """Largest gap (degrees) between neighbouring azimuths (n,); 360 with one station, None without any."""
    if azimuths_deg.size == 0:
        return None
    ordered = np.sort(np.asarray(azimuths_deg, float) % 360.0)
    return float(np.max(np.diff(np.append(ordered, ordered[0] + 360.0))))
