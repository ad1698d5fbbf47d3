"""Solutions to SCML: km, degrees of latitude and longitude, uncertainties of both in km.

Traps that SeisComP sets (facts of its source): latitude and longitude uncertainty are km, unlike QuakeML's degrees;
the axes of the confidence ellipsoid are metres although the horizontal ellipse is km; scmag takes a magnitude with a
stationCount into its own summary, so none is ever written; the elements of an object have a fixed order.
"""

from collections.abc import Iterable, Sequence

from lxml import etree

from ..errors import EventError, SettingError
from ..records import Arrival, Hypocenter, Pick, Solution, StationMagnitude
from ..units import km_to_degrees
from .document import (
    Labels,
    comments_of,
    creation_time,
    hypocenter_of,
    iso_time,
    open_element,
    picks_of,
    put,
    put_quality,
    put_quantity,
    put_time,
    put_uncertainty,
    put_waveform_id,
    split_channel,
)
from .identifiers import FreshIds, from_smi
from .ownpicks import PROBABILITY, OwnPick, arrivals_of, own_picks
from .uncertainty import sigma
from .xmlinput import SCML_VERSIONS

VERSIONS = ("0.12", "0.13", "0.14")
"""Versions of SCML that are written as EventParameters; they know confidenceLevel, older ones do not."""

# The namespace was renamed with 0.14
_OLD_NAMESPACE = "http://geofon.gfz-potsdam.de/ns/seiscomp3-schema/"
_NEW_NAMESPACE = "http://geofon.gfz.de/ns/seiscomp-schema/"


def namespace_of(version: str) -> str:
    """Namespace of a version of SCML."""
    return f"{_NEW_NAMESPACE if version == '0.14' else _OLD_NAMESPACE}{version}"


def write_scml(
    solutions: Iterable[Solution],
    version: str = "0.14",
    labels: Labels | None = None,
    prefer: bool = False,
    own: bool = False,
) -> bytes:
    """An SCML document (EventParameters) of ``solutions``, valid against the schema of ``version``.

    Each solution gives an event that keeps the publicID of the event, or else the origin, that it answers, and refers
    to the new origin; the trigger's picks are copied. Without hypocentre the event holds comments only.
    ``preferredOriginID`` is written only where ``prefer`` says so: an import of the document must not take an event
    away from the conventional origin. evaluationStatus is ``reported`` (or ``labels.status``) where the solution is
    accepted, ``rejected`` where the locator abstains. Uncertainties, and ``own``, as in
    :func:`~seiscomp_dlloc.formats.quakeml.write_quakeml`.

    Raises :class:`~seiscomp_dlloc.errors.SettingError` for a version that is not in :data:`VERSIONS`.
    """
    if version not in VERSIONS:
        raise SettingError(f"SCML version {version} is not written; choose one of {', '.join(VERSIONS)}")
    labels = labels or Labels()
    ids, created = FreshIds(labels.token), creation_time(labels)
    root = _root(version, namespace_of(version))
    parameters = open_element(root, "EventParameters")
    picks: dict[str, Pick] = {}
    amplitudes: list[etree._Element] = []
    origins: list[etree._Element] = []
    events: list[etree._Element] = []
    for solution in solutions:
        for pick in picks_of(solution):
            picks.setdefault(pick.public_id, pick)
        event = open_element(parameters, "event", publicID=from_smi(solution.trigger.public_id))
        events.append(event)
        hypocenter = hypocenter_of(solution)
        if hypocenter is None:
            _comments(event, solution, created)
            continue
        origin = open_element(parameters, "origin", publicID=ids.new("Origin"))
        origins.append(origin)
        magnitude = solution.magnitude
        amplitude_ids = (
            [_amplitude(parameters, station, magnitude.type, ids, amplitudes) for station in magnitude.stations]
            if magnitude
            else []
        )
        ours = own_picks(solution) if own else ()
        for item in ours:
            _own_pick(parameters, solution, item, labels, created)
        arrivals = arrivals_of(solution, ours)
        _fill_origin(origin, solution, hypocenter, arrivals, labels, ids, created, amplitude_ids, version)
        if prefer and solution.accepted:
            put(event, "preferredOriginID", origin.get("publicID"))
        put(event, "originReference", origin.get("publicID"))
    for pick in picks.values():
        _pick(parameters, pick)
    # Picks first, then what refers to them: readers that connect objects as they come want it so
    parameters[:] = [*parameters.iterchildren(f"{{{namespace_of(version)}}}pick"), *amplitudes, *origins, *events]
    return _serialise(root)


