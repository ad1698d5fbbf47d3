"""The inputs of an experiment's networks as the plugin's passport describes them, before there is any model.

Training and evaluation build inputs through the plugin's own functions, which ask a passport for everything: so the
passport stands first, and export fills in what training has found out.
"""

import datetime
from typing import Any, Literal

from seiscomp_dlloc import __version__
from seiscomp_dlloc.errors import ModelError, SettingError
from seiscomp_dlloc.passport import Passport, from_dict
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.snapshots import ENVELOPE_PASS, WAVEFORM_PASS

from ..earth import EarthModel
from .areas import image_bounds, location_grid, region_box
from .reading import ExperimentFile

Kind = Literal["images", "stations"]

ROWS = COLUMNS = 32
"""As in Sugiyama et al. (2021)."""

NOT_NORMALISED = "none"

UNIT_SCALE = 1e6
"""Networks see micrometres per second."""

SAMPLES_STEP = 128
"""Windows of stations have a multiple of so many samples, which the slim network asks for."""

LEAST_STATIONS = 5
_TOLERANCE_KM = 0.2
_REACH_FRAMES = {"envelope": 8, "waveform": 19}
"""Frames are interpolated from what lies so many frames around them; see the plugin's resampling."""


Widths = tuple[float | None, float | None]  # of labels, horizontally and in depth, km; None: as location_image says


def draft_passport(
    experiment: ExperimentFile,
    kind: Kind,
    image_head: bool = False,
    mask: bool = False,
    labels: Widths = (None, None),
    log_scale: bool = False,
) -> Passport:
    """The passport of a model of this experiment that takes ``kind``, checked, with a head and a calibration to come.

    ``image_head``: the head is a location image of the section ``location_image``, else a vector. ``mask``: the model
    takes the mask as well; ``log_scale``: also the logarithms of amplitudes, where normalisation takes these away.
    Raises SettingError naming the file where a section is missing or the settings do not go together.
    """
    settings = experiment.settings
    if "preprocessing" not in settings:
        raise SettingError(f"{experiment.path}: preprocessing: the section is missing; networks need it")
    if kind == "images" and "images" not in settings:
        raise SettingError(f"{experiment.path}: images: the section is missing; networks of images need it")
    normalised = settings["preprocessing"].get("normalisation", NOT_NORMALISED) != NOT_NORMALISED
    extra = ["mask"] * mask + ["log_scale"] * (log_scale and normalised)
    document = {
        "format_version": 1,
        "name": experiment.name,
        "version": "0.0.0",
        "content_sha256": "0" * 64,
        "network": {"kind": "fixed", "tolerance_km": _TOLERANCE_KM, "stations": [_row(s) for s in experiment.stations]},
        "preprocessing": _preprocessing(experiment, kind),
        "representation": _representation(experiment, kind, extra),
        "head": _image_head(experiment, labels) if image_head else _vector_head(experiment),
        "region": region_box(experiment),
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
    recorded = experiment.settings["records"]["sampling_rate_hz"]
    rate = row.get("sampling_rate_hz", recorded)
    if rate > recorded:
        raise SettingError(
            f"{experiment.path}: preprocessing.sampling_rate_hz: {rate:g} is above the {recorded:g} Hz of the records"
        )
    low, _ = row["band_hz"]
    prefiltered = row.get("prefiltered", False)
    pretrigger, window = row["pretrigger_s"], row["window_s"]
    if kind == "images":
        images = experiment.settings["images"]
        if images["frame_rate_hz"] > rate:
            raise SettingError(
                f"{experiment.path}: images.frame_rate_hz: {images['frame_rate_hz']:g} is above the sampling rate of "
                f"{rate:g} Hz"
            )
        pretrigger = images.get("pretrigger_s", 0.0)
        window = (images["frames"] + _REACH_FRAMES[images["quantity"]]) / images["frame_rate_hz"]
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
        "normalisation": row.get("normalisation", NOT_NORMALISED),
        "unit_scale": row.get("unit_scale", UNIT_SCALE),
    }


def _representation(experiment: ExperimentFile, kind: Kind, extra: list[str]) -> dict[str, Any]:
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
        "bounds": image_bounds(experiment, row.get("margin_km", 0.0)),
        "component": row.get("component", "Z"),
        "quantity": row["quantity"],
        "kernel": row["kernel"],
        "extrapolation": row.get("extrapolation", "kernel"),
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
