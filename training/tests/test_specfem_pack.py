import json

import h5py
import numpy as np
import pytest
from dlloc_training.events import Sources
from dlloc_training.moment import double_couple, scalar_moment
from dlloc_training.specfem.archive import FORCES, STRAINS, StrainArchive
from dlloc_training.specfem.inputs import (
    forces_at,
    grid_receivers,
    half_duration_for,
    moment_sources,
    receivers,
    write_event_inputs,
    write_readme,
    write_reciprocal_inputs,
)
from dlloc_training.specfem.pack import check_run, check_runs, header_of, pack
from dlloc_training.specfem.placement import Placement, read_placement
from dlloc_training.specfem.reciprocal import contract, synthesize
from dlloc_training.specfem.sources import read_cmtsolution, read_forcesolution
from dlloc_training.specfem.sourcetime import gaussian_spectrum, width_s
from dlloc_training.specfem.stations import read_stations
from dlloc_training.specfem.text import SpecfemError

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station

from .fullspace import FullSpace
from .specfem_files import write_trace

PLACEMENT = Placement(LocalFrame(35.2, 139.0))
STATIONS = (Station("XX", "AAA", 35.21, 139.03, 0.0), Station("XX", "BB", 35.18, 138.98, 0.0))
NODES = np.array([[0.0, 0.0, 4.0], [1.0, -0.5, 5.0]])
DT, START, SAMPLES, HALF, NEWTONS = 0.05, -0.6, 120, 0.4, 1e15
TIME = START + DT * np.arange(SAMPLES)
MEDIUM = FullSpace(vp=6000.0, vs=3400.0, rho=2700.0, h=HALF / 1.628)
CODES = {"E": "X", "N": "Y", "Z": "Z"}


@pytest.fixture
def runs(tmp_path):
    """Reciprocal runs as the writer of the input files made them, and SPECFEM3D's output for a full space."""
    mesh = receivers(STATIONS, PLACEMENT)
    folders = write_reciprocal_inputs(tmp_path, mesh, grid_receivers(NODES, PLACEMENT), PLACEMENT, HALF, NEWTONS)
    for folder in folders:
        force = read_forcesolution(folder / "DATA" / "FORCESOLUTION")
        output = folder / "OUTPUT_FILES"
        output.mkdir()
        for node in read_stations(folder / "DATA" / "STATIONS"):
            offset = np.array([node.x - force.x, node.y - force.y, -node.burial_m + force.depth * 1e3])
            strain = np.einsum("pqkt,k->pqt", MEDIUM.strain(offset, TIME), force.direction) * force.newtons
            for name in STRAINS:
                values = strain["ENZ".index(name[0]), "ENZ".index(name[1])]
                path = output / f"{node.id}.S{CODES[name[0]]}{CODES[name[1]]}.semd"
                write_trace(path, START, DT, values)
    return folders


def test_the_packed_runs_give_the_motion_of_events_in_a_full_space(runs, tmp_path):
    path = tmp_path / "archive.h5"
    seen = []
    header = pack(check_runs(runs), path, PLACEMENT, fmax_hz=1.5, progress=seen.append)
    assert sorted(seen) == sorted(runs)
    np.testing.assert_allclose(header.nodes_km, NODES, atol=1e-9)
    assert header.stations == ("XX.AAA", "XX.BB")
    tensor = double_couple(31.0, 62.0, -95.0, 1e15)
    ned_of_enu = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    with StrainArchive(path) as archive:
        for i, (x, y, z) in enumerate(NODES):
            found = contract(archive.strain(i), tensor)
            for k, station in enumerate(STATIONS):
                east, north = PLACEMENT.frame.to_local(station.latitude, station.longitude)
                offset = 1e3 * np.array([float(east) - x, float(north) - y, z])
                enu = MEDIUM.moment_velocity(offset, ned_of_enu.T @ tensor @ ned_of_enu, TIME)
                assert np.abs(found[:, k] - enu[[2, 1, 0]]).max() < 1e-6 * np.abs(enu).max()
        places = Sources(*NODES.T, tensors=np.stack([tensor, tensor]), corner_hz=np.full(2, 1.0))
        assert synthesize(archive, places, samples=100).shape == (2, 3, 2, 100)


