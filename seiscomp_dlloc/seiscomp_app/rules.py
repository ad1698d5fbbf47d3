"""Which origins are located, and with which profile: pure functions of what is known about an origin."""

import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

OWN_PREFIX = "Origin/dlloc/"
"""Every origin of the module has a publicID that begins so."""

Region = Callable[[float, float], bool]


@dataclass(frozen=True)
class Facts:
    """What the rules want to know of an origin: degrees, km, POSIX seconds; '' and None where it is not said."""

    public_id: str
    time: float
    latitude: float
    longitude: float
    depth_km: Optional[float] = None
    agency: str = ""
    author: str = ""
    method: str = ""
    mode: str = ""
    status: str = ""
    phases: int = 0
    created: Optional[float] = None


@dataclass(frozen=True)
class Own:
    """How the module's own origins are known, whichever machine sent them."""

    author: str = ""
    method: str = ""

    def made(self, facts: Facts) -> bool:
        """Whether ``facts`` are of an origin of ours: located by ourselves again, it would never end."""
        if is_own_id(facts.public_id):
            return True
        if self.author and facts.author == self.author:
            return True
        if self.method and facts.method == self.method:
            return True
        return facts.method.split(":")[-1].split("/")[0].upper() == "DLLOC"


def is_own_id(public_id: str) -> bool:
    """Whether a publicID is one of the module's own."""
    return public_id.startswith(OWN_PREFIX)


@dataclass(frozen=True)
class Trigger:
    """Conditions on an origin; empty ones and None ask nothing.

    ``modes``: evaluation modes, ``automatic`` and ``manual``; an origin without mode counts as automatic.
    ``max_age_s``: between the origin's time and now.
    """

    agencies: Tuple[str, ...] = ()
    agencies_blacklist: Tuple[str, ...] = ()
    authors: Tuple[str, ...] = ()
    authors_blacklist: Tuple[str, ...] = ()
    modes: Tuple[str, ...] = ()
    min_phases: int = 0
    max_age_s: Optional[float] = None
    region: Optional[Region] = None


def refusal(facts: Facts, trigger: Trigger, own: Own, now: float) -> Optional[str]:
    """Why an origin is not located, in words for the audit; None where it is."""
    if own.made(facts):
        return "an origin of our own"
    if facts.status == "rejected":
        return "evaluationStatus is rejected"
    if not all(map(math.isfinite, (facts.time, facts.latitude, facts.longitude))):
        return "time or place is not finite"
    if trigger.agencies and not matches(facts.agency, trigger.agencies):
        return "agency %s is not in trigger.agencies" % (facts.agency or "(none)")
    if matches(facts.agency, trigger.agencies_blacklist):
        return f"agency {facts.agency} is in trigger.agenciesBlacklist"
    if trigger.authors and not matches(facts.author, trigger.authors):
        return "author %s is not in trigger.authors" % (facts.author or "(none)")
    if matches(facts.author, trigger.authors_blacklist):
        return f"author {facts.author} is in trigger.authorsBlacklist"
    mode = facts.mode or "automatic"
    if trigger.modes and mode not in trigger.modes:
        return f"evaluation mode {mode} is not in trigger.modes"
    if facts.phases < trigger.min_phases:
        return f"{facts.phases} phases, trigger.minPhases is {trigger.min_phases}"
    if trigger.max_age_s and now - facts.time > trigger.max_age_s:
        return f"{now - facts.time:.0f} s old, trigger.maxAge is {trigger.max_age_s:.0f} s"
    if trigger.region is not None and not trigger.region(facts.latitude, facts.longitude):
        return "outside trigger.region"
    return None


def matches(value: str, patterns: Sequence[str]) -> bool:
    """Whether ``value`` is one of ``patterns``; ``*`` stands for any text and ``?`` for any character."""
    return bool(value) and any(_wild(value, pattern) for pattern in patterns)


def _wild(value: str, pattern: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return value == pattern
    # fnmatch without its brackets, which authors such as scautoloc@[::1] have
    position, star, mark, at = 0, -1, 0, 0
    while at < len(value):
        if position < len(pattern) and pattern[position] in ("?", value[at]) and pattern[position] != "*":
            position, at = position + 1, at + 1
        elif position < len(pattern) and pattern[position] == "*":
            star, mark = position, at
            position += 1
        elif star >= 0:
            mark += 1
            position, at = star + 1, mark
        else:
            return False
    return all(character == "*" for character in pattern[position:])


def choose_profiles(facts: Facts, profiles: Sequence[Tuple[str, Optional[Region]]]) -> List[str]:
    """Names of the profiles whose region holds the origin, in their order; one without region takes every origin."""
    return [name for name, region in profiles if region is None or region(facts.latitude, facts.longitude)]
