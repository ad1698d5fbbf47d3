"""Bundles: everything that one answer was made from, in one file, so that it can be made again.

A bundle is a zip file with ``manifest.json`` (trigger, options, job, settings, model, versions), ``event.xml`` (the
job's document), ``waveforms.mseed`` (as handed to the locator), ``inventory.xml`` (StationXML of the stations of the
event's time, responses of those with waveforms), ``answer.json``, and where there are any ``answer.xml`` and
``picture.png``. It may come from anybody: it is read into memory, checked, and names no file that is opened.
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
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from obspy import Inventory

from . import __version__, errors
from .channels import ChannelIndex
from .errors import BundleError, EventError, InventoryError
from .formats.archive import pack, unpack
from .formats.atomic import write_atomically
from .formats.identifiers import file_stem
from .formats.inventory import read_inventory
from .formats.plain import as_json
from .geometry import distance_azimuth
from .locate import Job, Located, Locator, RunsModel
from .records import Dropped, Pick, Solution, Trigger
from .solution import Options
from .waveforms.pack import from_miniseed, to_miniseed

FORMAT = "dlloc bundle"
VERSION = 1

_MIB = 1 << 20
LIMITS = {
    "manifest.json": 16 * _MIB,
    "event.xml": 64 * _MIB,
    "waveforms.mseed": 512 * _MIB,
    "inventory.xml": 256 * _MIB,
    "answer.json": 16 * _MIB,
    "answer.xml": 64 * _MIB,
    "picture.png": 32 * _MIB,
}
"""Members of a bundle and the most bytes that each may have."""

SUFFIX = ".dlloc.zip"

# The answer is the same again to the metre and the millisecond; other numbers to what another processor may change
NEAR_M, NEAR_S, NEAR = 1.0, 1e-3, 1e-3


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read. ``manifest`` is the JSON document; ``answer`` that of the solution."""

    job: Job
    inventory: Any
    options: Options
    answer: dict[str, Any]
    event: bytes
    manifest: dict[str, Any] = field(default_factory=dict)

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
) -> bytes:
    """The bundle of an answer, as bytes.

    ``job``, ``inventory`` and ``options`` are what the locator was given; ``event`` the document that the trigger came
    in; ``request`` and ``settings`` whatever else should be kept as JSON; ``reply`` the SCML that was answered,
    ``picture`` a PNG. Raises BundleError where a part cannot be written.
    """
    solution = located.solution
    try:
        records, rows = to_miniseed(job.stream) if job.stream is not None else (b"", [])
        stations = _inventory_xml(inventory, job)
    except Exception as error:  # ObsPy's writers raise whatever comes
        raise BundleError(f"{solution.trigger.public_id}: cannot be kept ({type(error).__name__}: {error})") from error
    members = {
        "event.xml": event,
        "waveforms.mseed": records,
        "inventory.xml": stations,
        "answer.json": _json(as_json(solution)),
        "answer.xml": reply,
        "picture.png": picture,
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
    return pack({"manifest.json": _json(manifest), **members})


def write_bundle(path: str | Path, located: Located, job: Job, inventory: Any, options: Options, **more: Any) -> None:
    """Write :func:`make_bundle` to ``path``, whole or not at all. Raises BundleError, SettingError."""
    write_atomically(path, make_bundle(located, job, inventory, options, **more))


def _json(document: dict[str, Any]) -> bytes:
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


def read_bundle(path: str | Path) -> Bundle:
    """The bundle at ``path``. Raises BundleError naming the file and what is wrong with it."""
    members = unpack(path, LIMITS, BundleError)
    manifest = _document(path, members, "manifest.json")
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: is a zip file, but no bundle of dlloc")
    if manifest.get("version") != VERSION:
        raise BundleError(f"{path}: is a bundle of version {manifest.get('version')!r}; version {VERSION} is read")
    sums = manifest.get("sha256")
    for name in sorted(set(members) | set(sums if isinstance(sums, dict) else {})):
        if name == "manifest.json":
            continue
        there = hashlib.sha256(members[name]).hexdigest() if name in members else None
        if not isinstance(sums, dict) or sums.get(name) != there:
            raise BundleError(f"{path}: {name} is not what the manifest says: the bundle is damaged or was changed")
    answer = _document(path, members, "answer.json")
    try:
        if not all(isinstance(manifest["model"][key], str) for key in ("name", "version", "sha256", "provider")):
            raise ValueError("model")
        rows = [(str(a), int(b), float(c), int(d)) for a, b, c, d in manifest["traces"]]
        stream = from_miniseed(members.get("waveforms.mseed", b""), rows) if manifest["stream"] else None
        job = Job(
            _trigger(manifest["trigger"]),
            stream,
            _error(manifest["error"]),
            tuple(Dropped(str(item["seed_id"]), str(item["reason"])) for item in manifest["dropped"]),
        )
        options = Options(**{f.name: _option(manifest["options"][f.name], f.default) for f in fields(Options)})
        stations = members.get("inventory.xml", b"")
        inventory = read_inventory(stations) if stations else Inventory()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"{path}: its manifest is incomplete ({type(error).__name__}: {error})") from error
    except (EventError, InventoryError) as error:
        raise BundleError(f"{path}: {error}") from error
    return Bundle(job, inventory, options, answer, members.get("event.xml", b""), manifest)


