"""A small network with its events as files, for tests of the command line.

Four stations (those of :func:`samples.passport_document`), three events an hour apart at 36 N, 97 W and 2 km depth:
a P and an S wavelet at their travel times over noise, 50 Hz, counts of 1e-9 m/s.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tinymodels
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity
from samples import passport_document

LATITUDE, LONGITUDE, DEPTH_KM = 36.0, -97.0, 2.0
RATE_HZ = 50.0
COUNTS_PER_M_S = 1e9
FIRST = UTCDateTime("2026-01-01T00:00:00")
STATIONS = [(row["code"], row["latitude"], row["longitude"]) for row in passport_document()["network"]["stations"]]


@dataclass(frozen=True)
class Scene:
    """Files of a scene in ``folder``: events.xml, stations.xml, waveforms/event0.mseed ..., tiny.onnx."""

    folder: Path

    @property
    def events(self) -> Path:
        return self.folder / "events.xml"

    @property
    def inventory(self) -> Path:
        return self.folder / "stations.xml"

    @property
    def waveforms(self) -> Path:
        return self.folder / "waveforms"

    @property
    def model(self) -> Path:
        return self.folder / "tiny.onnx"

    def arguments(self, *more: str, **replaced: str | Path) -> list[str]:
        """Arguments of ``dlloc locate``; ``replaced`` are other values for events, waveforms, inventory, model."""
        given = {
            name: replaced.get(name, getattr(self, name)) for name in ("events", "waveforms", "inventory", "model")
        }
        pairs = [(f"--{name}", str(value)) for name, value in given.items()]
        return ["locate", *(text for pair in pairs for text in pair), "--provider", "cpu", "--threads", "1", *more]


def origin_time(event: int) -> UTCDateTime:
    return FIRST + 3600.0 * event


def waveforms(event: int, seed: int = 0) -> Stream:
    """90 s of three components at every station, the origin time 30 s after the start."""
    rng = np.random.default_rng(100 * seed + event)
    seconds = np.arange(round(90 * RATE_HZ)) / RATE_HZ - 30.0
    stream = Stream()
    for code, latitude, _ in STATIONS:
        distance = np.hypot(111.0 * (latitude - LATITUDE), DEPTH_KM)
        for component in "ZNE":
            data = 20.0 * rng.normal(size=seconds.size)
            for speed, size in ((6.0, 4e4 if component == "Z" else 2e4), (3.5, 3e4 if component == "Z" else 8e4)):
                after = seconds - distance / speed
                wavelet = np.where(after > 0, np.exp(-after) * np.sin(2 * np.pi * 5.0 * after), 0.0)
                data += size * wavelet / (1.0 + 0.05 * distance)
            header = {"network": "XX", "station": code, "channel": f"HH{component}", "sampling_rate": RATE_HZ}
            stream += Trace(data.astype(np.int32), {**header, "starttime": origin_time(event) - 30.0})
    return stream


def inventory() -> Inventory:
    stations = []
    for code, latitude, longitude in STATIONS:
        channels = []
        for component, azimuth, dip in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0)):
            response = Response(instrument_sensitivity=InstrumentSensitivity(COUNTS_PER_M_S, 5.0, "M/S", "COUNTS"))
            channels.append(
                Channel(
                    f"HH{component}", "", latitude, longitude, 300.0, 0.0, azimuth, dip, sample_rate=RATE_HZ,
                    response=response,
                )
            )  # fmt: skip
        stations.append(Station(code, latitude, longitude, 300.0, channels=channels))
    return Inventory([Network("XX", stations=stations)], source="test")


def quakeml(events: list[int], latitude: float = LATITUDE, longitude: float = LONGITUDE) -> str:
    """Triggered origins with a time and a place and nothing else."""
    rows = "".join(
        f'<event publicID="smi:test/event/{i}"><origin publicID="smi:test/origin/{i}">'
        f"<time><value>{origin_time(i)}</value></time><latitude><value>{latitude}</value></latitude>"
        f"<longitude><value>{longitude}</value></longitude><depth><value>5000</value></depth></origin></event>"
        for i in events
    )
    return (
        '<?xml version="1.0"?><q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" '
        'xmlns:q="http://quakeml.org/xmlns/quakeml/1.2">'
        f'<eventParameters publicID="smi:test/all">{rows}</eventParameters></q:quakeml>'
    )


def make_scene(folder: Path, events: int = 3) -> Scene:
    """Write a scene into ``folder``."""
    scene = Scene(folder)
    scene.waveforms.mkdir(parents=True)
    for event in range(events):
        waveforms(event).write(str(scene.waveforms / f"event{event}.mseed"), format="MSEED")
    inventory().write(str(scene.inventory), format="STATIONXML")
    scene.events.write_text(quakeml(list(range(events))))
    scene.model.write_bytes(tinymodels.fixed_image(z_km=DEPTH_KM))
    return scene