def write_origin_reply(
    solution: Solution, version: str = "0.14", namespace: str | None = None, labels: Labels | None = None
) -> bytes:
    """The answer of an external locator: ``<seiscomp>`` with one ``<Origin>`` (capital O), picks by reference only.

    ``version`` and ``namespace`` should be those of the question; None is the version's own namespace, '' none.
    Raises :class:`~seiscomp_dlloc.errors.EventError` where the solution has no hypocentre (the host wants a finite
    depth), :class:`~seiscomp_dlloc.errors.SettingError` for an unknown version.
    """
    if version not in SCML_VERSIONS:
        raise SettingError(f"SCML version {version} is not known; versions 0.7 to 0.14 are")
    hypocenter = hypocenter_of(solution)
    if hypocenter is None:
        reason = solution.abstention.reason if solution.abstention else "the hypocentre is not finite"
        raise EventError(f"{solution.trigger.public_id}: no origin to answer with ({reason})")
    labels = labels or Labels()
    ids = FreshIds(labels.token)
    root = _root(version, namespace_of(version) if namespace is None else namespace)
    origin = open_element(root, "Origin", publicID=ids.new("Origin"))
    created = creation_time(labels)
    _fill_origin(origin, solution, hypocenter, solution.arrivals, labels, ids, created, (), version)
    return _serialise(root)


def _root(version: str, namespace: str) -> etree._Element:
    if not namespace:
        return etree.Element("seiscomp", version=version)
    return etree.Element(f"{{{namespace}}}seiscomp", nsmap={None: namespace}, version=version)


def _serialise(root: etree._Element) -> bytes:
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return document


def _pick(parameters: etree._Element, pick: Pick, method: str = "") -> etree._Element:
    element = open_element(parameters, "pick", publicID=from_smi(pick.public_id))
    put_time(element, "time", pick.time)
    put_waveform_id(element, pick.network, pick.station, pick.location, pick.channel)
    put(element, "methodID", method)
    put(element, "phaseHint", pick.phase)
    return element


def _own_pick(parameters: etree._Element, solution: Solution, own: OwnPick, labels: Labels, created: str) -> None:
    element = _pick(parameters, own.pick, solution.model.label)
    put(element, "evaluationMode", "automatic")
    put(element, "evaluationStatus", "" if solution.accepted else "rejected")
    _creation_info(element, labels, created)
    comment = open_element(element, "comment")
    put(comment, "text", f"{own.probability:.4f}")
    put(comment, "id", PROBABILITY)


def _amplitude(
    parameters: etree._Element, station: StationMagnitude, kind: str, ids: FreshIds, amplitudes: list[etree._Element]
) -> str:
    """Amplitude of a station on the Wood-Anderson instrument, in mm as SeisComP has it; its publicID."""
    element = open_element(parameters, "amplitude", publicID=ids.new("Amplitude"))
    amplitudes.append(element)
    put(element, "type", kind)
    put_quantity(element, "amplitude", station.amplitude_mm)
    window = open_element(element, "timeWindow")
    put(window, "reference", iso_time(station.time))
    put(window, "begin", 0.0)
    put(window, "end", 0.0)
    put(element, "unit", "mm")
    put_waveform_id(element, *split_channel(station.station_id, station.channel))
    put(element, "evaluationMode", "automatic")
    return str(element.get("publicID"))


