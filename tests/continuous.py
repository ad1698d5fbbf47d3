"""A small network recording without a pause: known events in a uniform earth over noise, as files and as a stream.

Nine stations over 20 km, 50 Hz, counts of 1e-9 m/s. P and S are decaying wavelets, horizontal polarisation random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.geometry import LocalFrame

FRAME = LocalFrame(46.0, 8.0)
VP_KM_S, VS_KM_S = 6.0, 3.5
RATE_HZ, COUNTS_PER_M_S = 50.0, 1e9
START = UTCDateTime("2026-03-01T00:00:00").timestamp
PLACES = [(x, y) for x in (-9.0, 0.5, 10.0) for y in (-10.0, -0.7, 9.0)]
EARTH = f"depth_km,vp_km_s,vs_km_s\n0,{VP_KM_S},{VS_KM_S}\n"


@dataclass(frozen=True)
class Quake:
    """Seconds after START, x east and y north, depth (km), and size of P at 10 km in counts (noise: 20)."""

    time: float
    x: float
    y: float
    z: float = 6.0
    size: float = 2e4


def codes() -> list[str]:
    return [f"C{i}" for i in range(len(PLACES))]


def waveforms(quakes: Sequence[Quake], seconds: float, seed: int = 0) -> Stream:
    """Three components of every station from START on."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    stream = Stream()
    for code, (x, y) in zip(codes(), PLACES, strict=True):
        data = 20.0 * rng.normal(size=(3, t.size))
        for quake in quakes:
            distance = float(np.sqrt((quake.x - x) ** 2 + (quake.y - y) ** 2 + quake.z**2))
            east = rng.uniform(0.3, 1.0) * rng.choice([-1.0, 1.0])
            for speed, parts in ((VP_KM_S, (1.0, 0.3, 0.3 * east)), (VS_KM_S, (0.4, 1.6, 1.6 * east))):
                after = t - quake.time - distance / speed
                wavelet = np.where(after > 0, np.exp(-1.5 * after) * np.sin(2 * np.pi * 8.0 * after), 0.0)
                data += quake.size * 10.0 / distance * np.outer(parts, wavelet)
        for component, row in zip("ZNE", data, strict=True):
            header = {"network": "XX", "station": code, "channel": f"HH{component}", "sampling_rate": RATE_HZ}
            stream += Trace(row.astype(np.int32), {**header, "starttime": UTCDateTime(START)})
    return stream


def inventory() -> Inventory:
    stations = []
    for code, (x, y) in zip(codes(), PLACES, strict=True):
        latitude, longitude = (float(value) for value in FRAME.to_geographic(x, y))
        channels = []
        for component, azimuth, dip in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0)):
            response = Response(instrument_sensitivity=InstrumentSensitivity(COUNTS_PER_M_S, 5.0, "M/S", "COUNTS"))
            place = (latitude, longitude, 0.0, 0.0)
            channels.append(Channel(f"HH{component}", "", *place, azimuth, dip, sample_rate=RATE_HZ, response=response))
        stations.append(Station(code, latitude, longitude, 0.0, channels=channels))
    return Inventory([Network("XX", stations=stations)], source="test")


def write(folder: Path, stream: Stream) -> list[str]:
    """waveforms/, stations.xml and earth.csv in ``folder``; the options of ``dlloc scan`` that name them."""
    (folder / "waveforms").mkdir(parents=True)
    for code in codes():
        part = stream.select(station=code)
        if part:
            part.write(str(folder / "waveforms" / f"{code}.mseed"), format="MSEED")
    inventory().write(str(folder / "stations.xml"), format="STATIONXML")
    (folder / "earth.csv").write_text(EARTH)
    return [
        "--waveforms", str(folder / "waveforms"), "--inventory", str(folder / "stations.xml"),
        "--earth-model", str(folder / "earth.csv"), "--provider", "cpu", "--threads", "1",
    ]  # fmt: skip
