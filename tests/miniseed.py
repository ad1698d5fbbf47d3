"""Small miniSEED files to read in tests."""

import io

import numpy as np
from obspy import Stream, Trace, UTCDateTime

T0 = 1577934245.0


def trace(seed_id: str = "XX.S01.00.HHZ", start: float = T0, npts: int = 2000, rate: float = 100.0) -> Trace:
    """Samples count hundredths of a second since ``T0``, so that any two traces agree where they overlap."""
    network, station, location, channel = seed_id.split(".")
    first = round((start - T0) * rate)
    header = {
        "network": network, "station": station, "location": location, "channel": channel,
        "starttime": UTCDateTime(start), "sampling_rate": rate,
    }  # fmt: skip
    return Trace(np.arange(first, first + npts, dtype=np.int32), header)


def packed(*traces: Trace, **options: object) -> bytes:
    buffer = io.BytesIO()
    Stream(list(traces)).write(buffer, format="MSEED", **({"reclen": 512} | options))
    return buffer.getvalue()
