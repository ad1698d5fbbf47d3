"""The helper that reads the host's RecordStream and inventory for the worker: frames on stdin, frames on stdout.

    seiscomp-python -m seiscomp_dlloc.seiscomp_app.recordstream [options of the host's applications]

Frames are those of :mod:`seiscomp_dlloc.worker.protocol`; one request at a time, in order:

* ``{"kind": "records", "id", "streams": [[net, sta, loc, cha], ...], "start", "end", "timeout_s", "url"}``: ``data``
  frames with the blob ``mseed``, then ``{"kind": "end", "id", "complete", "error"}``. ``url`` '': the host's setting
  ``recordstream``. Nothing is asked for beyond now.
* ``{"kind": "follow", "id", "streams", "start", "url"}``: the same, without end while the RecordStream has none.
* ``{"kind": "inventory", "id"}``: ``{"kind": "inventory", "id"}`` with the blob ``xml``, or ``end`` with ``error``.
* ``{"kind": "ping"}``: ``pong``, with the versions that ``hello``, the first frame, has, too.

The records of a ``data`` frame are of one ``length`` (bytes). A RecordStream that waits for its server holds the
interpreter, so nothing can be said meanwhile: each record goes out as it comes (those of files in bundles), and who
asks kills this process when the time is over.

What RecordStreams make of ``*`` and ``?`` (SeisComP 7, its sources): ``sdsarchive`` and ``file`` match them in all
codes; ``slink`` asks with ``?`` in location and channel, an empty location standing for any; ``slink4``, ``caps`` and
``fdsnws`` hand them to the server, which knows them; ``combined``, ``dec`` and ``resample`` hand them on;
``routing``, ``balanced`` and ``concurrent`` choose the server of a stream by its codes, so a pattern reaches one
server alone and perhaps the wrong one. Codes without ``*`` and ``?`` are understood by all.
"""

import ctypes
import math
import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from seiscomp import client, core, io

from .. import __version__
from ..errors import ProtocolError
from ..worker.protocol import Blobs, Decoder, Header, encode, error_message
from .helping import Complaints, RequestError
from .hostinventory import inventory_of
from .objects import host_time
from .packing import miniseed

SETTING = "setting 'recordstream' of the host (global.cfg, dlloc.cfg) or the profile's 'recordstream:URL'"

_FILES = ("file", "sdsarchive")
_SEEDLINK = ("slink", "slink4", "slink4s")
_BUNDLE = 1 << 18
_PR_SET_PDEATHSIG = 1


class Helper(client.Application):  # type: ignore[misc]
    """The host's settings and plugins; the database is opened when the inventory is asked for."""

    def __init__(self, argc: int, argv: List[str], output: int) -> None:
        super().__init__(argc, argv)
        self.setMessagingEnabled(False)
        self.setDatabaseEnabled(True, False)
        self.setDaemonEnabled(False)
        self.setRecordStreamEnabled(True)
        self.setLoggingToStdErr(True)
        self._output = output
        self._complaints = Complaints()

    def initDatabase(self) -> bool:  # noqa: N802 (the host's name)
        """Later: waveforms need no database."""
        return True

    def run(self) -> bool:
        """Answer requests until stdin ends."""
        self._complaints.listen()
        self._send({"kind": "hello", **self._versions()})
        decoder = Decoder()
        while True:
            data = os.read(0, 1 << 16)
            if not data:
                return True
            try:
                messages = decoder.feed(data)
            except ProtocolError as error:
                self._send(error_message("bad request", str(error)))
                return False
            for header, _ in messages:
                self._answer(header)

    def _answer(self, header: Header) -> None:
        identifier, kind, complaints = header.get("id"), header["kind"], self._complaints
        error, complete = "", True
        complaints.take()
        try:
            if kind == "ping":
                self._send({"kind": "pong", "id": identifier, **self._versions()})
                return
            if kind == "inventory":
                self._send({"kind": "inventory", "id": identifier}, {"xml": inventory_of(self, complaints)})
                return
            if kind not in ("records", "follow"):
                self._send(
                    error_message("bad request", f"kind {kind!r}: records, follow, inventory and ping are known")
                )
                return
            error = self._acquire(header, kind == "follow")
            complete = not error
        except (RequestError, ProtocolError, RuntimeError, ValueError) as failure:
            # RuntimeError and ValueError are what the host's exceptions become
            error, complete = str(failure) or type(failure).__name__, False
        self._send({"kind": "end", "id": identifier, "complete": complete, "error": error[:4000]})

    def _send(self, header: Dict[str, Any], blobs: Optional[Blobs] = None) -> None:
        """One frame, whole; without reader there is nothing left to do."""
        with memoryview(encode(header, blobs)) as frame:
            sent = 0
            try:
                while sent < len(frame):
                    sent += os.write(self._output, frame[sent:])
            except BrokenPipeError:
                os._exit(0)

    def _versions(self) -> Dict[str, Any]:
        return {
            "software": __version__,
            "host": str(self.frameworkVersion()),
            "python": sys.version.split()[0],
            "pid": os.getpid(),
        }

    # Waveforms

    def _acquire(self, header: Header, follow: bool) -> str:
        """Send the records; what the host complained of ('' where it did not). Raises RequestError."""
        complaints = self._complaints
        url = str(header.get("url") or "") or str(self.recordStreamURL())
        streams, start, end = _wanted(header, follow)
        if not follow and start >= end:
            # Nothing of it has been recorded yet; a server would wait for it
            return ""
        service = url.partition("://")[0] if "://" in url else "file"
        source = _opened(url, service, complaints)
        source.setDataHint(core.Record.SAVE_RAW)
        limit = header.get("timeout_s")
        if isinstance(limit, (int, float)) and limit > 0:
            source.setTimeout(max(1, math.ceil(limit)))
        source.setStartTime(host_time(start))
        for codes in streams:
            if follow:
                source.addStream(*codes)
            else:
                source.addStream(*codes, host_time(start), host_time(end))
        self._pass_on(header.get("id"), source, _BUNDLE if service in _FILES else 0)
        said = complaints.take()
        return f"{url}: {said} ({SETTING})" if said else ""

    def _pass_on(self, identifier: Any, source: Any, bundle: int) -> None:
        """Every record of ``source``; up to ``bundle`` bytes of one record length go together."""
        waiting: Dict[int, List[bytes]] = {}
        held = 0
        while True:
            record = source.next()
            if record is None:
                break
            for packed in miniseed(record):
                waiting.setdefault(len(packed), []).append(packed)
                held += len(packed)
            if held > bundle:
                self._flush(identifier, waiting)
                held = 0
        self._flush(identifier, waiting)
        source.close()

    def _flush(self, identifier: Any, waiting: Dict[int, List[bytes]]) -> None:
        for length, packed in waiting.items():
            self._send({"kind": "data", "id": identifier, "length": length}, {"mseed": b"".join(packed)})
        waiting.clear()


