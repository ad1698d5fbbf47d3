"""Origins of QuakeML or SCML with all that a comparison wants: uncertainty, magnitude, method, comments, picks."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from ..errors import EventFileError
from ..records import Pick
from .eventtables import KINDS, Problem, Tables, collect
from .identifiers import from_smi
from .statederrors import StatedErrors, covariances, number_at, read_errors
from .triggers import identify
from .xmlinput import iterate, open_input, read_root

FloatArray = NDArray[np.float64]

_THEORETICAL = re.compile(r"\b(theoretical|synthetic)\b", re.IGNORECASE)
_LOCAL = "smi:local/"
_ESCAPE = re.compile(r"~([0-7][0-9A-F])")


@dataclass(frozen=True)
class CatalogueOrigin:
    """One origin of a file.

    ``covariance_km2`` (3, 3) km2, x east, y north, z down; NaN where the file says nothing. ``event_id`` is '' where
    no event refers to the origin; ``preferred``: the event prefers it. ``comments``: id -> text. ``created``: POSIX
    s. ``theoretical``: a comment or description says that the seismograms were computed.
    """

    public_id: str
    time: float
    latitude: float
    longitude: float
    depth_km: float | None
    covariance_km2: FloatArray
    event_id: str = ""
    preferred: bool = False
    method: str = ""
    earth_model: str = ""
    agency: str = ""
    author: str = ""
    status: str = ""
    created: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    magnitude: float | None = None
    magnitude_type: str = ""
    picks: tuple[Pick, ...] = ()
    theoretical: bool = False


@dataclass(frozen=True)
class OriginFile:
    """The origins of one file, in its order, and what is wrong with others."""

    name: str
    origins: tuple[CatalogueOrigin, ...]
    problems: tuple[Problem, ...]


@dataclass
class _Extra:
    """What the tables of :mod:`.eventtables` have no place for, by publicID."""

    origins: dict[str, dict[str, Any]] = field(default_factory=dict)
    magnitudes: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    preferred_magnitude: dict[str, str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    theoretical: bool = False
    errors: dict[str, StatedErrors] = field(default_factory=dict)


def read_origins(source: str | Path | bytes) -> OriginFile:
    """Every origin of a QuakeML 1.2 or SCML 0.7-0.14 document that has a time and an epicentre.

    Raises :class:`~seiscomp_dlloc.errors.EventFileError` as
    :func:`~seiscomp_dlloc.formats.triggers.read_triggers` does.
    """
    stream, name = open_input(source, EventFileError)
    extra = _Extra()
    with stream:
        root = read_root(stream, name, EventFileError)
        kind, _ = identify(root, name)
        tables = Tables(name)
        for element in iterate(stream, name, EventFileError, (*KINDS, "magnitude", "Magnitude", "description")):
            what = etree.QName(element).localname.lower()
            if what == "description":
                extra.theoretical |= _is_theoretical(element)
            elif what == "magnitude":
                _note_magnitude(element, extra)
            else:
                if what == "origin":
                    _note_origin(element, extra, kind)
                elif what == "event":
                    _note_event(element, extra)
                collect(element, tables, kind)
    origins = tuple(_join(tables, extra, covariances(extra.errors, tables, kind)))
    if not origins and not tables.problems:
        raise EventFileError(f"{name}: holds no origin; export the events with their origins")
    return OriginFile(name, origins, tuple(tables.problems))


def _text(element: etree._Element, *path: str) -> str:
    """Text at a path of local names, '' where there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path))
    return "" if found is None else (found.text or "").strip()


def _is_theoretical(element: etree._Element) -> bool:
    """Whether a description of all of the file says that its seismograms were computed."""
    parent = element.getparent()
    inside = "" if parent is None else etree.QName(parent).localname
    return inside in ("eventParameters", "EventParameters") and bool(_THEORETICAL.search(element.text or ""))


def _note_magnitude(element: etree._Element, extra: _Extra) -> None:
    parent = element.getparent()
    owner = _text(element, "originID")
    if not owner and parent is not None and etree.QName(parent).localname.lower() == "origin":
        owner = parent.get("publicID") or ""
    tag = "mag" if element.find("{*}mag") is not None else "magnitude"
    value, public_id = number_at(element, tag, "value"), element.get("publicID") or ""
    if math.isfinite(value) and public_id:
        extra.magnitudes.setdefault(public_id, (value, _text(element, "type"), owner))


