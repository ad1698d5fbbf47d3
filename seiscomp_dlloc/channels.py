"""What the inventory says about a channel: orientation, sensitivity, units, epochs; and which sensor to prefer.

ObsPy's look-ups walk the whole inventory each time; the index walks it once.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

BANDS = "HBESCDFGMLRVUT"
"""Order of preference of SEED band codes (first letter)."""

VELOCITY_INSTRUMENTS = "HLP"
ACCELERATION_INSTRUMENTS = "N"
"""SEED instrument codes (second letter). L is a low-gain seismometer by the manual, an accelerometer in some older
networks: the units of the response decide where there are any."""

COMPONENT_SETS = ("ZNE", "Z12", "123", "UVW", "Z23")
"""Component letters that form a sensor, in order of preference."""

UNNAMED_LOCATIONS = ("", "00", "--")

_PREFIX = {"": 1.0, "C": 1e-2, "M": 1e-3, "U": 1e-6, "N": 1e-9}
_UNIT = re.compile(r"^([CMUN]?)M(?:/(?:S|SEC)(\*\*2|\^2|2|/S|/SEC)?|/\(S\*\*2\)()|/\(S\^2\)())?$")
_STANDARD = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}


@dataclass(frozen=True)
class ChannelEpoch:
    """One epoch of one channel.

    ``start``, ``end`` POSIX s; ``azimuth``, ``dip`` degrees (dip positive down), None where unknown;
    ``sensitivity`` counts per ``unit_scale`` metres (per second to the power ``time_power``), None where unknown;
    ``time_power`` is 1 for velocity, 2 for acceleration, 0 for displacement, None for anything else.
    """

    seed_id: str
    start: float
    end: float
    azimuth: float | None
    dip: float | None
    sensitivity: float | None
    unit: str
    unit_scale: float
    time_power: int | None
    response: Any = None


def parse_unit(name: str) -> tuple[float, int | None]:
    """Input unit of a response to (metres per unit, power of 1/s): ``"nm/s"`` gives (1e-9, 1).

    The power is None where the unit is no ground motion.
    """
    match = _UNIT.match(name.strip().upper().replace(" ", ""))
    if match is None:
        return 1.0, None
    if "/" not in match[0]:
        return _PREFIX[match[1]], 0
    accelerated = any(group is not None for group in match.groups()[1:])
    return _PREFIX[match[1]], 2 if accelerated else 1


def _epoch(seed_id: str, channel: Any) -> ChannelEpoch:
    response = channel.response
    overall = getattr(response, "instrument_sensitivity", None)
    value = None if overall is None or not overall.value else float(overall.value)
    if value is not None and not math.isfinite(value):
        value = None
    unit = str(overall.input_units or "") if overall is not None else ""
    if unit == "None":
        unit = ""  # what ObsPy writes into StationXML where there is none, as in SeisComP's inventories
    scale, power = parse_unit(unit)
    if not unit:
        power = 2 if seed_id.rsplit(".", 1)[1][1:2] in ACCELERATION_INSTRUMENTS else 1
    standard = _STANDARD.get(seed_id[-1], (None, None))
    azimuth, dip = channel.azimuth, channel.dip
    if azimuth is None and dip is not None and abs(float(dip)) == 90.0:
        azimuth = 0.0
    if azimuth is None or dip is None:
        azimuth, dip = standard
    return ChannelEpoch(
        seed_id,
        channel.start_date.timestamp if channel.start_date else -math.inf,
        channel.end_date.timestamp if channel.end_date else math.inf,
        None if azimuth is None else float(azimuth),
        None if dip is None else float(dip),
        value,
        unit,
        scale,
        power,
        response if getattr(response, "response_stages", None) else None,
    )


class ChannelIndex:
    """Channels of an inventory by SEED id. Make it once per inventory and keep it."""

    def __init__(self, epochs: Iterable[ChannelEpoch]):
        by_id: dict[str, list[ChannelEpoch]] = {}
        for epoch in epochs:
            by_id.setdefault(epoch.seed_id, []).append(epoch)
        self._by_id = {key: tuple(sorted(group, key=lambda e: e.start)) for key, group in by_id.items()}
        self._by_sensor: dict[str, list[str]] = {}
        for key in sorted(self._by_id):
            self._by_sensor.setdefault(key[:-1], []).append(key)
        self.has_sensitivity = any(e.sensitivity is not None for group in self._by_id.values() for e in group)

    @classmethod
    def from_inventory(cls, inventory: Any) -> "ChannelIndex":
        """Index of an :class:`obspy.Inventory`."""
        return cls(
            _epoch(f"{network.code}.{station.code}.{channel.location_code or ''}.{channel.code}", channel)
            for network in inventory
            for station in network
            for channel in station
        )

    def __contains__(self, seed_id: str) -> bool:
        return self.resolve(seed_id) in self._by_id

    def find(self, seed_id: str, time: float) -> ChannelEpoch | None:
        """Epoch of ``seed_id`` at ``time`` (POSIX s), the latest started where two overlap; None without any."""
        for epoch in reversed(self._by_id.get(self.resolve(seed_id), ())):
            if epoch.start <= time <= epoch.end:
                return epoch
        return None

    def resolve(self, seed_id: str) -> str:
        """The id under which the inventory has a channel.

        Location codes "", "--" and "00" are written for one another often enough that a channel missing under one is
        taken from another; an exact match goes first. Unknown ids are returned as they are.
        """
        if seed_id in self._by_id:
            return seed_id
        network, station, location, code = seed_id.split(".")
        if location in UNNAMED_LOCATIONS:
            for other in UNNAMED_LOCATIONS:
                if (known := f"{network}.{station}.{other}.{code}") in self._by_id:
                    return known
        return seed_id

    def sensor(self, prefix: str, time: float) -> tuple[str, ...]:
        """SEED ids, in order, of the channels that share ``prefix`` (``NET.STA.LOC.HH``) and exist at ``time``."""
        resolved = self.resolve(prefix + "Z")[:-1]
        keys = self._by_sensor.get(resolved, ())
        return tuple(prefix + key[-1] for key in keys if self.find(key, time) is not None)


def seismometer(code: str) -> bool:
    """Whether a channel code (``HHZ``) is that of a seismometer or accelerometer."""
    instruments = VELOCITY_INSTRUMENTS + ACCELERATION_INSTRUMENTS
    return len(code) == 3 and code[1] in instruments and any(code[2] in letters for letters in COMPONENT_SETS)


def preference(prefix: str, accelerometer: bool) -> tuple[int, int, int, str]:
    """Sort key of a sensor ``NET.STA.LOC.HH``, best first.

    Velocity before acceleration, high gain before low gain before geophone, broad bands by :data:`BANDS`, then the
    lowest location code.
    """
    _, _, location, code = prefix.split(".")
    band = BANDS.find(code[0])
    instrument = (VELOCITY_INSTRUMENTS + ACCELERATION_INSTRUMENTS).find(code[1])
    return int(accelerometer), instrument, band if band >= 0 else len(BANDS), location


def component_set(letters: Iterable[str]) -> str:
    """The member of :data:`COMPONENT_SETS` of which most letters are there, the earlier one in a tie."""
    there = frozenset(letters)
    return max(COMPONENT_SETS, key=lambda members: sum(letter in there for letter in members))
