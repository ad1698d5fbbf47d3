"""What models for any network make of events far outside of it (needs the training package, recorded events).

    python bench/anynet_far.py --data DIR [--model NAME|FILE ...] [--waves N] [--events N] [--seed N] [--write NAME]

Theoretical waves over the stations of `oklahoma`, `newberry` and `hengill`, in noise between Peterson's (1993) models:
teleseismic P, a plane wave of 11 to 25 km/s and 0.8 to 3 Hz with its coda; regional Pn (7.8 to 8.3 km/s), then Sn and
Lg (4.5 and 3.5 km/s), from an epicentre 2 to 8 degrees beyond the outermost station. None has a place near the network:
whatever is accepted is wrong. Half of them at all stations, half at four or more, drawn at random.

Recorded events of `oklahoma` and `newberry`, in each of which only the farthest stations in one quarter of the network,
as seen from the event, are kept: it lies half an aperture to three of these stations' outside of them.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from dlloc_training.anynet.calibrating import LEAST_STATIONS
from dlloc_training.anynet.disturbing import station_of
from dlloc_training.anynet.recordings import TEST, Events, Settings, fetched, fetched_for, open_events
from dlloc_training.metrics import inside_region
from dlloc_training.noise import model_noise, random_levels
from numpy.typing import NDArray
from obspy import Stream
from scipy.signal import butter, sosfilt
from tables import add_write_option, machine, markdown, publish
from tqdm import tqdm

from seiscomp_dlloc import trust
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.migration.locating import local_places
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.records import Solution, Station, Trigger
from seiscomp_dlloc.solution import Options

FloatArray = NDArray[np.float64]

HERE = Path(__file__).resolve().parent
EARTHS: dict[str, Callable[[Path], Path]] = {
    "oklahoma": lambda _: HERE / "earths" / "oklahoma.csv",
    "newberry": lambda _: HERE / "earths" / "newberry.csv",
    "hengill": lambda folder: folder / "velocity_model_local.txt",
}
RECORDED = ("oklahoma", "newberry")
TELESEISM, REGIONAL = "teleseism", "regional"

DEGREE_KM = 111.195
LOUD_HZ, LOUD_S = (1.0, 8.0), 3.0
"""SNR is that of so long after the first onset in this band, on the vertical."""

SITE_SHARE, SITE_RISE_S = 0.4, 1.0
"""What is scattered about a station, alike on all components, beside the waves' largest size."""

LATE_S = 8.0
"""The trigger's time lies up to so long before the first onset in the network."""

FEW = 8
"""Stations of a network that is small."""

FARTHEST = (6, 8)
OUTSIDE = (0.5, 3.0)
"""Recorded events: stations that are left, and how far outside of them the event is, in their aperture."""


@dataclass(frozen=True)
class Phase:
    """A wavetrain: its times (station,), s after the first; its size beside the first one's on vertical, north, east;
    whether these move as one; its dominant frequency, how fast it rises and its coda falls off.
    """

    times_s: FloatArray
    sizes: tuple[float, float, float]
    linear: bool
    frequency_hz: float
    rise_s: float
    decay_s: float


def phases_of(kind: str, places_km: FloatArray, margin_km: float, rng: np.random.Generator) -> list[Phase]:
    """The wavetrains of one far event at stations (station, 2); the first one's first onset is at 0."""
    azimuth, rise = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.05, 0.5)
    toward = np.array([np.sin(azimuth), np.cos(azimuth)])

    def p(times: FloatArray, flat: float, frequency_hz: float) -> Phase:
        sizes = 1.0, -flat * float(toward[1]), -flat * float(toward[0])
        return Phase(times, sizes, True, frequency_hz, rise, rng.uniform(3.0, 15.0))

    if kind == TELESEISM:
        times = -(places_km @ toward) / rng.uniform(11.0, 25.0)
        return [p(times - times.min(), 0.3, rng.uniform(0.8, 3.0))]
    # And beyond what is searched
    nearest = max(2.0, margin_km / DEGREE_KM)
    beyond = float((places_km @ toward).max()) + DEGREE_KM * rng.uniform(nearest, 8.0)
    distance = np.hypot(*(places_km - beyond * toward).T)
    pn = distance / rng.uniform(7.8, 8.3)
    first, frequency = float(pn.min()), rng.uniform(3.0, 8.0)
    sn, lg = rng.uniform(0.5, 2.0), rng.uniform(1.0, 4.0)
    return [
        p(pn - first, 0.5, frequency),
        Phase(distance / 4.5 - first, (0.5 * sn, sn, sn), False, 0.6 * frequency, rise, rng.uniform(5.0, 15.0)),
        Phase(distance / 3.5 - first, (0.8 * lg, lg, lg), False, 0.4 * frequency, 2.0, rng.uniform(15.0, 40.0)),
    ]


