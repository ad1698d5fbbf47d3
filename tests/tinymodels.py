"""Small ONNX models with valid passports, for tests of whatever runs a model.

:func:`fixed_image` and :func:`fixed_vector` answer the same to any input; :func:`responsive_image` answers by
what it is shown. :func:`any_network` migrates what any stations show.
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


ANY_INPUTS, ANY_OUTPUTS = ("waveforms", "mask", "evidence", "arrivals", "origins"), ("onsets", "stack")
_STRIDE = 2


def any_document(**changes: Any) -> dict[str, Any]:
    """Passport of a model for any network, in an earth ``halfspace``; ``changes`` as for :func:`passport_document`."""
    scales = [
        {"aperture_km": aperture, "sampling_rate_hz": rate, "band_hz": [0.1 * rate, 0.4 * rate],
         "warmup_s": 40.0 / rate, "window_samples": 512, "pretrigger_s": 100.0 / rate}
        for aperture, rate in ((20.0, 50.0), (250.0, 20.0))
    ]  # fmt: skip
    largest = {key: value for key, value in scales[-1].items() if key != "aperture_km"}
    layer = {"top_km": 0.0, "vp_km_s": 6.0, "vs_km_s": 3.5}
    wanted = {
        "name": "tiny-any",
        "network": {"kind": "any"},
        "preprocessing": {**passport_document()["preprocessing"], **largest, "unit_scale": 1.0},
        "scales": scales,
        "representation": {"kind": "traces", "missing": "zero", "inputs": list(ANY_INPUTS), "stride": _STRIDE},
        "head": {
            "kind": "migration", "margin_share": 0.3, "deepest_share": 0.5, "deepest_km": 30.0,
            "trust": {"offset": -4.0, "score": 0.3, "stations": -0.2},
            "first_nodes": 8, "first_depths": 2, "candidates": 1,
        },
        "region": {"latitude": [-90.0, 90.0], "longitude": [-180.0, 180.0], "depth_km": [-9.0, 60.0]},
        "earth_model": {"kind": "layers", "name": "halfspace", "layers": [layer]},
        "calibration": {"peak_threshold": 0.0, "covariance_scale": 1.0},
    }  # fmt: skip
    return passport_document(**{**wanted, **changes})


def any_network(document: dict[str, Any] | None = None) -> bytes:
    """A model for any network: evidence is ten times the size of the vertical (P) and of the horizontals (S), less
    two; the stack sums it at the nearest step, 0 outside the window."""
    constants: list[Any] = []

    def ints(name: str, *values: int) -> str:
        constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def real(name: str, value: float) -> str:
        constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    nodes: list[Any] = []
    ints("-1", -1), ints("0", 0), ints("1", 1), ints("3", 3), ints("last", 2)
    # Onsets
    size = node("Abs", [node("Mul", ["waveforms", "mask"], "there")], "size")
    vertical = node("Slice", [size, "0", "1", "1"], "vertical")
    horizontal = node("ReduceMax", [node("Slice", [size, "1", "3", "1"], "horizontals"), "1"], "horizontal", keepdims=1)
    both = node("Concat", [vertical, horizontal], "both", axis=1)
    strided = node("MaxPool", [both], "strided", kernel_shape=[_STRIDE], strides=[_STRIDE])
    node("Sub", [node("Mul", [strided, real("ten", 10.0)], "tenfold"), real("two", 2.0)], "onsets")
    # Stack: (row, time + 2) of zeros around the evidence, looked up at (row, node, origin)
    padded = node("Pad", ["evidence", ints("pads", 0, 0, 1, 0, 0, 1)], "padded")
    flat = node("Concat", ["-1", node("Shape", [padded], "length", start=2)], "flat", axis=0)
    table = node("Reshape", [padded, flat], "table")
    nowhere = node("Where", [node("IsNaN", ["arrivals"], "absent"), real("far", -1e6), "arrivals"], "arrival")
    rows = node("Transpose", [node("Reshape", [nowhere, ints("merged", 0, -1)], "merged_rows")], "rows", perm=[1, 0])
    at = node("Add", [node("Unsqueeze", [rows, "last"], "column"), "origins"], "at")
    end = node("Sub", [node("Cast", ["length"], "length_f", to=TensorProto.FLOAT), real("one", 1.0)], "end_f")
    shifted = node("Add", [node("Round", [at], "round"), "one"], "shifted")
    step = node("Clip", [shifted, real("zero", 0.0), node("Squeeze", [end], "end")], "step")
    place = node("Reshape", [node("Cast", [step], "whole", to=TensorProto.INT64), ints("two_axes", 0, -1)], "place")
    found = node("GatherElements", [table, place], "found", axis=1)
    total = node("ReduceSum", [found, "0"], "total", keepdims=0)
    counts = [node("Shape", [name], f"count_of_{name}", end=1) for name in ("arrivals", "origins")]
    node("Reshape", [total, node("Concat", counts, "shape", axis=0)], "stack")

    def values(name: str, *axes: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)

    inputs = [values("waveforms", "station", 3, "sample"), values("mask", "station", 3, "sample"),
              values("evidence", "row", 2, "time"), values("arrivals", "node", "row", 2),
              values("origins", "origin")]  # fmt: skip
    outputs = [values("onsets", "station", 2, "step"), values("stack", "node", "origin")]
    proto = helper.make_model(
        helper.make_graph(nodes, "any", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    proto.ir_version = 9
    onnx.checker.check_model(proto)
    data = bytes(proto.SerializeToString())
    rng = np.random.default_rng(1)
    made = {
        "waveforms": rng.normal(size=(4, 3, 32)),
        "mask": np.ones((4, 3, 32)),
        "evidence": rng.normal(size=(4, 2, 16)),
        "arrivals": rng.uniform(-5.0, 20.0, (6, 4, 2)),
        "origins": np.arange(0.0, 8.0, 2.0),
    }
    sample = {name: value.astype(np.float16).astype(np.float32) for name, value in made.items()}
    answers = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(list(ANY_OUTPUTS), sample)
    given = dict(zip(ANY_OUTPUTS, (answer.ravel() for answer in answers), strict=True))
    indices = {name: np.arange(answer.size, dtype=np.int64) for name, answer in given.items()}
    golden = models.Golden(sample, indices, given, 1e-4, 1e-6)
    return models.embed(data, any_document() if document is None else document, golden, onnx)


def save(data: bytes, folder: Path, name: str = "tiny.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    path.write_bytes(data)
    return path


def load(data: bytes, folder: Path) -> models.Model:
    """The model loaded on the CPU with one thread."""
    return models.load(save(data, folder), provider="cpu", threads=1)
