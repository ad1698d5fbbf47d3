"""Training of an experiment's networks: on what, from where, resumed, and the same for a seed."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dlloc_training.experiments import training
from dlloc_training.experiments.bank import TARGETS
from dlloc_training.experiments.choosing import chosen_rows, kept_events
from dlloc_training.experiments.computing import Compute
from dlloc_training.experiments.curves import CURVES, seconds_of
from dlloc_training.experiments.drawing import TRAIN
from dlloc_training.experiments.evaluating import training_places
from dlloc_training.experiments.fitting import BEST, LAST, ImageAndVectorFitting, ImageFitting, VectorFitting
from dlloc_training.experiments.materials import Materials
from dlloc_training.experiments.plans import NetworkPlan, plan_of, plans
from dlloc_training.experiments.training import DONE, WEIGHTS, load_fitted, run_training, train_network

from seiscomp_dlloc.errors import SettingError

from . import bursts, tinyrun
from .tinyrun import Tiny

CPU = Compute("cpu", progress=False)


def plan(tiny: Tiny, name: str = "volume", **values: object) -> NetworkPlan:
    return replace(plan_of(tiny.experiment, name), **values)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / WEIGHTS, weights_only=True)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> dict[str, Path]:
    """Folders of the two networks, trained without interruption."""
    folders = {}
    for each in plans(tiny.experiment):
        folders[each.name] = tmp_path_factory.mktemp(each.name)
        train_network(tiny.materials, replace(each, epochs=3), folders[each.name], CPU)
    return folders


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def stopped_in(
    epoch: int, monkeypatch: pytest.MonkeyPatch, materials: Materials, wanted: NetworkPlan, folder: Path
) -> None:
    """Train, and interrupt that in an epoch."""
    kind = ImageFitting if wanted.image_head else VectorFitting
    if wanted.beside_image:
        kind = ImageAndVectorFitting
    step = kind.training_step

    def stopping(self, batch, index):
        if self.current_epoch == epoch and index == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_network(materials, wanted, folder, CPU)


# Resumed, and the same


@pytest.mark.parametrize("name", ["volume", pytest.param("slim", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_weights_to_the_bit(tiny, trained, tmp_path, name):
    train_network(tiny.materials, plan(tiny, name, epochs=3), tmp_path, CPU)
    assert same(weights(tmp_path), weights(trained[name]))


def test_another_seed_gives_other_weights(tiny, trained, tmp_path):
    other = replace(tiny.experiment, seed=6)
    materials = Materials(other, tiny.materials.folder, tiny.materials.data, tiny.materials.events, False)
    materials._banks = tiny.materials._banks
    train_network(materials, plan(tiny, epochs=3), tmp_path, CPU)
    assert not same(weights(tmp_path), weights(trained["volume"]))


@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_training_goes_on_to_the_same_weights(tiny, trained, tmp_path, monkeypatch, epoch):
    wanted = plan(tiny, epochs=3)
    handler = signal.getsignal(signal.SIGINT)
    stopped_in(epoch, monkeypatch, tiny.materials, wanted, tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler, "the next interruption is heard as well"
    assert (tmp_path / LAST).exists()
    assert not (tmp_path / DONE).exists()
    before = seconds_of(tmp_path)
    fitted = train_network(tiny.materials, wanted, tmp_path, CPU)
    assert same(weights(tmp_path), weights(trained["volume"]))
    assert fitted.meta["seconds"] == round(seconds_of(tmp_path), 1) >= round(before, 1)
    curves, whole = ((folder / CURVES).read_text().splitlines() for folder in (tmp_path, trained["volume"]))
    columns = whole[0].split(",")
    assert columns[-1] == "seconds"
    assert [line.rsplit(",", 1)[0] for line in curves] == [line.rsplit(",", 1)[0] for line in whole]
    assert len(curves) == 4


def test_the_last_epoch_is_kept_whether_it_was_the_best_or_not(tiny, tmp_path, monkeypatch):
    validate = VectorFitting.validation_step

    def worse(self, batch, index):
        validate(self, batch, index)
        self.log("square_held_out", float(self.current_epoch), on_epoch=True, batch_size=1)

    logged = VectorFitting.log

    def log(self, name, value, **settings):
        if name != "square_held_out" or isinstance(value, float):
            logged(self, name, value, **settings)

    monkeypatch.setattr(VectorFitting, "validation_step", worse)
    monkeypatch.setattr(VectorFitting, "log", log)
    stopped_in(2, monkeypatch, tiny.materials, plan(tiny, epochs=3), tmp_path)
    epochs = [torch.load(tmp_path / name, weights_only=False)["epoch"] for name in (BEST, LAST)]
    assert epochs == [0, 1]
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["best.ckpt", "last.ckpt"]


def test_a_location_image_network_goes_on_to_the_same_weights(tiny, trained, tmp_path, monkeypatch):
    stopped_in(2, monkeypatch, tiny.materials, plan(tiny, "slim", epochs=3), tmp_path)
    train_network(tiny.materials, plan(tiny, "slim", epochs=3), tmp_path, CPU)
    assert same(weights(tmp_path), weights(trained["slim"]))


def test_what_failed_before_the_end_is_no_trained_network(tiny, trained, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    fitted = load_fitted(tiny.materials, plan(tiny, epochs=3), trained["volume"])
    monkeypatch.setattr(training.torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        training._save(fitted, tmp_path)
    assert not (tmp_path / DONE).exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from dlloc_training.experiments.fitting import VectorFitting
from dlloc_training.experiments.plans import plan_of
from dlloc_training.experiments.training import train_network
from dlloc_training.experiments.computing import Compute
from tests import tinyrun
step = VectorFitting.training_step
def killed(self, batch, index):
    if self.current_epoch == 2 and index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)
VectorFitting.training_step = killed
folder, run = Path(sys.argv[1]), Path(sys.argv[2])
experiment = tinyrun.read_experiment(run.parent / "tiny.toml")
materials = tinyrun.materials_of(experiment, run)
train_network(materials, replace(plan_of(experiment, "volume"), epochs=3), folder, Compute("cpu", progress=False))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(tiny, trained, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(tiny.materials.folder)],
        cwd=Path(__file__).parents[1], capture_output=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (tmp_path / LAST).exists()
    train_network(tiny.materials, plan(tiny, epochs=3), tmp_path, CPU)
    assert same(weights(tmp_path), weights(trained["volume"]))


# Taken as it is, or refused


def test_a_trained_network_is_taken_as_it_is(tiny, trained, monkeypatch):
    monkeypatch.setattr(training, "fit_network", stop)
    fitted = train_network(tiny.materials, plan(tiny, epochs=3), trained["volume"], CPU)
    assert same(fitted.network.state_dict(), weights(trained["volume"]))
    bank, rows = chosen_rows(tiny.materials, plan(tiny))
    assert fitted.meta["training_events"] == len(np.unique(bank.event[rows])) > 30
    assert fitted.meta["parameters"] == sum(p.numel() for p in fitted.network.parameters())
    assert not fitted.network.training


@pytest.mark.parametrize("change", [{"learning_rate": 1e-4}, {"settings": {"channels": 3, "window_frames": 16}}])
def test_a_network_of_other_settings_is_refused(tiny, trained, change):
    other = plan(tiny, epochs=3, **change)
    with pytest.raises(SettingError, match=r"was trained with other settings of networks\.volume"):
        load_fitted(tiny.materials, other, trained["volume"])


def test_a_training_is_not_gone_on_with_by_other_settings(tiny, tmp_path, monkeypatch):
    stopped_in(1, monkeypatch, tiny.materials, plan(tiny), tmp_path)
    with pytest.raises(SettingError, match=r"other settings of networks\.volume"):
        train_network(tiny.materials, plan(tiny, learning_rate=1e-4), tmp_path, CPU)
    # The windows are part of it: others would be taken without a word
    changed = replace(
        tiny.experiment,
        settings={**tiny.experiment.settings, "augmentation": {**tiny.experiment.settings["augmentation"], "gap": 0.5}},
    )
    materials = Materials(changed, tiny.materials.folder, tiny.materials.data, tiny.materials.events, False)
    with pytest.raises(SettingError, match=r"other settings of networks\.volume or its inputs"):
        train_network(materials, plan(tiny), tmp_path, CPU)
    train_network(tiny.materials, plan(tiny), tmp_path, CPU)


def test_settings_may_change_before_the_first_epoch_is_over(tiny, tmp_path, monkeypatch):
    stopped_in(0, monkeypatch, tiny.materials, plan(tiny), tmp_path)
    assert not (tmp_path / LAST).exists()
    other = plan(tiny, learning_rate=1e-4)
    train_network(tiny.materials, other, tmp_path, CPU)
    document = json.loads((tmp_path / training.SETTINGS).read_text())
    assert document["plan"]["learning_rate"] == 1e-4


# The right windows


def test_stations_are_lost_only_where_the_network_is_to_learn_it(tiny):
    bank, rows = chosen_rows(tiny.materials, plan(tiny))
    assert bank.lost.max() == 2
    assert set(bank.lost[rows]) == {0}
    assert len(rows) == np.count_nonzero(bank.lost == 0)
    _, every = chosen_rows(tiny.materials, plan(tiny, lost=True))
    assert len(every) == len(bank)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_the_events_is_trained_on(tiny, share):
    some = plan(tiny, events_share=share, lost=True)
    bank, rows = chosen_rows(tiny.materials, some)
    assert len(np.unique(bank.event[rows])) == round(36 * share)
    assert len(rows) == 4 * round(36 * share), "all windows of each"
    again = chosen_rows(tiny.materials, some)[1]
    np.testing.assert_array_equal(rows, again)
    more = chosen_rows(tiny.materials, replace(some, events_share=0.75))[1]
    assert set(rows) < set(more), "smaller parts lie in larger ones"


def test_a_wider_grid_has_every_other_node(tiny):
    wide = plan(tiny, node_stride=2, lost=True)
    bank, rows = chosen_rows(tiny.materials, wide)
    events, train = tiny.materials.events, tiny.materials.events.of(TRAIN)
    chosen = train[np.unique(bank.event[rows])]
    for column, wanted in (
        (events.latitude, [44.94, 45.02]), (events.longitude, [9.92, 10.0, 10.08]), (events.depth_km, [2.0, 8.0]),
    ):  # fmt: skip
        assert set(np.round(column[chosen], 6)) <= set(wanted)
    expected = [
        row for row in train
        if round((events.latitude[row] - 44.94) / 0.04) % 2 == 0
        and round((events.longitude[row] - 9.92) / 0.04) % 2 == 0
        and round((events.depth_km[row] - 2.0) / 3.0) % 2 == 0
    ]  # fmt: skip
    assert chosen.tolist() == expected
    assert len(expected) >= 3


def test_the_nearest_training_event_is_one_that_was_trained_on(tiny):
    assert len(training_places(tiny.materials, plan(tiny))) == 36
    half = plan(tiny, events_share=0.5)
    places = training_places(tiny.materials, half)
    assert len(places) == 18
    kept = tiny.materials.events.of(TRAIN)[kept_events(tiny.materials, half, "theoretical")]
    np.testing.assert_array_equal(places[:, 2], tiny.materials.events.depth_km[kept])


def test_held_out_and_test_events_are_in_no_bank(tiny):
    events = tiny.materials.events
    names = {tiny.materials.records("stations", "theoretical")[k].name for k in range(len(events.of(TRAIN)))}
    for kind in ("held-out", "test", "off-node"):
        assert not names & {record.name for record in tiny.materials.records("stations", kind)}
    bank = tiny.materials.bank("stations", "theoretical")
    known = np.isfinite(bank.targets[:, 0])
    depths = events.depth_km[events.of(TRAIN)][bank.event]
    np.testing.assert_allclose(bank.targets[known, 2], depths[known], atol=1e-5)


def test_targets_are_standardised_over_the_rows_that_are_trained_on(tiny, trained):
    state = weights(trained["volume"])
    bank, rows = chosen_rows(tiny.materials, plan(tiny))
    wanted = np.nanmean(bank.targets[rows], axis=0)
    names = plan(tiny).outputs.names
    order = [("x", "y", "depth", "time", "magnitude").index(name) for name in names]
    others = [k for k, name in enumerate(names) if name != "time"]
    np.testing.assert_allclose(state["mean"].numpy()[others], wanted[order][others], rtol=1e-4, atol=1e-4)


# Starting from another network


def test_a_network_starts_from_the_weights_of_another(tiny, trained, tmp_path):
    start = load_fitted(tiny.materials, plan(tiny, epochs=3), trained["volume"])
    still = plan(tiny, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    took = train_network(tiny.materials, still, tmp_path / "a", CPU, start=start)
    fresh = train_network(tiny.materials, still, tmp_path / "b", CPU)
    old = weights(trained["volume"])
    for name, value in took.network.named_parameters():
        np.testing.assert_allclose(value.detach(), old[name], atol=1e-6)
    assert not all(torch.allclose(v, old[n], atol=1e-3) for n, v in fresh.network.named_parameters())
    np.testing.assert_array_equal(took.network.mean, old["mean"])
    np.testing.assert_array_equal(took.network.scale, old["scale"])


FINE = tinyrun.TEXT.replace(
    "[evaluation]",
    """[networks.fine]