def _document(path: str | Path, members: dict[str, bytes], name: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} stands in it")

    try:
        document = json.loads(members[name], parse_constant=refuse)
    except KeyError as error:
        raise BundleError(f"{path}: has no {name}; it is no bundle of dlloc") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {name} is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path}: {name} is no JSON object")
    return document


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _trigger(row: dict[str, Any]) -> Trigger:
    picks = []
    for pick in row["picks"]:
        texts = {k: str(pick[k]) for k in ("public_id", "network", "station", "location", "channel", "phase")}
        picks.append(Pick(time=float(pick["time"]), used=pick["used"] is True, **texts))
    place = {key: _number(row[key]) for key in ("latitude", "longitude", "depth_km")}
    return Trigger(str(row["origin_id"]), float(row["time"]), str(row["event_id"]), picks=tuple(picks), **place)


def _option(value: Any, default: Any) -> Any:
    """An option of the type of its default."""
    if isinstance(default, bool):
        return value is True
    return _number(value) if default is None else type(default)(value)


def _error(row: dict[str, str] | None) -> EventError | None:
    """The error that there were no waveforms for."""
    if row is None:
        return None
    kind = getattr(errors, str(row["kind"]), None)
    found = kind if isinstance(kind, type) and issubclass(kind, EventError) else EventError
    return found(str(row["text"]))


def replay(bundle: Bundle, model: RunsModel) -> Located:
    """Locate again. Raises BundleError where ``model`` is not the one that answered."""
    wanted = bundle.manifest["model"]["sha256"]
    if model.identity.sha256 != wanted:
        raise BundleError(
            f"the bundle was answered by {bundle.model_label} (SHA-256 {wanted[:12]}...), the model given is "
            f"{model.identity.label} ({model.identity.sha256[:12]}...); give that model's file with --model"
        )
    return next(iter(Locator(model, bundle.inventory, bundle.options).run([bundle.job])))


def differences(before: Mapping[str, Any], solution: Solution) -> tuple[str, ...]:
    """What of the answer kept (:func:`~seiscomp_dlloc.formats.plain.as_json`) differs from ``solution``'s.

    Equal are hypocentres within a metre, times within a millisecond, other numbers within a thousandth.
    """
    after = json.loads(_json(as_json(solution)))
    told: list[str] = []
    try:
        _compare_places(before, after, told)
    except (KeyError, TypeError, ValueError) as error:
        told.append(f"the hypocentre that was kept cannot be read ({error})")
    places = {"time", "latitude", "longitude", "depth_km"}
    for key, new in after.items():
        if key not in places and not _same(before.get(key), new) and key != "model":
            told.append(f"{key}: {_brief(before.get(key))} before, {_brief(new)} now")
    return tuple(told)


def _compare_places(before: Mapping[str, Any], after: dict[str, Any], told: list[str]) -> None:
    if (before["latitude"] is None) != (after["latitude"] is None):
        told.append("a hypocentre only " + ("now" if before["latitude"] is None else "before"))
        return
    if after["latitude"] is None:
        return
    old, new = ([float(row[k]) for k in ("latitude", "longitude", "depth_km")] for row in (before, after))
    away_m = 1000.0 * float(distance_azimuth(old[0], old[1], new[0], new[1])[0])
    deeper_m = 1000.0 * (new[2] - old[2])
    later_s = _seconds(after["time"]) - _seconds(before["time"])
    for what, value, near, unit in (
        ("epicentre", away_m, NEAR_M, "m"), ("depth", deeper_m, NEAR_M, "m"), ("origin time", later_s, NEAR_S, "s"),
    ):  # fmt: skip
        # The answer's own time is rounded to the millisecond
        if not abs(value) <= near * 1.5:
            told.append(f"{what}: {value:+.3f} {unit}")


def _seconds(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def _same(before: Any, after: Any) -> bool:
    if isinstance(after, float | int) and isinstance(before, float | int) and not isinstance(after, bool):
        return math.isclose(before, after, rel_tol=NEAR, abs_tol=NEAR)
    if isinstance(after, dict) and isinstance(before, dict):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in after)
    if isinstance(after, list) and isinstance(before, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


class BundleStore:
    """A folder of at most ``maximum`` bundles, the oldest removed first, with the pictures beside them.

    Files are named for the origin by :func:`~seiscomp_dlloc.formats.identifiers.file_stem`:
    ``FOLDER/STEM.dlloc.zip`` and ``FOLDER/pictures/STEM.png``. Other files of the folder are left alone. Several
    threads and processes may keep bundles in one folder.
    """

    def __init__(self, folder: str | Path, maximum: int):
        if maximum < 1:
            raise ValueError(f"at least one bundle must be kept, not {maximum}")
        self.folder, self.maximum = Path(folder), maximum

    def path(self, public_id: str) -> Path:
        """Where the bundle of an origin stands."""
        return self.folder / f"{file_stem(public_id)}{SUFFIX}"

    def picture(self, public_id: str) -> Path:
        """Where the picture of an origin stands."""
        return self.folder / "pictures" / f"{file_stem(public_id)}.png"

    def keep(self, public_id: str, bundle: bytes, picture: bytes = b"") -> Path:
        """Write the bundle of an origin, and its picture; remove what is too many. Raises BundleError, SettingError."""
        try:
            self.picture(public_id).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(f"folder {self.folder}: cannot be made ({error.strerror or error})") from error
        target = self.path(public_id)
        if picture:
            write_atomically(self.picture(public_id), picture)
        write_atomically(target, bundle)
        self._prune(target)
        return target

    def _prune(self, newest: Path) -> None:
        ages = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):  # another process removed it
                ages.append((path == newest, path.stat().st_mtime_ns, path))
        for _, _, path in sorted(ages)[: -self.maximum]:
            for old in (path, self.folder / "pictures" / f"{path.name.removesuffix(SUFFIX)}.png"):
                with suppress(OSError):
                    old.unlink(missing_ok=True)
