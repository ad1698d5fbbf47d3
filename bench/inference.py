"""Time of the network alone: ms per event at several batch sizes, beside the floor that arithmetic sets.

    python bench/inference.py MODEL [MODEL ...] [--provider cpu|cuda] [--threads N] [--write NAME]

The floor is the number of floating-point operations of the graph's convolutions and matrix products over the rate
that one large matrix product reaches in the same run, on the same provider and threads.
"""

import argparse
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper
from tables import Clock, add_write_option, best_ms, machine, markdown, publish

from seiscomp_dlloc import model as models
from seiscomp_dlloc.models import resolve

BATCHES = (1, 32, 200)


def flops_per_event(path: Path, sizes: Mapping[str, int] | None = None) -> float:
    """Floating-point operations of the convolutions and matrix products for a batch of one.

    ``sizes``: of the named axes that have no size of their own, where they are not batches. What rests on axes that are
    not given does not count.
    """
    proto = onnx.load(path)
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        given = dict(enumerate(sizes.get(d.dim_param) for d in dims)) if sizes else {0: 1}
        for number, size in given.items():
            if size is not None:
                dims[number].dim_value = size
    for value in proto.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            if dim.WhichOneof("value") == "dim_param":
                dim.ClearField("dim_param")
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.graph.initializer}
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    total = 0.0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            kernel = shapes[node.input[1]]
            total += 2.0 * np.prod(shapes[node.output[0]]) * np.prod(kernel[1:])
        elif node.op_type == "ConvTranspose":
            kernel = shapes[node.input[1]]
            total += 2.0 * np.prod(shapes[node.input[0]]) * np.prod(kernel[1:])
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2.0 * np.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    if total == 0.0:
        raise SystemExit(f"{path}: no convolution or matrix product found in the graph")
    return float(total)


def peak_flops(provider: str, threads: int, clock: Clock = time.perf_counter) -> float:
    """Rate (1/s) of one square single-precision matrix product that stays on the device."""
    n = 8192 if provider == "CUDAExecutionProvider" else 2048
    shape = onnx.TensorProto.FLOAT
    seed = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    # The factors are constants of the graph, multiplied by a scalar input so that nothing is folded away; only a
    # scalar comes back
    nodes = [
        helper.make_node("Mul", ["a", "factor"], ["left"]),
        helper.make_node("MatMul", ["left", "a"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["largest"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("factor", shape, [1])],
        [helper.make_tensor_value_info("largest", shape, [])],
        [onnx.numpy_helper.from_array(seed, "a")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    proto.ir_version = 9
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=[provider])
    feed = {"factor": np.ones(1, np.float32)}
    return 2.0 * n**3 / (1e-3 * best_ms(lambda: session.run(None, feed), 5, clock=clock))


def batch_of(model: models.Model, size: int) -> dict[str, np.ndarray]:
    """The golden input, repeated."""
    return {name: np.repeat(value[:1], size, axis=0) for name, value in model.golden.inputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names of bundled models or .onnx files")
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--largest-batch", type=int, default=200, help="leave out larger batches")
    add_write_option(parser)
    arguments = parser.parse_args()
    provider = models.PROVIDERS[arguments.provider]
    peak = peak_flops(provider, arguments.threads)
    rows = []
    for name in arguments.models:
        path = resolve(name)
        model = models.load(path, arguments.provider, threads=arguments.threads)
        flops = flops_per_event(path)
        sizes = [size for size in BATCHES if size <= arguments.largest_batch]
        total = {n: best_ms(partial(model.run, batch_of(model, n)), 3) for n in sizes}
        per_event = [f"{total[n] / n:.2f}" if n in total else "-" for n in BATCHES]
        whole = f"{1e-3 * total[200]:.3f}" if 200 in total else "-"
        floor = 1e3 * flops / peak
        rows.append([model.identity.label, f"{1e-9 * flops:.2f}", *per_event, f"{floor:.2f}", whole])
    header = [
        "model",
        "GFLOP per event",
        *(f"ms per event, batch {n}" for n in BATCHES),
        "floor (ms)",
        "200 events (s)",
    ]
    where = f"{arguments.threads} threads" if arguments.provider == "cpu" else "one GPU"
    note = (
        f"{machine()}; onnxruntime {ort.__version__}, {provider}, {where}; "
        f"a matrix product reaches {1e-9 * peak:.0f} GFLOP/s."
    )
    publish(f"{note}\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
