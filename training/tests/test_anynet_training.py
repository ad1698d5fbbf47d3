"""Training of the station network: labels, losses, a tiny real training, and runs with checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from dlloc_training.anynet import running
from dlloc_training.anynet.draw import Drawer
from dlloc_training.anynet.evidence import PHASES, Evidence, valid_times
from dlloc_training.anynet.fitting import STEP_S, Examples, StationModule, Trials
from dlloc_training.anynet.running import CHECKPOINT, Training, split, train, trained, weights
from torch import nn

from seiscomp_dlloc.errors import SettingError

from .anybank import CLEAN, bursts

BANK = bursts(earths=8, events=2)
SAMPLES = 512
FEW = Trials(near=6, middle=6, far=12)
SOON = replace(CLEAN, early_s=(2.0, 4.0))


def examples(bank=BANK, stations=6, events=2, seed=0, trials=FEW, faults=SOON) -> Examples:
    return Examples(Drawer(bank, SAMPLES, stations, faults), trials, events, seed)


@pytest.fixture
def module(monkeypatch):
    """A module at step 0 of 100, without a trainer; ``at`` sets the step."""
    torch.manual_seed(0)
    made = StationModule(Evidence(), steps=100, trials=FEW)
    monkeypatch.setattr(StationModule, "global_step", property(lambda self: getattr(self, "at", 0)), raising=False)
    return made


def test_an_onset_has_a_label_where_it_is_and_none_outside_of_the_window(module):
    valid = torch.ones(5, 1, 100)
    valid[3, :, 30:50] = 0.0
    valid[4] = 0.0
    onsets = torch.tensor([[20.3, 60.0], [-5.0, 99.0], [torch.nan, 130.0], [40.0, 51.0], [20.0, 30.0]])
    label = module._labels(onsets, valid)
    assert label.shape == (5, 2, 101)
    torch.testing.assert_close(label.sum(-1), torch.ones(5, 2))
    assert (label >= 0.0).all()
    none = label[..., -1]
    # The last: a gap over it, and a station without data
    assert none.tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    time = torch.arange(100.0)
    assert (label[0, :, :-1] * time).sum(-1).tolist() == pytest.approx([20.3, 60.0], abs=0.05)
    assert label[3, :, 30:50].abs().max() == 0.0


def test_labels_get_narrower_to_the_width_of_the_end(module):
    valid, onsets, time = torch.ones(1, 1, 100), torch.full((1, 2), 50.0), torch.arange(100.0)
    for at, width_s in ((0, module.label_s[0]), (50, sum(module.label_s) / 2), (100, module.label_s[1]), (150, 0.1)):
        module.at = at
        label = module._labels(onsets, valid)[0, 0, :-1]
        assert (label * (time - 50.0) ** 2).sum().sqrt().item() == pytest.approx(width_s / STEP_S, rel=0.02)


def test_examples_hold_the_true_node_first():
    """At the true place the arrivals are the onsets, at the trial origin time that is the true one."""
    exact = replace(FEW, delay_s=(1e-4, 1.1e-4), velocity_error=0.0)
    batch = next(iter(examples(trials=exact, events=4)))
    assert batch["arrivals"].shape == (4, 1 + 6 + 6 + 12, 6, PHASES)
    assert batch["waveforms"].shape == batch["mask"].shape == (4, 6, 3, SAMPLES)
    reach = exact.origin_reach_s / STEP_S
    for onsets, arrivals in zip(batch["onsets"], batch["arrivals"], strict=True):
        early = onsets - arrivals[0]
        assert early.mean().item() == pytest.approx(reach, abs=0.6)
        assert (early - early.mean()).abs().max() < 0.5  # the table of travel times
        misfit = (onsets - arrivals - (onsets - arrivals).mean((1, 2), keepdim=True)).abs().mean((1, 2))
        assert misfit[0] < misfit[1:].min()
        # The nearer, the better, on the whole
        assert misfit[1:7].mean() < misfit[7:13].mean() < misfit[13:].mean()


def test_examples_are_those_of_the_seed_and_windows_without_an_event_have_no_nodes():
    one, same, other = (next(iter(examples(seed=seed))) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["waveforms"], other["waveforms"])
    quiet = next(iter(examples(faults=replace(SOON, clean=0.0))))
    assert quiet["arrivals"].isnan().all()
    assert quiet["onsets"].isnan().all()


class Told(nn.Module):
    """Evidence that was told where the onsets are, moved by ``steps`` at each station."""

    def __init__(self, batch: dict[str, torch.Tensor], steps: torch.Tensor):
        super().__init__()
        onsets = batch["onsets"].flatten(0, 1) + steps.repeat(len(batch["onsets"]))[:, None]
        time = torch.arange(SAMPLES // 2)
        self.evidence = 4.0 * torch.exp(-0.5 * ((time - onsets[..., None]) / 1.5) ** 2)

    def log_probabilities(self, waveforms, mask):
        valid = valid_times(mask)[:, None]
        return torch.zeros(len(mask), PHASES, valid.shape[-1] + 1), valid

    def of(self, log_probability, valid, ratio):
        return self.evidence


def test_a_place_is_found_by_evidence_that_fits_and_not_by_evidence_that_is_elsewhere(module):
    batch = next(iter(examples(events=6)))

    def loss(steps: list[float]) -> float:
        module.network = Told(batch, torch.tensor(steps))
        return module.losses(batch)[1].item()

    fits, nodes = loss([0.0] * 6), np.log(1 + FEW.near + FEW.middle + FEW.far)
    assert fits < 0.8 * nodes
    assert loss([-15.0, 12.0, 20.0, -20.0, 7.0, -9.0]) > fits + 1.0
    # A later origin time explains all of them alike
    assert loss([6.0] * 6) == pytest.approx(fits, abs=0.3)


def test_batches_without_an_event_and_dead_stations_have_losses_that_are_numbers(module):
    batch = next(iter(examples(faults=replace(SOON, clean=0.0))))
    onsets, places = module.losses(batch)
    assert places.item() == 0.0
    assert 0.0 < onsets.item() < 50.0
    batch = next(iter(examples()))
    batch["mask"][:, 2:] = 0.0
    batch["waveforms"][:, 2:] = 0.0
    few = module.losses(batch)[0].item()
    batch["onsets"][:, 2:] = 17.0  # of stations without data
    assert module.losses(batch)[0].item() == few
    batch["mask"][:] = 0.0
    assert module.losses(batch)[0].item() == 0.0


def test_a_tiny_training_learns_where_the_onsets_are(module):
    batches = iter(examples(bursts(earths=3, events=3, seed=4), stations=8, events=2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3)
    losses = []
    for step in range(50):
        module.at = step
        onsets, places = module.losses(next(batches))
        (onsets + 0.25 * places).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 3.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(onsets.item())
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.7
    off = []
    for _, batch in zip(range(4), batches, strict=False):
        waveforms, mask = batch["waveforms"].flatten(0, 1), batch["mask"].flatten(0, 1)
        with torch.no_grad():
            seen = module.network.log_probabilities(waveforms, mask)[0][..., :-1].argmax(-1)
        away, live = (seen - batch["onsets"].flatten(0, 1)).abs(), mask[:, 0, -1] > 0
        off.append(away[live])
    # Within two steps (0.2 s) at most stations, P and S
    assert torch.cat(off).median(dim=0).values.max() < 2.0


def test_the_loss_of_the_place_teaches_the_network(module):
    module.losses(next(iter(examples())))[1].backward()
    for name in ("network.stem.0.weight", "network.out.weight", "network.none.weight", "ratio_weight"):
        assert module.network.get_parameter(name).grad.abs().max() > 0.0


@pytest.fixture
def quick(monkeypatch):
    """Runs of a moment: short windows, few nodes, two batches held out."""
    monkeypatch.setattr(running, "SAMPLES", 256)
    monkeypatch.setattr(running, "VALIDATION_BATCHES", 2)
    monkeypatch.setattr(running, "Trials", lambda: FEW)


def steps_of(monkeypatch) -> list[int]:
    """The steps that are trained from here on."""
    seen, real = [], StationModule.training_step
    monkeypatch.setattr(
        StationModule, "training_step", lambda self, *a: seen.append(self.global_step) or real(self, *a)
    )
    return seen


def test_a_run_leaves_a_checkpoint_and_goes_on_from_it(quick, tmp_path, monkeypatch):
    seen = steps_of(monkeypatch)
    first = train(BANK, tmp_path / "run", Training(steps=3, events=1, stations=4, every=2))
    assert first == tmp_path / "run" / CHECKPOINT
    assert seen == [0, 1, 2]
    early = weights(first)
    train(BANK, tmp_path / "run", Training(steps=5, events=1, stations=4, every=2))
    assert seen == [0, 1, 2, 3, 4]
    late = weights(first)
    assert set(early) == set(late) == set(Evidence().state_dict())
    assert not torch.equal(early["network.out.weight"], late["network.out.weight"])
    train(BANK, tmp_path / "run", Training(steps=5, events=1, stations=4, every=2))  # nothing is left
    assert len(seen) == 5
    assert all(torch.equal(value, late[name]) for name, value in weights(first).items())
    network = trained(first)
    assert not network.training
    assert torch.equal(network.network.out.weight, late["network.out.weight"])
    curves = list((tmp_path / "run" / "curves").rglob("metrics.csv"))
    assert any("held_out_places" in path.read_text() for path in curves)


def test_a_run_that_is_interrupted_goes_on_from_its_last_checkpoint(quick, tmp_path, monkeypatch):
    settings = Training(steps=6, events=1, stations=4, every=2)
    real = StationModule.training_step

    def stopped(self, *arguments):
        if self.global_step == 5:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(StationModule, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(BANK, tmp_path, settings)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=False)["global_step"] == 4
    seen = steps_of(monkeypatch)
    train(BANK, tmp_path, settings)
    assert seen == [4, 5]


def test_a_run_goes_on_with_other_windows_and_starts_with_given_weights(quick, tmp_path, monkeypatch):
    starts = []
    real = Examples.__init__
    monkeypatch.setattr(
        Examples, "__init__", lambda self, *a: starts.append((a[0].bank.earth[0], *a[3:5])) or real(self, *a)
    )
    settings = Training(steps=1, events=1, stations=4, every=1, seed=5)
    run = train(BANK, tmp_path / "one", settings)
    train(BANK, tmp_path / "one", replace(settings, steps=2))
    # Ours, then those that are held out: of the seed and the step
    assert starts == [(0, 5, 0), (7, 6), (0, 5, 1), (7, 6)]
    given = []
    monkeypatch.setattr(
        StationModule,
        "on_train_start",
        lambda self: given.append({n: v.clone() for n, v in self.network.state_dict().items()}),
        raising=False,
    )
    train(BANK, tmp_path / "two", settings, start=run)
    assert all(torch.equal(value, given[0][name]) for name, value in weights(run).items())


def test_one_earth_in_eight_is_held_out_with_all_of_its_events():
    bank = bursts(earths=17, events=2)
    ours, held = split(bank)
    assert sorted(set(held.earth)) == [7, 15]
    assert sorted(set(ours.earth)) == [k for k in range(17) if k not in (7, 15)]
    assert len(held.depth_km) == 4
    assert len(ours.depth_km) == 30
    for part in (ours, held):
        for name in ("data", "peak", "p_s", "s_s", "places_km"):
            assert len(getattr(part, name)) == len(part.depth_km)
    np.testing.assert_array_equal(held.p_s, bank.p_s[[14, 15, 30, 31]])
    np.testing.assert_array_equal(held.data, bank.data[[14, 15, 30, 31]])
    with pytest.raises(SettingError, match="7 earths; make 8"):
        split(bursts(earths=7, events=1))


@pytest.mark.parametrize("content", ["missing", "empty", "text", "list", "other"])
def test_what_is_no_checkpoint_is_refused_by_name(quick, tmp_path, content):
    path = tmp_path / CHECKPOINT
    if content == "empty":
        path.touch()
    elif content == "text":
        path.write_text("hello\n")
    elif content == "list":
        torch.save([1, 2], path)
    elif content == "other":
        torch.save({"weights": {}}, path)
    for use in (weights, trained):
        with pytest.raises(SettingError, match=r"last\.ckpt: cannot be read as a checkpoint"):
            use(path)
    settings = Training(steps=1, events=1, stations=4)
    with pytest.raises(SettingError, match=r"last\.ckpt: cannot be read as a checkpoint"):
        train(BANK, tmp_path / "new", settings, start=path)
    if content != "missing":
        with pytest.raises(SettingError, match=r"last\.ckpt: cannot be read as a checkpoint"):
            train(BANK, tmp_path, settings)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.ckpt"
    state = {f"network.{name}": value for name, value in Evidence().state_dict().items()}
    torch.save({"state_dict": state | {"network.ratio_weight": torch.zeros(5)}, "global_step": 1}, path)
    with pytest.raises(SettingError, match=r"other\.ckpt: holds the weights of another network"):
        trained(path)
    torch.save({"state_dict": {"head.weight": torch.zeros(3)}, "global_step": 1}, path)
    assert weights(path) == {}
    with pytest.raises(SettingError, match=r"other\.ckpt: holds the weights of another network"):
        trained(path)


@pytest.mark.parametrize("name", ["steps", "events", "stations", "every"])
def test_a_training_of_nothing_is_refused(name):
    with pytest.raises(SettingError, match=f"training: {name} is 0"):
        Training(**{name: 0})
