"""Origin time and magnitude beside the location image: planned, trained, measured and exported."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dlloc_training.experiments import exporting
from dlloc_training.experiments.augmenting import NO_EVENT
from dlloc_training.experiments.bank import Bank
from dlloc_training.experiments.building import passport_of
from dlloc_training.experiments.checking import check_networks
from dlloc_training.experiments.choosing import chosen_rows
from dlloc_training.experiments.evaluating import answer, calibrate_sigmas, images_of, predictions
from dlloc_training.experiments.exporting import calibrated, export_network
from dlloc_training.experiments.materials import Materials
from dlloc_training.experiments.plans import NetworkPlan, plan_of, plans
from dlloc_training.experiments.reading import ExperimentFile
from dlloc_training.experiments.trained import BankDataset
from dlloc_training.experiments.training import Fitted, train_network
from dlloc_training.networks.image_head import BESIDE_IMAGE, ImageAndVector
from dlloc_training.networks.outputs import Outputs

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.model import load

from . import tinyrun
from .test_experiment_evaluating import exact_of, located
from .test_experiment_training import CPU, same, stopped_in, weights
from .tinyrun import STARTTIME, Tiny


def plan(tiny: Tiny, **values: object) -> NetworkPlan:
    """The tiny experiment's slim network with origin time and magnitude beside its image."""
    return replace(plan_of(tiny.experiment, "slim"), **{"outputs": BESIDE_IMAGE, "epochs": 2, **values})


def image_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    inner = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    return inner or state


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory) -> Fitted:
    return train_network(tiny.materials, plan(tiny, outputs=Outputs()), tmp_path_factory.mktemp("alone"), CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("beside")


@pytest.fixture(scope="module")
def beside(tiny, folder) -> Fitted:
    return train_network(tiny.materials, plan(tiny), folder, CPU)


# The plan


def test_a_plan_without_outputs_is_resolved_as_ever(tiny):
    assert plan_of(tiny.experiment, "slim").resolved() == {
        "name": "slim", "kind": "slim", "title": "slim", "inputs": "stations", "mask": False,
        "outputs": {"groups": [["x", "y", "depth", "time", "magnitude"]], "uncertainty": True},
        "settings": {"mixed": 32, "hidden": 32}, "lost": False, "events_share": 1.0, "node_stride": 1,
        "data": "theoretical", "start": None, "searched": False, "published": "last", "epochs": 2,
        "windows_per_epoch": 2, "batch": 16, "learning_rate": 3e-3, "weight_decay": 1e-2,
        "loss": {"kind": "gaussian", "beta": 0.5},
    }  # fmt: skip
    assert plan_of(tiny.experiment, "slim").beside_image == ()


def test_what_stands_beside_the_image_is_what_the_file_says(tmp_path):
    experiment = tinyrun.written(tmp_path, tinyrun.WITH_BESIDE)
    assert plan_of(experiment, "beside").beside_image == ("time", "magnitude")
    assert plan_of(experiment, "volume").beside_image == plan_of(experiment, "slim").beside_image == ()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ('[["time", "x"]]', "the location image gives x; beside it there can be time, magnitude"),
        ('[["time"], ["magnitude"]]', "give one group beside a location image, not 2"),
        ('[["time", "time"]]', "a parameter stands twice"),
        ('[["energy"]]', "outputs: entry 1: entry 1: is 'energy'; give one of"),
    ],
)
def test_outputs_that_cannot_be_are_named_with_the_file(tmp_path, outputs, message):
    text = tinyrun.WITH_BESIDE.replace('[["time", "magnitude"]]', outputs)
    with pytest.raises(SettingError, match=rf"tiny\.toml: networks\.beside.*{re.escape(message)}"):
        plans(tinyrun.written(tmp_path, text))


def test_as_many_held_out_events_are_needed_as_sigmas_rest_on(tmp_path):
    text = tinyrun.WITH_BESIDE.replace("held_out_share = 0.25", "held_out_share = 0.1")
    experiment = tinyrun.written(tmp_path, text)
    check_networks(experiment, [plan_of(experiment, "slim")])
    with pytest.raises(SettingError, match=r"networks\.beside needs 10 for selection and calibration"):
        check_networks(experiment, [plan_of(experiment, "beside")])


# Training


def test_the_image_is_the_same_to_the_bit_without_the_head(tiny, alone, beside):
    assert same(image_weights(beside.network), alone.network.state_dict())
    waveforms = tiny.materials.exact("stations", "test").arrays["waveforms"]
    np.testing.assert_array_equal(images_of(beside, waveforms), images_of(alone, waveforms))


