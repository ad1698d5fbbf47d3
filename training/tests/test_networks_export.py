"""Networks as the plugin gets them: ONNX beside torch, and the plugin's own loader and reader of answers."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from dlloc_training.export import parity, to_onnx, write_model
from dlloc_training.networks.outputs import PARAMETERS, TWO_NETWORKS, Outputs
from dlloc_training.networks.regression import ParameterVector
from dlloc_training.networks.shapes import InputShape

from seiscomp_dlloc import heads
from seiscomp_dlloc.model import Model, load
from seiscomp_dlloc.passport import from_dict

from . import nets

ORIGIN = (35.23, 139.02)


def document(network, shape: InputShape) -> dict[str, Any]:
    """The least that a passport holds, around a network."""
    representation: dict[str, Any] = {"kind": "stations", "missing": "zero"}
    if shape.kind == "snapshots":
        representation = {
            "kind": "snapshots",
            "missing": "zero",
            "frames": shape.shape[0],
            "frame_rate_hz": shape.rate_hz,
            "rows": shape.shape[1],
            "columns": shape.shape[2],
            "bounds": {"south": 35.1, "north": 35.4, "west": 138.9, "east": 139.2},
            "component": "Z",
            "quantity": "envelope",
            "kernel": {"kind": "gaussian", "length_km": 3.0},
        }
    return {
        "format_version": 1,
        "name": "toy",
        "version": "1.0.0",
        "content_sha256": "0" * 64,
        "network": {
            "kind": "fixed",
            "tolerance_km": 1.0,
            "stations": [
                {"network": "XX", "code": f"T{k}", "latitude": 35.2, "longitude": 139.0 + 0.01 * k, "elevation_m": 0.0}
                for k in range(nets.STATIONS)
            ],
        },
        "preprocessing": {
            "sampling_rate_hz": 10.0,
            "band_hz": [1.0, 4.0],
            "corners": 4,
            "prefiltered": False,
            "warmup_s": 5.0,
            "detrend": "constant",
            "quantity": "velocity",
            "window_samples": nets.SAMPLES,
            "pretrigger_s": 1.0,
            "normalisation": "network_max",
            "unit_scale": 1e6,
        },
        "representation": {**representation, "inputs": list(shape.inputs)},
        "head": network.passport_head(*ORIGIN),
        "region": {
            "latitude": [34.0, 36.0],
            "longitude": [138.0, 140.0],
            "depth_km": [-5.0, 30.0],
            "magnitude": [-2.0, 8.0],
        },
        "min_stations": 3,
        "earth_model": {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 5.5, "vs_km_s": 3.2}]},
        "calibration": {"peak_threshold": 0.0, "covariance_scale": 1.0},
        "provenance": {"data": "none", "date": "2026-01-01", "code_version": "0"},
    }


def arrays_of(shape: InputShape, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    return {name: a.numpy() for name, a in zip(shape.inputs, nets.example(shape, batch, seed), strict=True)}


def exported(name: str, shape: InputShape, folder, outputs: Outputs | None = None) -> tuple[Any, Model]:
    network = nets.network(name, shape, outputs)
    network.set_temperature(np.arange(1.0, 1.0 + len(network.outputs.names)))
    path = folder / "toy.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells its own plans
        write_model(
            path, ParameterVector(network), document(network, shape), arrays_of(shape, 1), arrays_of(shape, 4), "vector"
        )
    return network, load(path, provider="cpu", threads=1)


@pytest.mark.parametrize(("name", "shape"), nets.CASES, ids=nets.IDS)
def test_the_plugin_loads_every_network_and_reads_km_seconds_and_magnitudes_with_their_sigmas(name, shape, tmp_path):
    network, model = exported(name, shape, tmp_path)
    assert model.check().passed
    assert InputShape.of(model.passport, shape.scale) == shape
    for batch in (1, 3):  # the batch is dynamic
        arrays = arrays_of(shape, batch, seed=7)
        got = model.run(arrays)["vector"]
        with torch.no_grad():
            mean, sigma = network.predict(*(torch.from_numpy(a) for a in arrays.values()))
        wanted = torch.cat([mean, sigma], 1).numpy()
        assert got.shape == (batch, 10)
        largest = np.abs(wanted).max(0)
        assert np.max(np.abs(got - wanted) / largest) <= 1e-5
    row = dict(zip(PARAMETERS, mean[2].tolist(), strict=True))
    sigmas = dict(zip(PARAMETERS, sigma[2].tolist(), strict=True))
    estimate = heads.read({"vector": got[2]}, model.passport)
    x, y = model.passport.frame.to_local(estimate.latitude, estimate.longitude)
    assert (float(x), float(y)) == pytest.approx((row["x"], row["y"]), abs=1e-3)
    assert estimate.depth_km == pytest.approx(row["depth"], abs=1e-4)
    assert estimate.time_s == pytest.approx(row["time"], abs=1e-4)
    assert estimate.magnitude == pytest.approx(row["magnitude"], abs=1e-4)
    variances = [sigmas[n] ** 2 for n in ("x", "y", "depth")]
    assert np.diag(estimate.covariance_km2) == pytest.approx(variances, rel=1e-4)
    assert (estimate.time_sigma_s, estimate.magnitude_sigma) == pytest.approx(
        (sigmas["time"], sigmas["magnitude"]), rel=1e-4
    )


def test_two_networks_are_one_file(tmp_path):
    network, model = exported("image_cnn", nets.IMAGES, tmp_path, TWO_NETWORKS)
    arrays = arrays_of(nets.IMAGES, 1)
    estimate = heads.read({"vector": model.run(arrays)["vector"][0]}, model.passport)
    with torch.no_grad():
        mean = network.predict(*(torch.from_numpy(a) for a in arrays.values())).mean[0]
    assert network.outputs.names[3:] == ("magnitude", "time")
    assert (estimate.magnitude, estimate.time_s) == pytest.approx(mean[3:].tolist(), abs=1e-4)


def test_a_network_without_origin_time_and_magnitude_leaves_them_to_the_plugin(tmp_path):
    _, model = exported("volume_cnn", nets.IMAGES, tmp_path, Outputs((("x", "y", "depth"),), uncertainty=False))
    estimate = heads.read({"vector": model.run(arrays_of(nets.IMAGES, 1))["vector"][0]}, model.passport)
    assert (estimate.time_s, estimate.magnitude) == (None, None)
    assert np.all(np.diag(estimate.covariance_km2) > 0)


def test_the_frame_of_the_parameters_is_that_of_the_passport(tmp_path):
    _, model = exported("convnetquake", nets.WAVES, tmp_path)
    assert (model.passport.frame.latitude, model.passport.frame.longitude) == ORIGIN


def test_parity_notices_an_input_that_is_treated_differently():
    network = nets.network("image_lstm", nets.MASKED)
    vector, arrays = ParameterVector(network), arrays_of(nets.MASKED, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = to_onnx(vector, {k: torch.from_numpy(v) for k, v in arrays_of(nets.MASKED, 1).items()}, "vector")
    assert parity(data, vector, arrays, rtol=1e-5, atol=1e-5) <= 1.0
    network.set_temperature(np.full(5, 1.01))
    assert parity(data, vector, arrays, rtol=1e-5, atol=1e-5) > 1.0


def test_the_passport_of_every_network_is_valid():
    for name, shape in nets.CASES:
        passport = from_dict(document(nets.network(name, shape), shape))
        assert passport.head["parameters"][0] == {"name": "x", "unit": "km", "scale": 1.0, "offset": 0.0}
        assert [row["name"] for row in passport.head["parameters"]][5:] == [f"sigma_{n}" for n in PARAMETERS]
