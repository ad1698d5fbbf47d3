"""``dlloc scan``: known events in a continuous record are found, each once; a scan that was stopped goes on."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from continuous import EARTH, FRAME, START, Quake, inventory, waveforms, write
from obspy import UTCDateTime

from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.cli import scanning
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.errors import WaveformReadError
from seiscomp_dlloc.formats.corrections import corrections_json
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.formats.origins import read_origins
from seiscomp_dlloc.locate import Locator
from seiscomp_dlloc.records import Abstention
from seiscomp_dlloc.scan import spread
from seiscomp_dlloc.scan.searching import ChunkResult
from seiscomp_dlloc.traveltimes import hash_of
from seiscomp_dlloc.waveforms.files import FileSource

# The third lies just before the border of two chunks; nothing happens after the last
QUAKES = (Quake(30.0, 0.0, 0.0), Quake(70.0, 5.0, -4.0, 3.0, 4e3), Quake(119.6, -3.0, 4.0), Quake(165.0, 3.0, 7.0))
SECONDS = 200.0


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a scan of 200 s; one station begins late, one is lost for a while, one is dead."""
    stream = waveforms(QUAKES, SECONDS)
    for trace in stream.select(station="C1"):
        trace.trim(UTCDateTime(START + 40.0))
    for trace in stream.select(station="C8"):
        stream.remove(trace)
        stream += trace.slice(UTCDateTime(START), UTCDateTime(START + 125.0))
        stream += trace.slice(UTCDateTime(START + 155.0), UTCDateTime(START + SECONDS))
    for trace in stream.select(station="C4", channel="HHZ"):
        trace.data[:] = 0
    return write(tmp_path_factory.mktemp("scan"), stream)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No searcher of another test."""
    scanning.open_searcher.cache_clear()
    yield
    scanning.open_searcher.cache_clear()


def scan(options: list[str], folder: Path, *more: str, end: float = SECONDS, model: str = "migration") -> int:
    times = ["--start", str(UTCDateTime(START)), "--end", str(UTCDateTime(START + end))]
    return main(["scan", *options, *times, "--model", model, "--chunk", "2", "-o", str(folder), *more])


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "catalogue.csv").open()))


@pytest.fixture(scope="module")
def whole(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a scan that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "scan"
    assert scan(options, folder) == 0
    return folder


def test_each_event_is_found_once_at_its_time_and_place_and_nothing_else_is(whole: Path):
    found = rows(whole)
    assert len(found) == len(QUAKES)
    for row, quake in zip(found, QUAKES, strict=True):
        x, y = FRAME.to_local(float(row["latitude"]), float(row["longitude"]))
        assert float(np.hypot(x - quake.x, y - quake.y)) < 1.0
        assert UTCDateTime(row["time"]).timestamp - START == pytest.approx(quake.time, abs=0.3)
        assert (row["status"], row["reason"]) == ("accepted", "")
        assert int(row["stations"]) >= 7
        assert row["magnitude_type"] in ("ML", "")


def test_the_catalogue_is_quakeml_with_the_same_origins_in_order_of_time(whole: Path):
    origins = read_origins(whole / "catalogue.xml").origins
    table = rows(whole)
    assert [origin.event_id for origin in origins] == [row["event"] for row in table]
    assert [origin.time for origin in origins] == pytest.approx([UTCDateTime(row["time"]).timestamp for row in table])
    assert sorted(origin.time for origin in origins) == [origin.time for origin in origins]
    assert all(origin.method == "DLLOC" and len(origin.picks) > 8 for origin in origins)
    assert len({origin.public_id for origin in origins}) == len(QUAKES)


def test_chunks_tell_what_they_held(whole: Path):
    results = [json.loads(path.read_text()) for path in sorted((whole / "chunks").iterdir())]
    assert [result["chunk"]["start"] - START for result in results] == [0.0, 120.0]
    assert [result["listed"] for result in results] == [9, 9]
    assert 0.85 < results[0]["coverage"] < 0.97
    assert 0.85 < results[1]["coverage"] < 0.97


def test_a_scan_that_was_stopped_goes_on_and_ends_with_the_same_catalogue(
    options: list[str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    search, searched = scanning.search, []

    def stopped(inputs, chunk):
        if len(searched) == 1:
            raise KeyboardInterrupt
        searched.append(chunk.number)
        return search(inputs, chunk)

    monkeypatch.setattr(scanning, "search", stopped)
    assert scan(options, tmp_path / "scan") == 130
    assert [path.name for path in (tmp_path / "scan" / "chunks").iterdir()] == ["000000.json"]
    assert not (tmp_path / "scan" / "catalogue.xml").exists()
    monkeypatch.setattr(
        scanning, "search", lambda inputs, chunk: searched.append(chunk.number) or search(inputs, chunk)
    )
    assert scan(options, tmp_path / "scan", "--progress") == 0
    assert searched == [0, 1]
    error = capsys.readouterr().err
    assert "4 events in 0.06 hours" in error
    assert "s per hour of data" in error
    assert (tmp_path / "scan" / "catalogue.csv").read_bytes() == (whole / "catalogue.csv").read_bytes()
    first, second = (read_origins(folder / "catalogue.xml").origins for folder in (tmp_path / "scan", whole))
    assert [origin.public_id for origin in first] == [origin.public_id for origin in second]


def test_one_of_each_is_told_as_one(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert scan(options, tmp_path / "scan", end=60.0) == 0
    assert capsys.readouterr().err.startswith("1 event in 0.02 hours; ")
    monkeypatch.setattr(scanning, "search", lambda _, chunk: ChunkResult(chunk, 1, 1, 1.0, 1))
    assert scan(options, tmp_path / "one", end=60.0) == 0
    assert "data of 100 % of the time of 1 station; 1 candidate (" in capsys.readouterr().err
    monkeypatch.setattr(scanning, "search", lambda _, chunk: ChunkResult(chunk, problem="asleep", lasting=False))
    assert scan(options, tmp_path / "none", end=60.0) == 1
    assert "1 of 1 chunk without (" in capsys.readouterr().err


def test_waveforms_are_fetched_chunk_by_chunk(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spans, fetch = [], FileSource.get_waveforms

    def watched(self, seed_ids, starttime, endtime):
        spans.append(endtime - starttime)
        # No event is looked for in what is not there: this test is about what is asked for
        return fetch(self, seed_ids, starttime + 1e6, endtime + 1e6)

    monkeypatch.setattr(FileSource, "get_waveforms", watched)
    assert scan(options, tmp_path / "scan") == 1
    assert len(spans) == 2
    assert max(spans) < 120.0 + 300.0


def test_chunks_without_data_are_told_and_the_others_searched(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Eight more minutes were asked for than there are."""
    assert scan(options, tmp_path / "scan", end=SECONDS + 480.0) == 1
    error = capsys.readouterr().err
    assert "4 of 6 chunks without" in error
    assert error.count("dlloc: warning: 2026-03-01T00:") == 4
    assert "no waveforms" in error
    assert len(rows(tmp_path / "scan")) == len(QUAKES)