network = "volume_cnn"
settings = {channels = 2, window_frames = 16}
start = "volume"
epochs = 1
[evaluation]""",
)


def test_a_network_alone_starts_from_what_was_trained_before(tiny, tmp_path):
    small = tinyrun.made(tmp_path, FINE)
    volume, _, fine = plans(small.experiment)
    said: list[str] = []
    with pytest.raises(SettingError, match=r"networks\.fine\.start: volume is not trained yet; train it first"):
        run_training(small.materials, (fine,), CPU, said.append)
    run_training(small.materials, (volume,), CPU, said.append)
    assert list(run_training(small.materials, (fine,), CPU, said.append)) == ["fine"]
    assert run_training(small.materials, (volume, fine), CPU, said.append).keys() == {"volume", "fine"}
    assert [line.split(" (")[0] for line in said] == [
        "volume: trained", "fine: trained", "volume: was trained already", "fine: was trained already",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('start = "volume"', 'start = "fine"', "'fine' must stand before it"),
        ('start = "volume"', 'start = "slim"', "'slim' has other kind"),
        ('start = "volume"', 'start = "volume"\noutputs = [["x", "y"]]', "'volume' has other outputs"),
        ('start = "volume"', 'data = "recorded"', r"data: there is no section recorded"),
        ('network = "slim"', 'network = "slim"\nmask = true', r"slim\.mask: slim takes no mask"),
        ('network = "slim"', 'network = "slim"\ninputs = "images"', r"slim\.inputs: slim does not take images"),
    ],
)
def test_networks_that_cannot_be_are_named_with_the_file(tmp_path, old, new, message):
    assert old in FINE
    experiment = tinyrun.written(tmp_path, FINE.replace(old, new))
    with pytest.raises(SettingError, match=rf"tiny\.toml: networks\..*{message}"):
        plans(experiment)


def test_a_grid_is_needed_to_widen_it(tmp_path):
    text = tinyrun.TEXT.replace("grid = {spacing_deg = 0.04, spacing_depth_km = 3.0, per_node = 1}", "count = 30")
    text = text.replace('network = "slim"', 'network = "slim"\nnode_stride = 2')
    with pytest.raises(SettingError, match=r"slim\.node_stride: its training events lie on no grid"):
        plans(tinyrun.written(tmp_path, text))


# Recorded events

RECORDED = (
    bursts.experiment_of("events")
    + """[events]
