"""Theoretical events at given places, of the engine and the strain tables of the experiment's own seismograms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seiscomp_dlloc.passport import Preprocessing

from ...events import station_positions
from ..drawing import SPLITS, TEST, placed
from ..models import draw_models, table_axes, table_of
from ..reading import ExperimentFile
from ..records import Record, Truth
from ..synthesis import BATCH, make_records
from ..theoretical import filtered

FloatArray = NDArray[np.float64]

_CANDIDATES = 40
"""So many times more places are drawn than events are wanted: some lie beyond the tables."""


def reachable(experiment: ExperimentFile, places: FloatArray) -> NDArray[np.bool_]:
    """(event,): which ``places`` (event, 3) latitude, longitude, depth lie, for every station and earth model, within
    the strain tables' depths and distances, or half a step beyond them.
    """
    frame = experiment.region.frame
    x, y = frame.to_local(places[:, 0], places[:, 1])
    stations = station_positions(experiment.stations, frame)
    far = np.hypot(stations[:, 0] - np.asarray(x)[:, None], stations[:, 1] - np.asarray(y)[:, None]).max(axis=1)
    depth = places[:, 2] - experiment.surface_km
    inside = depth > 0
    for model in draw_models(experiment):
        depths, distances = table_axes(experiment, model)
        inside &= far <= distances[-1] + 0.5 * (distances[-1] - distances[-2])
        half = 0.5 * np.diff(depths) if len(depths) > 1 else np.full(1, 0.5)
        inside &= (depth >= depths[0] - half[0]) & (depth <= depths[-1] + half[-1])
    return np.asarray(inside)


def outside(experiment: ExperimentFile, rng: np.random.Generator, beyond_km: float, count: int) -> FloatArray:
    """(event, 3) at most ``count`` places, anywhere along the four sides of the region and ``beyond_km`` outside of
    them, at depths of the region; fewer, or none, where the tables do not reach farther.
    """
    region, frame = experiment.region, experiment.region.frame
    x, y = frame.to_local([region.south, region.north], [region.west, region.east])
    wide, high = 0.5 * float(np.ptp(x)), 0.5 * float(np.ptp(y))
    total = _CANDIDATES * count
    along, side = rng.uniform(-1.0, 1.0, total), rng.choice([-1.0, 1.0], total)
    east = rng.random(total) < high / (wide + high)  # sides by their lengths
    px = np.where(east, side * (wide + beyond_km), along * wide)
    py = np.where(east, along * high, side * (high + beyond_km))
    latitude, longitude = frame.to_geographic(px, py)
    depth = rng.uniform(region.top_km, region.bottom_km, total)
    places = np.stack([np.asarray(latitude), np.asarray(longitude), depth], axis=-1)
    return np.asarray(places[reachable(experiment, places)][:count])


def made_at(
    experiment: ExperimentFile, folder: Path, places: FloatArray, magnitude: FloatArray, names: list[str], number: int
) -> list[Record]:
    """Records of events at ``places`` (event, 3), all of them reachable, without noise; mechanisms, stress drops and
    earth models drawn as for the experiment's own. ``folder``: the run folder, whose tables are taken, or made;
    ``number``: of the draw.
    """
    count, seed = len(places), [experiment.seed, 13, number]
    events = placed(np.random.default_rng(seed), experiment, places, magnitude, np.full(count, -1),
                    np.full(count, SPLITS.index(TEST)))  # fmt: skip
    made: dict[int, Record] = {}
    models = draw_models(experiment)
    origin, rate = (
        experiment.settings["records"].get("before_s", 0.0),
        experiment.settings["records"]["sampling_rate_hz"],
    )
    for model in np.unique(events.model):
        table = table_of(experiment, models[model], folder / "tables" / f"model_{model}.h5")
        of_model = np.flatnonzero(events.model == model)
        for first in range(0, len(of_model), BATCH):
            chosen = of_model[first : first + BATCH]
            with threadpool_limits(1):
                data = make_records(experiment, events, chosen, table, [*seed, int(model), first])
            for row, event in enumerate(chosen):
                truth = Truth(*(float(v) for v in (*places[event], magnitude[event])))
                valid = np.ones(data[row].shape, bool)
                made[int(event)] = Record(names[event], data[row], valid, rate, origin, truth)
    return [made[k] for k in range(count)]


def as_delivered(record: Record, settings: Preprocessing) -> Record:
    """The record as it comes from a source that filters, where the settings say that one does."""
    return replace(record, data=filtered(record.data, record.rate_hz, settings))
