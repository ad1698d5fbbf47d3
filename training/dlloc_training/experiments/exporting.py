"""The stage ``export``: trained networks to ``.onnx`` files with their passports, checked as the plugin would."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.model import load
from seiscomp_dlloc.passport import Calibration, from_dict

from ..calibration import covariance_scale, read, thresholds
from ..export import write_model
from ..networks.image_head import ImageAndVector, ImageWithParameters
from ..networks.outputs import parameter_rows
from ..networks.regression import ParameterVector, Regressor
from ..slim import Density
from .augmenting import NO_EVENT
from .evaluating import SHIFTS_S, image_kind, images_of, raw_calibration
from .materials import RECORDED, THEORETICAL, Materials
from .plans import NetworkPlan
from .predictions import HELD_OUT, RECORDED_HELD_OUT
from .training import Fitted

FloatArray = NDArray[np.float64]

VERSION = "1.0.0"
NOISE_WINDOWS = 200
CHECKED = 4
"""Windows on which torch and ONNX are compared."""

_STATED = {"theoretical": "theoretical seismograms", "recorded": "recorded events",
           "both": "recorded events and theoretical seismograms"}  # fmt: skip


def _stated(plan: NetworkPlan) -> str:
    return _STATED[plan.data] + (", and recorded events re-timed to other places" if plan.virtual else "")


def calibrated(materials: Materials, fitted: Fitted) -> Calibration:
    """The calibration of a network's passport, from held-out events and windows of noise; never from test events.

    Regression networks hold their own temperature and have no peak: theirs changes nothing. Heads beside location
    images hold theirs as well.
    """
    if isinstance(fitted.network, Regressor):
        return Calibration(0.0, 1.0)
    raw = raw_calibration(fitted)
    exact = materials.exact(fitted.plan.inputs, HELD_OUT if fitted.plan.data == THEORETICAL else RECORDED_HELD_OUT)
    grid, kind = fitted.passport.grid, image_kind(fitted)
    answered = exact.answered  # of the others the plugin would not ask the network
    if not answered.any():
        raise SettingError(
            f"networks.{fitted.plan.name}: the plugin finds the first break of none of {len(exact)} held-out events; "
            "are they below the noise?"
        )
    images = images_of(fitted, exact.arrays["waveforms"][answered])
    readings = read(images, exact.targets[answered, :3], grid, raw, kind)
    noise = _noise_images(materials, fitted)
    silent = read(noise, np.zeros((len(noise), 3)), grid, raw, kind)
    low, none = thresholds(np.array([p.peak for p in readings.peaks]), np.array([p.peak for p in silent.peaks]))
    flat, depth = covariance_scale(readings)
    if not np.isfinite(depth):  # one depth only: the image says nothing about it
        depth = 1.0
    return replace(
        raw, peak_threshold=low, no_event_threshold=none, covariance_scale=flat, depth_covariance_scale=depth
    )


def _noise_images(materials: Materials, fitted: Fitted) -> NDArray[np.float32]:
    """Images of windows without an event, anchored anywhere."""
    source = THEORETICAL if fitted.plan.data == THEORETICAL else RECORDED
    inputs = fitted.plan.inputs
    silent = replace(materials.draws, no_event=1.0)
    augmenter = materials.augmenter(inputs, source, materials.records(inputs, source), silent)
    windows, made = materials.windows(inputs), []
    for number in range(NOISE_WINDOWS):
        rng = np.random.default_rng([materials.experiment.seed, 12, number])
        drawn = augmenter.draw(rng, number % len(augmenter.records))
        assert drawn.kind == NO_EVENT
        conditioned = windows.conditioned(drawn.record)
        built = windows.at(conditioned, windows.predicted_anchor(drawn.record))
        made.append(np.asarray(built.arrays["waveforms"], np.float32))
    return images_of(fitted, np.stack(made))


def export_network(
    materials: Materials, fitted: Fitted, folder: Path, skill: Mapping[str, Any], version: str = VERSION
) -> Path:
    """Write ``folder``/NAME-VERSION.onnx and read it back with the plugin, golden input and all; returns the path."""
    experiment, plan = materials.experiment, fitted.plan
    name = f"{experiment.name}-{plan.name}"
    calibration = asdict(calibrated(materials, fitted))
    document = json.loads(fitted.passport.to_json())
    network, outputs = _as_exported(fitted)
    if isinstance(fitted.network, Regressor):
        frame = experiment.region.frame
        document["head"] = fitted.network.passport_head(frame.latitude, frame.longitude)
    elif isinstance(fitted.network, ImageWithParameters):
        document["head"]["parameters"] = parameter_rows(fitted.network.outputs.names)
    document.update(
        name=name,
        version=version,
        description=f"{plan.title}, experiment {experiment.name}, trained on {_stated(plan)}",
        calibration=calibration,
        skill=dict(skill),
    )
    document["provenance"] |= {
        "data": f"{_stated(plan)} of the experiment {experiment.name}",
        "architecture": plan.kind,
        "parameters": fitted.meta["parameters"],
        "velocity_model": str(experiment.settings["earth"].get("source", "of the experiment's file")),
    }
    from_dict(document, name)
    exact = materials.exact(plan.inputs, HELD_OUT)
    checked = {each: exact.arrays[each][:CHECKED] for each in fitted.inputs}
    path = folder / f"{name}-{version}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    golden = {each: values[:1] for each, values in checked.items()}
    write_model(path, network.eval(), document, golden, checked, outputs)
    load(path, provider="cpu")
    return path


def _as_exported(fitted: Fitted) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """What stands in the model file, and the names of what it returns."""
    network = fitted.network
    if isinstance(network, Regressor):
        return ParameterVector(network), ("vector",)
    if isinstance(network, ImageWithParameters):
        return ImageAndVector(network, SHIFTS_S), ("image", "vector")
    return Density(network, SHIFTS_S), ("image",)
