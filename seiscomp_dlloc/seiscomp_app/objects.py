"""The host's objects: what the rules want to know of an origin, the worker's question, the message of an answer.

Registration of public objects is off in this process (:func:`quiet`): the same origin may then be read twice, from
the database and from a document, and nothing is kept alive by the registry.
"""

import os
import tempfile
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from seiscomp import core, datamodel, io

from .rules import Facts

STATUSES = ("preliminary", "confirmed", "reviewed", "final", "rejected", "reported")
"""Values of evaluationStatus."""


def quiet() -> None:
    """Neither notifiers nor the registry of public objects: both are made for programs with one object tree."""
    datamodel.Notifier.Disable()
    datamodel.PublicObject.SetRegistrationEnabled(False)


def optional(getter: Callable[[], Any], default: Any = None) -> Any:
    """The value of an optional attribute; an unset one raises ValueError in the host's wrappers."""
    try:
        return getter()
    except (ValueError, RuntimeError):
        return default


def posix(moment: Any) -> float:
    """POSIX seconds of a core.Time."""
    text = moment.iso().rstrip("Z")
    form = "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S"
    # Not by the number of seconds: that method has another name in older versions of the host
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()


def host_time(seconds: float) -> Any:
    """core.Time of POSIX seconds."""
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    time = core.Time()
    time.fromString(text, "%F %T.%f")
    return time


def status_code(status: str) -> int:
    """The host's number of an evaluationStatus. Raises ValueError where there is no such status."""
    if status not in STATUSES:
        raise ValueError("evaluationStatus {!r} is none of {}".format(status, ", ".join(STATUSES)))
    return int(getattr(datamodel, status.upper()))


def facts_of(origin: Any) -> Facts:
    """What the rules want to know; phases are the used ones where the origin says so, else its arrivals of weight."""
    info = optional(origin.creationInfo)
    quality = optional(origin.quality)
    depth = optional(origin.depth)
    mode, status = optional(origin.evaluationMode), optional(origin.evaluationStatus)
    used = optional(quality.usedPhaseCount) if quality is not None else None
    if used is None:
        used = sum(1 for arrival in arrivals_of(origin) if optional(arrival.weight, 1.0) > 0)
    created = optional(info.creationTime) if info is not None else None
    return Facts(
        origin.publicID(),
        posix(origin.time().value()),
        origin.latitude().value(),
        origin.longitude().value(),
        None if depth is None else depth.value(),
        optional(info.agencyID, "") if info is not None else "",
        optional(info.author, "") if info is not None else "",
        origin.methodID(),
        "" if mode is None else datamodel.EEvaluationModeNames.name(mode),
        "" if status is None else datamodel.EEvaluationStatusNames.name(status),
        int(used),
        None if created is None else posix(created),
    )


def arrivals_of(origin: Any) -> List[Any]:
    """Arrivals of an origin."""
    return [origin.arrival(index) for index in range(origin.arrivalCount())]


def question(origin: Any, picks: Iterable[Any]) -> bytes:
    """The worker's question: EventParameters with the picks and the origin, as SCML."""
    parameters = datamodel.EventParameters()
    for pick in picks:
        parameters.add(pick)
    parameters.add(origin)
    return to_xml(parameters)


def to_xml(item: Any, formatted: bool = False) -> bytes:
    """An object as an SCML document. Raises RuntimeError where the host cannot write it."""
    with tempfile.TemporaryDirectory(prefix="dlloc-") as folder:
        path = os.path.join(folder, "object.xml")
        archive = io.XMLArchive()
        if not archive.create(path):
            raise RuntimeError(f"{path}: cannot be written")
        archive.setFormattedOutput(formatted)
        archive.writeObject(item)
        if not archive.success():
            archive.close()
            raise RuntimeError(f"an object of class {item.className()} cannot be written as SCML")
        archive.close()
        with open(path, "rb") as handle:
            return handle.read()


def from_xml(document: bytes) -> Any:
    """The EventParameters of an SCML document. Raises ValueError where there are none, or a DTD."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise ValueError("the document has a DTD, which is not read")
    with tempfile.TemporaryDirectory(prefix="dlloc-") as folder:
        path = os.path.join(folder, "object.xml")
        with open(path, "wb") as handle:
            handle.write(document)
        archive = io.XMLArchive()
        if not archive.open(path):
            raise ValueError("the document is not SCML of a version that this host reads")
        item = archive.readObject()
        archive.close()
    parameters = datamodel.EventParameters.Cast(item)
    if parameters is None:
        raise ValueError("the document holds no EventParameters")
    return parameters


def only_origin(document: bytes) -> Any:
    """The origin of a document with one. Raises ValueError where there is none or more than one."""
    parameters = from_xml(document)
    if parameters.originCount() != 1:
        raise ValueError(f"{parameters.originCount()} origins in the document, not one")
    # Cast holds the object; what origin() gives is gone with its parent
    origin = datamodel.Origin.Cast(parameters.origin(0))
    parameters.removeOrigin(0)
    return origin


SUMMARY = "dlloc/summary"
"""Comment for a column: what the worker's answer says in a line, and how far the conventional origin is."""


class Labels:
    """What is written into our origins about where they come from; '' leaves the worker's own.

    An evaluationStatus of '' takes the worker's away.
    """

    def __init__(self, agency: str, author: str, method: str, earth_model: str, status: str) -> None:
        self.agency, self.author, self.method = agency, author, method
        self.earth_model, self.status = earth_model, status


