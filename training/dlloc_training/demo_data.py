"""The events of ``dlloc demo``: theoretical seismograms with noise at the stations of a model's network.

    python -m dlloc_training demo --model MODEL.onnx --run RUN -o seiscomp_dlloc/data/demo

No seismogram is taken from a recording: random double couples in a random layered crust, attenuation, site terms,
scattering coda, and Gaussian noise between the low and high noise models, all through the plugin's own filter, as the
network's data come. P and S are moved to the travel times that training calibrated for the network. The model's
passport gives stations, band and rate. The triggers' epicentres are displaced by tens of kilometres and their times by
seconds; truth.xml holds the hypocentres that the seismograms were computed for.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, Trace, UTCDateTime
from obspy.core.event import Catalog, Comment, Event, Origin, ResourceIdentifier
from obspy.core.inventory import Channel, Inventory, Network, Response, Site
from obspy.core.inventory import Station as InventoryStation
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.model import read_passport
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import COMPONENTS, Station, TraceBlock
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

from .earth import central_oklahoma
from .events import random_sources, station_positions, synthesize
from .greens import strain_table
from .made import retimed_network
from .moveout import MoveoutModel
from .noise import model_noise, random_levels
from .realism import add_coda, random_site_terms

FloatArray = NDArray[np.float64]

COUNTS_PER_M_S = 2e9
FIRST_ORIGIN = UTCDateTime("2030-01-01T00:00:00")
"""In the future, so that nobody takes the events for recorded ones."""

ORIGIN_S, RECORD_S, SETTLE_S = 30.0, 120.0, 10.0
"""Origin time after the start of the record, its length, and what is made before it for the filter to settle in.

The whole window of the model holds data, as it does on continuous records.
"""

NOTE = "Theoretical seismograms: computed for a layered earth, with computed noise; not a recorded earthquake."


@dataclass(frozen=True)
class DemoEvent:
    """A theoretical event: place in the model's frame (km), origin time, where its trigger says that it was."""

    name: str
    x_km: float
    y_km: float
    depth_km: float
    mw: float
    time: UTCDateTime
    trigger_offset_km: tuple[float, float]
    trigger_late_s: float
    missing: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()


