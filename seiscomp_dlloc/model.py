"""Loading and running ONNX models; the only import of onnxruntime.

A model is loaded once: its passport is checked, the requested execution providers are asked for in order, and the
golden input is run on the provider that really took the graph. Every answer names that provider.
"""

import base64
import contextlib
import hashlib
import io
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from . import passport as passports
from .errors import ModelError, ProviderError
from .passport import Passport
from .records import ModelIdentity

METADATA_KEY = "dlloc"
GOLDEN_KEY = "dlloc.golden"
PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_METADATA_FIELD = 14  # ModelProto.metadata_props, onnx.proto


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7


def content_sha256(data: bytes) -> str:
    """SHA-256 (hex) of a serialised ONNX model without its ``metadata_props``.

    The passport stands in the metadata and holds this value, so a graph or weights that were exchanged under a
    passport are noticed. Walks the top-level protobuf fields only. Raises ModelError where ``data`` is no protobuf.
    """
    digest, position = hashlib.sha256(), 0
    try:
        while position < len(data):
            start = position
            tag, position = _read_varint(data, position)
            field, wire = tag >> 3, tag & 7
            if wire == 0:
                _, position = _read_varint(data, position)
            elif wire == 2:
                length, position = _read_varint(data, position)
                position += length
            elif wire in (1, 5):
                position += 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire}")
            if position > len(data):
                raise ValueError("ends early")
            if field != _METADATA_FIELD:
                digest.update(data[start:position])
    except (IndexError, ValueError) as error:
        raise ModelError(f"not an ONNX model: {error}") from error
    return digest.hexdigest()


@dataclass(frozen=True)
class Golden:
    """A golden input and, at ``indices`` of each flattened output, the values that it must give."""

    inputs: dict[str, NDArray[Any]]
    indices: dict[str, NDArray[np.int64]]
    values: dict[str, NDArray[np.float32]]
    rtol: float
    atol: float

    def to_text(self) -> str:
        """Base64 of a compressed npz; inputs are stored as float16 and must be exact in it."""
        arrays: dict[str, NDArray[Any]] = {"tolerance": np.array([self.rtol, self.atol])}
        for name, value in self.inputs.items():
            half = value.astype(np.float16)
            if not np.array_equal(half.astype(value.dtype), value):
                raise ModelError(f"golden input {name} is not exact in float16; round it before export")
            arrays[f"input/{name}"] = half
        for name in self.indices:
            arrays[f"index/{name}"], arrays[f"value/{name}"] = self.indices[name], self.values[name]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> "Golden":
        """Inverse of :meth:`to_text`."""
        with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as archive:
            named = {key: archive[key] for key in archive.files}
        rtol, atol = (float(v) for v in named.pop("tolerance"))
        parts: dict[str, dict[str, NDArray[Any]]] = {"input": {}, "index": {}, "value": {}}
        for key, value in named.items():
            kind, name = key.split("/", 1)
            parts[kind][name] = value
        inputs = {name: value.astype(np.float32) for name, value in parts["input"].items()}
        return cls(inputs, parts["index"], parts["value"], rtol, atol)


@dataclass(frozen=True)
class CheckResult:
    """Outcome of the golden input on one provider."""

    provider: str
    ran: bool
    passed: bool
    detail: str