count = 24
magnitude = [3.0, 4.0]
held_out_share = 0.3
[records]
sampling_rate_hz = 20.0
before_s = 12.0
duration_s = 30.0
highest_hz = 5.0
[preprocessing]
band_hz = [2.0, 8.0]
window_s = 25.0
pretrigger_s = 5.0
warmup_s = 1.0
[location_image]
spacing_km = 8.0
spacing_depth_km = 4.0
[augmentation]
lost = 2
[training]
windows = 3
windows_per_epoch = 2
epochs = 1
batch = 8
[recorded]
folder = "events"
held_out = 3
samples = 1200
[networks.theory]
network = "slim"
settings = {mixed = 16, hidden = 16}
[networks.real]
network = "slim"
settings = {mixed = 16, hidden = 16}
data = "recorded"
start = "theory"
[networks.both]
network = "slim"
settings = {mixed = 16, hidden = 16}
data = "both"
"""
)
REAL, REAL_TEST = 10, 2


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Tiny:
    """Theoretical and recorded events of one network."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "events").mkdir()
    bursts.write_folder(folder / "events", REAL, REAL_TEST)
    return tinyrun.made(folder, RECORDED)


def test_recorded_events_are_trained_on_alone_and_beside_theoretical_ones(real):
    theory, alone, both = plans(real.experiment)
    count = len(real.materials.events.of(TRAIN))
    bank, rows = chosen_rows(real.materials, replace(alone, lost=True))
    assert len(rows) == len(bank) == 3 * (REAL - 3)
    joined, every = chosen_rows(real.materials, replace(both, lost=True))
    assert len(every) == 3 * (count + REAL - 3)
    assert len(np.unique(joined.event)) == count + REAL - 3
    np.testing.assert_array_equal(joined.arrays["waveforms"][3 * count :], bank.arrays["waveforms"])
    np.testing.assert_array_equal(joined.targets[3 * count :], bank.targets)
    assert len(chosen_rows(real.materials, replace(theory, lost=True))[1]) == 3 * count


