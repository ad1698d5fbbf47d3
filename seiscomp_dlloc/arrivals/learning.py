"""Station corrections from past events, that nobody needs to have picked or located."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import SettingError
from ..geometry import LocalFrame
from ..records import Onset, Station, Trigger
from ..traveltimes import PHASES, hash_of, name_of
from .corrections import PhaseDelay, StationCorrections, StationDelay
from .sourceterms import SourceTerms

LEAST_PROBABILITY = 0.9
"""Onsets that the model is less sure of tell nothing of a delay."""

SHRINK_EVENTS = 3.0
"""A delay from n events counts n / (n + 3): as if so many events had seen none."""

_MAD_TO_SIGMA = 1.4826


def residuals_of(events: Iterable[Iterable[Onset]]) -> dict[tuple[str, str], list[float]]:
    """Residuals (s) of sure onsets by station and phase, of the onsets of each event."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for onsets in events:
        for onset in onsets:
            if onset.probability >= LEAST_PROBABILITY:
                found[onset.station_id, onset.phase].append(onset.residual_s)
    return dict(found)


def seen_from(onsets: Iterable[Onset], times: Mapping[tuple[str, str], float]) -> tuple[Onset, ...]:
    """Onsets of one event with the residuals that they have from a place known otherwise.

    ``times``: travel times (s) from there, by station and phase; onsets without one are left out. The origin time that
    the sure ones give, their median, is taken away: a catalogue's belongs to an earth of its own.
    """
    known = [(onset, onset.time - times[onset.station_id, onset.phase]) for onset in onsets
             if np.isfinite(times.get((onset.station_id, onset.phase), np.nan))]  # fmt: skip
    sure = [origin for onset, origin in known if onset.probability >= LEAST_PROBABILITY]
    if not sure:
        return ()
    middle = float(np.median(sure))
    return tuple(replace(onset, residual_s=origin - middle) for onset, origin in known)


def learn(
    residuals: Mapping[tuple[str, str], list[float]],
    earth_model: dict[str, Any],
    before: StationCorrections | None = None,
) -> StationCorrections:
    """Corrections that take the median of each station's and phase's residuals away, added to those ``before``.

    The residuals must be those of locations made with the earth model of that document and ``before``. Medians are
    shrunk towards nothing where events are few; scatter is 1.4826 times the median absolute deviation. Raises
    SettingError without any residual.
    """
    if not residuals:
        raise SettingError("corrections: no event was located with onsets that are sure enough; give more of them")
    known = {station.station_id: station for station in before.stations} if before else {}
    names = sorted({station for station, _ in residuals} | set(known))
    stations = []
    for name in names:
        delays: dict[str, PhaseDelay | None] = {}
        for phase in ("P", "S"):
            old = known[name].of(phase) if name in known else None
            values = residuals.get((name, phase), [])
            delays[phase] = _delay(values, old)
        stations.append(StationDelay(name, delays["P"], delays["S"]))
    return StationCorrections(name_of(earth_model), hash_of(earth_model), tuple(stations))


def _delay(values: list[float], before: PhaseDelay | None) -> PhaseDelay | None:
    if not values:
        return before
    middle = float(np.median(values))
    scatter = _MAD_TO_SIGMA * float(np.median(np.abs(np.asarray(values) - middle)))
    change = middle * len(values) / (len(values) + SHRINK_EVENTS)
    return PhaseDelay((before.delay_s if before else 0.0) + change, len(values), scatter)


LENGTHS_KM = (0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""Tried for what delays differ by from place to place."""

LEAST_GAIN = 0.05
"""What they must take away of the residuals of events that they were not learned from, or they are left out."""

MOST_EVENTS = 1000
"""Of more past events the newest are kept: all of them are asked at every node of a search."""

OUTLIERS = 4.0
"""A residual farther than so many scatters from its station's delay tells of a wrong onset; it is pulled in so far."""


def learn_sources(
    events: Sequence[tuple[Trigger, Iterable[Onset]]], stations: Sequence[Station], corrections: StationCorrections
) -> SourceTerms | None:
    """What the delays ``corrections`` differ by from place to place; None where that foretells nothing.

    ``events``: where they lie, and their onsets with residuals from there without corrections. The length over which
    events resemble each other is the one that foretells best, by the median absolute residual, what each event has from
    the others alone.
    """
    newest = sorted((e for e in events if e[0].depth_km is not None), key=lambda event: event[0].time)[-MOST_EVENTS:]
    rows = {station.id: row for row, station in enumerate(stations)}
    residual = np.full((len(newest), len(rows), len(PHASES)), np.nan)
    for k, (_, onsets) in enumerate(newest):
        for onset in onsets:
            if onset.probability >= LEAST_PROBABILITY and onset.station_id in rows:
                residual[k, rows[onset.station_id], PHASES.index(onset.phase)] = onset.residual_s
    residual -= corrections.delays_s(stations)
    if not np.isfinite(residual).any():
        return None
    every = float(np.nanmedian(np.abs(residual)))
    most = OUTLIERS * _MAD_TO_SIGMA * every
    residual = np.clip(residual, -most, most)
    latitude, longitude, depth = (
        np.array([getattr(trigger, name) for trigger, _ in newest], float)
        for name in ("latitude", "longitude", "depth_km")
    )
    best, least = None, 1.0 - LEAST_GAIN
    for length in LENGTHS_KM:
        terms = SourceTerms(length, 1.0, latitude, longitude, depth, tuple(rows), residual)
        left = _left(terms, stations) / every if every else 1.0
        if left < least:
            best, least = replace(terms, left_share=left), left
    return best


def _left(terms: SourceTerms, stations: Sequence[Station]) -> float:
    """Median absolute residual (s) that is left of each event by the terms of all others."""
    frame = LocalFrame(float(np.mean(terms.latitude)), float(np.mean(terms.longitude)))
    return float(np.nanmedian(np.abs(terms.residual_s - terms.local(frame, stations).left_out())))