def wavetrain(rng: np.random.Generator, phase: Phase, rate: float, rise_s: float) -> FloatArray:
    """Random waves that rise and fall off; their spectrum is what attenuation leaves of a small source's velocity."""
    time = np.arange(round(4.0 * phase.decay_s * rate)) / rate
    ratio = np.fft.rfftfreq(time.size, 1.0 / rate) / phase.frequency_hz
    waves = np.fft.irfft(np.fft.rfft(rng.standard_normal(time.size)) * ratio * np.exp(-ratio), time.size)
    return np.asarray(waves * np.exp(-time / phase.decay_s) * (1.0 - np.exp(-time / rise_s)))


def loudness(data: FloatArray, rate: float) -> float:
    """RMS in the band that SNR is of."""
    band = butter(2, [LOUD_HZ[0], min(LOUD_HZ[1], 0.45 * rate)], "band", fs=rate, output="sos")
    return float(np.sqrt(np.mean(np.square(sosfilt(band, data)))))


@dataclass(frozen=True)
class Wave:
    """A theoretical far event: its job, and what was drawn."""

    job: Job
    kind: str
    snr: float
    stations: int


def waves(events: Events, kind: str, count: int, locator: Locator, rng: np.random.Generator) -> Iterator[Wave]:
    """Far events at the channels that recorded random events."""
    for number in range(count):
        event = events.chosen[int(rng.integers(len(events.chosen)))]
        start, end = required_window(event, locator.passport, magnitude=False)
        template = fetched(events, event, start, end).stream
        known = {station.id: station for station in inventory_stations(events.inventory, event.time)}
        names = sorted({station_of(trace) for trace in template} & set(known))
        if number % 2:
            names = sorted(rng.permutation(names)[: int(rng.integers(LEAST_STATIONS, len(names) + 1))].tolist())
        _, places, _ = local_places([known[name] for name in names])
        margin = float(locator.passport.head["margin_share"]) * float(np.max(np.ptp(places, axis=0)))
        phases = phases_of(kind, places, margin, rng)
        snr = float(10.0 ** rng.uniform(np.log10(3.0), np.log10(50.0)))
        first = event.time + rng.uniform(0.0, LATE_S)
        stream = made(template, names, phases, first, snr, (start, end), rng)
        yield Wave(Job(Trigger(event.origin_id, event.time), stream), kind, snr, len(names))


