"""Whether two origins are of one earthquake: the conventional chain revises its origin many times within seconds."""

from dataclasses import dataclass
from typing import FrozenSet

from .chain import distance_km
from .rules import Facts

COMMON_PICKS = 3
NEAR_S, NEAR_KM = 5.0, 50.0


@dataclass(frozen=True)
class Seen:
    """An origin and the publicIDs of its picks."""

    facts: Facts
    picks: FrozenSet[str]


def same_event(one: Seen, other: Seen) -> bool:
    """Whether they share three picks (as scevent asks) or, having fewer, nearly all of time, place and picks."""
    fewest = min(len(one.picks), len(other.picks))
    common = len(one.picks & other.picks)
    if fewest >= COMMON_PICKS:
        return common >= COMMON_PICKS
    if fewest and not common:
        return False
    far = distance_km(one.facts.latitude, one.facts.longitude, other.facts.latitude, other.facts.longitude)
    return abs(one.facts.time - other.facts.time) <= NEAR_S and far <= NEAR_KM
