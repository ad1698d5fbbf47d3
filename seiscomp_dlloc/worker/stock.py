"""What jobs share: warm models, inventories, earth models, locators, sources of waveforms. All of it bounded."""

import hashlib
import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from obspy import Inventory

from .. import models
from ..arrivals.corrections import StationCorrections
from ..arrivals.gridearth import GridEarth
from ..defaults import default_earth
from ..errors import DllocError, InventoryError, SettingError
from ..formats.corrections import read_corrections
from ..formats.gridfolders import read_earth, signature
from ..formats.inventory import read_inventory
from ..locate import Locator
from ..model import Model, load
from ..network import inventory_stations, stations_to_fetch
from ..solution import Options
from ..waveforms import open_source
from ..waveforms.factory import is_recordstream
from ..waveforms.files import FileSource
from ..waveforms.mseed import ALONE
from .acquire import BlobSource, Opened
from .config import ProfileConfig, WorkerConfig
from .hostdata import HostData
from .request import JobRequest

_MODELS, _INVENTORIES, _EARTHS, _LOCATORS, _SOURCES = 6, 6, 6, 12, 8
_REOPEN_S = 600.0
_LOOK_AGAIN_S = 2.0
_NETWORK = ("fdsnws://", "fdsnwss://", "seedlink://")

log = logging.getLogger("dlloc.engine")
Value = TypeVar("Value")


class _Cache(Generic[Value]):
    """The values used last, by key; each is made once, whoever asks meanwhile waits."""

    def __init__(self, most: int):
        self._most = most
        self._values: OrderedDict[Any, Value] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Any, threading.Lock] = {}

    def get(self, key: Any, make: Callable[[], Value]) -> Value:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._values[key] = value
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return value

    def values(self) -> list[Value]:
        with self._lock:
            return list(self._values.values())


@dataclass(frozen=True)
class Earth:
    """What a profile has in place of a model's own earth, as the locator takes it; None: not given."""

    model: dict[str, Any] | GridEarth | None = None
    corrections: StationCorrections | None = None

    @property
    def key(self) -> Any:
        """The content."""
        document = self.model.document if isinstance(self.model, GridEarth) else self.model
        return json.dumps(document, sort_keys=True), self.corrections


@dataclass(frozen=True)
class Tools:
    """What one job works with."""

    profile: ProfileConfig
    model: Model
    locator: Locator
    inventory: Inventory
    opened: Opened
    earth: Earth = Earth()


