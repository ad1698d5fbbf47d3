"""The typed settings: from the host's configuration, from files, or the defaults.

Named tuples and not dataclasses, whose import alone would cost the external locator a tenth of its time.
"""

import math
import os
import socket
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ..errors import SettingError
from .cfg import Values, read_cfg
from .layout import HostLayout, expand, local_config_folder
from .parameters import BY_KEY, PARAMETERS, Parameter

Getter = Callable[[str], Optional[List[str]]]
Region = Tuple[float, float, float, float]

HOST_KEYS = ("recordstream", "database", "database.inventory")
"""Settings of the host that the worker's helper goes by."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Profile(NamedTuple):
    """A named way to locate; None and '' : not given. ``region``: south, west, north, east in degrees."""

    name: str
    model: str = ""
    waveforms: str = "recordstream"
    inventory: str = ""
    region: Optional[Region] = None
    max_distance_km: Optional[float] = None
    min_peak: Optional[float] = None
    min_stations: Optional[int] = None
    earth_model: str = ""
    corrections: str = ""


class TriggerSettings(NamedTuple):
    """Which origins are located. ``max_age_s`` None: of any age."""

    origins: bool
    events: bool
    agencies: Tuple[str, ...]
    agencies_blacklist: Tuple[str, ...]
    authors: Tuple[str, ...]
    authors_blacklist: Tuple[str, ...]
    region: Optional[Region]
    min_phases: int
    modes: Tuple[str, ...]
    max_age_s: Optional[float]


class EvolveSettings(NamedTuple):
    """How a solution is refined; s and km."""

    enable: bool
    first_delay_s: float
    interval_s: float
    max_origins: int
    stop_distance_km: float
    stop_time_s: float
    latency_s: float


class OutputSettings(NamedTuple):
    """What origins say; ``evaluation_status`` '' : none."""

    agency_id: str
    author: str
    method_id: str
    evaluation_status: str
    magnitudes: bool
    arrivals: bool
    comments: bool


class WorkerSettings(NamedTuple):
    """The worker; ``python`` '' : the present interpreter."""

    socket: str
    python: str
    jobs: int
    queue: int
    threads: int
    provider: str
    require_gpu: bool
    recordstream_command: str
    deadline_s: float
    log_file: str
    autostart: bool


class RingSettings(NamedTuple):
    """The ring of recent data."""

    enable: bool
    length_s: float


class LocatorSettings(NamedTuple):
    """The external locator; ``profile`` '' : the first one."""

    deadline_s: float
    log_file: str
    profile: str


class BundleSettings(NamedTuple):
    """What is kept of an origin."""

    keep: bool
    folder: str
    maximum: int


class Settings(NamedTuple):
    """All settings. ``files``: the configuration files that were read, least important first.

    ``host``: the host's own settings that are of interest, as they are written.
    """

    profiles: Dict[str, Profile]
    trigger: TriggerSettings
    evolve: EvolveSettings
    output: OutputSettings
    worker: WorkerSettings
    ring: RingSettings
    locator: LocatorSettings
    bundle: BundleSettings
    journal_file: str
    audit_file: str
    catchup_max_age_s: float
    files: Tuple[str, ...] = ()
    host: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()

    @classmethod
    def from_getter(
        cls,
        get: Getter,
        layout: Optional[HostLayout] = None,
        files: Tuple[str, ...] = (),
        agency: str = "",
        set_in: Optional[Dict[str, str]] = None,
    ) -> "Settings":
        """From ``get(key) -> values``, None where a key is not set; ``agency`` is the host's own.

        ``layout`` None: that of SEISCOMP_ROOT, where set. ``set_in``: key -> file that has the say. Raises SettingError
        naming key and file.
        """
        return _Reader(get, layout or HostLayout.from_environment(), files, set_in or {}).settings(agency)

    @classmethod
    def load(cls, config_file: Optional[str] = None, layout: Optional[HostLayout] = None) -> "Settings":
        """From the host's files in its order (defaults, etc, the user's own), or from one file alone.

        Without a file and without SEISCOMP_ROOT: the defaults. Raises SettingError naming file or key.
        """
        layout = layout or HostLayout.from_environment()
        files: List[str] = []
        if config_file is not None:
            files = [config_file]
        elif layout is not None:
            folders = (layout.defaults, layout.etc, local_config_folder())
            named = [os.path.join(folder, module + ".cfg") for module in ("global", "dlloc") for folder in folders]
            order = (0, 3, 1, 4, 2, 5)  # defaults/global, defaults/dlloc, etc/global, etc/dlloc, own/global, own/dlloc
            files = [named[place] for place in order if os.path.isfile(named[place])]
        values: Values = {}
        set_in: Dict[str, str] = {}
        for path in files:
            before, values = values, read_cfg(path, values)
            set_in.update((key, path) for key, items in values.items() if before.get(key) != items)
        agency = "".join(values.get("agencyID", [])[:1])
        return cls.from_getter(values.get, layout, tuple(files), agency, set_in)

    def profile(self, name: str = "") -> Profile:
        """A profile by its name, the first one without; SettingError naming those there are."""
        chosen = name or next(iter(self.profiles))
        if chosen not in self.profiles:
            raise SettingError("profile '{}': there is none; profiles are {}".format(chosen, ", ".join(self.profiles)))
        return self.profiles[chosen]


class _Reader:
    """Reads the table's keys through a getter and checks them against it."""

    def __init__(
        self, get: Getter, layout: Optional[HostLayout], files: Tuple[str, ...], set_in: Dict[str, str]
    ) -> None:
        self._get, self._layout, self._files, self._set_in = get, layout, files, set_in

    def settings(self, agency: str) -> Settings:
        """Everything."""
        names = self._strings("profiles")
        if not names:
            raise self._error("profiles", "names no profile")
        status = self._string("output.evaluationStatus")
        return Settings(
            profiles={name: self._profile(name) for name in names},
            trigger=TriggerSettings(
                self._bool("trigger.origins"),
                self._bool("trigger.events"),
                self._strings("trigger.agencies"),
                self._strings("trigger.agenciesBlacklist"),
                self._strings("trigger.authors"),
                self._strings("trigger.authorsBlacklist"),
                self._region("trigger.region"),
                self._int("trigger.minPhases"),
                self._modes(),
                self._float("trigger.maxAge") or None,
            ),
            evolve=EvolveSettings(
                self._bool("evolve.enable"),
                self._float("evolve.firstDelay"),
                self._float("evolve.interval"),
                self._int("evolve.maxOrigins"),
                self._float("evolve.stopDistance"),
                self._float("evolve.stopTime"),
                self._float("evolve.latency"),
            ),
            output=OutputSettings(
                self._string("output.agencyID") or agency,
                self._string("output.author").replace("@hostname@", socket.gethostname()),
                self._string("output.methodID"),
                "" if status == "none" else status,
                self._bool("output.magnitudes"),
                self._bool("output.arrivals"),
                self._bool("output.comments"),
            ),
            worker=WorkerSettings(
                self._file("worker.socket"),
                self._file("worker.python"),
                self._int("worker.jobs"),
                self._int("worker.queue"),
                self._int("worker.threads"),
                self._string("worker.provider"),
                self._bool("worker.requireGPU"),
                self._file("worker.recordstreamCommand"),
                self._float("worker.deadline"),
                self._file("worker.logFile"),
                self._bool("worker.autostart"),
            ),
            ring=RingSettings(self._bool("ring.enable"), self._float("ring.length")),
            locator=LocatorSettings(
                self._float("locator.deadline"), self._file("locator.logFile"), self._string("locator.profile")
            ),
            bundle=BundleSettings(self._bool("bundle.keep"), self._file("bundle.folder"), self._int("bundle.maximum")),
            journal_file=self._file("journal.file"),
            audit_file=self._file("audit.file"),
            catchup_max_age_s=self._float("catchup.maxAge"),
            files=self._files,
            host=tuple((key, tuple(self._get(key) or ())) for key in HOST_KEYS),
        )

    def _profile(self, name: str) -> Profile:
        prefix = f"profile.{name}."
        stations = self._optional(prefix + "minStations")
        return Profile(
            name,
            self._file(prefix + "model"),
            self._file(prefix + "waveforms"),
            self._file(prefix + "inventory"),
            self._region(prefix + "region"),
            self._optional(prefix + "maxDistance"),
            self._optional(prefix + "minPeak"),
            None if stations is None else int(stations),
            self._file(prefix + "earthModel"),
            self._file(prefix + "corrections"),
        )

    # One key

    def _entry(self, key: str) -> Parameter:
        if key in BY_KEY:
            return BY_KEY[key]
        return BY_KEY["profile.$name." + key.rpartition(".")[2]]

    def _strings(self, key: str) -> Tuple[str, ...]:
        given = self._get(key)
        if given is None:
            given = [part.strip() for part in self._entry(key).default.split(",")]
        return tuple(item for item in given if item)

    def _string(self, key: str) -> str:
        items = self._strings(key)
        entry = self._entry(key)
        # A comma splits even where one value is wanted (an address with one in it): put it together again
        text = ", ".join(items)
        if entry.values and text not in entry.values:
            raise self._error(key, "'{}' is none of {}".format(text, ", ".join(entry.values)))
        return text

    def _file(self, key: str) -> str:
        return expand(self._string(key), key, self._layout)

    def _bool(self, key: str) -> bool:
        text = self._string(key).lower()
        if text not in _TRUE + _FALSE:
            raise self._error(key, f"'{text}' is neither true nor false")
        return text in _TRUE

    def _number(self, key: str, text: str) -> float:
        low, high = self._entry(key).range
        try:
            value = float(text)
        except ValueError:
            raise self._error(key, f"'{text}' is no number") from None
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            limits = " to ".join("" if limit is None else f"{limit:g}" for limit in (low, high))
            raise self._error(key, f"{text} is outside {limits.strip()}")
        if self._entry(key).type == "int" and value != int(value):
            raise self._error(key, f"{text} is no whole number")
        return value

    def _optional(self, key: str) -> Optional[float]:
        text = self._string(key)
        return self._number(key, text) if text else None

    def _float(self, key: str) -> float:
        return self._number(key, self._string(key))

    def _int(self, key: str) -> int:
        return int(self._float(key))

    def _region(self, key: str) -> Optional[Region]:
        items = self._strings(key)
        if not items:
            return None
        values = [self._number(key, item) for item in items]
        if len(values) != 4 or not -90.0 <= values[0] < values[2] <= 90.0:
            raise self._error(key, "give south, west, north, east in degrees")
        return (values[0], values[1], values[2], values[3])

    def _modes(self) -> Tuple[str, ...]:
        modes = self._strings("trigger.modes")
        strange = [mode for mode in modes if mode not in ("automatic", "manual")]
        if strange:
            raise self._error("trigger.modes", f"'{strange[0]}' is neither automatic nor manual")
        return modes

    def _error(self, key: str, what: str) -> SettingError:
        named = [self._set_in[key]] if key in self._set_in else self._files
        where = " (in {})".format(" or ".join(named)) if named else ""
        return SettingError(f"setting {key}: {what}{where}")


def in_region(region: Region, latitude: float, longitude: float) -> bool:
    """Whether a point lies in ``region``, which may cross the date line (west > east)."""
    south, west, north, east = region
    if not south <= latitude <= north:
        return False
    return (longitude - west) % 360.0 <= (east - west) % 360.0


def default_values() -> Dict[str, str]:
    """Key -> default, profiles' keys with ``$name``."""
    return {parameter.key: parameter.default for parameter in PARAMETERS}