def adapt(
    origin: Any,
    public_id: str,
    labels: Labels,
    comments: Dict[str, str],
    pick_ids: Iterable[str],
    with_arrivals: bool = True,
    with_magnitudes: bool = True,
    with_comments: bool = True,
) -> Any:
    """Make the worker's origin the one that is sent: our publicID throughout, labels, comments; it is changed.

    Arrivals on picks that the host does not know, amplitudes (they are not sent) and stationCount (a magnitude with
    one would enter the network's own) are taken away.
    """
    origin.setPublicID(public_id)
    _label(origin, labels)
    if labels.method:
        origin.setMethodID(labels.method)
    if labels.earth_model:
        origin.setEarthModelID(labels.earth_model)
    origin.setEvaluationStatus(status_code(labels.status) if labels.status else None)
    known = set(pick_ids)
    for index in reversed(range(origin.arrivalCount())):
        if not with_arrivals or origin.arrival(index).pickID() not in known:
            origin.removeArrival(index)
    _magnitudes(origin, public_id, labels, with_magnitudes)
    if not with_comments:
        for index in reversed(range(origin.commentCount())):
            origin.removeComment(index)
        return origin
    there = {origin.comment(index).id(): origin.comment(index) for index in range(origin.commentCount())}
    for name, text in comments.items():
        if name == SUMMARY and name in there:
            there[name].setText(f"{there[name].text()}, {text}")
        elif text and name not in there:
            comment = datamodel.Comment()
            comment.setId(name)
            comment.setText(text)
            origin.add(comment)
    return origin


def _magnitudes(origin: Any, public_id: str, labels: Labels, keep: bool) -> None:
    name = public_id.split("/", 1)[1]
    renamed = {}
    for index in reversed(range(origin.stationMagnitudeCount())):
        station = origin.stationMagnitude(index)
        if not keep:
            origin.removeStationMagnitude(index)
            continue
        renamed[station.publicID()] = f"StationMagnitude/{name}/{index + 1}"
        station.setPublicID(renamed[station.publicID()])
        station.setAmplitudeID("")
        _label(station, labels)
    for index in reversed(range(origin.magnitudeCount())):
        magnitude = origin.magnitude(index)
        if not keep:
            origin.removeMagnitude(index)
            continue
        magnitude.setPublicID(f"Magnitude/{name}/{index + 1}")
        magnitude.setStationCount(None)
        if labels.method:
            magnitude.setMethodID(labels.method)
        magnitude.setEvaluationStatus(status_code(labels.status) if labels.status else None)
        _label(magnitude, labels)
        for number in range(magnitude.stationMagnitudeContributionCount()):
            contribution = magnitude.stationMagnitudeContribution(number)
            contribution.setStationMagnitudeID(
                renamed.get(contribution.stationMagnitudeID(), contribution.stationMagnitudeID())
            )


def _label(item: Any, labels: Labels) -> None:
    info = optional(item.creationInfo)
    if info is None:
        info = datamodel.CreationInfo()
        info.setCreationTime(core.Time.GMT())
    if labels.agency:
        info.setAgencyID(labels.agency)
    if labels.author:
        info.setAuthor(labels.author)
    item.setCreationInfo(info)


def parts_of(origin: Any) -> List[Tuple[str, Any, str, str]]:
    """(parent's publicID, object, class, name) of an origin and all below it, parents first.

    The name tells objects of one class below one parent apart: publicID, pickID, the comment's id. The objects live
    as long as the origin, which is the first of them.
    """
    name = origin.publicID()
    rows = [("EventParameters", origin, "Origin", name)]
    rows += [(name, origin.comment(i), "Comment", origin.comment(i).id()) for i in range(origin.commentCount())]
    rows += [(name, arrival, "Arrival", arrival.pickID()) for arrival in arrivals_of(origin)]
    for index in range(origin.stationMagnitudeCount()):
        station = origin.stationMagnitude(index)
        rows.append((name, station, "StationMagnitude", station.publicID()))
    for index in range(origin.magnitudeCount()):
        magnitude = origin.magnitude(index)
        rows.append((name, magnitude, "Magnitude", magnitude.publicID()))
        for number in range(magnitude.stationMagnitudeContributionCount()):
            part = magnitude.stationMagnitudeContribution(number)
            rows.append((magnitude.publicID(), part, "StationMagnitudeContribution", part.stationMagnitudeID()))
    return rows


def message_of(rows: Iterable[Tuple[str, Any, str, str]]) -> Any:
    """A message that adds the objects of :func:`parts_of`."""
    message = datamodel.NotifierMessage()
    for parent, item, _, _ in rows:
        message.attach(datamodel.Notifier(parent, datamodel.OP_ADD, item))
    return message


def solution_comments(
    answer: Dict[str, Any], profile: str, revision: int, final: bool, distance: Optional[Tuple[float, Optional[float]]]
) -> Dict[str, str]:
    """Comments beside those of the worker: profile, revision, completeness, distance to the conventional origin."""
    stations = answer.get("stations") or {}
    comments = {
        "dlloc/profile": profile,
        "dlloc/revision": f"{revision}{', final' if final else ''}",
        "dlloc/data": "complete" if answer.get("complete") else "partial",
    }
    if stations.get("used") is not None:
        comments["dlloc/station-count"] = "{}".format(stations["used"])
    summary = [] if answer.get("complete") else ["partial data"]
    if distance is not None:
        sigma = "" if distance[1] is None else f" ({distance[1]:.1f} sigma)"
        summary.append(f"{distance[0]:.1f} km{sigma} from conventional")
        comments["dlloc/distance-km"] = f"{distance[0]:.2f}"
        if distance[1] is not None:
            comments["dlloc/distance-sigma"] = f"{distance[1]:.2f}"
    if summary:
        comments[SUMMARY] = ", ".join(summary)
    return comments
