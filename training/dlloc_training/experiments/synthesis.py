"""The stage ``synthesize``: theoretical events of an experiment into one file of seismograms."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError

from .. import __version__
from ..earth import EarthModel
from ..events import Sources, station_positions, synthesize
from ..realism import SiteTerms, add_coda, random_site_terms
from ..source import corner_frequency
from ..table import StrainTable
from .dataset import Dataset, DatasetWriter, cannot_write
from .drawing import MadeEvents, draw_events
from .models import draw_models, table_bytes, table_of
from .reading import ExperimentFile
from .workers import workplace

FloatArray = NDArray[np.float64]

DATASET = "seismograms.h5"
BATCH = 32
"""Events of one earth model that are made together; part of what a seed stands for."""

STATICS_S = 0.05
"""Scatter of the stations' time statics of P where the file states none."""

CODA_RATIO, CODA_DECAY_S = (0.5, 4.0), (2.0, 8.0)
"""Energy of the coda over that of the direct waves, and the time in which its amplitude decays to 1 / e, where the file
states none."""


def header(experiment: ExperimentFile) -> dict[str, Any]:
    """What the seismograms rest on: the sections of the file that they depend on, the seed, the stations."""
    sections = ("seed", "earth", "region", "events", "records")
    return {
        "software": __version__,
        "settings": {name: experiment.settings[name] for name in sections},
        "stations": [[s.id, s.latitude, s.longitude, s.elevation_m] for s in experiment.stations],
        "earth": hashlib.sha256(experiment.earth.rows().tobytes()).hexdigest(),
        "surface_km": experiment.surface_km,
        "start_s": -experiment.settings["records"].get("before_s", 0.0),
        "batch": BATCH,
    }


def sample_count(experiment: ExperimentFile) -> int:
    """Samples of each record."""
    records = experiment.settings["records"]
    samples: float = (records.get("before_s", 0.0) + records["duration_s"]) * records["sampling_rate_hz"]
    return round(samples)


def elevation_delays(experiment: ExperimentFile, model: EarthModel) -> tuple[FloatArray, FloatArray]:
    """(station,) seconds of P and of S: the way from the model's flat surface up (or down) to each station.

    Rays are taken as vertical in the top layer, which they nearly are below slow surface rock.
    """
    above = np.array([station.elevation_m for station in experiment.stations]) / 1000.0 + experiment.surface_km
    return above / model.vp_km_s[0], above / model.vs_km_s[0]


def site_terms(rng: np.random.Generator, records: Mapping[str, Any], shape: tuple[int, int]) -> SiteTerms | None:
    """Site terms (event, station) as the section ``records`` asks for them; None where it wants none."""
    if not records.get("site_terms", True):
        return None
    cover = tuple(records["cover_s"]) if "cover_s" in records else None
    return random_site_terms(rng, shape, delay_sigma_s=records.get("statics_s", STATICS_S), cover_s=cover)


def make_records(
    experiment: ExperimentFile, events: MadeEvents, chosen: NDArray[np.int64], table: StrainTable, seed: list[int]
) -> NDArray[np.float32]:
    """Ground velocity (event, 3, station, sample) m/s, components Z, N, E, of the events ``chosen``.

    The first sample lies ``records.before_s`` before the origin time. ``seed`` decides site terms and coda.
    """
    rng = np.random.default_rng(seed)
    records = experiment.settings["records"]
    rate, before = records["sampling_rate_hz"], records.get("before_s", 0.0)
    frame = experiment.region.frame
    x, y = frame.to_local(events.latitude[chosen], events.longitude[chosen])
    depth = events.depth_km[chosen] - experiment.surface_km
    _, vs = table.model.velocities_at(depth)
    sources = Sources(
        np.asarray(x, float),
        np.asarray(y, float),
        depth,
        events.tensors[chosen],
        corner_frequency(events.magnitude[chosen], events.stress_drop_mpa[chosen], vs),
    )
    shape = (len(chosen), len(experiment.stations))
    delay_p, delay_s = elevation_delays(experiment, table.model)
    terms = site_terms(rng, records, shape)
    traces = synthesize(
        table,
        station_positions(experiment.stations, frame),
        sources,
        samples=sample_count(experiment),
        start_s=-before,
        sampling_rate_hz=rate,
        gains=1.0 if terms is None else terms.gains,
        delays_s=delay_p[None] + (0.0 if terms is None else terms.delays_p_s),
        delays_of_s_s=delay_s[None] + (0.0 if terms is None else terms.delays_s_s),
        kappa_s=0.0 if terms is None else terms.kappa_s,
        split_phases=True,
    )
    if records.get("coda", True):
        shortest, longest = records.get("coda_decay_s", CODA_DECAY_S)
        decay = np.exp(rng.uniform(np.log(shortest), np.log(longest), (len(chosen), 1)))
        ratio = rng.uniform(*records.get("coda_ratio", CODA_RATIO))
        traces = add_coda(traces, rate, rng, energy_ratio=ratio, decay_s=decay)
    return traces