def test_a_share_of_recorded_events_is_taken_where_it_is_asked_for(real):
    _, alone, both = plans(real.experiment)
    bank, rows = chosen_rows(real.materials, replace(alone, events_share=0.5, lost=True))
    assert len(np.unique(bank.event[rows])) == round(0.5 * (REAL - 3))
    assert len(training_places(real.materials, replace(alone, events_share=0.5))) == round(0.5 * (REAL - 3))
    count = len(real.materials.events.of(TRAIN))
    bank, rows = chosen_rows(real.materials, replace(both, events_share=0.5, lost=True))
    assert len(np.unique(bank.event[rows])) == round(0.5 * count) + round(0.5 * (REAL - 3))


def test_recorded_events_of_the_test_are_not_read_for_training(real, monkeypatch):
    assert "test" not in vars(real.materials.recorded)
    trained = run_training(real.materials, plans(real.experiment), CPU, say=lambda _: None)
    assert set(trained) == {"theory", "real", "both"}
    assert "test" not in vars(real.materials.recorded), "nobody has asked for them"
    names = {record.name for record in real.materials.recorded.train}
    held_out = {record.name for record in real.materials.recorded.held_out}
    assert len(names) == REAL - 3
    assert len(held_out) == 3
    assert not names & held_out
    assert not {f"e{REAL}", f"e{REAL + 1}"} & (names | held_out)
    assert 0 < trained["real"].meta["training_events"] <= REAL - 3


