"""``sources`` of a file of station corrections: what their delays differ by from place to place."""

from typing import Any

import numpy as np

from ..arrivals.sourceterms import SourceTerms
from ..errors import ModelError
from .jsonchecks import is_number, require_object, require_station

LARGEST_S, LARGEST_KM = 60.0, 1000.0

PHASES = ("P", "S")
"""Along the last axis of the residuals."""


def sources_document(sources: SourceTerms) -> dict[str, Any]:
    """``sources`` as :mod:`.corrections` says; residuals to the millisecond, places to a metre or so."""
    residuals = {}
    for column, station in enumerate(sources.stations):
        values = sources.residual_s[:, column]
        if np.isfinite(values).any():
            residuals[station] = {phase: _listed(values[:, k]) for k, phase in enumerate(PHASES)}
    places = zip(sources.latitude, sources.longitude, sources.depth_km, strict=True)
    return {
        "length_km": sources.length_km,
        "left_share": round(sources.left_share, 4),
        "events": [[round(float(a), 5), round(float(b), 5), round(float(c), 3)] for a, b, c in places],
        "residuals_s": dict(sorted(residuals.items())),
    }


def _listed(values: Any) -> list[float | None]:
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]


def read_sources(document: Any, where: str) -> SourceTerms:
    """What :func:`sources_document` wrote. Raises ModelError naming ``where`` and the entry at fault."""
    where = f"{where}: sources"
    require_object(document, ("length_km", "left_share", "events", "residuals_s"), where)
    length, left, events = document["length_km"], document["left_share"], document["events"]
    if not is_number(length) or not 0.0 < length <= LARGEST_KM:
        raise ModelError(f"{where}: length_km must be a number above 0, up to {LARGEST_KM:g}, not {length!r}")
    if not is_number(left) or not 0.0 < left <= 1.0:
        raise ModelError(f"{where}: left_share must be a number above 0, up to 1, not {left!r}")
    if not isinstance(events, list) or not events:
        raise ModelError(f"{where}: events must be a list of [latitude, longitude, depth_km]")
    for k, event in enumerate(events):
        whole = isinstance(event, list) and len(event) == 3 and all(map(is_number, event))
        if not whole or abs(event[0]) > 90.0 or abs(event[1]) > 360.0 or abs(event[2]) > LARGEST_KM:
            raise ModelError(f"{where}: event {k + 1} must be [latitude, longitude, depth_km], not {event!r}")
    residuals = document["residuals_s"]
    if not isinstance(residuals, dict):
        raise ModelError(f"{where}: residuals_s must be an object of NET.STA")
    columns = [_column(name, value, len(events), f"{where}: {name}") for name, value in residuals.items()]
    latitude, longitude, depth = np.array(events, float).T
    values = np.stack(columns, axis=1) if columns else np.empty((len(events), 0, len(PHASES)))
    return SourceTerms(float(length), float(left), latitude, longitude, depth, tuple(residuals), values)


def _column(name: str, document: Any, events: int, where: str) -> np.ndarray:
    """(event, 2) of one station."""
    require_station(name, where)
    require_object(document, PHASES, where)
    for phase, values in document.items():
        if not isinstance(values, list) or len(values) != events:
            raise ModelError(f"{where} {phase}: must be a list of {events} residuals, one of every event")
        for value in values:
            if value is not None and not (is_number(value) and abs(value) <= LARGEST_S):
                raise ModelError(f"{where} {phase}: {value!r} is no residual: seconds up to {LARGEST_S:g}, or null")
    return np.array([document[phase] for phase in PHASES], float).T
