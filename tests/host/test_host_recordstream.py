"""The helper in a real SeisComP: archives, inventories and SeedLink servers, read for the worker."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, UTCDateTime
from obspy.core.event import Catalog, Event
from obspy.taup import TauPyModel
from oklahoma import OklahomaData, picked_event, write_document, write_sds
from scratchroot import ScratchRoot, wait_until
from seedlinkserver import SeedlinkServer

from seiscomp_dlloc.errors import InventoryError, WaveformReadError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.waveforms.follow import Follower
from seiscomp_dlloc.waveforms.mseed import Part, decode, split
from seiscomp_dlloc.waveforms.recordstream import RecordstreamSource
from seiscomp_dlloc.waveforms.ring import Ring
from seiscomp_dlloc.waveforms.sds import SdsSource
from seiscomp_dlloc.worker.client import Client
from seiscomp_dlloc.worker.hostdata import Catalogue

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EVENTS = 5


@pytest.fixture(scope="session")
def data(shared_data: Path) -> OklahomaData:
    return OklahomaData.read(shared_data)


@pytest.fixture(scope="session")
def archive(data: OklahomaData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SDS of a few recorded events."""
    folder = tmp_path_factory.mktemp("sds")
    write_sds(data, data.test_names[:EVENTS], folder)
    return folder


