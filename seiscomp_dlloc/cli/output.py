"""Solutions for stdout: a table for people."""

import math

from ..formats.plain import as_json, ellipse_km, iso_time, sigma_depth_km, status
from ..records import Solution
from ..wording import counted
from .stdio import printable

__all__ = ["Table", "as_json", "iso_time", "status", "summary"]

WIDEST_ID = 36


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
        depth_sigma = _number(sigma_depth_km(h), 5, 1)
        magnitude = f"{solution.magnitude.type} {solution.magnitude.value:.1f}" if solution.magnitude else "-"
        return (
            f"{name:<{self._width}}  {iso_time(h.time)[:-1].replace('T', ' '):<23} {h.latitude:9.4f} "
            f"{h.longitude:10.4f} {_number(ellipse_km(h)[0], 5, 1)} {h.depth_km:6.1f} {depth_sigma} "
            f"{magnitude:>9} {_number(solution.peak, 5, 2)} {len(solution.used_stations):3d} "
            f"{_number(solution.azimuthal_gap_deg, 3, 0)}  {state}"
        )


def _number(value: float | None, width: int, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return f"{'-':>{width}}"
    return f"{value:{width}.{digits}f}"


def summary(states: list[str], seconds: float) -> str:
    """``12 events: 10 accepted, 1 abstained, 1 failed (3.2 s, 0.27 s per event)``."""
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("accepted", "abstained", "failed") if s in states)
    total = len(states)
    pace = f"{seconds:.1f} s, {seconds / max(total, 1):.2f} s per event"
    return f"{counted(total, 'event')}: {counts or 'nothing to do'} ({pace})"
