"""What a document says about a solution, whichever format it is written in.

Everything here is in the units of the package (km, degrees of arc where angles are meant, POSIX seconds); the
writers turn them into those of their format.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from .. import __version__
from ..records import Arrival, Hypocenter, Pick, Solution
from ..units import km_to_degrees, km_to_m
from .uncertainty import CONFIDENCE_PERCENT, ellipse, ellipsoid

# Everything but the production Char of XML 1.0
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Labels:
    """What is written about the locator itself.

    ``status``: evaluationStatus of accepted origins, '' for the format's default. ``earth_model_id``: in place of
    the model's name and version, for hosts that look up a profile by it. ``version``: of the software. ``created``:
    POSIX seconds of creation, now where None. ``token``: part of every new publicID, random where ''.
    """

    method_id: str = "DLLOC"
    earth_model_id: str = ""
    agency_id: str = ""
    author: str = "dlloc"
    version: str = __version__
    status: str = ""
    created: float | None = None
    token: str = ""


@dataclass(frozen=True)
class Quality:
    """Quality of an origin; None where it is not known. Distances in km."""

    associated_phases: int
    used_phases: int
    used_stations: int
    standard_error_s: float | None
    azimuthal_gap_deg: float | None
    min_distance_km: float | None
    max_distance_km: float | None


def hypocenter_of(solution: Solution) -> Hypocenter | None:
    """The hypocentre, where there is one and all of it is finite: NaN must never reach a document."""
    h = solution.hypocenter
    if h is None or not all(map(math.isfinite, (h.time, h.latitude, h.longitude, h.depth_km))):
        return None
    return h


def quality_of(solution: Solution, arrivals: Iterable[Arrival] | None = None) -> Quality:
    """Quality of the solution's origin with the ``arrivals`` that are written, those of the trigger's picks where None.

    The standard error is the weighted root mean square of the residuals.
    """
    written = solution.arrivals if arrivals is None else tuple(arrivals)
    used = [a for a in written if a.weight > 0 and math.isfinite(a.residual_s)]
    total = sum(a.weight for a in used)
    rms = math.sqrt(sum(a.weight * a.residual_s**2 for a in used) / total) if used else None
    return Quality(
        len(written),
        len(used),
        len(solution.used_stations),
        rms,
        solution.azimuthal_gap_deg,
        solution.min_distance_km,
        solution.max_distance_km,
    )


def picks_of(solution: Solution) -> tuple[Pick, ...]:
    """Picks of the trigger and of the arrivals, each once."""
    picks: dict[str, Pick] = {}
    for pick in (*solution.trigger.picks, *(arrival.pick for arrival in solution.arrivals)):
        picks.setdefault(pick.public_id, pick)
    return tuple(picks.values())


def summary_of(solution: Solution) -> str:
    """One line for a column: abstention's reason, peak, stations, provider."""
    parts = [f"ABSTAINED ({solution.abstention.reason})"] if solution.abstention else []
    if solution.peak is not None and math.isfinite(solution.peak):
        parts.append(f"peak {solution.peak:.2f}")
    parts.append(f"{len(solution.used_stations)} stations")
    parts.append(solution.model.provider.removesuffix("ExecutionProvider"))
    return ", ".join(part for part in parts if part)


def comments_of(solution: Solution) -> tuple[tuple[str, str], ...]:
    """(id, text) of everything that the formats have no field for.

    The ids are stable, so that scolv can show one of them in a column of its own: ``dlloc/summary``,
    ``dlloc/trigger``, ``dlloc/model``, ``dlloc/provider``, ``dlloc/peak``, ``dlloc/secondary-peaks``,
    ``dlloc/anchor``, ``dlloc/stations``, ``dlloc/dropped``, ``dlloc/abstention``, ``dlloc/magnitude``,
    ``dlloc/notes``; one without content is left out.
    """
    model = solution.model
    abstention = solution.abstention
    notes = list(solution.notes)
    if solution.hypocenter is not None and hypocenter_of(solution) is None:
        notes.append("the hypocentre is not finite and is left out")
    rows: list[tuple[str, str]] = [
        ("summary", summary_of(solution)),
        ("trigger", solution.trigger.origin_id),
        ("model", f"{model.label} sha256:{model.sha256}"),
        ("provider", model.provider),
        ("peak", "" if solution.peak is None or not math.isfinite(solution.peak) else f"{solution.peak:.4f}"),
        ("secondary-peaks", "" if solution.peak is None else str(solution.secondary_peaks)),
        ("anchor", "" if solution.anchor is None else iso_time(solution.anchor)),
        ("stations", " ".join(solution.used_stations)),
        ("dropped", "; ".join(f"{dropped.seed_id}: {dropped.reason}" for dropped in solution.dropped)),
        ("abstention", ": ".join(filter(None, (abstention.reason, abstention.detail))) if abstention else ""),
        ("magnitude", solution.magnitude_note),
        ("notes", "; ".join(notes)),
    ]
    return tuple((f"dlloc/{name}", text) for name, text in rows if text)


