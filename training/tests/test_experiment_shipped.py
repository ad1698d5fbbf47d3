"""The experiments that come with the package."""

from pathlib import Path

import numpy as np
import pytest
from dlloc_training.catalogue import read_split, short_id
from dlloc_training.experiments.drawing import HELD_OUT, OFF_NODE, TEST, TRAIN, draw_events
from dlloc_training.experiments.models import draw_models, highest_hz, table_axes
from dlloc_training.experiments.reading import ExperimentFile, file_path, read_experiment
from dlloc_training.experiments.shipped import find, shipped
from dlloc_training.experiments.synthesis import run_synthesis

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.triggers import read_triggers

ALONE, WITH_DATA = ("hakone", "quick"), ("newberry", "oklahoma")
EXPERIMENTS = (*ALONE, *(pytest.param(name, marks=pytest.mark.shared) for name in WITH_DATA))


@pytest.fixture
def experiment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ExperimentFile:
    if request.param in WITH_DATA:
        monkeypatch.setenv("DLLOC_SHARED_DATA", str(request.getfixturevalue("shared_data")))
    return read_experiment(request.param)


def test_there_are_four() -> None:
    assert shipped() == tuple(sorted((*ALONE, *WITH_DATA)))


def test_a_shipped_experiment_is_found_by_its_name_and_a_file_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("quick") == find("quick.toml") == find(Path("quick.toml"))
    assert find("quick").is_file()
    assert find("folder/quick.toml") == Path("folder/quick.toml")
    assert find("mine.toml") == Path("mine.toml")
    (tmp_path / "quick.toml").write_text("name = 'mine'")
    assert find("quick.toml") == Path("quick.toml")
    with pytest.raises(SettingError, match=r"^quick\.toml"):
        read_experiment("quick.toml")
    with pytest.raises(SettingError, match=r"^folder/quick\.toml: there is no such file"):
        read_experiment("folder/quick.toml")


@pytest.mark.parametrize("name", WITH_DATA)
def test_what_needs_data_says_which_variable_names_their_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLLOC_SHARED_DATA", raising=False)
    with pytest.raises(SettingError, match=r"network\.inventory .* environment variable DLLOC_SHARED_DATA"):
        read_experiment(name)


@pytest.mark.parametrize("experiment", EXPERIMENTS, indirect=True)
def test_every_experiment_draws_events_for_each_use(experiment: ExperimentFile) -> None:
    events = draw_events(experiment)
    shares = {split: len(events.of(split)) / len(events) for split in (TRAIN, HELD_OUT, TEST)}
    assert shares[TRAIN] > 0.5
    assert min(shares.values()) > 0.1
    region = experiment.region
    assert np.all((events.latitude >= region.south) & (events.latitude <= region.north))
    assert np.all((events.depth_km >= region.top_km) & (events.depth_km <= region.bottom_km))
    assert events.depth_km.min() > experiment.surface_km
    assert experiment.settings["network"]["source"]
    assert experiment.settings["earth"]["source"]


@pytest.mark.parametrize("experiment", EXPERIMENTS, indirect=True)
def test_tables_hold_the_events_and_no_node_lies_on_a_boundary(experiment: ExperimentFile) -> None:
    depths, distances = table_axes(experiment, draw_models(experiment)[0])
    events = draw_events(experiment)
    nodes = np.unique(events.depth_km[events.node >= 0]) - experiment.surface_km
    if "grid" in experiment.settings["events"]:  # then the nodes are in the table, and none was moved off a boundary
        assert np.abs(nodes[:, None] - depths).min(axis=1).max() < 1e-6
    assert depths[0] <= nodes.min() + 0.5
    assert depths[-1] >= nodes.max() - 0.5
    assert len(depths) * len(distances) < 6000
    assert highest_hz(experiment) <= 0.5 * experiment.settings["records"]["sampling_rate_hz"]


def test_hakone_is_a_network_of_fifteen_with_at_most_400_events() -> None:
    experiment = read_experiment("hakone")
    assert len(experiment.stations) == 15
    made_up = [station.id for station in experiment.stations if station.network == "XH"]
    assert made_up == [f"XH.MADE{k}" for k in range(1, 6)]
    events = draw_events(experiment)
    assert len(events) <= 400
    assert len(events.of(OFF_NODE)) > 0
    # One mechanism: normalised by their moments, all tensors are one
    moments = np.linalg.norm(events.tensors, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(events.tensors / moments, np.broadcast_to((events.tensors / moments)[:1], (380, 3, 3)))
    values, axes = np.linalg.eigh(events.tensors[0])
    pressure = axes[:, np.argmin(values)]  # north, east, down
    assert np.degrees(np.arctan2(pressure[1], pressure[0])) % 180 == pytest.approx(157.5)
    assert pressure[2] == pytest.approx(0.0, abs=1e-9)


def test_quick_makes_its_seismograms(tmp_path: Path) -> None:
    experiment = read_experiment("quick")
    data = run_synthesis(experiment, tmp_path, say=lambda _: None, progress=False)
    events = draw_events(experiment)
    assert data.shape == (len(events), 3, 8, 520)
    records = data.read(0, len(data))
    assert np.all(np.isfinite(records))
    peaks = np.abs(records).max(axis=(1, 3))
    assert np.all(peaks > 0)
    before = np.abs(records[..., :240]).max(axis=(1, 3))  # the 12 s before the origin time
    assert np.all(before < 0.05 * peaks)


@pytest.mark.shared
@pytest.mark.parametrize("experiment", WITH_DATA, indirect=True)
def test_recorded_training_events_lie_in_the_region(experiment: ExperimentFile) -> None:
    section, region = experiment.settings["recorded"], experiment.region
    folder = file_path(section["folder"], "recorded.folder", experiment.path)
    splits = read_split(folder / "split.csv")
    train = [t for t in read_triggers(folder / "catalog.xml").triggers if splits[short_id(t)] == "train"]
    assert len(train) > 3 * section["held_out"]
    for trigger in train:
        assert region.south <= trigger.latitude <= region.north
        assert region.west <= trigger.longitude <= region.east
        assert region.top_km <= trigger.depth_km <= region.bottom_km
