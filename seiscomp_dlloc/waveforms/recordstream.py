"""Waveforms and inventory of the host, fetched by its helper: any RecordStream that the operator has configured."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ..errors import InventoryError, WaveformReadError, WaveformSourceError
from ..records import Dropped
from .base import Acquired, Selection, WaveformSource
from .helper import Helper, HelperError, HelperPool
from .mseed import Part, decode

Codes = tuple[str, str, str, str]
"""Network, station, location and channel."""

Channels = Callable[[str, str, float, float], Iterable[Codes]]
"""Channels of a station (network, station) that are there between two times (POSIX s); none where that is unknown."""

EXPIRY_S = 600.0
"""The host's inventory is read again after this."""

QUIET_S = 3.0
"""A request that has brought data is over when no more have come for so long: servers wait for late stations."""

_MARGIN_S = 1.0


class RecordstreamSource(WaveformSource):
    """The host's RecordStream.

    ``command`` starts the helper (see :mod:`.helper`; several sources may share a ``pool``), ``url`` is the
    RecordStream's, '' for the host's own. ``channels`` says which channels a station has: RecordStreams that spread
    streams over servers do not know patterns. Raises WaveformSourceError where the command is empty.
    """

    def __init__(
        self,
        command: str | Sequence[str] = "",
        url: str = "",
        timeout_s: float = 30.0,
        pool: HelperPool | None = None,
        channels: Channels | None = None,
        quiet_s: float = QUIET_S,
    ):
        if pool is None:
            try:
                pool = HelperPool(command)
            except ValueError as error:
                raise WaveformSourceError(f"worker.recordstreamCommand: {error}") from error
        self.pool, self.url, self._timeout_s, self._quiet_s = pool, url, timeout_s, quiet_s
        self.address = f"recordstream:{url}" if url else "recordstream"
        self._channels = channels
        self._inventory: tuple[float, bytes] | None = None
        self._inventory_lock = threading.Lock()

    def by(self, limit: float) -> WaveformSource:
        """The same source, answering by ``limit`` (monotonic s) with what has come till then."""
        return _Limited(self, limit)

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        return self.fetch(selection, starttime, endtime, time.monotonic() + self._timeout_s)

    def fetch(self, selection: Selection, starttime: float, endtime: float, limit: float) -> Acquired:
        """As :meth:`get_waveforms`, by ``limit`` (monotonic s), uncut. Raises WaveformReadError."""
        streams = self.streams(selection, starttime, endtime)
        request = {
            "kind": "records",
            "streams": [list(codes) for codes in streams],
            "start": starttime - _MARGIN_S,
            "end": endtime + _MARGIN_S,
            "timeout_s": max(limit - time.monotonic(), 0.1),
            "url": self.url,
        }
        records, trouble = self._request(request, min(limit, time.monotonic() + self._timeout_s))
        if trouble and not records:
            raise WaveformReadError(f"{self.address}: {trouble}")
        return decoded(records, self.address, trouble)

    def streams(self, selection: Selection, starttime: float, endtime: float) -> list[Codes]:
        """What to ask the host for: the channels that match, where they are known, else the patterns."""
        wanted: dict[Codes, None] = {}
        for pattern in selection.patterns:
            network, station, _, _ = pattern
            known = list(self._channels(network, station, starttime, endtime)) if self._channels else []
            if known:
                wanted |= dict.fromkeys(codes for codes in known if selection.matches(".".join(codes)))
            else:
                wanted[pattern] = None
        return sorted(wanted)

    def _request(self, request: dict[str, object], limit: float) -> tuple[list[bytes], str]:
        """Records of a request, and what went wrong ('': nothing). Raises WaveformReadError."""
        while True:
            try:
                helper = self.pool.take(limit)
            except HelperError as error:
                raise WaveformReadError(str(error)) from error
            warm = helper.asked > 0
            records: list[bytes] = []
            usable = False
            try:
                trouble = self._listen(helper, request, limit, records)
                usable = trouble is not None
                if trouble is None:
                    trouble = (
                        f"nothing more came for {self._quiet_s:g} s"
                        if records and time.monotonic() < limit
                        else "did not answer in time"
                        if not records
                        else "sent more than could be taken in time"
                    )
                    trouble += helper.last_words()
                    if records:
                        trouble += "; the window may be incomplete"
            except HelperError as error:
                trouble = str(error)
                if warm and not records and time.monotonic() < limit:
                    # It may have died long before
                    continue
            finally:
                self.pool.give(helper, usable)
            return records, trouble

    def _listen(self, helper: Helper, request: dict[str, object], limit: float, records: list[bytes]) -> str | None:
        """Take the answer into ``records``. What the helper complains of; None where it never came to the end."""
        identifier = f"{helper.pid}/{helper.asked}"
        helper.ask({**request, "id": identifier}, limit)
        while True:
            until = min(limit, time.monotonic() + self._quiet_s) if records else limit
            messages = helper.read(until)
            if not messages:
                return None
            for header, blobs in messages:
                if header.get("id") != identifier or header["kind"] not in ("data", "end"):
                    raise HelperError(f"{helper.name}: talks nonsense: '{header['kind']}' is no answer to this request")
                if header["kind"] == "end":
                    return str(header.get("error") or "") or ("" if header.get("complete") else "was not completed")
                records.append(blobs.get("mseed", b""))

    def inventory(self, timeout_s: float = 60.0, expiry_s: float = EXPIRY_S) -> bytes:
        """SCML of the host's inventory, from memory where it is younger than ``expiry_s``.

        Raises InventoryError: the host has none, or the helper fails.
        """
        with self._inventory_lock:
            if self._inventory is not None and time.monotonic() - self._inventory[0] < expiry_s:
                return self._inventory[1]
            limit = time.monotonic() + timeout_s
            try:
                helper = self.pool.take(limit)
                try:
                    content = self._read_inventory(helper, limit)
                finally:
                    # It holds the whole inventory, and a connection to the database
                    self.pool.give(helper, False)
            except (HelperError, WaveformReadError) as error:
                raise InventoryError(f"the host's inventory: {error}") from error
            self._inventory = time.monotonic(), content
            return content

    def _read_inventory(self, helper: Helper, limit: float) -> bytes:
        helper.ask({"kind": "inventory", "id": "inventory"}, limit)
        for header, blobs in helper.read(limit):
            if header["kind"] == "inventory" and blobs.get("xml"):
                return blobs["xml"]
            raise HelperError(f"{helper.name}: {header.get('error') or 'sent no inventory'}")
        raise HelperError(f"{helper.name}: did not answer in time{helper.last_words()}")

    def close(self) -> None:
        """End the helpers."""
        self.pool.close()


class _Limited(WaveformSource):
    """The source with a limit (monotonic s)."""

    def __init__(self, source: RecordstreamSource, limit: float):
        self._source, self._limit = source, limit

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        return self._source.fetch(selection, starttime, endtime, self._limit)


def decoded(records: Sequence[bytes], address: str, trouble: str) -> Acquired:
    """Traces of records, in runs of one length; what could not be decoded and ``trouble`` are told."""
    # Runs of one length decode in one go, whatever the frames were
    stream, dropped = decode(Part(address, run) for run in _runs(records))
    if trouble:
        dropped.append(Dropped(address, trouble))
    return Acquired(stream, tuple(dropped))


def _runs(records: Sequence[bytes]) -> list[bytes]:
    """All records joined; ObsPy's reader takes records of several lengths, too."""
    content = b"".join(records)
    return [content] if content else []