def test_the_head_learns(tiny, tmp_path):
    longer = train_network(tiny.materials, plan(tiny, epochs=12), tmp_path, CPU)
    exact = tiny.materials.exact("stations", "held-out")
    got = answer(longer, exact)
    wrong = got.mean[exact.answered, 0, 4] - exact.targets[exact.answered, 4]
    assert np.sqrt(np.mean(wrong**2)) < 0.6 * exact.targets[exact.answered, 4].std()


def test_an_interrupted_training_goes_on_to_the_same_image_and_head(tiny, beside, folder, tmp_path, monkeypatch):
    stopped_in(1, monkeypatch, tiny.materials, plan(tiny), tmp_path)
    train_network(tiny.materials, plan(tiny), tmp_path, CPU)
    assert same(weights(tmp_path), weights(folder))


def test_what_is_unknown_and_windows_without_an_event_teach_the_head_nothing(tiny):
    bank, rows = chosen_rows(tiny.materials, plan(tiny, lost=True))
    empty = rows[bank.kind[rows] == NO_EVENT]
    assert len(empty)
    unknown = with_times_known_of(bank, 3)
    data = BankDataset(unknown, ("waveforms",), ("time", "magnitude"), True, 1, rows)
    waveforms, points, targets = data[np.concatenate([empty[:1], np.flatnonzero(bank.event == 2)[:2], rows[-1:]])]
    assert waveforms.shape[0] == points.shape[0] == len(targets) == 4
    assert torch.isnan(targets[0]).all()
    assert torch.isnan(targets[3, 0])
    assert torch.isfinite(targets[3, 1])


def with_times_known_of(bank: Bank, events: int) -> Bank:
    """The bank with origin times of the first ``events`` alone."""
    targets = bank.targets.copy()
    targets[bank.event >= events, 3] = np.nan
    return replace(bank, targets=targets)


def materials_with(tiny: Tiny, bank: Bank) -> Materials:
    materials = Materials(tiny.experiment, tiny.materials.folder, tiny.materials.data, tiny.materials.events, False)
    materials._banks["stations", "theoretical"] = bank
    return materials


def test_origin_times_that_few_events_have_are_learnt_from_these(tiny, tmp_path):
    bank, rows = chosen_rows(tiny.materials, plan(tiny))
    few = with_times_known_of(bank, 6)
    fitted = train_network(materials_with(tiny, few), plan(tiny), tmp_path / "few", CPU)
    assert all(torch.isfinite(value).all() for value in fitted.network.state_dict().values())
    wanted = np.nanmean(few.targets[rows][:, 3:], axis=0)
    np.testing.assert_allclose(fitted.network.mean, wanted, rtol=1e-5)
    with pytest.raises(SettingError, match="no training event has a known time: leave it out of the outputs"):
        train_network(materials_with(tiny, with_times_known_of(bank, 0)), plan(tiny), tmp_path / "none", CPU)


# Starting from another network


