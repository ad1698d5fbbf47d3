"""A valid passport and a small model to break in tests."""

import copy
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from seiscomp_dlloc import model as models

_PASSPORT: dict[str, Any] = {
    "format_version": 1,
    "name": "sample",
    "version": "1.2.3",
    "description": "four stations",
    "content_sha256": "0" * 64,
    "network": {
        "kind": "fixed",
        "tolerance_km": 2.0,
        "stations": [
            {"network": "XX", "code": f"A{i}", "latitude": 36.0 + 0.1 * i, "longitude": -97.0, "elevation_m": 300.0}
            for i in range(4)
        ],
    },
    "preprocessing": {
        "sampling_rate_hz": 20.0, "band_hz": [2.0, 8.0], "corners": 4, "prefiltered": False, "warmup_s": 5.0,
        "detrend": "constant", "quantity": "velocity", "window_samples": 256, "pretrigger_s": 2.0,
        "normalisation": "station_max", "unit_scale": 1e6,
    },
    "representation": {"kind": "stations", "missing": "zero", "inputs": ["waveforms"]},
    "head": {
        "kind": "volume", "measure": "density", "label_sigma_km": 3.0,
        "grid": {"latitude": 36.0, "longitude": -97.0, "x0_km": -10.0, "y0_km": -8.0, "z0_km": 0.0,
                 "dx_km": 2.0, "dy_km": 2.0, "dz_km": 1.0, "nx": 11, "ny": 9, "nz": 5},
    },
    "region": {"latitude": [35.5, 36.5], "longitude": [-97.5, -96.5], "depth_km": [0.0, 10.0], "magnitude": [1.0, 5.0]},
    "min_stations": 3,
    "earth_model": {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 6.0, "vs_km_s": 3.5}]},
    "calibration": {"peak_threshold": 0.2, "covariance_scale": 1.0},
    "provenance": {"data": "none", "date": "2026-01-01", "code_version": "0.1.0", "seed": 1},
}  # fmt: skip


def passport_document(**changes: Any) -> dict[str, Any]:
    """A fresh copy; ``changes`` are dotted paths with ``__`` for the dot, a value of ``...`` deletes the field."""
    document = copy.deepcopy(_PASSPORT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = document
        for key in parents:
            target = target[key]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return document


SHAPE = (3, 4, 256)
GRID = (5, 9, 11)


def graph(seed: int = 0) -> bytes:
    """Softmax over the grid of a linear map of each trace's mean: (B, 3, 4, 256) -> (B, 5, 9, 11)."""
    weights = np.random.default_rng(seed).normal(size=(12, 495)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["waveforms", "time"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        helper.make_node("Reshape", ["probability", "volume"], ["image"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([3], np.int64), "time"),
        numpy_helper.from_array(np.array([-1, 12], np.int64), "flat"),
        numpy_helper.from_array(np.array([-1, *GRID], np.int64), "volume"),
        numpy_helper.from_array(weights, "weights"),
    ]
    inputs = [helper.make_tensor_value_info("waveforms", onnx.TensorProto.FLOAT, ["batch", *SHAPE])]
    outputs = [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["batch", *GRID])]
    proto = helper.make_model(
        helper.make_graph(nodes, "tiny", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    proto.ir_version = 9
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def golden_of(data: bytes, shift: float = 0.0) -> models.Golden:
    waveforms = np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float16).astype(np.float32)
    (image,) = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(["image"], {"waveforms": waveforms})
    indices = np.arange(0, 495, 7)
    values = image.ravel()[indices] + np.float32(shift)
    return models.Golden({"waveforms": waveforms}, {"image": indices}, {"image": values}, 1e-4, 1e-5)


def model_bytes(**changes: Any) -> bytes:
    """A model as export makes it; ``changes`` as for :func:`passport_document`."""
    data = graph()
    return models.embed(data, passport_document(**changes), golden_of(data), onnx)
