"""Stations of an inventory at the places of a passport.

A model of a fixed network knows places, not names: each place of the passport is looked up in the inventory first by
its code, then, where that code is gone or has moved away, by its position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..geometry import LocalFrame
from ..passport import Passport
from ..records import Dropped, Station
from ..units import m_to_km

Standing = Literal["matched", "shifted", "renamed", "moved", "ambiguous", "missing"]

SHIFT_KM = 0.05
"""A station further than this from where the passport has it is said to have moved, though it is used."""


@dataclass(frozen=True)
class StationMatch:
    """One place of the passport.

    ``present`` is the inventory's station that stands there (or, ``moved``, the one that bears its code elsewhere),
    ``distance_km`` how far from the passport's coordinates. ``others``: codes between which the place is
    ``ambiguous``.
    """

    wanted: Station
    standing: Standing
    present: Station | None = None
    distance_km: float | None = None
    others: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is one station at the place."""
        return self.standing in ("matched", "shifted", "renamed")


@dataclass(frozen=True)
class NetworkMatch:
    """All places of a passport, in its order."""

    matches: tuple[StationMatch, ...]
    tolerance_km: float

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(station,): whether a station of the inventory stands at the place."""
        return np.array([match.usable for match in self.matches], bool)

    @property
    def stations(self) -> tuple[Station, ...]:
        """(station,): the inventory's station at each place, under its present code and coordinates.

        A place without one keeps the passport's entry. Each code stands there once.
        """
        return tuple(m.present if m.usable and m.present is not None else m.wanted for m in self.matches)

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Places without a station, by the passport's code, and why."""
        return tuple(Dropped(m.wanted.id, self.reason(m)) for m in self.matches if not m.usable)

    def reason(self, match: StationMatch) -> str:
        """Why no station stands at the place of ``match``."""
        if match.standing == "moved":
            return f"{match.distance_km:.1f} km from where the model knows it (allowed {self.tolerance_km:g} km)"
        if match.standing == "ambiguous":
            return f"not in the inventory; {' and '.join(match.others)} stand within {self.tolerance_km:g} km of it"
        return "not in the inventory"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is used although it is not as the passport has it: other codes, other places within the tolerance."""
        renamed = [f"{m.wanted.id} is {m.present.id}" for m in self._standing("renamed") if m.present is not None]
        shifted = [
            f"{m.present.id} by {m.distance_km:.2f} km"
            for m in self.matches
            if m.usable and m.present is not None and (m.distance_km or 0.0) > SHIFT_KM
        ]
        notes = []
        if renamed:
            notes.append(f"stations under another code: {', '.join(renamed)}")
        if shifted:
            notes.append(f"stations that have moved, at their present coordinates: {', '.join(shifted)}")
        return tuple(notes)

    def _standing(self, *standings: Standing) -> list[StationMatch]:
        return [match for match in self.matches if match.standing in standings]


def match_network(wanted: Sequence[Station], available: Sequence[Station], tolerance_km: float) -> NetworkMatch:
    """Which station of the inventory stands at each of the passport's places.

    By code, where the station of that code stands within ``tolerance_km`` (three-dimensional) of the passport's
    coordinates. Else by position: the only station within the tolerance, unless two places would claim it. A station
    that bears the code of another place is never taken for this one: codes that have changed places, or coordinates
    that are wrong throughout, are refused as ``moved`` rather than guessed at.
    """
    known = {station.id: i for i, station in enumerate(available)}
    distance = _distances(wanted, available)
    by_code = {
        row: known[station.id]
        for row, station in enumerate(wanted)
        if station.id in known and distance[row, known[station.id]] <= tolerance_km
    }
    codes = {station.id for station in wanted}
    free = np.array([station.id not in codes for station in available], bool)
    left = [row for row in range(len(wanted)) if row not in by_code]
    near = {row: np.flatnonzero(free & (distance[row] <= tolerance_km)) for row in left}
    claims = np.zeros(len(available), int)
    for places in near.values():
        claims[places] += 1
    matches = []
    for row, station in enumerate(wanted):
        own = known.get(station.id)
        candidates = near.get(row, np.zeros(0, int))
        if row in by_code:
            away = float(distance[row, by_code[row]])
            standing: Standing = "shifted" if away > SHIFT_KM else "matched"
            matches.append(StationMatch(station, standing, available[by_code[row]], away))
        elif candidates.size == 1 and claims[candidates[0]] == 1:
            i = int(candidates[0])
            matches.append(StationMatch(station, "renamed", available[i], float(distance[row, i])))
        elif own is not None:
            matches.append(StationMatch(station, "moved", available[own], float(distance[row, own])))
        elif candidates.size:
            others = tuple(available[int(i)].id for i in candidates)
            matches.append(StationMatch(station, "ambiguous", others=others))
        else:
            matches.append(StationMatch(station, "missing"))
    return NetworkMatch(tuple(matches), tolerance_km)


def match_stations(
    wanted: Sequence[Station], available: Sequence[Station], tolerance_km: float
) -> tuple[NDArray[np.bool_], tuple[Dropped, ...]]:
    """Which of the passport's places (station,) have a station of the inventory; the others named."""
    match = match_network(wanted, available, tolerance_km)
    return match.usable, match.dropped


def _distances(wanted: Sequence[Station], available: Sequence[Station]) -> NDArray[np.float64]:
    """(wanted, available) distances in km, heights included."""
    if not wanted or not available:
        return np.full((len(wanted), len(available)), np.inf)
    # One frame for all: it need not be right to better than a part in a thousand of the few metres between the pairs
    frame = LocalFrame(*(float(np.mean([getattr(s, name) for s in wanted])) for name in ("latitude", "longitude")))
    sides = []
    for stations in (wanted, available):
        x, y = frame.to_local([s.latitude for s in stations], [s.longitude for s in stations])
        sides.append(np.stack([x, y, m_to_km(1.0) * np.array([s.elevation_m for s in stations])], axis=1))
    return np.asarray(np.linalg.norm(sides[0][:, None] - sides[1][None], axis=2))


def stations_to_fetch(passport: Passport, available: Sequence[Station]) -> tuple[Station, ...]:
    """Stations whose waveforms a model wants, under the codes that they have among ``available``.

    Of a fixed network also those that the inventory lacks, for a source may have them; of any network all.
    """
    if not passport.fixed_network:
        return tuple(available)
    return match_network(passport.stations, available, passport.station_tolerance_km).stations
