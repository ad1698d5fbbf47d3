from pathlib import Path

import numpy as np
import pytest
from dlloc_training.__main__ import main
from dlloc_training.specfem.archive import STRAINS, StrainArchive
from dlloc_training.specfem.importing import event_places, event_tensors, read_events, station_places
from dlloc_training.specfem.placement import Placement, read_placement
from dlloc_training.specfem.seismograms import check_folders
from dlloc_training.specfem.sources import read_cmtsolution
from dlloc_training.specfem.stations import read_stations
from dlloc_training.specfem.tables import grid_nodes, read_sources
from dlloc_training.specfem.text import SpecfemError
from obspy.core.inventory import Inventory, Network
from obspy.core.inventory import Station as InventoryStation

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame

from .specfem_files import write_run, write_trace

DT, SAMPLES = 0.05, 80
TABLE = "latitude,longitude,depth_km,mw,strike,dip,rake\n35.2,139.0,4.0,3.1,10,45,90\n35.21,139.02,-0.4,2.5,80,30,0\n"


@pytest.fixture
def inventory(tmp_path):
    stations = [InventoryStation("AAA", 35.21, 139.03, 900.0), InventoryStation("BB", 35.18, 138.98, 700.0)]
    path = tmp_path / "stations.xml"
    Inventory(networks=[Network("XX", stations=stations)], source="test").write(str(path), format="STATIONXML")
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "sources.csv"
    path.write_text(TABLE)
    return path


def _traces(seed):
    return np.random.default_rng(seed).normal(size=(3, 3, SAMPLES)) * 1e-6


def test_inputs_runs_check_and_pack_go_together(tmp_path, inventory, table, capsys):
    out = tmp_path / "runs"
    grid = ["--grid-x", "-1", "1", "1", "--grid-y", "0", "0", "1", "--grid-depth", "-0.5", "1.5", "2"]
    words = ["specfem", "inputs", "--inventory", str(inventory), "-o", str(out), "--fmax", "2", "--absolute-z"]
    assert main([*words, "--sources", str(table), "--reference", "35.2", "139", *grid]) == 0
    assert capsys.readouterr().out.strip() == str(out / "README.txt")
    placement = read_placement(out / "placement.json")
    assert placement == Placement(LocalFrame(35.2, 139.0), absolute_z=True)

    # The second event lies in the edifice, 400 m above sea level
    source = read_cmtsolution(out / "events" / "ev000001" / "DATA" / "CMTSOLUTION")
    assert source.depth == pytest.approx(400.0)

    events = sorted((out / "events").iterdir())
    for folder in events:
        _finish_event(folder)
    assert main(["specfem", "check", *map(str, events), "--rate", "20"]) == 0
    printed = capsys.readouterr().out
    assert f"{events[0]}: 2 stations, ASCII velocity, {SAMPLES} samples at 20 Hz from -0.5 s" in printed

    runs = sorted((out / "reciprocal").iterdir())
    assert len(runs) == 6
    for folder in runs:
        _finish_reciprocal(folder)
    archive = tmp_path / "archive.h5"
    assert main(["specfem", "pack", *map(str, runs), "--fmax", "2", "-o", str(archive)]) == 0
    assert "2 stations, 6 nodes" in capsys.readouterr().out
    with StrainArchive(archive) as opened:
        np.testing.assert_allclose(opened.header.nodes_km, grid_nodes((-1, 1, 1), (0, 0, 1), (-0.5, 1.5, 2)), atol=1e-9)
        np.testing.assert_allclose(opened.header.stations_km[:, 2], [-0.9, -0.7])
        assert opened.header.frame == placement.frame


def _finish_event(folder: Path):
    output = folder / "OUTPUT_FILES"
    output.mkdir()
    rng = np.random.default_rng(0)
    for station in read_stations(folder / "DATA" / "STATIONS"):
        for letter in "XYZ":
            write_trace(output / f"{station.id}.BX{letter}.semv", -0.5, DT, rng.normal(size=SAMPLES))


def _finish_reciprocal(folder: Path):
    output = folder / "OUTPUT_FILES"
    output.mkdir()
    for node in read_stations(folder / "DATA" / "STATIONS"):
        for strain in STRAINS:
            code = strain.translate(str.maketrans("EN", "XY"))
            write_trace(output / f"{node.id}.S{code}.semd", -0.5, DT, np.arange(SAMPLES) * 1e-9)


