"""Keeps bundles and pictures of answers, in a thread of its own behind them: nobody waits for it."""

import dataclasses
import logging
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import BundleStore, make_bundle
from ..errors import DllocError
from ..locate import Job, Located
from ..solution import Options
from .config import WorkerConfig
from .request import JobRequest
from .stock import Earth

_MOST_WAITING = 8

log = logging.getLogger("dlloc.engine")


@dataclass(frozen=True)
class Kept:
    """What a bundle is made of; ``public_id`` is that of the origin which was answered."""

    public_id: str
    located: Located
    job: Job
    inventory: Any
    options: Options
    earth: Earth
    request: JobRequest
    reply: bytes


class Keeper:
    """Writes bundles one by one. Where more come than can be written some are left out, and the log says so."""

    def __init__(self, config: WorkerConfig):
        self._config = config
        self._store = BundleStore(config.bundles, config.most_bundles) if config.bundles else None
        self._queue: queue.Queue[Kept] = queue.Queue(_MOST_WAITING)
        self._started = False
        self._lock = threading.Lock()

    def keep(self, kept: Kept) -> Path | None:
        """Where the bundle will stand; None where none is kept."""
        if self._store is None:
            return None
        with self._lock:
            if not self._started:
                threading.Thread(target=self._run, name="keeper", daemon=True).start()
                self._started = True
        try:
            self._queue.put_nowait(kept)
        except queue.Full:
            log.warning("no bundle of %s: %d others are still being written", kept.public_id, _MOST_WAITING)
            return None
        return self._store.path(kept.public_id)

    def _run(self) -> None:
        while True:
            kept = self._queue.get()
            try:
                self._write(kept)
            except DllocError as error:
                log.error("no bundle of %s: %s", kept.public_id, error)
            except Exception:
                # matplotlib may raise anything; a picture that cannot be drawn must not end the others
                log.exception("no bundle of %s", kept.public_id)
            del kept

    def _write(self, kept: Kept) -> None:
        if self._store is None:
            return
        # Slow to import, and needed here only
        from ..report.figures import located_png

        picture = located_png(kept.located)
        request = {
            field.name: getattr(kept.request, field.name)
            for field in dataclasses.fields(JobRequest)
            if field.name not in ("trigger", "document", "waveform_blob", "inventory_blob", "labels")
        }
        bundle = make_bundle(
            kept.located, kept.job, kept.inventory, kept.options, kept.request.document, request,
            self._config.to_json(), kept.reply, picture, kept.earth.model, kept.earth.corrections,
        )  # fmt: skip
        self._store.keep(kept.public_id, bundle, picture)