def test_recorded_events_select_the_networks_that_learn_from_them(real):
    theory, alone, both = plans(real.experiment)
    passport = real.materials.passport(theory)
    for each, count in ((theory, 7), (alone, 3), (both, 3)):
        assert len(training.held_out_of(real.materials, each, passport).targets) == count


def test_noise_of_recorded_training_events_is_laid_under_theoretical_ones(real):
    noise = real.materials.recorded_noise
    assert noise is not None
    assert noise._data.shape[0] <= REAL - 3


def test_origin_times_that_are_not_to_be_trusted_are_neither_taught_nor_measured(real):
    told = replace(
        real.experiment,
        settings={**real.experiment.settings, "recorded": {**real.experiment.settings["recorded"], "time": False}},
    )
    materials = Materials(told, real.materials.folder, real.materials.data, real.materials.events, False)
    column = TARGETS.index("time")
    for one, known in ((materials, False), (real.materials, True)):
        for targets in (one.bank("stations", "recorded").targets, one.exact("stations", "recorded-held-out").targets):
            assert np.isfinite(targets[:, column]).any() == known
            assert np.isfinite(targets[:, :3]).any(axis=0).all()
    assert np.isfinite(materials.exact("stations", "held-out").targets[:, column]).all(), "theoretical ones are exact"
