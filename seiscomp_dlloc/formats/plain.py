"""Solutions as JSON objects: for programs that read stdout, and for the worker's answers."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..records import Hypocenter, Onset, Solution


def iso_time(time: float) -> str:
    """POSIX seconds as ``2016-01-06T01:17:05.400Z``."""
    return datetime.fromtimestamp(round(time, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(solution: Solution) -> str:
    """``accepted``, ``abstained`` (there is a hypocentre, not stood by) or ``failed`` (there is none)."""
    if solution.hypocenter is None:
        return "failed"
    return "accepted" if solution.accepted else "abstained"


def ellipse_km(hypocenter: Hypocenter) -> tuple[float, float]:
    """Standard deviations (km) along the major and minor axis of the horizontal covariance; NaN where unknown."""
    horizontal = hypocenter.covariance_km2[:2, :2]
    if not np.all(np.isfinite(horizontal)):
        return math.nan, math.nan
    minor, major = np.sqrt(np.clip(np.linalg.eigvalsh(horizontal), 0.0, None))
    return float(major), float(minor)


def sigma_depth_km(hypocenter: Hypocenter) -> float:
    """Standard deviation (km) of the depth; NaN where unknown."""
    variance = float(hypocenter.covariance_km2[2, 2])
    return math.sqrt(variance) if variance >= 0 else math.nan


def _plain(value: float | None) -> float | None:
    """A float that JSON can hold: None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def _onset(onset: Onset) -> dict[str, Any]:
    return {
        "station": onset.station_id,
        "phase": onset.phase,
        "time": iso_time(onset.time),
        "probability": round(onset.probability, 4),
        "residual_s": round(onset.residual_s, 3),
    }


def as_json(solution: Solution) -> dict[str, Any]:
    """One event as a JSON object; every key is always there, null where there is no value.

    Lengths km, depth positive down from sea level, times ISO 8601 UTC, covariance (east, north, down) in km2.
    ``onsets`` are those that the model sees at stations where the solution predicts them; empty where it tells none.
    ``influence_km``: how far the epicentre moves without a station; empty where the model does not tell.
    """
    h, m = solution.hypocenter, solution.magnitude
    major, minor = ellipse_km(h) if h else (math.nan, math.nan)
    return {
        "event": solution.trigger.public_id,
        "origin": solution.trigger.origin_id,
        "status": status(solution),
        "reason": solution.abstention.reason if solution.abstention else None,
        "detail": solution.abstention.detail or None if solution.abstention else None,
        "time": iso_time(h.time) if h else None,
        "time_sigma_s": _plain(h.time_sigma_s) if h else None,
        "latitude": h.latitude if h else None,
        "longitude": h.longitude if h else None,
        "depth_km": h.depth_km if h else None,
        "sigma_major_km": _plain(major),
        "sigma_minor_km": _plain(minor),
        "sigma_depth_km": _plain(sigma_depth_km(h)) if h else None,
        "covariance_km2": [[_plain(v) for v in row] for row in h.covariance_km2.tolist()] if h else None,
        "magnitude": {"value": m.value, "type": m.type, "sigma": _plain(m.sigma)} if m else None,
        "magnitude_note": solution.magnitude_note or None,
        "peak": _plain(solution.peak),
        "score": _plain(solution.score),
        "secondary_peaks": solution.secondary_peaks,
        "onsets": [_onset(onset) for onset in solution.onsets],
        "influence_km": {name: _plain(away) for name, away in solution.influence_km.items()},
        "used_stations": list(solution.used_stations),
        "azimuthal_gap_deg": _plain(solution.azimuthal_gap_deg),
        "min_distance_km": _plain(solution.min_distance_km),
        "max_distance_km": _plain(solution.max_distance_km),
        "dropped": [asdict(dropped) for dropped in solution.dropped],
        "notes": list(solution.notes),
        "model": asdict(solution.model),
    }