class Stock:
    """Models, inventories, earth models, locators and sources by what names them."""

    def __init__(self, config: WorkerConfig):
        self._config = config
        self._models: _Cache[Model] = _Cache(_MODELS)
        self._inventories: _Cache[Inventory] = _Cache(_INVENTORIES)
        self._earths: _Cache[dict[str, Any] | GridEarth] = _Cache(_EARTHS)
        self._corrections: _Cache[StationCorrections] = _Cache(_EARTHS)
        self._locators: _Cache[Locator] = _Cache(_LOCATORS)
        self._sources: _Cache[Opened] = _Cache(_SOURCES)
        self.host = HostData(config)
        self._followed: dict[str, tuple[Any, str]] = {}
        self._signatures: dict[str, tuple[float, tuple[int, ...]]] = {}
        self.problems: dict[str, str] = {}

    def warm(self) -> None:
        """Load every profile's model, inventory and source; what fails is kept in :attr:`problems` by profile.

        Done again, it takes what has changed since, so that no job has to wait for it, and tries again what failed.
        """
        self.host.keep_warm()
        for profile in self._config.profiles:
            try:
                model, earth = self.model(profile.model), self._named_earth(profile)
                if profile.inventory or is_recordstream(profile.waveforms) or self._config.recordstream:
                    inventory, key = self._inventory_of(profile.inventory, None, profile.waveforms)
                    self._locator(model, inventory, key, _completed(earth, model, inventory, time.time()))
                    self._follow(profile, model, inventory, key)
                if profile.waveforms:
                    self.source(profile.waveforms)
                self.problems.pop(profile.name, None)
            except DllocError as error:
                if self.problems.get(profile.name) != str(error):
                    log.error("profile %s: %s", profile.name, error)
                self.problems[profile.name] = str(error)

    def report(self) -> dict[str, Any]:
        """For the status: models with their hashes and providers, profiles with what is wrong."""
        rows = []
        for model in self._models.values():
            identity = model.identity
            rows.append(
                {
                    "name": identity.name,
                    "version": identity.version,
                    "sha256": identity.sha256,
                    "provider": identity.provider,
                    "file": str(model.path),
                }
            )
        profiles = [
            {"name": profile.name, "problem": self.problems.get(profile.name)} for profile in self._config.profiles
        ]
        return {"models": rows, "profiles": profiles, "ring": self.host.report()}

    def close(self) -> None:
        """End the host's helpers."""
        self.host.close()

    def tools(self, request: JobRequest) -> Tools:
        """What ``request`` needs. Raises InputErrors naming what is missing or wrong.

        A profile's earth model and corrections go with any model but one that the job names and that has its own. A
        profile without an earth model has the default one of the stations at the origin's time.
        """
        profile = self._profile(request.profile)
        model = self.model(request.model or profile.model)
        where = request.inventory or profile.inventory
        wanted = request.waveforms or profile.waveforms
        inventory, key = self._inventory_of(where, request.inventory_blob, wanted)
        own = request.model is not None and model.passport.fixed_network
        named = Earth() if own else self._named_earth(profile)
        earth = _completed(named, model, inventory, request.trigger.time)
        locator = self._locator(model, inventory, key, earth)
        if not (request.model or request.inventory or request.inventory_blob or request.waveforms):
            self._follow(profile, model, inventory, key)
        if request.fixed_depth_km is not None:
            locator = locator.with_options(Options(fixed_depth_km=request.fixed_depth_km, batch_size=1))
        if request.waveform_blob is not None:
            opened = Opened(BlobSource(request.waveform_blob))
        else:
            if not wanted:
                raise SettingError(f"no waveforms: set profile.{profile.name}.waveforms, or name them with the job")
            opened = self.source(wanted)
        return Tools(profile, model, locator, inventory, opened, earth)

    def model(self, name: str) -> Model:
        """The model of that name or path, the default one where ''; loaded again when its file changes."""
        path = models.resolve(name or models.DEFAULT)
        config = self._config
        return self._models.get(
            (str(path), *_signature(path)),
            lambda: load(path, config.provider, config.require_gpu, config.threads),
        )

    def source(self, where: str) -> Opened:
        """The source at ``where``; a folder that changed, and a server after a while, is opened again."""
        if where.startswith(_NETWORK):
            key: tuple[Any, ...] = (where, int(time.time() // _REOPEN_S))
            alone = where.startswith("seedlink://")
            return self._sources.get(key, lambda: Opened(open_source(where, timeout_s=30.0), 2.0, alone))
        if is_recordstream(where):
            return self.host.opened(where)
        if "://" in where:
            return self._sources.get((where,), lambda: Opened(open_source(where)))
        return self._sources.get((where, self._state_of(where)), lambda: Opened(FileSource(where)))

    def _state_of(self, where: str) -> tuple[int, ...]:
        """Changes with the files below ``where``; looked up again after two seconds."""
        now = time.monotonic()
        looked, signature = self._signatures.get(where, (-_LOOK_AGAIN_S, ()))
        if now - looked >= _LOOK_AGAIN_S:
            signature = _tree_signature(where)
            if len(self._signatures) > 10 * _SOURCES:
                self._signatures.clear()
            self._signatures[where] = now, signature
        return signature

    def _profile(self, name: str | None) -> ProfileConfig:
        if name is None:
            return self._config.profiles[0] if self._config.profiles else ProfileConfig("default")
        for profile in self._config.profiles:
            if profile.name == name:
                return profile
        known = ", ".join(profile.name for profile in self._config.profiles) or "none"
        raise SettingError(f"profile {name}: is not configured (profiles: {known}); restart the worker after a change")

    def _inventory_of(self, where: str, blob: bytes | None, waveforms: str) -> tuple[Inventory, Any]:
        """The inventory and what names it: the job's own, else that of the file, else the host's where there is one.

        What it says of channels is told to the host's waveforms.
        """
        if blob is None and not where and (is_recordstream(waveforms) or self._config.recordstream):
            blob = self.host.inventory()
        if blob is not None:
            content = blob
            key: Any = hashlib.sha256(content).hexdigest()
            inventory = self._inventories.get(key, lambda: _read(content))
        elif where:
            key = (where, *_signature(Path(where)))
            inventory = self._inventories.get(key, lambda: _read(where))
        else:
            raise InventoryError("no inventory: set the profile's inventory, or send one with the job")
        if is_recordstream(waveforms):
            self.host.learn(key, inventory)
        return inventory, key

    def _follow(self, profile: ProfileConfig, model: Model, inventory: Inventory, key: Any) -> None:
        """Keep recent data of the profile's stations at hand, where they are the host's."""
        if not is_recordstream(profile.waveforms) or self._followed.get(profile.name) == (key, model.sha256):
            return
        stations = stations_to_fetch(model.passport, inventory_stations(inventory, time.time()))
        self.host.follow(profile.name, profile.waveforms, key, [station.id for station in stations])
        self._followed[profile.name] = key, model.sha256

    def _named_earth(self, profile: ProfileConfig) -> Earth:
        """The earth model and corrections that the profile names; read again when their files change."""
        where, corrections = profile.earth_model, profile.corrections
        return Earth(
            self._earths.get((where, *signature(where)), lambda: read_earth(where)) if where else None,
            self._corrections.get((corrections, *_signature(Path(corrections))), lambda: read_corrections(corrections))
            if corrections
            else None,
        )

    def _locator(self, model: Model, inventory: Inventory, key: Any, earth: Earth) -> Locator:
        return self._locators.get(
            (model.sha256, id(model), key, earth.key),
            lambda: Locator(model, inventory, Options(batch_size=1), earth.model, earth.corrections),
        )


def _completed(earth: Earth, model: Model, inventory: Inventory, when: float) -> Earth:
    """What was named, with the default earth model of the stations at ``when`` (POSIX s) where none was."""
    if earth.model is not None:
        return earth
    return replace(earth, model=default_earth(model.passport, inventory, (when,)))


def _read(source: str | bytes) -> Inventory:
    with ALONE:
        return read_inventory(source)


def _signature(path: Path) -> tuple[int, ...]:
    """Changes when the file is replaced or written; () where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _tree_signature(where: str) -> tuple[int, ...]:
    """Changes when a file below the folder ``where`` comes, goes, grows or is written."""
    if not os.path.isdir(where):
        return _signature(Path(where))
    count = size = latest = 0
    for folder, _, names in os.walk(where, followlinks=True):
        for name in names:
            try:
                status = os.stat(os.path.join(folder, name))
            except OSError:
                continue
            count, size, latest = count + 1, size + status.st_size, max(latest, status.st_mtime_ns)
        if count > 100_000:
            break
    return count, size, latest
