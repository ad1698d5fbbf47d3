"""A job as its client asked for it, checked."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import EventFileError, SettingError
from ..formats.document import Labels
from ..formats.triggers import read_triggers
from ..records import Trigger
from .protocol import Blobs, Header

HIGHEST_KM = -9.0
"""Depth (km below sea level) of the highest ground there is."""

_LABELS = {"method_id", "earth_model_id", "agency_id", "author", "status"}


@dataclass(frozen=True)
class JobRequest:
    """What is asked of one origin. ``None`` and '' leave the choice to the profile.

    ``document`` is the origin's own (SCML or QuakeML bytes), ``version`` and ``namespace`` its SCML's. ``until``: no
    data after this (POSIX s). ``use_location`` is False where the trigger's location shall not count.
    ``bundle_id``: publicID that the bundle is named for, the answer's own where None.
    """

    id: str
    trigger: Trigger
    document: bytes
    kind: Literal["quakeml", "scml"]
    version: str
    namespace: str
    profile: str | None = None
    model: str | None = None
    waveforms: str | None = None
    inventory: str | None = None
    fixed_depth_km: float | None = None
    max_distance_km: float | None = None
    use_location: bool = True
    wait: Literal["complete", "now"] = "now"
    until: float | None = None
    reply: Literal["origin", "event"] = "origin"
    labels: Labels = field(default_factory=Labels)
    keep_bundle: bool = False
    bundle_id: str | None = None
    waveform_blob: bytes | None = None
    inventory_blob: bytes | None = None


def parse_request(header: Header, blobs: Blobs) -> JobRequest:
    """The job in ``header`` and ``blobs``.

    Raises SettingError naming what is wrong with the header, EventFileError what is wrong with the document: no XML,
    no origin, more than one.
    """
    options = header.get("options") or {}
    if not isinstance(options, dict):
        raise SettingError("options: is no JSON object")
    if "event" not in blobs:
        raise SettingError("the job has no event: send the origin as the blob 'event' (SCML or QuakeML)")
    found = read_triggers(blobs["event"])
    wanted = _text(header, "origin")
    triggers = [t for t in found.triggers if wanted is None or wanted in (t.origin_id, t.event_id)]
    if not triggers:
        reasons = "; ".join(problem.message for problem in found.problems[:3])
        raise EventFileError(
            f"no origin {wanted or 'that could be located'} in the document{reasons and ': '}{reasons}"
        )
    if len(triggers) > 1:
        raise EventFileError(f"the document holds {len(triggers)} events; name the origin of one in 'origin'")
    return JobRequest(
        id=str(header["id"]),
        trigger=triggers[0],
        document=blobs["event"],
        kind=found.kind,
        version=found.version,
        namespace=found.namespace,
        profile=_text(header, "profile"),
        model=_text(options, "model"),
        waveforms=_text(options, "waveforms"),
        inventory=_file(options, "inventory"),
        fixed_depth_km=_number(options, "fixed_depth_km"),
        max_distance_km=_distance(options),
        use_location=options.get("ignore_initial_location") is not True,
        wait=_choice(header, "wait", ("now", "complete")),
        until=_number(header, "until"),
        reply=_choice(header, "reply", ("origin", "event")),
        labels=_labels(header),
        keep_bundle=header.get("keep_bundle") is True,
        bundle_id=_text(header, "bundle_id"),
        waveform_blob=blobs.get("waveforms"),
        inventory_blob=blobs.get("inventory"),
    )


def check_depth(depth_km: float | None, deepest_km: float) -> None:
    """Raise SettingError where the model, or the earth, has no such depth."""
    if depth_km is not None and not HIGHEST_KM <= depth_km <= deepest_km:
        raise SettingError(
            f"fixed_depth_km {depth_km:g}: the model is for depths down to {deepest_km:g} km; "
            f"give kilometres below sea level, {HIGHEST_KM:g} to {deepest_km:g}"
        )


def _labels(header: Header) -> Labels:
    given = header.get("labels") or {}
    if not isinstance(given, dict):
        raise SettingError("labels: is no JSON object")
    # "agency" for short
    named = {"agency_id": given.get("agency"), **given}
    texts: dict[str, Any] = {key: _text(named, key) for key in sorted(_LABELS) if _text(named, key)}
    return Labels(**texts, token=_text(header, "origin_token") or "")


def _distance(options: dict[str, Any]) -> float | None:
    distance = _number(options, "max_distance_km")
    if distance is not None and distance <= 0:
        raise SettingError(f"max_distance_km {distance:g}: must be above 0")
    return distance


def _file(options: dict[str, Any], key: str) -> str | None:
    text = _text(options, key)
    if text is not None and not Path(text).is_absolute():
        raise SettingError(f"{key} {text}: must be an absolute path, for the worker runs elsewhere")
    return text


def _text(source: dict[str, Any], key: str) -> str | None:
    value = source.get(key)
    if value is not None and not isinstance(value, str):
        raise SettingError(f"{key}: is no text")
    return value or None


def _number(source: dict[str, Any], key: str) -> float | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingError(f"{key}: is no number")
    return float(value)


def _choice(source: dict[str, Any], key: str, choices: tuple[Any, ...]) -> Any:
    value = source.get(key, choices[0])
    if value not in choices:
        raise SettingError(f"{key} {str(value)[:40]!r}: is none of {', '.join(choices)}")
    return value
