"""Triggered origins from QuakeML 1.2 or SCML 0.7 to 0.14.

The document is read in one pass and its elements are dropped as soon as they are understood, so that thousands of
events need little memory; origins, events and picks are joined last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import EventFileError
from ..records import Pick, Trigger
from .eventtables import KINDS, Event, Origin, Problem, Tables, collect
from .xmlinput import Root, iterate, open_input, read_root, scml_version

__all__ = ["Problem", "TriggerFile", "read_triggers"]


@dataclass(frozen=True)
class TriggerFile:
    """What a file of events holds.

    ``triggers``: one per event, in the order of the file, then one per origin that no event refers to. ``problems``
    name the file and the publicID. ``kind``, ``version`` and ``namespace`` are the document's own, to answer in
    kind; version and namespace are '' where the document states none.
    """

    triggers: tuple[Trigger, ...]
    problems: tuple[Problem, ...]
    kind: Literal["quakeml", "scml"]
    version: str
    namespace: str


def read_triggers(source: str | Path | bytes) -> TriggerFile:
    """Triggers of a QuakeML 1.2 or SCML 0.7-0.14 document: a path, or the document itself as bytes.

    An event gives one trigger, from its preferred origin or else its first; so does each origin that no event refers
    to. Picks are those of the origin's arrivals (phase from the arrival, else the pick's hint; ``used`` False where
    the arrival weighs nothing); where a QuakeML event's origins have no arrivals at all, the picks of the event.

    What is wrong with one event (no time, no origin, a publicID that stands twice, a number that is none) is listed
    in ``problems`` and does not touch the others. Raises :class:`~seiscomp_dlloc.errors.EventFileError` naming the
    file where nothing can be read: no such file, no XML, a document type declaration, another kind of document or
    version, damaged XML, or no origin at all.
    """
    stream, name = open_input(source, EventFileError)
    with stream:
        root = read_root(stream, name, EventFileError)
        kind, version = identify(root, name)
        tables = Tables(name)
        for element in iterate(stream, name, EventFileError, tuple(KINDS)):
            collect(element, tables, kind)
    triggers = _join(tables)
    if not triggers and not tables.problems:
        raise EventFileError(f"{name}: holds no origin; export the events with their origins")
    return TriggerFile(triggers, tuple(tables.problems), kind, version, root.namespace)


def identify(root: Root, name: str) -> tuple[Literal["quakeml", "scml"], str]:
    """Kind and version of the document, or the reason why it cannot be read."""
    if root.name == "quakeml":
        if root.namespace and root.namespace_tail != "1.2":
            raise EventFileError(f"{name}: its namespace is {root.namespace}; only QuakeML 1.2 is read")
        return "quakeml", "1.2"
    if root.name in ("seiscomp", "seiscomp3"):
        return "scml", scml_version(root, name, EventFileError)
    if root.name == "FDSNStationXML":
        raise EventFileError(f"{name}: holds stations, not events; give QuakeML or SCML")
    raise EventFileError(f"{name}: its root element is <{root.name}>; give QuakeML (<quakeml>) or SCML (<seiscomp>)")


def _join(tables: Tables) -> tuple[Trigger, ...]:
    """Triggers of the events, then of the origins that no event refers to."""
    triggers: list[Trigger] = []
    for event in tables.events.values():
        origin = _choose(event, tables)
        if origin is not None:
            _append(triggers, origin, event, tables)
    for origin in tables.origins.values():
        if origin.public_id not in tables.claimed:
            _append(triggers, origin, None, tables)
    return tuple(triggers)


def _choose(event: Event, tables: Tables) -> Origin | None:
    """The preferred origin of an event, else its first."""
    preferred = tables.origins.get(event.preferred)
    if preferred is not None:
        return preferred
    first = next((tables.origins[i] for i in event.origins if i in tables.origins), None)
    if first is None:
        named = event.preferred or next(iter(event.origins), "")
        missing = f"its origin {named} is not in the file" if named else "it has no origin"
        tables.report(event.public_id, missing, lost=True)
    elif event.preferred:
        tables.report(
            event.public_id,
            f"its preferred origin {event.preferred} is not in the file; {first.public_id} stands in",
            lost=False,
        )
    return first


def _append(triggers: list[Trigger], origin: Origin, event: Event | None, tables: Tables) -> None:
    """Add the trigger of ``origin``, or say why there is none."""
    public_id = event.public_id if event else origin.public_id
    where = f"origin {origin.public_id}: " if event else ""
    if origin.error:
        tables.report(public_id, f"{where}{origin.error}", lost=True)
        return
    for problem in origin.problems:
        tables.report(public_id, f"{where}{problem}", lost=False)
    triggers.append(
        Trigger(
            origin.public_id,
            origin.time,
            event.public_id if event else "",
            origin.latitude,
            origin.longitude,
            origin.depth_km,
            _picks(origin, event, tables),
        )
    )


def _picks(origin: Origin, event: Event | None, tables: Tables) -> tuple[Pick, ...]:
    """Picks of the origin's arrivals, each once; what is missing is reported."""
    arrivals = origin.arrivals
    if not arrivals and event and not any(tables.origins[i].arrivals for i in event.origins if i in tables.origins):
        arrivals = [(pick_id, "", True) for pick_id in event.picks if pick_id]
    public_id = event.public_id if event else origin.public_id
    picks: dict[str, Pick] = {}
    unknown = 0
    for pick_id, phase, used in arrivals:
        if pick_id in tables.bad_picks:
            tables.report(public_id, f"pick {pick_id}: {tables.bad_picks[pick_id]}; it is left out", lost=False)
        elif pick_id not in tables.picks:
            unknown += 1
        elif pick_id not in picks:
            pick = tables.picks[pick_id]
            picks[pick_id] = Pick(
                pick.public_id,
                pick.time,
                pick.network,
                pick.station,
                pick.location,
                pick.channel,
                phase or pick.phase,
                used,
            )
    if unknown:
        tables.report(
            public_id, f"{unknown} of {len(arrivals)} arrivals name picks that are not in the file", lost=False
        )
    return tuple(picks.values())
