"""``dlloc model``: output, exit statuses and messages."""

import json
from pathlib import Path

import onnxruntime as ort
import pytest
from samples import golden_of, graph, model_bytes, passport_document

from seiscomp_dlloc import model as model_module
from seiscomp_dlloc import models
from seiscomp_dlloc.cli.main import main


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models with one model in it."""
    (tmp_path / "tiny.onnx").write_bytes(model_bytes())
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    return tmp_path


def test_list_prints_one_line_per_bundled_model(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"tiny  1.2.3  4 stations of XX  {bundle / 'tiny.onnx'}"]


def test_list_without_any_model_is_an_error(bundle: Path, capsys: pytest.CaptureFixture[str]):
    (bundle / "tiny.onnx").unlink()
    assert main(["model", "list"]) == 2
    assert "install the package again" in capsys.readouterr().err


def test_show_finds_a_model_by_name_and_by_file(bundle: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("tiny", str(bundle / "tiny.onnx")):
        assert main(["model", "show", name]) == 0
        out = capsys.readouterr().out
        assert "sample 1.2.3" in out
        assert "2-8 Hz" in out
        assert "11 x 9 x 5 nodes" in out


def test_show_tells_the_hash_of_the_file_that_answers_name_from_that_of_the_content(
    bundle: Path, capsys: pytest.CaptureFixture[str]
):
    model = model_module.load(bundle / "tiny.onnx", "cpu")
    assert main(["model", "show", "tiny"]) == 0
    shown = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert model.sha256 != model.passport.content_sha256
    assert f"{model.sha256} (model.sha256 of answers)" in shown["file SHA-256"]
    assert f"{model.passport.content_sha256} (graph and weights" in shown["content SHA-256"]


def test_show_as_json_is_the_passport(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "show", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == model_module.read_passport(bundle / "tiny.onnx").raw


def test_an_unknown_name_is_answered_with_the_names_there_are(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "show", "other"]) == 2
    assert "bundled: tiny" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "x.onnx"
    path.write_text("no model")
    for action in ("show", "check"):
        assert main(["model", action, str(path)]) == 2
        err = capsys.readouterr().err
        assert str(path) in err
        assert "Traceback" not in err


def test_check_passes_on_the_cpu(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "check", "tiny"]) == 0
    assert "CPUExecutionProvider     passed" in capsys.readouterr().out


def test_check_fails_where_the_golden_output_does_not_come_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import onnx

    data = graph()
    path = tmp_path / "wrong.onnx"
    path.write_bytes(model_module.embed(data, passport_document(), golden_of(data, shift=0.1), onnx))
    assert main(["model", "check", str(path)]) == 1
    assert "CPUExecutionProvider     FAILED" in capsys.readouterr().out


def test_check_requiring_a_gpu_fails_without_one(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert main(["model", "check", "tiny", "--require-gpu"]) == 1
    assert "CUDAExecutionProvider    not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["model"], ["model", "show"], ["locat"], ["model", "check", "m", "--threads", "x"]]
)
def test_a_wrong_command_line_ends_with_status_2_and_says_where_help_is(
    argv: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "--help" in capsys.readouterr().err
