"""The search of a network's settings."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dlloc_training.experiments.search import BEST, SEARCH, STUDY, TRIALS, Space, TooLargeError, read_best, run_search
from dlloc_training.networks.image_cnn import ImageCNNSettings
from dlloc_training.networks.losses import gaussian_nll
from dlloc_training.networks.outputs import ONE_NETWORK
from dlloc_training.networks.registry import build
from dlloc_training.networks.settings import from_mapping
from dlloc_training.networks.shapes import InputShape

from seiscomp_dlloc.errors import SettingError

from .searching import SPACE, valley

trials_module = pytest.importorskip("dlloc_training.experiments.trials", reason="needs optuna")

Report = Callable[[int, float], None]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / SEARCH / TRIALS).open(newline="") as file:
        return list(csv.DictReader(file))


def search(folder: Path, trials: int, train: Any = valley, seed: int = 1, **options: Any) -> Any:
    return run_search(SPACE, folder, train, trials, seed, progress=False, **options)


def settings_of(table: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table]


def test_a_search_finds_the_valley_and_keeps_what_it_found(tmp_path: Path) -> None:
    best = search(tmp_path, 30)
    assert best == read_best(tmp_path)
    assert best.value == pytest.approx(1.5 * best.rmse["x"])
    assert best.rmse["depth"] == pytest.approx(2.0 * best.rmse["x"])
    table = rows(tmp_path)
    assert [int(row["trial"]) for row in table] == list(range(30))
    complete = [float(row["value"]) for row in table if row["state"] == "complete"]
    assert best.value == min(complete)
    first = [float(row["value"]) for row in table[: trials_module.STARTUP_TRIALS]]
    assert best.value < 0.5 * min(first)
    pruned = [row for row in table if row["state"] == "pruned"]
    assert pruned
    assert all(1 < int(row["epochs"]) <= 4 for row in pruned)
    assert all(row["epochs"] == "4" for row in table if row["state"] == "complete")
    assert best.trials == {"complete": len(complete), "pruned": len(pruned)}
    # Readable back as the settings of a network's table
    made = from_mapping(ImageCNNSettings, json.loads((tmp_path / SEARCH / BEST).read_text())["settings"])
    assert (made.dropout, made.channels, len(made.poolings)) == (best.settings["dropout"], 4, made.convolutions)


def test_a_seed_determines_a_search_and_going_on_is_as_never_having_stopped(tmp_path: Path) -> None:
    search(tmp_path / "whole", 12)
    for trials in (3, 9, 12, 12):
        search(tmp_path / "parts", trials)
    search(tmp_path / "other", 8, seed=2)
    whole, parts, other = (settings_of(rows(tmp_path / name)) for name in ("whole", "parts", "other"))
    assert whole == parts
    assert whole[:8] != other
    assert len({row["dropout"] for row in whole}) == 12


def test_settings_that_cannot_be_built_fail_a_trial_and_not_the_search(tmp_path: Path) -> None:
    def train(settings: dict[str, Any], report: Report) -> dict[str, float]:
        if settings["convolutions"] < 3:
            raise SettingError("too few\nconvolutions")
        if settings["convolutions"] == 5:
            raise MemoryError
        return {"x": float("nan") if settings["kernel"] >= 7 else 1.0}

    best = search(tmp_path, 25, train)
    assert best.settings["convolutions"] in (3, 4)
    failed = [row for row in rows(tmp_path) if row["state"] == "fail"]
    reasons = {row["reason"] for row in failed}
    assert {"too few convolutions", "MemoryError", "the training came to nothing: errors are {'x': nan}"} == reasons
    assert best.trials["fail"] == len(failed)
    assert len(rows(tmp_path)) == 25


def test_networks_that_are_too_large_are_left_out_and_others_tried_for_them(tmp_path: Path) -> None:
    trained = []

    def bounded(settings: dict[str, Any], report: Report) -> dict[str, float]:
        if settings["convolutions"] > 2:
            raise TooLargeError("3 layers")
        trained.append(settings["convolutions"])
        return valley(settings, report)

    best = search(tmp_path, 5, bounded)
    table = rows(tmp_path)
    left_out = [row for row in table if row["state"] == "left out"]
    assert len(trained) == 5 == len(table) - len(left_out)
    assert left_out
    assert {row["reason"] for row in left_out} == {"3 layers"}
    assert max(trained) <= 2
    assert best.trials["left out"] == len(left_out)
    assert search(tmp_path, 5, bounded) == best, "a search that is over draws no more"
    assert len(trained) == 5


def test_a_bound_that_no_network_keeps_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "MOST_LEFT_OUT", 4)

    def never(settings: dict[str, Any], report: Report) -> dict[str, float]:
        raise TooLargeError("90 weights, search.most_weights is 5")

    with pytest.raises(SettingError, match=r"last 4 networks were too large \(90 weights, search.most_weights is 5\)"):
        search(tmp_path, 2, never)
    assert len(rows(tmp_path)) == 4


def test_a_search_without_any_complete_trial_says_where_the_reasons_are(tmp_path: Path) -> None:
    def train(settings: dict[str, Any], report: Report) -> dict[str, float]:
        raise SettingError("never")

    with pytest.raises(SettingError, match=r"best\.json: no trial was completed; .*trials\.csv"):
        search(tmp_path, 3, train)
    assert [row["reason"] for row in rows(tmp_path)] == ["never"] * 3


def test_a_mistake_in_the_code_ends_the_search_and_its_settings_are_tried_again(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def train(settings: dict[str, Any], report: Report) -> dict[str, float]:
        seen.append(settings)
        if len(seen) == 2:
            raise ZeroDivisionError
        return {"x": 1.0}

    with pytest.raises(ZeroDivisionError):
        search(tmp_path, 4, train)
    search(tmp_path, 4, train)
    assert len(seen) == 5
    assert seen[1] == seen[2]
    assert [row["state"] for row in rows(tmp_path)] == ["complete", "fail", "complete", "complete", "complete"]


def test_another_search_in_the_same_place_is_refused(tmp_path: Path) -> None:
    search(tmp_path, 2, about={"epochs": 3})
    for options in ({"about": {"epochs": 4}}, {"about": {"epochs": 3}, "seed": 2}):
        with pytest.raises(SettingError, match=r"study\.sqlite3: holds a search 'search' with other settings"):
            search(tmp_path, 3, **options)
    assert len(rows(tmp_path)) == 2
    search(tmp_path, 3, about={"epochs": 3})


@pytest.mark.parametrize("url", ["nonsense", "nonsense://user:secret@host/x", "sqlite:////nowhere/at/all.sqlite3"])
def test_a_storage_that_cannot_be_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(trials_module, "POLL_S", 0.01)
    with pytest.raises(SettingError, match=r"^search\.storage: ") as caught:
        search(tmp_path, 1, storage=url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_is_not_known_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="network 'fcm' is unknown; known are image_cnn"):
        run_search(Space("fcm"), tmp_path, valley, 1, 1)
    assert not list(tmp_path.iterdir())


def test_a_damaged_study_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "POLL_S", 0.01)
    (tmp_path / SEARCH).mkdir()
    (tmp_path / SEARCH / STUDY).write_bytes(b"no database at all" * 100)
    with pytest.raises(SettingError, match=r"study\.sqlite3: .*not a database"):
        search(tmp_path, 1)


def test_optuna_that_is_not_there_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "dlloc_training.experiments.trials")
    monkeypatch.delattr("dlloc_training.experiments.trials")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingError, match=r"pip install 'dlloc_training\[search\]'"):
        search(tmp_path, 1)


def start(folder: Path, trials: int, *storage: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(entry for entry in sys.path if entry)
    module = f"{__package__}.searching"
    command = [sys.executable, "-m", module, str(folder), str(trials), *storage]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)


@pytest.mark.parametrize("shared", [False, True])
def test_two_processes_share_a_search(tmp_path: Path, shared: bool) -> None:
    storage = [f"sqlite:///{tmp_path / 'shared.sqlite3'}"] if shared else []
    folders = [tmp_path / name for name in (("a", "b") if shared else ("a", "a"))]
    pair = [start(folder, 10, *storage) for folder in folders]
    for process in pair:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said.decode()
    table = rows(folders[0])
    assert settings_of(table) == settings_of(rows(folders[1]))
    assert 10 <= len(table) <= 11
    assert all(row["state"] in ("complete", "pruned") for row in table)
    assert len({row["dropout"] for row in table}) == len(table), "both drew the same"
    with sqlite3.connect(storage[0].removeprefix("sqlite:///") if shared else folders[0] / SEARCH / STUDY) as database:
        begun, ended = zip(*database.execute("select datetime_start, datetime_complete from trials"), strict=True)
    assert any(later < earlier for later, earlier in zip(sorted(begun)[1:], sorted(ended), strict=False)), "one by one"


def training_now(study: Path) -> bool:
    """Whether the second trial of a search, or a later one, has its settings and is being trained."""
    with closing(sqlite3.connect(f"file:{study}?mode=ro", uri=True)) as database:
        states = "select count(*) from trials join trial_user_attributes using (trial_id) where state = 'RUNNING'"
        return bool(database.execute(f"{states} and key = 'settings' and number > 0").fetchone()[0])


def test_a_killed_search_goes_on_and_tries_the_lost_trial_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(tmp_path, 50)
    until = time.monotonic() + 60
    while not (tmp_path / SEARCH / BEST).exists():  # the first trial is over
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    while not training_now(tmp_path / SEARCH / STUDY):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / SEARCH / BEST).exists()
    monkeypatch.setattr(trials_module, "GRACE_S", 1)
    search(tmp_path, 8)
    table = rows(tmp_path)
    lost = [row for row in table if row["state"] == "fail"]
    assert len(lost) == 1
    assert len(table) == 9
    again = [row for row in table if row["dropout"] == lost[0]["dropout"] and row is not lost[0]]
    assert len(again) == 1
    assert again[0]["state"] in ("complete", "pruned")


def test_a_real_network_is_searched(tmp_path: Path) -> None:
    shape = InputShape("snapshots", (1, 8, 8), 10.0, ("snapshots",))
    generator = torch.Generator().manual_seed(3)
    places = torch.rand(96, 2, generator=generator) * 6 + 1
    axis = torch.arange(8.0)
    images = torch.exp(-((axis[:, None] - places[:, 0, None, None]) ** 2 + (axis - places[:, 1, None, None]) ** 2) / 4)
    targets = np.concatenate([places.numpy(), np.random.default_rng(1).normal(size=(96, 3))], axis=1)
    train_part, held_out = slice(0, 64), slice(64, 96)

    def train(settings: dict[str, Any], report: Report) -> dict[str, float]:
        torch.manual_seed(0)
        network = build("image_cnn", settings, shape, ONE_NETWORK)
        network.fit_targets(targets[train_part])
        wanted = network.standardise(torch.tensor(targets, dtype=torch.float32))
        optimiser = torch.optim.Adam(network.parameters(), 5e-3)
        rmse = torch.zeros(5)
        for epoch in range(4):
            network.train()
            for first in range(0, 64, 16):
                part = slice(first, first + 16)
                optimiser.zero_grad()
                gaussian_nll(network(images[part, None]), wanted[part]).backward()
                optimiser.step()
            with torch.no_grad():
                network.eval()
                rmse = ((network(images[held_out, None])[..., 0] - wanted[held_out]) ** 2).mean(0).sqrt()
            report(epoch, float(rmse.mean()))
        return dict(zip(ONE_NETWORK.names, rmse.tolist(), strict=True))

    space = Space("image_cnn", (8, 8), {"channels": 4})
    best = run_search(space, tmp_path, train, 8, 5, progress=False)
    assert set(best.rmse) == {"x", "y", "depth", "time", "magnitude"}
    again = train(best.settings, lambda *_: None)
    assert again == pytest.approx(best.rmse, rel=1e-4)
    values = [float(row["value"]) for row in rows(tmp_path) if row["state"] == "complete"]
    assert best.value == min(values) < max(values)