def _wanted(header: Header, follow: bool) -> Tuple[List[Tuple[str, str, str, str]], float, float]:
    """Streams, start and end (POSIX s) of a request. Raises RequestError."""
    streams: Any = header.get("streams")
    start: Any = header.get("start")
    end: Any = header.get("end", time.time())
    good = isinstance(streams, list) and all(
        isinstance(codes, list) and len(codes) == 4 and all(isinstance(code, str) for code in codes)
        for codes in streams
    )
    if not good or not streams:
        raise RequestError("streams: is no list of [network, station, location, channel]")
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (start, end)):
        raise RequestError("start and end: are no POSIX seconds")
    end = float(end) if follow else min(float(end), time.time())
    return [(codes[0], codes[1], codes[2], codes[3]) for codes in streams], float(start), end


def _opened(url: str, service: str, complaints: Complaints) -> Any:
    """The RecordStream at ``url``. Raises RequestError."""
    if io.RecordStream.Create(service) is None:
        raise RequestError(
            f"{url}: the host knows no RecordStream '{service}'; 'scautopick --record-driver-list' names those there "
            f"are, further ones come with plugins ({SETTING})"
        )
    if service == "sdsarchive":
        absent = [path for path in url.partition("://")[2].split(",") if path[:1] == "/" and not os.path.isdir(path)]
        if absent:
            raise RequestError(f"{url}: no such folder: {', '.join(absent)} ({SETTING})")
    source = io.RecordStream.Open(without_retries(url, service))
    if source is None:
        raise RequestError(f"{url}: cannot be opened: {complaints.take() or 'the host does not say why'} ({SETTING})")
    return source


def without_retries(url: str, service: str) -> str:
    """``url``, with SeedLink ending where its server goes: its own reconnection asks for everything again."""
    if "retries=" in url:
        return url
    if service in _SEEDLINK:
        return f"{url}{'&' if '?' in url else '?'}retries=0"
    # combined://slink/host:port;..., SeedLink where no kind is named
    first, semicolon, rest = url.partition(";")
    kind, _, place = first.partition("://")[2].rpartition("/")
    if service == "combined" and kind in ("", *_SEEDLINK) and place and "(" not in first:
        return f"{first}{'&' if '?' in first else '?'}retries=0{semicolon}{rest}"
    return url


def die_with_parent() -> None:
    """Have the system kill this process when its parent dies, also while the host waits for a server (Linux)."""
    parent = os.getppid()
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(0)


def main(argv: List[str]) -> int:
    """Serve stdin; the exit status."""
    die_with_parent()
    # What the host's libraries print must not come between the frames
    output = os.dup(1)
    os.dup2(2, 1)
    # The module's name: its configuration file may name another RecordStream than global.cfg
    arguments = ["dlloc", *argv[1:]]
    app = Helper(len(arguments), arguments, output)
    return int(app())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
