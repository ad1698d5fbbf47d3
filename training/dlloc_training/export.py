"""From a trained network to one ``.onnx`` file with passport and golden input, checked against the network."""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
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


Arrays = Mapping[str, NDArray[np.float32]] | NDArray[np.float32]
"""Inputs of a network by name, in the order of its ``forward``; an array alone is ``waveforms``."""


def _named(arrays: Mapping[str, Any] | Any) -> dict[str, Any]:
    return dict(arrays) if isinstance(arrays, Mapping) else {"waveforms": arrays}


def to_onnx(
    network: nn.Module,
    example: torch.Tensor | Mapping[str, torch.Tensor],
    output: str | Sequence[str] = "image",
    axes: Mapping[str, Mapping[int, str]] | None = None,
) -> bytes:
    """The network as an ONNX graph whose batch is dynamic.

    ``example``: ``waveforms`` (batch, 3, station, sample), or the inputs by name in the order of ``forward``.
    ``output``: name of the output, or names of them all. ``axes``: names of the axes of any length of each input and
    output, where it is not the first one of each, the batch.
    """
    network = network.eval().cpu()
    named, outputs = _named(example), [output] if isinstance(output, str) else list(output)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Constants of the network are meant to be constants; what the graph computes is compared with torch afterwards
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            network,
            tuple(named.values()),
            buffer,  # type: ignore[arg-type]
            input_names=list(named),
            output_names=outputs,
            dynamic_axes=axes or {name: {0: "batch"} for name in (*named, *outputs)},
            opset_version=18,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load_model_from_string(buffer.getvalue()))
    return buffer.getvalue()


def half_exact(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values rounded to what float16 holds, as golden inputs are stored."""
    return np.asarray(values, np.float16).astype(np.float32)


def parity(
    data: bytes, network: nn.Module, batch: Arrays, rtol: float = PARITY_RTOL, atol: float = PARITY_ATOL
) -> float:
    """Largest |difference| / (atol + rtol |value|) between torch and onnxruntime (CPU); at most 1 is a pass."""
    session, named = ort.InferenceSession(data, providers=["CPUExecutionProvider"]), _named(batch)
    got = session.run(None, named)
    with torch.no_grad():
        wanted = network.eval()(*(torch.from_numpy(array) for array in named.values()))
    answers = [value.numpy() for value in (wanted if isinstance(wanted, tuple) else (wanted,))]
    return max(
        float(np.max(np.abs(one - other) / (atol + rtol * np.abs(other))))
        for one, other in zip(got, answers, strict=True)
    )


def golden(data: bytes, example: Arrays) -> Golden:
    """Golden input (a batch of 1) and a spread of the values that onnxruntime gives for it."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    exact = {name: half_exact(array) for name, array in _named(example).items()}
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(names, exact), strict=True))
    indices, expected = {}, {}
    for name, value in values.items():
        flat = np.asarray(value, np.float32).ravel()
        # The largest values say most, the rest guards against noise elsewhere
        top = np.argsort(flat)[-GOLDEN_VALUES // 4 :]
        spread = np.linspace(0, flat.size - 1, min(flat.size, GOLDEN_VALUES)).astype(np.int64)
        indices[name] = np.unique(np.concatenate([top, spread]))
        expected[name] = flat[indices[name]]
    return Golden(exact, indices, expected, GOLDEN_RTOL, GOLDEN_ATOL)


def write_model(
    path: Path,
    network: nn.Module,
    passport: dict[str, Any],
    example: Arrays,
    checked: Arrays,
    output: str | Sequence[str] = "image",
    axes: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Export, compare with torch on ``checked`` (a batch), embed the passport, write.

    ``example`` (a batch of 1) becomes the golden input; see :func:`to_onnx` for names and ``axes``. Raises ModelError
    where torch and ONNX disagree; then nothing is written.
    """
    exact = {name: torch.from_numpy(half_exact(array)) for name, array in _named(example).items()}
    data = to_onnx(network, exact, output, axes)
    worst = parity(data, network, checked)
    if worst > 1.0:
        raise ModelError(f"{path.name}: torch and ONNX disagree {worst:.1f} times the tolerance; not exported")
    complete = embed(data, passport, golden(data, example), onnx)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(complete)
    os.replace(temporary, path)