def test_network_codes_of_waveforms_and_inventory_that_differ_are_both_named(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = inventory()
    other.networks[0].code = "7B"
    other.write(str(tmp_path / "7b.xml"), format="STATIONXML")
    assert scan(options, tmp_path / "scan", "--inventory", str(tmp_path / "7b.xml")) == 1
    assert "the waveforms are of XX.C0, the inventory has 7B.C0, and 8 more alike" in capsys.readouterr().err


def test_what_is_not_stood_by_is_written_on_request_with_its_reason_where_it_has_a_place(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def doubted(self, jobs):
        for located in locate(self, jobs):
            known = located.solution.accepted
            answer = replace(located.solution, abstention=Abstention("low peak", "0.1")) if known else located.solution
            yield replace(located, solution=answer)

    locate = Locator.run
    monkeypatch.setattr(Locator, "run", doubted)
    assert scan(options, tmp_path / "asked", "--abstained", end=60.0) == 0
    assert [(row["status"], row["reason"]) for row in rows(tmp_path / "asked")] == [("abstained", "low peak")]
    assert "; 3 candidates; 2 low peak; 1 no event in the window (" in capsys.readouterr().err
    assert scan(options, tmp_path / "not", end=60.0) == 0
    assert rows(tmp_path / "not") == []


def test_a_chunk_whose_waveforms_could_not_be_read_is_tried_again(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fetch = FileSource.get_waveforms

    def broken(self, seed_ids, starttime, endtime):
        if starttime < START:
            raise WaveformReadError("the server is asleep")
        return fetch(self, seed_ids, starttime, endtime)

    monkeypatch.setattr(FileSource, "get_waveforms", broken)
    assert scan(options, tmp_path / "scan") == 1
    assert "the server is asleep" in capsys.readouterr().err
    assert [path.name for path in sorted((tmp_path / "scan" / "chunks").iterdir())] == ["000001.json"]
    monkeypatch.undo()
    scanning.open_searcher.cache_clear()
    assert scan(options, tmp_path / "scan") == 0
    assert len(rows(tmp_path / "scan")) == len(QUAKES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--model", "oklahoma-fcn-slim"], "oklahoma-fcn-slim"),
        (["--chunk", "3"], "holds a scan with --chunk 2.0, here it is 3.0"),
        (["--fixed-depth", "8"], "holds a scan with --fixed-depth none, here it is 8.0"),
        (["--fixed-depth", "800"], "is for depths down to"),
        (["--end", "2026-02-01"], "--end: must be after --start"),
        (["--start", "yesterday"], "'yesterday' is no time"),
        (["--chunk", "0"], "must be from 0.5 to 1440"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    options: list[str], whole: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
):
    before = (whole / "catalogue.xml").read_bytes()
    try:
        status = scan(options, whole, *change)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert (whole / "catalogue.xml").read_bytes() == before


@pytest.mark.parametrize("address", [None, "tcp://127.0.0.1:1", "nonsense://x:1", "tcp://127.0.0.1:99999", "nowhere:x"])
def test_a_scheduler_that_is_refused_leaves_nothing_behind(
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str | None,
):
    if address is None:
        monkeypatch.setitem(sys.modules, "distributed", None)
    else:
        pytest.importorskip("distributed")
    monkeypatch.setattr(spread, "_CONNECT_S", 0.5)
    assert scan(options, tmp_path / "new" / "scan", "--scheduler", address or "tcp://127.0.0.1:8786") == 2
    assert "dlloc: --scheduler" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["--earth-model", "--corrections"])
def test_a_scan_goes_on_with_files_that_hold_the_same_and_refuses_others(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
):
    monkeypatch.setattr(scanning, "search", lambda _, chunk: ChunkResult(chunk, 1, 1, 1.0))
    path = tmp_path / "file"
    path.write_text(EARTH)
    held = hash_of(read_earth_model(path))
    stations = tuple(StationDelay(f"XX.C{i}", PhaseDelay(0.125, 9)) for i in (1, 3))
    delays = corrections_json(StationCorrections("mine", held, stations)).decode()
    same = (EARTH, f"# of mine\n{EARTH}") if what == "--earth-model" else (delays, json.dumps(json.loads(delays)))
    for text, status in ((same[0], 0), (same[1], 0), (same[0].replace("6.0", "6.1").replace("0.125", "0.25"), 2)):
        scanning.open_searcher.cache_clear()
        path.write_text(text)
        assert scan(options, tmp_path / "scan", what, str(path), end=60.0) == status
    assert f"holds a scan with {what} " in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told_before_the_search(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(scanning, "search", None)
    (tmp_path / "file").touch()
    assert scan(options, tmp_path / "file" / "scan") == 2
    assert "cannot be" in capsys.readouterr().err


def test_a_model_of_one_network_is_refused_where_its_stations_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from importlib import resources

    data = Path(str(resources.files("seiscomp_dlloc.data") / "demo"))
    status = main([
        "scan", "--waveforms", str(data / "waveforms.mseed"), "--inventory", str(data / "stations.xml"), "--start",
        "2030-01-01", "--end", "2030-01-02", "--model", "oklahoma-fcn-slim", "-o", str(tmp_path / "scan"),
    ])  # fmt: skip
    assert status == 2
    assert "belongs to one network" in capsys.readouterr().err
    assert not (tmp_path / "scan").exists()


def test_noise_gives_an_empty_catalogue(tmp_path: Path):
    options = write(tmp_path, waveforms([], 180.0, seed=5))
    assert scan(options, tmp_path / "scan", end=180.0, model="anynet") == 0
    assert rows(tmp_path / "scan") == []
    assert b"<event " not in (tmp_path / "scan" / "catalogue.xml").read_bytes()


@pytest.mark.slow
def test_several_workers_give_the_same_catalogue(options: list[str], whole: Path, tmp_path: Path):
    pytest.importorskip("distributed")
    assert scan(options, tmp_path / "scan", "--workers", "2") == 0
    assert (tmp_path / "scan" / "catalogue.csv").read_bytes() == (whole / "catalogue.csv").read_bytes()
