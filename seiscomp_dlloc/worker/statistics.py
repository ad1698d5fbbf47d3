"""Counts and latencies of the worker, bounded in memory."""

import os
from collections import Counter, deque
from typing import Any

from .protocol import STATUSES, Header

_LATENCIES = 2000
_MOST_REASONS = 50


class Statistics:
    """Counts of answers since the start, and how long the latest ones took."""

    def __init__(self) -> None:
        self._status: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = {}

    def count(self, answer: Header) -> None:
        """Add an answer to a job."""
        self._status[str(answer.get("status"))] += 1
        reason = str(answer.get("reason") or "")
        if reason and (reason in self._reasons or len(self._reasons) < _MOST_REASONS):
            self._reasons[reason] += 1
        if answer.get("status") == "refused":
            return
        for name, seconds in (answer.get("timing") or {}).items():
            if isinstance(seconds, int | float):
                self._times.setdefault(name, deque(maxlen=_LATENCIES)).append(float(seconds))

    def report(self) -> dict[str, Any]:
        """``counts`` by status, ``reasons``, ``latency_s``: percentiles of the latest answers by part of the way."""
        return {
            "counts": {status: self._status[status] for status in STATUSES},
            "reasons": dict(self._reasons.most_common()),
            "latency_s": {name: percentiles(list(times)) for name, times in self._times.items()},
        }


def percentiles(values: list[float]) -> dict[str, float | int | None]:
    """Median, 95th and 99th percentile (nearest rank) and largest of ``values``, and how many they are."""
    ordered = sorted(values)
    last = len(ordered) - 1
    row: dict[str, float | int | None] = {"n": len(ordered)}
    for percent in (50, 95, 99, 100):
        name = "max" if percent == 100 else f"p{percent}"
        row[name] = round(ordered[max(-(-percent * len(ordered) // 100) - 1, 0)], 4) if last >= 0 else None
    return row


def resident_mib(pid: int) -> float | None:
    """Resident memory (MiB) of a process, None where it is gone or the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
            pages = int(stream.read().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)
