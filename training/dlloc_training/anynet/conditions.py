"""What is done to events, or to the earth that they are located in, before they are measured: names and meanings."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.traveltimes import name_of

CLEAN = "clean"
TRACE, NETWORK, PEAK = "trace", "network", "peak"
STATIONS, REMOVED = "stations", "removed"
SHIFTED, VELOCITY = "shifted", "velocity"

NOISE = (TRACE, NETWORK, PEAK)
_EXCLUSIVE = (NOISE, (STATIONS, REMOVED), (SHIFTED,), (VELOCITY,))
_MOST_PERCENT = 50.0

_HOW = (
    "clean, trace:SNR, network:SNR, peak:SNR, stations:NUMBER, removed:NUMBER, shifted:SECONDS, velocity:PERCENT, or "
    "some of them, of different sorts, joined by +, as in stations:10+network:1.5"
)


@dataclass(frozen=True)
class Condition:
    """What is done to every event, in order: (kind, value)."""

    parts: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """As :func:`condition_of` reads it."""
        return "+".join(_text(kind, value) for kind, value in self.parts) or CLEAN

    @property
    def waveforms(self) -> "Condition":
        """What is done to the waveforms alone."""
        return Condition(tuple(part for part in self.parts if part[0] != VELOCITY))

    @property
    def velocity_percent(self) -> float:
        """By how much all velocities of the locators' earth are wrong; 0 where they are not."""
        return dict(self.parts).get(VELOCITY, 0.0)


def _text(kind: str, value: float) -> str:
    return f"{kind}:{value:+g}" if kind == VELOCITY else f"{kind}:{value:g}"


def condition_of(name: str) -> Condition:
    """The condition of this name. Raises SettingError."""
    if name == CLEAN:
        return Condition()
    # A + that a letter follows joins two parts; the other one is the sign of a percentage
    parts = tuple(_part(text, name) for text in re.split(r"\+(?![\d.])", name))
    kinds = [kind for kind, _ in parts]
    if any(sum(kinds.count(kind) for kind in group) > 1 for group in _EXCLUSIVE):
        raise SettingError(f"condition {name}: two parts of one sort; known are {_HOW}")
    return Condition(parts)


def _part(text: str, name: str) -> tuple[str, float]:
    kind, _, value = text.partition(":")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (kind in _LEGAL and _LEGAL[kind](number)):
        raise SettingError(f"condition {name}: {text} is none; known are {_HOW}")
    return kind, number


def _positive(number: float) -> bool:
    return 0.0 < number < math.inf


def _count(number: float) -> bool:
    return _positive(number) and number == math.floor(number)


def _percentage(number: float) -> bool:
    return 0.0 < abs(number) <= _MOST_PERCENT


_LEGAL: dict[str, Callable[[float], bool]] = {
    **dict.fromkeys((*NOISE, SHIFTED), _positive),
    **dict.fromkeys((STATIONS, REMOVED), _count),
    VELOCITY: _percentage,
}


def scaled_earth(earth_model: dict[str, Any], percent: float) -> dict[str, Any]:
    """The earth model (a passport's ``earth_model``) with all velocities ``percent`` higher, its layers where they are.

    Raises SettingError for one of TauP's own models, which cannot be changed.
    """
    if not percent:
        return earth_model
    if earth_model["kind"] != "layers":
        raise SettingError(
            f"condition {VELOCITY}: the velocities of {name_of(earth_model)}, a model of TauP's, cannot be changed; "
            "give --earth-model with a file of layers"
        )
    factor = 1.0 + percent / 100.0
    layers = [layer | {key: factor * layer[key] for key in ("vp_km_s", "vs_km_s")} for layer in earth_model["layers"]]
    return earth_model | {"name": f"{name_of(earth_model)} {percent:+g} %", "layers": layers}
