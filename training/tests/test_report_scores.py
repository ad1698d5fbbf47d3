"""Figures of the report, against figures worked out apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.meta import Meta
from dlloc_training.experiments.report.measures import coverage_of, errors_of, measure
from dlloc_training.experiments.report.results import TrainingEvents, read_curves, read_results
from dlloc_training.experiments.report.scores import score_all, skill_against
from dlloc_training.experiments.report.summary import summarise
from dlloc_training.experiments.report.trivial import MEAN, NEAREST, mean_errors, nearest_errors

from seiscomp_dlloc.errors import InputError, SettingError

from .reportfolder import MACHINE, experiment, predictions, run_folder, write_network, write_training


def test_root_mean_square_and_mean_absolute_error_of_known_errors() -> None:
    found = measure(np.array([3.0, -4.0, np.nan, 0.0, 5.0]))
    assert found is not None
    assert found.count == 4
    assert found.rmse.value == pytest.approx(np.sqrt(50 / 4))
    assert found.mae.value == pytest.approx(3.0)
    assert found.median.value == pytest.approx(3.5)
    assert found.bias == pytest.approx(1.0)
    assert found.rmse.low <= found.rmse.value <= found.rmse.high
    assert measure(np.array([np.nan])) is None


def test_the_last_window_is_the_published_one(tmp_path: Path) -> None:
    wrong = np.tile([3.0, -4.0, 1.0, 0.5, 0.2], (6, 1))
    answers = predictions(experiment(tmp_path), wrong)
    assert errors_of(answers)["epicentre"] == pytest.approx(np.full(6, 5.0))
    assert errors_of(answers, 0)["epicentre"] == pytest.approx(np.full(6, 15.0))  # three windows, three times the error
    assert errors_of(answers)["time"] == pytest.approx(np.full(6, 0.5))


def test_coverage_counts_what_lies_inside(tmp_path: Path) -> None:
    # An ellipse of 68 % reaches to sqrt(-2 ln 0.32) = 1.5096 sigma, an interval to 0.9945 sigma; of 90 % 2.146, 1.645
    radius = np.array([1.50, 1.52, 2.10, 2.20])
    wrong = np.zeros((4, 5))
    wrong[:, 0], wrong[:, 1] = 0.6 * radius, -0.8 * radius
    wrong[:, 2] = [0.99, 1.0, -1.6, 1.7]
    answers = predictions(experiment(tmp_path), 2.0 * wrong, sigma=2.0)
    for region in ("epicentre", "depth"):
        found = [coverage_of(answers, region, level) for level in (0.68, 0.9)]
        assert [share.share.value for share in found if share] == [0.25, 0.75]


def test_events_without_a_stated_sigma_do_not_count(tmp_path: Path) -> None:
    answers = predictions(experiment(tmp_path), np.zeros((4, 5)))
    sigma = answers.sigma.copy()
    sigma[:3, -1, 2] = [np.nan, 0.0, -1.0]
    found = coverage_of(replace(answers, sigma=sigma), "depth", 0.9)
    assert found is not None
    assert (found.count, found.share.value) == (1, 1.0)
    assert coverage_of(replace(answers, sigma=np.full_like(sigma, np.nan)), "epicentre", 0.9) is None


def test_skill_is_the_share_of_the_error_that_is_gone() -> None:
    ours = {"depth": np.array([1.0, -1.0, np.nan]), "time": np.array([0.1])}
    theirs = {"depth": np.array([4.0, 4.0, 100.0]), "time": np.array([0.0])}
    assert skill_against(ours, theirs) == {"depth": pytest.approx(0.75)}  # nothing has skill against a perfect time


def test_baselines_are_the_mean_and_the_nearest_hypocentre(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    frame = made.region.frame
    answers = predictions(made, np.zeros((3, 5)))
    places = np.array([[-2.0, 0.0, 2.0], [1.0, -1.0, 4.0], [4.0, 4.0, 0.0]])
    latitude, longitude = frame.to_geographic(places[:, 0], places[:, 1])
    training = TrainingEvents(latitude, longitude, places[:, 2], np.array([2.0, 3.0, 4.0]))
    x, y = answers.truth[:, 0], answers.truth[:, 1]
    mean = mean_errors(answers, training, frame)
    assert mean["x"] == pytest.approx(1.0 - x, abs=1e-6)
    assert mean["depth"] == pytest.approx(2.0 - answers.depth_km)
    assert mean["magnitude"] == pytest.approx(3.0 - answers.magnitude)
    assert mean["epicentre"] == pytest.approx(np.hypot(1.0 - x, 1.0 - y), abs=1e-6)
    assert "time" not in mean
    nearest = nearest_errors(answers, training, frame)
    for k in range(3):
        away = [np.linalg.norm(place - answers.truth[k, :3]) for place in places]
        best = int(np.argmin(away))
        assert nearest["depth"][k] == pytest.approx(places[best, 2] - answers.depth_km[k])
        assert nearest["magnitude"][k] == pytest.approx(2.0 + best - answers.magnitude[k])


def test_the_constant_origin_time_comes_from_held_out_events(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    run_folder(tmp_path, made)
    results = read_results(made, tmp_path)
    scores = score_all(results, made.region.frame)
    held, test = (results.networks[0].sets[name].truth[:, 3] for name in ("held-out", "test"))
    expected = np.sqrt(np.mean((held.mean() - test) ** 2))
    assert scores.baselines[MEAN, "test"].measures["time"].rmse.value == pytest.approx(expected)
    assert "time" not in scores.baselines[MEAN, "held-out"].measures
    assert "time" not in scores.baselines[NEAREST, "test"].measures


def test_the_summary_holds_the_figures_of_a_passport(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    wrong = np.zeros((20, 5))
    wrong[:10, 0], wrong[10:, 1] = 3.0, -1.0
    wrong[:, 2] = np.linspace(-2.0, 2.0, 20)
    wrong[:, 3], wrong[:, 4] = 0.2, -0.1
    write_network(tmp_path, "cnn3d", "3D CNN", {"test": predictions(made, wrong)}, 77)
    write_training(tmp_path, made)
    summary = summarise(made, tmp_path)
    network = summary["networks"]["cnn3d"]
    assert (network["training_events"], network["epochs"], network["machine"]) == (77, 20, MACHINE)
    figures = network["sets"]["test"]
    assert figures["count"] == 20
    assert figures["epicentre_km"] == {"mean": 2.0, "median": 2.0, "rmse": pytest.approx(np.sqrt(5.0), abs=1e-4)}
    assert figures["depth_km"]["rmse"] == pytest.approx(np.sqrt(np.mean(wrong[:, 2] ** 2)), abs=1e-4)
    assert figures["depth_km"]["mae"] == pytest.approx(np.mean(np.abs(wrong[:, 2])), abs=1e-4)
    assert figures["origin_time_s"]["rmse"] == pytest.approx(0.2)
    assert figures["magnitude"]["rmse"] == pytest.approx(0.1)
    assert figures["coverage"]["epicentre"] == {"68": 0.5, "90": 0.5}
    assert figures["coverage"]["depth"]["90"] == pytest.approx(np.mean(np.abs(wrong[:, 2]) <= 1.6449))
    mean = summary["baselines"]["test"][MEAN]["depth_km"]["mae"]
    assert figures["skill"][MEAN]["depth"] == pytest.approx(1 - figures["depth_km"]["mae"] / mean, abs=1e-3)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    with pytest.raises(InputError, match=r"holds no predictions of the networks of .*small\.toml; evaluate first"):
        read_results(made, tmp_path)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    write_network(tmp_path, "cnn3d", "3D CNN", {"test": predictions(made, np.ones((4, 5)))}, 7)
    write_network(tmp_path, "older", "older", {"test": predictions(made, np.ones((4, 5)))}, 7)
    found = read_results(made, tmp_path)
    said = "\n".join(found.missing)
    assert [network.plan.name for network in found.networks] == ["cnn3d"]
    for part in ("cnn2d (2D CNN) was not evaluated", "3D CNN: no theoretical held-out", "older: ", "training.npz"):
        assert part in said


def test_damaged_files_are_named(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    write_network(tmp_path, "cnn3d", "3D CNN", {"test": predictions(made, np.ones((4, 5)))}, 7)
    meta = tmp_path / "predictions" / "cnn3d" / "meta.json"
    meta.write_text('{"title": "x"}')
    with pytest.raises(SettingError, match=r"meta\.json"):
        Meta.load(meta)
    table = tmp_path / "table.csv"
    table.write_text("step,loss\n1,2\n")
    with pytest.raises(SettingError, match=r"table\.csv.*epoch"):
        read_curves(table)
    assert read_curves(tmp_path / "none.csv") == {}


def test_rows_of_an_epoch_are_joined(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text("epoch,step,loss,loss_held_out\n0,9,2.0,\n0,9,,3.0\n1,19,1.0,\n")
    curves = read_curves(table)
    assert {name: [v.tolist() for v in pair] for name, pair in curves.items()} == {
        "loss": [[0.0, 1.0], [2.0, 1.0]],
        "loss_held_out": [[0.0], [3.0]],
    }
