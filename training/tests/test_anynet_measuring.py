"""Models for any network on recorded events: the figures, and the command on a small folder."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from dlloc_training import __main__ as command_line
from dlloc_training.answers import Truth
from dlloc_training.anynet import asking, measuring, recordings, reporting
from dlloc_training.anynet.conditions import scaled_earth
from dlloc_training.anynet.disturbing import Arrivals
from dlloc_training.anynet.exporting import export, migration
from dlloc_training.anynet.rival import Conventional
from dlloc_training.anynet.subjects import ModelSubject
from dlloc_training.experiments.report.document import to_markdown
from obspy import Stream

from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.records import Abstention, Conditioned, Hypocenter, ModelIdentity, Pick, Solution, Trigger
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.traveltimes import hash_of, name_of
from seiscomp_dlloc.waveforms import open_source

from . import bursts

IDENTITY = ModelIdentity("made", "1.0.0", "0" * 64, "CPUExecutionProvider")

# Figures of made-up answers


def answered(errors, accepted, sigma_km=1.0, condition="clean", model="made", judges=True, times=True):
    """Rows of answers that are off by (east, north, down, late) from events on a line; None fails."""
    net, solutions = bursts.network(), []
    for k, (error, stands) in enumerate(zip(errors, accepted, strict=True)):
        trigger = Trigger("o", 1000.0 * k, f"smi:local/event/e{k}")
        if error is None:
            solutions.append(Solution(trigger, IDENTITY, abstention=Abstention("no waveforms")))
            continue
        east, north, down, late = error
        latitude, longitude = net.frame.to_geographic(3.0 * k + east, north)
        place = Hypocenter(
            float(latitude), float(longitude), 5.0 + down, np.eye(3) * sigma_km**2, 1000.0 * k + late, 0.2
        )
        solutions.append(
            Solution(trigger, IDENTITY, place, None, abstention=None if stands else Abstention("low peak"))
        )
    rows = asking.rows_of(solutions, (0.5, 1.5, 1.0, 1.0), truth(), net.frame, times)
    return asking.Answered(condition, model, judges, rows)


def truth(count=4):
    k = np.arange(float(count))
    return Truth(3.0 * k, np.zeros(count), np.full(count, 5.0), 1000.0 * k)


ERRORS = ((3.0, 4.0, -2.0, 0.1), (0.0, 1.0, 1.0, -0.2), (0.0, 0.0, 0.0, 0.6), None)
STANDS = (False, True, True, False)
QUICK = recordings.Settings(resamples=50, near_km=2.0)


@pytest.fixture(scope="module")
def result():
    return measuring.result(answered(ERRORS, STANDS), QUICK)


def test_figures_are_of_all_answers_and_of_those_it_stands_by(result):
    assert result.count == 4
    assert (result.abstained, result.failed) == ({"low peak": 1}, {"no waveforms": 1})
    every, trusted = result.answers, result.accepted
    assert every.row.epicentre.mean.value == pytest.approx(2.0, abs=1e-4)
    assert trusted.row.epicentre.mean.value == pytest.approx(0.5, abs=1e-4)
    assert every.row.epicentre.median.value == pytest.approx(1.0, abs=1e-4)
    assert every.row.depth_mae.value == pytest.approx(1.0)
    assert every.time_s.value == pytest.approx(0.2)
    assert trusted.time_s.value == pytest.approx(0.4)
    assert [item.share.value for item in every.row.horizontal] == pytest.approx([2 / 3, 2 / 3])
    assert [item.share.value for item in trusted.row.horizontal] == [1.0, 1.0]
    assert result.seconds == 1.0
    # Two of four lie near: one does not, and one has no answer at all
    assert (every.near, trusted.near) == (0.5, 0.5)


def test_each_events_answer_is_kept(result):
    first, _, _, failed = result.events
    assert [first[key] for key in ("east_km", "north_km", "depth_km", "time_s")] == pytest.approx(
        [3.0, 4.0, -2.0, 0.1], abs=1e-4
    )
    assert (first["event"], first["accepted"], first["reason"], first["seconds"]) == ("e0", False, "low peak", 0.5)
    assert first["covariance_km2"] == np.eye(3).tolist()
    assert failed["reason"] == "no waveforms"
    assert np.isnan(failed["east_km"])


def test_origin_times_that_mean_nothing_are_left_out():
    settings = recordings.Settings(resamples=50, times=False)
    found = measuring.result(answered(ERRORS, STANDS, times=False), settings)
    assert found.answers.time_s is None
    assert found.answers.row.time_mae is None
    assert {item["time_s"] for item in found.events} == {None}


def test_rows_mean_the_same_after_a_stay_in_a_file(result, tmp_path):
    kept, question = asking.Kept(tmp_path / "deep" / "er"), {"of": 1.0, "unknown": np.nan}
    assert kept.load(question) is None
    made = answered(ERRORS, STANDS)
    kept.save(question, made.rows)
    again = measuring.result(asking.Answered("clean", "made", True, kept.load(question)), QUICK)
    assert asdict(again)["answers"] == asdict(result)["answers"]
    assert (again.abstained, again.failed) == (result.abstained, result.failed)
    assert kept.load({"of": 2.0, "unknown": np.nan}) is None
    assert asking.Kept(tmp_path / "deep" / "er", again=True).load(question) is None
    (file,) = (tmp_path / "deep" / "er").iterdir()
    file.write_text("{")
    with pytest.raises(SettingError, match="remove it"):
        kept.load(question)


def test_the_tables_hold_the_figures(result):
    other = measuring.result(answered((None,) * 4, (False,) * 4, condition="trace:1", model="mute"), QUICK)
    plain = measuring.result(answered(ERRORS, (True,) * 4, model="plain", judges=False), QUICK)
    found = measuring.Measured("Title", {"date": "today"}, (result, plain, other), (), near_km=2.0)
    text = to_markdown(reporting.document(found))
    assert "## clean" in text
    assert "## trace:1" in text
    assert "| within 2 km |" in text
    every, trusted = (line for line in text.splitlines() if line.startswith("| made, "))
    assert every.startswith("| made, all answers | 4 | 2 | 1 | 1 | 2.00 [")
    assert every.endswith("| 0.20 | 67 % / 67 % | 1.00 |")
    assert trusted.startswith("| made, accepted answers | 4 | 2 | 1 | 1 | 0.50 [")
    assert trusted.endswith("| 0.40 | 100 % / 100 % | - |")
    assert "made abstained: 1 low peak." in text
    assert "| mute, all answers | 4 | 0 | 0 | 4 | - | - | - | 0 % | - | - | - | 1.00 |" in text
    assert "mute failed: 4 no waveforms." in text
    (line,) = (line for line in text.splitlines() if line.startswith("| plain |"))
    assert line.startswith("| plain | 4 | - | - | 1 | 2.00 [")
    assert "| 50 % |" in line


# On a folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("events")
    bursts.write_folder(path, 6, 4)
    (path / "earth.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,6.0,3.5\n")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "made.onnx"
    export(path, *migration("1.0.0", {}, {}))
    return path


@pytest.fixture(scope="module")
def measured(folder, model, tmp_path_factory):
    """The command's two files: the same model twice, four events, two conditions."""
    out = tmp_path_factory.mktemp("out") / "deep" / "er"
    twin = model.with_name("twin.onnx")
    shutil.copy(model, twin)
    status = command_line.main(
        ["anynet", "measure", "--data", str(folder), "--model", str(model), str(twin), "--earth-model",
         str(folder / "earth.csv"), "--conditions", "clean", "stations:6+trace:3", "--trigger-error", "0", "-o",
         str(out)]
    )  # fmt: skip
    assert status == 0
    return json.loads((out / "measured.json").read_text()), (out / "measured.md").read_text()


