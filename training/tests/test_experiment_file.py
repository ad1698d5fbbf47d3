"""Experiment files, and the events that they ask for."""

from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.drawing import OFF_NODE, SPLITS, TEST, TRAIN, draw_events, grid_nodes
from dlloc_training.experiments.reading import Region, file_path, read_experiment
from dlloc_training.moment import magnitude_from_moment, scalar_moment

from seiscomp_dlloc.errors import SettingError

from .smallexperiment import TEXT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "small.toml"
    made.write_text(TEXT)
    return made


def test_a_file_is_read(path: Path) -> None:
    experiment = read_experiment(path)
    assert [station.id for station in experiment.stations] == ["XX.A", "XX.B"]
    assert experiment.surface_km == pytest.approx(-0.6)  # the stations' mean elevation
    assert experiment.earth.vp_km_s.tolist() == [4.0, 6.0]
    x, y = experiment.region.frame.to_local(35.23, 139.01)
    assert (float(x), float(y)) == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "", ": seed: is missing; give it"),
        ("seed = 3", "seed = -1", "seed: is -1; give at least 0"),
        ("seed = 3", "seed = 3\nsed = 4", "sed: there is no such setting; did you mean seed?"),
        ("seed = 3", "seed =", "is no TOML"),
        ("latitude = 35.20, ", "", "network.stations: XX.A: latitude is missing; give it"),
        ("latitude = 35.20", "latitude = 53.20", "XX.A lies more than 400 km"),
        ("XX.B", "XX.A", "XX.A stands there twice"),
        ("[earth]", 'inventory = "a.xml"\n[earth]', "network: give either inventory or stations, not both"),
        ("south = 35.19", "south = 36.19", "region: south 36.19 must be below north 35.27"),
        ("west = 138.97", "west = 139.05", "region: west 139.05 must be below east 139.05"),
        ("west = 138.97", "west = 119.0", "region: from west 119 to east 139.05 are more than 20 degrees"),
        ("bottom_km = 6.0", "bottom_km = -1.0", "must be above bottom_km"),
        ("top_km = 0.0", "top_km = -1.0", "above the surface of the earth model at -0.6 km"),
        ("[2.0, 4.0, 2.3,", "[2.0, 4.0, 4.3,", "vp/vs"),
        ("magnitude = [2.2, 4.5]", "magnitude = [4.5, 2.2]", "events.magnitude"),
        ("magnitude = [2.2, 4.5]", "count = 5\nmagnitude = [2.2, 4.5]", "events: give either grid or count, not both"),
        ("models = 3", "file = 'x.csv'", "earth: give either layers or file, not both"),
    ],
)
def test_what_is_wrong_is_named(path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(SettingError) as caught:
        read_experiment(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value) or "earth model" in str(caught.value)


def test_a_folder_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        read_experiment(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; give an experiment's TOML file"


def test_an_earth_model_may_stand_in_a_table(path: Path) -> None:
    lines = TEXT.replace("layers = [[2.0, 4.0, 2.3, 2.4, 200, 100], [0.0, 6.0, 3.5, 2.7, 400, 200]]", "file = 'm.csv'")
    path.write_text(lines)
    with pytest.raises(SettingError, match=r"m\.csv"):
        read_experiment(path)
    header = "thickness_km,vp_km_s,vs_km_s,density_g_cm3,qp,qs"
    (path.parent / "m.csv").write_text(f"{header}\n2.0,4.0,2.3,2.4,200,100\n0,6.0,3.5,2.7,400,200\n")
    assert read_experiment(path).earth.vs_km_s.tolist() == [2.3, 3.5]
    (path.parent / "m.csv").write_text("depth,vp\n1,2\n")
    with pytest.raises(SettingError, match="thickness_km"):
        read_experiment(path)


def test_paths_may_name_variables_of_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = TEXT.replace(
        "layers = [[2.0, 4.0, 2.3, 2.4, 200, 100], [0.0, 6.0, 3.5, 2.7, 400, 200]]", "file = '$MADE/m.csv'"
    )
    path.write_text(lines)
    monkeypatch.delenv("MADE", raising=False)
    with pytest.raises(SettingError, match=r"earth\.file '\$MADE/m\.csv' needs the environment variable MADE"):
        read_experiment(path)
    (path.parent / "models").mkdir()
    (path.parent / "models" / "m.csv").write_text(
        "thickness_km,vp_km_s,vs_km_s,density_g_cm3,qp,qs\n0,6.0,3.5,2.7,400,200\n"
    )
    for made in ("models", str(path.parent / "models")):  # relative to the file's folder, or absolute
        monkeypatch.setenv("MADE", made)
        assert read_experiment(path).earth.vp_km_s.tolist() == [6.0]
    monkeypatch.setenv("NET", "nowhere")
    assert file_path("${NET}/a.xml", "network.inventory", path) == path.parent / "nowhere" / "a.xml"
    assert file_path("a.xml", "network.inventory", path) == path.parent / "a.xml"


def test_events_fill_the_grid_and_are_the_same_for_a_seed(path: Path) -> None:
    events, again = draw_events(read_experiment(path)), draw_events(read_experiment(path))
    assert len(events) == 2 * 5 * 5 * 4 + 10
    for name in ("latitude", "magnitude", "split", "tensors", "model"):
        np.testing.assert_array_equal(getattr(events, name), getattr(again, name))
    path.write_text(TEXT.replace("seed = 3", "seed = 4"))
    assert not np.array_equal(draw_events(read_experiment(path)).magnitude, events.magnitude)
    assert sorted(set(np.round(np.diff(np.unique(events.latitude[events.node >= 0])), 6))) == [0.02]
    assert set(events.model) == {0, 1, 2}
    moments = np.array([float(scalar_moment(tensor)) for tensor in events.tensors])
    np.testing.assert_allclose(magnitude_from_moment(moments), events.magnitude, atol=1e-9)
    assert events.magnitude.min() >= 2.2
    assert events.magnitude.max() <= 4.5


def test_no_node_is_in_two_splits(path: Path) -> None:
    events = draw_events(read_experiment(path))
    nodes = [set(events.node[events.of(split)]) for split in SPLITS if split != OFF_NODE]
    assert all(nodes)
    assert sum(len(part) for part in nodes) == len(set.union(*nodes)) == 100
    assert len(events.of(TEST)) == 2 * 15
    assert len(events.of(TRAIN)) == 2 * 70
    assert set(events.node[events.of(OFF_NODE)]) == {-1}


def test_random_hypocentres_have_a_node_each(path: Path) -> None:
    text = TEXT.replace("grid = {spacing_deg = 0.02, spacing_depth_km = 2.0, per_node = 2}", "count = 40")
    path.write_text(text.replace("mechanism = {strike_deg = 10, dip_deg = 80, rake_deg = 0}", ""))
    events = draw_events(read_experiment(path))
    assert len(events) == 50
    assert len(set(events.node)) == 41
    assert np.all((events.depth_km >= 0.0) & (events.depth_km <= 6.0))


def test_a_grid_too_fine_or_a_split_that_leaves_nothing_is_refused(path: Path) -> None:
    with pytest.raises(SettingError, match="spacing_deg"):
        grid_nodes(Region(35.0, 36.0, 139.0, 140.0, 0.0, 10.0), 1e-4, 2.0)
    path.write_text(TEXT.replace("off_node = 10", "off_node = 10\ntest_share = 0.5\nheld_out_share = 0.5"))
    with pytest.raises(SettingError, match="none is left for training"):
        draw_events(read_experiment(path))
