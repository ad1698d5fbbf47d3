"""A SeedLink server of a test (protocol 3): it has what the test gives it, and sends what comes later as it comes."""

import contextlib
import fnmatch
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seiscomp_dlloc.waveforms.mseed import Record, split


@dataclass
class _Wish:
    """One STATION of a client with its selector and times (POSIX s)."""

    station: str
    network: str
    selector: str = "?????"
    start: float | None = None
    end: float | None = None
    only_new: bool = True

    def wants(self, record: Record) -> bool:
        network, station, location, channel = record.seed_id.split(".")
        if (network, station) != (self.network, self.station):
            return False
        # Without location, a selector takes any; blanks stand for the empty one
        code = channel if len(self.selector) == 3 else f"{location:<2}{channel}".replace(" ", "?")
        if not fnmatch.fnmatchcase(code, self.selector):
            return False
        after = self.start is None or record.end >= self.start
        return after and (self.end is None or record.start <= self.end)


@dataclass
class SeedlinkServer:
    """``delay_s`` s after :meth:`push` the records are sent. ``mute``: takes connections and never says anything."""

    mute: bool = False
    records: list[Record] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._changed = threading.Condition()
        self._clients: list[socket.socket] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """For the host's RecordStream."""
        return f"slink://127.0.0.1:{self.port}"

    def push(self, content: bytes) -> None:
        """More records of 512 bytes."""
        with self._changed:
            self.records += split(content)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Break all connections; new ones are taken."""
        with self._changed:
            clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break all connections and take no more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()
        with self._changed:
            self._changed.notify_all()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with self._changed:
                    self._clients.append(client)
                    self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.mute:
            return
        wishes: list[_Wish] = []
        with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
            for line in lines:
                words = line.decode("ascii").split()
                if not words:
                    continue
                self.commands.append(" ".join(words))
                if words[0] == "BATCH":
                    client.sendall(b"OK\r\n")
                elif words[0] == "STATION":
                    wishes.append(_Wish(words[1], words[2]))
                elif words[0] == "SELECT":
                    wishes[-1].selector = words[1].partition(".")[0]
                elif words[0] == "TIME":
                    wishes[-1].start, *end = map(_time, words[1:])
                    wishes[-1].end = end[0] if end else None
                    wishes[-1].only_new = False
                elif words[0] == "END":
                    self._send(client, wishes)
                    return

    def _send(self, client: socket.socket, wishes: list[_Wish]) -> None:
        """What there is, then what comes; END once the end of all windows has passed."""
        with self._changed:
            new = len(self.records)
        position = 0
        while client in self._clients:
            with self._changed:
                if position >= len(self.records):
                    self._changed.wait(0.2)
                some, first = self.records[position:], position
                position = len(self.records)
            for number, record in enumerate(some, first):
                if any(wish.wants(record) and (number >= new or not wish.only_new) for wish in wishes):
                    client.sendall(f"SL{number % 0xFFFFFF:06X}".encode() + record.content)
            if not some and all(wish.end is not None and wish.end < time.time() for wish in wishes):
                client.sendall(b"END")
                return


def _time(text: str) -> float:
    """``YYYY,MM,DD,hh,mm,ss`` to POSIX s."""
    return datetime(*map(int, text.split(",")), tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]
