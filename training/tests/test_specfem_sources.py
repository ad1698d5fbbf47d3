from datetime import UTC, datetime

import numpy as np
import pytest
from dlloc_training.moment import double_couple, scalar_moment
from dlloc_training.specfem.placement import Placement
from dlloc_training.specfem.sources import (
    ForceSource,
    MomentSource,
    format_cmtsolution,
    format_forcesolution,
    read_cmtsolution,
    read_forcesolution,
)
from dlloc_training.specfem.sourcetime import gaussian_spectrum, width_s
from dlloc_training.specfem.stations import MeshStation, format_stations, read_stations
from dlloc_training.specfem.text import SpecfemError

from seiscomp_dlloc.geometry import LocalFrame

from .specfem_files import CMT

FORCE = """\
FORCE  001
time shift:     0.0000
hdurorf0:        0.128
latorUTM:       67000.0
longorUTM:      66000.0
depth:          30.0
source time function:            0
factor force source:             1.d10
component dir vect source E:     1.d0
component dir vect source N:     -2.d0
component dir vect source Z_UP:  -2.d0
"""


def _write(path, text):
    path.write_text(text)
    return path


def test_a_cmtsolution_becomes_newton_metres_north_east_down(tmp_path):
    source = read_cmtsolution(_write(tmp_path / "CMTSOLUTION", CMT))
    # north is -theta, east phi, down -r; 1 dyne cm = 1e-7 N m
    expected = np.array([[7.7e15, 2.5e15, -2.5e16], [2.5e15, -2.0e14, -4.0e14], [-2.5e16, -4.0e14, -7.6e15]])
    np.testing.assert_allclose(source.tensor, expected, rtol=1e-12)
    assert source.time_s == datetime(1999, 1, 1, tzinfo=UTC).timestamp()
    assert (source.y, source.x, source.depth, source.half_duration_s) == (7000.0, -3000.0, 3.0, 0.5)
    assert source.name == "homog_test"


@pytest.mark.parametrize(
    "header", [" PDEQ2014  9  3 11 34 17.50 -15.3 -173.0 10.0 0.0 6.0 TONGA", "MLI 2014 9 3 11 34 17.5"]
)
def test_the_header_of_a_catalogue_is_read_with_and_without_blanks(tmp_path, header):
    source = read_cmtsolution(_write(tmp_path / "CMTSOLUTION", "\n".join([header, *CMT.splitlines()[1:]])))
    assert source.time_s == datetime(2014, 9, 3, 11, 34, 17, 500000, tzinfo=UTC).timestamp()


def test_a_source_comes_back_from_the_file_that_was_written(tmp_path):
    tensor = double_couple(31.0, 62.0, -95.0, 3.3e14)
    time = datetime(2019, 12, 31, 23, 59, 59, 999000, tzinfo=UTC).timestamp()
    written = MomentSource("ev_7", time, 0.25, 0.08, -1234.5678, 43210.125, 7.654321, tensor)
    source = read_cmtsolution(_write(tmp_path / "CMTSOLUTION", format_cmtsolution(written)))
    assert source.origin_time_s == pytest.approx(written.origin_time_s, abs=1e-3)
    assert (source.y, source.x, source.depth) == (written.y, written.x, written.depth)
    assert source.half_duration_s == written.half_duration_s
    np.testing.assert_allclose(source.tensor, tensor, atol=1e-9 * scalar_moment(tensor))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "is empty"),
        (lambda text: text.rsplit("\n", 2)[0], "12 lines"),
        (lambda text: text + text, "several sources"),
        (lambda text: text.replace("1999 01", "1999 13"), "no origin time"),
        (lambda text: text.replace("Mrt:      -2.500000e+23", "Mrt: x"), "Mrt: NUMBER"),
        (lambda text: text.replace("half duration:    0.5", "half duration:    -1"), "negative"),
    ],
)
def test_a_damaged_cmtsolution_is_refused_by_name(tmp_path, change, message):
    path = _write(tmp_path / "CMTSOLUTION", change(CMT))
    with pytest.raises(SpecfemError, match=message) as caught:
        read_cmtsolution(path)
    assert str(path) in str(caught.value)


def test_a_tensor_of_zeros_is_refused(tmp_path):
    zeros = "\n".join(line.split(":")[0] + ": 0.0" if line.startswith("M") else line for line in CMT.splitlines())
    with pytest.raises(SpecfemError, match="all six"):
        read_cmtsolution(_write(tmp_path / "CMTSOLUTION", zeros))


