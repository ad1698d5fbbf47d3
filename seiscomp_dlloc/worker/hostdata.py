"""Waveforms and inventory of the host: the helper's, shared by all profiles and jobs."""

import contextlib
import logging
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from obspy import Inventory

from ..channels import ACCELERATION_INSTRUMENTS, BANDS, VELOCITY_INSTRUMENTS
from ..errors import DllocError, SettingError
from ..waveforms.follow import Follower
from ..waveforms.helper import HelperError, HelperPool
from ..waveforms.recordstream import EXPIRY_S, Codes, RecordstreamSource
from ..waveforms.ring import Ring, RingSource
from .acquire import Opened
from .config import WorkerConfig

_INVENTORY_S = 60.0
_AGAIN_S = 60.0
_CATALOGUES = 6
_POLL_S, _RING_POLL_S = 1.0, 0.1
_INSTRUMENTS = VELOCITY_INSTRUMENTS + ACCELERATION_INSTRUMENTS
_BANDS = BANDS[: BANDS.index("L")]

log = logging.getLogger("dlloc.engine")


class HostData:
    """What ``recordstream`` stands for; empty until it is asked for."""

    def __init__(self, config: WorkerConfig):
        self._command = config.recordstream
        self._lock = threading.Lock()
        self._inventory_lock = threading.Lock()
        self._pool: HelperPool | None = None
        self._ring_s = config.ring_s
        self._opened: dict[str, Opened] = {}
        self._rings: dict[str, RingSource] = {}
        self._followed: dict[str, tuple[RingSource, list[Codes]]] = {}
        self._catalogues: OrderedDict[Any, Catalogue] = OrderedDict()
        self._inventory = b""
        self._read_at = 0.0
        self._reading = False

    def opened(self, where: str) -> Opened:
        """The source ``recordstream`` or ``recordstream:URL``. Raises SettingError where there is no helper."""
        url = where.partition(":")[2]
        pool = self._helpers()
        with self._lock:
            if url not in self._opened:
                plain = RecordstreamSource(url=url, pool=pool, channels=self.channels)
                opened = Opened(plain, _POLL_S)
                if self._ring_s > 0:
                    opened.source = self._rings[url] = self._ring(pool, plain, opened)
                self._opened[url] = opened
            return self._opened[url]

    def _ring(self, pool: HelperPool, plain: RecordstreamSource, opened: Opened) -> RingSource:
        """A ring before ``plain``; memory may be asked more often than a server."""

        def changed(state: str) -> None:
            opened.poll_s = _RING_POLL_S if state == "following" else _POLL_S

        ring = Ring(self._ring_s)
        return RingSource(ring, Follower(pool.command, plain.url, ring, changed), plain)

    def follow(self, profile: str, where: str, key: Any, stations: Iterable[str]) -> None:
        """Keep the present channels of ``stations`` (NET.STA), of the inventory ``key``, in the ring for a profile."""
        self.opened(where)
        now = time.time()
        with self._lock:
            source, catalogue = self._rings.get(where.partition(":")[2]), self._catalogues.get(key)
            if source is None or catalogue is None:
                return
            names = [station.partition(".") for station in stations]
            codes = [codes for network, _, name in names for codes in catalogue.of(network, name, now, now)]
            self._followed[profile] = source, codes
            wanted = [codes for other, listed in self._followed.values() if other is source for codes in listed]
        if wanted:
            source.follower.follow(wanted)

    def _helpers(self) -> HelperPool:
        if not self._command:
            raise SettingError(
                "waveforms recordstream: worker.recordstreamCommand is not set; run 'dlloc install', or name other "
                "waveforms"
            )
        with self._lock:
            if self._pool is None:
                self._pool = HelperPool(self._command)
                try:
                    self._pool.warm()
                except HelperError as error:
                    log.error("worker.recordstreamCommand: %s", error)
            return self._pool

    def inventory(self) -> bytes:
        """SCML of the host's inventory; one that is old is read again behind the job. Raises InventoryError."""
        source = RecordstreamSource(pool=self._helpers())
        with self._inventory_lock:
            if not self._inventory:
                self._inventory = source.inventory(_INVENTORY_S)
                self._read_at = time.monotonic()
            elif time.monotonic() - self._read_at > EXPIRY_S and not self._reading:
                self._reading = True
                threading.Thread(target=self._read_again, args=(source,), name="inventory", daemon=True).start()
            return self._inventory

    def _read_again(self, source: RecordstreamSource) -> None:
        read_at = time.monotonic()
        try:
            found = source.inventory(_INVENTORY_S)
            if found != self._inventory:
                log.info("the host's inventory has changed")
        except DllocError as error:
            log.warning("%s; the one from before is used on", error)
            found, read_at = self._inventory, read_at - EXPIRY_S + _AGAIN_S
        with self._inventory_lock:
            self._inventory, self._read_at, self._reading = found, read_at, False

    def keep_warm(self) -> None:
        """See that there is a helper for the next request, where any have been needed."""
        with self._lock:
            pool = self._pool
        if pool is not None:
            # A command that cannot be run has been told, and is by every job
            with contextlib.suppress(HelperError):
                pool.warm()

    def learn(self, key: Any, inventory: Inventory) -> None:
        """Take the channels of an inventory, named by ``key``, for what may be asked of the host."""
        with self._lock:
            known = key in self._catalogues
        catalogue = self._catalogues[key] if known else Catalogue(inventory)
        with self._lock:
            self._catalogues[key] = catalogue
            self._catalogues.move_to_end(key)
            while len(self._catalogues) > _CATALOGUES:
                self._catalogues.popitem(last=False)

    def channels(self, network: str, station: str, start: float, end: float) -> list[Codes]:
        """Channels of a station between two times (POSIX s), of the inventory used last that has the station."""
        with self._lock:
            catalogues = list(reversed(self._catalogues.values()))
        for catalogue in catalogues:
            found = catalogue.of(network, station, start, end)
            if found:
                return found
        return []

    def report(self) -> dict[str, Any] | None:
        """State of the rings, for the worker's status; None where there is none."""
        with self._lock:
            sources = list(self._rings.values())
        if not sources:
            return None
        now = time.time()
        ends = [end for source in sources for end in source.ring.ends()]
        return {
            "state": ", ".join(source.follower.state for source in sources),
            "channels": f"{len(ends)} of {sum(len(source.follower.streams) for source in sources)}",
            "seconds": round(max(source.ring.seconds() for source in sources)),
            "MiB": round(sum(source.ring.held_bytes for source in sources) / 2**20, 1),
            "delay_s": round(max(now - statistics.median(ends), 0.0), 1) if ends else None,
            "trouble": "; ".join(source.follower.trouble for source in sources if source.follower.trouble) or None,
        }

    def close(self) -> None:
        """End the helpers."""
        with self._lock:
            pool, self._pool = self._pool, None
            sources = list(self._rings.values())
        for source in sources:
            source.close()
        if pool is not None:
            pool.close()


class Catalogue:
    """Channels and their epochs by station."""

    def __init__(self, inventory: Inventory):
        self._epochs: dict[tuple[str, str], list[tuple[Codes, float, float]]] = {}
        for network in inventory:
            for station in network:
                rows = self._epochs.setdefault((network.code, station.code), [])
                for channel in station:
                    codes = (network.code, station.code, channel.location_code or "", channel.code)
                    start = channel.start_date.timestamp if channel.start_date else float("-inf")
                    end = channel.end_date.timestamp if channel.end_date else float("inf")
                    rows.append((codes, start, end))
        for key, rows in self._epochs.items():
            # Those of a model; weather and slow channels only where there are no others
            useful = [row for row in rows if row[0][3][:1] in _BANDS and row[0][3][1:2] in _INSTRUMENTS]
            self._epochs[key] = useful or rows

    def of(self, network: str, station: str, start: float, end: float) -> list[Codes]:
        """Channels of a station that are there between two times (POSIX s), sorted."""
        rows = self._epochs.get((network, station), [])
        return sorted({codes for codes, first, last in rows if first <= end and last >= start})
