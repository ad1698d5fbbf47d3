"""miniSEED files: which records they hold, read from the headers alone, and the decoding of some of them.

ObsPy reads headers at nearly the cost of the samples (16 against 18 ms for 90 traces of 102 s), so the fixed headers
are read here in one vectorised pass (FDSN, SEED Reference Manual 2.4, chapter 8: fixed section of data header and
blockette 1000). Only the records that a window needs are then handed to ObsPy. Files that this pass does not
understand (records of different lengths, no blockette 1000, full SEED) go through ObsPy from the start.
"""

import io
import sys
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, UTCDateTime, read

from ..records import Dropped
from .base import Selection

ALONE = threading.RLock()
"""Held while warnings are caught, for their filters are the whole process's: whoever else catches some takes it too."""

_SHORTEST_RECORD = 128
_MOST_BLOCKETTES = 3
_IS_QUALITY = np.isin(np.arange(256), list(b"DRQM"))
# Start times in blockette 1001, rates in blockette 100 and rounding move a record by less than this
_MARGIN_S = 1.0


class NotMiniSeedError(Exception):
    """The file holds no miniSEED that could be read."""


@dataclass(frozen=True)
class Summary:
    """What a file holds: its channels, first and last time (POSIX seconds), and what is wrong with it ('': nothing)."""

    seed_ids: tuple[str, ...]
    starttime: float
    endtime: float
    problem: str = ""

    def overlaps(self, starttime: float, endtime: float) -> bool:
        """Whether the file may hold something of the window."""
        return self.starttime - _MARGIN_S <= endtime and self.endtime + _MARGIN_S >= starttime


@dataclass(frozen=True)
class _Table:
    """Records of equal length: ``raw`` (record, byte); the rest (record,). ``codes`` indexes ``seed_ids``."""

    raw: NDArray[np.uint8]
    seed_ids: tuple[str, ...]
    codes: NDArray[np.intp]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    problem: str


def summarise(path: Path) -> Summary:
    """Summary of a miniSEED file, from its headers.

    Raises OSError where it cannot be read, :class:`NotMiniSeedError` where it holds no readable miniSEED.
    """
    content = _load(path)
    found = _understand(content, headonly=True)
    if isinstance(found, _Table):
        return Summary(found.seed_ids, float(found.start.min()), float(found.end.max()), found.problem)
    stream, problem = found
    return Summary(
        tuple(sorted({trace.id for trace in stream})),
        min(trace.stats.starttime.timestamp for trace in stream),
        max(trace.stats.endtime.timestamp for trace in stream),
        problem,
    )


@dataclass(frozen=True)
class Part:
    """What one file holds of a window: whole records, still packed, or traces where ObsPy had to read the file."""

    name: str
    records: bytes = b""
    stream: Stream = field(default_factory=Stream)
    problem: str = ""


def read_window(path: Path, selection: Selection, starttime: float, endtime: float) -> Part:
    """The records of a file that overlap the window, a little more than asked for.

    Raises OSError and :class:`NotMiniSeedError` as :func:`summarise` does.
    """
    content = _load(path)
    found = _understand(content, False, starttime, endtime)
    if not isinstance(found, _Table):
        stream, problem = found
        return Part(path.name, b"", stream, problem)
    wanted = np.array([selection.matches(seed_id) for seed_id in found.seed_ids])
    rows = wanted[found.codes] & (found.start <= endtime + _MARGIN_S) & (found.end >= starttime - _MARGIN_S)
    return Part(path.name, found.raw[rows].tobytes(), problem=found.problem)


def decode(parts: Iterable[Part]) -> tuple[Stream, list[Dropped]]:
    """Traces of all parts, uncut, and what had to be left out.

    All records are decoded in one go, for each call of ObsPy's reader costs milliseconds; only where that fails are
    files and channels tried one by one.
    """
    kept = list(parts)
    dropped = [Dropped(part.name, part.problem) for part in kept if part.problem]
    packed = [part for part in kept if part.records]
    stream, failed = _decode(b"".join(part.records for part in packed))
    if failed:
        stream = Stream()
        for part in packed:
            found, failed_here = _decode_channels(part)
            stream += found
            dropped += failed_here
    for part in kept:
        stream += part.stream
    return stream, dropped


class Record(NamedTuple):
    """One record, still packed: its channel, times (POSIX s) of its first sample and of one step behind its last."""

    seed_id: str
    start: float
    end: float
    content: bytes


def split(content: bytes) -> list[Record]:
    """Records of one length, one by one; damaged ones and those without samples are left out.

    Raises :class:`NotMiniSeedError` where there is none, or where they are not all of one length.
    """
    table = _scan(np.frombuffer(content, np.uint8), lenient=True)
    if table is None:
        raise NotMiniSeedError("is no miniSEED of one record length")
    names = [table.seed_ids[code] for code in table.codes]
    contents = map(bytes, table.raw)
    return [Record(*row) for row in zip(names, table.start.tolist(), table.end.tolist(), contents, strict=True)]


