"""The any-network model as the plugin gets it, and the commands that make it."""

import json
import os
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest
import torch
from dlloc_training.__main__ import main
from dlloc_training.anynet import running
from dlloc_training.anynet.evidence import EVIDENCE_STRIDE, Evidence, RatioEvidence
from dlloc_training.anynet.exporting import INPUTS, OUTPUTS, SCALES, anynet, export, migration
from dlloc_training.anynet.fitting import Trials
from dlloc_training.anynet.running import CHECKPOINT
from dlloc_training.anynet.stacking import stack

from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.model import Model, load

from .anybank import small  # noqa: F401

CALIBRATION = {
    "calibration": {"peak_threshold": 0.5, "covariance_scale": 2.5},
    "head": {"trust": {"offset": -3.0, "score": 0.2, "stations": -0.1}},
}


def written(path, made) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells its own plans
        export(path, *made)
    return load(path, provider="cpu", threads=1)


def waveforms(stations: int, samples: int, seed: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((stations, 3, samples)).astype(np.float32)
    data[..., samples // 2 :] *= 6.0
    mask = np.ones_like(data)
    mask[0, 1:] = mask[-1, :, : samples // 4] = 0.0
    return {"waveforms": data * mask, "mask": mask}


@pytest.fixture(scope="module")
def network() -> Evidence:
    torch.manual_seed(2)
    made = Evidence().train()
    with torch.no_grad():  # the averages of the normalisation
        for seed in range(3):
            made(*(torch.from_numpy(a) for a in waveforms(6, 512, seed).values()))
    return made.eval()


@pytest.fixture(scope="module")
def model(network, tmp_path_factory) -> Model:
    return written(tmp_path_factory.mktemp("model") / "any.onnx", anynet(network, "1.2.3", CALIBRATION, {"km": 1.0}))


def test_the_plugin_loads_the_model_and_its_golden_input_passes(model):
    assert model.check().passed
    assert model.input_names == INPUTS
    assert model.output_names == OUTPUTS
    assert model.path.stat().st_size < 1.5e6


@pytest.mark.parametrize(("stations", "samples"), [(1, 256), (5, 1536), (40, 400)])
def test_evidence_of_any_stations_is_computed_alone(model, network, stations, samples):
    given = waveforms(stations, samples)
    answer = model.run(given, outputs=("onsets",))
    with torch.no_grad():
        wanted = network(*(torch.from_numpy(a) for a in given.values())).numpy()
    assert list(answer) == ["onsets"]
    assert answer["onsets"].shape == (stations, 2, samples // EVIDENCE_STRIDE)
    assert np.abs(wanted).max() > 0.3
    np.testing.assert_allclose(answer["onsets"], wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("stations", "times", "nodes", "origins"), [(1, 20, 1, 1), (6, 768, 50, 40), (30, 200, 7, 3)])
def test_evidence_of_any_stations_is_stacked_alone(model, stations, times, nodes, origins):
    rng = np.random.default_rng(stations)
    given = {
        "evidence": rng.standard_normal((stations, 2, times)).astype(np.float32),
        "arrivals": rng.uniform(-0.2 * times, times, (nodes, stations, 2)).astype(np.float32),
        "origins": np.arange(origins, dtype=np.float32) * 3.0,
    }
    if nodes > 1:
        given["arrivals"][1, 0, 1] = np.nan
    answer = model.run(given, outputs=("stack",))
    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    wanted = stack(tensors["evidence"], tensors["arrivals"], tensors["origins"].long()).numpy()
    assert list(answer) == ["stack"]
    assert answer["stack"].shape == (nodes, origins)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(answer["stack"], wanted, rtol=1e-3, atol=1e-4)


def test_the_passport_has_three_scales_and_what_was_measured(model, network):
    passport = model.passport
    assert len(passport.scales) == 3
    for (aperture, rate), row in zip(SCALES, passport.scales, strict=True):
        settings = row.preprocessing
        assert settings.sampling_rate_hz == rate
        assert settings.window_samples == 1536
        # Everything is in proportion
        assert settings.band_hz == pytest.approx((0.1 * rate, 0.4 * rate))
        assert settings.warmup_s * rate == pytest.approx(40.0)
        assert settings.pretrigger_s * rate == pytest.approx(100.0)
        assert passport.scales_for(aperture)[0].preprocessing == settings
    assert (passport.name, passport.version) == ("anynet", "1.2.3")
    assert passport.raw["calibration"] == CALIBRATION["calibration"]
    assert passport.head["trust"] == {"offset": -3.0, "score": 0.2, "stations": -0.1}
    assert passport.head["kind"] == "migration"
    assert passport.raw["skill"] == {"km": 1.0}
    assert passport.raw["provenance"]["parameters"] == sum(p.numel() for p in network.parameters())


def test_the_model_without_anything_learned_has_the_same_two_steps(tmp_path):
    model = written(tmp_path / "migration.onnx", migration("2.0.0", {}, {}))
    assert model.path.stat().st_size < 1e5
    assert (model.passport.name, len(model.passport.scales)) == ("migration", 3)
    given = waveforms(9, 600)
    with torch.no_grad():
        wanted = RatioEvidence()(*(torch.from_numpy(a) for a in given.values())).numpy()
    np.testing.assert_allclose(model.run(given, outputs=("onsets",))["onsets"], wanted, rtol=1e-3, atol=1e-4)


def test_a_calibration_that_cannot_be_writes_nothing(network, tmp_path):
    path = tmp_path / "any.onnx"
    with pytest.raises(ModelError, match="covariance_scale"):
        written(path, anynet(network, "1.0.0", {"calibration": {"peak_threshold": 0.0}}, {}))
    assert not path.exists()


@pytest.fixture
def tiny(small, monkeypatch):  # noqa: F811
    """Commands at a size that takes seconds: small earths, short windows, few nodes and batches."""
    monkeypatch.setattr(running, "SAMPLES", 256)
    monkeypatch.setattr(running, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(running, "Trials", lambda: Trials(near=3, middle=3, far=3))


def test_bank_train_and_export_make_a_model(tiny, tmp_path, capsys):
    bank, run, out = tmp_path / "made" / "bank.h5", tmp_path / "run", tmp_path / "models" / "any.onnx"
    make = ["anynet", "bank", "-o", str(bank), "--regional", "0", "--local", "8", "--events", "1", "--seed", "3"]
    assert main(make) == 0
    with h5py.File(bank) as file:
        assert len(file) == 8
        assert file.attrs["seed"] == 3
    train = ["anynet", "train", "--bank", str(bank), "-o", str(run), "--batch", "1", "--every", "2"]
    assert main([*train, "--steps", "2"]) == 0
    assert capsys.readouterr().out.strip().endswith(str(run / CHECKPOINT))
    assert main([*train, "--steps", "3"]) == 0
    assert torch.load(run / CHECKPOINT, weights_only=False)["global_step"] == 3
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION))
    (tmp_path / "skill.json").write_text('{"events": 12}')
    arguments = ["--calibration", str(tmp_path / "calibration.json"), "--skill", str(tmp_path / "skill.json")]
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["anynet", "export", "--run", str(run), "-o", str(out), "--version", "3.1.4", *arguments]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 0.")
    model = load(out, provider="cpu", threads=1)
    assert model.passport.version == "3.1.4"
    assert model.passport.raw["skill"] == {"events": 12}
    assert model.passport.raw["calibration"] == CALIBRATION["calibration"]
    given = waveforms(4, 256)
    with torch.no_grad():
        wanted = running.trained(run / CHECKPOINT)(*(torch.from_numpy(a) for a in given.values())).numpy()
    np.testing.assert_allclose(model.run(given, outputs=("onsets",))["onsets"], wanted, rtol=1e-3, atol=1e-4)


def test_what_is_missing_or_damaged_is_named_and_is_the_users_fault(small, tmp_path, capsys):  # noqa: F811
    out = ["-o", str(tmp_path / "out")]
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / CHECKPOINT).write_text("text")
    make = ["anynet", "bank", "-o", str(tmp_path / "few.h5"), "--regional", "0", "--local", "2", "--events"]
    assert main([*make, "1"]) == 0
    capsys.readouterr()
    export_it, train = ["anynet", "export", *out], ["anynet", "train", *out, "--bank"]
    for command, named in (
        ([*export_it, "--run", str(tmp_path / "empty")], f"empty: no {CHECKPOINT}"),
        ([*export_it, "--run", str(tmp_path / "spoilt")], f"{CHECKPOINT}: cannot be read"),
        ([*export_it, "--migration", "--calibration", str(tmp_path / "bad.json")], "bad.json: cannot be read as JSON"),
        ([*export_it, "--migration", "--skill", str(tmp_path / "none.json")], "none.json: cannot be read as JSON"),
        ([*export_it, "--migration", "--skill", str(tmp_path / "list.json")], "list.json: holds no JSON object"),
        ([*train, str(tmp_path / "none.h5")], "none.h5: cannot be read as a bank"),
        ([*train, str(tmp_path / "few.h5")], "2 earths; make 8"),
        ([*train, str(tmp_path / "few.h5"), "--steps", "0"], "steps is 0"),
        ([*make, "2"], "few.h5: is another bank"),
        ([*make, "0"], "a bank needs"),
        (["anynet", "bank", "-o", str(tmp_path / "text")], "text: cannot be written as a bank"),
    ):
        assert main(command) == 2, command
        said = capsys.readouterr().err
        assert said.startswith("anynet: ")
        assert named in said
    assert not (tmp_path / "out").is_file()
    assert (tmp_path / "text").read_text() == "text"


def test_the_commands_are_there_without_torch():
    code = (
        "import sys; from dlloc_training.__main__ import main\n"
        "try: main(['anynet', '--help'])\n"
        "finally: assert 'torch' not in sys.modules and 'h5py' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}

    def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

    shown = ended("-c", code)
    assert shown.returncode == 0, shown.stderr
    for name in ("bank", "train", "export"):
        assert f"  {name} " in shown.stdout
    refused = ended("-m", "dlloc_training", "anynet", "export", "-o", "x")
    assert refused.returncode == 2
    assert "--run --migration" in refused.stderr
