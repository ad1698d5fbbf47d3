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
from ..units import km_per_degree_latitude, km_per_degree_longitude, m_to_km
from .eventtables import KINDS, Problem, Tables, collect
from .identifiers import from_smi
from .triggers import identify
from .uncertainty import CONFIDENCE_PERCENT
from .xmlinput import iterate, open_input, read_root

FloatArray = NDArray[np.float64]

_THEORETICAL = re.compile(r"\b(theoretical|synthetic)\b", re.IGNORECASE)
_LOCAL = "smi:local/"
_ESCAPE = re.compile(r"~([0-7][0-9A-F])")

_MISTAKEN = 20.0
"""Errors of the coordinates that, read as degrees, exceed the ellipse so many times are kilometres."""


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
    in_km: list[str] = field(default_factory=list)


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
    origins = tuple(_join(tables, extra))
    if extra.in_km:
        message = (
            f"{len(extra.in_km)} origins have errors of latitude and longitude in kilometres, which QuakeML has in "
            "degrees; they are read as kilometres"
        )
        tables.report(extra.in_km[0], message, lost=False)
    if not origins and not tables.problems:
        raise EventFileError(f"{name}: holds no origin; export the events with their origins")
    return OriginFile(name, origins, tuple(tables.problems))


def _text(element: etree._Element, *path: str) -> str:
    """Text at a path of local names, '' where there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path))
    return "" if found is None else (found.text or "").strip()


def _number(element: etree._Element, *path: str) -> float:
    """Number at a path of local names, NaN where there is none."""
    try:
        return float(_text(element, *path))
    except ValueError:
        return math.nan


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
    value, public_id = _number(element, tag, "value"), element.get("publicID") or ""
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
    extra.origins.setdefault(
        public_id,
        {
            "covariance_km2": _covariance(element, kind, extra),
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


def _covariance(origin: etree._Element, kind: str, extra: _Extra) -> FloatArray:
    """Covariance (km2) from standard errors and the horizontal ellipse.

    The size comes from the uncertainties of latitude, longitude and depth, taken as one standard deviation; the
    orientation from the ellipse, whose size counts only where those of the coordinates are absent: then it encloses
    the confidenceLevel (68.27 % where none is stated). Depth is taken as independent of the epicentre.
    """
    covariance = np.full((3, 3), np.nan)
    latitude = _number(origin, "latitude", "value")
    north, east = _number(origin, "latitude", "uncertainty"), _number(origin, "longitude", "uncertainty")
    down = _number(origin, "depth", "uncertainty")
    body = origin.find("{*}originUncertainty" if kind == "quakeml" else "{*}uncertainty")
    short, long, azimuth, level, radius = (
        (math.nan,) * 5
        if body is None
        else tuple(
            _number(body, name)
            for name in (
                "minHorizontalUncertainty", "maxHorizontalUncertainty", "azimuthMaxHorizontalUncertainty",
                "confidenceLevel", "horizontalUncertainty",
            )
        )
    )  # fmt: skip
    if kind == "quakeml" and math.isfinite(latitude):
        down, short, long, radius = (m_to_km(value) for value in (down, short, long, radius))
        degrees = north * km_per_degree_latitude(latitude), east * km_per_degree_longitude(latitude)
        if math.hypot(*degrees) > _MISTAKEN * (long if math.isfinite(long) else radius):
            extra.in_km.append(origin.get("publicID") or "")
        else:
            north, east = degrees
    if not (math.isfinite(short) and math.isfinite(long)):
        short, long, azimuth = radius, radius, 0.0
    flat = np.full((2, 2), np.nan)
    if short > 0 and long > 0 and math.isfinite(azimuth):
        angle = math.radians(azimuth)
        axes = np.array([[math.sin(angle), math.cos(angle)], [math.cos(angle), -math.sin(angle)]])
        share = min(max(level / 100.0 if level > 0 else CONFIDENCE_PERCENT / 100.0, 0.01), 0.9999)
        flat = axes @ np.diag([long**2, short**2]) @ axes.T / (-2.0 * math.log(1.0 - share))
    if north > 0 and east > 0:
        if np.isfinite(flat).all():
            scale = np.array([east, north]) / np.sqrt(np.diag(flat))
            flat = flat * np.outer(scale, scale)
        else:
            flat = np.diag([east**2, north**2])
    covariance[:2, :2] = flat
    covariance[2, 2] = down**2 if down > 0 else math.nan
    if np.isfinite(flat).all():
        covariance[2, :2] = covariance[:2, 2] = 0.0
    return covariance


def _join(tables: Tables, extra: _Extra) -> Iterator[CatalogueOrigin]:
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
