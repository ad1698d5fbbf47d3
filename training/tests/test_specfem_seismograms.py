import numpy as np
import pytest
from dlloc_training.specfem.seismograms import check_folder, check_folders, differentiate, read_event
from dlloc_training.specfem.text import SpecfemError

from .specfem_files import STATIONS, to_asdf, to_hdf5, write_run, write_trace

DT, START, SAMPLES = 0.02, -1.0, 400
TIME = START + DT * np.arange(SAMPLES)
ORIGIN = 915148800.0  # 1999-01-01


def _pulse(time, centre, width=0.3):
    return np.exp(-(((time - centre) / width) ** 2))


def _rate(time, centre, width=0.3):
    return -2.0 * (time - centre) / width**2 * _pulse(time, centre, width)


@pytest.fixture
def centres():
    """(station, 3): a time of its own for every trace, components X, Y, Z."""
    return np.array([[2.0, 2.5, 3.0], [3.2, 3.4, 3.6], [4.0, 4.4, 4.8]])


@pytest.fixture
def velocity(centres):
    """(station, 3, sample)."""
    return 1e-6 * _rate(TIME, centres[..., None])


@pytest.fixture
def run(tmp_path, velocity):
    return write_run(tmp_path / "ev1", velocity, DT, START)


def _output(folder):
    return folder / "OUTPUT_FILES"


def test_text_seismograms_come_back_in_the_packages_order(run, velocity):
    event = read_event(check_folder(run, sampling_rate_hz=50.0))
    assert [station.id for station in event.stations] == ["DB.X20", "DB.X30", "XX.X40"]
    assert event.velocity.shape == (3, 3, SAMPLES)
    # Z, N, E of the file's X, Y, Z
    expected = np.moveaxis(velocity[:, ::-1], 0, 1)
    np.testing.assert_allclose(event.velocity, expected, rtol=1e-6, atol=1e-13)
    assert event.start_s == pytest.approx(START)
    assert event.dt_s == DT
    np.testing.assert_allclose(event.time_s, TIME, atol=1e-9)


def test_east_and_north_are_taken_for_what_they_are(tmp_path, velocity):
    run = write_run(tmp_path / "ev", velocity, DT, START, letters="ENZ", par_file=False)
    checked = check_folder(run)
    np.testing.assert_allclose(read_event(checked).velocity[2], velocity[:, 0], rtol=1e-6, atol=1e-13)
    assert not checked.suppress_utm


def test_strain_beside_displacement_is_not_taken_for_it(tmp_path, centres):
    displacement = 1e-6 * _pulse(TIME, centres[..., None])
    run = write_run(tmp_path / "ev", displacement, DT, START, ending="semd")
    expected = read_event(check_folder(run)).velocity
    for code in ("SXX", "SXY", "SXZ", "SYY", "SYZ", "SZZ"):
        write_trace(_output(run) / f"DB.X20.{code}.semd", START, DT, np.full(SAMPLES, 1e-12))
    np.testing.assert_array_equal(read_event(check_folder(run)).velocity, expected)


@pytest.mark.parametrize("form", ["ASCII", "HDF5", "ASDF"])
def test_displacement_is_differentiated(tmp_path, centres, velocity, form):
    displacement = 1e-6 * _pulse(TIME, centres[..., None])
    run = write_run(tmp_path / "ev", displacement, DT, START, ending="semd")
    if form == "HDF5":
        to_hdf5(run, displacement, DT, START, name="displ")
    elif form == "ASDF":
        to_asdf(run, displacement, DT, START, ORIGIN)
    checked = check_folder(run)
    assert checked.output.form == form
    event = read_event(checked)
    # float32 in the file leaves 1e-7 of the largest displacement over the step
    np.testing.assert_allclose(event.velocity, np.moveaxis(velocity[:, ::-1], 0, 1), atol=2e-11)


