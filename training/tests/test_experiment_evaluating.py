"""What networks answer on every set, what their sigmas rest on, and that the exported models say the same."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import obspy
import pytest
from dlloc_training.experiments import evaluating, exporting, stages
from dlloc_training.experiments.bank import exact_input
from dlloc_training.experiments.computing import Compute
from dlloc_training.experiments.drawing import HELD_OUT, OFF_NODE, TEST, TRAIN
from dlloc_training.experiments.evaluating import answer, calibrate_sigmas, images_of, predictions, sets_of, until_s
from dlloc_training.experiments.exporting import calibrated
from dlloc_training.experiments.materials import ExactSet, Materials
from dlloc_training.experiments.meta import Meta
from dlloc_training.experiments.plans import plans
from dlloc_training.experiments.predictions import Predictions
from dlloc_training.experiments.records import Record
from dlloc_training.experiments.stages import Run, run_stages
from dlloc_training.experiments.training import Fitted, load_fitted, network_folder
from dlloc_training.experiments.windows import signal_to_noise
from dlloc_training.networks.sigma_calibration import coverage
from obspy.core.event import Catalog, Event, Origin, ResourceIdentifier
from scipy.stats import chi2

from seiscomp_dlloc.locate import Locator
from seiscomp_dlloc.model import Model, load
from seiscomp_dlloc.records import Solution, Trigger

from . import tinyrun
from .tinyrun import STARTTIME, Tiny

NETWORKS = ("volume", "slim", "beside")
NOISE = 40


class Done:
    """The experiment after all its stages."""

    def __init__(self, folder: Path):
        self.tiny: Tiny = tinyrun.made(folder, tinyrun.WITH_BESIDE)
        self.folder = folder / "run"
        self.said: list[str] = []
        run = Run(self.tiny.experiment, self.folder, Compute("cpu", progress=False), workers=1, version="1.2.3",
                  say=self.said.append)  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            # Figures take longer than all the rest, and have tests of their own
            patch.setattr(stages, "write_report", lambda _, folder: folder / "report.md")
            patch.setattr(exporting, "NOISE_WINDOWS", NOISE)
            run_stages(run, ("train", "evaluate", "export"))
        self.materials: Materials = self.tiny.materials

    def fitted(self, name: str) -> Fitted:
        """A trained network with its temperatures."""
        (plan,) = (plan for plan in plans(self.tiny.experiment) if plan.name == name)
        found = load_fitted(self.materials, plan, network_folder(self.folder, name))
        assert found is not None
        calibrate_sigmas(self.materials, found)
        return found

    def model(self, name: str) -> Model:
        return load(self.folder / "models" / f"tiny-{name}-1.2.3.onnx", provider="cpu", threads=1)

    def predicted(self, name: str, which: str) -> Predictions:
        return Predictions.load(self.folder / "predictions" / name / f"{which}.npz")


@pytest.fixture(autouse=True)
def few_noise_windows(monkeypatch):
    monkeypatch.setattr(exporting, "NOISE_WINDOWS", NOISE)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Done:
    return Done(tmp_path_factory.mktemp("done"))


def exact_of(materials: Materials, fitted: Fitted, records: list[Record]) -> ExactSet:
    windows = materials.windows(fitted.plan.inputs)
    rows = [exact_input(windows, record, fitted.inputs) for record in records]
    return ExactSet(
        {name: np.stack([arrays[k] for arrays, _, _ in rows]) for k, name in enumerate(fitted.inputs)},
        np.array([targets for _, targets, _ in rows]),
        tuple(records),
        np.array([signal_to_noise(windows.conditioned(r), r.origin_s + windows.p_travel_s(r)) for r in records]),
        np.zeros(len(records), np.int64),
        np.array([answered for _, _, answered in rows]),
    )


def located(model: Model, record: Record) -> Solution:
    stations = model.passport.stations
    locator = Locator(model, tinyrun.inventory_of(stations))
    trigger = Trigger(record.name, STARTTIME + record.origin_s)
    return locator.locate(trigger, tinyrun.stream_of(record, stations))


# The same answer as the plugin's


@pytest.mark.parametrize("name", NETWORKS)
def test_the_plugin_gives_the_exported_models_answers_that_were_evaluated(done, name):
    fitted, model = done.fitted(name), done.model(name)
    held = done.materials.exact(fitted.plan.inputs, "test").records
    records = [tinyrun.in_counts(record) for record in held[:4]]
    records[1] = records[1].without(np.arange(6) == 3)
    exact = exact_of(done.materials, fitted, records)
    assert exact.answered.all()
    settings = calibrated(done.materials, fitted)
    got = predictions(done.materials, fitted, exact, settings)
    for row, record in enumerate(records):
        solution = located(model, record)
        assert solution.hypocenter is not None
        mean = dict(zip(got.parameters, got.mean[row, -1], strict=True))
        sigma = dict(zip(got.parameters, got.sigma[row, -1], strict=True))
        x, y = model.passport.frame.to_local(solution.hypocenter.latitude, solution.hypocenter.longitude)
        place = [float(x), float(y), solution.hypocenter.depth_km]
        assert place == pytest.approx([mean[key] for key in ("x", "y", "depth")], abs=0.005), "within metres"
        stated = np.sqrt(np.diag(solution.hypocenter.covariance_km2))
        assert stated == pytest.approx([sigma[key] for key in ("x", "y", "depth")], rel=1e-3)
        if name == "slim":
            continue
        start = record.origin_s - exact.targets[row, 3]
        assert solution.hypocenter.time - STARTTIME == pytest.approx(start + mean["time"], abs=1e-3)
        assert solution.hypocenter.time_sigma_s == pytest.approx(sigma["time"], rel=1e-3)
        assert solution.magnitude.value == pytest.approx(mean["magnitude"], abs=1e-3)
        assert solution.magnitude.sigma == pytest.approx(sigma["magnitude"], rel=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_file_says_what_it_is(done, name):
    model = done.model(name)
    passport = model.passport
    assert (passport.name, passport.version) == (f"tiny-{name}", "1.2.3")
    assert passport.stations == done.tiny.experiment.stations
    assert passport.raw["description"] == f"{name}, experiment tiny, trained on theoretical seismograms"
    assert passport.raw["provenance"]["seed"] == 5
    assert passport.raw["provenance"]["architecture"] == {"volume": "volume_cnn"}.get(name, "slim")
    assert passport.raw["provenance"]["parameters"] == done.fitted(name).meta["parameters"]
    sets = passport.raw["skill"]["sets"]
    assert sets["test"]["count"] == len(done.predicted(name, "test"))
    assert "epicentre_km" in sets["test"]
    assert model.check().passed


def test_a_models_calibration_is_that_of_the_evaluation(done):
    slim = done.fitted("slim")
    assert done.model("slim").passport.calibration == calibrated(done.materials, slim)
    vector = done.model("volume").passport.calibration
    assert (vector.peak_threshold, vector.covariance_scale) == (0.0, 1.0)


# Calibration


@pytest.mark.parametrize("name", NETWORKS)
def test_calibrations_rest_on_held_out_events_alone(done, name, monkeypatch):
    wanted = calibrated(done.materials, done.fitted(name))
    fitted = done.fitted(name)
    other = Materials(done.tiny.experiment, done.folder, done.materials.data, done.materials.events, False)
    asked = set()
    for method in ("exact", "records"):
        whole = getattr(Materials, method)

        def asking(self, inputs, which, whole=whole):
            asked.add(which)
            return whole(self, inputs, which)

        monkeypatch.setattr(Materials, method, asking)
    calibrate_sigmas(other, fitted)
    assert calibrated(other, fitted) == wanted
    assert asked <= {"held-out", "theoretical"}, "noise windows come from training events, without their waves"
    assert "held-out" in asked


@pytest.mark.parametrize(("name", "regions"), [("volume", ([0, 1], [2], [3], [4])), ("beside", ([3], [4]))])
def test_temperatures_make_the_stated_regions_hold(done, name, regions):
    fitted = done.fitted(name)
    held = done.materials.exact(fitted.plan.inputs, "held-out")
    got = predictions(done.materials, fitted, held, None)
    errors, sigma = got.errors[:, -1], got.sigma[:, -1]
    known = held.answered
    for columns in regions:
        squared = ((errors[known] / sigma[known])[:, columns] ** 2).sum(1)
        excess = [np.log(np.quantile(squared, p) / chi2.ppf(p, len(columns))) for p in (0.68, 0.90)]
        assert np.mean(excess) == pytest.approx(0.0, abs=0.02), "one region a little wide, the other as much too narrow"
        shares = [coverage(errors[known], sigma[known], columns, p) for p in (0.68, 0.90)]
        assert 0.2 < shares[0] < shares[1]
    fitted.network.temperature.fill_(0.05)
    narrow = predictions(done.materials, fitted, held, None)
    assert coverage(narrow.errors[known, -1], narrow.sigma[known, -1], regions[0], 0.90) < 0.3
    before = (narrow.sigma / got.sigma)[..., regions[0][0] :]
    unscaled = (narrow.sigma / got.sigma)[..., : regions[0][0]]
    calibrate_sigmas(done.materials, fitted)
    again = predictions(done.materials, fitted, held, None)
    np.testing.assert_allclose(again.sigma, got.sigma, rtol=1e-5, err_msg="calibrating again begins anew")
    assert np.all(before < 1.0)
    assert np.all(unscaled == 1.0), "what the image gives has no temperature"


def test_magnitudes_that_are_hardly_ever_known_are_not_calibrated(done):
    fitted = done.fitted("volume")
    wanted = fitted.network.temperature.clone()
    exact = done.materials.exact("images", "held-out")
    targets = exact.targets.copy()
    targets[4:, 4] = np.nan
    key = ("images", "held-out")
    whole = done.materials._exact[key]
    done.materials._exact[key] = replace(exact, targets=targets)
    try:
        calibrate_sigmas(done.materials, fitted)
    finally:
        done.materials._exact[key] = whole
    names = fitted.network.outputs.names
    assert fitted.network.temperature[names.index("magnitude")] == 1.0
    others = [k for k, name in enumerate(names) if name != "magnitude"]
    np.testing.assert_array_equal(fitted.network.temperature[others], wanted[others])


# The sets


def test_every_set_holds_its_events_and_no_other(done):
    events = done.materials.events
    assert sets_of(done.materials) == ("held-out", "test", "off-node", "lost-1")
    for name in NETWORKS:
        for which, split in (("held-out", HELD_OUT), ("test", TEST), ("off-node", OFF_NODE), ("lost-1", TEST)):
            got, chosen = done.predicted(name, which), events.of(split)
            assert got.names.tolist() == [f"event{row:05d}" for row in chosen]
            np.testing.assert_allclose(got.latitude, events.latitude[chosen])
            np.testing.assert_allclose(got.depth_km, events.depth_km[chosen])
            np.testing.assert_allclose(got.magnitude, events.magnitude[chosen])
            x, y = done.tiny.experiment.region.frame.to_local(got.latitude, got.longitude)
            np.testing.assert_allclose(got.truth[:, 0], x, atol=1e-9)
            np.testing.assert_allclose(got.truth[:, 1], y, atol=1e-9)
            np.testing.assert_allclose(got.truth[:, 2], got.depth_km)
            assert set(got.lost.tolist()) == {1 if which == "lost-1" else 0}
            assert np.isfinite(got.truth).all()


def test_lost_stations_are_taken_from_the_test_and_nothing_else_changes(done):
    whole, lost = (done.materials.exact("stations", which) for which in ("test", "lost-1"))
    for one, other in zip(whole.records, lost.records, strict=True):
        gone = ~other.live
        assert gone.sum() == 1
        np.testing.assert_array_equal(one.data[:, ~gone], other.data[:, ~gone], err_msg="the same noise")
        assert not other.data[:, gone].any()


def test_images_and_stations_are_of_the_same_noise(done):
    for which in ("held-out", "off-node"):
        images, stations = (done.materials.exact(kind, which) for kind in ("images", "stations"))
        for one, other in zip(images.records, stations.records, strict=True):
            np.testing.assert_array_equal(one.data, other.data)


def test_true_origin_times_count_from_each_events_own_window(done):
    got = done.predicted("volume", "test")
    exact = done.materials.exact("images", "test")
    windows = done.materials.windows("images")
    column = got.parameters.index("time")
    for row, record in enumerate(exact.records):
        anchor = windows.anchor(windows.conditioned(record), record)
        assert anchor is not None
        assert got.truth[row, column] == pytest.approx(record.origin_s - anchor)


def test_errors_are_those_of_the_network(done):
    fitted = done.fitted("volume")
    exact = done.materials.exact("images", "test")
    estimate = fitted.network.predict(*(evaluating.torch.from_numpy(exact.arrays[name]) for name in fitted.inputs))
    got = done.predicted("volume", "test")
    names = fitted.network.outputs.names
    order = [names.index(name) for name in got.parameters]
    np.testing.assert_allclose(got.mean[:, -1], estimate.mean.detach().numpy()[:, order], atol=1e-4)
    np.testing.assert_allclose(got.sigma[:, -1], estimate.sigma.detach().numpy()[:, order], rtol=1e-4)
    assert got.parameters == ("x", "y", "depth", "time", "magnitude")
    assert done.predicted("beside", "test").parameters == ("x", "y", "depth", "time", "magnitude")
    assert done.predicted("slim", "test").parameters == ("x", "y", "depth")


def test_the_curve_ends_with_the_published_window(done):
    assert done.predicted("beside", "test").mean.shape[1] == 1
    got, held = done.predicted("volume", "test"), done.predicted("volume", "held-out")
    assert held.mean.shape[1] == len(held.until_s) == 1
    fitted = done.fitted("volume")
    assert 1 < got.mean.shape[1] <= 5, "20 frames, windows of 16"
    assert got.mean.shape[1] == len(got.until_s)
    np.testing.assert_allclose(np.diff(got.until_s), 1 / 5.0)
    alone = answer(fitted, done.materials.exact("images", "test"))
    order = [alone.names.index(name) for name in got.parameters]
    np.testing.assert_allclose(got.mean[:, -1], alone.mean[:, 0][:, order], atol=1e-4)
    assert until_s(fitted, 1)[0] == got.until_s[-1] == held.until_s[0]


def test_data_after_the_published_windows_end_change_nothing(done):
    fitted = done.fitted("volume")
    (end,) = until_s(fitted, 1)
    record = tinyrun.in_counts(done.materials.exact("images", "test").records[0])
    windows = done.materials.windows("images")
    anchor = windows.anchor(windows.conditioned(record), record)

    def said(after: float) -> np.ndarray:
        data = record.data.copy()
        data[..., int(np.ceil((anchor + after) * tinyrun.RATE)) + 1 :] *= 3.0
        # The envelope's transform is over the whole record: what comes later is felt a little everywhere
        other = replace(record, data=data)
        built = windows.at(windows.conditioned(other), anchor).arrays
        exact = exact_of(done.materials, fitted, [record])
        return answer(fitted, replace(exact, arrays={"snapshots": built["snapshots"][None]})).mean[0, -1]

    still = said(100.0)
    sigma = answer(fitted, exact_of(done.materials, fitted, [record])).sigma[0, -1]
    assert np.abs(said(end) - still).max() < 0.1 * np.abs(said(end - 2.0) - still).max()
    assert np.all(np.abs(said(end) - still) < 0.2 * sigma)


def test_stations_networks_rest_on_their_whole_window(done):
    settings = done.fitted("slim").passport.preprocessing
    assert until_s(done.fitted("slim"), 1).tolist() == [settings.window_s - settings.pretrigger_s]


def test_the_spacing_is_the_way_to_the_nearest_training_event(done):
    events, frame = done.materials.events, done.tiny.experiment.region.frame
    x, y = frame.to_local(events.latitude, events.longitude)
    places = np.stack([x, y, events.depth_km], axis=-1)
    train = places[events.of(TRAIN)]
    for which, split in (("test", TEST), ("off-node", OFF_NODE)):
        wanted = [min(np.linalg.norm(train - place, axis=1)) for place in places[events.of(split)]]
        np.testing.assert_allclose(done.predicted("slim", which).spacing_km, wanted, rtol=1e-6)


def test_events_that_the_plugin_does_not_find_have_no_answer(done):
    fitted = done.fitted("volume")
    exact = done.materials.exact("images", "test")
    answered = exact.answered.copy()
    answered[[0, 2]] = False
    got = predictions(done.materials, fitted, replace(exact, answered=answered), None)
    assert np.isnan(got.mean[[0, 2]]).all()
    assert np.isnan(got.sigma[[0, 2]]).all()
    assert np.isfinite(got.mean[1]).all()
    assert np.isfinite(got.truth).all()


def test_location_images_are_probabilities(done):
    fitted = done.fitted("slim")
    images = images_of(fitted, done.materials.exact("stations", "test").arrays["waveforms"])
    assert images.shape[1:] == fitted.passport.grid.shape
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3)), 1.0, rtol=1e-4)
    assert images.min() >= 0.0


def test_trivial_baselines_know_the_training_events(done):
    events = done.materials.events
    train = events.of(TRAIN)
    with np.load(done.folder / "predictions" / "training.npz") as file:
        assert set(file.files) == {"latitude", "longitude", "depth", "magnitude"}
        np.testing.assert_array_equal(file["latitude"], events.latitude[train])
        np.testing.assert_array_equal(file["depth"], events.depth_km[train])
        np.testing.assert_array_equal(file["magnitude"], events.magnitude[train])
    assert not (done.folder / "predictions" / "training-recorded.npz").exists()
    assert not list(done.folder.rglob("*.part*"))


def test_tables_can_name_the_size_the_network_was_trained_at(done):
    meta = Meta.load(done.folder / "predictions" / "volume" / "meta.json")
    assert (meta.network, meta.epochs, meta.windows_per_epoch) == ("volume_cnn", 2, 2)
    assert 30 < meta.training_events <= 36
    assert meta.seconds > 0
    assert "cores" in meta.machine


def test_each_stage_says_what_it_does(done):
    assert [line for line in done.said if line.startswith("==")] == ["== train", "== evaluate", "== export"]
    assert [line for line in done.said if line.endswith(": evaluated")] == [f"{name}: evaluated" for name in NETWORKS]


# The plugin's command line


def operators_folder(done: Done, folder: Path, count: int) -> list[Record]:
    """What an operator would have of test events: triggers without picks, miniSEED, StationXML."""
    stations = done.tiny.experiment.stations
    (folder / "waveforms").mkdir(parents=True)
    tinyrun.inventory_of(stations).write(str(folder / "stations.xml"), "STATIONXML")
    catalogue, records = Catalog(), []
    for number, record in enumerate(done.materials.exact("images", "test").records[:count]):
        record = tinyrun.in_counts(record)
        start = STARTTIME + 3600.0 * number
        tinyrun.stream_of(record, stations, start).write(str(folder / "waveforms" / f"{number}.mseed"), "MSEED")
        origin = Origin(
            resource_id=ResourceIdentifier(f"smi:local/origin/{number}"),
            time=obspy.UTCDateTime(start + record.origin_s + 0.7),  # a trigger is not exact
            latitude=0.0, longitude=0.0, depth=0.0,
        )  # fmt: skip
        catalogue.append(Event(resource_id=ResourceIdentifier(f"smi:local/event/{number}"), origins=[origin]))
        records.append(record)
    catalogue.write(str(folder / "events.xml"), "QUAKEML")
    return records


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_dlloc_locate_applies_the_exported_model(done, tmp_path, name):
    records = operators_folder(done, tmp_path, 4)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    ended = subprocess.run(
        [
            sys.executable, "-m", "seiscomp_dlloc", "locate", "--events", str(tmp_path / "events.xml"),
            "--waveforms", str(tmp_path / "waveforms"), "--inventory", str(tmp_path / "stations.xml"),
            "--model", str(done.folder / "models" / f"tiny-{name}-1.2.3.onnx"), "--json", "--provider", "cpu",
            "-o", str(tmp_path / "located.xml"),
        ],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [row["event"] for row in rows] == [f"smi:local/event/{k}" for k in range(4)]
    fitted = done.fitted(name)
    exact = exact_of(done.materials, fitted, records)
    got = predictions(done.materials, fitted, exact, calibrated(done.materials, fitted))
    frame = fitted.passport.frame
    for row, mean in zip(rows, got.mean[:, -1], strict=True):
        x, y = frame.to_local(row["latitude"], row["longitude"])
        assert [float(x), float(y), row["depth_km"]] == pytest.approx(mean[:3], abs=0.02)
        if name != "slim":
            assert row["magnitude"]["value"] == pytest.approx(mean[4], abs=0.02)
            assert row["magnitude"]["sigma"] > 0
    catalogue = obspy.read_events(str(tmp_path / "located.xml"))
    assert len(catalogue) == 4
