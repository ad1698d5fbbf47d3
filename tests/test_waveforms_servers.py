"""Waveforms from FDSN web services and SeedLink servers: small real servers on this machine."""

import http.server
import io
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from seiscomp_dlloc.errors import WaveformReadError, WaveformSourceError
from seiscomp_dlloc.waveforms import open_source

T0 = 1577934245.0


def records(*stations: str) -> bytes:
    traces = [
        Trace(
            np.arange(3000, dtype=np.int32),
            {"network": "XX", "station": s, "channel": "HHZ", "starttime": UTCDateTime(T0), "sampling_rate": 100.0},
        )
        for s in stations
    ]
    buffer = io.BytesIO()
    Stream(traces).write(buffer, format="MSEED", reclen=512)
    return buffer.getvalue()


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dataselect(status: int, body: bytes, requests: list[str] | None = None) -> http.server.ThreadingHTTPServer:
    """A dataselect service that answers every query with ``status`` and ``body``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if code != 204:
                self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer(200, b"1.1.0")

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if requests is not None:
                requests.append(asked)
            self.answer(status, body)

        def log_message(self, *_: Any) -> None:
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def test_fdsn_fetches_all_channels_in_one_request() -> None:
    requests: list[str] = []
    with serving(dataselect(200, records("S01", "S02"), requests)) as port:
        source = open_source(f"fdsnws://127.0.0.1:{port}")
        acquired = source.get_waveforms(["XX.S02.*.HH?", "XX.S01..HHZ"], T0 + 5, T0 + 10)
    assert [part.id for part in acquired.stream] == ["XX.S01..HHZ", "XX.S02..HHZ"]
    assert {part.stats.npts for part in acquired.stream} == {501}
    (asked,) = requests
    assert "XX S01 -- HHZ 2020-01-02T03:04:10" in asked
    assert "XX S02 * HH?" in asked


def test_fdsn_without_data_gives_an_empty_stream() -> None:
    with serving(dataselect(204, b"")) as port:
        acquired = open_source(f"fdsnws://127.0.0.1:{port}").get_waveforms(["XX.S01.*.*"], T0, T0 + 10)
    assert len(acquired.stream) == 0


@pytest.mark.parametrize(("status", "body"), [(500, b"broken"), (403, b"forbidden"), (200, b"<html>login</html>" * 50)])
def test_a_failing_fdsn_request_fails_the_event_and_names_the_server(status: int, body: bytes) -> None:
    with serving(dataselect(status, body)) as port:
        source = open_source(f"fdsnws://127.0.0.1:{port}")
        with pytest.raises(WaveformReadError, match=f"127.0.0.1:{port}"):
            source.get_waveforms(["XX.S01.*.*"], T0, T0 + 10)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["fdsnws", "seedlink"])
def test_a_server_that_does_not_answer_is_refused_at_the_start(scheme: str) -> None:
    with pytest.raises(WaveformSourceError, match="answers there"):
        open_source(f"{scheme}://127.0.0.1:{unused_port()}", timeout_s=2)


@pytest.mark.parametrize("scheme", ["fdsnws", "seedlink"])
def test_a_server_that_stays_silent_is_given_up(scheme: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(WaveformSourceError, match="answers there"):
            open_source(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)


@pytest.mark.parametrize("where", ["seedlink://host:port", "fdsnws://:80", "seedlink://host:99999", "fdsnws://no host"])
def test_an_address_that_is_none_is_refused(where: str) -> None:
    with pytest.raises(WaveformSourceError, match=where.replace("fdsnws://no", "no")):
        open_source(where)


INFO = (
    b'<?xml version="1.0"?><seedlink><station name="S01" network="XX"><stream location="" seedname="HHZ"/></station>'
    b'<station name="S02" network="XX"><stream location="" seedname="HHZ"/></station></seedlink>'
)


def info_packets() -> bytes:
    """The INFO answer as SeedLink sends it: XML in the data of log records, 'SLINFO *' before the last."""
    packets = b""
    pieces = [INFO[i : i + 448] for i in range(0, len(INFO), 448)]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        header = (
            b"000001D " + b"INFO   INFSL" + bytes([0x07, 0xE4, 0, 1]) + bytes(6) + len(piece).to_bytes(2, "big")
        ) + bytes([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 64, 0, 48])
        blockette = bytes([0x03, 0xE8, 0, 0, 0, 1, 9, 0])
        record = (header + blockette).ljust(64, b"\0") + piece.ljust(448, b"\0")
        packets += (b"SLINFO  " if last else b"SLINFO *") + record
    return packets


class SeedLink(socketserver.ThreadingTCPServer):
    """A SeedLink 3 server with two stations; ``ends`` whether it says END after the window."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, ends: bool = True) -> None:
        self.commands: list[str] = []
        self.ends = ends
        super().__init__(("127.0.0.1", 0), SeedLinkHandler)


