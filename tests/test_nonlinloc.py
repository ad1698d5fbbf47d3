"""Time grids as NonLinLoc writes them."""

import numpy as np
import pytest

from seiscomp_dlloc.arrivals.grids import GridArrivals
from seiscomp_dlloc.arrivals.projections import FrameProjection, LambertProjection, SimpleProjection
from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.formats.nonlinloc import read_time_grid, read_time_grids
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station

SIMPLE = "TRANSFORM  SIMPLE LatOrig 64.000000  LongOrig -21.000000  RotCW 0.000000"
LAMBERT = (
    "TRANSFORM  LAMBERT RefEllipsoid Clarke-1880  LatOrig 43.750000  LongOrig 7.500000  "
    "FirstStdParal 43.199300  SecondStdParal 44.996100  RotCW 10.000000"
)
FIRST = "5 4 3  -10.000000 -9.000000 -1.000000  2.000000 3.000000 4.000000 TIME FLOAT"
SECOND = "STA 1.500000 -0.500000 -0.250000"
TIMES = np.arange(60, dtype=np.float32).reshape(5, 4, 3)


def write(folder, first=FIRST, second=SECOND, transform=SIMPLE, times=TIMES, name="layer.P.STA.time"):
    header = folder / f"{name}.hdr"
    header.write_text("\n".join([first, second, transform, "", ""]))
    (folder / f"{name}.buf").write_bytes(times.tobytes())
    return header


def test_a_header_and_its_buffer_are_read(tmp_path):
    grid = read_time_grid(write(tmp_path))
    assert (grid.station, grid.phase) == ("STA", "P")
    assert grid.station_km == (1.5, -0.5, -0.25)
    assert grid.nodes.shape == (5, 4, 3)
    assert grid.nodes.origin_km == (-10.0, -9.0, -1.0)
    assert grid.nodes.spacing_km == (2.0, 3.0, 4.0)
    assert grid.nodes.projection == SimpleProjection(64.0, -21.0, 0.0, 111.111)
    np.testing.assert_array_equal(grid.values, TIMES)


def test_the_length_of_a_degree_of_newer_builds_can_be_given(tmp_path):
    grid = read_time_grid(write(tmp_path), simple_km_per_degree=111.195)
    assert grid.nodes.projection == SimpleProjection(64.0, -21.0, 0.0, 111.195)


def test_lambert_has_its_ellipsoid_and_parallels(tmp_path):
    grid = read_time_grid(write(tmp_path, transform=LAMBERT))
    assert grid.nodes.projection == LambertProjection("Clarke-1880", 43.75, 7.5, 43.1993, 44.9961, 10.0)


def test_a_grid_without_transform_takes_the_frame_given(tmp_path):
    header = write(tmp_path, transform="TRANSFORM  NONE")
    assert read_time_grid(header, LocalFrame(64.0, -21.0)).nodes.projection == FrameProjection(64.0, -21.0)
    with pytest.raises(ModelError, match="NONE does not place x and y"):
        read_time_grid(header)


def test_negative_times_are_none(tmp_path):
    times = TIMES.copy()
    times[0, 0, 0] = -1.0
    grid = read_time_grid(write(tmp_path, times=times))
    assert np.isnan(grid.values[0, 0, 0])
    np.testing.assert_array_equal(grid.values.ravel()[1:], TIMES.ravel()[1:])


def test_a_header_of_older_versions_without_kind_of_number_is_read(tmp_path):
    grid = read_time_grid(write(tmp_path, first=FIRST.removesuffix(" FLOAT")))
    np.testing.assert_array_equal(grid.values, TIMES)


