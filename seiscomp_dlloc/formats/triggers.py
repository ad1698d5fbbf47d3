"""Triggered origins from QuakeML 1.2 or SCML 0.7 to 0.14.

The document is read in one pass and its elements are dropped as soon as they are understood, so that thousands of
events need little memory. QuakeML nests origins and picks in events; SCML has them side by side, joined by
``originReference``, ``preferredOriginID`` and ``pickID``: both end in the same tables here, which are joined last.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lxml import etree

from ..errors import EventFileError
from ..records import Pick, Trigger
from ..units import m_to_km
from .xmlinput import Root, iterate, open_input, read_root, scml_version

_CONTAINERS = ("eventParameters", "EventParameters")
# Objects beside each other under the root are spelt with a capital, as in the answer of an external locator
_KINDS = {"pick": "pick", "Pick": "pick", "origin": "origin", "Origin": "origin", "event": "event", "Event": "event"}


@dataclass(frozen=True)
class Problem:
    """Something wrong in the file. ``lost``: the object is not among the triggers; else it is, without the part."""

    public_id: str
    message: str
    lost: bool


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


@dataclass
class _Origin:
    """An origin before it is joined with its event and picks. ``error`` says why it has no time."""

    public_id: str
    time: float = math.nan
    error: str = ""
    latitude: float | None = None
    longitude: float | None = None
    depth_km: float | None = None
    arrivals: list[tuple[str, str, bool]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class _Event:
    """An event before it is joined: ``origins`` and ``picks`` are publicIDs in the order of the file."""

    public_id: str
    preferred: str
    origins: list[str]
    picks: list[str]


@dataclass
class _Tables:
    """Everything that the file holds, by publicID; dictionaries keep the order of the file.

    ``claimed``: publicIDs of the origins that some event refers to.
    """

    name: str
    origins: dict[str, _Origin] = field(default_factory=dict)
    picks: dict[str, Pick] = field(default_factory=dict)
    bad_picks: dict[str, str] = field(default_factory=dict)
    events: dict[str, _Event] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def report(self, public_id: str, message: str, lost: bool) -> None:
        """Note a problem with the object."""
        label = public_id or "an object without publicID"
        self.problems.append(Problem(public_id, f"{self.name}: {label}: {message}", lost))


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
        kind, version = _identify(root, name)
        tables = _Tables(name)
        for element in iterate(stream, name, EventFileError, tuple(_KINDS)):
            if _collect(element, tables, kind):
                _forget(element)
    triggers = _join(tables)
    if not triggers and not tables.problems:
        raise EventFileError(f"{name}: holds no origin; export the events with their origins")
    return TriggerFile(triggers, tuple(tables.problems), kind, version, root.namespace)


def _identify(root: Root, name: str) -> tuple[Literal["quakeml", "scml"], str]:
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


def _local(element: etree._Element) -> str:
    """Local name of an element; '' of anything else."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _collect(element: etree._Element, tables: _Tables, kind: str) -> bool:
    """Put an element that has ended into the tables; True where it can be forgotten."""
    what = _KINDS[_local(element)]
    parent = element.getparent()
    inside = _local(parent) if parent is not None else ""
    if what == "event":
        _collect_event(element, tables)
        return True
    if parent is not None and inside not in (*_CONTAINERS, "event", "seiscomp", "seiscomp3"):
        return False
    if what == "pick":
        _collect_pick(element, tables)
    else:
        _collect_origin(element, tables, kind)
    # The event that holds it still wants its publicID
    if inside != "event":
        return True
    element[:] = []
    return False


