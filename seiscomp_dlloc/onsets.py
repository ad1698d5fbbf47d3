"""Onsets that a model sees, with what the search does not know of them: where they were recorded."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .channels import ChannelIndex
from .predict import Predictions
from .records import Dropped, Onset

UPRIGHT_DEG = 75.0
"""A channel that dips more is vertical; one that dips less than its complement is horizontal."""


def completed(
    onsets: Iterable[Onset], network: Predictions, stream: Any, dropped: Iterable[Dropped], index: ChannelIndex
) -> tuple[Onset, ...]:
    """``onsets`` with distance and azimuth of their stations, and the channel that an analyst would look at.

    ``network``: the stations seen from the hypocentre. The channel is the vertical for P, the first horizontal for S,
    of those of ``stream`` that are not ``dropped``; '' where that leaves channels of several sensors, or none of that
    direction.
    """
    places = {station.id: i for i, station in enumerate(network.stations)}
    lost = {item.seed_id for item in dropped if not item.reason.startswith("in part")}
    sensors: dict[str, set[str]] = {}
    for trace in stream or ():
        if trace.id not in lost:
            sensors.setdefault(f"{trace.stats.network}.{trace.stats.station}", set()).add(trace.id)
    found = []
    for onset in onsets:
        i = places[onset.station_id]
        found.append(
            replace(
                onset,
                distance_km=float(network.distance_km[i]),
                azimuth_deg=float(network.azimuth_deg[i]),
                channel=_channel(sorted(sensors.get(onset.station_id, ())), onset, index),
            )
        )
    return tuple(found)


def _channel(seed_ids: list[str], onset: Onset, index: ChannelIndex) -> str:
    if len({seed_id[:-1] for seed_id in seed_ids}) != 1:
        return ""
    for seed_id in seed_ids:
        epoch = index.find(seed_id, onset.time)
        if epoch is None or epoch.dip is None:
            continue
        dip = abs(epoch.dip)
        if dip >= UPRIGHT_DEG if onset.phase == "P" else dip <= 90.0 - UPRIGHT_DEG:
            return seed_id
    return ""
