"""Waveforms from a file and from a folder of miniSEED."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import pytest
from miniseed import T0, packed, trace
from obspy import UTCDateTime

from seiscomp_dlloc.errors import WaveformSourceError
from seiscomp_dlloc.waveforms import Acquired, WaveformSource, open_source
from seiscomp_dlloc.waveforms import mseed as miniseed

ALL = ["XX.*.*.*"]


def ids(acquired: Acquired) -> list[str]:
    return [part.id for part in acquired.stream]


def fetch(source: WaveformSource, start: float = T0, end: float = T0 + 10, wanted: list[str] | None = None) -> Acquired:
    return source.get_waveforms(wanted or ALL, start, end)


def test_one_file_is_cut_to_the_window(tmp_path: Path) -> None:
    path = tmp_path / "a.mseed"
    path.write_bytes(packed(trace()))
    acquired = fetch(open_source(path), T0 + 2.004, T0 + 5)
    (part,) = acquired.stream
    assert part.stats.starttime == UTCDateTime(T0 + 2.01)
    assert part.stats.endtime == UTCDateTime(T0 + 5)
    assert part.data[0] == 201
    assert part.data[-1] == 500
    assert acquired.dropped == ()


def test_a_window_that_touches_a_sample_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mseed"
    path.write_bytes(packed(trace()))
    (part,) = fetch(open_source(path), T0 + 1.23, T0 + 1.24).stream
    assert part.data.tolist() == [123, 124]


def test_a_window_without_data_gives_an_empty_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.mseed"
    path.write_bytes(packed(trace()))
    acquired = fetch(open_source(path), T0 + 1000, T0 + 1100)
    assert len(acquired.stream) == 0
    assert acquired.dropped == ()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["XX.S01.*.*"], ["XX.S01.00.HHN", "XX.S01.00.HHZ"]),
        (["XX.S0?.*.HHZ"], ["XX.S01.00.HHZ", "XX.S02..HHZ"]),
        (["XX.S02.--.HHZ"], ["XX.S02..HHZ"]),
        (["XX.S02..HHZ", "YY.*.*.*"], ["XX.S02..HHZ"]),
        (["XX.S0.*.*"], []),
    ],
)
def test_channels_are_chosen_by_pattern(wanted: list[str], expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.mseed"
    path.write_bytes(packed(trace("XX.S02..HHZ"), trace("XX.S01.00.HHZ"), trace("XX.S01.00.HHN")))
    assert ids(fetch(open_source(path), wanted=wanted)) == expected


def test_a_folder_tells_which_stations_its_files_hold_about_a_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace("YY.S02..HHZ"), trace("XX.S01.00.HHZ"), trace("XX.S01.00.HHN")))
    (tmp_path / "b").write_bytes(packed(trace("ZZ.S03..HHZ", start=T0 + 90000.0)))
    source = open_source(tmp_path)
    assert source.stations(T0, T0 + 5) == ("XX.S01", "YY.S02")
    assert source.stations(T0 - 90000.0, T0 - 80000.0) == ()


def test_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mseed"
    path.write_bytes(packed(trace()))
    source = open_source(path)
    with pytest.raises(ValueError, match="must precede"):
        source.get_waveforms(ALL, T0, T0)
    with pytest.raises(ValueError, match="must precede"):
        source.get_waveforms(ALL, T0, float("nan"))
    with pytest.raises(ValueError, match=r"no NET\.STA\.LOC\.CHA"):
        source.get_waveforms(["XX.S01"], T0, T0 + 1)
    with pytest.raises(ValueError, match="at least one"):
        source.get_waveforms([], T0, T0 + 1)


def test_a_folder_is_searched_with_its_subfolders_and_hidden_names_left_out(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a.mseed").write_bytes(packed(trace("XX.S01..HHZ")))
    (tmp_path / "b" / "c" / "d").write_bytes(packed(trace("XX.S02..HHZ")))
    (tmp_path / ".hidden").write_bytes(packed(trace("XX.S03..HHZ")))
    source = open_source(tmp_path)
    assert ids(fetch(source)) == ["XX.S01..HHZ", "XX.S02..HHZ"]
    assert source.problems == ()


def test_only_files_that_overlap_the_window_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(5):
        (tmp_path / f"{day}.mseed").write_bytes(packed(trace(start=T0 + 1000 * day)))
    source = open_source(tmp_path)
    opened: list[str] = []
    load = miniseed._load

    def spy(path: Path) -> np.ndarray:
        opened.append(path.name)
        return load(path)

    monkeypatch.setattr(miniseed, "_load", spy)
    fetch(source, T0 + 2005, T0 + 2010)
    assert opened == ["2.mseed"]


def test_windows_that_overlap_across_files_come_out_once(tmp_path: Path) -> None:
    for number, start in enumerate((0.0, 11.0, 12.5, 30.0)):
        (tmp_path / f"{number}.mseed").write_bytes(packed(trace(start=T0 + start, npts=2000)))
    acquired = fetch(open_source(tmp_path), T0, T0 + 60)
    (part,) = acquired.stream
    assert np.array_equal(part.data, np.arange(5000))
    assert part.stats.starttime == UTCDateTime(T0)


def test_the_same_file_twice_comes_out_once_and_a_contradiction_stays_visible(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace()))
    (tmp_path / "b").write_bytes(packed(trace()))
    assert len(fetch(open_source(tmp_path)).stream) == 1
    other = trace()
    other.data = other.data + np.int32(7)
    (tmp_path / "c").write_bytes(packed(other))
    assert len(fetch(open_source(tmp_path)).stream) == 2


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace(npts=300), trace(start=T0 + 5, npts=300)))
    first, second = fetch(open_source(tmp_path)).stream
    assert (first.stats.npts, second.stats.npts) == (300, 300)
    assert second.stats.starttime == UTCDateTime(T0 + 5)


@pytest.mark.parametrize(
    "options",
    [
        {"reclen": 4096},
        {"reclen": 256},
        {"byteorder": "<"},
        {"encoding": "STEIM1"},
        {"encoding": "INT32"},
    ],
)
def test_records_of_any_kind_are_read(options: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace(start=T0 + 0.123456), **options))
    (part,) = fetch(open_source(tmp_path), T0 + 3, T0 + 4).stream
    assert np.array_equal(part.data, np.arange(300, 400) + 0)
    assert abs(part.stats.starttime.timestamp - (T0 + 3.003456)) < 1.1e-4


@pytest.mark.parametrize("rate", [0.1, 1.0, 20.0, 62.5, 100.0, 250.0, 1000.0])
def test_the_header_pass_agrees_with_obspy(rate: float, tmp_path: Path) -> None:
    """The index must not miss a file: its times enclose ObsPy's to within its margin."""
    path = tmp_path / "a"
    path.write_bytes(packed(trace(rate=rate, npts=3000)))
    summary = miniseed.summarise(path)
    (expected,) = obspy.read(str(path))
    assert summary.seed_ids == (expected.id,)
    assert summary.starttime == pytest.approx(expected.stats.starttime.timestamp, abs=2e-4)
    assert summary.endtime == pytest.approx(expected.stats.endtime.timestamp + expected.stats.delta, rel=0, abs=0.01)