def test_check_tells_every_fault_and_fails(tmp_path, capsys):
    good = write_run(tmp_path / "good", _traces(1), DT, -0.5)
    bad = write_run(tmp_path / "bad", _traces(2), DT, -0.5)
    (bad / "OUTPUT_FILES" / "DB.X20.BXZ.semv").unlink()
    assert main(["specfem", "check", str(good), str(bad), str(tmp_path / "none")]) == 2
    printed = capsys.readouterr()
    assert str(good) in printed.out
    assert "2 of 3 folders cannot be imported" in printed.err
    assert "DB.X20" in printed.err


@pytest.mark.parametrize(
    ("words", "message"), [([], "nothing to write"), (["--grid-x", "0", "1", "1"], "a grid needs all of")]
)
def test_inputs_without_a_whole_grid_are_refused(tmp_path, inventory, capsys, words, message):
    out = str(tmp_path / "runs")
    assert main(["specfem", "inputs", "--inventory", str(inventory), "-o", out, "--fmax", "2", *words]) == 2
    assert message in capsys.readouterr().err


def test_pack_without_placement_says_where_it_looked(tmp_path, capsys):
    folder = tmp_path / "runs" / "reciprocal" / "XX.AAA.Z"
    folder.mkdir(parents=True)
    assert main(["specfem", "pack", str(folder), "--fmax", "2", "-o", str(tmp_path / "a.h5")]) == 2
    assert str(tmp_path / "runs" / "placement.json") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latitude,longitude\n1,2\n", "no column depth_km"),
        (TABLE.replace("3.1", "big"), "line 2 is not all numbers"),
        (TABLE.replace("-0.4", ""), "line 3 lacks"),
        (TABLE.splitlines()[0] + "\n", "holds no source"),
    ],
)
def test_damaged_tables_of_sources_are_refused(table, text, message):
    table.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_sources(table, LocalFrame(35.2, 139.0))


@pytest.mark.parametrize("axis", [(0.0, 1.0, 0.0), (1.0, 0.0, 0.5)])
def test_an_axis_that_goes_nowhere_is_refused(axis):
    with pytest.raises(SettingError, match="axis x"):
        grid_nodes(axis, (0.0, 0.0, 1.0), (1.0, 1.0, 1.0))


def test_a_grid_holds_both_ends_of_its_axes():
    nodes = grid_nodes((0.0, 0.3, 0.1), (2.0, 2.0, 5.0), (1.0, 3.0, 2.0))
    np.testing.assert_allclose(nodes[:, 0], [0.0, 0.1, 0.2, 0.3] * 2)
    np.testing.assert_allclose(nodes[:, 2], [1.0] * 4 + [3.0] * 4)


def test_events_are_imported_as_the_layered_engine_gives_them(tmp_path):
    first, second = _traces(1), _traces(2)
    folders = [write_run(tmp_path / "e1", first, DT, -0.5), write_run(tmp_path / "e2", second, DT, -0.5)]
    fit, wrong = check_folders(folders)
    assert not wrong
    seen = []
    found = read_events(fit, samples=SAMPLES, start_s=np.array([-0.5, -1.0]), progress=seen.append)
    assert found.shape == (2, 3, 3, SAMPLES)
    assert seen == folders
    np.testing.assert_allclose(found[0], np.moveaxis(first[:, ::-1], 0, 1), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(found[1, ..., 10:], np.moveaxis(second[:, ::-1], 0, 1)[..., :-10], rtol=1e-5, atol=1e-12)
    assert not found[1, ..., :10].any()
    placement = Placement(LocalFrame(35.2, 139.0), surface_elevation_m=500.0)
    np.testing.assert_allclose(event_places(fit, placement), [[-3.0, 7.0, 2.5]] * 2)
    np.testing.assert_allclose(station_places(fit[0], placement)[0], [2.2732, 7.0, -0.5])
    np.testing.assert_array_equal(event_tensors(fit)[1], fit[1].source.tensor)
    with pytest.raises(SpecfemError, match="SUPPRESS_UTM_PROJECTION"):
        event_places(fit, Placement(LocalFrame(35.2, 139.0), suppress_utm=False))


def test_events_of_different_networks_do_not_go_together(tmp_path):
    folders = [write_run(tmp_path / "e1", _traces(1), DT, -0.5)]
    folders.append(write_run(tmp_path / "e2", _traces(2)[:2], DT, -0.5, stations=(("A", "X", 0, 0), ("B", "X", 1, 1))))
    fit, _ = check_folders(folders)
    with pytest.raises(SpecfemError, match="different stations"):
        read_events(fit, samples=10)
