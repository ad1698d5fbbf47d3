"""A network on which events are bursts of noise at P and S: what STA/LTA and AIC are made for."""

from pathlib import Path

import numpy as np
from dlloc_training.baselines import KnownEvents
from dlloc_training.local import LocalNetwork
from dlloc_training.moveout import MoveoutModel
from obspy import Stream, Trace, UTCDateTime
from obspy.core.event import Catalog, Event, Origin, ResourceIdentifier
from obspy.core.inventory import Channel, Inventory, Network, Response, Site
from obspy.core.inventory import Station as InventoryStation
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Conditioned, Station

STATIONS, RATE, SAMPLES, ORIGIN_S = 10, 20.0, 1200, 20.0
COUNT = 1e-9
"""m/s per count of the written waveforms."""

SETTINGS = Preprocessing(RATE, (2.0, 8.0), 4, True, 0.0, "constant", "velocity", 1200, 15.0, "none", 1e6)
MODEL = MoveoutModel(
    6.0, 3.5, 0.1, 0.3, np.linspace(-0.1, 0.1, STATIONS), np.linspace(0.1, -0.1, STATIONS), np.zeros(1), 0.0, 0.0, 0, 0
)


def network() -> LocalNetwork:
    rng = np.random.default_rng(7)
    angle = np.linspace(0.0, 2 * np.pi, STATIONS, endpoint=False)
    radius = rng.uniform(15.0, 55.0, STATIONS)
    latitude, longitude = LocalFrame(36.0, -97.0).to_geographic(radius * np.cos(angle), radius * np.sin(angle))
    return LocalNetwork(tuple(Station("XX", f"B{k}", float(latitude[k]), float(longitude[k])) for k in range(STATIONS)))


def burst(rng: np.random.Generator, onset_s: float, height: float) -> np.ndarray:
    """Noise that begins at once and dies within some seconds, (sample,)."""
    late = np.arange(SAMPLES) / RATE - onset_s
    return np.where(late >= 0, height * np.exp(-np.clip(late, 0, None) / 2.0), 0.0) * rng.normal(size=SAMPLES)


def record(rng: np.random.Generator, net: LocalNetwork, place: np.ndarray, snr: float = 20.0) -> np.ndarray:
    """(3, station, sample): P mainly on Z, S mainly on the horizontals."""
    data = rng.normal(size=(3, STATIONS, SAMPLES))
    distance = net.distances(place)
    p, s = (ORIGIN_S + MODEL.times(phase, distance) for phase in ("P", "S"))
    for station in range(STATIONS):
        for component, (of_p, of_s) in enumerate(((1.0, 0.7), (0.2, 2.0), (0.2, 2.0))):
            data[component, station] += burst(rng, p[station], snr * of_p) + burst(rng, s[station], snr * of_s)
    return data.astype(np.float32)


def places(count: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-30, 30, (count, 2)), rng.uniform(3.0, 8.0, count)])


def known(count: int, seed: int = 5, dead: int | None = None, snr: float = 20.0) -> KnownEvents:
    """Events with their hypocentres; station ``dead`` has no data."""
    net, rng, where = network(), np.random.default_rng(seed + 100), places(count, seed)
    conditioned = []
    for k in range(count):
        data, valid = record(rng, net, where[k], snr), np.ones((3, STATIONS, SAMPLES), bool)
        if dead is not None:
            data[:, dead], valid[:, dead] = 0.0, False
        conditioned.append(Conditioned(data, valid, RATE, 1e9 + 1000.0 * k))
    return KnownEvents(net, tuple(conditioned), where, np.full(count, ORIGIN_S))


def experiment_of(folder: str) -> str:
    """The sections of an experiment's file, up to the region, for events of ``folder`` (:func:`write_folder`)."""
    return f"""
name = "recorded"
seed = 3
[network]
inventory = "{folder}/stations.xml"
[earth]
layers = [[0.0, 6.0, 3.5, 2.7, 400, 200]]
[region]
south = 35.7
north = 36.3
west = -97.4
east = -96.6
top_km = 2.0
bottom_km = 9.0
"""


def write_folder(folder: Path, train: int, test: int) -> LocalNetwork:
    """catalog.xml, stations.xml, split.csv and waveforms/ as a folder of recorded events has them."""
    net, rng, where = network(), np.random.default_rng(11), places(train + test)
    channels = [
        (code, azimuth, dip) for code, azimuth, dip in (("HHZ", 0.0, -90.0), ("HHN", 0.0, 0.0), ("HHE", 90.0, 0.0))
    ]
    response = Response(instrument_sensitivity=InstrumentSensitivity(1.0 / COUNT, 1.0, "M/S", "COUNTS"))
    stations = [
        InventoryStation(
            s.code,
            s.latitude,
            s.longitude,
            0.0,
            site=Site("site"),
            channels=[
                Channel(c, "", s.latitude, s.longitude, 0.0, 0.0, a, d, sample_rate=RATE, response=response)
                for c, a, d in channels
            ],
        )
        for s in net.stations
    ]
    Inventory([Network("XX", stations=stations)], source="tests").write(str(folder / "stations.xml"), "STATIONXML")
    (folder / "waveforms").mkdir()
    catalog, rows = Catalog(), ["event,split"]
    for k in range(train + test):
        origin_time = UTCDateTime(2020, 1, 1) + 600.0 * k
        latitude, longitude = net.frame.to_geographic(where[k, 0], where[k, 1])
        origin = Origin(
            resource_id=ResourceIdentifier(f"smi:local/origin/e{k}"),
            time=origin_time,
            latitude=float(latitude),
            longitude=float(longitude),
            depth=1000.0 * where[k, 2],
        )
        event = Event(resource_id=ResourceIdentifier(f"smi:local/event/e{k}"), origins=[origin])
        event.preferred_origin_id = origin.resource_id
        catalog.append(event)
        rows.append(f"e{k},{'train' if k < train else 'test'}")
        data = np.rint(100.0 * record(rng, net, where[k])).astype(np.int32)
        stream = Stream(
            Trace(
                data[c, i],
                {
                    "network": "XX",
                    "station": s.code,
                    "channel": channels[c][0],
                    "sampling_rate": RATE,
                    "starttime": origin_time - ORIGIN_S,
                },
            )
            for i, s in enumerate(net.stations)
            for c in range(3)
        )
        stream.write(str(folder / "waveforms" / f"e{k}.mseed"), "MSEED")
    catalog.write(str(folder / "catalog.xml"), "QUAKEML")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    return net
