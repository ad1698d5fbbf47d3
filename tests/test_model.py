"""Model files: what is loaded, what is refused, and what the golden input notices."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from samples import GRID, SHAPE, golden_of, graph, passport_document

from seiscomp_dlloc import model as models
from seiscomp_dlloc.errors import ModelError, ProviderError


def with_metadata(data: bytes, **entries: str | None) -> bytes:
    """The model with metadata entries replaced, or removed where None."""
    proto = onnx.load_model_from_string(data)
    kept = {entry.key: entry.value for entry in proto.metadata_props} | entries
    del proto.metadata_props[:]
    for key, value in kept.items():
        if value is not None:
            proto.metadata_props.add(key=key, value=value)
    return bytes(proto.SerializeToString(deterministic=True))


@pytest.fixture(scope="module")
def whole() -> bytes:
    """A model as export makes it."""
    data = graph()
    return models.embed(data, passport_document(), golden_of(data), onnx)


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    return path


def test_a_model_is_loaded_with_its_passport_and_runs_in_batches(tmp_path: Path, whole: bytes):
    model = models.load(written(tmp_path, whole), provider="cpu", threads=1)
    assert model.passport.name == "sample"
    assert (model.input_names, model.output_names) == (("waveforms",), ("image",))
    assert model.provider == "CPUExecutionProvider"
    assert model.identity.label == "sample/1.2.3"
    batch = np.random.default_rng(2).normal(size=(5, *SHAPE)).astype(np.float32)
    together = model.run({"waveforms": batch, "mask": batch})["image"]
    assert together.shape == (5, *GRID)
    np.testing.assert_allclose(together.sum(axis=(1, 2, 3)), 1.0, rtol=1e-5)
    alone = np.concatenate([model.run({"waveforms": event[None]})["image"] for event in batch])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_an_input_that_is_not_given_is_named(tmp_path: Path, whole: bytes):
    model = models.load(written(tmp_path, whole), provider="cpu")
    with pytest.raises(ModelError, match="input waveforms is not given"):
        model.run({"snapshots": np.zeros((1, 2), np.float32)})


def test_an_input_of_the_wrong_shape_is_an_error_of_ours(tmp_path: Path, whole: bytes):
    model = models.load(written(tmp_path, whole), provider="cpu")
    with pytest.raises(ModelError, match=r"waveforms \(1, 3, 4, 255\)"):
        model.run({"waveforms": np.zeros((1, 3, 4, 255), np.float32)})


def test_two_files_that_differ_in_the_passport_only_have_different_hashes(tmp_path: Path, whole: bytes):
    data = graph()
    other = models.embed(data, passport_document(min_stations=4), golden_of(data), onnx)
    assert models.content_sha256(other) == models.content_sha256(whole)
    first = models.load(written(tmp_path, whole), provider="cpu").sha256
    assert models.load(written(tmp_path, other), provider="cpu").sha256 != first


def test_embedding_twice_gives_the_same_bytes(whole: bytes):
    passport = passport_document(content_sha256="f" * 64)
    assert models.embed(whole, passport, golden_of(graph()), onnx) == whole


def test_the_passport_is_read_without_a_session_of_ones_own(tmp_path: Path, whole: bytes):
    assert models.read_passport(written(tmp_path, whole)).version == "1.2.3"


def test_weights_exchanged_under_a_passport_are_refused(tmp_path: Path, whole: bytes):
    proto = onnx.load_model_from_string(whole)
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name == "weights")
    raw = bytearray(weights.raw_data)
    raw[0] ^= 1
    weights.raw_data = bytes(raw)
    path = written(tmp_path, proto.SerializeToString(deterministic=True))
    with pytest.raises(ModelError, match="weights do not belong to the passport"):
        models.load(path, provider="cpu")


def test_a_model_without_passport_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no passport"):
        models.load(written(tmp_path, graph()), provider="cpu")


def test_a_passport_that_is_not_valid_is_refused_naming_file_and_field(tmp_path: Path, whole: bytes):
    path = written(tmp_path, with_metadata(whole, dlloc='{"format_version": 1}'))
    with pytest.raises(ModelError, match=r"m\.onnx: passport field"):
        models.load(path, provider="cpu")


def test_a_passport_that_names_other_inputs_than_the_graph_takes_is_refused(tmp_path: Path):
    data = graph()
    stated = {"kind": "stations", "missing": "zero", "inputs": ["waveforms", "log_scale"]}
    whole = models.embed(data, passport_document(representation=stated), golden_of(data), onnx)
    with pytest.raises(ModelError, match="takes waveforms, log_scale, but the graph takes waveforms"):
        models.load(written(tmp_path, whole), provider="cpu")


def test_a_model_without_golden_input_is_refused(tmp_path: Path, whole: bytes):
    with pytest.raises(ModelError, match="no golden input"):
        models.load(written(tmp_path, with_metadata(whole, **{models.GOLDEN_KEY: None})), provider="cpu")


@pytest.mark.parametrize("text", ["", "AAAA", "not base64 at all!"])
def test_a_damaged_golden_input_is_refused(tmp_path: Path, whole: bytes, text: str):
    with pytest.raises(ModelError, match="golden input"):
        models.load(written(tmp_path, with_metadata(whole, **{models.GOLDEN_KEY: text})), provider="cpu")


def test_a_golden_output_that_does_not_come_out_is_refused(tmp_path: Path):
    data = graph()
    path = written(tmp_path, models.embed(data, passport_document(), golden_of(data, shift=0.01), onnx))
    with pytest.raises(ModelError, match="golden input fails on CPUExecutionProvider"):
        models.load(path, provider="cpu")
    (result,) = [r for r in models.check_everywhere(path) if r.provider == "CPUExecutionProvider"]
    assert (result.ran, result.passed) == (True, False)


@pytest.mark.parametrize(
    "broken",
    [
        lambda g: models.Golden({"waveforms": g.inputs["waveforms"][:, :, :3]}, g.indices, g.values, g.rtol, g.atol),
        lambda g: models.Golden({"other": g.inputs["waveforms"]}, g.indices, g.values, g.rtol, g.atol),
        lambda g: models.Golden(g.inputs, {"other": g.indices["image"]}, {"other": g.values["image"]}, 1e-4, 1e-5),
        lambda g: models.Golden(g.inputs, {"image": g.indices["image"] + 495}, g.values, 1e-4, 1e-5),
        lambda g: models.Golden(g.inputs, {}, {}, 1e-4, 1e-5),
    ],
    ids=["shape", "input name", "output name", "index", "nothing expected"],
)
def test_a_golden_input_that_does_not_fit_the_graph_is_refused(tmp_path: Path, broken: Any):
    data = graph()
    path = written(tmp_path, models.embed(data, passport_document(), broken(golden_of(data)), onnx))
    with pytest.raises(ModelError, match="golden input"):
        models.load(path, provider="cpu")


def test_golden_survives_its_text_form():
    golden = golden_of(graph())
    again = models.Golden.from_text(golden.to_text())
    np.testing.assert_array_equal(again.inputs["waveforms"], golden.inputs["waveforms"])
    np.testing.assert_array_equal(again.values["image"], golden.values["image"])
    assert (again.rtol, again.atol) == (golden.rtol, golden.atol)


def test_a_golden_input_that_float16_cannot_hold_is_refused():
    golden = models.Golden({"waveforms": np.full((1, 1), 1.0001, np.float32)}, {}, {}, 1e-4, 1e-5)
    with pytest.raises(ModelError, match="float16"):
        golden.to_text()


@pytest.mark.parametrize("data", [b"", b"text, not protobuf", b"\x0a\xff\xff\xff\xff\x7f", graph()[:200]])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, data: bytes):
    with pytest.raises(ModelError, match=r"m\.onnx"):
        models.load(written(tmp_path, data), provider="cpu")


def test_no_file_and_a_folder_are_refused_by_name(tmp_path: Path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(ModelError, match=str(path)):
            models.load(path)


def test_an_unknown_provider_is_refused(tmp_path: Path, whole: bytes):
    with pytest.raises(ProviderError, match="unknown provider 'tpu'"):
        models.load(written(tmp_path, whole), provider="tpu")


def test_a_provider_that_this_runtime_lacks_is_refused(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match="install onnxruntime-gpu"):
        models.load(written(tmp_path, whole), provider="cuda")


def _has_cuda(data: bytes) -> bool:
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return False
    session = ort.InferenceSession(data, providers=["CUDAExecutionProvider"])
    return bool(session.get_providers()[0] == "CUDAExecutionProvider")


def test_requiring_a_gpu_is_an_error_where_there_is_none(tmp_path: Path, whole: bytes):
    if _has_cuda(whole):
        pytest.skip("this machine has a GPU that runs the model")
    for wish in ({"require_gpu": True}, {"provider": "cuda"}):
        with pytest.raises(ProviderError):
            models.load(written(tmp_path, whole), **wish)
    automatic = models.load(written(tmp_path, whole), provider="auto")
    assert automatic.provider == "CPUExecutionProvider"


def test_a_gpu_gives_the_golden_output_where_there_is_one(tmp_path: Path, whole: bytes):
    if not _has_cuda(whole):
        pytest.skip("needs an NVIDIA GPU with CUDA and cuDNN")
    model = models.load(written(tmp_path, whole), require_gpu=True)
    assert model.provider == "CUDAExecutionProvider"
    assert model.check().passed


def test_the_check_names_every_provider_that_is_supported(tmp_path: Path, whole: bytes):
    results = models.check_everywhere(written(tmp_path, whole))
    assert [r.provider for r in results] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert results[1].passed