def made(
    template: Stream,
    names: Sequence[str],
    phases: Sequence[Phase],
    first: float,
    snr: float,
    span: tuple[float, float],
    rng: np.random.Generator,
) -> Stream:
    """Noise with wavetrains at the channels of ``template``, the first onset at ``first`` (POSIX s)."""
    levels, stream = random_levels(rng, len(names)), Stream()
    seeds = rng.integers(2**32, size=len(phases))
    louder = np.exp(0.3 * rng.standard_normal(len(names)))
    late = 0.05 * rng.standard_normal((len(phases), len(names)))
    scales: dict[str, float] = {}
    # Verticals first: they say how large the waves are at a station
    for trace in sorted(template, key=lambda trace: (not trace.stats.channel.endswith("Z"), trace.id)):
        name, rate, sensor = station_of(trace), float(trace.stats.sampling_rate), trace.id[:-1]
        if name not in names or trace.stats.channel[-1] not in "ZNE12":
            continue
        k, component = names.index(name), "ZNE12".index(trace.stats.channel[-1]) % 3
        data = model_noise(rng, levels[component, k], round((span[1] - span[0]) * rate), rate).astype(float)
        if component == 0:
            scales[sensor] = snr * louder[k] * loudness(data, rate)
        for number, phase in enumerate(phases):
            # The same source everywhere, and what is scattered about the station
            source = np.random.default_rng([seeds[number], 0 if phase.linear else component])
            train = wavetrain(source, phase, rate, phase.rise_s)
            train /= loudness(train[: round(LOUD_S * rate)], rate)
            site = wavetrain(rng, phase, rate, SITE_RISE_S)
            site /= loudness(site[: round(LOUD_S * rate)], rate)
            both = phase.sizes[component] * train + SITE_SHARE * max(phase.sizes) * site
            at = round((first - span[0] + phase.times_s[k] + late[number, k]) * rate)
            if sensor in scales and at < data.size:
                data[at : at + both.size] += scales[sensor] * both[: data.size - at]
        piece = trace.copy()
        piece.data = 1e9 * data
        piece.stats.starttime += span[0] - trace.stats.starttime.timestamp
        stream.append(piece)
    return stream


@dataclass(frozen=True)
class Outside:
    """A recorded event with the stations that are left of its network: their aperture, how far outside it lies."""

    job: Job
    aperture_km: float
    outside: float


def outside(events: Events, farthest: int, count: int, locator: Locator, rng: np.random.Generator) -> Iterator[Outside]:
    """Recorded events at the farthest stations in a quarter of the network, where these lie as far away as wanted."""
    for event in (events.chosen[k] for k in np.sort(rng.permutation(len(events.chosen))[:count])):
        job = fetched_for(events, event, locator)
        live = {station_of(trace) for trace in job.stream if np.ptp(trace.data) > 0}
        stations = [s for s in inventory_stations(events.inventory, event.time) if s.id in live]
        found = [group for group in quarters(stations, event, farthest, rng) if OUTSIDE[0] <= group[2] <= OUTSIDE[1]]
        if found:
            kept, aperture, share = found[int(rng.integers(len(found)))]
            stream = Stream([trace for trace in job.stream if station_of(trace) in kept])
            late = float(rng.standard_normal())
            told = replace(event, time=event.time + late, picks=())
            yield Outside(replace(job, trigger=told, stream=stream), aperture, share)


def quarters(
    stations: Sequence[Station], event: Trigger, farthest: int, rng: np.random.Generator
) -> Iterator[tuple[set[str], float, float]]:
    """The farthest stations in quarters that begin anywhere, their aperture, how far outside of them the event lies."""
    frame, places, _ = local_places(stations)
    place = np.array(frame.to_local(event.latitude, event.longitude)).ravel()
    azimuth, distance = np.arctan2(*(places - place).T), np.hypot(*(places - place).T)
    for begin in rng.uniform(0.0, 2.0 * np.pi) + np.arange(0.0, 2.0 * np.pi, np.pi / 6.0):
        there = np.flatnonzero((azimuth - begin) % (2.0 * np.pi) < 0.5 * np.pi)
        if len(there) >= farthest:
            kept = there[np.argsort(distance[there])[-farthest:]]
            low, high = places[kept].min(axis=0), places[kept].max(axis=0)
            aperture = float(np.max(high - low))
            beyond = float(np.hypot(*np.maximum(np.maximum(low - place, place - high), 0.0)))
            yield {stations[k].id for k in kept}, aperture, beyond / aperture


def reasons(solutions: Sequence[Solution]) -> list[str]:
    """How many abstained for the plane wave, for the border of what is searched, for anything else."""
    rest = [s.abstention for s in solutions if s.abstention is not None]
    wave = sum("plane wave" in a.detail for a in rest)
    edge = sum("plane wave" not in a.detail and a.reason == trust.OUTSIDE_REGION for a in rest)
    return [str(wave), str(edge), str(len(rest) - wave - edge)]


def opened(model: Any, folder: Path) -> tuple[Events, Locator]:
    """The network's events, and the model at work in its earth."""
    events = open_events(folder, Settings(TEST))
    earth = read_earth_model(str(EARTHS[folder.name](folder)))
    return events, Locator(model, events.inventory, Options(magnitude=False), earth)