def test_records_of_different_lengths_in_one_file_go_through_obspy(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace("XX.S01..HHZ")) + packed(trace("XX.S02..HHZ"), reclen=4096))
    source = open_source(tmp_path)
    assert ids(fetch(source)) == ["XX.S01..HHZ", "XX.S02..HHZ"]
    assert [part.stats.npts for part in fetch(source).stream] == [1001, 1001]


def test_files_of_different_kinds_are_decoded_together(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace("XX.S01..HHZ")))
    (tmp_path / "b").write_bytes(packed(trace("XX.S02..HHZ"), reclen=4096, byteorder="<"))
    (tmp_path / "c").write_bytes(packed(trace("XX.S03..HHZ"), reclen=256, encoding="INT32"))
    acquired = fetch(open_source(tmp_path))
    assert ids(acquired) == ["XX.S01..HHZ", "XX.S02..HHZ", "XX.S03..HHZ"]
    assert all(np.array_equal(part.data, np.arange(1001)) for part in acquired.stream)


def cut_short(content: bytes) -> bytes:
    return content[: 512 * 2 + 100]


def shatter(content: bytes) -> bytes:
    """Destroy the header of the second record."""
    return content[:512] + b"\xff" * 64 + content[576:]


def spoil(content: bytes) -> bytes:
    """Destroy samples of the first record: the compression's own check fails."""
    return content[:200] + bytes(255 - b for b in content[200:260]) + content[260:]