@pytest.fixture
def command(host: ScratchRoot, tmp_path: Path) -> str:
    """The helper as it is installed: a script that makes the host's environment itself."""
    (host.root / "lib" / "python" / "seiscomp_dlloc").symlink_to(REPOSITORY / "seiscomp_dlloc")
    script = tmp_path / "dlloc-recordstream"
    names = ("SEISCOMP_ROOT", "HOME", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    lines = [f"export {name}='{host.environment[name]}'" for name in names]
    lines.append('exec seiscomp-python -m seiscomp_dlloc.seiscomp_app.recordstream "$@"')
    script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def server() -> Iterator[SeedlinkServer]:
    made = SeedlinkServer()
    yield made
    made.close()


def patterns(data: OklahomaData) -> list[str]:
    return sorted(f"{network.code}.{station.code}.*.*" for network in data.inventory for station in network)


def same(ours: Stream, theirs: Stream) -> None:
    """The same traces, to the sample and the nanosecond."""
    assert [trace.id for trace in ours] == [trace.id for trace in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.stats.starttime.ns == other.stats.starttime.ns
        assert mine.stats.sampling_rate == other.stats.sampling_rate
        np.testing.assert_array_equal(mine.data, other.data)


@pytest.mark.parametrize("explicit", [True, False])
def test_an_archive_gives_the_same_samples_as_our_own_reader(
    command: str, archive: Path, data: OklahomaData, explicit: bool
):
    channels = Catalogue(data.inventory).of if explicit else None
    source = RecordstreamSource(command, f"sdsarchive://{archive}", channels=channels)
    times = []
    for name in data.test_names[:EVENTS]:
        start = min(trace.stats.starttime for trace in data.waveforms(name)).timestamp + 7.3
        began = time.monotonic()
        acquired = source.get_waveforms(patterns(data), start, start + 60.0)
        times.append(time.monotonic() - began)
        expected = SdsSource(archive).get_waveforms(patterns(data), start, start + 60.0)
        assert len(expected.stream) > 60
        same(acquired.stream, expected.stream)
        assert acquired.dropped == ()
    source.close()
    print("\n60 s of 30 stations: " + ", ".join(f"{seconds:.3f}" for seconds in times) + " s")


def test_the_recordstream_is_that_of_the_hosts_configuration(
    command: str, host: ScratchRoot, archive: Path, data: OklahomaData
):
    start = data.waveforms(data.test_names[0])[0].stats.starttime.timestamp
    # The module's own file wins over the one of all
    with (host.root / "etc" / "global.cfg").open("a") as handle:
        handle.write("recordstream = sdsarchive:///nowhere\n")
    host.write_config("dlloc", f"recordstream = sdsarchive://{archive}")
    source = RecordstreamSource(command)
    assert len(source.get_waveforms(patterns(data), start, start + 60.0).stream) > 60
    source.close()
    host.write_config("dlloc", "profiles = default")
    source = RecordstreamSource(command)
    with pytest.raises(WaveformReadError, match=r"sdsarchive:///nowhere: no such folder.*setting 'recordstream'"):
        source.get_waveforms(patterns(data), start, start + 60.0)
    source.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense://x", r"nonsense://x: the host knows no RecordStream 'nonsense'.*setting 'recordstream'"),
        ("slink://127.0.0.1:1", r"slink://127.0.0.1:1: .*Connection refused.*setting 'recordstream'"),
        ("file:///no/such.mseed", r"file:///no/such.mseed: cannot be opened: .*setting 'recordstream'"),
        ("routing://x", r"routing://x: cannot be opened: Invalid RecordStream URL"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_setting(command: str, url: str, said: str):
    source = RecordstreamSource(command, url)
    with pytest.raises(WaveformReadError, match=said):
        source.get_waveforms(["XX.S01.*.*"], time.time() - 100.0, time.time() - 50.0)
    source.close()


def test_records_that_are_no_miniseed_are_written_as_such(command: str, archive: Path, data: OklahomaData):
    name = data.test_names[0]
    start = data.waveforms(name)[0].stats.starttime.timestamp
    plain = RecordstreamSource(command, f"sdsarchive://{archive}")
    resampled = RecordstreamSource(url=f"resample://sdsarchive?rate=10/{archive}", pool=plain.pool)
    (fine,) = plain.get_waveforms(["XX.S16..HHZ"], start + 10.0, start + 80.0).stream
    coarse = resampled.get_waveforms(["XX.S16..HHZ"], start + 20.0, start + 70.0).stream
    assert {trace.stats.sampling_rate for trace in coarse} == {10.0}
    assert sum(trace.stats.npts for trace in coarse) > 400
    # The resampled trace runs along the recorded one; below 1 Hz they are the same
    longest = max(coarse, key=lambda trace: trace.stats.npts)
    times = longest.times() + (longest.stats.starttime - fine.stats.starttime)
    beside = np.interp(times, fine.times(), fine.data)
    assert np.corrcoef(beside, longest.data)[0, 1] > 0.8
    plain.close()


# Inventory


def summary(inventory) -> dict[str, tuple[object, ...]]:
    """What locating takes of an inventory."""
    rows = {}
    for network in inventory:
        for station in network:
            for channel in station:
                sensitivity = channel.response.instrument_sensitivity if channel.response else None
                rows[f"{network.code}.{station.code}.{channel.location_code or ''}.{channel.code}"] = (
                    round(channel.latitude, 6), round(channel.longitude, 6), round(channel.elevation, 3),
                    channel.azimuth, channel.dip, channel.start_date, channel.end_date,
                    sensitivity.value if sensitivity else None,
                )  # fmt: skip
    return rows


@pytest.mark.parametrize("where", ["database", "file", "folder"])
def test_the_hosts_inventory_is_that_of_its_file(command: str, host: ScratchRoot, data: OklahomaData, where: str):
    folder = host.root / "etc" / "inventory"
    if folder.is_symlink():
        folder.unlink()
        folder.mkdir()
    if where == "database":
        converted = host.load_inventory(data.folder / "stations.xml")
    else:
        converted = folder / "stations.xml"
        host.run("fdsnxml2inv", data.folder / "stations.xml", converted)
        lines = ["core.plugins = dbsqlite3"]
        host.write_config("global", *lines, *([f"database.inventory = {converted}"] if where == "file" else []))
    source = RecordstreamSource(command)
    content = source.inventory()
    source.close()
    # The converter leaves the sampling rate out where StationXML has none; ObsPy wants one
    text = converted.read_text().replace(
        "<depth>", "<sampleRateNumerator>0</sampleRateNumerator><sampleRateDenominator>1</sampleRateDenominator><depth>"
    )
    expected = summary(read_inventory(text.encode()))
    assert len(expected) == 90
    assert summary(read_inventory(content)) == expected


def test_a_database_that_is_away_is_named_without_its_password(command: str):
    source = RecordstreamSource([command, "-d", "sqlite3:///no/such.db"])
    with pytest.raises(InventoryError, match=r"no connection to the database sqlite3:///no/such\.db"):
        source.inventory()
    source.close()
    source = RecordstreamSource([command, "-d", "mysql://me:secret@nowhere/seiscomp"])
    with pytest.raises(InventoryError, match="mysql://me@nowhere/seiscomp"):
        source.inventory()
    source.close()


# The worker


class Worker:
    """A worker with profiles of its own, in the host's environment."""

    def __init__(self, host: ScratchRoot, folder: Path, command: str, *lines: str):
        self.socket = str(folder / "w.sock")
        settings = folder / "dlloc.cfg"
        settings.write_text(
            "".join(
                f"{line}\n"
                for line in (
                    *lines,
                    f"worker.recordstreamCommand = {command}",
                    f"worker.socket = {self.socket}",
                    f"worker.logFile = {folder / 'w.log'}",
                )
            )
        )
        self.log = folder / "w.log"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HOME": str(host.home)}
        environment.pop("SEISCOMP_ROOT", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seiscomp_dlloc", "worker", "run", "--config", str(settings)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(Path(self.socket).exists, 120)
        self.client = Client(self.socket)
        wait_until(lambda: self.client.status()["engine"]["state"] == "ready", 120)

    def locate(self, document: Path | bytes, profile: str, **request) -> dict:
        content = document if isinstance(document, bytes) else document.read_bytes()
        request = {"id": f"{profile} {time.time()}", "profile": profile, **request}
        return self.client.locate(request, {"event": content}, 60.0)[0]

    def helpers(self) -> list[int]:
        """Processes of the engine."""
        engine = self.client.status()["engine"]["pid"]
        found = subprocess.run(["pgrep", "-P", str(engine)], capture_output=True, text=True, check=False)
        return [int(word) for word in found.stdout.split()]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def place(answer: dict) -> list[float]:
    return [answer["solution"][key] for key in ("latitude", "longitude", "depth_km")]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_worker_locates_with_the_host_as_it_does_with_files(
    host: ScratchRoot, command: str, archive: Path, data: OklahomaData, tmp_path: Path
):
    host.load_inventory(data.folder / "stations.xml")
    host.write_config("dlloc", f"recordstream = sdsarchive://{archive}")
    worker = Worker(
        host,
        tmp_path,
        command,
        "profiles = host, files",
        *(f"profile.{name}.model = oklahoma-fcn-slim" for name in ("host", "files")),
        "profile.host.waveforms = recordstream",
        f"profile.files.waveforms = sds://{archive}",
        f"profile.files.inventory = {data.folder / 'stations.xml'}",
    )
    try:
        for name in data.test_names[:EVENTS]:
            write_document(data, (name,), tmp_path / "event.xml")
            with_host, with_files = (worker.locate(tmp_path / "event.xml", name) for name in ("host", "files"))
            assert with_host["status"] == with_files["status"]
            assert place(with_host) == pytest.approx(place(with_files), abs=1e-6)
        wait_until(lambda: worker.client.status()["ring"]["state"] == "archive")
        helpers = worker.helpers()
        assert helpers
        os.kill(worker.client.status()["engine"]["pid"], signal.SIGKILL)
        wait_until(lambda: all(map(gone, helpers)), 20)
    finally:
        worker.end()


def test_a_helper_that_waits_for_a_server_dies_with_the_one_who_started_it(command: str, tmp_path: Path):
    server = SeedlinkServer(mute=True)
    code = (
        "import sys, time\n"
        "from seiscomp_dlloc.waveforms.helper import Helper\n"
        "helper = Helper([sys.argv[1]])\n"
        "request = {'kind': 'follow', 'id': 'x', 'streams': [['XX', 'S01', '', 'HHZ']], 'start': 0.0}\n"
        "helper.ask({**request, 'url': sys.argv[2]}, time.monotonic() + 60)\n"
        "print(helper.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, command, server.url], stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert parent.stdout is not None
    helper = int(parent.stdout.readline())
    wait_until(lambda: server.connections)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(helper), 20)
    server.close()


# SeedLink


def moved(data: OklahomaData, name: str, shift: float) -> tuple[Event, Stream]:
    """A recorded event and its waveforms, ``shift`` seconds later."""
    event, stream = picked_event(data, name, TauPyModel("iasp91")), data.waveforms(name)
    for item in [*event.picks, *event.origins]:
        item.time = item.time + shift
    for trace in stream:
        trace.stats.starttime = trace.stats.starttime + shift
    return event, stream


def records(stream: Stream, folder: Path) -> bytes:
    """Short records: uncompressed samples."""
    for trace in stream:
        trace.data = trace.data.astype(np.int32)
    path = folder / "stream.mseed"
    stream.write(str(path), format="MSEED", reclen=512, encoding="INT32")
    return path.read_bytes()


def test_seedlink_is_asked_once_without_retries_and_ends(command: str, server: SeedlinkServer, data, tmp_path: Path):
    name = data.test_names[0]
    start = data.waveforms(name)[0].stats.starttime.timestamp
    _, stream = moved(data, name, round(time.time()) - 300.0 - round(start))
    server.push(records(stream, tmp_path))
    begin = stream[0].stats.starttime.timestamp + 10.0
    source = RecordstreamSource(command, server.url, channels=Catalogue(data.inventory).of)
    acquired = source.get_waveforms(patterns(data), begin, begin + 60.0)
    assert acquired.dropped == ()
    same(acquired.stream, stream.slice(UTCDateTime(begin), UTCDateTime(begin + 60.0)).sort())
    source.close()


def test_an_archive_behind_a_server_gives_what_is_old_and_the_server_what_is_new(
    command: str, server: SeedlinkServer, archive: Path, data: OklahomaData, tmp_path: Path
):
    name = data.test_names[0]
    recorded = data.waveforms(name)[0].stats.starttime.timestamp
    _, stream = moved(data, name, round(time.time()) - 300.0 - round(recorded))
    server.push(records(stream, tmp_path))
    url = f"combined://slink/127.0.0.1:{server.port};sdsarchive/{archive}??rtMax=3600"
    source = RecordstreamSource(command, url, channels=Catalogue(data.inventory).of)
    old = source.get_waveforms(patterns(data), recorded + 10.0, recorded + 70.0)
    same(old.stream, SdsSource(archive).get_waveforms(patterns(data), recorded + 10.0, recorded + 70.0).stream)
    begin = stream[0].stats.starttime.timestamp + 10.0
    new = source.get_waveforms(patterns(data), begin, begin + 60.0)
    same(new.stream, stream.slice(UTCDateTime(begin), UTCDateTime(begin + 60.0)).sort())
    server.close()
    with pytest.raises(WaveformReadError, match="Connection refused"):
        source.get_waveforms(patterns(data), begin, begin + 60.0)
    source.close()


def test_a_lost_connection_is_made_again_and_nothing_is_missing(command: str, server: SeedlinkServer, data, tmp_path):
    name = data.test_names[0]
    start = data.waveforms(name)[0].stats.starttime.timestamp
    _, stream = moved(data, name, round(time.time()) - 110.0 - round(start))
    content = records(stream, tmp_path)
    early = b"".join(r.content for r in split(content) if r.end < time.time() - 50.0)
    late = b"".join(r.content for r in split(content) if r.end >= time.time() - 50.0)
    server.push(early)
    ring = Ring(600.0)
    follower = Follower([command], server.url, ring)
    follower.follow(codes for p in patterns(data) for codes in Catalogue(data.inventory).of(*p.split(".")[:2], 0, 4e9))
    wait_until(lambda: ring.held_bytes == len(early))
    server.hang_up()
    server.push(late)
    wait_until(lambda: ring.held_bytes == len(content))
    wait_until(lambda: follower.up)
    assert server.connections >= 2
    for trace in stream:
        found, _ = decode([Part("ring", ring.packed(trace.id, 0.0, 4e9)[1])])
        found.merge(method=-1)
        same(found, Stream([trace]))
    follower.close()


def test_a_job_that_waits_is_done_soon_after_its_last_record(
    host: ScratchRoot, command: str, server: SeedlinkServer, data: OklahomaData, tmp_path: Path
):
    name = data.test_names[0]
    stream = data.waveforms(name)
    # The model's window ends 11 s before the recording does
    shift = round(time.time()) + 60.0 - round(stream[0].stats.endtime.timestamp)
    event, stream = moved(data, name, shift)
    Catalog([event]).write(str(tmp_path / "event.xml"), format="SCML", version="0.14")
    coming = sorted(split(records(stream, tmp_path)), key=lambda record: record.end)
    pushed: list[tuple[float, float]] = []

    def feed() -> None:
        """Each record a second after its last sample: no job could be done before its window's end."""
        while coming:
            due = [record for record in coming if record.end <= time.time() - 1.0]
            if due:
                del coming[: len(due)]
                server.push(b"".join(record.content for record in due))
                pushed.extend((record.end, time.time()) for record in due)
            time.sleep(0.02)

    threading.Thread(target=feed, daemon=True).start()
    worker = Worker(
        host,
        tmp_path,
        command,
        "profiles = live",
        "profile.live.model = oklahoma-fcn-slim",
        f"profile.live.waveforms = recordstream:{server.url}",
        f"profile.live.inventory = {data.folder / 'stations.xml'}",
    )
    try:
        wait_until(lambda: worker.client.status()["ring"]["state"] == "following")
        answer = worker.locate(tmp_path / "event.xml", "live", wait="complete", deadline_s=60.0)
        answered = time.time()
        assert answer["complete"], answer
        before = [when for _, when in pushed if when <= answered - answer["timing"]["located_s"]]
        late = answered - max(before) - answer["timing"]["located_s"]
        ring = worker.client.status()["ring"]
        print(f"\n{late:.3f} s after the last record it waited for, without locating; ring: {ring}")
        assert late < 5.0
        assert ring["channels"] == "90 of 90"
        # The follower's, and at most a few for what it was still making up for
        assert server.connections <= 4
        # As from what there was of the recording then, in one piece; a record ends one step behind its last sample
        there = max(end for end, when in pushed if when <= answered) - stream[0].stats.delta / 2
        stream.trim(endtime=UTCDateTime(there)).write(str(tmp_path / "whole.mseed"), format="MSEED")
        whole = worker.client.locate(
            {"id": "whole", "profile": "live"},
            {"event": (tmp_path / "event.xml").read_bytes(), "waveforms": (tmp_path / "whole.mseed").read_bytes()},
            60.0,
        )[0]
        assert place(answer) == pytest.approx(place(whole), abs=1e-6)
    finally:
        worker.end()