def of(measured, condition):
    return [item for item in measured[0]["results"] if item["condition"] == condition]


def test_the_command_finds_the_events(measured):
    first, _ = of(measured, "clean")
    assert [item["event"] for item in first["events"]] == ["e6", "e7", "e8", "e9"]
    errors = [np.hypot(item["east_km"], item["north_km"]) for item in first["events"]]
    assert max(errors) < 4.0
    assert first["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(np.mean(errors))
    assert max(abs(item["time_s"]) for item in first["events"]) < 1.0
    assert {item["stations"] for item in first["events"]} == {bursts.STATIONS}


def test_two_models_get_the_same_draws(measured):
    one, two = of(measured, "stations:6+trace:3")
    assert (one["name"], two["name"]) == ("migration 1.0.0 (made)", "migration 1.0.0 (twin)")
    for first, second in zip(one["events"], two["events"], strict=True):
        assert first | {"seconds": 0} == second | {"seconds": 0}
        assert first["stations"] == 6
    clean, _ = of(measured, "clean")
    assert all(a["east_km"] != b["east_km"] for a, b in zip(one["events"], clean["events"], strict=True))


def test_the_baselines_stand_beside_them(measured):
    mean, nearest = of(measured, "")
    where = bursts.places(10)
    train, test = where[:6, :2], where[6:, :2]
    away = np.hypot(*(test - train.mean(axis=0)).T)
    assert (mean["name"], nearest["name"]) == ("training mean", "nearest training event")
    assert mean["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(away.mean(), rel=1e-3)
    closest = np.min(np.hypot(*(test[:, None] - train).transpose(2, 0, 1)), axis=1)
    assert nearest["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(closest.mean(), rel=1e-3)
    assert measured[1].count("| training mean | 4 | - | - | - |") == 2


def test_an_undisturbed_event_is_located_as_the_plugin_locates_it(folder, model, measured):
    settings = recordings.Settings()
    (trigger, *_), earth = recordings.open_events(folder, settings).chosen, read_earth_model(folder / "earth.csv")
    opened, inventory = load(model, threads=1), read_inventory(folder / "stations.xml")
    stream = (
        open_source(str(folder / "waveforms")).get_waveforms(["XX.*.*.*"], *required_window(trigger, opened.passport))
    ).stream
    (located,) = Locator(opened, inventory, Options(), earth).run([Job(trigger, stream)])
    x, y = bursts.network().frame.to_local(located.solution.hypocenter.latitude, located.solution.hypocenter.longitude)
    row, place = of(measured, "clean")[0]["events"][0], measured[0]["events"][0]
    assert (row["east_km"], row["north_km"]) == (float(x) - place["x_km"], float(y) - place["y_km"])
    assert row["peak"] == located.solution.peak


def test_every_second_event_and_events_without_a_split(folder, tmp_path):
    assert len(recordings.open_events(folder, recordings.Settings(every=2)).chosen) == 2
    training = recordings.open_events(folder, recordings.Settings(split="train"))
    assert (len(training.chosen), training.training) == (6, ())
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "split.csv").unlink()
    every = recordings.open_events(bare, recordings.Settings())
    assert (len(every.chosen), every.training) == (10, ())
    assert measuring.baselines(every, QUICK) == ()


def test_folders_that_cannot_be_measured_on_are_refused(folder, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "split.csv").write_text("event,split\ne0,train\n")
    with pytest.raises(SettingError, match="no test event"):
        recordings.open_events(bare, recordings.Settings())
    text = (folder / "catalog.xml").read_text()
    depth = text[text.index("<depth>") : text.index("</depth>") + len("</depth>")]
    (bare / "catalog.xml").write_text(text.replace(depth, "", 1))
    with pytest.raises(SettingError, match="e0 has no hypocentre"):
        recordings.open_events(bare, recordings.Settings())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--conditions", "louder"], "condition louder"),
        (["--every", "0"], "--every"),
        (["--signal", "-1"], "--signal"),
        (["--trigger-error", "-1"], "--trigger-error"),
        (["--within", "0"], "--within"),
        (["--conditions", "velocity:+10"], "--earth-model with a file of layers"),
        (["--earth-model", "mars"], "earth model mars"),
        (["--corrections", "nothing.json"], "nothing.json"),
        (["--model", "nothing.onnx"], "nothing.onnx"),
        (["--model", "oklahoma-fcn-slim"], "belongs to one network"),
        (["--data", "nowhere"], "nowhere"),
        (["--output", "FILE"], "cannot be made"),
    ],
)
def test_wrong_arguments_are_named(folder, model, tmp_path, capsys, given, said):
    (tmp_path / "file").write_text("")
    usual = ["--data", str(folder), "--model", str(model), "-o", str(tmp_path / "out")]
    given = [str(tmp_path / "file") if item == "FILE" else item for item in given]
    assert command_line.main(["anynet", "measure", *usual, *given]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# What locators are told, what is kept, who else is asked


def test_the_trigger_is_off_by_an_error_of_its_own_and_has_no_picks(folder):
    events = recordings.open_events(folder, recordings.Settings(split="train")).chosen
    picked = [replace(e, picks=(Pick("p", e.time + 3.0, "XX", "B1", phase="P"),)) for e in events]

    def late(**given):
        return [recordings.triggered(e, recordings.Settings(**given)).time - e.time for e in events]

    assert late(trigger_error_s=0.0) == [0.0] * 6
    assert late(trigger_error_s=2.0) == pytest.approx([2.0 * x for x in late(trigger_error_s=1.0)], abs=1e-6)
    assert late(seed=4) != late()
    assert len(set(late())) == 6
    many = [
        recordings.triggered(replace(events[0], event_id=f"a/e{k}"), QUICK).time - events[0].time for k in range(400)
    ]
    assert np.std(many) == pytest.approx(1.0, abs=0.1)
    assert abs(np.mean(many)) < 0.15
    assert [recordings.triggered(e, recordings.Settings()).picks for e in picked] == [()] * 6
    assert recordings.triggered(picked[0], recordings.Settings(picks=True)).picks == picked[0].picks


def measure_again(folder, model, out, *more):
    status = command_line.main(
        ["anynet", "measure", "--data", str(folder), "--model", str(model), "--rival", "conventional",
         "--earth-model", str(folder / "earth.csv"), "--every", "2", "-o", str(out), *more]
    )  # fmt: skip
    assert status == 0
    return json.loads((out / "measured.json").read_text()), (out / "measured.md").read_text()


@pytest.fixture(scope="module")
def rivalled(folder, model, tmp_path_factory):
    """The command with the rival in the right and in a wrong earth, and its folder."""
    out = tmp_path_factory.mktemp("rivalled")
    return *measure_again(folder, model, out, "--conditions", "clean", "velocity:-20"), out


def test_the_rival_locates_and_judges_nothing(rivalled):
    _, rival = of(rivalled, "clean")
    assert rival["name"] == "conventional"
    assert rival["accepted"] is None
    assert rival["answers"]["row"]["epicentre"]["mean"]["value"] < 4.0
    assert all(item["stations"] >= 6 and abs(item["time_s"]) < 1.5 for item in rival["events"])
    assert rival["answers"]["near"] == 1.0
    assert "| conventional | 2 | - | - | 0 |" in rivalled[1]
    assert "in the same earth" in rivalled[1]


def test_the_rival_fails_where_there_is_nothing_to_pick(folder):
    events = recordings.open_events(folder, recordings.Settings())
    subject = Conventional(
        load(resolve("migration"), threads=1).passport,
        events.inventory,
        events.network,
        read_earth_model(folder / "earth.csv"),
    )
    (trigger, *_) = events.chosen
    job = recordings.fetched(events, trigger, *subject.window(trigger))
    assert subject.locate(job).hypocenter is not None
    rng = np.random.default_rng(0)
    for trace in job.stream:
        trace.data = rng.normal(size=trace.stats.npts)
    lost = subject.locate(job)
    assert (lost.hypocenter, lost.abstention.reason) == (None, "too few picks")
    assert subject.locate(replace(job, stream=Stream())).abstention.reason
    assert subject.locate(Job(trigger, Stream(), EventError("cannot be made"))).abstention.detail == "cannot be made"


def test_a_slower_earth_moves_every_locators_answers(rivalled):
    for right, wrong in zip(of(rivalled, "clean"), of(rivalled, "velocity:-20"), strict=True):
        assert right["name"] == wrong["name"]
        for one, two in zip(right["events"], wrong["events"], strict=True):
            assert np.hypot(one["east_km"] - two["east_km"], one["north_km"] - two["north_km"]) > 0.3
        # Waves that take longer set out earlier
        late = [[event["time_s"] for event in each["events"]] for each in (right, wrong)]
        assert np.mean(late[1]) < np.mean(late[0]) - 0.5


def test_corrections_stay_in_a_wrong_earth_and_belong_to_the_right_one(folder, model):
    events, opened = recordings.open_events(folder, QUICK), load(model, threads=1)
    earth = read_earth_model(folder / "earth.csv")
    delays = tuple(StationDelay(station.id, PhaseDelay(0.5), PhaseDelay(0.5)) for station in events.network.stations)
    corrections = StationCorrections(name_of(earth), hash_of(earth), delays)
    subject = ModelSubject("made", opened, events.inventory, earth, corrections)
    assert subject.in_earth(0.0) is subject
    job = recordings.fetched(events, events.chosen[0], *subject.window(events.chosen[0]))
    slow, bare = (each.in_earth(-10.0).locate(job) for each in (subject, replace(subject, corrections=None)))
    # What all delays have in common is taken from the origin time
    assert slow.hypocenter.time - bare.hypocenter.time == pytest.approx(-0.5, abs=0.1)
    with pytest.raises(SettingError, match="corrections"):
        replace(subject, earth=scaled_earth(earth, 5.0)).in_earth(-10.0)


def test_what_was_asked_is_not_asked_again(folder, model, rivalled, monkeypatch):
    out = rivalled[2]
    before = {path.name: path.read_bytes() for path in (out / "answers").iterdir()}
    assert len(before) == 4
    asked = []
    locate = ModelSubject.locate
    monkeypatch.setattr(ModelSubject, "locate", lambda self, job: asked.append(job) or locate(self, job))
    found, _ = measure_again(folder, model, out, "--conditions", "velocity:-20", "clean", "removed:2")
    assert len(asked) == 2  # the new condition's two events alone
    for condition in ("clean", "velocity:-20"):
        assert of((found,), condition) == of(rivalled, condition)
    assert {item["stations"] for item in of((found,), "removed:2")[0]["events"]} == {bursts.STATIONS - 2}
    assert all((out / "answers" / name).read_bytes() == data for name, data in before.items())
    measure_again(folder, model, out, "--conditions", "clean", "--trigger-error", "0.5")
    assert len(asked) == 4
    measure_again(folder, model, out, "--conditions", "clean", "--again")
    assert len(asked) == 6


def test_the_header_says_how_loud_the_events_are_and_what_the_trigger_is(rivalled):
    found, text, _ = rivalled
    around = found["surroundings"]
    assert (around["events"], around["stations"], around["band_hz"]) == (2, bursts.STATIONS, [2.0, 8.0])
    # Bursts of 20 times the noise that die within two seconds; the horizontals' S is not in it
    assert 8.0 < around["snr"] < 25.0
    assert f"- signal-to-noise ratio of P: {around['snr']:.1f} on the vertical at 2-8 Hz" in text
    assert "- trigger: the catalogue's time with a normal error of 1 s, the same for all; picks: none" in text


def test_the_loudness_is_a_ratio_of_levels():
    stations = bursts.network().stations[:3]
    rng, rate, count = np.random.default_rng(2), 20.0, 600
    data, valid = rng.normal(size=(3, 3, count)), np.ones((3, 3, count), bool)
    data[0, 0, 240:] *= 7.0
    data[0, 1, 260:] *= 3.0
    valid[0, 2] = False
    p = dict(zip([s.id for s in stations], (1012.0, 1013.0, 1014.0), strict=True))
    arrivals = Arrivals(p, {name: time + 8.0 for name, time in p.items()})
    found = recordings.loudness(Conditioned(data.astype(np.float32), valid, rate, 1000.0), stations, arrivals)
    assert found[:2] == pytest.approx([7.0, 3.0], rel=0.35)
    assert np.isnan(found[2])
    late = recordings.loudness(Conditioned(data.astype(np.float32), valid, rate, 1011.5), stations, arrivals)
    assert np.isnan(late).all()
