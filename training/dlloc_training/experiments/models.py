"""Earth models drawn around the given one, and their strain tables for a network and a region."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seiscomp_dlloc.errors import SettingError

from ..earth import COLUMNS, EarthModel
from ..events import station_positions
from ..greens import strain_table
from ..table import GREENS_FUNCTIONS, StrainTable
from .dataset import cannot_write
from .reading import ExperimentFile

FloatArray = NDArray[np.float64]

LEAD_S = 2.0
HIGHEST_SHARE = 0.4
"""Highest frequency of the tables as a share of the sampling rate, where the file states none."""

_LARGEST_DEPTH_STEP_KM, _DISTANCE_STEP_KM = 1.0, 0.5
_OFF_BOUNDARY_KM = 0.02
_VP_VS_SPREAD = 0.02


def draw_models(experiment: ExperimentFile) -> tuple[EarthModel, ...]:
    """The given earth model first, then as many around it as ``earth.models`` asks for.

    Velocities of each layer are multiplied by exp(N(0, velocity_spread)), half of it common to all layers, vp/vs by
    exp(N(0, 0.02)), thicknesses by exp(N(0, thickness_spread)).
    """
    row = experiment.settings["earth"]
    rng = np.random.default_rng([experiment.seed, 3])
    spread, thickness = row.get("velocity_spread", 0.05), row.get("thickness_spread", 0.1)
    made = [experiment.earth]
    while len(made) < row.get("models", 1):
        layers = experiment.earth.rows().copy()
        count = len(layers)
        common = rng.standard_normal()
        factor = np.exp(spread * np.sqrt(0.5) * (common + rng.standard_normal(count)))
        ratio = np.exp(_VP_VS_SPREAD * rng.standard_normal(count))
        layers[:, COLUMNS.index("vp_km_s")] *= factor
        layers[:, COLUMNS.index("vs_km_s")] *= factor / ratio
        layers[:-1, 0] *= np.exp(thickness * rng.standard_normal(count - 1))
        try:
            made.append(EarthModel.from_rows(layers.tolist(), experiment.earth.reference_frequency_hz))
        except SettingError:
            continue  # a draw that is no solid
    return tuple(made)


def table_axes(experiment: ExperimentFile, model: EarthModel) -> tuple[FloatArray, FloatArray]:
    """Depths below the model's surface and distances (km) that hold every event and station of the experiment.

    Depths are those of the grid, and no more than ``earth.depth_step_km`` apart (1 km where the file does not say);
    those on a layer's boundary are moved off it.
    """
    region = experiment.region
    grid = experiment.settings["events"].get("grid")
    largest = experiment.settings["earth"].get("depth_step_km", _LARGEST_DEPTH_STEP_KM)
    step = min(largest, grid["spacing_depth_km"]) if grid else largest
    if grid:  # the nodes themselves, with whole steps between them
        step = grid["spacing_depth_km"] / np.ceil(grid["spacing_depth_km"] / step)
    middle = 0.5 * (region.top_km + region.bottom_km) - experiment.surface_km
    half = 0.5 * (region.bottom_km - region.top_km)
    count = int(np.floor(half / step + 1e-9))
    offset = 0.0
    if grid and (np.floor(2 * half / grid["spacing_depth_km"] + 1e-9) + 1) % 2 == 0:
        offset = 0.5 * grid["spacing_depth_km"]
    below = count + 1 + int(np.ceil(offset / step))
    depths = np.unique(np.round(middle + step * np.arange(-below, count + 2) + offset, 6))
    low, high = middle - half, middle + half
    depths = depths[(depths > low - step + 1e-6) & (depths < high + step - 1e-6) & (depths > 0.05)]
    for top in model.tops_km[1:]:
        near = np.abs(depths - top) < _OFF_BOUNDARY_KM
        depths[near] = top + _OFF_BOUNDARY_KM
    corners = [(region.south, region.west), (region.south, region.east), (region.north, region.west),
               (region.north, region.east)]  # fmt: skip
    x, y = region.frame.to_local(*zip(*corners, strict=True))
    stations = station_positions(experiment.stations, region.frame)
    farthest = np.hypot(stations[:, None, 0] - x, stations[:, None, 1] - y).max()
    distances = np.arange(0.5 * _DISTANCE_STEP_KM, farthest + 2 * _DISTANCE_STEP_KM, _DISTANCE_STEP_KM)
    return depths, distances


def highest_hz(experiment: ExperimentFile) -> float:
    """Highest frequency of the seismograms. Raises SettingError where the sampling rate cannot hold it."""
    records = experiment.settings["records"]
    rate = records["sampling_rate_hz"]
    wanted: float = records.get("highest_hz", HIGHEST_SHARE * rate)
    if wanted > 0.5 * rate:
        raise SettingError(f"{experiment.path}: records.highest_hz {wanted:g} is above half the sampling rate {rate:g}")
    return wanted


def table_bytes(experiment: ExperimentFile, model: EarthModel) -> int:
    """Size of the strain table of an earth model, on the disk as in memory."""
    depths, distances = table_axes(experiment, model)
    frequencies = int(np.floor(highest_hz(experiment) * _table_duration_s(experiment))) + 1
    return 8 * len(depths) * len(distances) * GREENS_FUNCTIONS * frequencies


def _table_duration_s(experiment: ExperimentFile) -> float:
    records = experiment.settings["records"]
    rate: float = records["sampling_rate_hz"]
    return float(np.ceil((records["duration_s"] + LEAD_S) * rate) / rate)


def table_of(experiment: ExperimentFile, model: EarthModel, path: Path, progress: bool = False) -> StrainTable:
    """The strain table of an earth model, from ``path`` where it is there for the same model, else made and kept.

    One thread of the linear algebra, so that the table does not depend on how many there are. Raises SettingError
    where the table cannot be written.
    """
    depths, distances = table_axes(experiment, model)
    duration, fmax = _table_duration_s(experiment), highest_hz(experiment)
    if path.exists():
        table = StrainTable.load(path)
        same = (
            np.allclose(table.model.rows(), model.rows())
            and table.depths_km.shape == depths.shape
            and np.allclose(table.depths_km, depths)
            and table.distances_km.shape == distances.shape
            and np.isclose(table.duration_s, duration)
            and np.isclose(table.fmax_hz, fmax)
        )
        if same:
            return table
    with threadpool_limits(1):
        table = strain_table(
            model, depths, distances, duration_s=duration, fmax_hz=fmax, lead_s=LEAD_S,
            reduction_velocity_km_s=float(model.vp_km_s.max()) * 1.01, progress=progress,
        )  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.save(path)
    except (OSError, RuntimeError) as error:  # HDF5 raises RuntimeError where it cannot even close the file
        path.with_name(path.name + ".part").unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return table