def test_a_head_is_taken_over_where_both_have_one_and_else_the_image_alone(tiny, alone, beside, tmp_path):
    still: dict[str, object] = {"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "start": "slim"}

    def started(name: str, start: Fitted, **values: object) -> Fitted:
        return train_network(tiny.materials, plan(tiny, **still, **values), tmp_path / name, CPU, start)

    def unlike(one: torch.nn.Module, other: torch.nn.Module) -> set[str]:
        old = dict(other.named_parameters())
        near = {name: torch.allclose(value, old[name], atol=1e-6) for name, value in one.named_parameters()}
        return {name.split(".")[0] for name, equal in near.items() if not equal}

    beside.network.mean += 0.5  # a mean that no bank gives
    try:
        both = started("both", beside)
        assert unlike(both.network, beside.network) == set()
        np.testing.assert_array_equal(both.network.mean, beside.network.mean)
        fresh = started("fresh", alone)
        assert unlike(fresh.network.network, alone.network) == set()
        assert unlike(fresh.network, beside.network) == {"head"}
        assert not np.allclose(fresh.network.mean, beside.network.mean)
    finally:
        beside.network.mean -= 0.5
    bare = started("bare", beside, outputs=Outputs())
    assert unlike(bare.network, beside.network.network) == set()


@pytest.mark.parametrize(
    ("outputs", "refused"), [('[["time", "magnitude"]]', False), ('[["time"]]', True), (None, False)]
)
def test_the_file_may_tune_with_the_same_head_or_without_one(tmp_path, outputs, refused):
    told = f"outputs = {outputs}\n" if outputs else ""
    tuned = f'[networks.tuned]\nnetwork = "slim"\n{told}start = "beside"\nsettings = {{mixed = 32, hidden = 32}}\n'
    experiment = tinyrun.written(tmp_path, tinyrun.WITH_BESIDE.replace("[evaluation]", tuned + "[evaluation]"))
    if refused:
        with pytest.raises(SettingError, match=r"networks\.tuned\.start: 'beside' has other outputs"):
            plans(experiment)
    else:
        check_networks(experiment, [plan_of(experiment, "tuned")])


# Inputs


def normalised(folder: Path, text: str = tinyrun.WITH_BESIDE) -> ExperimentFile:
    return tinyrun.written(folder, text.replace("[images]", 'normalisation = "station_max"\n[images]', 1))


def test_amplitudes_are_asked_for_where_they_are_taken_away_and_a_magnitude_rests_on_them(tmp_path):
    time_alone = tinyrun.WITH_BESIDE.replace('[["time", "magnitude"]]', '[["time"]]')
    for experiment, wanted in (
        (tinyrun.written(tmp_path / "a", tinyrun.WITH_BESIDE), ["waveforms"]),
        (normalised(tmp_path / "b"), ["waveforms", "log_scale"]),
        (normalised(tmp_path / "c", time_alone), ["waveforms"]),
    ):
        assert passport_of(experiment, plan_of(experiment, "beside")).representation["inputs"] == wanted
        assert passport_of(experiment, plan_of(experiment, "slim")).representation["inputs"] == ["waveforms"]


def test_windows_hold_amplitudes_where_any_network_takes_them_and_stay_as_they_were_elsewhere(tiny, tmp_path):
    def header(experiment: ExperimentFile) -> dict[str, object]:
        materials = Materials(experiment, tmp_path, tiny.materials.data, tiny.materials.events, False)
        return materials.header("stations", "theoretical")

    plain = header(tiny.experiment)
    assert header(tinyrun.written(tmp_path / "a", tinyrun.WITH_BESIDE)) == plain
    without, with_them = header(normalised(tmp_path / "b", tinyrun.TEXT)), header(normalised(tmp_path / "c"))
    assert without["passport"]["representation"] == plain["passport"]["representation"]
    assert with_them["passport"]["representation"]["inputs"] == ["waveforms", "log_scale"]


# Exported


class Exported:
    """A network of normalised windows, trained and exported."""

    def __init__(self, tiny: Tiny, folder: Path):
        experiment = normalised(folder)
        self.materials = Materials(experiment, folder, tiny.materials.data, tiny.materials.events, False)
        self.plan = replace(plan_of(experiment, "beside"), epochs=1)
        self.fitted = train_network(self.materials, self.plan, folder / "network", CPU)
        calibrate_sigmas(self.materials, self.fitted)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exporting, "NOISE_WINDOWS", 20)
            self.calibration = calibrated(self.materials, self.fitted)
            path = export_network(self.materials, self.fitted, folder / "models", {})
        self.model = load(path, provider="cpu", threads=1)


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory) -> Exported:
    return Exported(tiny, tmp_path_factory.mktemp("exported"))


def test_the_file_gives_the_numbers_of_the_network(exported):
    exact = exported.materials.exact("stations", "test")
    arrays = {name: exact.arrays[name][:3] for name in ("waveforms", "log_scale")}
    assert np.ptp(arrays["log_scale"]) > 0.1
    got = exported.model.run(arrays)
    with torch.inference_mode():
        network = ImageAndVector(exported.fitted.network, ()).eval()
        image, vector = network(*(torch.from_numpy(values) for values in arrays.values()))
    np.testing.assert_allclose(got["image"], image, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(got["vector"], vector, rtol=1e-4, atol=1e-5)
    assert exported.model.check().passed
    names = [row["name"] for row in exported.model.passport.head["parameters"]]
    assert names == ["time", "magnitude", "sigma_time", "sigma_magnitude"]
    assert exported.model.passport.head["kind"] == "volume"


def test_the_plugin_gives_origin_time_and_magnitude_of_normalised_windows(exported):
    held = exported.materials.exact("stations", "test").records
    records = [tinyrun.in_counts(record) for record in held[:2]]
    exact = exact_of(exported.materials, exported.fitted, records)
    got = predictions(exported.materials, exported.fitted, exact, exported.calibration)
    assert got.parameters == ("x", "y", "depth", "time", "magnitude")
    for row, record in enumerate(records):
        solution = located(exported.model, record)
        mean, sigma = got.mean[row, 0], got.sigma[row, 0]
        start = record.origin_s - exact.targets[row, 3]
        assert solution.hypocenter.time - STARTTIME == pytest.approx(start + mean[3], abs=1e-3)
        assert solution.hypocenter.time_sigma_s == pytest.approx(sigma[3], rel=1e-3)
        assert solution.magnitude.value == pytest.approx(mean[4], abs=1e-3)
        assert solution.magnitude.sigma == pytest.approx(sigma[4], rel=1e-3)
        assert solution.hypocenter.depth_km == pytest.approx(mean[2], abs=0.005)
