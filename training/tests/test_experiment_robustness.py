"""The tests of robustness of an experiment, from its file to its report."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.computing import Compute
from dlloc_training.experiments.materials import Materials
from dlloc_training.experiments.plans import plan_of, plans
from dlloc_training.experiments.predictions import RECORDED_TEST, TEST
from dlloc_training.experiments.reading import ExperimentFile
from dlloc_training.experiments.report import write_report
from dlloc_training.experiments.robustness import conditions as c
from dlloc_training.experiments.robustness import trying
from dlloc_training.experiments.robustness.outcomes import FOLDER, Outcomes
from dlloc_training.experiments.robustness.running import run_robustness
from dlloc_training.experiments.robustness.settings import robustness_of
from dlloc_training.experiments.stages import Run, run_stages

from seiscomp_dlloc import trust
from seiscomp_dlloc.errors import SettingError

from . import reportfolder, tinyrun
from .robust import CALIBRATION, SECTION, made_up_answers, untrained, wanted
from .tinyrun import Tiny

KINDS = [c.UNPERTURBED, c.MAGNITUDE, c.NOISE, c.ANCHOR, c.DEAD, c.DEAD, c.NOISE_ALONE, c.GAIN, c.SPACING, c.SECOND,
         c.SILENT, c.OUTSIDE, c.OUTSIDE]  # fmt: skip


@pytest.fixture
def asked(tiny: Tiny, tmp_path: Path) -> ExperimentFile:
    """The small experiment with a section about robustness."""
    return tinyrun.written(tmp_path, tinyrun.TEXT + SECTION)


def test_networks_with_location_images_are_tested_where_none_is_named(tmp_path: Path) -> None:
    named = tinyrun.written(tmp_path / "a", tinyrun.TEXT + '[evaluation.robustness]\nnetworks = ["volume"]\n')
    unnamed = tinyrun.written(tmp_path / "b", tinyrun.TEXT + "[evaluation.robustness]\n")
    assert wanted(named).networks == ("volume",)
    half = '[networks.half]\nnetwork = "slim"\nevents_share = 0.5\n[evaluation.robustness]\n'
    assert wanted(tinyrun.written(tmp_path / "d", tinyrun.TEXT + half)).networks == ("slim",)
    assert wanted(unnamed).networks == ("slim",)
    assert wanted(unnamed).sets == (TEST,)
    silent = tinyrun.written(tmp_path / "c", tinyrun.TEXT)
    assert robustness_of(silent, plans(silent)) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('networks = ["fcn2"]', "no network fcn2; known are volume, slim"),
        ('sets = ["recorded-test"]', "need a section recorded"),
        ("dead = [0]", "evaluation.robustness.dead: entry 1: is 0; give at least 1"),
        ("gain_factor = 1.0", "evaluation.robustness.gain_factor"),
    ],
)
def test_what_cannot_be_tested_is_refused(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        wanted(tinyrun.written(tmp_path, f"{tinyrun.TEXT}[evaluation.robustness]\n{row}\n"))


def test_a_network_may_have_labels_of_its_own_width(tmp_path: Path, tiny: Tiny) -> None:
    text = tinyrun.TEXT.replace('[networks.slim]\nnetwork = "slim"', '[networks.slim]\nnetwork = "slim"\n'
                                'label_sigma_km = 4.0\nlabel_sigma_depth_km = 5.0')  # fmt: skip
    changed = tinyrun.written(tmp_path, text)
    materials = Materials(changed, tmp_path, tiny.materials.data, tiny.materials.events, False)
    head = materials.passport(plan_of(changed, "slim")).head
    assert (head["label_sigma_km"], head["label_sigma_depth_km"]) == (4.0, 5.0)
    usual = tiny.materials.passport(plan_of(tiny.experiment, "slim")).head
    assert (usual["label_sigma_km"], usual["label_sigma_depth_km"]) == (1.5, 3.0)
    assert "label_sigma_km" not in plan_of(tiny.experiment, "slim").resolved()
    wrong = tinyrun.written(
        tmp_path / "x", tinyrun.TEXT.replace("[networks.slim]", "label_sigma_km = 4.0\n[networks.slim]")
    )
    with pytest.raises(SettingError, match=r"networks\.volume\.label_sigma_km: volume_cnn returns no location image"):
        plans(wrong)


@pytest.fixture
def kept(asked: ExperimentFile, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcomes:
    """What is kept of the tests of a network that answers as :func:`made_up_answers` does."""
    monkeypatch.setattr(trying, "answer", made_up_answers)
    networks = {"slim": (untrained(tiny.materials, "slim"), CALIBRATION)}
    run_robustness(tiny.materials, wanted(asked), networks, tmp_path, lambda _: None)
    return Outcomes.load(tmp_path / FOLDER / "slim" / f"{TEST}.npz")


def test_every_condition_is_kept_with_the_errors_that_were_made(kept: Outcomes) -> None:
    assert kept.kinds.tolist() == KINDS
    counts = np.bincount(kept.condition, minlength=len(KINDS))
    assert counts.tolist() == [5] * 10 + [7, 4, 0]
    kinds = kept.kinds[kept.condition]
    dead = kept.at[kept.condition] * (kinds == c.DEAD) + 3 * (kinds == c.SPACING)
    events = kinds != c.SILENT
    np.testing.assert_allclose(kept.epicentre_km[events], dead[events], atol=1e-9)
    np.testing.assert_allclose(kept.depth_km[events], -2.0)
    assert np.isnan(kept.epicentre_km[~events]).all()
    np.testing.assert_allclose(kept.sigma_km, np.hypot(0.5, 0.5))
    names = [set(kept.names[kept.condition == k]) for k in range(10)]
    assert all(each == names[0] for each in names)
    assert kept.magnitude[kinds == c.MAGNITUDE].tolist() == [1.0] * 5
    assert np.median(kept.snr[kinds == c.NOISE]) == pytest.approx(4.0, rel=0.4)
    # Two of six stations less than the passport's least number
    assert set(kept.reason[kinds == c.SPACING]) == {trust.TOO_FEW_STATIONS}
    assert set(kept.reason[(kinds == c.DEAD) & (dead == 3)]) == {trust.TOO_FEW_STATIONS}
    assert set(kept.reason[kinds == c.UNPERTURBED]) == {""}
    assert not kept.answered[kinds == c.SILENT].any()
    assert set(kept.reason[kinds == c.SILENT]) == {trust.NO_EVENT}
    assert kept.answered[kinds == c.UNPERTURBED].all()
    assert not replace(kept, anchored=~kept.anchored).answered[kinds == c.UNPERTURBED].any()
    assert kept.notes.tolist() == [
        "0 of 4 events 50 km outside the region could be made: the strain tables reach no farther"
    ]


def test_the_same_is_kept_when_it_is_done_again(
    kept: Outcomes, asked: ExperimentFile, tiny: Tiny, tmp_path: Path
) -> None:
    networks = {"slim": (untrained(tiny.materials, "slim"), CALIBRATION)}
    run_robustness(tiny.materials, wanted(asked), networks, tmp_path / "again", lambda _: None)
    again = Outcomes.load(tmp_path / "again" / FOLDER / "slim" / f"{TEST}.npz")
    for name, values in vars(kept).items():
        np.testing.assert_array_equal(values, getattr(again, name), err_msg=name)


@pytest.fixture(scope="module")
def run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with two networks that were trained a little and tested."""
    folder = tmp_path_factory.mktemp("robust")
    experiment = tinyrun.written(folder, tinyrun.TEXT + SECTION)
    shutil.copytree(tiny.materials.folder, folder / "run")
    compute = Compute("cpu", progress=False)
    run_stages(Run(experiment, folder / "run", compute, workers=1, say=lambda _: None), ("train", "evaluate"))
    return folder / "run"