def _note_event(element: etree._Element, extra: _Extra) -> None:
    public_id = (element.get("publicID") or "").strip()
    extra.preferred_magnitude[public_id] = _text(element, "preferredMagnitudeID")
    for comment in element.findall("{*}comment"):
        if _THEORETICAL.search(_text(comment, "text")):
            extra.events[public_id] = "theoretical"


def _plain_id(text: str) -> str:
    """A method or model as people write it: without the resource identifier's authority and folders."""
    name = from_smi(text)
    if name.startswith(_LOCAL):
        # Ours; its model is NAME/VERSION
        return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name.removeprefix(_LOCAL))
    return name.rstrip("/").rpartition("/")[2] if name.startswith(("smi:", "quakeml:")) else name


def _note_origin(element: etree._Element, extra: _Extra, kind: str) -> None:
    comments: dict[str, str] = {}
    for i, comment in enumerate(element.findall("{*}comment")):
        name = _plain_id(comment.get("id") or _text(comment, "id") or str(i))
        comments.setdefault(name, _text(comment, "text"))
    public_id = (element.get("publicID") or "").strip()
    extra.errors.setdefault(public_id, read_errors(element, kind))
    extra.origins.setdefault(
        public_id,
        {
            "method": _plain_id(_text(element, "methodID")),
            "earth_model": _plain_id(_text(element, "earthModelID")),
            "agency": _text(element, "creationInfo", "agencyID"),
            "author": _text(element, "creationInfo", "author"),
            "created": _text(element, "creationInfo", "creationTime"),
            "status": _text(element, "evaluationStatus"),
            "comments": comments,
            "theoretical": any(_THEORETICAL.search(text) for text in comments.values()),
        },
    )


def _join(tables: Tables, extra: _Extra, of_origin: dict[str, FloatArray]) -> Iterator[CatalogueOrigin]:
    owner: dict[str, tuple[str, bool]] = {}
    for event in tables.events.values():
        for public_id in dict.fromkeys([*event.origins, event.preferred]):
            if public_id:
                owner.setdefault(public_id, (event.public_id, public_id == event.preferred))
    by_origin: dict[str, list[str]] = {}
    for magnitude_id, (_, _, origin_id) in extra.magnitudes.items():
        by_origin.setdefault(origin_id, []).append(magnitude_id)
    for origin in tables.origins.values():
        if origin.error or origin.latitude is None or origin.longitude is None:
            tables.report(origin.public_id, origin.error or "has no epicentre", lost=True)
            continue
        event_id, preferred = owner.get(origin.public_id, ("", False))
        found = CatalogueOrigin(
            from_smi(origin.public_id),
            origin.time,
            origin.latitude,
            origin.longitude,
            origin.depth_km,
            of_origin[origin.public_id],
            event_id=from_smi(event_id),
            preferred=preferred,
            picks=tuple(_picks(origin.arrivals, tables)),
            **extra.origins[origin.public_id],
        )
        value = _magnitude(origin.public_id, event_id, by_origin, extra)
        yield replace(
            found,
            magnitude=None if value is None else value[0],
            magnitude_type="" if value is None else value[1],
            theoretical=found.theoretical or extra.theoretical or event_id in extra.events,
        )


def _magnitude(
    origin_id: str, event_id: str, by_origin: dict[str, list[str]], extra: _Extra
) -> tuple[float, str, str] | None:
    """The origin's magnitude: the event's preferred one where it is the origin's, else the origin's first.

    An event of one origin may leave it out of its magnitudes.
    """
    own = by_origin.get(origin_id, [])
    preferred = extra.preferred_magnitude.get(event_id, "")
    if preferred in own or (not own and preferred in by_origin.get("", [])):
        return extra.magnitudes[preferred]
    return extra.magnitudes[own[0]] if own else None


def _picks(arrivals: list[tuple[str, str, bool]], tables: Tables) -> Iterator[Pick]:
    """Picks of an origin's arrivals that are in the file, each once, with the arrival's phase."""
    seen = set()
    for pick_id, phase, used in arrivals:
        pick = tables.picks.get(pick_id)
        if pick is not None and pick_id not in seen:
            seen.add(pick_id)
            yield replace(pick, phase=phase or pick.phase, used=used)
