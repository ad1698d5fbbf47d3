"""Solutions to QuakeML 1.2: degrees, metres, seconds; epicentral distances in degrees."""

from collections.abc import Iterable, Sequence

from lxml import etree

from ..records import Arrival, Hypocenter, Magnitude, Pick, Solution, StationMagnitude
from ..units import east_km_to_degrees, km_to_degrees, km_to_m, north_km_to_degrees
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
from .identifiers import FreshIds, local_smi, to_smi
from .ownpicks import PROBABILITY, OwnPick, arrivals_of, own_picks
from .uncertainty import sigma

NAMESPACE = "http://quakeml.org/xmlns/quakeml/1.2"
BED_NAMESPACE = "http://quakeml.org/xmlns/bed/1.2"

# Lengths of strings in the schema
_AUTHOR, _AGENCY, _VERSION, _TYPE, _CODE = 128, 64, 64, 32, 8


def write_quakeml(solutions: Iterable[Solution], labels: Labels | None = None, own: bool = False) -> bytes:
    """A QuakeML 1.2 document of ``solutions``, one event each, valid against the schema.

    Each event keeps the publicID of the event, or else the origin, that it answers
    (:func:`~seiscomp_dlloc.formats.identifiers.to_smi`); the trigger's picks are copied into it. A solution without
    hypocentre gives an event with comments and no origin. evaluationStatus is ``preliminary`` (or ``labels.status``)
    where the solution is accepted, ``rejected`` where the locator abstains. ``own``: the onsets that the model sees
    become picks and arrivals beside the trigger's (:mod:`~seiscomp_dlloc.formats.ownpicks`), and the origin's quality
    counts them.

    Uncertainties of latitude, longitude, depth and time are one standard deviation; the ellipse and the ellipsoid
    enclose 68.27 % (:mod:`~seiscomp_dlloc.formats.uncertainty`), and confidenceLevel says so.
    """
    labels = labels or Labels()
    ids = FreshIds(labels.token)
    root = etree.Element(f"{{{NAMESPACE}}}quakeml", nsmap={None: BED_NAMESPACE, "q": NAMESPACE})
    parameters = etree.SubElement(root, f"{{{BED_NAMESPACE}}}eventParameters")
    parameters.set("publicID", local_smi(ids.new("EventParameters")))
    created = creation_time(labels)
    for solution in solutions:
        _event(parameters, solution, own_picks(solution) if own else (), labels, ids, created)
    _creation_info(parameters, labels, created)
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return document


def _event(
    parent: etree._Element,
    solution: Solution,
    own: tuple[OwnPick, ...],
    labels: Labels,
    ids: FreshIds,
    created: str,
) -> None:
    event = open_element(parent, "event", publicID=to_smi(solution.trigger.public_id))
    hypocenter = hypocenter_of(solution)
    origin_id = local_smi(ids.new("Origin")) if hypocenter else ""
    magnitude_id = local_smi(ids.new("Magnitude")) if solution.magnitude else ""
    if solution.accepted:
        # What the locator does not stand by, it does not put forward either
        put(event, "preferredOriginID", origin_id)
        put(event, "preferredMagnitudeID", magnitude_id)
    if hypocenter is None:
        _comments(event, solution)
    for pick in picks_of(solution):
        _pick(event, pick)
    if hypocenter is not None:
        for item in own:
            _own_pick(event, solution, item, labels, created)
        _origin(event, solution, hypocenter, arrivals_of(solution, own), origin_id, labels, ids, created)
    if solution.magnitude:
        _magnitude(event, solution, solution.magnitude, magnitude_id, origin_id, labels, ids, created)


def _pick(event: etree._Element, pick: Pick) -> etree._Element:
    element = open_element(event, "pick", publicID=to_smi(pick.public_id))
    put_time(element, "time", pick.time)
    put_waveform_id(element, pick.network[:_CODE], pick.station[:_CODE], pick.location[:_CODE], pick.channel[:_CODE])
    put(element, "phaseHint", pick.phase)
    return element


def _own_pick(event: etree._Element, solution: Solution, own: OwnPick, labels: Labels, created: str) -> None:
    element = _pick(event, own.pick)
    put(element, "methodID", local_smi(solution.model.label))
    put(element, "evaluationMode", "automatic")
    put(element, "evaluationStatus", "" if solution.accepted else "rejected")
    put(open_element(element, "comment", id=local_smi(PROBABILITY)), "text", f"{own.probability:.4f}")
    _creation_info(element, labels, created)


