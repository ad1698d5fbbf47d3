"""``dlloc-train train, evaluate, export, run``: what they say, what they return, what they take as done."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dlloc_training.__main__ import main
from dlloc_training.experiments import exporting, stages
from dlloc_training.experiments.bank import Bank
from dlloc_training.experiments.fitting import VectorFitting

from seiscomp_dlloc.model import load

from . import tinyrun
from .smallexperiment import heed_interrupts

SMALL = re.sub(r"\[networks\.slim\]\nnetwork.*\nsettings.*\n", "", tinyrun.TEXT).replace("windows = 4", "windows = 2")
QUIET = ("-q", "--accelerator", "cpu", "--workers", "1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tinyrun.written(tmp_path, SMALL).path


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Figures take longer than all the rest, and have tests of their own."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(stages, "write_report", lambda _, folder: folder / "report.md")
        monkeypatch.setattr(exporting, "NOISE_WINDOWS", 20)


@pytest.mark.parametrize(
    ("command", "options", "goes_on"),
    [("run", "quick", True), ("synthesize", "quick", True), ("demo", "--model m --run r -o o", False)],
)
def test_a_command_that_is_interrupted_anywhere_says_whether_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, options: str, goes_on: bool
) -> None:
    def stopped(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dlloc_training.commands.{command}.run", stopped)
    assert main([command, *options.split()]) == 130
    says = capsys.readouterr().err
    assert says.startswith(f"{command}: interrupted")
    assert ("goes on" in says) is goes_on


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, "one line"
    assert "Traceback" not in said
    return said


def test_run_does_everything_and_again_takes_what_is_done(file, tmp_path, capsys, monkeypatch):
    run = tmp_path / "out"
    assert main(["run", str(file), "-o", str(run), *QUIET, "--model-version", "0.1.0"]) == 0
    said = capsys.readouterr().out.splitlines()
    stages_said = [line for line in said if line.startswith("==")]
    assert stages_said == ["== synthesize", "== train", "== evaluate", "== export"]
    model = run / "models" / "tiny-volume-0.1.0.onnx"
    assert said[-1] == str(model)
    assert load(model, provider="cpu").passport.version == "0.1.0"
    settings = json.loads((run / "settings.json").read_text())
    assert settings["settings"]["name"] == "tiny"
    assert [network["name"] for network in settings["networks"]] == ["volume"]
    for path in ("seismograms.h5", "banks/images_theoretical.h5", "networks/volume/metrics.csv",
                 "networks/volume/best.ckpt", "predictions/volume/test.npz", "predictions/training.npz"):  # fmt: skip
        assert (run / path).exists(), path
    kept = ["seismograms.h5", "banks/images_theoretical.h5", "networks/volume/network.pt", "networks/volume/last.ckpt"]
    before = [(run / path).stat().st_mtime_ns for path in kept]
    assert main(["run", str(file), "-o", str(run), *QUIET]) == 0
    assert "volume: was trained already" in capsys.readouterr().out
    assert [(run / path).stat().st_mtime_ns for path in kept] == before
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(file), "-o", "out", "-q", "--network", "volume"]) == 0
    assert main(["export", str(file), "-o", "out", "-q", "--model-version", "2.0.0-rc.1"]) == 0
    assert (run / "models" / "tiny-volume-2.0.0-rc.1.onnx").exists()


def test_the_run_folder_is_named_after_the_experiment(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(stages, "run_stages", lambda run, wanted: seen.append((run, tuple(wanted))))
    for command in ("train", "evaluate", "export", "run"):
        assert main([command, str(file)]) == 0
    assert {run.folder for run, _ in seen} == {Path("runs/tiny")}
    assert [wanted for _, wanted in seen] == [
        ("train",), ("evaluate",), ("export",), ("synthesize", "search", "train", "evaluate", "export"),
    ]  # fmt: skip


def test_options_reach_what_trains(file, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(stages, "run_stages", lambda run, _: seen.append(run))
    arguments = ["--accelerator", "gpu", "--devices", "4", "--nodes", "2", "--precision", "bf16-mixed"]
    assert main(["run", str(file), *arguments, "--strategy", "ddp", "--workers", "3", "--dask", "local"]) == 0
    (run,) = seen
    compute = run.compute
    assert (compute.accelerator, compute.devices, compute.nodes) == ("gpu", 4, 2)
    assert (compute.precision, compute.strategy) == ("bf16-mixed", "ddp")
    assert (run.workers, run.dask) == (3, "local")


def test_networks_that_are_not_in_the_file_are_named_before_anything_is_made(file, tmp_path, capsys):
    run = tmp_path / "out"
    for command in ("train", "evaluate", "export", "run"):
        said = refused(capsys, command, str(file), "-o", str(run), "--network", "volume", "--network", "cnn")
        assert said == f"{command}: {file}: no network cnn; known are volume\n"
    assert not run.exists()


def test_what_is_not_trained_cannot_be_evaluated_or_exported_and_nothing_is_made_for_it(file, tmp_path, capsys):
    for command in ("evaluate", "export"):
        said = refused(capsys, command, str(file), "-o", str(tmp_path / "out"), "-q")
        assert "out: no network is trained there; train first" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[preprocessing]\nband_hz = [1.0, 8.0]", "[preprocessing]\nband_hz = [1.0, 10.0]", "preprocessing.band_hz"),
        ("window_frames = 16", "window_frames = 21", "networks.volume: network volume_cnn: window_frames 21"),
        ("window_frames = 16", "windowframes = 16", "networks.volume: "),
        ("held_out_share = 0.25", "held_out_share = 0.1", "events: 6 of 51 events are held out, networks.volume needs"),
        (
            "[networks.volume]",
            '[networks.fine]\nstart = "volume"\nnetwork = "slim"\n[networks.volume]',
            "networks.fine",
        ),
        ("magnitude = [2.0, 3.5]", "magnitude = [3.5, 2.0]", "events.magnitude: 3.5 is above 2.0"),
        ("[records]", "[records]\ncover_s = [0.5, 0.2]", "records.cover_s: 0.5 is above 0.2"),
        ("[records]", "[records]\ncoda_decay_s = [9.0, 5.0]", "records.coda_decay_s: 9.0 is above 5.0"),
        ("[networks.volume]", "[networks.volume]\nepoch = 3", "networks.volume.epoch: there is no such setting"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(tmp_path, capsys, old, new, message):
    assert old in SMALL
    path = tmp_path / "tiny.toml"
    path.write_text(SMALL.replace(old, new))
    said = refused(capsys, "run", str(path), "-o", str(tmp_path / "out"), "-q")
    assert message in said
    assert str(path) in said or "networks." in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("highest", "doubtful"), [(8.0, True), (9.5, True), (10.0, False)])
def test_seismograms_that_end_at_the_bands_edge_are_doubted(tmp_path, capsys, monkeypatch, highest, doubtful):
    path = tinyrun.written(tmp_path, SMALL.replace("highest_hz = 10.0", f"highest_hz = {highest}")).path
    monkeypatch.setitem(stages._STAGES, "train", lambda _: None)
    assert main(["train", str(path), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert (f"records.highest_hz {highest:g} is hardly above the band, which reaches to 8 Hz" in said) == doubtful
    assert ("set it to 10 or more" in said) == doubtful


def test_a_version_that_is_none_is_refused_at_once(file, tmp_path, capsys):
    said = refused(capsys, "run", str(file), "-o", str(tmp_path / "out"), "--model-version", "new")
    assert "model version 'new': give three numbers, like 1.0.0" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--devices", "--nodes", "--workers", "--threads"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_counts_are_counts(file, capsys, option, value):
    with pytest.raises(SystemExit) as caught:
        main(["train", str(file), option, value])
    assert caught.value.code == 2
    assert "no whole number above 0" in capsys.readouterr().err


def test_a_network_of_other_settings_is_refused(file, tmp_path, capsys):
    run = tmp_path / "out"
    assert main(["train", str(file), "-o", str(run), *QUIET]) == 0
    assert "evaluate first" in refused(capsys, "export", str(file), "-o", str(run), "-q")
    file.write_text(SMALL.replace("learning_rate = 3e-3", "learning_rate = 1e-3"))
    for command in ("train", "evaluate"):
        said = refused(capsys, command, str(file), "-o", str(run), "-q")
        assert "was trained with other settings of networks.volume" in said
    file.write_text(SMALL.replace("seed = 5", "seed = 6"))
    assert "was made with other settings" in refused(capsys, "train", str(file), "-o", str(run), "-q")
    assert json.loads((run / "settings.json").read_text())["settings"]["seed"] == 5, (
        "the settings that it was made with"
    )


def test_an_interrupted_run_says_so_and_the_same_command_goes_on(file, tmp_path, capsys, monkeypatch):
    run = tmp_path / "out"
    step = VectorFitting.training_step

    def stopping(self, batch, index):
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(VectorFitting, "training_step", stopping)
        assert main(["train", str(file), "-o", str(run), *QUIET]) == 130
    said = capsys.readouterr()
    assert said.err == "train: interrupted; the same command goes on from here\n"
    assert main(["train", str(file), "-o", str(run), *QUIET]) == 0
    assert "volume: trained" in capsys.readouterr().out


def test_a_full_disk_is_said_in_one_line(file, tmp_path, capsys, monkeypatch):
    def full(*_: object, **__: object) -> Bank:
        raise OSError(28, "No space left on device", str(tmp_path / "out" / "last.ckpt"))

    monkeypatch.setattr(stages, "run_training", full)
    said = refused(capsys, "train", str(file), "-o", str(tmp_path / "out"), *QUIET)
    assert "last.ckpt: the disk is full; make room, and the same command goes on from here" in said


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_an_operators_interruption_ends_the_command_and_it_goes_on(tmp_path):
    path = tinyrun.written(tmp_path, SMALL.replace("epochs = 2", "epochs = 400")).path
    command = [sys.executable, "-m", "dlloc_training", "train", str(path), "-o", str(tmp_path / "out"), *QUIET]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment(), preexec_fn=heed_interrupts, **pipes)
    until = time.monotonic() + 200
    while not (tmp_path / "out" / "networks" / "volume" / "last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130, said
    assert said.endswith("train: interrupted; the same command goes on from here\n")
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "networks" / "volume" / "done.json").exists()


@pytest.mark.slow
def test_quick_becomes_a_model_that_dlloc_accepts(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "dlloc_training", "run", "quick", "-o", str(tmp_path / "quick"), *QUIET],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = (tmp_path / "quick" / "report" / "report.md").read_text()
    models = sorted((tmp_path / "quick" / "models").glob("quick-*-1.0.0.onnx"))
    names = [path.name.removeprefix("quick-").removesuffix("-1.0.0.onnx") for path in models]
    assert set(names) == {"image_cnn", "volume_cnn", "slim"}
    assert (tmp_path / "quick" / "report" / "report.html").stat().st_size > 10_000
    for title in ("2D CNN, two networks", "3D CNN", "slim FCN"):
        assert title in report
    for path in models:
        shown = subprocess.run(
            [sys.executable, "-m", "seiscomp_dlloc", "model", "show", str(path)],
            env=environment(), capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        assert path.name.removesuffix("-1.0.0.onnx") in shown.stdout
