"""The inputs of an experiment's networks as the plugin's passport describes them, before there is any model.

Training and evaluation build inputs through the plugin's own functions, which ask a passport for everything: so the
passport stands first, and export fills in what training has found out.
"""

import datetime
from typing import Any, Literal

import numpy as np

from seiscomp_dlloc import __version__
from seiscomp_dlloc.errors import ModelError, SettingError
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Passport, from_dict
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.snapshots import ENVELOPE_PASS, WAVEFORM_PASS

from ..earth import EarthModel
from .reading import ExperimentFile

Kind = Literal["images", "stations"]

ROWS = COLUMNS = 32
"""As in Sugiyama et al. (2021)."""

UNIT_SCALE = 1e6
"""Networks see micrometres per second."""

SAMPLES_STEP = 128
"""Windows of stations have a multiple of so many samples, which the slim network asks for."""

LEAST_STATIONS = 5
_REGION_MARGIN_KM = 1.0
_TOLERANCE_KM = 0.2
_REACH_FRAMES = 8
"""Frames are interpolated from what lies so many frames around them; see the plugin's resampling."""


Widths = tuple[float | None, float | None]  # of labels, horizontally and in depth, km; None: as location_image says


def draft_passport(
    experiment: ExperimentFile, kind: Kind, image_head: bool = False, mask: bool = False, labels: Widths = (None, None)
) -> Passport:
    """The passport of a model of this experiment that takes ``kind``, checked, with a head and a calibration to come.

    ``image_head``: the head is a location image of the section ``location_image``, else a vector. ``mask``: the model
    takes the mask as well. Raises SettingError naming the file where a section is missing or the settings do not go
    together.
    """
    settings = experiment.settings
    if "preprocessing" not in settings:
        raise SettingError(f"{experiment.path}: preprocessing: the section is missing; networks need it")
    if kind == "images" and "images" not in settings:
        raise SettingError(f"{experiment.path}: images: the section is missing; networks of images need it")
    document = {
        "format_version": 1,
        "name": experiment.name,
        "version": "0.0.0",
        "content_sha256": "0" * 64,
        "network": {"kind": "fixed", "tolerance_km": _TOLERANCE_KM, "stations": [_row(s) for s in experiment.stations]},
        "preprocessing": _preprocessing(experiment, kind),
        "representation": _representation(experiment, kind, mask),
        "head": _image_head(experiment, labels) if image_head else _vector_head(experiment),
        "region": _region(experiment),
        "min_stations": min(LEAST_STATIONS, len(experiment.stations)),
        "earth_model": {"kind": "layers", "layers": earth_layers(experiment.earth, experiment.surface_km)},
        "calibration": {"peak_threshold": 0.0, "covariance_scale": 1.0},
        "provenance": {
            "data": f"theoretical seismograms of the experiment {experiment.name}",
            "code_version": __version__,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seed": experiment.seed,
        },
    }
    try:
        return from_dict(document, str(experiment.path))
    except ModelError as error:
        raise SettingError(str(error)) from error


def earth_layers(model: EarthModel, surface_km: float) -> list[dict[str, float]]:
    """Layers of a passport: tops in km below sea level."""
    return [
        {"top_km": round(float(top) + surface_km, 6), "vp_km_s": float(vp), "vs_km_s": float(vs)}
        for top, vp, vs in zip(model.tops_km, model.vp_km_s, model.vs_km_s, strict=True)
    ]


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


def _row(station: Station) -> dict[str, Any]:
    return {
        "network": station.network,
        "code": station.code,
        "latitude": station.latitude,
        "longitude": station.longitude,
        "elevation_m": station.elevation_m,
    }