def _decode_channels(part: Part) -> tuple[Stream, list[Dropped]]:
    """Traces of one file, channel by channel: a damaged channel is named and left out, the others are kept."""
    stream, failed = _decode(part.records)
    if not failed:
        return stream, []
    table = _scan(np.frombuffer(part.records, np.uint8))
    if table is None:
        return Stream(), [Dropped(part.name, failed)]
    stream = Stream()
    dropped = []
    for code, seed_id in enumerate(table.seed_ids):
        found, failed = _decode(table.raw[table.codes == code].tobytes())
        if failed:
            dropped.append(Dropped(seed_id, f"{part.name}: {failed}"))
        else:
            stream += found
    return stream, dropped


def _load(path: Path) -> NDArray[np.uint8]:
    content = np.fromfile(path, np.uint8)
    if content.size == 0:
        raise NotMiniSeedError("the file is empty")
    return content


def _understand(
    content: NDArray[np.uint8], headonly: bool, starttime: float | None = None, endtime: float | None = None
) -> _Table | tuple[Stream, str]:
    """The records, or the traces and what is wrong with them where ObsPy had to read the file."""
    table = _scan(content)
    if table is not None:
        return table
    try:
        return _read_whole(content, headonly, starttime, endtime)
    except NotMiniSeedError:
        # One damaged header makes ObsPy give up the whole file
        table = _scan(content, lenient=True)
        if table is None:
            raise
        return table


def _scan(content: NDArray[np.uint8], lenient: bool = False) -> _Table | None:
    """Table of the records, or None where they are not all of one length, given by blockette 1000.

    ``lenient``: a minority of records that say otherwise counts as damaged.
    """
    if content.size < _SHORTEST_RECORD or not _IS_QUALITY[content[6]]:
        return None
    order = ">" if _plausible(_headers(content, _SHORTEST_RECORD, ">")[:1]).all() else "<"
    exponent = int(_length_exponent(content[None, :_SHORTEST_RECORD], order)[0])
    if not 7 <= exponent <= 20:
        return None
    length = 1 << exponent
    count = content.size // length
    if count == 0:
        return None
    raw, head = content[: count * length].reshape(count, length), _headers(content, length, order)
    valid = _plausible(head)
    same = _length_exponent(raw[:, :_SHORTEST_RECORD], order) == exponent
    if not valid.any() or (not same[valid].all() and not (lenient and np.count_nonzero(same & valid) > count / 2)):
        return None
    valid &= same
    left = content.size - count * length
    problem = f"is truncated: its last {left} bytes are no whole record" if left else ""
    if not valid.all():
        damaged = f"{np.count_nonzero(~valid)} of its {count} records are damaged"
        problem = f"{problem}; {damaged}" if problem else damaged
    rate = _rate(head["factor"].astype(np.float64), head["multiplier"].astype(np.float64))
    keep = valid & (rate > 0) & (head["samples"] > 0)
    if not keep.any():
        return None
    if not keep.all():
        raw, head, rate = raw[keep], head[keep], rate[keep]
    days = (head["year"].astype(np.int64) - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64) + head["day"] - 1
    start = days * 86400.0 + head["hour"] * 3600.0 + head["minute"] * 60.0 + head["second"] + head["fraction"] * 1e-4
    # Bit 1 of the activity flags: the time correction has been applied already
    start += np.where(head["activity"] & 2, 0.0, head["correction"] * 1e-4)
    names, codes = np.unique(head["name"], return_inverse=True)
    seed_ids = tuple(_seed_id(bytes(name)) for name in names)
    return _Table(raw, seed_ids, codes, start, start + head["samples"] / rate, problem)