def _forget(element: etree._Element) -> None:
    """Free an element and what stands before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _text(element: etree._Element, *path: str) -> str | None:
    """Text of the first descendant along ``path`` of local names, stripped; None where there is none."""
    for name in path:
        for child in element:
            if _local(child) == name:
                element = child
                break
        else:
            return None
    return (element.text or "").strip()


def _time(text: str | None) -> float:
    """xs:dateTime as POSIX seconds; a time without zone is UTC. Raises ValueError."""
    if not text:
        raise ValueError("no time")
    if "T" not in text:
        raise ValueError(f"time '{text}' is no date and time")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"time '{text}' cannot be read") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str, what: str) -> float:
    """A finite number. Raises ValueError."""
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{what} '{text}' is no number") from error
    if not math.isfinite(value):
        raise ValueError(f"{what} '{text}' is not finite")
    return value


def _collect_pick(element: etree._Element, tables: _Tables) -> None:
    public_id = (element.get("publicID") or "").strip()
    if not public_id:
        tables.report("", f"a pick in line {element.sourceline} has no publicID and is left out", lost=False)
        return
    code: dict[str, str] = {}
    for child in element:
        if _local(child) == "waveformID":
            code = {str(key): str(value).strip() for key, value in child.attrib.items()}
    try:
        time = _time(_text(element, "time", "value"))
    except ValueError as error:
        tables.bad_picks.setdefault(public_id, str(error))
        return
    if not code.get("stationCode"):
        tables.bad_picks.setdefault(public_id, "no station code")
        return
    pick = Pick(
        public_id,
        time,
        code.get("networkCode", ""),
        code["stationCode"],
        code.get("locationCode", ""),
        code.get("channelCode", ""),
        _text(element, "phaseHint") or "",
    )
    if tables.picks.setdefault(public_id, pick) != pick:
        tables.report(public_id, "this publicID belongs to two different picks; the first is kept", lost=False)


def _collect_origin(element: etree._Element, tables: _Tables, kind: str) -> None:
    public_id = (element.get("publicID") or "").strip()
    if not public_id:
        tables.report("", f"the origin in line {element.sourceline} has no publicID", lost=True)
        return
    if public_id in tables.origins:
        tables.report(public_id, "this publicID belongs to two origins; the first is kept", lost=True)
        return
    origin = _Origin(public_id)
    tables.origins[public_id] = origin
    try:
        origin.time = _time(_text(element, "time", "value"))
    except ValueError as error:
        origin.error = str(error)
        return
    values: dict[str, float | None] = {}
    for what, limit in (("latitude", 90.0), ("longitude", 360.0), ("depth", math.inf)):
        text = _text(element, what, "value")
        values[what] = None
        if text is None:
            continue
        try:
            value = _number(text, what)
            if abs(value) > limit:
                raise ValueError(f"{what} {text} is out of range")
            values[what] = value
        except ValueError as error:
            origin.problems.append(f"{error}; it is taken as unknown")
    origin.latitude, origin.longitude, depth = values["latitude"], values["longitude"], values["depth"]
    origin.depth_km = m_to_km(depth) if depth is not None and kind == "quakeml" else depth
    for child in element:
        if _local(child) == "arrival":
            _collect_arrival(child, origin)


def _collect_arrival(element: etree._Element, origin: _Origin) -> None:
    """Note (pickID, phase, used): an arrival that weighs nothing was not used by whoever located the origin."""
    pick_id = _text(element, "pickID")
    if not pick_id:
        origin.problems.append("an arrival has no pickID and is left out")
        return
    weight = _text(element, "timeWeight") or _text(element, "weight")
    try:
        used = weight is None or float(weight) != 0.0
    except ValueError:
        used = True
    if _text(element, "timeUsed") in ("false", "0"):
        used = False
    origin.arrivals.append((pick_id, _text(element, "phase") or "", used))


def _collect_event(element: etree._Element, tables: _Tables) -> None:
    public_id = (element.get("publicID") or "").strip()
    held: dict[str, list[str]] = {"origin": [], "pick": [], "originReference": []}
    for child in element:
        name = _local(child)
        if name in ("origin", "pick"):
            held[name].append((child.get("publicID") or "").strip())
        elif name == "originReference":
            held[name].append((child.text or "").strip())
    if not public_id:
        tables.report("", f"the event in line {element.sourceline} has no publicID; its origin stands for it", False)
        return
    origins = [origin for origin in held["origin"] + held["originReference"] if origin]
    preferred = _text(element, "preferredOriginID") or ""
    # Claimed by a duplicate too, or its origins would come back as origins of no event
    tables.claimed.update([*origins, preferred])
    if public_id in tables.events:
        tables.report(public_id, "this publicID belongs to two events; the first is kept", lost=True)
        return
    tables.events[public_id] = _Event(public_id, preferred, origins, held["pick"])


def _join(tables: _Tables) -> tuple[Trigger, ...]:
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


def _choose(event: _Event, tables: _Tables) -> _Origin | None:
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


def _append(triggers: list[Trigger], origin: _Origin, event: _Event | None, tables: _Tables) -> None:
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


def _picks(origin: _Origin, event: _Event | None, tables: _Tables) -> tuple[Pick, ...]:
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