def theoretical(model: Any, data: Path, count: int, seed: int) -> list[list[str]]:
    rows = []
    for network in EARTHS:
        events, locator = opened(model, data / network)
        for kind in (TELESEISM, REGIONAL):
            rng = np.random.default_rng(seed)
            drawn = tqdm(waves(events, kind, count, locator, rng), f"{network}, {kind}", count)
            found = [(wave, locator.locate(wave.job.trigger, wave.job.stream)) for wave in drawn]
            wrong = [wave for wave, solution in found if solution.accepted]
            few = sum(wave.stations <= FEW for wave, _ in found)
            rows.append([
                model.identity.label, network, kind, str(len(found)), str(len(wrong)),
                f"{sum(wave.stations <= FEW for wave in wrong)} of {few}",
                *reasons([solution for _, solution in found]),
            ])  # fmt: skip
    return rows


def recorded(model: Any, data: Path, count: int, seed: int) -> list[list[str]]:
    rows = []
    for network in RECORDED:
        events, locator = opened(model, data / network)
        for farthest in FARTHEST:
            rng = np.random.default_rng(seed)
            drawn = tqdm(outside(events, farthest, count, locator, rng), f"{network}, {farthest} stations")
            found = [(item, locator.locate(item.job.trigger, item.job.stream)) for item in drawn]
            rows.append([model.identity.label, network, str(farthest), str(len(found)), *told(events, found)])
    return rows


def told(events: Events, found: Sequence[tuple[Outside, Solution]]) -> list[str]:
    """The rest of a row of recorded events."""
    if not found:
        return ["-"] * 8
    truths = {event.origin_id: event for event in events.chosen}
    off, holds = [], []
    for item, solution in found:
        place, truth = solution.hypocenter, truths[item.job.trigger.origin_id]
        if solution.accepted and place is not None:
            there, here = (events.network.frame.to_local(p.latitude, p.longitude) for p in (place, truth))
            apart = np.array(there).ravel() - np.array(here).ravel()
            off.append(float(np.hypot(*apart)) / item.aperture_km)
            holds.append(inside_region(apart, np.asarray(place.covariance_km2)[:2, :2], 0.9))
    figures = ["-"] * 3
    if off:
        figures = [f"{np.median(off):.2f}", f"{np.quantile(off, 0.9):.2f}", f"{sum(holds)} of {len(holds)}"]
    middle = [f"{np.median([item.aperture_km for item, _ in found]):.0f}",
              f"{np.median([item.outside for item, _ in found]):.1f}"]  # fmt: skip
    return [*middle, str(len(off)), *figures, *reasons([solution for _, solution in found])]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with a folder for each network")
    parser.add_argument("--model", nargs="+", default=["migration", "anynet"], help="default: %(default)s")
    parser.add_argument("--waves", type=int, default=100, help="of each network and kind (default %(default)s)")
    parser.add_argument("--events", type=int, default=50, help="recorded, of each network (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (default %(default)s)")
    add_write_option(parser)
    arguments = parser.parse_args()
    far, near = list[list[str]](), list[list[str]]()
    for name in arguments.model:
        model = load(resolve(name), threads=1)
        far += theoretical(model, arguments.data, arguments.waves, arguments.seed)
        near += recorded(model, arguments.data, arguments.events, arguments.seed)
    why = ["abstained: plane wave", "border", "other"]
    header = ["model", "network", "theoretical", "waves", "accepted", f"with {FEW} stations or less", *why]
    beside = [
        "model", "network", "stations", "recorded events", "aperture, median, km", "outside, median, apertures",
        "accepted", "their error, median, apertures", "90 %", "in the stated 90 % region", *why,
    ]  # fmt: skip
    text = f"{machine()}. Seed {arguments.seed}. Theoretical waves from far away:\n\n{markdown(header, far)}\n\n"
    text += f"Recorded events outside of the stations that are kept:\n\n{markdown(beside, near)}"
    publish(text, arguments.write)


if __name__ == "__main__":
    main()