class SeedLinkHandler(socketserver.StreamRequestHandler):
    server: SeedLink

    def handle(self) -> None:
        stations: list[str] = []
        while command := self.read_command():
            self.server.commands.append(command)
            word = command.split()[0]
            if word == "HELLO":
                self.wfile.write(b"SeedLink v3.1 (test)\r\ntest\r\n")
            elif word == "INFO":
                self.wfile.write(info_packets())
            elif word == "STATION":
                stations.append(command.split()[1])
                self.wfile.write(b"OK\r\n")
            elif word in ("SELECT", "TIME", "DATA"):
                self.wfile.write(b"OK\r\n")
            elif word == "END":
                content = records(*stations)
                for number in range(len(content) // 512):
                    self.wfile.write(b"SL%06X" % number + content[number * 512 : (number + 1) * 512])
                if self.server.ends:
                    self.wfile.write(b"END")
            elif word == "BYE":
                return

    def read_command(self) -> str:
        text = b""
        while not text.endswith((b"\r", b"\n")):
            try:
                more = self.rfile.read(1)
            except OSError:
                return ""
            if not more:
                return ""
            text += more
            if text in (b"\r", b"\n"):
                text = b""
        return text.decode().strip()


def test_seedlink_fetches_all_channels_over_one_connection() -> None:
    server = SeedLink()
    with serving(server) as port:
        source = open_source(f"seedlink://127.0.0.1:{port}", timeout_s=5)
        acquired = source.get_waveforms(["XX.*.*.HH?"], T0 + 5, T0 + 10)
    assert [part.id for part in acquired.stream] == ["XX.S01..HHZ", "XX.S02..HHZ"]
    assert {part.stats.npts for part in acquired.stream} == {501}
    assert acquired.dropped == ()
    assert sum(command.startswith("STATION") for command in server.commands) == 2
    assert server.commands.count("END") == 1


def test_a_seedlink_server_that_falls_silent_is_named_and_what_came_stays() -> None:
    with serving(SeedLink(ends=False)) as port:
        source = open_source(f"seedlink://127.0.0.1:{port}", timeout_s=1)
        acquired = source.get_waveforms(["XX.S01.*.*"], T0 + 5, T0 + 10)
    assert [part.id for part in acquired.stream] == ["XX.S01..HHZ"]
    (dropped,) = acquired.dropped
    assert str(port) in dropped.seed_id
    assert "may be incomplete" in dropped.reason


def test_seedlink_knows_neither_other_stations_nor_the_future() -> None:
    server = SeedLink()
    with serving(server) as port:
        source = open_source(f"seedlink://127.0.0.1:{port}", timeout_s=5)
        assert len(source.get_waveforms(["YY.*.*.*"], T0, T0 + 10).stream) == 0
        assert len(source.get_waveforms(["XX.*.*.*"], 4e9, 4e9 + 10).stream) == 0
    assert "END" not in server.commands