def _headers(content: NDArray[np.uint8], length: int, order: str) -> NDArray[np.void]:
    """Fixed headers of the records, (record,), as fields; a view of ``content``."""
    fields = {
        "quality": ("u1", 6),
        "name": ("S12", 8),
        "year": (f"{order}u2", 20),
        "day": (f"{order}u2", 22),
        "hour": ("u1", 24),
        "minute": ("u1", 25),
        "second": ("u1", 26),
        "fraction": (f"{order}u2", 28),
        "samples": (f"{order}u2", 30),
        "factor": (f"{order}i2", 32),
        "multiplier": (f"{order}i2", 34),
        "activity": ("u1", 36),
        "correction": (f"{order}i4", 40),
    }
    layout = np.dtype(
        {
            "names": list(fields),
            "formats": [form for form, _ in fields.values()],
            "offsets": [at for _, at in fields.values()],
            "itemsize": 48,
        }
    )
    return np.ndarray((content.size // length,), layout, content, strides=(length,))


def _plausible(head: NDArray[np.void]) -> NDArray[np.bool_]:
    """Whether each header can be one: data quality, date and time in range."""
    year, day = head["year"], head["day"]
    date = (year >= 1900) & (year <= 2200) & (day >= 1) & (day <= 366)
    good: NDArray[np.bool_] = date & _IS_QUALITY[head["quality"]] & (head["hour"] < 24) & (head["minute"] < 60)
    return good & (head["second"] < 62)


def _length_exponent(raw: NDArray[np.uint8], order: str) -> NDArray[np.int64]:
    """Exponent of the record length of each record, from blockette 1000 among its first blockettes; 0 without it."""
    at = _u16(raw, 46, order).astype(np.int64)
    if (at == 48).all() and (_u16(raw, 48, order) == 1000).all():
        return raw[:, 54].astype(np.int64)
    rows = np.arange(len(raw))
    exponent = np.zeros(len(raw), np.int64)
    for _ in range(_MOST_BLOCKETTES):
        inside = (at >= 48) & (at <= raw.shape[1] - 8)
        head = raw[rows[:, None], np.where(inside, at, 0)[:, None] + np.arange(8)]
        here = inside & (_u16(head, 0, order) == 1000)
        exponent = np.where(here & (exponent == 0), head[:, 6], exponent)
        at = np.where(inside, _u16(head, 2, order).astype(np.int64), 0)
    return exponent


def _u16(raw: NDArray[np.uint8], at: int, order: str) -> NDArray[np.uint16]:
    """Unsigned 16-bit field of each record."""
    return np.ascontiguousarray(raw[:, at : at + 2]).view(f"{order}u2").ravel()


def _rate(factor: NDArray[np.float64], multiplier: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sampling rate (Hz): positive factor and multiplier multiply, negative divide (SEED 2.4, fields 10 and 11)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(factor > 0, factor, -1.0 / factor) * np.where(multiplier > 0, multiplier, -1.0 / multiplier)
    return np.where((factor != 0) & (multiplier != 0), rate, 0.0)


def _seed_id(name: bytes) -> str:
    """Station, location, channel, network as they stand in the header to NET.STA.LOC.CHA."""
    text = name.ljust(12).decode("ascii", "replace").replace("\0", " ")
    return ".".join(part.strip() for part in (text[10:12], text[0:5], text[5:7], text[7:10]))


def _decode(records: bytes) -> tuple[Stream, str]:
    """Traces of whole records, and why they must not be trusted ('' where they may)."""
    if not records:
        return Stream(), ""
    try:
        return _read(records, headonly=False)
    except Exception as error:  # ObsPy raises bare Exception, struct.error, its own errors ...
        return Stream(), _line(error)


def _read_whole(
    content: NDArray[np.uint8], headonly: bool, starttime: float | None = None, endtime: float | None = None
) -> tuple[Stream, str]:
    """The whole file through ObsPy, and what it complained of."""
    try:
        stream, problem = _read(content.tobytes(), headonly, starttime, endtime)
    except Exception as error:
        if content.size < _SHORTEST_RECORD or not _IS_QUALITY[content[6]]:
            raise NotMiniSeedError("is no miniSEED") from error
        raise NotMiniSeedError(f"is damaged, or no miniSEED ({_line(error)})") from error
    if headonly and not stream:
        raise NotMiniSeedError("holds no waveform")
    return stream, problem


def _read(
    content: bytes, headonly: bool, starttime: float | None = None, endtime: float | None = None
) -> tuple[Stream, str]:
    """ObsPy's reading of miniSEED, and what it or libmseed complained of ('': nothing). Raises whatever ObsPy does."""
    unspoken: list[str] = []
    with ALONE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hook = sys.unraisablehook
        # libmseed's complaint of a damaged header quotes it; ObsPy takes it for UTF-8 where nothing can be raised
        sys.unraisablehook = lambda raised: unspoken.append(str(raised.exc_value))
        try:
            stream = read(
                io.BytesIO(content),
                format="MSEED",
                headonly=headonly,
                starttime=None if starttime is None else UTCDateTime(starttime),
                endtime=None if endtime is None else UTCDateTime(endtime),
            )
        finally:
            sys.unraisablehook = hook
    # libmseed's own warnings: failed integrity check of the compression, records that make no sense
    doubts = [str(w.message) for w in caught if "MSEED" in w.category.__name__.upper()] + unspoken
    return stream, _line(doubts[0]) if doubts else ""


def _line(error: object) -> str:
    """One short line of an exception or a warning."""
    text = " ".join(str(error).split())[:200]
    return "no whole record" if "BytesIO" in text else text
