"""Waveforms from an SDS archive."""

import os
from pathlib import Path

import numpy as np
import pytest
from miniseed import T0, packed, trace
from obspy import Trace, UTCDateTime

from seiscomp_dlloc.errors import WaveformSourceError
from seiscomp_dlloc.waveforms import open_source

ALL = ["XX.*.*.*"]


def sds(root: Path, part: Trace, day: UTCDateTime | None = None) -> Path:
    day = day or part.stats.starttime
    stats = part.stats
    folder = root / f"{day.year}" / stats.network / stats.station / f"{stats.channel}.D"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part.id}.D.{day.year}.{day.julday:03d}"
    with path.open("ab") as stream:
        stream.write(packed(part))
    return path


def test_an_sds_archive_is_read_across_midnight_and_new_year(tmp_path: Path) -> None:
    midnight = UTCDateTime(2020, 1, 1).timestamp
    before, after = trace(start=midnight - 10, npts=1000), trace(start=midnight, npts=1000)
    sds(tmp_path, before)
    sds(tmp_path, after)
    source = open_source(f"sds://{tmp_path}")
    (part,) = source.get_waveforms(["XX.S01.*.*"], midnight - 5, midnight + 5).stream
    assert part.stats.npts == 1001
    assert np.all(np.diff(part.data) == 1)


def test_an_archive_tells_which_stations_it_has_in_a_year(tmp_path: Path) -> None:
    for name, day in (("YY.S02..HHZ", UTCDateTime(2020, 3, 1)), ("XX.S01..HHZ", UTCDateTime(2020, 9, 1))):
        sds(tmp_path, trace(name), day)
    sds(tmp_path, trace("XX.S03..HHZ"), UTCDateTime(2021, 3, 1))
    source = open_source(f"sds://{tmp_path}")
    assert source.stations(UTCDateTime(2020, 5, 1).timestamp, UTCDateTime(2020, 5, 2).timestamp) == ("XX.S01", "YY.S02")
    assert source.stations(UTCDateTime(2019, 5, 1).timestamp, UTCDateTime(2019, 5, 2).timestamp) == ()


def test_a_record_that_runs_over_midnight_is_found_in_the_file_of_the_day_before(tmp_path: Path) -> None:
    midnight = UTCDateTime(2020, 1, 2).timestamp
    sds(tmp_path, trace(start=midnight - 60, npts=12000))
    acquired = open_source(f"sds://{tmp_path}").get_waveforms(ALL, midnight + 10, midnight + 20)
    assert acquired.stream[0].stats.npts == 1001


def test_a_damaged_file_of_an_sds_archive_is_named(tmp_path: Path) -> None:
    sds(tmp_path, trace("XX.S01.00.HHZ"))
    bad = sds(tmp_path, trace("XX.S02.00.HHZ"))
    bad.write_bytes(b"")
    acquired = open_source(f"sds://{tmp_path}").get_waveforms(ALL, T0, T0 + 10)
    assert [part.id for part in acquired.stream] == ["XX.S01.00.HHZ"]
    assert acquired.dropped[0].seed_id == bad.name
    assert "empty" in acquired.dropped[0].reason


def test_a_folder_that_is_no_sds_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WaveformSourceError, match="no such folder"):
        open_source(f"sds://{tmp_path}/missing")
    (tmp_path / "a").write_bytes(packed(trace()))
    with pytest.raises(WaveformSourceError, match="holds no folder of a year"):
        open_source(f"sds://{tmp_path}")


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    # Tests may run as root, whom no permission stops
    closed = list(sds(tmp_path, trace("XX.S02.00.HHZ")).relative_to(tmp_path).parents)[-2 - depth]
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / closed and real(path, mode))
    monkeypatch.setattr("glob.glob", lambda _: [])
    dropped = open_source(f"sds://{tmp_path}").get_waveforms(["XX.S02.*.*"], T0, T0 + 10).dropped
    assert [(item.seed_id, item.reason) for item in dropped] == [(str(closed), "cannot be listed (Permission denied)")]


def test_an_archive_behind_a_closed_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listdir(_: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(WaveformSourceError, match=r"cannot be listed \(Permission denied\)"):
        open_source(f"sds://{tmp_path}")