def test_the_derivative_holds_near_nyquist_and_at_the_ends():
    dt = 0.01
    time = dt * np.arange(300)
    for frequency, tolerance in ((2.0, 1e-6), (10.0, 2e-3)):
        omega = 2.0 * np.pi * frequency
        found = differentiate(np.sin(omega * time), dt)
        expected = omega * np.cos(omega * time)
        assert np.abs(found - expected)[20:-20].max() < tolerance * omega
    ramp = differentiate(np.stack([3.0 * time, time**2]), dt)
    np.testing.assert_allclose(ramp, np.stack([np.full(300, 3.0), 2.0 * time]), atol=1e-8)


@pytest.mark.parametrize("form", ["HDF5", "ASDF"])
def test_all_formats_give_the_same_seismograms(run, velocity, form):
    text = read_event(check_folder(run))
    if form == "HDF5":
        to_hdf5(run, velocity, DT, START)
    else:
        to_asdf(run, velocity, DT, START, ORIGIN)
    checked = check_folder(run)
    event = read_event(checked)
    assert checked.output.form == form
    np.testing.assert_allclose(event.velocity, text.velocity, rtol=1e-6, atol=1e-13)
    assert event.start_s == pytest.approx(START, abs=1e-6)


def test_another_time_axis_holds_the_same_motion(tmp_path):
    centres = np.array([[2.0, 2.5, 3.0], [3.2, 3.4, 3.6], [4.0, 4.4, 4.8]])
    run = write_run(tmp_path / "ev", 1e-6 * _rate(TIME, centres[..., None]), DT, START)
    event = read_event(check_folder(run))
    # Starts before the run and between two of its samples, at a fifth of its rate
    moved = event.on_axis(-3.013, 80, 10.0)
    assert moved.shape == (3, 3, 80)
    assert moved.dtype == np.float32
    expected = 1e-6 * _rate(-3.013 + 0.1 * np.arange(80), centres[..., None])
    np.testing.assert_allclose(moved, np.moveaxis(expected[:, ::-1], 0, 1), atol=2e-3 * 3e-6)
    with pytest.raises(SpecfemError, match="50 Hz, 100 Hz were asked"):
        event.on_axis(0.0, 10, 100.0)


def test_stations_are_taken_in_the_order_asked_for(run):
    event = read_event(check_folder(run, ["XX.X40", "DB.X20"]))
    full = read_event(check_folder(run))
    assert [station.id for station in event.stations] == ["XX.X40", "DB.X20"]
    np.testing.assert_array_equal(event.velocity, full.velocity[:, [2, 0]])


def _refused(folder, *args, **options):
    with pytest.raises(SpecfemError) as caught:
        check_folder(folder, *args, **options)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_missing_stations_are_named_before_anything_is_read(run):
    for path in _output(run).glob("*X30*"):
        path.unlink()
    message = _refused(run)
    assert "DB.X30" in message
    assert "X20" not in message
    assert "STATIONS_FILTERED" in message
    # The others can still be asked for
    assert len(check_folder(run, ["DB.X20", "XX.X40"]).stations) == 2


def test_a_station_that_the_run_never_had_is_named(run):
    assert "lacks ZZ.NONE" in _refused(run, ["DB.X20", "ZZ.NONE"])


def test_a_missing_component_is_named(run):
    (_output(run) / "XX.X40.BXY.semv").unlink()
    message = _refused(run)
    assert "XX.X40" in message
    assert "component" in message


def test_components_of_different_lengths_are_named(run):
    path = _output(run) / "DB.X30.BXZ.semv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-7]))
    message = _refused(run)
    assert "DB.X30" in message
    assert f"other than {SAMPLES} samples" in message


def test_an_empty_file_is_named(run):
    path = _output(run) / "DB.X30.BXZ.semv"
    path.write_text("")
    message = _refused(run)
    assert str(path) in message
    assert "is empty" in message


@pytest.mark.parametrize("line", [" NaN  NaN", "hello", " 1.0"])
def test_a_damaged_end_is_named(run, line):
    path = _output(run) / "DB.X30.BXZ.semv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) + line + "\n")
    assert str(path) in _refused(run)


