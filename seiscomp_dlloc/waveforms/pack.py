"""Streams as miniSEED and back, to the sample and the nanosecond.

miniSEED keeps times to the microsecond, codes of a few letters and rates as rationals; what that loses stands in rows
beside the records.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from ..errors import WaveformReadError
from .mseed import ALONE, Part, decode

Row = tuple[str, int, float, int]
"""SEED id, time of the first sample (ns), sampling rate (Hz), number of samples."""

_CODES = (("network", 2), ("station", 5), ("location", 2), ("channel", 3))
_NEAR_NS = 1_000_000
_STEIM2 = 2**29  # differences from here on do not fit its 30 bits


def to_miniseed(stream: Stream) -> tuple[bytes, list[Row]]:
    """Records and rows of ``stream``, one row per piece without a gap; ``stream`` is left as it is."""
    buffer, rows = io.BytesIO(), []
    for trace in stream.copy().split() if any(np.ma.is_masked(t.data) for t in stream) else stream:
        if trace.stats.npts == 0:
            continue
        data = _storable(np.ma.getdata(trace.data))
        rows.append((trace.id, trace.stats.starttime.ns, float(trace.stats.sampling_rate), int(trace.stats.npts)))
        header = {name: getattr(trace.stats, name)[:length] for name, length in _CODES}
        header |= {"starttime": trace.stats.starttime, "sampling_rate": trace.stats.sampling_rate}
        encoding = "INT32"
        if data.dtype.kind == "f":
            encoding = "FLOAT64" if data.dtype.itemsize == 8 else "FLOAT32"
        elif data.size < 2 or np.abs(np.diff(data.astype(np.int64))).max() < _STEIM2:
            encoding = "STEIM2"
        with ALONE:  # the C library and its warnings belong to the whole process
            Stream([Trace(data, header)]).write(buffer, format="MSEED", encoding=encoding)
    return buffer.getvalue(), rows


def _storable(data: Any) -> Any:
    """Samples in a type that miniSEED has, with the same values."""
    if data.dtype.kind == "f":
        return data.astype(np.float32 if data.dtype.itemsize <= 4 else np.float64)
    if data.size and np.abs(data.astype(np.float64)).max() >= 2**31:
        return data.astype(np.float64)
    return data.astype(np.int32)


def from_miniseed(content: bytes, rows: Sequence[Row]) -> Stream:
    """Inverse of :func:`to_miniseed`. A trace without a row stays as the records have it.

    Raises :class:`~seiscomp_dlloc.errors.WaveformReadError` where records are damaged.
    """
    if not content:
        return Stream()
    stream, dropped = decode([Part("waveforms of the bundle", content)])
    if dropped:
        raise WaveformReadError("; ".join(f"{item.seed_id}: {item.reason}" for item in dropped[:3]))
    known: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        known.setdefault((_short(row[0]), row[3]), []).append(row)
    order = {row: place for place, row in enumerate(rows)}
    placed = []
    for trace in stream:
        begin = trace.stats.starttime.ns
        for row in known.get((trace.id, trace.stats.npts), []):
            seed_id, start, rate, _ = row
            if abs(start - begin) < _NEAR_NS and math.isclose(rate, trace.stats.sampling_rate, rel_tol=1e-3):
                trace.id, trace.stats.starttime, trace.stats.sampling_rate = seed_id, UTCDateTime(ns=start), rate
                placed.append((order[row], trace))
                break
        else:
            placed.append((len(rows), trace))
    return Stream([trace for _, trace in sorted(placed, key=lambda item: item[0])])


def _short(seed_id: str) -> str:
    """A SEED id as miniSEED can hold it."""
    return ".".join(part[:length] for part, (_, length) in zip(seed_id.split("."), _CODES, strict=True))
