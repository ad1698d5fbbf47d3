"""Stations of an inventory against those of a passport, and how a solution lies among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import distance_azimuth
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
    usable = np.zeros(len(wanted), bool)
    dropped = []
    for i, station in enumerate(wanted):
        there = known.get(station.id)
        if there is None:
            dropped.append(Dropped(station.id, "not in the inventory"))
            continue
        away = float(distance_azimuth(station.latitude, station.longitude, there.latitude, there.longitude)[0])
        away = float(np.hypot(away, m_to_km(station.elevation_m - there.elevation_m)))
        if away > tolerance_km:
            reason = f"{away:.1f} km from where the model knows it (allowed {tolerance_km:g} km)"
            dropped.append(Dropped(station.id, reason))
        else:
            usable[i] = True
    return usable, tuple(dropped)


def azimuthal_gap(azimuths_deg: NDArray[np.float64]) -> float | None:
    """Largest gap (degrees) between neighbouring azimuths (n,); 360 with one station, None without any."""
    if azimuths_deg.size == 0:
        return None
    ordered = np.sort(np.asarray(azimuths_deg, float) % 360.0)
    return float(np.max(np.diff(np.append(ordered, ordered[0] + 360.0))))
