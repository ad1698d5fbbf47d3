"""Calibration and export of a trained network."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .augment import anchor_error, noise_window, rebegun
from .calibration import covariance_scale, raw, read, thresholds
from .experiment import RECORD_SAMPLES, Experiment
from .export import write_model
from .network import Target
from .passports import passport_document
from .runs import load_network
from .sampler import model_input
from .theoretical import modelled_noise

FloatArray = NDArray[np.float64]

PEAK_RADIUS_KM = 10.0
VARIANTS = 6
NOISE_WINDOWS = 300
_BATCH = 25


def images_of(network: torch.nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images (event, nz, ny, nx) of inputs (event, 3, station, sample)."""
    with torch.no_grad():
        parts = [network(torch.from_numpy(inputs[k : k + _BATCH])).numpy() for k in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts)


def held_out_inputs(experiment: Experiment, seed: int) -> tuple[NDArray[np.float32], FloatArray]:
    """Held-out recorded events: once as they are, then :data:`VARIANTS` times with usual anchor errors, up to four
    stations lost, and records that begin and end elsewhere.
    """
    rng = np.random.default_rng([seed, 3])
    held, target = experiment.held_out, experiment.target
    settings, rate = experiment.training.augmentation, target.settings.sampling_rate_hz
    inputs, points = [], []
    for variant in range(1 + VARIANTS):
        for k in range(len(held.events)):
            example, error = held.recorded(k), 0.0
            if variant:
                lost = np.zeros(len(target.stations), bool)
                lost[rng.choice(len(lost), rng.integers(5), replace=False)] = True
                example = rebegun(example.without(lost), settings, rate, rng)
                error = anchor_error(settings, rng)
            inputs.append(model_input(example, target, example.first_break_s - target.settings.pretrigger_s + error))
            points.append(example.hypocentres[0])
    return np.array(inputs), np.array(points)


def noise_inputs(experiment: Experiment, seed: int) -> NDArray[np.float32]:
    """Windows of extended noise of the held-out events."""
    rng = np.random.default_rng([seed, 4])
    source, target = experiment.made_validation, experiment.target
    rate = target.settings.sampling_rate_hz
    inputs = []
    for _ in range(NOISE_WINDOWS):
        live = rng.random(len(target.stations)) < source.virtual.live_share
        example = rebegun(noise_window(source.noise.draw(rng), live, 10.0), source.augmentation, rate, rng)
        inputs.append(model_input(example, target, example.first_break_s - target.settings.pretrigger_s))
    return np.array(inputs)


def theoretical_input(experiment: Experiment, seed: int) -> NDArray[np.float32]:
    """(1, 3, station, sample): a theoretical event with modelled noise, nothing recorded in it."""
    if experiment.training.theoretical is None:
        raise ValueError("the golden input needs strain tables")
    rng = np.random.default_rng([seed, 5])
    target: Target = experiment.target
    noise = modelled_noise(target, 1, RECORD_SAMPLES, rng, least=0.2, largest=0.5)[0]
    example = experiment.training.theoretical.draw(rng, noise)
    data: NDArray[np.float32] = model_input(example, target, example.first_break_s - target.settings.pretrigger_s)
    # Strong events would leave the range of float16, in which golden inputs are stored
    return data[None] * np.float32(min(1.0, 1e4 / np.abs(data).max()))


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """What a passport keeps of evaluate's JSON: mean, median and 90th percentile in km and depth MAE of each row."""

    def row(entry: dict[str, Any]) -> dict[str, float]:
        epicentre = entry["epicentre"]
        figures = {f"{name}_km": epicentre[name]["value"] for name in ("mean", "median", "p90")}
        figures["depth_mae_km"] = entry["depth_mae"]["value"]
        return {name: round(float(value), 3) for name, value in figures.items() if value is not None}

    return {"data": report["header"]["data"], "rows": {entry["name"]: row(entry) for entry in report["rows"]}}


def release(
    experiment: Experiment,
    checkpoint: Path,
    path: Path,
    name: str,
    version: str,
    *,
    seed: int = 0,
    report: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Calibrate, check and write the model; returns what the passport says of its skill."""
    kept = load_network(checkpoint)
    network, kind = kept.network, kept.kind
    grid = experiment.target.grid
    inputs, points = held_out_inputs(experiment, seed)
    readings = read(images_of(network, inputs), points, grid, raw(PEAK_RADIUS_KM), kind)
    clean = slice(0, len(experiment.held_out.events))
    horizontal, depth = covariance_scale(readings)
    noise = images_of(network, noise_inputs(experiment, seed))
    at_noise = read(noise, np.zeros((len(noise), 3)), grid, raw(PEAK_RADIUS_KM), kind)
    event_peaks = np.array([peak.peak for peak in readings.peaks])
    noise_peaks = np.array([peak.peak for peak in at_noise.peaks])
    low, silent = thresholds(event_peaks, noise_peaks)
    errors = readings.epicentre_errors_km
    skill: dict[str, Any] = {
        "held_out_training_events": {
            "events": len(experiment.held_out.events),
            "mean_km": round(float(errors[clean].mean()), 3),
            "median_km": round(float(np.median(errors[clean])), 3),
            "mean_km_with_lost_stations_and_wrong_anchors": round(float(errors[clean.stop :].mean()), 3),
            "noise_windows_above_peak_threshold": round(float(np.mean(noise_peaks >= low)), 4),
        },
    }
    if report is not None:
        skill["test_events"] = headline(report)
    parameters = sum(p.numel() for p in network.parameters())
    document = passport_document(
        experiment.target,
        experiment.moveout,
        name=name,
        version=version,
        description=f"{kept.description} on the station tensor of the Oklahoma network of Zhang et al. (2020), trained "
        "on recorded, re-timed virtual and theoretical events. Station coordinates are estimates.",
        calibration={
            "peak_threshold": round(low, 4),
            "no_event_threshold": round(silent, 4),
            "peak_radius_km": PEAK_RADIUS_KM,
            "secondary_peak_ratio": 0.3,
            "covariance_scale": round(horizontal, 4),
            "depth_covariance_scale": round(depth, 4),
            "covariance_floor_km": 0.3,
            "time_sigma_floor_s": 0.2,
        },
        provenance={
            "data": "250 training events of the public demo of Zhang et al. (2020), of which "
            f"{len(experiment.held_out.events)} were held out; virtual events made of the others; theoretical "
            "seismograms of six layered models of central Oklahoma",
            "velocity_model": "straight rays calibrated on the training events",
            "architecture": kept.architecture,
            "parameters": parameters,
            "seed": seed,
            "license": "weights of this project",
        },
        skill=skill,
        kind=kind,
    )
    example = theoretical_input(experiment, seed)
    write_model(path, network, document, example, inputs[:8])
    return skill
