"""The stage ``synthesize``: theoretical events of an experiment into one file of seismograms."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .. import __version__
from ..earth import EarthModel
from ..events import Sources, station_positions, synthesize
from ..realism import add_coda, random_site_terms
from ..source import corner_frequency
from ..table import StrainTable
from .dataset import Dataset, DatasetWriter
from .drawing import MadeEvents, draw_events
from .models import draw_models, highest_hz, table_of
from .reading import ExperimentFile

FloatArray = NDArray[np.float64]

DATASET = "seismograms.h5"
BATCH = 32
"""Events of one earth model that are made together; part of what a seed stands for."""

STATICS_S = 0.05
"""Scatter of the stations' time statics of P where the file states none."""

_CODA_RATIO, _CODA_DECAY_S = (0.5, 4.0), (2.0, 8.0)


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
    terms = None
    if records.get("site_terms", True):
        terms = random_site_terms(rng, shape, delay_sigma_s=records.get("statics_s", STATICS_S))
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
        decay = np.exp(rng.uniform(np.log(_CODA_DECAY_S[0]), np.log(_CODA_DECAY_S[1]), (len(chosen), 1)))
        ratio = rng.uniform(_CODA_RATIO[0], _CODA_RATIO[1])
        traces = add_coda(traces, rate, rng, energy_ratio=ratio, decay_s=decay)
    return traces


def batches(events: MadeEvents) -> list[NDArray[np.int64]]:
    """Indices of the events that are made together: of one earth model, at most :data:`BATCH`, in order."""
    found = []
    for model in np.unique(events.model):
        of_model = np.flatnonzero(events.model == model)
        found += [of_model[first : first + BATCH] for first in range(0, len(of_model), BATCH)]
    return found


def run_synthesis(
    experiment: ExperimentFile, folder: Path, say: Callable[[str], None] = print, progress: bool = True
) -> Dataset:
    """Make the seismograms of an experiment in ``folder``, or take those that are there; go on where it was stopped.

    Raises SettingError where the settings do not allow it, before anything is computed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, wanted = folder / DATASET, header(experiment)
    if path.exists():
        return Dataset(path, wanted)
    events, models = draw_events(experiment), draw_models(experiment)
    highest_hz(experiment)
    shape = (len(events), len(experiment.stations), sample_count(experiment))
    with DatasetWriter(path, wanted, shape) as writer:
        parts = batches(events)
        left = [(number, part) for number, part in enumerate(parts) if not writer.done[part].all()]
        say(f"{len(events)} events at {shape[1]} stations, {len(left)} of {len(parts)} batches to make")
        tables: dict[int, StrainTable] = {}
        for number, part in tqdm(left, desc="synthesize", unit="batch", disable=not progress):
            model = int(events.model[part[0]])
            if model not in tables:
                tables = {model: table_of(experiment, models[model], folder / "tables" / f"model_{model}.h5", progress)}
            seed = [experiment.seed, 2, number]
            writer.write(part, make_records(experiment, events, part, tables[model], seed))
        writer.finish()
    (folder / "synthesize.json").write_text(json.dumps({"events": len(events), "shape": shape}), "utf-8")
    return Dataset(path, wanted)
