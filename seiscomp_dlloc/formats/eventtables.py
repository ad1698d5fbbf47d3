"""Elements of a document of events, gathered in tables by publicID as the document is read.

QuakeML nests origins and picks in events; SCML has them side by side, joined by ``originReference``,
``preferredOriginID`` and ``pickID``. Both end in the same tables, for :mod:`.triggers` to join.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from ..records import Pick
from ..units import m_to_km

_CONTAINERS = ("eventParameters", "EventParameters")
# Objects beside each other under the root are spelt with a capital, as in the answer of an external locator
KINDS = {"pick": "pick", "Pick": "pick", "origin": "origin", "Origin": "origin", "event": "event", "Event": "event"}


@dataclass(frozen=True)
class Problem:
    """Something wrong in the file. ``lost``: the object is not among the triggers; else it is, without the part."""

    public_id: str
    message: str
    lost: bool


@dataclass
class Origin:
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
class Event:
    """An event before it is joined: ``origins`` and ``picks`` are publicIDs in the order of the file."""

    public_id: str
    preferred: str
    origins: list[str]
    picks: list[str]


@dataclass
class Tables:
    """Everything that the file holds, by publicID; dictionaries keep the order of the file.

    ``claimed``: publicIDs of the origins that some event refers to.
    """

    name: str
    origins: dict[str, Origin] = field(default_factory=dict)
    picks: dict[str, Pick] = field(default_factory=dict)
    bad_picks: dict[str, str] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def report(self, public_id: str, message: str, lost: bool) -> None:
        """Note a problem with the object."""
        label = public_id or "an object without publicID"
        self.problems.append(Problem(public_id, f"{self.name}: {label}: {message}", lost))


@lru_cache(maxsize=1024)
def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _local(element: etree._Element) -> str:
    """Local name of an element; comments and processing instructions are not in the tree."""
    return _local_name(element.tag)


def collect(element: etree._Element, tables: Tables, kind: str) -> None:
    """Put an element that has ended into the tables and free what is no longer needed; ``kind`` gives the units."""
    what = KINDS[_local(element)]
    parent = element.getparent()
    inside = "" if parent is None else _local(parent)
    if what == "event":
        _collect_event(element, tables)
    elif parent is not None and inside not in (*_CONTAINERS, "event", "seiscomp", "seiscomp3"):
        return
    elif what == "pick":
        _collect_pick(element, tables)
    else:
        _collect_origin(element, tables, kind)
    if inside == "event":
        # The event that holds it still wants its publicID
        element[:] = []
    else:
        _forget(element)


def _forget(element: etree._Element) -> None:
    """Free an element and what stands before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _children(element: etree._Element) -> dict[str, etree._Element]:
    """First child of each local name."""
    children: dict[str, etree._Element] = {}
    for child in element:
        children.setdefault(_local(child), child)
    return children


def _text(element: etree._Element | None) -> str | None:
    """Text of an element, stripped; None where there is no element."""
    return None if element is None else (element.text or "").strip()


def _value(quantity: etree._Element | None) -> str | None:
    """Text of a quantity's value; None where there is none."""
    return None if quantity is None else _text(_children(quantity).get("value"))


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


def _collect_pick(element: etree._Element, tables: Tables) -> None:
    public_id = (element.get("publicID") or "").strip()
    if not public_id:
        tables.report("", f"a pick in line {element.sourceline} has no publicID and is left out", lost=False)
        return
    children = _children(element)
    stream = children.get("waveformID")
    code = {} if stream is None else {str(key): str(value).strip() for key, value in stream.attrib.items()}
    try:
        time = _time(_value(children.get("time")))
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
        _text(children.get("phaseHint")) or "",
    )
    if tables.picks.setdefault(public_id, pick) != pick:
        tables.report(public_id, "this publicID belongs to two different picks; the first is kept", lost=False)


def _collect_origin(element: etree._Element, tables: Tables, kind: str) -> None:
    public_id = (element.get("publicID") or "").strip()
    if not public_id:
        tables.report("", f"the origin in line {element.sourceline} has no publicID", lost=True)
        return
    if public_id in tables.origins:
        tables.report(public_id, "this publicID belongs to two origins; the first is kept", lost=True)
        return
    origin = Origin(public_id)
    tables.origins[public_id] = origin
    children = _children(element)
    try:
        origin.time = _time(_value(children.get("time")))
    except ValueError as error:
        origin.error = str(error)
        return
    values: dict[str, float | None] = {}
    for what, limit in (("latitude", 90.0), ("longitude", 360.0), ("depth", math.inf)):
        text = _value(children.get(what))
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


def _collect_arrival(element: etree._Element, origin: Origin) -> None:
    """Note (pickID, phase, used): an arrival that weighs nothing was not used by whoever located the origin."""
    children = _children(element)
    pick_id = _text(children.get("pickID"))
    if not pick_id:
        origin.problems.append("an arrival has no pickID and is left out")
        return
    weight = _text(children.get("timeWeight", children.get("weight")))
    try:
        used = weight is None or float(weight) != 0.0
    except ValueError:
        used = True
    if _text(children.get("timeUsed")) in ("false", "0"):
        used = False
    origin.arrivals.append((pick_id, _text(children.get("phase")) or "", used))


def _collect_event(element: etree._Element, tables: Tables) -> None:
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
    preferred = _text(_children(element).get("preferredOriginID")) or ""
    # Claimed by a duplicate too, or its origins would come back as origins of no event
    tables.claimed.update([*origins, preferred])
    if public_id in tables.events:
        tables.report(public_id, "this publicID belongs to two events; the first is kept", lost=True)
        return
    tables.events[public_id] = Event(public_id, preferred, origins, held["pick"])
