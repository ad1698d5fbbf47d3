"""Several traces of one channel made one: gaps, overlaps, wrong rates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_TOLERANCE = 1e-4
"""Headers of one channel may round its rate; relative."""


@dataclass
class Channel:
    """One channel on one regular time axis, in counts.

    ``data`` (n,) in the type it came in, 0 where ``valid`` (n,) is False; ``valid`` None where all samples are there.
    ``notes``: parts of the channel that were left out, and why.
    """

    seed_id: str
    rate_hz: float
    starttime: float
    data: NDArray[Any]
    valid: NDArray[np.bool_] | None
    notes: tuple[str, ...] = ()

    @property
    def endtime(self) -> float:
        """Time of the last sample."""
        return self.starttime + (self.data.size - 1) / self.rate_hz


def merge(seed_id: str, traces: list[Any]) -> Channel | None:
    """Merge the ObsPy traces of one channel; None where they hold no sample on a time axis.

    Where traces differ in sampling rate, those of the rate with most samples are kept. Overlaps with identical
    samples are joined. Of two versions of one recording (more than half of the longer one contradicts the other, as
    when data were written twice under slightly different times) the one that begins first is kept; in shorter
    overlaps samples that contradict each other are left out. Segments off the sample grid of the first one
    are moved to the nearest sample. Masked and non-finite samples count as missing.
    """
    parts = [trace for trace in traces if trace.stats.npts > 0 and trace.stats.sampling_rate > 0]
    if not parts:
        return None
    notes: list[str] = []
    if len(parts) > 1:
        parts, note = _one_rate(parts)
        notes += [note] if note else []
    if len(parts) == 1:
        stats = parts[0].stats
        data, valid = _clean(parts[0].data)
        return Channel(seed_id, stats.sampling_rate, stats.starttime.timestamp, data, valid, tuple(notes))
    parts.sort(key=lambda trace: (trace.stats.starttime.ns, -trace.stats.npts))
    rate, start = parts[0].stats.sampling_rate, parts[0].stats.starttime
    offsets = [round((part.stats.starttime.ns - start.ns) * 1e-9 * rate) for part in parts]
    length = max(offset + part.stats.npts for offset, part in zip(offsets, parts, strict=True))
    merged = np.zeros(length, np.result_type(*(part.data.dtype for part in parts)))
    filled, conflict = np.zeros(length, bool), np.zeros(length, bool)
    for offset, part in zip(offsets, parts, strict=True):
        data, there = _clean(part.data)
        here = slice(offset, offset + data.size)
        there = np.ones(data.size, bool) if there is None else there
        contradicts = filled[here] & there & (merged[here] != data)
        if 2 * np.count_nonzero(contradicts) > max(np.count_nonzero(there), np.count_nonzero(filled)):
            notes.append(f"in part: a second version of {part.stats.npts / rate:.2f} s, which contradicts, left out")
            continue
        conflict[here] |= contradicts
        np.copyto(merged[here], data, where=there)
        filled[here] |= there
    if conflict.any():
        notes.append(
            f"in part: {np.count_nonzero(conflict) / rate:.2f} s of overlap with contradictory samples left out"
        )
        merged[conflict] = 0
        filled[conflict] = False
    return Channel(seed_id, rate, start.timestamp, merged, None if filled.all() else filled, tuple(notes))


def _one_rate(parts: list[Any]) -> tuple[list[Any], str]:
    groups: list[tuple[float, list[Any]]] = []
    for part in parts:
        rate = part.stats.sampling_rate
        for known, members in groups:
            if abs(rate / known - 1.0) < RATE_TOLERANCE:
                members.append(part)
                break
        else:
            groups.append((rate, [part]))
    if len(groups) == 1:
        return parts, ""
    rate, members = max(groups, key=lambda group: (sum(part.stats.npts for part in group[1]), group[0]))
    others = ", ".join(f"{other:g}" for other, _ in groups if other != rate)
    return members, f"in part: segments sampled at {others} Hz left out, most are at {rate:g} Hz"


def _clean(data: Any) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Plain array and validity of a trace's data; missing samples are 0."""
    valid = None
    if np.ma.isMaskedArray(data):
        mask = np.ma.getmaskarray(data)
        valid = ~mask if mask.any() else None
        data = np.where(mask, 0, data.data)
    data = np.asarray(data)
    if data.dtype.kind == "f":
        finite = np.isfinite(data)
        if not finite.all():
            valid = finite if valid is None else valid & finite
            data = np.where(finite, data, 0.0)
    return data, valid
