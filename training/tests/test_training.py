"""Training, resuming, calibrating and exporting on a toy network."""

import csv

import numpy as np
import pytest
import torch
from dlloc_training.augment import Augmentation, anchor_error, damaged, smaller, superposed
from dlloc_training.calibration import ImageKind, Readings, covariance_scale, thresholds
from dlloc_training.experiment import HELD_OUT_FILE, draw_held_out, held_out_of, split_events
from dlloc_training.export import half_exact, parity, to_onnx, write_model
from dlloc_training.passports import passport_document
from dlloc_training.release import held_out_inputs, images_of, noise_inputs
from dlloc_training.runs import load_network, train_slim
from dlloc_training.sampler import ExampleStream

from seiscomp_dlloc.decode import ImagePeak
from seiscomp_dlloc.errors import ModelError, SettingError
from seiscomp_dlloc.model import load

from . import toy

SIZES = {"width": 8, "mixed": 32, "hidden": 48, "decoder": 8, "dropout": 0.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment = toy.experiment()
    checkpoint = train_slim(experiment, folder, steps=12, batch=4, workers=0, every=6, sizes=SIZES)
    return experiment, folder, checkpoint


def test_training_lowers_the_loss_and_writes_curves(trained):
    _, folder, _ = trained
    with (folder / "curves" / "version_0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    validation = [float(row["loss_recorded"]) for row in rows if row.get("loss_recorded")]
    assert len(validation) == 2
    assert validation[-1] < np.log(np.prod(toy.GRID.shape)) + 1.0
    assert all(float(row["km_made"]) > 0 for row in rows if row.get("km_made"))


def test_a_run_goes_on_from_its_checkpoint(trained):
    experiment, folder, checkpoint = trained
    before = torch.load(checkpoint, weights_only=False)
    train_slim(experiment, folder, steps=16, batch=4, workers=0, every=4, sizes=SIZES)
    after = torch.load(checkpoint, weights_only=False)
    assert before["global_step"] == 12
    assert after["global_step"] == 16
    assert len(list(folder.glob("curves/version_*/metrics.csv"))) == 2
    same = [torch.equal(a, b) for a, b in zip(before["state_dict"].values(), after["state_dict"].values(), strict=True)]
    assert not all(same)


def test_an_exported_model_is_loaded_by_the_plugin_and_agrees_with_torch(trained, tmp_path):
    experiment, _, checkpoint = trained
    network = load_network(checkpoint).network
    inputs, _ = held_out_inputs(experiment, 0)
    path = tmp_path / "toy.onnx"
    write_model(path, network, document(experiment), inputs[:1], inputs)
    model = load(path, provider="cpu")
    assert model.passport.stations == experiment.target.stations
    assert model.passport.preprocessing == experiment.target.settings
    image = model.run({"waveforms": inputs})["image"]
    assert np.allclose(image, images_of(network, inputs), rtol=1e-3, atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["toy.onnx"]


def test_a_network_that_onnx_runs_differently_is_not_exported(trained, tmp_path, monkeypatch):
    experiment, _, checkpoint = trained
    network = load_network(checkpoint).network
    inputs, _ = held_out_inputs(experiment, 0)
    data = to_onnx(network, torch.from_numpy(half_exact(inputs[:1])))
    assert parity(data, network, inputs[:2]) <= 1.0
    with torch.no_grad():
        network.network.image.bias += torch.linspace(0, 1, len(network.network.image.bias))
    assert parity(data, network, inputs[:2]) > 1.0
    monkeypatch.setattr("dlloc_training.export.to_onnx", lambda *_: data)
    with pytest.raises(ModelError, match="disagree"):
        write_model(tmp_path / "toy.onnx", network, document(experiment), inputs[:1], inputs[:2])
    assert not list(tmp_path.iterdir())


def document(experiment):
    return passport_document(
        experiment.target,
        experiment.moveout,
        name="toy",
        version="1.0.0",
        description="a toy",
        calibration={"peak_threshold": 0.2, "covariance_scale": 1.0},
        provenance={"data": "toy"},
        skill={},
        kind=ImageKind("density", 6.0, 3.0),
        min_stations=4,
    )


def test_examples_of_a_stream_are_reproducible_and_finite():
    source = toy.experiment().training
    one, two = (iter(ExampleStream(source, 5)) for _ in range(2))
    for _ in range(12):
        (a, p), (b, q) = next(one), next(two)
        assert torch.equal(a, b)
        assert torch.equal(torch.nan_to_num(p), torch.nan_to_num(q))
        assert a.shape == (3, toy.STATIONS, toy.SAMPLES)
        assert torch.isfinite(a).all()


def test_a_resumed_stream_draws_other_examples():
    source = toy.experiment().training
    one, two = (next(iter(ExampleStream(source, 5, start))) for start in (0, 200))
    assert not torch.equal(one[0], two[0])


def test_noise_windows_have_no_event_and_its_level():
    experiment = toy.experiment()
    inputs = noise_inputs(experiment, 0)
    level = inputs[inputs != 0].std()
    assert 0.3 < level / 1e-3 < 3.0  # the toy's noise is 1e-9 m/s, the unit 1e-6 m/s


def test_held_out_events_are_in_no_training_example():
    events = toy.events(toy.target())
    names = [f"{k}" for k in range(len(events))]
    drawn = draw_held_out(names, 4, 0)
    kept, aside = split_events(events, drawn)
    assert len(aside) == 4
    assert {e.trigger.event_id for e in kept}.isdisjoint(e.trigger.event_id for e in aside)
    assert draw_held_out(names, 4, 0) == drawn
    assert draw_held_out(names, 4, 1) != drawn


def test_a_run_keeps_its_held_out_events_whatever_is_readable_later(tmp_path):
    names = [f"event{k}" for k in range(20)]
    drawn = held_out_of(tmp_path, names[:18], 5, 0)
    assert (tmp_path / HELD_OUT_FILE).exists()
    assert held_out_of(tmp_path, names, 5, 3) == drawn
    with pytest.raises(SettingError, match=drawn[0]):
        held_out_of(tmp_path, [name for name in names if name != drawn[0]], 5, 0)


def test_a_smaller_event_keeps_the_noise_of_its_stations():
    source = toy.experiment().training
    example, noise = source.virtual.recorded(1), source.noise.draw(np.random.default_rng(0))
    small = smaller(example, 1e-3, noise)
    assert not small.data[:, 3].any()
    assert np.abs(small.data).max() < 0.01 * np.abs(example.data).max()
    assert small.data[:, 0].std() == pytest.approx(noise[:, 0].std(), rel=0.5)


def test_two_events_in_a_window_are_both_labelled():
    virtual = toy.experiment().training.virtual
    both = superposed(virtual.recorded(0), virtual.recorded(2), 100, 1.0)
    assert len(both.hypocentres) == 2
    assert np.array_equal(both.data[..., :100], virtual.recorded(0).data[..., :100])


def test_damage_stays_within_its_bounds():
    virtual = toy.experiment().training.virtual
    rng = np.random.default_rng(1)
    calm = Augmentation(drop=0.0, gain_sigma=0.0, wrong_time=0.0, glitch=0.0)
    assert np.array_equal(damaged(virtual.recorded(0), calm, toy.RATE, rng).data, virtual.recorded(0).data)
    lost = [(~damaged(virtual.recorded(0), Augmentation(drop=1.0), toy.RATE, rng).live).sum() for _ in range(40)]
    assert 0 < np.mean(lost) < 5
    errors = np.array([anchor_error(Augmentation(), rng) for _ in range(2000)])
    assert np.abs(errors).max() <= 18.0
    assert 0.35 < np.mean(np.abs(errors) < 2.0) < 0.75


def peak(sigma: float) -> ImagePeak:
    return ImagePeak(0.0, 0.0, 5.0, np.diag([sigma**2, sigma**2, sigma**2]), 0.9, 0, False, False, (0, 0, 0))


def test_covariance_scale_recovers_a_known_misstatement():
    rng = np.random.default_rng(0)
    errors = rng.normal(0.0, [1.0, 1.0, 2.0], (4000, 3))
    horizontal, depth = covariance_scale(Readings((peak(2.0),) * 4000, errors))
    assert horizontal == pytest.approx(0.25, rel=0.08)
    assert depth == pytest.approx(1.0, rel=0.08)


def test_thresholds_part_events_from_noise():
    rng = np.random.default_rng(0)
    low, silent = thresholds(rng.uniform(0.5, 1.0, 500), rng.uniform(0.0, 0.3, 500))
    assert 0.28 < silent <= 0.3
    assert 0.49 < low < 0.53
    # Where both overlap, events come first
    low, silent = thresholds(rng.uniform(0.0, 1.0, 500), rng.uniform(0.0, 1.0, 500))
    assert silent < 0.05
