"""Stations of an inventory against those of a passport, and how a solution lies among them.

A model of a fixed network knows places, not names: each place of the passport is looked up in the inventory first by
its code, then, where that code is gone or has moved away, by its position.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .geometry import LocalFrame, distance_azimuth
from .passport import Passport
from .records import Dropped, Station
from .units import m_to_km

Standing = Literal["matched", "shifted", "renamed", "moved", "ambiguous", "missing"]

SHIFT_KM = 0.05
"""A station further than this from where the passport has it is said to have moved, though it is used."""

TURN_DEG = 1.0
"""Epochs of a channel whose azimuth or dip differ by more than this are told."""


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
        return tuple(Dropped(m.wanted.id, self._reason(m)) for m in self.matches if not m.usable)

    def _reason(self, match: StationMatch) -> str:
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


@dataclass(frozen=True)
class Change:
    """Something about a station that changed from one epoch of the inventory to the next at ``time`` (POSIX s)."""

    seed_id: str
    time: float
    what: str


@dataclass(frozen=True)
class NetworkReport:
    """A passport's network and an inventory at ``time`` (POSIX s). ``match`` is None for a model of any network."""

    model: str
    time: float
    needed: int
    available: int
    match: NetworkMatch | None
    changes: tuple[Change, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether the model may be used with the inventory."""
        return self.found >= self.needed

    @property
    def found(self) -> int:
        """Stations that the model can use."""
        return self.available if self.match is None else int(self.match.usable.sum())

    def lines(self) -> list[str]:
        """The report for people: the verdict first, then what is not as the passport has it."""
        when = _day(self.time)
        known = "" if self.match is None else f" of the model's {len(self.match.matches)}"
        verdict = "enough" if self.enough else "TOO FEW: the model is refused"
        rows = [f"{self.found}{known} stations on {when}, {self.needed} needed: {verdict}"]
        for match in () if self.match is None else self.match.matches:
            if match.standing != "matched":
                rows.append(f"{match.wanted.id}: {self._told(match)}")
        rows += [f"{change.seed_id}: {change.what} on {_day(change.time)}" for change in self.changes]
        return rows

    def _told(self, match: StationMatch) -> str:
        if match.present is not None and match.usable:
            code = f"renamed, {match.present.id} stands at" if match.standing == "renamed" else "moved,"
            return f"{code} {match.distance_km:.2f} km from its place; used with its present coordinates"
        return f"{match.standing}, left out: {self.match._reason(match) if self.match else ''}"

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        rows = () if self.match is None else self.match.matches
        return {
            "model": self.model,
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(),
            "needed": self.needed,
            "found": self.found,
            "enough": self.enough,
            "tolerance_km": None if self.match is None else self.match.tolerance_km,
            "stations": [
                {
                    "code": m.wanted.id,
                    "standing": m.standing,
                    "present_code": None if m.present is None else m.present.id,
                    "distance_km": m.distance_km,
                    "others": list(m.others),
                }
                for m in rows
            ],
            "changes": [asdict(change) for change in self.changes],
        }


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
            yield *_span(item), station


def station_epochs(inventory: Any) -> dict[str, list[tuple[float, float, Station]]]:
    """Start, end (POSIX s) and station of every epoch by ``NET.STA``, in order of the starts."""
    found: dict[str, list[tuple[float, float, Station]]] = {}
    for start, end, station in _entries(inventory):
        found.setdefault(station.id, []).append((start, end, station))
    for epochs in found.values():
        epochs.sort(key=lambda epoch: epoch[0])
    return found


def _span(item: Any) -> tuple[float, float]:
    start = item.start_date.timestamp if item.start_date else -math.inf
    return start, item.end_date.timestamp if item.end_date else math.inf


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


def network_report(passport: Passport, inventory: Any, time: float) -> NetworkReport:
    """The passport's network against an :class:`obspy.Inventory` at ``time`` (POSIX s), epochs compared."""
    available = inventory_stations(inventory, time)
    match = None
    if passport.fixed_network:
        match = match_network(passport.stations, available, passport.station_tolerance_km)
    changes = epoch_changes(inventory, (s.id for s in stations_to_fetch(passport, available)))
    return NetworkReport(
        f"{passport.name} {passport.version}", time, passport.min_stations, len(available), match, changes
    )


def epoch_changes(inventory: Any, station_ids: Iterable[str]) -> tuple[Change, ...]:
    """What changed between the epochs of stations (``NET.STA``): coordinates, and directions of their channels."""
    wanted = frozenset(station_ids)
    changes = []
    for key, epochs in station_epochs(inventory).items():
        for (_, _, old), (start, _, new) in pairwise(epochs) if key in wanted else ():
            away = float(distance_azimuth(old.latitude, old.longitude, new.latitude, new.longitude)[0])
            if away > SHIFT_KM:
                changes.append(Change(key, start, f"moved by {away:.2f} km"))
    for seed_id, directions in _directions(inventory, wanted).items():
        directions.sort()
        for (_, *old_angles), (start, *angles) in pairwise(directions):
            for name, before, after in zip(("azimuth", "dip"), old_angles, angles, strict=True):
                # A vertical has no azimuth
                if name == "azimuth" and abs(abs(angles[1]) - 90.0) <= TURN_DEG:
                    continue
                if abs((after - before + 180.0) % 360.0 - 180.0) > TURN_DEG:
                    changes.append(Change(seed_id, start, f"{name} changed from {before:g} to {after:g} degrees"))
    return tuple(sorted(changes, key=lambda change: (change.seed_id, change.time, change.what)))


def _directions(inventory: Any, wanted: frozenset[str]) -> dict[str, list[tuple[float, float, float]]]:
    """(start, azimuth, dip) of every epoch of every channel that states both, by SEED id."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for network in inventory:
        for station in network:
            if f"{network.code}.{station.code}" not in wanted:
                continue
            for channel in station:
                if channel.azimuth is None or channel.dip is None:
                    continue
                seed_id = f"{network.code}.{station.code}.{channel.location_code or ''}.{channel.code}"
                row = _span(channel)[0], float(channel.azimuth), float(channel.dip)
                found.setdefault(seed_id, []).append(row)
    return found


def azimuthal_gap(azimuths_deg: NDArray[np.float64]) -> float | None:
    """Largest gap (degrees) between neighbouring azimuths (n,); 360 with one station, None without any."""
    if azimuths_deg.size == 0:
        return None
    ordered = np.sort(np.asarray(azimuths_deg, float) % 360.0)
    return float(np.max(np.diff(np.append(ordered, ordered[0] + 360.0))))


def _day(time: float) -> str:
    if not math.isfinite(time):
        return "an unknown date"
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
