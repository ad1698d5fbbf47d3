"""Inventories, streams and passport settings made in tests."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Station, TraceBlock

T0 = 1_500_000_000.0
ORIENTATIONS = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0), "1": (30.0, 0.0), "2": (120.0, 0.0)}


def settings(**changes: Any) -> Preprocessing:
    values: dict[str, Any] = {
        "sampling_rate_hz": 20.0, "band_hz": (2.0, 8.0), "corners": 4, "prefiltered": False, "warmup_s": 5.0,
        "detrend": "constant", "quantity": "velocity", "window_samples": 1024, "pretrigger_s": 10.0,
        "normalisation": "none", "unit_scale": 1.0,
    }  # fmt: skip
    return Preprocessing(**(values | changes))


def stations(*codes: str) -> tuple[Station, ...]:
    return tuple(Station("XX", code, 36.0 + 0.1 * i, -97.0) for i, code in enumerate(codes))


def channel(
    seed_id: str,
    *,
    azimuth: float | None = None,
    dip: float | None = None,
    sensitivity: float | None = 1e9,
    unit: str | None = "M/S",
    start: float | None = None,
    end: float | None = None,
    response: Response | None = None,
) -> tuple[str, Channel]:
    location, code = seed_id.split(".")[2:]
    standard = ORIENTATIONS[code[2]]
    if response is None and sensitivity is not None:
        response = Response(instrument_sensitivity=InstrumentSensitivity(sensitivity, 5.0, unit, "COUNTS"))
    made = Channel(
        code,
        location,
        36.0,
        -97.0,
        0.0,
        0.0,
        azimuth=standard[0] if azimuth is None else azimuth,
        dip=standard[1] if dip is None else dip,
        response=response,
        start_date=None if start is None else UTCDateTime(start),
        end_date=None if end is None else UTCDateTime(end),
    )
    return seed_id, made


def inventory(*channels: tuple[str, Channel]) -> Inventory:
    by_station: dict[str, list[Channel]] = {}
    for seed_id, made in channels:
        by_station.setdefault(seed_id.split(".")[1], []).append(made)
    members = [ObspyStation(code, 36.0, -97.0, 0.0, channels=group) for code, group in by_station.items()]
    return Inventory([Network("XX", members)], source="test")


def three(prefix: str, letters: str = "ZNE", **keywords: Any) -> list[tuple[str, Channel]]:
    return [channel(prefix + letter, **keywords) for letter in letters]


def trace(seed_id: str, data: np.ndarray, rate: float = 100.0, start: float = T0) -> Trace:
    network, station, location, code = seed_id.split(".")
    header = {
        "network": network, "station": station, "location": location, "channel": code,
        "sampling_rate": rate, "starttime": UTCDateTime(start),
    }  # fmt: skip
    return Trace(data, header=header)


def counts(seed: int, samples: int = 4000, scale: float = 1000.0) -> np.ndarray:
    """Whole numbers that look like ground motion: noise without energy near the Nyquist frequency."""
    x = np.random.default_rng(seed).normal(size=samples + 20)
    smooth = np.convolve(x, np.hanning(11) / np.hanning(11).sum(), "same")[10:-10]
    return np.rint(smooth * scale).astype(np.int32)


def stream(ids: Iterable[str], samples: int = 4000, rate: float = 100.0, start: float = T0) -> Stream:
    return Stream([trace(seed_id, counts(i, samples), rate, start) for i, seed_id in enumerate(ids)])


def block(data: np.ndarray, rate: float = 100.0, start: float = T0, valid: np.ndarray | None = None) -> TraceBlock:
    ok = np.ones(data.shape, bool) if valid is None else valid
    return TraceBlock(np.arange(data.shape[1]), np.where(ok, data, 0.0), ok, rate, start)
