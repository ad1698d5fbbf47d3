"""Onsets that a model sees, as picks and arrivals of its origin: for files, that bring their picks along.

What is answered to a host refers to the host's own picks alone, for it has no others.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ..records import Arrival, Onset, Pick, Solution
from .document import split_channel

LEAST_PROBABILITY = 0.5
"""Onsets are written that the station rather recorded than not."""

PROBABILITY = "dlloc/probability"
"""Id of the comment that a pick has."""


@dataclass(frozen=True)
class OwnPick:
    """A pick of ours, the origin's arrival that refers to it, and the probability that the phase is there."""

    pick: Pick
    arrival: Arrival
    probability: float


def own_picks(solution: Solution) -> tuple[OwnPick, ...]:
    """The solution's onsets of :data:`LEAST_PROBABILITY` and more, in their order.

    The arrival's weight is the probability: the model's evidence for the onset, whose odds these are, is what the
    place and the origin time were found with. publicIDs depend on what the solution says alone, so that the same answer
    gives the same ones: time, station and phase, and a hash of these, the trigger and the model.
    """
    return tuple(_own(solution, onset) for onset in solution.onsets if _writable(onset))


def arrivals_of(solution: Solution, own: tuple[OwnPick, ...]) -> tuple[Arrival, ...]:
    """Arrivals of the trigger's picks, then ours."""
    return (*solution.arrivals, *(item.arrival for item in own))


def _writable(onset: Onset) -> bool:
    return onset.probability >= LEAST_PROBABILITY and math.isfinite(onset.time) and math.isfinite(onset.residual_s)


def _own(solution: Solution, onset: Onset) -> OwnPick:
    network, station, location, channel = split_channel(onset.station_id, onset.channel)
    pick = Pick(_public_id(solution, onset), onset.time, network, station, location, channel, onset.phase)
    arrival = Arrival(
        pick, onset.phase, onset.distance_km, onset.azimuth_deg, onset.residual_s, min(onset.probability, 1.0)
    )
    return OwnPick(pick, arrival, onset.probability)


def _public_id(solution: Solution, onset: Onset) -> str:
    when = datetime.fromtimestamp(onset.time, UTC).strftime("%Y%m%d%H%M%S.%f")
    told = "\n".join((solution.trigger.public_id, solution.model.sha256, when, onset.station_id, onset.phase))
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"Pick/dlloc/{when}/{onset.station_id}/{onset.phase}/{digest}"
