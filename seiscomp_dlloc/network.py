"""Stations of an inventory against those of a passport, and how a solution lies among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import LocalFrame
from .records import Dropped, Station
from .units import m_to_km


def inventory_stations(inventory: Any, time: float) -> tuple[Station, ...]:
    """The stations of an :class:`obspy.Inventory` at ``time`` (POSIX s), in order of their ids.

    A station may stand in the inventory several times: the entry valid at ``time`` counts, the latest started one
    where several are; stations without an entry for ``time`` are absent.
    """
    found: dict[str, tuple[float, Station]] = {}
    for network in inventory:
        for item in network:
            start = item.start_date.timestamp if item.start_date else -np.inf
            end = item.end_date.timestamp if item.end_date else np.inf
            if not start <= time <= end:
                continue
            station = Station(
                network.code, item.code, float(item.latitude), float(item.longitude), float(item.elevation or 0.0)
            )
            if station.id not in found or start >= found[station.id][0]:
                found[station.id] = start, station
    return tuple(found[key][1] for key in sorted(found))


def match_stations(
    wanted: Sequence[Station], available: Sequence[Station], tolerance_km: float
) -> tuple[NDArray[np.bool_], tuple[Dropped, ...]]:
    """Which of the passport's stations (station,) the inventory has, by code and by position; the others named."""
    known = {station.id: station for station in available}
    usable, dropped = np.zeros(len(wanted), bool), []
    present = [i for i, station in enumerate(wanted) if station.id in known]
    pairs = [(wanted[i], known[wanted[i].id]) for i in present]
    # One frame for all: it need not be right to better than a part in a thousand of the few metres between the pairs
    frame = LocalFrame(*(float(np.mean([getattr(s, name) for s in wanted])) for name in ("latitude", "longitude")))
    x, y = (np.array(v) for v in frame.to_local(*_places(pairs)))
    height = m_to_km(1.0) * np.array([[s.elevation_m for s in pair] for pair in pairs]).reshape(-1, 2)
    away = np.sqrt(np.ptp(x, axis=1) ** 2 + np.ptp(y, axis=1) ** 2 + np.ptp(height, axis=1) ** 2)
    usable[[i for i, distance in zip(present, away, strict=True) if distance <= tolerance_km]] = True
    distances = dict(zip(present, away, strict=True))
    for i in (int(k) for k in np.flatnonzero(~usable)):
        reason = "not in the inventory"
        if i in distances:
            reason = f"{distances[i]:.1f} km from where the model knows it (allowed {tolerance_km:g} km)"
        dropped.append(Dropped(wanted[i].id, reason))
    return usable, tuple(dropped)


def _places(pairs: Sequence[tuple[Station, Station]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitudes and longitudes of pairs, each (pair, 2)."""
    latitude = np.array([[s.latitude for s in pair] for pair in pairs], float).reshape(-1, 2)
    longitude = np.array([[s.longitude for s in pair] for pair in pairs], float).reshape(-1, 2)
    return latitude, longitude


def azimuthal_gap(azimuths_deg: NDArray[np.float64]) -> float | None:
    """Largest gap (degrees) between neighbouring azimuths (n,); 360 with one station, None without any."""
    if azimuths_deg.size == 0:
        return None
    ordered = np.sort(np.asarray(azimuths_deg, float) % 360.0)
    return float(np.max(np.diff(np.append(ordered, ordered[0] + 360.0))))
