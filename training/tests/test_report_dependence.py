"""How the report groups events and networks, and the table of the paper."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.predictions import Predictions
from dlloc_training.experiments.reading import ExperimentFile
from dlloc_training.experiments.report.dependence import bins_of, by_lost, by_training, by_value, edges_of, families
from dlloc_training.experiments.report.document import Table, cell_text, to_csv
from dlloc_training.experiments.report.papertable import paper_table
from dlloc_training.experiments.report.regional import quarter_table
from dlloc_training.experiments.report.results import Results, read_results
from dlloc_training.experiments.report.scores import Scores, score_all
from dlloc_training.metrics import Interval

from .reportfolder import NETWORKS, experiment, predictions, write_network

Sets = dict[str, Predictions]


def scored(folder: Path, made: ExperimentFile, networks: dict[str, Sets], events: int = 200) -> tuple[Results, Scores]:
    """Results and scores of networks with the given answers."""
    for name, sets in networks.items():
        row = made.settings["networks"][name]
        share = row.get("events_share", 1.0) / row.get("node_stride", 1)
        write_network(folder, name, row["title"], sets, round(events * share))
    results = read_results(made, folder)
    return results, score_all(results, made.region.frame)


def constant(size: float, events: int = 20) -> np.ndarray:
    return np.full((events, 5), size)


def test_bins_hold_equal_numbers_of_events() -> None:
    values = np.random.default_rng(0).permutation(np.arange(40.0))
    edges = edges_of(values)
    assert np.bincount(bins_of(values, edges)).tolist() == [8] * 5
    assert bins_of(np.array([-1.0, 0.0, 39.0, 40.0, np.nan, np.inf]), edges).tolist() == [-1, 0, 4, -1, -1, -1]


def test_few_or_equal_values_make_no_bins() -> None:
    assert edges_of(np.arange(9.0)).size == 0
    assert edges_of(np.ones(100)).size == 0
    assert len(edges_of(np.array([*np.arange(10.0), np.nan, np.inf]))) == 3


def test_errors_are_grouped_by_magnitude(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    wrong = predictions(made, constant(0.0, 40))
    # An error of one km to the east for each unit of magnitude
    shift = np.zeros_like(wrong.mean)
    shift[..., 0] = wrong.magnitude[:, None]
    results, scores = scored(tmp_path, made, {"cnn3d": {"test": replace(wrong, mean=wrong.mean + shift)}})
    found = by_value(results, scores, "test", lambda events: events.magnitude, 1)
    assert found is not None
    points = found.lines[0].points
    assert [p.count for p in points] == [8] * 5
    ordered = np.sort(wrong.magnitude).reshape(5, 8)
    assert [p.errors["epicentre"].value for p in points] == pytest.approx(ordered.mean(axis=1).tolist())
    assert [p.at for p in points] == pytest.approx(np.median(ordered, axis=1).tolist())
    assert [p.errors["depth"].value for p in points] == [0.0] * 5


def test_errors_grow_with_stations_lost(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    sets = {name: predictions(made, constant(size)) for name, size in (("test", 1.0), ("lost-1", 2.0), ("lost-3", 5.0))}
    results, scores = scored(tmp_path, made, {"cnn3d": sets, "cnn2d": {"test": sets["test"], "lost-3": sets["lost-3"]}})
    found = by_lost(results, scores)
    assert found is not None
    assert found.groups == ("0", "1", "3")
    lines = {line.key: line.points for line in found.lines}
    assert [p.errors["depth"].value for p in lines["cnn3d"]] == [1.0, 2.0, 5.0]
    assert [p.count for p in lines["cnn2d"]] == [20, 0, 20]  # what a network lacks stays empty, and in its place


def test_networks_that_differ_in_one_thing_make_a_line(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    answers = {"cnn2d": 9.0, "cnn3d": 1.0, "cnn3d_cut": 8.0, "cnn3d_half": 2.0, "cnn3d_coarse": 3.0}
    networks = {name: {"test": predictions(made, constant(size))} for name, size in answers.items()}
    results, scores = scored(tmp_path, made, networks)
    shares = [[n.plan.name for n in family] for family in families(results.networks, "events_share")]
    strides = [[n.plan.name for n in family] for family in families(results.networks, "node_stride")]
    assert shares == [["cnn3d", "cnn3d_half"]]
    assert strides == [["cnn3d", "cnn3d_coarse"]]
    found = by_training(results, scores, "test", "events_share", lambda network: float(network.meta.training_events))
    assert found is not None
    assert [(p.at, p.errors["depth"].value) for p in found.lines[0].points] == [(100.0, 2.0), (200.0, 1.0)]


def rows_of(table: Table) -> dict[str, list[str]]:
    return {str(row[0]): [cell_text(cell) for cell in row[1:]] for row in table.rows}


def test_the_paper_s_rows_are_all_there_and_ours_below(tmp_path: Path) -> None:
    more = NETWORKS.replace("[evaluation]", '[networks.one]\nnetwork = "image_cnn"\ntitle = "one 2D CNN"\n[evaluation]')
    made = experiment(tmp_path, more.replace("[networks.cnn2d]", "[networks.first]", 1).replace("2D CNN", "two", 1))
    wrong = constant(1.0) * np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    answers = {"first": 1.0, "cnn3d": 2.0, "cnn3d_cut": 3.0, "cnn3d_half": 4.0, "one": 5.0}
    networks = {name: {"test": predictions(made, size * wrong)} for name, size in answers.items()}
    table = paper_table(made, *scored(tmp_path, made, networks))
    assert table is not None
    rows = rows_of(table)
    assert list(rows) == [
        "2D CNN: two (200 x 4 x 20)",
        "ConvNetQuake",
        "3D CNN: 3D CNN (200 x 4 x 20)",
        "3D CNN with cutout: 3D CNN with <cutout> (200 x 4 x 20)",
        "ours: one 2D CNN (200 x 4 x 20)",
    ]
    assert rows["2D CNN: two (200 x 4 x 20)"] == ["0.10", "0.20", "0.30", "0.40", "0.50", *[""] * 5]
    assert rows["ConvNetQuake"] == [""] * 10
    assert "blank: no recorded events of these stations are public" in table.note
    assert "Not evaluated: ConvNetQuake" in table.note


def test_observed_columns_hold_recorded_events(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    sets = {"test": predictions(made, constant(1.0)), "recorded-test": predictions(made, constant(-2.0))}
    table = paper_table(made, *scored(tmp_path, made, {"cnn3d": sets}))
    assert table is not None
    assert rows_of(table)["3D CNN: 3D CNN (200 x 4 x 20)"] == ["1.00"] * 5 + ["2.00"] * 5
    assert "blank" not in table.note


def test_quarters_show_where_answers_are_drawn_to(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    found = predictions(made, constant(0.0, 60))
    # Every answer is the region's centre: the shift is the mean place with its sign turned
    mean = found.mean.copy()
    mean[..., :2] = 0.0
    results, scores = scored(tmp_path, made, {"cnn3d": {"test": replace(found, mean=mean)}})
    table = quarter_table(results, scores, "test", made.region.frame)
    assert table is not None
    x, y = found.truth[:, 0], found.truth[:, 1]
    inside = (x >= 0) & (y < 0)
    row = next(row for row in table.rows if row[1] == "south-east")
    assert row[2] == np.count_nonzero(inside)
    assert row[4:6] == pytest.approx((-x[inside].mean(), -y[inside].mean()))
    assert sum(int(str(row[2])) for row in table.rows) == 60


def test_tables_as_csv_have_full_figures_and_bounds() -> None:
    table = Table("t", ("network", "mean", "note"), (("a, b", Interval(1.23456, 1.0, 2.0), None), ("c", 0.5, "x")))
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert rows == [
        ["network", "mean", "mean, low", "mean, high", "note"],
        ["a, b", "1.23456", "1", "2", ""],
        ["c", "0.5", "", "", "x"],
    ]
    with pytest.raises(ValueError, match="a row of 1 cells under 2 columns"):
        Table("t", ("a", "b"), (("x",),))
