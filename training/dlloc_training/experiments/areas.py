"""Where an experiment's inputs and answers lie: the box of its images, the grid of its location image, its region."""

from typing import Any

import numpy as np

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import Grid

from .reading import ExperimentFile

_REGION_MARGIN_KM = 1.0


def location_grid(experiment: ExperimentFile) -> Grid:
    """Grid of the location image: the region with a margin, nodes in the middle of cells."""
    if "location_image" not in experiment.settings:
        raise SettingError(f"{experiment.path}: location_image: the section is missing; slim and fcn need it")
    row, region = experiment.settings["location_image"], experiment.region
    step, step_z, margin = row["spacing_km"], row["spacing_depth_km"], row.get("margin_km", row["spacing_km"])
    x, y = _corners(experiment)
    width, height = np.ptp(x) + 2 * margin, np.ptp(y) + 2 * margin
    # The slim network's image is refined from a coarser one three times over
    nx, ny = (int(np.ceil(size / step / 8.0)) * 8 for size in (width, height))
    nz = max(1, round((region.bottom_km - region.top_km) / step_z))
    centre_x, centre_y = 0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max())
    return Grid(
        region.frame.latitude,
        region.frame.longitude,
        round(float(centre_x - 0.5 * step * (nx - 1)), 4),
        round(float(centre_y - 0.5 * step * (ny - 1)), 4),
        round(region.top_km + 0.5 * (region.bottom_km - region.top_km) / nz, 4),
        step,
        step,
        (region.bottom_km - region.top_km) / nz,
        nx,
        ny,
        nz,
    )


def _corners(experiment: ExperimentFile) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    region = experiment.region
    latitudes = [region.south, region.south, region.north, region.north]
    x, y = region.frame.to_local(latitudes, [region.west, region.east, region.west, region.east])
    return np.asarray(x), np.asarray(y)


def region_bounds(experiment: ExperimentFile) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Lowest and highest x east, y north and depth of the region, km."""
    x, y = _corners(experiment)
    region = experiment.region
    return np.array([x.min(), y.min(), region.top_km]), np.array([x.max(), y.max(), region.bottom_km])


def image_bounds(experiment: ExperimentFile, margin_km: float) -> dict[str, float]:
    """The box of all stations and the region."""
    frame = experiment.region.frame
    x, y = _corners(experiment)
    sx, sy = frame.to_local([s.latitude for s in experiment.stations], [s.longitude for s in experiment.stations])
    x, y = np.concatenate([x, np.atleast_1d(sx)]), np.concatenate([y, np.atleast_1d(sy)])
    latitude, longitude = frame.to_geographic(
        [x.min() - margin_km, x.max() + margin_km], [y.min() - margin_km, y.max() + margin_km]
    )
    return {
        "south": round(float(latitude[0]), 5),
        "north": round(float(latitude[1]), 5),
        "west": round(float(longitude[0]), 5),
        "east": round(float(longitude[1]), 5),
    }


def region_box(experiment: ExperimentFile) -> dict[str, Any]:
    """The passport's region: the experiment's, a little wider."""
    region = experiment.region
    x, y = _corners(experiment)
    latitude, longitude = region.frame.to_geographic(
        [x.min() - _REGION_MARGIN_KM, x.max() + _REGION_MARGIN_KM],
        [y.min() - _REGION_MARGIN_KM, y.max() + _REGION_MARGIN_KM],
    )
    return {
        "latitude": [round(float(v), 5) for v in latitude],
        "longitude": [round(float(v), 5) for v in longitude],
        "depth_km": [region.top_km, region.bottom_km],
        "magnitude": list(experiment.settings["events"]["magnitude"]),
    }