def _fill_origin(
    origin: etree._Element,
    solution: Solution,
    hypocenter: Hypocenter,
    arrivals: Sequence[Arrival],
    labels: Labels,
    ids: FreshIds,
    created: str,
    amplitude_ids: Iterable[str],
    version: str,
) -> None:
    """Children of an origin, in the order of the schema."""
    east, north, down = (sigma(float(v)) for v in hypocenter.covariance_km2.diagonal())
    put_time(origin, "time", hypocenter.time, hypocenter.time_sigma_s)
    put_quantity(origin, "latitude", hypocenter.latitude, north)
    put_quantity(origin, "longitude", hypocenter.longitude, east)
    put_quantity(origin, "depth", hypocenter.depth_km, down)
    put(origin, "depthType", hypocenter.depth_type)
    put(origin, "methodID", labels.method_id)
    put(origin, "earthModelID", labels.earth_model_id or solution.model.label)
    put_quality(origin, solution, arrivals)
    put_uncertainty(origin, "uncertainty", hypocenter, float, level=version in VERSIONS)
    put(origin, "type", "hypocenter")
    put(origin, "evaluationMode", "automatic")
    put(origin, "evaluationStatus", _status(solution, labels))
    _creation_info(origin, labels, created)
    _comments(origin, solution, created)
    for arrival in arrivals:
        element = open_element(origin, "arrival")
        put(element, "pickID", from_smi(arrival.pick.public_id))
        open_element(element, "phase").text = arrival.phase
        put(element, "azimuth", arrival.azimuth_deg)
        put(element, "distance", km_to_degrees(arrival.distance_km))
        put(element, "timeResidual", arrival.residual_s)
        put(element, "timeUsed", arrival.weight > 0)
        put(element, "weight", arrival.weight)
    _magnitude(origin, solution, labels, ids, created, amplitude_ids)


def _magnitude(
    origin: etree._Element,
    solution: Solution,
    labels: Labels,
    ids: FreshIds,
    created: str,
    amplitude_ids: Iterable[str],
) -> None:
    """Station magnitudes, then the network magnitude without stationCount."""
    magnitude = solution.magnitude
    if magnitude is None:
        return
    known = list(amplitude_ids) or [""] * len(magnitude.stations)
    contributions = []
    for station, amplitude_id in zip(magnitude.stations, known, strict=True):
        element = open_element(origin, "stationMagnitude", publicID=ids.new("StationMagnitude"))
        contributions.append((element.get("publicID"), station.magnitude - magnitude.value))
        put_quantity(element, "magnitude", station.magnitude)
        put(element, "type", magnitude.type)
        put(element, "amplitudeID", amplitude_id)
        put_waveform_id(element, *split_channel(station.station_id, station.channel))
    element = open_element(origin, "magnitude", publicID=ids.new("Magnitude"))
    put_quantity(element, "magnitude", magnitude.value, magnitude.sigma)
    put(element, "type", magnitude.type)
    put(element, "methodID", labels.method_id)
    put(element, "evaluationStatus", _status(solution, labels))
    _creation_info(element, labels, created)
    for station_id, residual in contributions:
        contribution = open_element(element, "stationMagnitudeContribution")
        put(contribution, "stationMagnitudeID", station_id)
        put(contribution, "residual", residual)


def _status(solution: Solution, labels: Labels) -> str:
    return (labels.status or "reported") if solution.accepted else "rejected"


def _comments(element: etree._Element, solution: Solution, created: str) -> None:
    for identifier, text in comments_of(solution):
        comment = open_element(element, "comment")
        put(comment, "text", text)
        put(comment, "id", identifier)


def _creation_info(element: etree._Element, labels: Labels, created: str) -> None:
    info = open_element(element, "creationInfo")
    put(info, "agencyID", labels.agency_id)
    put(info, "author", labels.author)
    put(info, "creationTime", created)
    put(info, "version", labels.version)