def test_a_folder_of_grids_gives_arrival_times(tmp_path):
    write(tmp_path)
    write(tmp_path, name="layer.S.STA.time", times=2.0 * TIMES)
    (tmp_path / "layer.P.mod.hdr").write_text("a model, no times")
    latitude, longitude = SimpleProjection(64.0, -21.0).to_geographic(1.5, -0.5)
    arrivals = GridArrivals(read_time_grids(tmp_path))
    station = Station("XX", "STA", float(latitude), float(longitude), 250.0)
    node = SimpleProjection(64.0, -21.0).to_geographic([-10.0 + 2 * 3], [-9.0 + 3 * 2])
    times = arrivals.times(*node, [-1.0 + 4 * 1], [station])
    np.testing.assert_allclose(times[0, 0], [TIMES[3, 2, 1], 2.0 * TIMES[3, 2, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": "5 4 3 0 0 0"}, "line 1: 6 values"),
        ({"first": FIRST.replace("5 4 3", "5 4 x")}, "no integers"),
        ({"first": FIRST.replace("5 4 3", "5 4 -3")}, "two nodes along each axis"),
        ({"first": FIRST.replace("2.000000", "0.000000")}, "line 1: .*positive steps"),
        ({"first": FIRST.replace("2.000000", "two")}, "line 1: a coordinate 'two' is no number"),
        ({"first": FIRST.replace("TIME", "TIME2D")}, "2-D grid of a 1-D model"),
        ({"first": FIRST.replace("TIME", "SLOW_LEN")}, "grid of SLOW_LEN, not of TIME"),
        ({"first": FIRST.replace("FLOAT", "DOUBLE")}, "DOUBLE"),
        ({"first": FIRST.replace("5 4 3", "50000 40000 30000")}, "coarser grid"),
        ({"second": "STA 1.5 2.5"}, "line 2 must name the station"),
        ({"second": "STA 1.5 nan 0.0"}, "line 2: a coordinate is nan"),
        ({"transform": ""}, "no TRANSFORM line"),
        ({"transform": "TRANSFORM  AZIMUTHAL_EQUIDIST LatOrig 1 LongOrig 2"}, "AZIMUTHAL_EQUIDIST is not known"),
        ({"transform": "TRANSFORM  SIMPLE LatOrig 64.0"}, "line 3: transform SIMPLE without LongOrig, RotCW"),
        ({"transform": SIMPLE.replace("64.0", "164.0")}, "no latitude and longitude"),
        ({"transform": LAMBERT.replace("Clarke-1880", "Potato")}, "line 3: ellipsoid 'Potato'"),
        ({"transform": SIMPLE + "\nCASCADING_GRID 1 10.0,"}, "cascading"),
        ({"times": TIMES[:4]}, "192 bytes, not the 240"),
        ({"times": np.concatenate([TIMES, TIMES])}, "480 bytes, not the 240"),
        ({"times": np.full(60, np.nan, np.float32)}, "no travel times"),
        ({"times": np.full(60, -1.0, np.float32)}, "no node has a time"),
        ({"times": (TIMES + 0.5).byteswap()}, "another byte order"),
        ({"name": "layer.Pn.STA.time"}, "ROOT.P.STATION.time.hdr"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_broken_grid_is_refused_with_what_to_do(tmp_path, change, message):
    header = write(tmp_path, **change)
    with pytest.raises(ModelError, match=message) as refused:
        read_time_grid(header)
    assert str(tmp_path) in str(refused.value)


def test_a_missing_buffer_a_missing_header_and_an_empty_folder_are_refused(tmp_path):
    header = write(tmp_path)
    header.with_suffix(".buf").unlink()
    with pytest.raises(ModelError, match=r"time\.buf: no such file; it belongs beside its header"):
        read_time_grid(header)
    header.unlink()
    with pytest.raises(ModelError, match="no such file"):
        read_time_grid(header)
    with pytest.raises(ModelError, match=r"no \*\.time\.hdr in it"):
        read_time_grids(tmp_path)
    with pytest.raises(ModelError, match="no such folder"):
        read_time_grids(tmp_path / "nowhere")


def test_a_header_that_is_binary_is_refused(tmp_path):
    header = write(tmp_path)
    header.write_bytes(b"\x00\x01\x02")
    with pytest.raises(ModelError, match="is binary"):
        read_time_grid(header)
