"""What stands in a bundle, and how one is made.

A bundle is a zip file with ``manifest.json`` (trigger, options, job, settings, model, versions), ``event.xml`` (the
job's document), ``waveforms.mseed`` (as handed to the locator), ``inventory.xml`` (StationXML of the stations of the
event's time, responses of those with waveforms), ``answer.json``, and where there are any ``answer.xml``,
``picture.png``, ``earth_model.json`` (as a passport's ``earth_model``; of time grids, which are large, their name and
hash alone) and ``corrections.json`` (of stations, as :mod:`~seiscomp_dlloc.formats.corrections` has them), which the
locator had in place of the model's own.

The version is that of the manifest. A member that came later leaves it as it was: who does not know it refuses a bundle
that has it, by its name, and bundles without it are the same as before.
"""

import copy
import hashlib
import io
import json
import math
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from obspy import Inventory

from .. import __version__
from ..arrivals.corrections import StationCorrections
from ..arrivals.gridearth import GridEarth
from ..channels import ChannelIndex
from ..errors import BundleError
from ..formats.archive import pack
from ..formats.atomic import write_atomically
from ..formats.corrections import corrections_json
from ..formats.plain import as_json
from ..locate import Job, Located
from ..solution import Options
from ..waveforms.pack import to_miniseed

FORMAT = "dlloc bundle"
VERSION = 1


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read. ``manifest`` is the JSON document; ``answer`` that of the solution.

    ``earth_model`` and ``corrections``: what the locator was given, None for the model's own earth; of time grids,
    which the bundle does not hold, their document.
    """

    job: Job
    inventory: Any
    options: Options
    answer: dict[str, Any]
    event: bytes
    manifest: dict[str, Any] = field(default_factory=dict)
    earth_model: dict[str, Any] | None = None
    corrections: StationCorrections | None = None

    @property
    def model_label(self) -> str:
        """``name/version`` of the model that answered."""
        model = self.manifest["model"]
        return f"{model['name']}/{model['version']}"


def make_bundle(
    located: Located,
    job: Job,
    inventory: Any,
    options: Options,
    event: bytes = b"",
    request: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    reply: bytes = b"",
    picture: bytes = b"",
    earth_model: dict[str, Any] | GridEarth | None = None,
    corrections: StationCorrections | None = None,
) -> bytes:
    """The bundle of an answer, as bytes.

    ``job``, ``inventory``, ``options``, ``earth_model`` and ``corrections`` are what the locator was given; ``event``
    the document that the trigger came in; ``request`` and ``settings`` whatever else should be kept as JSON; ``reply``
    the SCML that was answered, ``picture`` a PNG. Raises BundleError where a part cannot be written.
    """
    solution = located.solution
    earth = earth_model.document if isinstance(earth_model, GridEarth) else earth_model
    try:
        records, rows = to_miniseed(job.stream) if job.stream is not None else (b"", [])
        stations = _inventory_xml(inventory, job)
        delays = b"" if corrections is None else corrections_json(corrections)
    except Exception as error:  # ObsPy's writers raise whatever comes
        raise BundleError(f"{solution.trigger.public_id}: cannot be kept ({type(error).__name__}: {error})") from error
    members = {
        "event.xml": event,
        "waveforms.mseed": records,
        "inventory.xml": stations,
        "answer.json": json_bytes(as_json(solution)),
        "answer.xml": reply,
        "picture.png": picture,
        "earth_model.json": b"" if earth is None else json_bytes(earth),
        "corrections.json": delays,
    }
    members = {name: content for name, content in members.items() if content}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "made": time.time(),
        "trigger": asdict(job.trigger),
        "dropped": [asdict(item) for item in job.dropped],
        "error": None if job.error is None else {"kind": type(job.error).__name__, "text": str(job.error)},
        "stream": job.stream is not None,
        "traces": rows,
        "options": asdict(options),
        "request": dict(request or {}),
        "settings": dict(settings or {}),
        "model": asdict(solution.model),
        "software": software(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    return pack({"manifest.json": json_bytes(manifest), **members})


def write_bundle(path: str | Path, located: Located, job: Job, inventory: Any, options: Options, **more: Any) -> None:
    """Write :func:`make_bundle` to ``path``, whole or not at all. Raises BundleError, SettingError."""
    write_atomically(path, make_bundle(located, job, inventory, options, **more))


def json_bytes(document: dict[str, Any]) -> bytes:
    """JSON without NaN: a number that is none becomes null, an object of another kind its text."""
    return json.dumps(_finite(document), indent=1, sort_keys=True, ensure_ascii=True, default=str).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def software() -> dict[str, str]:
    """Versions of this package and of the libraries that an answer depends on."""
    versions = {"seiscomp_dlloc": __version__, "python": sys.version.split()[0], "machine": platform.machine()}
    for name in ("numpy", "scipy", "obspy", "onnxruntime", "onnxruntime-gpu", "lxml"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _inventory_xml(inventory: Any, job: Job) -> bytes:
    """StationXML of the stations at the trigger's time; channels only of those that have waveforms."""
    recorded = {f"{t.stats.network}.{t.stats.station}" for t in job.stream or ()}
    kept = _subset(inventory, recorded, job.trigger.time)
    # Whether any channel at all has a sensitivity decides whether counts will do
    if not ChannelIndex.from_inventory(kept).has_sensitivity and ChannelIndex.from_inventory(inventory).has_sensitivity:
        kept = inventory
    if not any(network.stations for network in kept):
        return b""
    buffer = io.BytesIO()
    kept.write(buffer, format="STATIONXML")
    return buffer.getvalue()


def _subset(inventory: Any, recorded: set[str], when: float) -> Inventory:
    networks = []
    for network in inventory:
        stations = []
        for station in network:
            if not _overlaps(station, when, 0.0):
                continue
            own = copy.copy(station)
            own.channels = []
            if f"{network.code}.{station.code}" in recorded:
                # A record may begin, and an epoch end, shortly before the trigger's time
                own.channels = [channel for channel in station if _overlaps(channel, when, 3600.0)]
            stations.append(own)
        if stations:
            part = copy.copy(network)
            part.stations = stations
            networks.append(part)
    return Inventory(networks, source="seiscomp_dlloc")


def _overlaps(item: Any, when: float, slack_s: float) -> bool:
    start = item.start_date.timestamp if item.start_date else -math.inf
    end = item.end_date.timestamp if item.end_date else math.inf
    return bool(start - slack_s <= when <= end + slack_s)
