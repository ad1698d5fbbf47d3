import json
from dataclasses import replace

import numpy as np
import pytest
from dlloc_training import __main__ as command_line
from dlloc_training import answers, evaluate, scoreboard
from dlloc_training.commands.recorded import evaluate as command
from dlloc_training.release import headline

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.passport import from_dict
from seiscomp_dlloc.records import ModelIdentity

from . import bursts

QUICK = evaluate.Settings(resamples=100, stations_removed=2, draws=2, smaller_by=(0.5,))


class LoudestStations:
    """A model of a few lines: a Gaussian image about the mean place of the stations, weighted by their energy."""

    input_names = ("waveforms",)

    def __init__(self, net):
        pre = vars(bursts.SETTINGS) | {"band_hz": list(bursts.SETTINGS.band_hz)}
        self.passport = from_dict(
            {
                "format_version": 1,
                "name": "loudest",
                "version": "0.1.0",
                "description": "for tests",
                "content_sha256": "0" * 64,
                "network": {
                    "kind": "fixed",
                    "tolerance_km": 1.0,
                    "stations": [
                        {
                            "network": s.network,
                            "code": s.code,
                            "latitude": s.latitude,
                            "longitude": s.longitude,
                            "elevation_m": 0.0,
                        }
                        for s in net.stations
                    ],
                },
                "preprocessing": pre,
                "representation": {"kind": "stations", "missing": "zero", "inputs": ["waveforms"]},
                "head": {
                    "kind": "volume",
                    "measure": "density",
                    "label_sigma_km": 5.0,
                    "grid": {
                        "latitude": net.frame.latitude,
                        "longitude": net.frame.longitude,
                        "x0_km": -50.0,
                        "y0_km": -50.0,
                        "z0_km": 1.0,
                        "dx_km": 4.0,
                        "dy_km": 4.0,
                        "dz_km": 3.0,
                        "nx": 26,
                        "ny": 26,
                        "nz": 3,
                    },
                },
                "region": {"latitude": [35.0, 37.0], "longitude": [-98.0, -96.0], "depth_km": [0.0, 10.0]},
                "min_stations": 3,
                "earth_model": bursts.MODEL.earth_model(),
                "calibration": {"peak_threshold": 0.05, "covariance_scale": 1.0},
                "provenance": {"data": "none", "date": "2026-01-01", "code_version": "0.1.0", "seed": 1},
            }
        )
        self.positions = net.positions_km
        self.identity = ModelIdentity("loudest", "0.1.0", "0" * 64, "CPUExecutionProvider")

    def run(self, inputs):
        grid, images = self.passport.grid, []
        for waveforms in inputs["waveforms"]:
            energy = np.sqrt(np.sum(np.square(waveforms, dtype=float), axis=(0, 2)))
            x, y = (energy / energy.sum()) @ self.positions
            image = np.exp(
                -((grid.x_km - x) ** 2 + (grid.y_km[:, None] - y) ** 2) / 50.0
                - (grid.z_km[:, None, None] - 4.0) ** 2 / 8.0
            )
            images.append(image / image.sum())
        return {"image": np.array(images, np.float32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("events")
    bursts.write_folder(path, 14, 4)
    return path


@pytest.fixture(scope="module")
def model():
    return LoudestStations(bursts.network())


@pytest.fixture(scope="module")
def tests_of(folder, model):
    return evaluate.open_test_set(folder, model)


@pytest.fixture(scope="module")
def report(folder, model):
    return evaluate.evaluate(model, folder, QUICK, "2026-01-02", ("a remark of ours",))


def row(report, part):
    (found,) = [r for r in report.rows if part in r.name]
    return found


def test_every_row_is_there_and_the_order_is_the_tables(report):
    assert [r.name for r in report.rows] == [
        "training mean",
        "nearest training event",
        "STA/LTA migration",
        "conventional chain, calibrated",
        "conventional chain, iasp91",
        "loudest 0.1.0",
        "loudest 0.1.0, accepted only",
        "loudest 0.1.0, 2 stations removed",
        "loudest 0.1.0, events 0.5 ML smaller",
    ]
    assert all(r.epicentre.count == 4 for r in report.rows)
    assert row(report, "migration").epicentre.mean.value < 1.5
    assert row(report, "training mean").time_mae is None


def test_the_models_figures_are_those_of_its_solutions(report, model, tests_of):
    solutions = answers.ask(model, tests_of.inventory, tests_of.jobs)
    frame = model.passport.frame
    errors = []
    for solution, trigger in zip(solutions, tests_of.triggers, strict=True):
        x, y = frame.to_local(
            [solution.hypocenter.latitude, trigger.latitude], [solution.hypocenter.longitude, trigger.longitude]
        )
        errors.append(np.hypot(x[0] - x[1], y[0] - y[1]))
    plain = next(r for r in report.rows if r.name == "loudest 0.1.0")
    assert plain.epicentre.mean.value == pytest.approx(np.mean(errors))
    assert plain.epicentre.median.value == pytest.approx(np.median(errors))
    assert plain.accepted == np.mean([s.accepted for s in solutions])
    against = next(c for c in report.comparisons if c.baseline == "STA/LTA migration")
    assert against.difference_km.value == pytest.approx(np.mean(errors) - row(report, "migration").epicentre.mean.value)


def test_the_trigger_says_when_and_not_where(report):
    assert report.triggers.moved_identical == report.triggers.events == 4
    assert report.triggers.same_anchor == {-5.0: 1.0, 5.0: 1.0}
    assert [f.shift_s for f in report.forced] == [-10.0, -5.0, 5.0, 10.0]
    assert all(f.answered == 4 for f in report.forced)


def test_a_locator_that_uses_the_place_is_caught(model, tests_of):
    """The test of moved epicentres fails where a solution depends on the trigger's latitude."""
    clean = answers.ask(model, tests_of.inventory, tests_of.jobs)

    def cheating(jobs):
        return tuple(
            replace(s, hypocenter=replace(s.hypocenter, latitude=s.hypocenter.latitude + 1e-12 * s.trigger.latitude))
            for s in answers.ask(model, tests_of.inventory, jobs)
        )

    test = answers.trigger_test(cheating, tests_of.fetch, tests_of.jobs, clean, shifts_s=())
    assert test.moved_identical == 0


def test_moved_triggers_stand_where_they_should():
    trigger = answers.moved(bursts_trigger(), 50.0, 90.0)
    north = answers.moved(bursts_trigger(), 50.0, 0.0)
    assert trigger.longitude - bursts_trigger().longitude == pytest.approx(0.555, abs=0.005)
    assert north.latitude - bursts_trigger().latitude == pytest.approx(0.4506, abs=0.001)


def bursts_trigger():
    from seiscomp_dlloc.records import Trigger

    return Trigger("o", 0.0, "e", 36.0, -97.0, 5.0)


def test_removed_stations_are_gone_and_were_in_use(model, tests_of):
    clean = answers.ask(model, tests_of.inventory, tests_of.jobs)
    reduced = evaluate.remove_stations(tests_of.jobs, clean, 3, np.random.default_rng(1))
    again = evaluate.remove_stations(tests_of.jobs, clean, 3, np.random.default_rng(1))
    for job, same, full, solution in zip(reduced, again, tests_of.jobs, clean, strict=True):
        left, all_of = ({t.stats.station for t in j.stream} for j in (job, full))
        assert len(all_of - left) == 3
        assert {f"XX.{code}" for code in all_of - left} <= set(solution.used_stations)
        assert left == {t.stats.station for t in same.stream}


def test_smaller_events_keep_their_noise(tests_of):
    job = tests_of.jobs[0]
    before = job.trigger.time
    small = answers.smaller(job, 0.1, before, np.random.default_rng(0))
    assert len(small.stream) == len(job.stream)
    ratios = []
    for one, other in zip(job.stream, small.stream, strict=True):
        stop = int((before - one.stats.starttime.timestamp) * bursts.RATE)
        ratios.append(np.std(other.data[:stop]) / np.std(one.data[:stop].astype(float)))
        assert np.abs(other.data).max() < 0.5 * np.abs(one.data).max()
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


def test_stated_regions_are_judged_in_their_frame():
    """An error to the east lies within an ellipse that is wide to the east, not in one that is wide to the north."""
    east, zero = np.full((5, 1), 2.0), np.zeros((5, 1))
    for wide, share in ((0, 1.0), (1, 0.0)):
        covariance = np.tile(np.diag([0.01, 0.01, 1.0]), (5, 1, 1, 1))
        covariance[..., wide, wide] = 9.0
        said = answers.Answers(east, zero, zero, zero, covariance, np.ones((5, 1), bool), ())
        found = evaluate.model_row("x", said, QUICK, "")
        assert [c.share.value for c in found.horizontal] == [share, share]
        assert [c.share.value for c in found.vertical] == [1.0, 1.0]
        assert found.epicentre.mean.value == pytest.approx(2.0)


def test_forced_anchors_are_compared_over_common_events():
    nan = np.nan
    zero = np.zeros((3, 1))
    covariance, accepted = np.full((3, 1, 3, 3), nan), np.ones((3, 1), bool)
    clean = answers.Answers(np.array([[1.0], [2.0], [nan]]), zero, zero, zero, covariance, accepted, ())
    pushed = answers.Answers(np.array([[4.0], [nan], [9.0]]), zero + 4.0, zero, zero, covariance, accepted, ())
    result = answers.forced(5.0, clean, pushed)
    assert result.answered == 1
    assert result.mean_km == pytest.approx(np.hypot(4, 4))
    assert result.change_km == pytest.approx(np.hypot(4, 4) - 1.0)
    assert result.moved_mean_km == pytest.approx(5.0)


def test_what_is_abstained_from_is_left_out_of_its_row():
    keep = np.array([[True], [False]])
    values = np.array([[1.0], [100.0]])
    said = answers.Answers(values, values, values, values, np.tile(np.eye(3), (2, 1, 1, 1)), keep, ("low peak",))
    left = evaluate.model_row("x", evaluate.accepted_only(said), QUICK, "")
    assert left.epicentre.answered == 0.5
    assert left.epicentre.mean.value == pytest.approx(np.sqrt(2.0))


def test_a_passport_keeps_the_reports_headline(report):
    kept = headline(json.loads(scoreboard.to_json(report)))
    assert "test events" in kept["data"]
    assert kept["rows"]["training mean"]["mean_km"] > 0
    assert all(set(row) <= {"mean_km", "median_km", "p90_km", "depth_mae_km"} for row in kept["rows"].values())


def test_the_report_is_markdown_and_json(report):
    text = scoreboard.to_markdown(report)
    for part in (
        "| training mean |",
        "SHA-256 " + "0" * 64,
        "2026-01-02",
        "4 of 4 answers bit-equal",
        "a remark of ours",
    ):
        assert part in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in table[:10]}) == 1
    document = json.loads(scoreboard.to_json(report))
    assert document["rows"][5]["name"] == "loudest 0.1.0"
    assert document["rows"][0]["time_mae"] is None
    assert document["triggers"]["same_anchor"] == {"-5.0": 1.0, "5.0": 1.0}


def test_the_command_finds_its_arguments_and_says_what_is_wrong(tmp_path, capsys):
    asked = ["recorded", "evaluate", "--data", str(tmp_path), "--model", "nothing.onnx"]
    args = command_line.build_parser().parse_args(asked)
    assert args.run is command.run
    assert command_line.main(asked) == 2
    assert "nothing.onnx" in capsys.readouterr().err
    assert command_line.main(["recorded", "evaluate", "--data", "x", "--model", "y", "--draws", "0"]) == 2
    assert command_line.main(["recorded", "evaluate", "--data", "x", "--model", "y", "-o", "z.json"]) == 2
    assert "Markdown" in capsys.readouterr().err


def test_a_folder_without_a_split_is_refused(tmp_path, model):
    with pytest.raises(SettingError, match="split"):
        evaluate.open_test_set(tmp_path, model)
