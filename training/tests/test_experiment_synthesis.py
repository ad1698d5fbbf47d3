"""From an experiment's file to its file of seismograms."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments import synthesis
from dlloc_training.experiments.dataset import Dataset, DatasetWriter
from dlloc_training.experiments.drawing import draw_events
from dlloc_training.experiments.models import draw_models, highest_hz, table_axes
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.experiments.synthesis import DATASET, elevation_delays, run_synthesis

from seiscomp_dlloc.errors import SettingError

from .smallexperiment import TEXT

# Small enough for seconds: four nodes, low frequencies, short records
SMALL = (
    TEXT.replace(
        "spacing_deg = 0.02, spacing_depth_km = 2.0, per_node = 2", "spacing_deg = 0.06, spacing_depth_km = 2.0"
    )
    .replace("off_node = 10", "off_node = 3\ntest_share = 0.3\nheld_out_share = 0.3")
    .replace("sampling_rate_hz = 50.0\nduration_s = 20.0", "sampling_rate_hz = 10.0\nduration_s = 12.0\nbefore_s = 2.0")
    .replace("models = 3", "models = 2")
)


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFile:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return read_experiment(path)


def quiet(experiment: ExperimentFile, folder: Path) -> Dataset:
    return run_synthesis(experiment, folder, say=lambda _: None, progress=False)


def test_every_event_has_a_record_that_begins_before_its_p(experiment: ExperimentFile, tmp_path: Path) -> None:
    data = quiet(experiment, tmp_path / "run")
    events = draw_events(experiment)
    assert data.shape == (len(events), 3, 2, 140)
    records = data.read(0, len(data))
    peak = np.abs(records).max(axis=(1, 2, 3))
    assert np.all(np.isfinite(records))
    assert np.all(peak > 0)
    # A magnitude unit is a factor of about ten; sites, sources and places scatter by less
    slope = np.polyfit(events.magnitude, np.log10(peak), 1)[0]
    assert 0.5 < slope < 1.5
    assert np.abs(records[..., :15]).max(axis=(1, 2, 3)) == pytest.approx(0.0, abs=float(peak.max()) * 0.05)
    assert data.header["start_s"] == -2.0


def test_the_same_seed_gives_the_same_records_and_an_interrupted_run_goes_on(
    experiment: ExperimentFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis, "BATCH", 3)
    whole = quiet(experiment, tmp_path / "whole").read(0, 99)
    made = synthesis.make_records
    calls = []

    def stopped(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return made(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis, "make_records", stopped)
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        quiet(experiment, folder)
    assert not (folder / DATASET).exists()
    again = quiet(experiment, folder).read(0, 99)
    total = len(synthesis.batches(draw_events(experiment)))
    assert len(calls) == total + 1, "two batches were there already, the third was made again"
    np.testing.assert_array_equal(again, whole)


def test_a_finished_file_is_taken_and_one_of_other_settings_is_refused(
    experiment: ExperimentFile, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first = quiet(experiment, folder)
    before = (folder / DATASET).stat().st_mtime_ns
    first.close()
    quiet(experiment, folder).close()
    assert (folder / DATASET).stat().st_mtime_ns == before
    experiment.path.write_text(SMALL.replace("seed = 3", "seed = 4"))
    with pytest.raises(SettingError, match="other settings"):
        quiet(read_experiment(experiment.path), folder)


def test_a_full_disk_is_said_before_anything_is_made(
    experiment: ExperimentFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 100, 0))  # type: ignore[attr-defined]
    with pytest.raises(SettingError, match="GiB"):
        quiet(experiment, tmp_path / "run")


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(SettingError, match=r"x\.h5"):
        Dataset(path)
    with DatasetWriter(tmp_path / "y.h5", {"a": 1}, (2, 1, 4)) as writer, pytest.raises(RuntimeError, match="2 events"):
        writer.finish()


def test_a_damaged_part_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "y.h5.part").write_bytes(b"died while it was written")
    with DatasetWriter(tmp_path / "y.h5", {"a": 1}, (1, 1, 4)) as writer:
        writer.write(np.array([0]), np.ones((1, 3, 1, 4), np.float32))
        writer.finish()
    assert Dataset(tmp_path / "y.h5").read(0, 1).tolist() == np.ones((1, 3, 1, 4)).tolist()


@pytest.mark.parametrize(("spacing", "bottom"), [(2.0, 6.0), (2.0, 7.0), (3.0, 8.5), (0.8, 6.0)])
def test_tables_have_the_depths_of_the_nodes(experiment: ExperimentFile, spacing: float, bottom: float) -> None:
    text = SMALL.replace("spacing_depth_km = 2.0", f"spacing_depth_km = {spacing}")
    experiment.path.write_text(text.replace("bottom_km = 6.0", f"bottom_km = {bottom}"))
    experiment = read_experiment(experiment.path)
    events = draw_events(experiment)
    depths, distances = table_axes(experiment, experiment.earth)
    assert np.all(np.diff(depths) > 0)
    assert np.diff(depths).max() <= 1.0 + 0.03
    nodes = np.unique(events.depth_km[events.node >= 0]) - experiment.surface_km
    assert np.abs(nodes[:, None] - depths).min(axis=1).max() <= 0.0201
    assert distances.max() > 9.0
    boundaries = experiment.earth.tops_km[1:]
    assert np.abs(depths[:, None] - boundaries).min() > 0.01


def test_tables_are_as_fine_in_depth_as_the_file_asks(experiment: ExperimentFile) -> None:
    experiment.path.write_text(SMALL.replace("models = 2", "models = 2\ndepth_step_km = 0.2"))
    experiment = read_experiment(experiment.path)
    depths, _ = table_axes(experiment, experiment.earth)
    assert np.diff(depths).max() <= 0.2 + 0.03
    nodes = np.unique(draw_events(experiment).depth_km) - experiment.surface_km
    assert np.abs(nodes[:, None] - depths).min(axis=1).max() <= 0.12


def test_models_are_drawn_around_the_given_one(experiment: ExperimentFile) -> None:
    experiment.path.write_text(SMALL.replace("models = 2", "models = 40"))
    experiment = read_experiment(experiment.path)
    models = draw_models(experiment)
    assert len(models) == 40
    np.testing.assert_array_equal(models[0].rows(), experiment.earth.rows())
    ratios = np.array([model.vp_km_s / experiment.earth.vp_km_s for model in models[1:]])
    assert np.std(np.log(ratios)) == pytest.approx(0.05, rel=0.35)
    assert abs(np.mean(np.log(ratios))) < 0.03


def test_cover_makes_all_stations_late(tmp_path: Path) -> None:
    found = []
    for name, cover in (("bare", ""), ("covered", "cover_s = [0.5, 0.5]\n")):
        path = tmp_path / f"{name}.toml"
        path.write_text(SMALL.replace("[records]\n", f"[records]\n{cover}coda = false\n"))
        found.append(quiet(read_experiment(path), tmp_path / name).read(0, 99))
    late = round(0.5 * 10.0)
    first = np.argmax(np.abs(found[0]) > 0.2 * np.abs(found[0]).max(axis=-1, keepdims=True), axis=-1)
    moved = np.argmax(np.abs(found[1]) > 0.2 * np.abs(found[1]).max(axis=-1, keepdims=True), axis=-1)
    assert np.median(moved - first) >= late
    assert np.mean(moved - first >= late - 1) > 0.9


def test_coda_is_as_long_and_as_strong_as_the_file_says(tmp_path: Path) -> None:
    def late(name: str, decay: float, ratio: float) -> float:
        """Share of the energy in the last third of the records."""
        path = tmp_path / f"{name}.toml"
        settings = f"[records]\ncoda_decay_s = [{decay}, {decay}]\ncoda_ratio = [{ratio}, {ratio}]\n"
        path.write_text(SMALL.replace("[records]\n", settings))
        energy = quiet(read_experiment(path), tmp_path / name).read(0, 99).astype(float) ** 2
        return float(energy[..., -47:].sum() / energy.sum())

    short, long, weak = late("short", 0.5, 4.0), late("long", 20.0, 4.0), late("weak", 20.0, 0.2)
    assert long > 3.0 * short
    assert long > 2.0 * weak


def test_high_stations_are_late(experiment: ExperimentFile) -> None:
    p, s = elevation_delays(experiment, experiment.earth)
    assert p == pytest.approx([0.2 / 4.0, -0.2 / 4.0])
    assert s == pytest.approx([0.2 / 2.3, -0.2 / 2.3])


def test_a_frequency_above_half_the_rate_is_refused(experiment: ExperimentFile) -> None:
    experiment.path.write_text(SMALL.replace("before_s = 2.0", "before_s = 2.0\nhighest_hz = 6.0"))
    with pytest.raises(SettingError, match="highest_hz 6"):
        highest_hz(read_experiment(experiment.path))
