"""Small ONNX models with valid passports, for tests of whatever runs a model.

:func:`fixed_image` and :func:`fixed_vector` answer the same to any input; :func:`responsive_image` answers by
what it is shown.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from samples import passport_document

from seiscomp_dlloc import model as models
from seiscomp_dlloc.passport import from_dict


def gaussian(document: dict[str, Any], x_km: float, y_km: float, z_km: float, sigma_km: float) -> NDArray[np.float32]:
    """A Gaussian on the passport's grid, (nz, ny, nx): of sum 1 for a density, of height 1 for a label image."""
    grid = from_dict(document).grid
    z, y, x = np.meshgrid(grid.z_km - z_km, grid.y_km - y_km, grid.x_km - x_km, indexing="ij")
    values = np.exp(-0.5 * (x**2 + y**2 + z**2) / sigma_km**2)
    if document["head"]["measure"] == "density":
        values /= values.sum()
    return np.asarray(values, np.float32)


def _input_shape(document: dict[str, Any]) -> tuple[str, list[int]]:
    representation = document["representation"]
    if representation["kind"] == "snapshots":
        return "snapshots", [representation["frames"], representation["rows"], representation["columns"]]
    stations = document["network"].get("stations", [])
    return "waveforms", [3, len(stations), document["preprocessing"]["window_samples"]]


def _finish(document: dict[str, Any], nodes: list[Any], constants: list[Any], output: str, shape: list[int]) -> bytes:
    name, dimensions = _input_shape(document)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *dimensions])]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape])]
    proto = helper.make_model(
        helper.make_graph(nodes, "tiny", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    proto.ir_version = 9
    onnx.checker.check_model(proto)
    data = bytes(proto.SerializeToString())
    sample = np.random.default_rng(1).normal(size=(1, *dimensions)).astype(np.float16).astype(np.float32)
    (answer,) = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run([output], {name: sample})
    indices = np.unique(np.linspace(0, answer.size - 1, 50).astype(np.int64))
    golden = models.Golden({name: sample}, {output: indices}, {output: answer.ravel()[indices]}, 1e-4, 1e-6)
    return models.embed(data, document, golden, onnx)


def _constant_answer(document: dict[str, Any], values: NDArray[np.float32], output: str) -> bytes:
    """``values`` for every member of the batch, whatever the input: values + 0 * sum(input)."""
    name, dimensions = _input_shape(document)
    ones = [1] * values.ndim
    nodes = [
        helper.make_node("ReduceMean", [name, "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["columns"]),
        helper.make_node("Add", ["columns", "values"], [output]),
    ]
    constants = [
        numpy_helper.from_array(np.arange(1, len(dimensions) + 1, dtype=np.int64), "axes"),
        numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        numpy_helper.from_array(np.array([-1, *ones], np.int64), "column"),
        numpy_helper.from_array(values[None], "values"),
    ]
    return _finish(document, nodes, constants, output, list(values.shape))


def fixed_image(
    document: dict[str, Any] | None = None,
    x_km: float = 0.0,
    y_km: float = 0.0,
    z_km: float = 2.0,
    sigma_km: float = 1.5,
    image: NDArray[np.float32] | None = None,
) -> bytes:
    """A model whose image is a Gaussian at (x, y, z) of the grid's frame, or ``image`` itself."""
    document = passport_document() if document is None else document
    values = gaussian(document, x_km, y_km, z_km, sigma_km) if image is None else image
    return _constant_answer(document, np.asarray(values, np.float32), "image")


def fixed_vector(document: dict[str, Any], values: list[float]) -> bytes:
    """A model that always returns ``values``; the document's head must be a vector."""
    return _constant_answer(document, np.asarray(values, np.float32), "vector")


def responsive_image(document: dict[str, Any] | None = None) -> bytes:
    """A density that depends on the input: a random linear map of the mean size of each trace in eight time bins."""
    document = passport_document() if document is None else document
    _, (components, stations, samples) = _input_shape(document)
    grid = from_dict(document).grid
    bins, nodes_total = 8, int(np.prod(grid.shape))
    width = components * stations * bins
    weights = np.random.default_rng(3).normal(size=(width, nodes_total)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["waveforms", "binned"], ["bins"]),
        helper.make_node("Abs", ["bins"], ["size"]),
        helper.make_node("ReduceMean", ["size", "last"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        helper.make_node("Reshape", ["probability", "volume"], ["image"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([-1, components, stations, bins, samples // bins], np.int64), "binned"),
        numpy_helper.from_array(np.array([4], np.int64), "last"),
        numpy_helper.from_array(np.array([-1, width], np.int64), "flat"),
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([-1, *grid.shape], np.int64), "volume"),
    ]
    return _finish(document, nodes, constants, "image", list(grid.shape))


def save(data: bytes, folder: Path, name: str = "tiny.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    path.write_bytes(data)
    return path


def load(data: bytes, folder: Path) -> models.Model:
    """The model loaded on the CPU with one thread."""
    return models.load(save(data, folder), provider="cpu", threads=1)