def _preprocessing(experiment: ExperimentFile, kind: Kind) -> dict[str, Any]:
    row = experiment.settings["preprocessing"]
    rate = row.get("sampling_rate_hz", experiment.settings["records"]["sampling_rate_hz"])
    low, _ = row["band_hz"]
    prefiltered = row.get("prefiltered", False)
    pretrigger, window = row["pretrigger_s"], row["window_s"]
    if kind == "images":
        images = experiment.settings["images"]
        pretrigger = images.get("pretrigger_s", 0.0)
        window = (images["frames"] + _REACH_FRAMES) / images["frame_rate_hz"]
    samples = round(window * rate)
    if kind == "stations":
        samples = -(-samples // SAMPLES_STEP) * SAMPLES_STEP
    return {
        "sampling_rate_hz": rate,
        "band_hz": row["band_hz"],
        "corners": row.get("corners", 2),
        "prefiltered": prefiltered,
        "warmup_s": row.get("warmup_s", 0.0 if prefiltered else min(2.0 / low, 10.0)),
        "detrend": row.get("detrend", "constant"),
        "quantity": "velocity",
        "window_samples": samples,
        "pretrigger_s": pretrigger,
        "normalisation": row.get("normalisation", "none"),
        "unit_scale": row.get("unit_scale", UNIT_SCALE),
    }


def _representation(experiment: ExperimentFile, kind: Kind, mask: bool) -> dict[str, Any]:
    extra = ["mask"] if mask else []
    if kind == "stations":
        return {"kind": "stations", "missing": "zero", "inputs": ["waveforms", *extra]}
    row = experiment.settings["images"]
    keep = (ENVELOPE_PASS if row["quantity"] == "envelope" else WAVEFORM_PASS) * row["frame_rate_hz"]
    low = experiment.settings["preprocessing"]["band_hz"][0]
    if row["quantity"] == "waveform" and low >= keep:
        raise SettingError(
            f"{experiment.path}: images: frames at {row['frame_rate_hz']:g} Hz hold nothing above {keep:g} Hz, and the "
            f"band begins at {low:g} Hz; raise frame_rate_hz, lower the band, or take envelopes"
        )
    return {
        "kind": "snapshots",
        "missing": row.get("missing", "zero"),
        "inputs": ["snapshots", *extra],
        "frames": row["frames"],
        "frame_rate_hz": row["frame_rate_hz"],
        "rows": row.get("rows", ROWS),
        "columns": row.get("columns", COLUMNS),
        "bounds": _bounds(experiment, row.get("margin_km", 0.0)),
        "component": row.get("component", "Z"),
        "quantity": row["quantity"],
        "kernel": row["kernel"],
        "extrapolation": row.get("extrapolation", "kernel"),
    }


def _bounds(experiment: ExperimentFile, margin_km: float) -> dict[str, float]:
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


def _region(experiment: ExperimentFile) -> dict[str, Any]:
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


def _vector_head(experiment: ExperimentFile) -> dict[str, Any]:
    rows = [{"name": name, "unit": "km", "scale": 1.0, "offset": 0.0} for name in ("x", "y")]
    frame = experiment.region.frame
    return {
        "kind": "vector",
        "parameters": rows,
        "origin": {"latitude": frame.latitude, "longitude": frame.longitude},
    }


def label_widths(experiment: ExperimentFile, labels: Widths = (None, None)) -> tuple[float, float]:
    """Widths of a location image's labels, horizontally and in depth, km: one and a half cells where none is said."""
    row = experiment.settings["location_image"]
    horizontal = labels[0] or row.get("label_sigma_km", 1.5 * row["spacing_km"])
    depth = labels[1] or row.get("label_sigma_depth_km", 1.5 * row["spacing_depth_km"])
    return horizontal, depth


def _image_head(experiment: ExperimentFile, labels: Widths) -> dict[str, Any]:
    grid = location_grid(experiment)
    horizontal, depth = label_widths(experiment, labels)
    names = ("latitude", "longitude", "x0_km", "y0_km", "z0_km", "dx_km", "dy_km", "dz_km", "nx", "ny", "nz")
    return {
        "kind": "volume",
        "measure": "density",
        "label_sigma_km": horizontal,
        "label_sigma_depth_km": depth,
        "grid": {name: getattr(grid, name) for name in names},
    }
