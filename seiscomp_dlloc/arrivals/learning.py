"""Station corrections from past events, that nobody needs to have picked or located."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import SettingError
from ..records import Onset
from ..traveltimes import hash_of, name_of
from .corrections import PhaseDelay, StationCorrections, StationDelay

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
