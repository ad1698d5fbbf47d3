"""Theoretical events of random networks in random earths, made once and kept in one HDF5 file.

Records begin at the origin time, at 20 Hz, without noise and unfiltered; a draw (:mod:`.draw`) makes of them what a
network records. Each station's largest amplitude is kept apart, so that 16-bit numbers hold the rest.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

from ..earth import EarthModel
from ..events import Sources, random_sources, synthesize
from ..greens import strain_table
from ..realism import add_coda, random_site_terms
from ..table import StrainTable
from .earths import RATE_HZ, local_earth, regional_earth

FloatArray = NDArray[np.float64]

FORMAT, FORMAT_VERSION = "dlloc any-network events", 1

SAMPLES = 1536
"""Of a record, from the origin time on: 76.8 s."""

STATIONS = 24
DEPTHS = 6


@dataclass(frozen=True)
class Kind:
    """Networks and earths of one sort: epicentral distances (km) and depths (km) of the tables, and their windows."""

    name: str
    farthest_km: float
    distances: int
    depth_km: tuple[float, float]
    duration_s: float
    aperture_km: tuple[float, float]


REGIONAL = Kind("regional", 220.0, 130, (1.5, 30.0), 51.2, (40.0, 220.0))
LOCAL = Kind("local", 50.0, 90, (0.7, 20.0), 25.6, (8.0, 60.0))
"""Apertures at 20 Hz: from a network of 2 km at 100 Hz to one of 400 km at 10 Hz."""


def random_table(kind: Kind, rng: np.random.Generator) -> StrainTable:
    """Green's functions of a random earth of this kind, at random depths."""
    earth = regional_earth(rng) if kind is REGIONAL else local_earth(rng)
    shallow, deep = np.log(kind.depth_km)
    depths = np.sort(np.exp(rng.uniform(shallow, deep, DEPTHS)))
    tops = earth.tops_km
    for i, depth in enumerate(depths):
        gap = depth - tops
        near = int(np.argmin(np.abs(gap)))
        if abs(gap[near]) < 0.05:
            depths[i] = tops[near] + 0.1
    distances = np.geomspace(1.0, 1.0 + kind.farthest_km / 4, kind.distances) - 0.7
    distances = distances * kind.farthest_km / distances[-1]
    return strain_table(
        earth,
        np.unique(depths),
        distances,
        duration_s=kind.duration_s,
        fmax_hz=RATE_HZ / 2,
        reduction_velocity_km_s=float(earth.vp_km_s.max()) * 1.01,
    )


def random_network(kind: Kind, rng: np.random.Generator) -> FloatArray:
    """(STATIONS, 2) km about the middle: scattered over a disc or an ellipse, or a tight group and some far ones."""
    aperture = np.exp(rng.uniform(*np.log(kind.aperture_km)))
    radius = 0.5 * aperture * np.sqrt(rng.uniform(0.0, 1.0, STATIONS))
    angle = rng.uniform(0.0, 2.0 * np.pi, STATIONS)
    if rng.random() < 0.2:
        radius = radius * np.where(rng.random(STATIONS) < 0.5, 0.3, 1.0)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle) * rng.uniform(0.4, 1.0)], axis=-1)
    turn = rng.uniform(0.0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation.T)