def test_a_step_force_is_packed_as_its_rate(runs, tmp_path):
    straight, stepped = tmp_path / "one.h5", tmp_path / "two.h5"
    pack(check_runs(runs), straight, PLACEMENT, fmax_hz=1.5)
    for folder in runs:
        path = folder / "DATA" / "FORCESOLUTION"
        lines = path.read_text().splitlines()
        lines[6] = lines[6][:-1] + "2"
        path.write_text("\n".join(lines) + "\n")
        for trace in (folder / "OUTPUT_FILES").iterdir():
            values = np.loadtxt(trace)[:, 1]
            write_trace(trace, START, DT, DT * (np.cumsum(values) - 0.5 * values))  # its integral
    pack(check_runs(runs), stepped, PLACEMENT, fmax_hz=1.5)
    with h5py.File(straight) as one, h5py.File(stepped) as two:
        expected = one["strain"][()]
        # The integral by trapezoids is right to a few per cent at these samples
        assert np.abs(two["strain"][()] - expected).max() < 0.05 * np.abs(expected).max()


def _refused(folders):
    with pytest.raises(SpecfemError) as caught:
        check_runs(folders)
    return str(caught.value)


def test_missing_forces_and_repeated_runs_are_named(runs):
    assert "XX.BB.E" in _refused([run for run in runs if run.name != "XX.BB.E"])
    assert "repeats" in _refused([*runs, runs[0]])
    assert "no folder" in _refused([])


def test_every_fault_is_told_at_once(runs):
    (runs[0] / "OUTPUT_FILES" / "GR.N000001.SXZ.semd").unlink()
    (runs[4] / "OUTPUT_FILES" / "GR.N000000.SZZ.semd").write_text("")
    message = _refused(runs)
    assert f"{runs[0]}: 1 of 2 nodes have not all six strains" in message
    assert "GR.N000001" in message
    assert "is empty" in message
    assert str(runs[4]) in message


def test_a_run_that_stopped_early_is_told(runs):
    path = runs[2] / "OUTPUT_FILES" / "GR.N000001.SYY.semd"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))
    assert f"{path}: has {SAMPLES - 5} samples" in _refused(runs)


def test_an_unstable_run_is_told(runs):
    path = runs[2] / "OUTPUT_FILES" / "GR.N000001.SZZ.semd"
    values = np.loadtxt(path)[:, 1]
    values[60:] = np.nan
    write_trace(path, START, DT, values)
    assert "NaN" in _refused(runs)


def test_nan_in_the_middle_leaves_no_archive(runs, tmp_path):
    path = runs[2] / "OUTPUT_FILES" / "GR.N000001.SYY.semd"
    values = np.loadtxt(path)[:, 1]
    values[60] = np.nan
    write_trace(path, START, DT, values)
    with pytest.raises(SpecfemError, match="SYY"):
        pack(check_runs(runs), tmp_path / "archive.h5", PLACEMENT, fmax_hz=1.5)
    assert not list(tmp_path.glob("archive*"))


def test_a_force_that_points_elsewhere_is_told(runs):
    path = runs[0] / "DATA" / "FORCESOLUTION"
    other = runs[1] / "DATA" / "FORCESOLUTION"
    path.write_text(other.read_text().replace("XX.AAA.N", "XX.AAA.Z"))
    with pytest.raises(SpecfemError, match="not along Z"):
        check_run(runs[0])


def test_runs_that_differ_do_not_go_together(runs):
    path = runs[3] / "DATA" / "FORCESOLUTION"
    text = path.read_text()
    path.write_text(text.replace("0.400000", "0.500000"))
    assert "half durations" in _refused(runs)
    path.write_text(text)
    stations = runs[3] / "DATA" / "STATIONS"
    stations.write_text(stations.read_text().replace("4000.0", "4100.0"))
    assert "STATIONS" in _refused(runs)


def test_a_force_that_is_too_long_for_fmax_is_told(runs):
    with pytest.raises(SpecfemError, match="shorter half duration, or pack with fmax up to 2"):
        header_of(check_runs(runs), PLACEMENT, 5.0)
    with pytest.raises(SpecfemError, match="half the sampling rate"):
        header_of(check_runs(runs), PLACEMENT, 50.0)