def batches(events: MadeEvents) -> list[NDArray[np.int64]]:
    """Indices of the events that are made together: of one earth model, at most :data:`BATCH`, in order."""
    found = []
    for model in np.unique(events.model):
        of_model = np.flatnonzero(events.model == model)
        found += [of_model[first : first + BATCH] for first in range(0, len(of_model), BATCH)]
    return found


@dataclass(frozen=True)
class Batch:
    """What a worker is given of a batch: all but the strain table, which it reads from ``table`` once and keeps."""

    experiment: ExperimentFile
    number: int
    chosen: NDArray[np.int64]
    events: MadeEvents
    table: Path
    software: str = __version__


def make_batch(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices of a batch's events, and their records (event, 3, station, sample) in m/s; the same wherever it is made.

    Raises SettingError where the worker is of another version, or does not see the table.
    """
    _check_version(batch.software)
    try:
        state = batch.table.stat()
    except OSError as error:
        raise SettingError(
            f"{batch.table}: a worker on {platform.node()} does not see it ({error.strerror}): the run folder must lie "
            "on a disk that all workers share"
        ) from error
    table = _kept_table(batch.table, state.st_mtime_ns, state.st_size)
    seed = [batch.experiment.seed, 2, batch.number]
    with threadpool_limits(1):  # the linear algebra may round otherwise where it has more threads
        records = make_records(batch.experiment, batch.events, np.arange(len(batch.chosen)), table, seed)
    return batch.chosen, records


@lru_cache(maxsize=2)  # batches come model by model
def _kept_table(path: Path, changed_ns: int, size: int) -> StrainTable:
    return StrainTable.load(path)


@dataclass(frozen=True)
class TableTask:
    """A strain table that a worker is to make at ``path``."""

    experiment: ExperimentFile
    model: EarthModel
    path: Path
    progress: bool
    software: str = __version__


def make_table(task: TableTask) -> None:
    """Make a strain table where it is not there yet. Raises SettingError as :func:`make_batch` does."""
    _check_version(task.software)
    table_of(task.experiment, task.model, task.path, task.progress)


def _check_version(wanted: str) -> None:
    if wanted != __version__:
        raise SettingError(f"dlloc_training is {wanted} here and {__version__} on {platform.node()}: install the same")


def run_synthesis(
    experiment: ExperimentFile,
    folder: Path,
    say: Callable[[str], None] = print,
    progress: bool = True,
    workers: int = 1,
    dask: str | None = None,
) -> Dataset:
    """Make the seismograms of an experiment in ``folder``, or take those that are there; go on where it was stopped.

    ``workers`` and ``dask``: who computes, as :func:`workers.workplace` says; this process alone writes. The file is
    the same, byte by byte, whoever computed and however often the run was stopped, as long as the processors are of
    one kind. Raises SettingError where the settings do not allow it or the disk has no room, before anything is
    computed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    path, wanted = folder / DATASET, header(experiment)
    if path.exists():
        return Dataset(path, wanted)
    events, models = draw_events(experiment), draw_models(experiment)
    shape = (len(events), len(experiment.stations), sample_count(experiment))
    tables = [(folder / "tables" / f"model_{model}.h5").absolute() for model in range(len(models))]
    missing = sum(
        table_bytes(experiment, model) for model, table in zip(models, tables, strict=True) if not table.exists()
    )
    with DatasetWriter(path, wanted, shape, missing) as writer, workplace(workers, dask) as place:
        parts = batches(events)
        left = [(number, part) for number, part in enumerate(parts) if not writer.done[part].all()]
        say(f"{len(events)} events at {shape[1]} stations, {len(left)} of {len(parts)} batches to make")
        needed = sorted({int(events.model[part[0]]) for _, part in left})
        bar = progress and not place.remote  # in other processes, one bar counts the tables
        tasks = [TableTask(experiment, models[model], tables[model], bar) for model in needed]
        with closing(place.each(make_table, tasks)) as made:
            for _ in tqdm(made, "tables", len(tasks), unit="table", disable=not (progress and place.remote)):
                pass
        work = [Batch(experiment, n, part, events.take(part), tables[int(events.model[part[0]])]) for n, part in left]
        with closing(place.each(make_batch, work)) as records:
            for part, velocity in tqdm(records, "synthesize", len(work), unit="batch", disable=not progress):
                writer.write(part, velocity)
        writer.finish()
    (folder / "synthesize.json").write_text(json.dumps({"events": len(events), "shape": shape}), "utf-8")
    return Dataset(path, wanted)