def _origin(
    parent: etree._Element,
    solution: Solution,
    hypocenter: Hypocenter,
    arrivals: Sequence[Arrival],
    origin_id: str,
    labels: Labels,
    ids: FreshIds,
    created: str,
) -> None:
    origin = open_element(parent, "origin", publicID=origin_id)
    east, north, down = (sigma(float(v)) for v in hypocenter.covariance_km2.diagonal())
    latitude = hypocenter.latitude
    put_time(origin, "time", hypocenter.time, hypocenter.time_sigma_s)
    put_quantity(origin, "latitude", latitude, None if north is None else north_km_to_degrees(north, latitude))
    put_quantity(
        origin, "longitude", hypocenter.longitude, None if east is None else east_km_to_degrees(east, latitude)
    )
    put_quantity(origin, "depth", km_to_m(hypocenter.depth_km), None if down is None else km_to_m(down))
    put(origin, "depthType", hypocenter.depth_type)
    put(origin, "methodID", local_smi(labels.method_id))
    put(origin, "earthModelID", local_smi(labels.earth_model_id or solution.model.label))
    put(origin, "type", "hypocenter")
    put_uncertainty(origin, "originUncertainty", hypocenter, km_to_m)
    put_quality(origin, solution, arrivals)
    _evaluation(origin, solution, labels)
    _comments(origin, solution)
    for arrival in arrivals:
        element = open_element(origin, "arrival", publicID=local_smi(ids.new("Arrival")))
        put(element, "pickID", to_smi(arrival.pick.public_id))
        open_element(element, "phase").text = arrival.phase
        put(element, "azimuth", arrival.azimuth_deg)
        put(element, "distance", km_to_degrees(arrival.distance_km))
        put(element, "timeResidual", arrival.residual_s)
        put(element, "timeWeight", arrival.weight)
    _creation_info(origin, labels, created)


def _magnitude(
    event: etree._Element,
    solution: Solution,
    magnitude: Magnitude,
    magnitude_id: str,
    origin_id: str,
    labels: Labels,
    ids: FreshIds,
    created: str,
) -> None:
    element = open_element(event, "magnitude", publicID=magnitude_id)
    # A station magnitude must name its origin, so without one only the network magnitude is written
    for station in magnitude.stations if origin_id else ():
        station_id = _station_magnitude(event, station, magnitude.type, origin_id, ids)
        contribution = open_element(element, "stationMagnitudeContribution")
        put(contribution, "stationMagnitudeID", station_id)
        put(contribution, "residual", station.magnitude - magnitude.value)
    put_quantity(element, "mag", magnitude.value, magnitude.sigma)
    put(element, "type", magnitude.type[:_TYPE])
    put(element, "originID", origin_id)
    put(element, "methodID", local_smi(labels.method_id))
    # No stationCount, as in SCML: a host that imports the file would let the magnitude into its own summary
    _evaluation(element, solution, labels)
    _creation_info(element, labels, created)


def _station_magnitude(
    event: etree._Element, station: StationMagnitude, kind: str, origin_id: str, ids: FreshIds
) -> str:
    """Amplitude and magnitude of a station; the amplitude is that of the Wood-Anderson trace, in metres."""
    code = tuple(part[:_CODE] for part in split_channel(station.station_id, station.channel))
    amplitude_id = local_smi(ids.new("Amplitude"))
    amplitude = open_element(event, "amplitude", publicID=amplitude_id)
    put_quantity(amplitude, "genericAmplitude", station.amplitude_mm / 1000.0)
    put(amplitude, "type", f"A{kind}"[:_TYPE])
    put(amplitude, "category", "point")
    put(amplitude, "unit", "m")
    window = open_element(amplitude, "timeWindow")
    put(window, "begin", 0.0)
    put(window, "end", 0.0)
    put(window, "reference", iso_time(station.time))
    put_waveform_id(amplitude, *code)
    put(amplitude, "magnitudeHint", kind[:_TYPE])
    put(amplitude, "evaluationMode", "automatic")
    station_id = local_smi(ids.new("StationMagnitude"))
    element = open_element(event, "stationMagnitude", publicID=station_id)
    put(element, "originID", origin_id)
    put_quantity(element, "mag", station.magnitude)
    put(element, "type", kind[:_TYPE])
    put(element, "amplitudeID", amplitude_id)
    put_waveform_id(element, *code)
    return station_id


def _evaluation(element: etree._Element, solution: Solution, labels: Labels) -> None:
    put(element, "evaluationMode", "automatic")
    put(element, "evaluationStatus", (labels.status or "preliminary") if solution.accepted else "rejected")


def _comments(element: etree._Element, solution: Solution) -> None:
    for identifier, text in comments_of(solution):
        put(open_element(element, "comment", id=local_smi(identifier)), "text", text)


def _creation_info(element: etree._Element, labels: Labels, created: str) -> None:
    info = open_element(element, "creationInfo")
    put(info, "agencyID", labels.agency_id[:_AGENCY])
    put(info, "author", labels.author[:_AUTHOR])
    put(info, "creationTime", created)
    put(info, "version", labels.version[:_VERSION])
