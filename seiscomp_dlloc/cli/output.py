"""Solutions for stdout: a table for people, JSON lines for programs."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..records import Hypocenter, Solution
from .stdio import printable

WIDEST_ID = 36


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


def _sigma_depth(hypocenter: Hypocenter) -> float:
    variance = float(hypocenter.covariance_km2[2, 2])
    return math.sqrt(variance) if variance >= 0 else math.nan


class Table:
    """A table that can be printed row by row: the widths are known from the publicIDs."""

    def __init__(self, public_ids: list[str]):
        self._width = max([5, *(min(len(i), WIDEST_ID) for i in public_ids)])

    def header(self) -> str:
        """The line above the rows; distances in km, 1 standard deviation after each +-."""
        return (
            f"{'event':<{self._width}}  {'origin time (UTC)':<23} {'latitude':>9} {'longitude':>10} {'+-km':>5} "
            f"{'depth':>6} {'+-km':>5} {'mag':>9} {'peak':>5} {'sta':>3} {'gap':>3}  status"
        )

    def row(self, solution: Solution) -> str:
        """One event."""
        name = printable(solution.trigger.public_id)
        name = name if len(name) <= self._width else "…" + name[-(self._width - 1) :]
        state = status(solution)
        if solution.abstention is not None:
            state = f"{state}: {solution.abstention.reason}"
        h = solution.hypocenter
        if h is None:
            reason = printable(solution.abstention.detail) if solution.abstention else ""
            detail = f" ({reason})" if reason else ""
            return f"{name:<{self._width}}  {'-':<23} {'-':>9} {'-':>10} {'-':>5} {'-':>6} {'-':>5} {'-':>9} " + (
                f"{_number(solution.peak, 5, 2)} {len(solution.used_stations) or '-':>3} {'-':>3}  {state}{detail}"
            )
        magnitude = f"{solution.magnitude.type} {solution.magnitude.value:.1f}" if solution.magnitude else "-"
        return (
            f"{name:<{self._width}}  {iso_time(h.time)[:-1].replace('T', ' '):<23} {h.latitude:9.4f} "
            f"{h.longitude:10.4f} {_number(ellipse_km(h)[0], 5, 1)} {h.depth_km:6.1f} {_number(_sigma_depth(h), 5, 1)} "
            f"{magnitude:>9} {_number(solution.peak, 5, 2)} {len(solution.used_stations):3d} "
            f"{_number(solution.azimuthal_gap_deg, 3, 0)}  {state}"
        )


def _number(value: float | None, width: int, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return f"{'-':>{width}}"
    return f"{value:{width}.{digits}f}"


def _plain(value: float | None) -> float | None:
    """A float that JSON can hold: None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def as_json(solution: Solution) -> dict[str, Any]:
    """One event as a JSON object; every key is always there, null where there is no value.

    Lengths km, depth positive down from sea level, times ISO 8601 UTC, covariance (east, north, down) in km2.
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
        "sigma_depth_km": _plain(_sigma_depth(h)) if h else None,
        "covariance_km2": [[_plain(v) for v in row] for row in h.covariance_km2.tolist()] if h else None,
        "magnitude": {"value": m.value, "type": m.type, "sigma": _plain(m.sigma)} if m else None,
        "magnitude_note": solution.magnitude_note or None,
        "peak": _plain(solution.peak),
        "secondary_peaks": solution.secondary_peaks,
        "used_stations": list(solution.used_stations),
        "azimuthal_gap_deg": _plain(solution.azimuthal_gap_deg),
        "min_distance_km": _plain(solution.min_distance_km),
        "max_distance_km": _plain(solution.max_distance_km),
        "dropped": [asdict(dropped) for dropped in solution.dropped],
        "notes": list(solution.notes),
        "model": asdict(solution.model),
    }


def summary(states: list[str], seconds: float) -> str:
    """``12 events: 10 accepted, 1 abstained, 1 failed (3.2 s, 0.27 s per event)``."""
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("accepted", "abstained", "failed") if s in states)
    total = len(states)
    word = "event" if total == 1 else "events"
    return f"{total} {word}: {counts or 'nothing to do'} ({seconds:.1f} s, {seconds / max(total, 1):.2f} s per event)"