@lru_cache(maxsize=1)
def _preload_cuda() -> str:
    """Load the CUDA and cuDNN libraries that pip installed, where they are; what onnxruntime says about it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        ort.preload_dlls()
    return " ".join(said.getvalue().split())


def _session(data: bytes, providers: list[str], threads: int) -> ort.InferenceSession:
    # A machine without GPU is no error, but onnxruntime's own log has it as one, in red
    ort.set_default_logger_severity(4)
    if PROVIDERS["cuda"] in providers:
        _preload_cuda()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(data, sess_options=options, providers=providers)


def _provider_names(requested: str) -> list[str]:
    available = ort.get_available_providers()
    if requested == "auto":
        return [PROVIDERS[key] for key in ("cuda", "cpu") if PROVIDERS[key] in available]
    if requested not in PROVIDERS:
        raise ProviderError(f"unknown provider {requested!r}: use auto, {', '.join(PROVIDERS)}")
    wanted = PROVIDERS[requested]
    if wanted not in available:
        raise ProviderError(
            f"provider {requested} is not in this onnxruntime (it has {', '.join(available)}); install "
            "onnxruntime-gpu, or use --provider cpu"
        )
    return [wanted]


class Model:
    """A loaded model with its passport. Use :func:`load`."""

    def __init__(self, path: Path, data: bytes, passport: Passport, golden: Golden, session: ort.InferenceSession):
        self.path = path
        self.passport = passport
        self.golden = golden
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._session = session
        self.input_names = tuple(i.name for i in session.get_inputs())
        self.output_names = tuple(o.name for o in session.get_outputs())
        # Axes of any length have names where others have a number
        self._least = {i.name: [n if isinstance(n, int) else 1 for n in i.shape] for i in session.get_inputs()}

    @property
    def provider(self) -> str:
        """The execution provider that runs the graph, by onnxruntime's name."""
        return str(self._session.get_providers()[0])

    @property
    def identity(self) -> ModelIdentity:
        """Name, version, hash and provider, for outputs."""
        return ModelIdentity(self.passport.name, self.passport.version, self.sha256, self.provider)

    def run(
        self, inputs: dict[str, NDArray[Any]], outputs: tuple[str, ...] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Run a batch. ``inputs`` maps input names to arrays with the batch as first axis.

        With ``outputs`` only the part of the graph that these rest on is run, and inputs that they do not rest on need
        not be given: a graph may hold several steps that alternate with the caller's.
        """
        missing = [name for name in self.input_names if name not in inputs]
        if missing and outputs is None:
            raise ModelError(f"model {self.passport.name}: input {', '.join(missing)} is not given")
        feed = {name: np.ascontiguousarray(inputs[name], np.float32) for name in self.input_names if name in inputs}
        wanted, options = self.output_names, None
        if outputs is not None:
            wanted, options = outputs, ort.RunOptions()
            options.only_execute_path_to_fetches = True
            # onnxruntime asks for all of them whether they are read or not
            feed |= {name: np.zeros(self._least[name], np.float32) for name in missing}
        try:
            answers = self._session.run(list(wanted), feed, options)
        except Exception as error:  # onnxruntime raises several unrelated classes; no memory, a wrong shape
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
            raise ModelError(
                f"model {self.passport.name}: {self.provider} fails on {shapes} ({str(error)[:200]})"
            ) from error
        return dict(zip(wanted, answers, strict=True))

    def check(self) -> CheckResult:
        """Run the golden input and compare."""
        return _compare(self._session, self.golden)


def _compare(session: ort.InferenceSession, golden: Golden) -> CheckResult:
    provider = session.get_providers()[0]
    names = [o.name for o in session.get_outputs()]
    try:
        outputs = dict(zip(names, session.run(names, golden.inputs), strict=True))
        values = {name: np.asarray(outputs[name]).ravel()[golden.indices[name]] for name in golden.values}
    except Exception as error:  # onnxruntime's unrelated classes; KeyError, IndexError of a golden input that misfits
        return CheckResult(provider, True, False, f"it does not fit the graph: {str(error)[:200]}")
    if not values:
        return CheckResult(provider, True, False, "it expects nothing")
    worst = 0.0
    for name, expected in golden.values.items():
        got = values[name]
        excess = np.abs(got - expected) - golden.rtol * np.abs(expected)
        worst = max(worst, float(np.max(excess)) if np.all(np.isfinite(got)) else float("inf"))
    return CheckResult(provider, True, worst <= golden.atol, f"largest deviation {worst:.3g}, allowed {golden.atol:g}")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The model file's bytes; ModelError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"model {path}: {error.strerror or error}") from error


def _metadata(data: bytes, where: str) -> tuple[Passport, Golden]:
    try:
        session = _session(data, ["CPUExecutionProvider"], 1)
    except Exception as error:  # onnxruntime raises several unrelated classes for a bad graph
        raise ModelError(f"{where}: not an ONNX model that onnxruntime can load ({str(error)[:200]})") from error
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ModelError(f"{where}: its metadata are damaged ({error.reason}); fetch or export it again") from error
    if METADATA_KEY not in metadata:
        raise ModelError(f"{where}: no passport in it (metadata {METADATA_KEY!r}); export it with dlloc_training")
    passport = passports.parse(metadata[METADATA_KEY], where)
    stated, taken = passport.representation.get("inputs"), [i.name for i in session.get_inputs()]
    if stated is not None and sorted(stated) != sorted(taken):
        raise ModelError(
            f"{where}: the passport says that it takes {', '.join(stated)}, but the graph takes {', '.join(taken)}; "
            "export the model again"
        )
    if GOLDEN_KEY not in metadata:
        raise ModelError(f"{where}: no golden input in it (metadata {GOLDEN_KEY!r}); export it again")
    try:
        golden = Golden.from_text(metadata[GOLDEN_KEY])
    except Exception as error:  # zipfile, base64 and numpy raise unrelated classes on damaged text
        raise ModelError(f"{where}: the golden input is damaged ({error}); export the model again") from error
    found = content_sha256(data)
    if found != passport.content_sha256:
        raise ModelError(
            f"{where}: the weights do not belong to the passport (SHA-256 {found[:12]}..., passport says "
            f"{passport.content_sha256[:12]}...); fetch or export the model again"
        )
    return passport, golden


def read_passport(path: str | os.PathLike[str]) -> Passport:
    """The passport of a model file, its weights checked against it; the golden input is not run."""
    return _metadata(read_bytes(path), f"model {path}")[0]


def load(path: str | os.PathLike[str], provider: str = "auto", require_gpu: bool = False, threads: int = 0) -> Model:
    """Load a model, choose the provider, run the golden input.

    ``provider``: ``auto`` (CUDA, then CPU), ``cuda`` or ``cpu``. ``require_gpu`` makes a fall-back to the CPU an
    error. ``threads``: threads within an operator, 0 for onnxruntime's choice.

    Raises ModelError (file, passport, hash, golden output) and ProviderError.
    """
    data = read_bytes(path)
    passport, golden = _metadata(data, f"model {path}")
    wanted = _provider_names("cuda" if require_gpu else provider)
    try:
        session = _session(data, wanted, threads)
    except Exception as error:  # see _metadata
        raise ProviderError(f"model {path}: {', '.join(wanted)} cannot run it ({str(error)[:200]})") from error
    if (require_gpu or provider == "cuda") and session.get_providers()[0] != PROVIDERS["cuda"]:
        raise ProviderError(
            "the GPU was required, but onnxruntime fell back to the CPU: check the NVIDIA driver, and install CUDA "
            f"and cuDNN with 'pip install seiscomp_dlloc[gpu]' ({_preload_cuda() or 'the libraries were found'})"
        )
    model = Model(Path(path), data, passport, golden, session)
    result = model.check()
    if not result.passed:
        raise ModelError(f"model {path}: golden input fails on {result.provider} ({result.detail})")
    return model


def check_everywhere(path: str | os.PathLike[str], threads: int = 0) -> list[CheckResult]:
    """The golden input on every provider that onnxruntime offers and that we support."""
    data = read_bytes(path)
    _, golden = _metadata(data, f"model {path}")
    results = []
    for name in PROVIDERS.values():
        if name not in ort.get_available_providers():
            results.append(CheckResult(name, False, False, "not in this onnxruntime"))
            continue
        session = _session(data, [name], threads)
        if session.get_providers()[0] != name:
            results.append(CheckResult(name, False, False, "no such device, or its libraries are missing"))
            continue
        results.append(_compare(session, golden))
    return results


def embed(data: bytes, passport: dict[str, Any], golden: Golden, onnx_module: Any) -> bytes:
    """Serialised model with passport and golden input in its metadata.

    ``onnx_module`` is the ``onnx`` package, which only the training side has.
    """
    document = dict(passport)
    proto = onnx_module.load_model_from_string(data)
    del proto.metadata_props[:]
    document["content_sha256"] = content_sha256(proto.SerializeToString(deterministic=True))
    checked = passports.from_dict(json.loads(json.dumps(document)), "passport to embed")
    for key, value in ((METADATA_KEY, checked.to_json()), (GOLDEN_KEY, golden.to_text())):
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    result: bytes = proto.SerializeToString(deterministic=True)
    return result
