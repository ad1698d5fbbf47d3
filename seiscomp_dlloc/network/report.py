"""A passport's network against an inventory, told to people and programs, and what changed from epoch to epoch."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ..geometry import distance_azimuth
from ..passport import Passport
from .matching import SHIFT_KM, NetworkMatch, StationMatch, match_network, stations_to_fetch
from .stations import inventory_stations, span, station_epochs

TURN_DEG = 1.0
"""Epochs of a channel whose azimuth or dip differ by more than this are told."""


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
        return f"{match.standing}, left out: {self.match.reason(match) if self.match else ''}"

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
                row = span(channel)[0], float(channel.azimuth), float(channel.dip)
                found.setdefault(seed_id, []).append(row)
    return found


def _day(time: float) -> str:
    if not math.isfinite(time):
        return "an unknown date"
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