def draw_events(passport: Passport, count: int, rng: np.random.Generator) -> tuple[DemoEvent, ...]:
    """Events within the network: drawn near random stations, 3 to 8 km deep, Mw 2.6 to 3.8."""
    positions = station_positions(passport.stations, passport.frame)
    # Off the outermost stations, so that the events lie among them, as most events of a network do
    inner = np.argsort(np.hypot(*(positions - positions.mean(axis=0)).T), kind="stable")[: len(positions) // 2]
    chosen = rng.choice(inner, count, replace=False)
    events = []
    for i, station in enumerate(chosen):
        x, y = positions[station] + rng.uniform(-15.0, 15.0, 2)
        bearing, far = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(30.0, 60.0)
        gone = rng.permutation(len(positions))
        events.append(
            DemoEvent(
                f"theoretical-{i + 1}",
                float(x),
                float(y),
                float(rng.uniform(3.0, 8.0)),
                float(rng.uniform(2.6, 3.8)),
                FIRST_ORIGIN + 3600.0 * i + float(rng.uniform(0.0, 60.0)),
                (float(far * np.sin(bearing)), float(far * np.cos(bearing))),
                float(rng.uniform(-4.0, 4.0)),
                # As in a real network, some stations are missing and one is dead
                missing=tuple(int(k) for k in gone[:i]),
                dead=tuple(int(k) for k in gone[i : i + 1]),
            )
        )
    return tuple(events)


def seismograms(
    passport: Passport, events: tuple[DemoEvent, ...], moveout: MoveoutModel, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Band-passed ground velocity (event, 3, station, sample) in m/s from ``ORIGIN_S`` before each origin time on."""
    stations, settings = passport.stations, passport.preprocessing
    positions = station_positions(stations, passport.frame)
    x, y, z = (np.array([getattr(e, name) for e in events]) for name in ("x_km", "y_km", "depth_km"))
    farthest = np.hypot(positions[:, 0] - x[:, None], positions[:, 1] - y[:, None]).max()
    model = central_oklahoma(rng)
    table = strain_table(
        model,
        depths_km=np.sort(np.round(z, 3)),
        distances_km=np.arange(0.5, farthest + 1.0, 0.25),
        duration_s=60.0,
        fmax_hz=min(1.06 * settings.band_hz[1], settings.sampling_rate_hz / 2),
        reduction_velocity_km_s=8.5,
        progress=sys.stderr.isatty(),
    )
    samples = round((SETTLE_S + RECORD_S) * settings.sampling_rate_hz)
    terms = random_site_terms(rng, (len(events), len(stations)))
    traces = synthesize(
        table,
        positions,
        random_sources(rng, x, y, z, [e.mw for e in events]),
        samples=samples,
        start_s=-(SETTLE_S + ORIGIN_S),
        sampling_rate_hz=settings.sampling_rate_hz,
        gains=terms.gains,
        kappa_s=terms.kappa_s,
    )
    traces = add_coda(traces, settings.sampling_rate_hz, rng, energy_ratio=1.5, decay_s=6.0)
    layers = LayeredTravelTimes(model.tops_km.tolist(), model.vp_km_s.tolist(), model.vs_km_s.tolist())
    flat = np.hypot(positions[:, 0] - x[:, None], positions[:, 1] - y[:, None])
    reach, origin = np.hypot(flat, z[:, None]), SETTLE_S + ORIGIN_S
    for row in range(len(events)):
        before = (origin + layers.times("P", flat[row], z[row]), origin + layers.times("S", flat[row], z[row]))
        after = (origin + moveout.times("P", reach[row]), origin + moveout.times("S", reach[row]))
        traces[row] = retimed_network(traces[row], before, after, settings.sampling_rate_hz)
        levels = random_levels(rng, len(stations), least=0.3, largest=0.7)
        traces[row] += model_noise(rng, levels, samples, settings.sampling_rate_hz)
    # The network's data come filtered; here the one filter does it
    filtering = replace(settings, prefiltered=False, warmup_s=SETTLE_S)
    skip = round(SETTLE_S * settings.sampling_rate_hz)
    index = np.arange(len(stations), dtype=np.int64)
    out = np.empty((*traces.shape[:-1], samples - skip), np.float32)
    for row, record in enumerate(traces):
        whole = record.astype(np.float64)
        block = TraceBlock(index, whole, np.ones(whole.shape, bool), settings.sampling_rate_hz, 0.0)
        out[row] = condition((block,), len(stations), filtering).data[..., skip:]
    return out


def as_stream(
    data: NDArray[np.float32], event: DemoEvent, stations: tuple[Station, ...], sampling_rate_hz: float
) -> Stream:
    """Integer counts of one event (3, station, sample), without its missing stations, flat on its dead ones."""
    stream = Stream()
    for k, station in enumerate(stations):
        if k in event.missing:
            continue
        for c, component in enumerate(COMPONENTS):
            counts = np.zeros(data.shape[-1], np.int32)
            if k not in event.dead:
                counts = np.rint(data[c, k] * COUNTS_PER_M_S).astype(np.int32)
            header = {
                "network": station.network,
                "station": station.code,
                "channel": f"HH{component}",
                "sampling_rate": sampling_rate_hz,
                "starttime": event.time - ORIGIN_S,
            }
            stream += Trace(counts, header)
    return stream


def as_inventory(stations: tuple[Station, ...], sampling_rate_hz: float) -> Inventory:
    """The stations with the sensitivity of :func:`as_stream`."""
    networks: dict[str, list[InventoryStation]] = {}
    for station in stations:
        place = (station.latitude, station.longitude, station.elevation_m)
        channels = [
            Channel(
                f"HH{component}",
                "",
                *place,
                0.0,
                azimuth,
                dip,
                sample_rate=sampling_rate_hz,
                response=Response(instrument_sensitivity=InstrumentSensitivity(COUNTS_PER_M_S, 5.0, "M/S", "COUNTS")),
            )
            for component, azimuth, dip in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0))
        ]
        item = InventoryStation(station.code, *place, channels=channels, site=Site(name=""))
        networks.setdefault(station.network, []).append(item)
    return Inventory([Network(code, stations=items) for code, items in networks.items()], source=NOTE)


def as_catalogue(events: tuple[DemoEvent, ...], passport: Passport, displaced: bool) -> Catalog:
    """The true hypocentres, or the triggers with their wrong epicentres and times."""
    catalogue = Catalog(resource_id=ResourceIdentifier("smi:dlloc/demo"), description=NOTE)
    for event in events:
        east, north = event.trigger_offset_km if displaced else (0.0, 0.0)
        latitude, longitude = passport.frame.to_geographic(event.x_km + east, event.y_km + north)
        origin = Origin(
            resource_id=ResourceIdentifier(f"smi:dlloc/demo/origin/{event.name}"),
            time=event.time + (event.trigger_late_s if displaced else 0.0),
            latitude=round(float(latitude), 5),
            longitude=round(float(longitude), 5),
            depth=10_000.0 if displaced else round(1000.0 * event.depth_km, 1),
            comments=[Comment(text=NOTE, force_resource_id=False)],
        )
        catalogue.append(Event(resource_id=ResourceIdentifier(f"smi:dlloc/demo/event/{event.name}"), origins=[origin]))
    return catalogue


def read_moveout(path: Path, stations: tuple[Station, ...]) -> MoveoutModel:
    """Travel times that train wrote; SettingError where the file is none or lacks one of ``stations``."""
    try:
        return MoveoutModel.from_json(path.read_text("utf-8"), tuple(station.id for station in stations))
    except (OSError, ValueError, KeyError) as error:
        raise SettingError(f"{path}: not the calibrated travel times of these stations ({error!r})") from error


def write_demo(model: Path, moveout: Path, folder: Path, count: int = 5, seed: int = 7) -> None:
    """Write triggers.xml, truth.xml, stations.xml and waveforms.mseed into ``folder``."""
    passport = read_passport(model)
    times = read_moveout(moveout, passport.stations)
    rng = np.random.default_rng(seed)
    events = draw_events(passport, count, rng)
    rate = passport.preprocessing.sampling_rate_hz
    stream = Stream()
    for event, data in zip(events, seismograms(passport, events, times, rng), strict=True):
        stream += as_stream(data, event, passport.stations, rate)
    folder.mkdir(parents=True, exist_ok=True)
    stream.write(str(folder / "waveforms.mseed"), format="MSEED", encoding="STEIM2", reclen=4096)
    as_inventory(passport.stations, rate).write(str(folder / "stations.xml"), format="STATIONXML")
    as_catalogue(events, passport, displaced=True).write(str(folder / "triggers.xml"), format="QUAKEML")
    as_catalogue(events, passport, displaced=False).write(str(folder / "truth.xml"), format="QUAKEML")
