"""Waveforms and inventory through the host's helper, with helpers that are slow, die, hang and talk nonsense."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from miniseed import T0, packed, trace
from obspy import read
from streamsamples import channel, inventory
from workers import DEMO, MODEL, RunningWorker, alive, until

from seiscomp_dlloc.errors import InventoryError, WaveformReadError, WaveformSourceError
from seiscomp_dlloc.waveforms import open_source
from seiscomp_dlloc.waveforms.helper import HelperPool
from seiscomp_dlloc.waveforms.recordstream import RecordstreamSource
from seiscomp_dlloc.worker.config import ProfileConfig, WorkerConfig
from seiscomp_dlloc.worker.hostdata import Catalogue
from seiscomp_dlloc.worker.launch import WorkerLauncher
from seiscomp_dlloc.worker.stock import Stock

FAKE = Path(__file__).resolve().parent / "fakehelper.py"
IDS = ("XX.S01.00.HHZ", "XX.S01.00.HHN", "XX.S02..HHZ")
PATTERNS = ("XX.S01.*.*", "XX.S02.*.*")
SECONDS = 60.0

Make = Callable[..., RecordstreamSource]


def command(mode: str, folder: Path) -> list[str]:
    return [sys.executable, str(FAKE), mode, str(folder)]


def wrapper(folder: Path) -> Path:
    """A command without arguments, as the installed one is."""
    script = folder / "a helper"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} good "{folder}"\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = packed(*(trace(seed_id, npts=int(SECONDS * 100)) for seed_id in IDS))
    (tmp_path / "records").write_bytes(content)
    (tmp_path / "inventory.xml").write_bytes(b"<seiscomp/>")
    return tmp_path


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    made: list[RecordstreamSource] = []

    def source(mode: str, **options: object) -> RecordstreamSource:
        made.append(RecordstreamSource(command(mode, folder), **options))  # type: ignore[arg-type]
        return made[-1]

    yield source
    for one in made:
        one.close()


def requests(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "requests").read_text().splitlines()]


def pids(source: RecordstreamSource) -> list[int]:
    return [helper.pid for helper in source.pool._idle]


def test_waveforms_come_whole_and_cut_to_the_window(make: Make):
    acquired = make("good").get_waveforms(PATTERNS, T0 + 10.0, T0 + 20.0)
    assert [found.id for found in acquired.stream] == sorted(IDS)
    assert acquired.dropped == ()
    for found in acquired.stream:
        np.testing.assert_array_equal(found.data, np.arange(1000, 2001))
        assert found.stats.starttime.timestamp == T0 + 10.0


def test_a_request_names_the_channels_that_the_inventory_has_and_patterns_where_it_has_none(make: Make, folder: Path):
    def channels(network: str, station: str, start: float, end: float) -> list[tuple[str, str, str, str]]:
        return [(network, station, "00", "HHZ"), (network, station, "00", "HHN")] if station == "S01" else []

    make("good", url="caps://here", channels=channels).get_waveforms(PATTERNS, T0, T0 + 1.0)
    (request,) = requests(folder)
    assert request["url"] == "caps://here"
    assert request["streams"] == [["XX", "S01", "00", "HHN"], ["XX", "S01", "00", "HHZ"], ["XX", "S02", "*", "*"]]
    assert request["start"] <= T0 < T0 + 1.0 <= request["end"]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("nonsense", "talks nonsense"),
        ("stranger", "no answer to this request"),
        ("complains", "slink://nowhere: no route"),
    ],
)
def test_a_helper_that_fails_is_told_with_its_command(make: Make, mode: str, said: str):
    with pytest.raises(WaveformReadError, match=said) as caught:
        make(mode).get_waveforms(PATTERNS, T0, T0 + 1.0)
    assert mode == "complains" or "fakehelper.py" in str(caught.value)


def test_what_a_dying_helper_has_sent_is_kept_and_its_last_words_are_told(make: Make, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "dlloc.recordstream"):
        acquired = make("dies").get_waveforms(PATTERNS, T0, T0 + SECONDS)
    assert 0 < sum(found.stats.npts for found in acquired.stream) < 3 * SECONDS * 100
    (dropped,) = acquired.dropped
    assert "exit status 3" in dropped.reason
    assert "out of luck" in dropped.reason
    assert any("out of luck" in message for message in caplog.messages)


def test_an_error_beside_data_is_told_and_the_data_are_used(make: Make):
    acquired = make("half").get_waveforms(PATTERNS, T0, T0 + SECONDS)
    assert acquired.stream
    assert [item.reason for item in acquired.dropped] == ["no tape in the drive"]


def test_a_helper_that_never_answers_is_given_up_at_the_limit_and_replaced(make: Make):
    source = make("dumb")
    source.pool.warm()
    (before,) = pids(source)
    began = time.monotonic()
    with pytest.raises(WaveformReadError, match="did not answer in time"):
        source.by(time.monotonic() + 0.5).get_waveforms(PATTERNS, T0, T0 + 1.0)
    assert time.monotonic() - began < 5.0
    until(lambda: not alive(before))
    assert pids(source) != [before]


def test_what_has_come_by_the_limit_is_used(make: Make, folder: Path):
    (folder / "records").write_bytes(packed(trace(npts=200_000)))
    source = make("slow")
    source.pool.warm()
    time.sleep(0.5)
    acquired = source.by(time.monotonic() + 2.0).get_waveforms(PATTERNS, T0, T0 + 2000.0)
    assert 0 < acquired.stream[0].stats.npts < 200_000
    assert "incomplete" in acquired.dropped[0].reason


def test_a_request_is_over_when_nothing_more_comes(make: Make):
    acquired = make("stops", quiet_s=0.3).get_waveforms(PATTERNS, T0, T0 + SECONDS)
    assert acquired.stream
    assert "nothing more came for 0.3 s" in acquired.dropped[0].reason


def test_many_megabytes_come_through(make: Make, folder: Path):
    rng = np.random.default_rng(1)
    long = trace(npts=6_000_000)
    long.data = rng.integers(-(2**30), 2**30, long.stats.npts, np.int32)
    content = packed(long, encoding="INT32")
    assert len(content) > 20_000_000
    (folder / "records").write_bytes(content)
    acquired = make("good").get_waveforms(["XX.S01.*.*"], T0, T0 + 60_000.0)
    np.testing.assert_array_equal(acquired.stream[0].data, long.data)


def test_a_helper_that_ended_while_it_was_idle_is_replaced_unnoticed(make: Make):
    source = make("once")
    for _ in range(4):
        assert len(source.get_waveforms(PATTERNS, T0, T0 + 5.0).stream) == 3


def test_a_spare_is_kept_warm_and_all_are_ended(make: Make):
    source = make("good")
    source.get_waveforms(PATTERNS, T0, T0 + 1.0)
    warm = pids(source)
    assert warm
    assert all(map(alive, warm))
    source.close()
    until(lambda: not any(map(alive, warm)))
    with pytest.raises(WaveformReadError, match="closed"):
        source.get_waveforms(PATTERNS, T0, T0 + 1.0)


def test_in_a_calm_one_spare_is_enough_and_an_old_one_gives_way(folder: Path):
    pool = HelperPool(command("good", folder), age_s=1000.0)
    taken = [pool.take(time.monotonic() + 10.0) for _ in range(2)]
    for helper in taken:
        pool.give(helper, True)
    assert len(pool._idle) == 2
    pool.warm()
    assert len(pool._idle) == 2
    pool._taken -= 100.0
    pool.warm()
    (left,) = pool._idle
    left.started -= 2000.0
    pool.warm()
    assert pool._idle != [left]
    assert not left.alive
    pool.close()


def test_more_requests_than_helpers_wait_for_their_turn(folder: Path):
    pool = HelperPool(command("good", folder), most=2)
    source = RecordstreamSource(pool=pool)
    found: list[int] = []
    asking = [
        threading.Thread(target=lambda: found.append(len(source.get_waveforms(PATTERNS, T0, T0 + 1.0).stream)))
        for _ in range(6)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60.0)
    source.close()
    assert found == [3] * 6


def test_when_all_helpers_are_busy_that_is_told_at_the_limit(folder: Path):
    pool = HelperPool(command("good", folder), most=1)
    taken = pool.take(time.monotonic() + 10.0)
    with pytest.raises(WaveformReadError, match="all 1 helpers are busy"):
        RecordstreamSource(pool=pool).by(time.monotonic() + 0.1).get_waveforms(PATTERNS, T0, T0 + 1.0)
    pool.give(taken, True)
    pool.close()


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(WaveformReadError, match="/no/such/helper: cannot be run"):
        RecordstreamSource("/no/such/helper").get_waveforms(PATTERNS, T0, T0 + 1.0)


def test_an_empty_command_is_refused():
    with pytest.raises(WaveformSourceError, match="recordstreamCommand"):
        RecordstreamSource("")


def test_a_path_with_blanks_is_one_command(folder: Path):
    source = RecordstreamSource(str(wrapper(folder)))
    assert len(source.get_waveforms(PATTERNS, T0, T0 + 1.0).stream) == 3
    source.close()


def test_the_inventory_is_read_once_until_it_expires(make: Make, folder: Path):
    source = make("good")
    assert source.inventory() == b"<seiscomp/>"
    (folder / "inventory.xml").write_bytes(b"<seiscomp></seiscomp>")
    assert source.inventory() == b"<seiscomp/>"
    assert source.inventory(expiry_s=0.0) == b"<seiscomp></seiscomp>"


@pytest.mark.parametrize(("mode", "said"), [("complains", "no route"), ("nonsense", "nonsense"), ("dumb", "in time")])
def test_an_inventory_that_cannot_be_had_is_an_error_that_says_why(make: Make, mode: str, said: str):
    with pytest.raises(InventoryError, match=said):
        make(mode).inventory(timeout_s=3.0)


def test_helpers_end_with_the_process_that_started_them(folder: Path):
    code = (
        "import os, sys, time\n"
        "from seiscomp_dlloc.waveforms.helper import HelperPool\n"
        "pool = HelperPool(sys.argv[1:])\n"
        "pool.warm()\n"
        "print(pool._idle[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *command("good", folder)], stdout=subprocess.PIPE, cwd=FAKE.parent.parent
    )
    assert parent.stdout is not None
    helper = int(parent.stdout.readline())
    assert alive(helper)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not alive(helper))


def test_outside_the_worker_the_hosts_recordstream_is_refused_with_a_reason():
    for where in ("recordstream", "recordstream:slink://localhost"):
        with pytest.raises(WaveformSourceError, match="read by the worker inside SeisComP"):
            open_source(where)


def test_the_catalogue_leaves_slow_channels_out_where_there_are_others():
    catalogue = Catalogue(inventory(channel("XX.A..HHZ"), channel("XX.A..LHZ"), channel("XX.B..LHZ")))
    assert catalogue.of("XX", "A", T0, T0) == [("XX", "A", "", "HHZ")]
    assert catalogue.of("XX", "B", T0, T0) == [("XX", "B", "", "LHZ")]
    assert catalogue.of("XX", "C", T0, T0) == []


def test_a_host_that_was_away_and_an_inventory_that_changes_are_taken_up(tmp_path: Path):
    (tmp_path / "records").write_bytes(b"")
    profile = ProfileConfig("live", waveforms="recordstream")
    stock = Stock(WorkerConfig(socket="", recordstream=str(wrapper(tmp_path)), ring_s=600.0, profiles=(profile,)))
    try:
        stock.warm()
        assert "the host's inventory" in stock.problems["live"]
        (tmp_path / "inventory.xml").write_bytes((DEMO / "stations.xml").read_bytes())
        stock.warm()
        assert not stock.problems
        followed = until(lambda: [row for row in requests(tmp_path) if row["kind"] == "follow"])
        assert followed[0]["streams"]
        before = stock.host.inventory()
        changed = before.replace(b"<Module>", b"<Module>of another day ") + b"<!-- changed -->"
        (tmp_path / "inventory.xml").write_bytes(changed)
        assert stock.host.inventory() == before
        stock.host._read_at -= 1000.0
        until(lambda: stock.host.inventory() == changed)
        # A host that fails later leaves what there was
        (tmp_path / "inventory.xml").unlink()
        stock.host._read_at -= 1000.0
        stock.host.inventory()
        until(lambda: not stock.host._reading)
        assert stock.host.inventory() == changed
    finally:
        stock.close()


def test_a_worker_locates_with_waveforms_and_inventory_of_the_host(tmp_path: Path):
    # Records as archives have them: of one length
    read(DEMO / "waveforms.mseed").write(str(tmp_path / "records"), format="MSEED", reclen=512)
    (tmp_path / "inventory.xml").write_bytes((DEMO / "stations.xml").read_bytes())
    settings = tmp_path / "dlloc.cfg"
    settings.write_text(
        f"profile.default.waveforms = recordstream\nprofile.default.model = {MODEL}\n"
        f'worker.recordstreamCommand = "{wrapper(tmp_path)}"\n'
    )
    host, plain = RunningWorker(), RunningWorker()
    try:
        host.options = ["--config", str(settings), "--log", str(host.log)]
        host.launcher = WorkerLauncher(host.socket, sys.executable, host.options, host.environment)
        answers = [worker.start().ready().locate("one")[0] for worker in (host, plain)]
        assert [answer["status"] for answer in answers] == ["accepted"] * 2, answers[0]["detail"]
        places = [[answer["solution"][key] for key in ("latitude", "longitude", "depth_km")] for answer in answers]
        assert places[0] == places[1]
        ring = until(lambda: (host.status()["ring"] or {}).get("state") == "archive" and host.status()["ring"])
        assert ring["channels"].startswith("0 of ")
        asked = [row for row in requests(tmp_path) if row["kind"] == "records"]
        assert all("*" not in code for row in asked for codes in row["streams"] for code in codes)
    finally:
        host.end()
        plain.end()


def test_a_profile_with_waveforms_of_its_own_takes_the_hosts_inventory_where_it_names_none(tmp_path: Path):
    (tmp_path / "inventory.xml").write_bytes((DEMO / "stations.xml").read_bytes())
    profile = ProfileConfig("files", waveforms=str(DEMO / "waveforms.mseed"))
    stock = Stock(WorkerConfig(socket="", recordstream=str(wrapper(tmp_path)), profiles=(profile,)))
    try:
        stock.warm()
        assert not stock.problems
        assert [row["kind"] for row in requests(tmp_path)] == ["inventory"]
    finally:
        stock.close()