def test_a_forcesolution_is_read_with_the_exponents_of_double_precision(tmp_path):
    source = read_forcesolution(_write(tmp_path / "FORCESOLUTION", FORCE))
    assert (source.newtons, source.y, source.x, source.depth, source.shape) == (1e10, 67000.0, 66000.0, 30.0, 0)
    np.testing.assert_allclose(source.direction, np.array([1.0, -2.0, -2.0]) / 3.0)
    again = ForceSource("XX.STA.E", 0.0, 0.1, 1.0, 2.0, 0.0, 0, 1e12, np.array([1.0, 0.0, 0.0]))
    back = read_forcesolution(_write(tmp_path / "FORCESOLUTION", format_forcesolution(again)))
    assert (back.name, back.newtons, back.half_duration_s) == ("XX.STA.E", 1e12, 0.1)
    assert back.direction.tolist() == [1.0, 0.0, 0.0]


def test_a_force_without_direction_is_refused(tmp_path):
    text = FORCE.replace("1.d0", "0.d0").replace("-2.d0", "0.d0")
    with pytest.raises(SpecfemError, match="direction"):
        read_forcesolution(_write(tmp_path / "FORCESOLUTION", text))


def test_the_lines_are_labelled_in_front_of_a_colon_as_the_solver_reads_them():
    force = format_forcesolution(ForceSource("A.B.E", 0.0, 0.1, 1.0, 2.0, 0.0, 0, 1e12, np.array([1.0, 0.0, 0.0])))
    lines = force.splitlines()
    # The solver reads the first ten columns of the first line, and what follows the first colon of the others
    assert lines[0][:10] == "FORCE  001"
    assert all(float(line.split(":")[1]) is not None for line in lines[1:])


def test_stations_come_back_and_comments_are_left_out(tmp_path):
    stations = (MeshStation("AAA", "XX", 100.5, -2000.25, 12.0, 0.0), MeshStation("B1", "YY", 1.0, 2.0, 0.0, 150.0))
    path = _write(tmp_path / "STATIONS", "# comment\n\n" + format_stations(stations))
    assert read_stations(path) == stations


@pytest.mark.parametrize(
    ("text", "message"),
    [("AAA XX 1.0 2.0 0.0\n", "is no station"), ("A X 1 2 0 0\nA X 1 2 0 0\n", "twice"), ("# none\n", "no station")],
)
def test_damaged_stations_are_refused(tmp_path, text, message):
    with pytest.raises(SpecfemError, match=message):
        read_stations(_write(tmp_path / "STATIONS", text))


@pytest.mark.parametrize("code", ["", "A B", "A" * 33])
def test_names_that_the_solver_would_cut_are_refused(code):
    with pytest.raises(SpecfemError, match="characters"):
        format_stations([MeshStation(code, "XX", 0.0, 0.0)])


@pytest.mark.parametrize(
    "placement",
    [
        Placement(LocalFrame(43.7, -121.2)),
        Placement(LocalFrame(43.7, -121.2), suppress_utm=False, surface_elevation_m=1800.0),
        Placement(LocalFrame(43.7, -121.2), absolute_z=True),
    ],
)
def test_positions_survive_the_way_into_the_files_and_back(placement):
    x, y = placement.to_local(*placement.from_local(3.25, -7.5))
    assert (float(x), float(y)) == pytest.approx((3.25, -7.5), abs=1e-6)
    assert float(placement.source_depth_km(placement.source_depth(-0.8))) == pytest.approx(-0.8)
    assert float(placement.receiver_depth_km(placement.receiver_burial_m(2.5))) == pytest.approx(2.5)


def test_heights_mean_what_the_settings_say():
    frame = LocalFrame(0.0, 0.0)
    # 1 km below a surface that stands 500 m above sea level
    assert float(Placement(frame, surface_elevation_m=500.0).source_depth_km(1.0)) == pytest.approx(0.5)
    assert float(Placement(frame, absolute_z=True).source_depth_km(-500.0)) == pytest.approx(0.5)
    assert float(Placement(frame, absolute_z=True).receiver_burial_m(-1.2)) == pytest.approx(1200.0)
    assert [float(v) for v in Placement(frame).from_local(1.0, 2.0)] == [2000.0, 1000.0]


@pytest.mark.parametrize("shape", [0, 4])
def test_the_spectrum_is_that_of_the_gaussian_in_time(shape):
    half, dt = 0.4, 0.001
    time = np.arange(-4.0, 4.0, dt)
    # The two shapes as the solver evaluates them
    decay = half / 1.628
    series = {
        0: np.exp(-((time / decay) ** 2)) / (np.sqrt(np.pi) * decay),
        4: np.sqrt(np.pi / half**2) * np.exp(-((np.pi * time / half) ** 2)),
    }[shape]
    for frequency in (0.0, 0.7, 2.0):
        omega = 2.0 * np.pi * frequency
        expected = np.sum(series * np.cos(omega * time)) * dt
        assert gaussian_spectrum(omega, width_s(half, 0.01, shape)) == pytest.approx(expected, abs=1e-9)


def test_short_half_durations_are_those_that_the_solver_takes_instead():
    assert width_s(0.0, 0.02) == pytest.approx(5 * 0.02 / 1.628)
    with pytest.raises(SpecfemError, match="source time function 1"):
        width_s(0.5, 0.01, 1)