def rows(run: Path, kind: str) -> list[dict[str, str]]:
    with (run / "report" / "tables" / f"robustness-{kind}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_stage_evaluate_tests_location_images_and_vectors_alike(run: Path) -> None:
    kept = {name: Outcomes.load(run / FOLDER / name / f"{TEST}.npz") for name in ("slim", "volume")}
    assert np.isfinite(kept["slim"].peak).all()
    assert np.isnan(kept["volume"].peak).all()
    for name in ("names", "condition", "snr", "magnitude", "anchored"):
        np.testing.assert_array_equal(getattr(kept["slim"], name), getattr(kept["volume"], name))
    predicted = np.load(run / "predictions" / "volume" / "test.npz")
    places = {str(n): k for k, n in enumerate(predicted["names"])}
    outcomes = kept["volume"]
    first = outcomes.condition == 0
    order = [places[str(name)] for name in outcomes.names[first]]
    np.testing.assert_allclose(
        outcomes.x_km[first], predicted["mean"][order, -1, 0] - predicted["truth"][order, 0], atol=1e-5
    )


def test_the_report_s_tables_hold_what_was_kept(run: Path) -> None:
    kept = Outcomes.load(run / FOLDER / "volume" / f"{TEST}.npz")
    table = [row for row in rows(run, "dead") if row["network"].startswith("volume")]
    assert [row["condition"] for row in table] == ["unperturbed", "1", "3"]
    assert {row["events"] for row in table} == {"synthetic: test events"}
    for row, index in zip(table, (0, 4, 5), strict=True):
        mine = kept.condition == index
        assert float(row["epicentre, mean [68 %], km"]) == pytest.approx(kept.epicentre_km[mine].mean(), rel=1e-4)
        assert float(row["epicentre, median, km"]) == pytest.approx(np.median(kept.epicentre_km[mine]), rel=1e-4)
        assert float(row["depth, MAE, km"]) == pytest.approx(np.abs(kept.depth_km[mine]).mean(), rel=1e-4)
        assert float(row["answered, %"]) == pytest.approx(100 * kept.answered[mine].mean())
        unperturbed = row["same events unperturbed, epicentre, mean, km"]
        assert float(unperturbed) == pytest.approx(kept.epicentre_km[kept.condition == 0].mean(), rel=1e-4)
    silent = {row["network"].split(" ")[0]: row for row in rows(run, "silent")}
    assert silent["slim"]["windows"] == "7"
    assert silent["volume"]["peak, median"] == ""
    slim = Outcomes.load(run / FOLDER / "slim" / f"{TEST}.npz")
    peaks = slim.peak[slim.kinds[slim.condition] == c.SILENT]
    asked = 100 * np.mean(slim.reason[slim.kinds[slim.condition] == c.SILENT] == "")
    assert float(silent["slim"]["answered if asked, %"]) == pytest.approx(asked, rel=1e-4)
    assert float(silent["slim"]["peak, largest"]) == pytest.approx(peaks.max(), rel=1e-4)


def test_the_report_says_that_figures_are_synthetic_and_what_could_not_be_made(run: Path) -> None:
    text = (run / "report" / "report.md").read_text("utf-8")
    assert "## Robustness: dead stations" in text
    assert "0 of 4 events 50 km outside the region could be made" in text
    assert (run / "report" / "figures" / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert "synthetic: test events" in text.partition("## Robustness: magnitude")[2]


def test_widths_of_labels_are_compared(tmp_path: Path) -> None:
    image = "[location_image]\nspacing_km = 2.0\nspacing_depth_km = 1.0\n"
    widths = {"usual": None, "wide": 6.0}
    networks = "".join(
        f'[networks.{name}]\nnetwork = "slim"\n' + (f"label_sigma_km = {width}\n" if width else "")
        for name, width in widths.items()
    )
    made = reportfolder.experiment(tmp_path, image + networks)
    for name, error in (("usual", 1.0), ("wide", 2.0)):
        found = reportfolder.predictions(made, np.full((12, 5), error), until_s=(8.0,))
        reportfolder.write_network(tmp_path, name, name, {TEST: found}, 50)
    reportfolder.write_training(tmp_path, made)
    write_report(made, tmp_path)
    with (tmp_path / "report" / "tables" / "label-test.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["width of the labels, km"]) for row in table] == [3.0, 6.0]
    assert [float(row["depth, km"]) for row in table] == pytest.approx([1.0, 2.0])


def test_unperturbed_events_are_grouped_by_their_own_magnitude(tmp_path: Path) -> None:
    made = reportfolder.experiment(tmp_path)
    reportfolder.run_folder(tmp_path, made)
    magnitude = np.tile(np.linspace(2.0, 4.0, 30), 2)
    scaled = np.repeat([False, True], 30)
    kept = Outcomes(
        at=np.array([0.0, 1.0]),
        kinds=np.array([c.UNPERTURBED, c.MAGNITUDE]),
        groups=np.array(["", ""]),
        labels=np.array(["unperturbed", "scaled to 1"]),
        notes=np.array([], str),
        condition=scaled.astype(np.int64),
        names=np.tile([f"e{k}" for k in range(30)], 2),
        reason=np.where(scaled, trust.LOW_PEAK, ""),
        anchored=np.ones(60, bool),
        x_km=np.where(scaled, 9.0, 5.0 - magnitude),  # larger events are better located
        depth_km=np.full(60, -1.0),
        magnitude=np.where(scaled, 1.0, magnitude),
        **{name: np.zeros(60) for name in ("y_km", "sigma_km", "peak", "snr")},
    )
    kept.save(tmp_path / FOLDER / "cnn3d" / f"{RECORDED_TEST}.npz")
    write_report(made, tmp_path)
    table = rows(tmp_path, "magnitude")
    assert [row["condition"] for row in table] == [
        "unperturbed", "as it is, 2.0 to 2.7", "as it is, 2.7 to 3.3", "as it is, 3.3 to 4.0", "scaled to 1"
    ]  # fmt: skip
    assert {row["events"] for row in table} == {"recorded: test events"}
    errors = [float(row["epicentre, mean [68 %], km"]) for row in table]
    assert errors == pytest.approx([2.0, 5 - 2.31, 2.0, 5 - 3.69, 9.0], abs=0.01)
    unperturbed = [float(row["same events unperturbed, epicentre, mean, km"]) for row in table]
    assert unperturbed == pytest.approx([*errors[:4], 2.0])
    assert [row["epicentre of those answered, mean, km"] for row in table][-1] == ""
    assert [float(row["windows"]) for row in table] == [30, 10, 10, 10, 30]