def test_the_half_duration_leaves_a_tenth_at_fmax():
    omega = 2.0 * np.pi * 3.0
    assert gaussian_spectrum(omega, width_s(half_duration_for(3.0), 1e-4)) == pytest.approx(0.1)
    with pytest.raises(SettingError):
        half_duration_for(0.0)


def test_the_inputs_of_events_say_what_the_sources_are(tmp_path):
    tensors = np.stack([double_couple(10.0, 45.0, 90.0, 1e15), double_couple(80.0, 30.0, -20.0, 3e13)])
    sources = Sources(*(np.array(v) for v in ([1.0, -2.5], [3.0, 0.5], [4.0, 7.25])), tensors, np.array([2.0, 8.0]))
    placement = Placement(LocalFrame(35.2, 139.0), surface_elevation_m=700.0)
    mesh = receivers(STATIONS, placement)
    folders = write_event_inputs(tmp_path, moment_sources(sources, placement, 0.2), mesh, placement)
    assert [folder.name for folder in folders] == ["ev000000", "ev000001"]
    for i, folder in enumerate(folders):
        source = read_cmtsolution(folder / "DATA" / "CMTSOLUTION")
        x, y = placement.to_local(source.y, source.x)
        assert (float(x), float(y)) == pytest.approx((sources.x_km[i], sources.y_km[i]))
        assert source.depth == pytest.approx(sources.depth_km[i] + 0.7)  # below the surface
        np.testing.assert_allclose(source.tensor, tensors[i], atol=1e-8 * scalar_moment(tensors[i]))
    stations = read_stations(folders[0] / "DATA" / "STATIONS")
    x, y = placement.to_local([s.y for s in stations], [s.x for s in stations])
    latitude, longitude = placement.frame.to_geographic(x, y)
    np.testing.assert_allclose(latitude, [s.latitude for s in STATIONS], atol=1e-7)
    np.testing.assert_allclose(longitude, [s.longitude for s in STATIONS], atol=1e-7)
    assert read_placement(tmp_path / "placement.json") == placement


def test_with_absolute_heights_stations_and_forces_stand_at_their_elevation():
    placement = Placement(LocalFrame(43.7, -121.2), absolute_z=True)
    station = receivers([Station("NN", "NN17", 43.71, -121.23, 1850.0)], placement)[0]
    assert station.burial_m == 1850.0
    assert [force.depth for force in forces_at(station, placement, 0.1, 1e15)] == [1850.0] * 3
    # Hypocentres in the edifice, above sea level
    assert grid_receivers([[0.0, 0.0, -0.8]], placement)[0].burial_m == pytest.approx(800.0)
    with pytest.raises(SettingError, match="above the mesh's surface"):
        grid_receivers([[0.0, 0.0, -0.8]], Placement(LocalFrame(43.7, -121.2)))


def test_the_list_of_runs_names_every_run_and_its_settings(runs, tmp_path):
    text = write_readme(tmp_path, PLACEMENT, 1.5, runs).read_text()
    for run in runs:
        assert f"reciprocal/{run.name}" in text
    assert "SAVE_SEISMOGRAMS_STRAIN = .true." in text
    assert "USE_FORCE_POINT_SOURCE = .true." in text
    assert f"{len(STATIONS) * len(FORCES)} runs" in text


def test_runs_are_not_overwritten(runs, tmp_path):
    with pytest.raises(SettingError, match="is there already"):
        write_reciprocal_inputs(
            tmp_path, receivers(STATIONS, PLACEMENT), grid_receivers(NODES, PLACEMENT), PLACEMENT, HALF
        )


@pytest.mark.parametrize("change", [lambda c: c.pop("latitude"), lambda c: c.update(latitude="north")])
def test_a_damaged_placement_is_refused(tmp_path, change):
    content = json.loads(PLACEMENT.to_json())
    change(content)
    (tmp_path / "placement.json").write_text(json.dumps(content))
    with pytest.raises(SpecfemError, match="placement"):
        read_placement(tmp_path / "placement.json")
