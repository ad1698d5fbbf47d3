"""Bundles are read: they may come from anybody, so they are read into memory, checked, and name no file to open."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from obspy import Inventory

from .. import errors
from ..arrivals.gridearth import KIND, check_document
from ..errors import BundleError, EventError, InventoryError, ModelError
from ..formats.archive import unpack
from ..formats.corrections import parse_corrections
from ..formats.earthmodels import taup_model
from ..formats.inventory import read_inventory
from ..locate import Job
from ..passport import check_earth_model
from ..records import Dropped, Pick, Trigger
from ..solution import Options
from ..waveforms.pack import from_miniseed
from .content import FORMAT, VERSION, Bundle

_MIB = 1 << 20
LIMITS = {
    "manifest.json": 16 * _MIB,
    "event.xml": 64 * _MIB,
    "waveforms.mseed": 512 * _MIB,
    "inventory.xml": 256 * _MIB,
    "answer.json": 16 * _MIB,
    "answer.xml": 64 * _MIB,
    "picture.png": 32 * _MIB,
    "earth_model.json": _MIB,
    "corrections.json": 20 * _MIB,
}
"""Members of a bundle and the most bytes that each may have."""


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
        # Bundles are older than some options
        given = manifest["options"]
        options = Options(**{f.name: _option(given.get(f.name, f.default), f.default) for f in fields(Options)})
        stations = members.get("inventory.xml", b"")
        inventory = read_inventory(stations) if stations else Inventory()
        earth_model = _earth_model(path, members) if "earth_model.json" in members else None
        delays = members.get("corrections.json")
        corrections = None if delays is None else parse_corrections(delays, "corrections.json")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"{path}: its manifest is incomplete ({type(error).__name__}: {error})") from error
    except (EventError, InventoryError, ModelError) as error:
        raise BundleError(f"{path}: {error}") from error
    return Bundle(job, inventory, options, answer, members.get("event.xml", b""), manifest, earth_model, corrections)


def _earth_model(path: str | Path, members: dict[str, bytes]) -> dict[str, Any]:
    """The earth model. Raises ModelError; a name that is none of TauP's own would be taken for a file's."""
    document = _document(path, members, "earth_model.json")
    if document.get("kind") == KIND:
        beside = check_document(document, "earth_model.json")["beside"]
        if beside is not None and beside["kind"] == "taup":
            taup_model(beside["name"])
        return document
    document = check_earth_model(document, "earth_model.json")
    return taup_model(document["name"]) if document["kind"] == "taup" else document


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