def random_epicentre(stations: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(2,) km: mostly among the stations, one in five outside of them, up to half an aperture away."""
    inside = rng.dirichlet(np.ones(4)) @ stations[rng.choice(len(stations), 4, replace=False)]
    reach = np.hypot(*stations.T).max()
    away = rng.normal(0.0, (0.6 if rng.random() < 0.2 else 0.15) * reach, 2)
    return np.asarray(inside + away)


def make_event(table: StrainTable, kind: Kind, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """One event: ``data`` (3, station, sample) scaled to 1, ``peak``, ``p_s``, ``s_s`` (station,), places.

    Stations are moved in distance to the nearest of the table's, so that no seismogram is interpolated; those beyond
    its last one are drawn nearer. ``p_s`` and ``s_s``: first arrivals (s after the origin time) in the earth's layers.
    """
    stations = random_network(kind, rng)
    epicentre = random_epicentre(stations, rng)
    flat = stations - epicentre
    distance, azimuth = np.hypot(*flat.T), np.arctan2(flat[:, 0], flat[:, 1])
    distance = np.where(distance > kind.farthest_km, rng.uniform(0.2, 1.0, STATIONS) * kind.farthest_km, distance)
    depth = float(rng.choice(table.depths_km))
    node = table.nearest(np.full(STATIONS, depth), distance)[1]
    distance = table.distances_km[node]
    places = np.stack([distance * np.sin(azimuth), distance * np.cos(azimuth)], axis=-1)
    source = random_sources(rng, 0.0, 0.0, depth, rng.uniform(0.5, 4.0))
    # The corner lies anywhere about the band: a small event at this scale is a large one at another
    source = Sources(
        source.x_km, source.y_km, source.depth_km, source.tensors, np.exp(rng.uniform(np.log(1.5), np.log(15.0), 1))
    )
    terms = random_site_terms(rng, (1, STATIONS), kappa_range_s=(0.0, 0.05))
    traces = synthesize(
        table, places, source, samples=SAMPLES, sampling_rate_hz=RATE_HZ, gains=terms.gains, kappa_s=terms.kappa_s
    )
    if rng.random() < 0.95:
        decay = np.exp(rng.uniform(np.log(1.0), np.log(20.0))) * np.exp(0.3 * rng.standard_normal((1, STATIONS)))
        ratio = 10.0 ** rng.uniform(-1.0, 0.8)
        traces = add_coda(traces, RATE_HZ, rng, energy_ratio=ratio, decay_s=decay, rise_s=rng.uniform(0.05, 0.5))
    turn = rng.uniform(0.0, 2.0 * np.pi, STATIONS) * (rng.random(STATIONS) < 0.2)
    north, east = traces[0, 1].copy(), traces[0, 2].copy()
    traces[0, 1] = np.cos(turn)[:, None] * north - np.sin(turn)[:, None] * east
    traces[0, 2] = np.sin(turn)[:, None] * north + np.cos(turn)[:, None] * east
    data = traces[0]
    peak = np.abs(data).max(axis=(0, 2))
    times = travel_times_of(table.model)
    return {
        "data": (data / np.maximum(peak, 1e-30)[:, None]).astype(np.float16),
        "peak": peak,
        "p_s": times.times("P", distance, depth),
        "s_s": times.times("S", distance, depth),
        "places_km": places,
        "depth_km": np.array(depth),
    }


def travel_times_of(model: EarthModel) -> LayeredTravelTimes:
    """First arrivals of an earth model whose surface is at sea level."""
    return LayeredTravelTimes(model.tops_km.tolist(), model.vp_km_s.tolist(), model.vs_km_s.tolist())


def make_bank(path: Path, earths: dict[str, int], events_per_earth: int, seed: int, progress: bool = True) -> None:
    """Write a bank: ``earths`` of each kind by name, so many events in each. Goes on where an earlier call stopped.

    An earth's events follow from ``seed``, the kind and the earth's number alone. Raises SettingError where the file
    is another bank or anything else, and for a number that cannot be.
    """
    kinds = {kind.name: kind for kind in (REGIONAL, LOCAL)}
    if events_per_earth < 1 or min(earths.values(), default=0) < 0 or not sum(earths.values()):
        raise SettingError(f"a bank needs an earth and an event in each; asked for are {earths}, {events_per_earth}")
    if unknown := sorted(set(earths) - set(kinds)):
        raise SettingError(f"there are no earths of kind {', '.join(unknown)}, only of {', '.join(kinds)}")
    wanted = [(name, number) for name, count in earths.items() for number in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = h5py.File(path, "a")
    except OSError as error:
        raise SettingError(f"{path}: cannot be written as a bank ({error}); give another name") from error
    with opened as file:
        if not file.attrs and not len(file):
            file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
            file.attrs["sampling_rate_hz"], file.attrs["seed"] = RATE_HZ, seed
            file.attrs["events_per_earth"] = events_per_earth
        found = tuple(file.attrs.get(name) for name in ("format", "seed", "events_per_earth"))
        if found != (FORMAT, seed, events_per_earth):
            raise SettingError(f"{path}: is another bank or none {found}; remove it, or give another name")
        for name, number in tqdm(wanted, desc="earths", disable=not progress):
            key = f"{name}-{number:04d}"
            if key in file and file[key].attrs.get("complete"):
                continue
            if key in file:
                del file[key]
            rng = np.random.default_rng([seed, [*kinds].index(name), number])
            table = random_table(kinds[name], rng)
            events = [make_event(table, kinds[name], rng) for _ in range(events_per_earth)]
            group = file.create_group(key)
            for field in events[0]:
                group[field] = np.stack([event[field] for event in events])
            group["earth"] = table.model.rows()
            group.attrs["complete"] = True
            file.flush()


@dataclass(frozen=True)
class Bank:
    """All events of a bank in memory: arrays as :func:`make_event` has them, (event, ...), and each one's earth."""

    data: NDArray[np.float16]
    peak: FloatArray
    p_s: FloatArray
    s_s: FloatArray
    places_km: FloatArray
    depth_km: FloatArray
    earth: NDArray[np.int64]
    earths: tuple[EarthModel, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Bank":
        """Raises SettingError where the file is no bank, or one that is not complete."""
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise SettingError(f"{path}: is no bank of any-network events")
                groups = [file[key] for key in sorted(file)]
                if not groups or not all(group.attrs.get("complete") for group in groups):
                    raise SettingError(f"{path}: the bank is not complete; make it again, it goes on")
                names = ("data", "peak", "p_s", "s_s", "places_km", "depth_km")
                arrays = {name: np.concatenate([group[name][()] for group in groups]) for name in names}
                count = [len(group["peak"]) for group in groups]
                models = tuple(EarthModel.from_rows(group["earth"][()].tolist()) for group in groups)
        except (OSError, KeyError) as error:
            raise SettingError(f"{path}: cannot be read as a bank of any-network events: {error}") from error
        return cls(**arrays, earth=np.repeat(np.arange(len(models)), count), earths=models)