def test_an_unstable_run_is_told_by_its_last_sample(tmp_path, velocity):
    velocity[1, 2, 300:] = np.nan
    run = write_run(tmp_path / "ev", velocity, DT, START)
    message = _refused(run)
    assert "DB.X30.BXZ.semv" in message
    assert "NaN" in message


@pytest.mark.parametrize("form", ["ASCII", "HDF5", "ASDF"])
def test_nan_in_the_middle_is_found_when_it_is_read(tmp_path, velocity, form):
    velocity[1, 2, 200] = np.nan
    run = write_run(tmp_path / "ev", velocity, DT, START)
    if form == "HDF5":
        to_hdf5(run, velocity, DT, START)
    elif form == "ASDF":
        to_asdf(run, velocity, DT, START, ORIGIN)
    with pytest.raises(SpecfemError, match=r"X30.*NaN"):
        read_event(check_folder(run))


def test_damage_in_the_middle_is_found_when_it_is_read(run):
    path = _output(run) / "DB.X30.BXZ.semv"
    lines = path.read_text().splitlines(keepends=True)
    lines[100] = "x" * (len(lines[100]) - 1) + "\n"
    path.write_text("".join(lines))
    with pytest.raises(SpecfemError, match="no table of time and value"):
        read_event(check_folder(run))


def test_a_wrong_sampling_rate_is_told(run, velocity):
    assert "sampled at 50 Hz, 20 Hz are needed" in _refused(run, sampling_rate_hz=20.0)
    par_file = run / "DATA" / "Par_file"
    par_file.write_text(par_file.read_text().replace("= 0.02", "= 0.01"))
    assert "Par_file says 0.01 s" in _refused(run)


def test_output_that_leaves_out_steps_is_understood(tmp_path, velocity):
    run = write_run(tmp_path / "ev", velocity, DT, START, every=4, band="C")
    checked = check_folder(run)
    assert checked.settings.dt_s == pytest.approx(DT / 4)
    assert read_event(checked).dt_s == pytest.approx(DT)


def test_stations_of_different_rates_are_told_apart(run, velocity):
    other = write_run(run.parent / "other", velocity, 2 * DT, START)
    for letter in "XYZ":
        name = f"DB.X30.BX{letter}.semv"
        (_output(run) / name).write_text((_output(other) / name).read_text())
    assert "DB.X30" in _refused(run)


def test_folders_without_a_run_are_refused(tmp_path, run):
    assert "is no folder" in _refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no CMTSOLUTION" in _refused(tmp_path / "empty")
    for path in _output(run).iterdir():
        path.unlink()
    assert "USE_BINARY_FOR_SEISMOGRAMS" in _refused(run)


def test_asdf_of_unknown_quantity_is_not_guessed(run, velocity):
    to_asdf(run, velocity, DT, START, ORIGIN)
    (run / "DATA" / "Par_file").unlink()
    assert "does not say" in _refused(run)
    assert check_folder(run, quantity="velocity").output.quantity == "velocity"


def test_asdf_of_another_event_is_told(run, velocity):
    to_asdf(run, velocity, DT, START, ORIGIN + 7 * 86400.0)
    assert "do not belong together" in _refused(run)


def test_a_damaged_hdf5_is_refused(run, velocity):
    to_hdf5(run, velocity, DT, START)
    path = _output(run) / "seismograms.h5"
    path.write_bytes(path.read_bytes()[:200])
    assert "cannot be read" in _refused(run)


def test_many_folders_are_checked_before_any_is_read(run, velocity, tmp_path):
    bad = write_run(tmp_path / "ev2", velocity, DT, START)
    (_output(bad) / "XX.X40.BXY.semv").unlink()
    seen = []
    fit, wrong = check_folders([run, bad, tmp_path / "ev3"], progress=seen.append)
    assert [checked.folder for checked in fit] == [run]
    assert len(wrong) == 2
    assert seen == [run, bad, tmp_path / "ev3"]


def test_files_beside_each_other_in_one_folder_are_found(run, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in [*(run / "DATA").iterdir(), *_output(run).iterdir()]:
        path.rename(flat / path.name)
    assert read_event(check_folder(flat)).velocity.shape == (3, len(STATIONS), SAMPLES)