@pytest.mark.parametrize(
    ("damage", "name", "reason", "left"),
    [
        (cut_short, "bad.mseed", "is truncated: its last 100 bytes", True),
        (shatter, "bad.mseed", "1 of its", True),
        (spoil, "XX.S02..HHZ", "bad.mseed: ", False),
    ],
)
def test_a_damaged_file_is_named_and_what_is_readable_stays(
    damage: Callable[[bytes], bytes], name: str, reason: str, left: bool, tmp_path: Path
) -> None:
    good = trace("XX.S02..HHZ", npts=8000)
    good.data = (np.random.default_rng(0).normal(size=8000) * 1e4).astype(np.int32)
    (tmp_path / "bad.mseed").write_bytes(damage(packed(good)))
    (tmp_path / "good.mseed").write_bytes(packed(trace("XX.S01..HHZ")))
    source = open_source(tmp_path)
    acquired = fetch(source)
    assert "XX.S01..HHZ" in ids(acquired)
    assert ("XX.S02..HHZ" in ids(acquired)) is left
    (dropped,) = acquired.dropped
    assert dropped.seed_id == name
    assert reason in dropped.reason
    far = fetch(source, T0 + 1e6, T0 + 1e6 + 10)
    assert (len(far.stream), far.dropped) == (0, ())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"no miniSEED at all" * 100, "no miniSEED"), (packed(trace())[:40], "no miniSEED")],
)
def test_a_file_that_is_no_miniseed_is_named_where_something_is_missing(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_bytes(content)
    (tmp_path / "good").write_bytes(packed(trace("XX.S01..HHZ")))
    source = open_source(tmp_path)
    assert [problem.seed_id for problem in source.problems] == ["bad"]
    assert reason in source.problems[0].reason
    assert fetch(source, wanted=["XX.S01.*.*"]).dropped == ()
    lacking = fetch(source, wanted=["XX.S01.*.*", "XX.S02.*.*"])
    assert ids(lacking) == ["XX.S01..HHZ"]
    assert lacking.dropped == source.problems
    with pytest.raises(WaveformSourceError, match=r"bad: .*" + reason):
        open_source(tmp_path / "bad")


def test_many_unreadable_files_are_summed_up(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(packed(trace("XX.S01..HHZ")))
    for number in range(25):
        (tmp_path / f"junk{number:02d}").write_bytes(b"junk")
    dropped = fetch(open_source(tmp_path), wanted=["XX.S09.*.*"]).dropped
    assert len(dropped) == 11
    assert "15 more files" in dropped[-1].reason


def test_a_file_without_permission_is_named_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").write_bytes(packed(trace("XX.S02..HHZ")))
    (tmp_path / "open").write_bytes(packed(trace("XX.S01..HHZ")))
    load = miniseed._load

    def refuse(path: Path) -> np.ndarray:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return load(path)

    monkeypatch.setattr(miniseed, "_load", refuse)
    source = open_source(tmp_path)
    acquired = fetch(source, wanted=["XX.S01.*.*", "XX.S02.*.*"])
    assert ids(acquired) == ["XX.S01..HHZ"]
    assert acquired.dropped[0].seed_id == "closed"
    assert "Permission denied" in acquired.dropped[0].reason


def test_a_file_that_disappears_after_the_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(trace("XX.S01..HHZ")))
    (tmp_path / "b").write_bytes(packed(trace("XX.S02..HHZ")))
    source = open_source(tmp_path)
    (tmp_path / "a").unlink()
    acquired = fetch(source)
    assert ids(acquired) == ["XX.S02..HHZ"]
    assert acquired.dropped[0].seed_id == "a"
    assert "No such file" in acquired.dropped[0].reason


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(WaveformSourceError, match=r"cannot be listed.*Permission denied"):
        open_source(tmp_path)


def test_a_subfolder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a").write_bytes(packed(trace()))
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    (problem,) = open_source(tmp_path).problems
    assert problem.seed_id == "closed"
    assert "cannot be listed" in problem.reason


def test_links_that_lead_round_or_nowhere_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "deep"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(packed(trace()))
    (folder / "round").symlink_to(tmp_path / "data")
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    (folder / "again").symlink_to(folder / "a")
    source = open_source(tmp_path / "data")
    assert len(fetch(source).stream) == 1
    assert [problem.seed_id for problem in source.problems] == ["deep/nowhere", "deep/self"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_the_folder_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(packed(trace()))
    assert len(fetch(open_source(tmp_path)).stream) == 1


def test_a_source_that_is_unusable_as_a_whole_says_why(tmp_path: Path) -> None:
    with pytest.raises(WaveformSourceError, match="no such file or folder"):
        open_source(tmp_path / "missing")
    with pytest.raises(WaveformSourceError, match="holds no file"):
        open_source(tmp_path)
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(WaveformSourceError, match=r"no readable miniSEED.*readme\.txt"):
        open_source(tmp_path)
    with pytest.raises(WaveformSourceError, match="unknown scheme ftp"):
        open_source("ftp://host/path")
    with pytest.raises(WaveformSourceError, match="nothing stands behind"):
        open_source("sds://")


@pytest.mark.shared
def test_real_events_come_whole_from_a_folder(shared_data: Path) -> None:
    source = open_source(shared_data / "iceland_dike" / "waveforms")
    assert source.problems == ()
    start = UTCDateTime("2014-08-24T00:01:00.5").timestamp
    acquired = source.get_waveforms(["Z7.*.*.*"], start, start + 40)
    assert len(acquired.stream) == 36
    assert {part.stats.npts for part in acquired.stream} == {4001}
    assert acquired.dropped == ()
