"""From a trained network to one ``.onnx`` file with passport and golden input, checked against the network."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.model import Golden, embed

GOLDEN_VALUES = 4096
PARITY_RTOL, PARITY_ATOL = 1e-3, 1e-6
GOLDEN_RTOL, GOLDEN_ATOL = 5e-3, 1e-5
"""Wider than the parity test: the golden input also runs on GPUs, whose TF32 convolutions round more coarsely."""


def to_onnx(network: nn.Module, example: torch.Tensor, output: str = "image") -> bytes:
    """The network as an ONNX graph with inputs ``waveforms`` (batch, 3, station, sample); the batch is dynamic."""
    network = network.eval().cpu()
    buffer = io.BytesIO()
    torch.onnx.export(
        network,
        (example,),
        buffer,  # type: ignore[arg-type]
        input_names=["waveforms"],
        output_names=[output],
        dynamic_axes={"waveforms": {0: "batch"}, output: {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load_model_from_string(buffer.getvalue()))
    return buffer.getvalue()


def half_exact(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values rounded to what float16 holds, as golden inputs are stored."""
    return np.asarray(values, np.float16).astype(np.float32)


def parity(data: bytes, network: nn.Module, batch: NDArray[np.float32]) -> float:
    """Largest |difference| / (atol + rtol |value|) between torch and onnxruntime (CPU); at most 1 is a pass."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    got = session.run(None, {"waveforms": batch})[0]
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(batch)).numpy()
    return float(np.max(np.abs(got - wanted) / (PARITY_ATOL + PARITY_RTOL * np.abs(wanted))))


def golden(data: bytes, example: NDArray[np.float32]) -> Golden:
    """Golden input (1, 3, station, sample) and a spread of the values that onnxruntime gives for it."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    exact = half_exact(example)
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(names, {"waveforms": exact}), strict=True))
    indices, expected = {}, {}
    for name, value in values.items():
        flat = np.asarray(value, np.float32).ravel()
        # The largest values say most, the rest guards against noise elsewhere
        top = np.argsort(flat)[-GOLDEN_VALUES // 4 :]
        spread = np.linspace(0, flat.size - 1, min(flat.size, GOLDEN_VALUES)).astype(np.int64)
        indices[name] = np.unique(np.concatenate([top, spread]))
        expected[name] = flat[indices[name]]
    return Golden({"waveforms": exact}, indices, expected, GOLDEN_RTOL, GOLDEN_ATOL)


def write_model(
    path: Path, network: nn.Module, passport: dict[str, Any], example: NDArray[np.float32], checked: NDArray[np.float32]
) -> None:
    """Export, compare with torch on ``checked`` (batch, 3, station, sample), embed the passport, write.

    ``example`` (1, 3, station, sample) becomes the golden input. Raises ModelError where torch and ONNX disagree;
    then nothing is written.
    """
    data = to_onnx(network, torch.from_numpy(half_exact(example)))
    worst = parity(data, network, checked)
    if worst > 1.0:
        raise ModelError(f"{path.name}: torch and ONNX disagree {worst:.1f} times the tolerance; not exported")
    complete = embed(data, passport, golden(data, example), onnx)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(complete)
    os.replace(temporary, path)
