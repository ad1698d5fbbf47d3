"""From an origin's publicID to a job: load it, let it settle, apply the rules. Each step may be tried again."""

from dataclasses import dataclass, field
from typing import Any, List, Optional

from .chain import backoff
from .crowd import Seen
from .database import DatabaseAwayError
from .objects import arrivals_of, facts_of, optional
from .plan import Plan
from .rules import choose_profiles, is_own_id, refusal

AWAY_S = 3600.0
"""How long an origin is remembered while the database is away."""


@dataclass
class Candidate:
    """An origin that may become a job. ``profile``: one that it was taken on with before a restart.

    ``forced``: an operator asked for it by name; the rules have no say.
    """

    origin_id: str
    source: str
    since: float
    next_at: float
    tries: int = 0
    away: int = 0
    profile: Optional[str] = None
    forced: bool = False


@dataclass
class Loaded:
    """An origin as the database has it, and the profiles that shall locate it."""

    origin: Any
    picks: List[Any]
    seen: Seen
    profiles: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a candidate: later (both None), refused with a reason, or loaded."""

    refused: Optional[str] = None
    loaded: Optional[Loaded] = None


def consider(candidate: Candidate, database: Any, plan: Plan, now: float) -> Verdict:
    """One step with a candidate whose time has come; sets its ``next_at`` where it has to wait."""
    if is_own_id(candidate.origin_id):
        return Verdict(refused="an origin of our own")
    try:
        found = database.origin(candidate.origin_id)
    except DatabaseAwayError as error:
        candidate.away += 1
        if now - candidate.since > AWAY_S:
            return Verdict(refused=f"{error} for {AWAY_S:.0f} s")
        candidate.next_at = now + backoff(candidate.away, 0.5, 30.0)
        return Verdict()
    candidate.tries += 1
    settled = now - candidate.since >= plan.settle_s + (30.0 if candidate.away else 0.0)
    if found is None:
        if settled:
            return Verdict(refused="not in the database after %.0f s" % (now - candidate.since))
        return _later(candidate, now)
    origin, picks = found
    wanted = {arrival.pickID() for arrival in arrivals_of(origin)}
    there = {pick.publicID() for pick in picks}
    if not settled and (not wanted or wanted - there or len(wanted) < _announced(origin)):
        return _later(candidate, now)
    facts = facts_of(origin)
    if candidate.profile is None and not candidate.forced:
        why = refusal(facts, plan.trigger, plan.own, now)
        if why is not None:
            return Verdict(refused=why)
    regions = [(profile.name, profile.region) for profile in plan.profiles]
    profiles = choose_profiles(facts, regions) if candidate.profile is None else [candidate.profile]
    if not profiles:
        return Verdict(refused="outside the regions of all profiles")
    return Verdict(loaded=Loaded(origin, picks, Seen(facts, frozenset(wanted | there)), profiles))


def _announced(origin: Any) -> int:
    """How many arrivals the origin says that it has, 0 where it does not say."""
    quality = optional(origin.quality)
    return 0 if quality is None else int(optional(quality.associatedPhaseCount, 0))


def _later(candidate: Candidate, now: float) -> Verdict:
    candidate.next_at = now + backoff(candidate.tries, 0.05, 1.0)
    return Verdict()
