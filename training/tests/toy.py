"""A small network with pulses at P and S, for tests that need events but no waveforms of the Earth."""

import numpy as np
from dlloc_training.augment import Augmentation, NoiseBank
from dlloc_training.catalogue import RecordedEvent
from dlloc_training.experiment import Experiment
from dlloc_training.moveout import MoveoutModel
from dlloc_training.network import Target
from dlloc_training.sampler import ExampleSource, Shares
from dlloc_training.virtual import VirtualEvents

from seiscomp_dlloc.geometry import Grid, LocalFrame
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Station, TraceBlock, Trigger

STATIONS, SAMPLES, RATE = 10, 1024, 20.0
ORIGIN_S = 8.0
FRAME = LocalFrame(40.0, 10.0)
GRID = Grid(40.0, 10.0, -35.0, -35.0, 1.0, 10.0, 10.0, 4.0, 8, 8, 3)
SETTINGS = Preprocessing(RATE, (2.0, 8.0), 4, True, 0.0, "constant", "velocity", SAMPLES, 10.0, "none", 1e6)
MOVEOUT = MoveoutModel(
    6.0,
    3.4,
    0.2,
    0.5,
    np.linspace(-0.1, 0.1, STATIONS),
    np.linspace(0.2, -0.2, STATIONS),
    np.zeros(12),
    0.05,
    0.08,
    9,
    9,
)


def target() -> Target:
    rng = np.random.default_rng(1)
    latitudes, longitudes = FRAME.to_geographic(rng.uniform(-30, 30, STATIONS), rng.uniform(-30, 30, STATIONS))
    stations = tuple(
        Station("XX", f"T{k}", float(lat), float(lon), 0.0)
        for k, (lat, lon) in enumerate(zip(latitudes, longitudes, strict=True))
    )
    return Target(stations, GRID, SETTINGS, (-30.0, 30.0, -30.0, 30.0))


def pulse(data: np.ndarray, at_s: float, height: float) -> None:
    time = np.arange(data.shape[-1]) / RATE - at_s
    data += height * np.exp(-((time / 0.15) ** 2)) * np.cos(2 * np.pi * 4.0 * time)


def event(number: int, place: np.ndarray, net: Target, rng: np.random.Generator) -> RecordedEvent:
    distance = net.distances(place)
    data = rng.normal(0.0, 1e-9, (3, STATIONS, SAMPLES))
    for k in range(STATIONS):
        for phase, component, height in (("P", 0, 1e-6), ("S", 1, 2e-6), ("S", 2, 2e-6)):
            onset = ORIGIN_S + MOVEOUT.times(phase, distance)[k]
            pulse(data[component, k], onset, height * (20.0 / max(distance[k], 1.0)) ** 1.8)
    valid = np.ones(data.shape, bool)
    if number % 4 == 1:
        data[:, 3], valid[:, 3] = 0.0, False
    latitude, longitude = FRAME.to_geographic(place[0], place[1])
    trigger = Trigger(f"o/{number}", 1000.0 * number, f"e/{number}", float(latitude), float(longitude), float(place[2]))
    block = TraceBlock(np.arange(STATIONS), data.astype(np.float32), valid, RATE, trigger.time - ORIGIN_S)
    return RecordedEvent(trigger, block)


def events(net: Target, count: int = 12) -> tuple[RecordedEvent, ...]:
    rng = np.random.default_rng(2)
    places = np.column_stack([rng.uniform(-25, 25, (count, 2)), rng.uniform(3, 8, count)])
    return tuple(event(k, place, net, rng) for k, place in enumerate(places))


def experiment() -> Experiment:
    net = target()
    rng = np.random.default_rng(3)
    recorded = events(net)
    kept = VirtualEvents(recorded[:9], net, MoveoutModel(**{**vars(MOVEOUT), "event_terms": np.zeros(9)}))
    aside = VirtualEvents(recorded[9:], net, MoveoutModel(**{**vars(MOVEOUT), "event_terms": np.zeros(3)}))
    sources = []
    for virtual in (kept, aside):
        noise = NoiseBank(virtual.events, virtual.p_time.min(axis=1), SAMPLES, rng, pool=4)
        sources.append(ExampleSource(net, virtual, noise, None, Shares(0.6, 0.0), Augmentation()))
    return Experiment(net, MOVEOUT, sources[0], aside, sources[1])
