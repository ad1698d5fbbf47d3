"""miniSEED of the host's records: their own bytes, or written anew where they are of another kind."""

import struct
import time
from fractions import Fraction
from typing import Any, List, Tuple

_ENCODINGS = {"i": (3, ">i4"), "f": (5, ">f8")}
_RECORD, _HEAD = 4096, 64


def miniseed(record: Any) -> List[bytes]:
    """miniSEED 2 of a record of the host: its own bytes where it came as that, else written anew, without loss."""
    raw = record.raw()
    if raw is not None:
        packed = raw.numpy().tobytes()
        # Version 3 begins with MS; where version 2 has a quality, that may have anything
        if len(packed) >= 128 and packed[6:7] in (b"D", b"R", b"Q", b"M") and packed[:2] != b"MS":
            return [packed]
    data = record.data()
    if data is None or data.size() == 0:
        return []
    samples = data.numpy()
    start = record.startTime()
    codes = (record.networkCode(), record.stationCode(), record.locationCode(), record.channelCode())
    return list(_written(codes, start.seconds() * 1000000 + start.microseconds(), record.samplingFrequency(), samples))


def _written(codes: Tuple[str, str, str, str], start_us: int, rate: float, samples: Any) -> Any:
    """Uncompressed records of ``samples`` from ``start_us`` (POSIX microseconds) on, ``rate`` in Hz."""
    encoding, form = _ENCODINGS["i" if samples.dtype.kind in "iu" else "f"]
    packed = samples.astype(form)
    most = (_RECORD - _HEAD) // packed.dtype.itemsize
    ratio = Fraction(rate).limit_denominator(32767)
    network, station, location, channel = codes
    for first in range(0, len(packed), most):
        part = packed[first : first + most].tobytes()
        at = start_us + round(first * 1e6 / rate)
        seconds, microseconds = divmod(at, 1000000)
        when = time.gmtime(seconds)
        text = f"000001D {station:<5.5}{location:<2.2}{channel:<3.3}{network:<2.2}".encode("ascii", "replace")
        head = text + struct.pack(
            ">HHBBBBHHhhBBBBiHH",
            when.tm_year, when.tm_yday, when.tm_hour, when.tm_min, when.tm_sec, 0, microseconds // 100,
            len(part) // packed.dtype.itemsize, ratio.numerator, -ratio.denominator, 0, 0, 0, 2, 0, _HEAD, 48,
        )  # fmt: skip
        head += struct.pack(">HHBBBB", 1000, 56, encoding, 1, 12, 0)
        head += struct.pack(">HHBbBB", 1001, 0, 0, microseconds % 100, 0, 0)
        yield (head + part).ljust(_RECORD, b"\0")