def iso_time(time: float) -> str:
    """POSIX seconds as xs:dateTime in UTC with microseconds."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def creation_time(labels: Labels) -> str:
    """When the document was made, as xs:dateTime."""
    moment = datetime.now(UTC) if labels.created is None else datetime.fromtimestamp(labels.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def put(
    parent: etree._Element, tag: str, value: str | bool | int | float | None, **attributes: str
) -> etree._Element | None:
    """Append an element in the namespace of ``parent``; nothing where the value is None, '' or not finite.

    Numbers are written to nine significant digits: a centimetre in a latitude.
    """
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, str):
        text = legal(value)
    elif value is None or not math.isfinite(value):
        return None
    else:
        text = f"{value + 0.0:.9g}"
    if not text:
        return None
    element = open_element(parent, tag, **attributes)
    element.text = text
    return element


def put_quantity(parent: etree._Element, tag: str, value: float | None, uncertainty: float | None = None) -> None:
    """Append a RealQuantity: value and uncertainty; nothing where the value is not finite.

    An uncertainty of zero is left out, for it would claim perfection (and scolv shows a depth with it as fixed).
    """
    if value is None or not math.isfinite(value):
        return
    element = open_element(parent, tag)
    put(element, "value", float(value))
    if uncertainty is not None and uncertainty > 0:
        put(element, "uncertainty", float(uncertainty))


def put_time(parent: etree._Element, tag: str, time: float, uncertainty_s: float | None = None) -> None:
    """Append a TimeQuantity."""
    element = open_element(parent, tag)
    put(element, "value", iso_time(time))
    if uncertainty_s is not None and uncertainty_s > 0:
        put(element, "uncertainty", float(uncertainty_s))


def put_quality(origin: etree._Element, solution: Solution, arrivals: Iterable[Arrival] | None = None) -> None:
    """Append the quality of an origin; both formats have the same fields, distances in degrees."""
    quality = quality_of(solution, arrivals)
    element = open_element(origin, "quality")
    put(element, "associatedPhaseCount", quality.associated_phases)
    put(element, "usedPhaseCount", quality.used_phases)
    put(element, "usedStationCount", quality.used_stations)
    put(element, "standardError", quality.standard_error_s)
    put(element, "azimuthalGap", quality.azimuthal_gap_deg)
    for tag, distance in (("maximumDistance", quality.max_distance_km), ("minimumDistance", quality.min_distance_km)):
        put(element, tag, None if distance is None else km_to_degrees(distance))


def put_uncertainty(
    origin: etree._Element, tag: str, hypocenter: Hypocenter, length: Callable[[float], float], level: bool = True
) -> None:
    """Append ellipse and ellipsoid of an origin as ``tag``; nothing where the horizontal covariance is unknown.

    ``length`` turns km into the format's unit of the ellipse; the ellipsoid's axes are metres in both formats.
    ``level``: whether the format has room for the confidence level.
    """
    flat = ellipse(hypocenter.covariance_km2)
    if flat is None:
        return
    element = open_element(origin, tag)
    put(element, "minHorizontalUncertainty", length(flat.minor_km))
    put(element, "maxHorizontalUncertainty", length(flat.major_km))
    put(element, "azimuthMaxHorizontalUncertainty", flat.azimuth_deg)
    full = ellipsoid(hypocenter.covariance_km2)
    if full is not None:
        body = open_element(element, "confidenceEllipsoid")
        put(body, "semiMajorAxisLength", km_to_m(full.major_km))
        put(body, "semiMinorAxisLength", km_to_m(full.minor_km))
        put(body, "semiIntermediateAxisLength", km_to_m(full.intermediate_km))
        put(body, "majorAxisPlunge", full.plunge_deg)
        put(body, "majorAxisAzimuth", full.azimuth_deg)
        put(body, "majorAxisRotation", full.rotation_deg)
    put(element, "preferredDescription", "uncertainty ellipse")
    put(element, "confidenceLevel", CONFIDENCE_PERCENT if level else None)


def open_element(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    """Append an empty element in the namespace of ``parent``."""
    namespace = etree.QName(parent).namespace
    name = f"{{{namespace}}}{tag}" if namespace else tag
    return etree.SubElement(parent, name, {key: legal(value) for key, value in attributes.items()})


def put_waveform_id(parent: etree._Element, network: str, station: str, location: str, channel: str) -> None:
    """Append a waveformID; a location code goes along with a channel code even where it is empty."""
    attributes = {"networkCode": network, "stationCode": station}
    if channel:
        attributes |= {"locationCode": location, "channelCode": channel}
    open_element(parent, "waveformID", **attributes)


def split_channel(station_id: str, channel: str) -> tuple[str, str, str, str]:
    """(network, station, location, channel) of ``NET.STA`` and ``CHA``, ``LOC.CHA`` or ``NET.STA.LOC.CHA``."""
    network, _, station = station_id.partition(".")
    parts = channel.split(".")
    location = parts[-2] if len(parts) > 1 else ""
    return network, station, location, parts[-1]


def legal(text: str) -> str:
    """``text`` with the characters that XML 1.0 forbids replaced by a question mark."""
    return _FORBIDDEN.sub("?", text)
