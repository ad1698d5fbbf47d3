"""An experiment's TOML file, checked before anything long begins."""

import csv
import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from seiscomp_dlloc.errors import InventoryError, SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.units import m_to_km

from ..earth import COLUMNS, EarthModel
from .shipped import find, shipped
from .wording import fault, place

_VARIABLE = re.compile(r"\$\{?(\w+)")

FAR_KM = 400.0
"""A station farther than this from the region's centre is a slip of the pen, not a local network."""
WIDE_DEG = 20.0
"""A region wider than this from west to east is one too."""


@dataclass(frozen=True)
class Region:
    """Where events lie: degrees, km below sea level (negative above it)."""

    south: float
    north: float
    west: float
    east: float
    top_km: float
    bottom_km: float

    @property
    def frame(self) -> LocalFrame:
        """Local frame at the region's centre: x east, y north, km."""
        return LocalFrame(0.5 * (self.south + self.north), 0.5 * (self.west + self.east))


@dataclass(frozen=True)
class ExperimentFile:
    """What the file says. ``folder``: where it stands, which paths in it are relative to; ``settings``: all of it.

    ``surface_km``: depth of the earth model's surface below sea level (negative: above it).
    """

    path: Path
    name: str
    seed: int
    stations: tuple[Station, ...]
    earth: EarthModel
    surface_km: float
    region: Region
    settings: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The file's folder."""
        return self.path.parent


def read_experiment(path: str | Path) -> ExperimentFile:
    """Read and check an experiment's file, or the shipped one of that name where there is no such file.

    Raises SettingError naming the file and the entry: no TOML, an entry missing, unknown or out of range, stations
    without coordinates or far from the region, a region that is empty or leaves the earth model.
    """
    path = find(path)
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingError(f"{path}: there is no such file; shipped are {', '.join(shipped())}") from error
    except IsADirectoryError as error:
        raise SettingError(f"{path}: is a folder; give an experiment's TOML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: is no TOML ({error})") from error
    _check_schema(settings, path)
    _check_numbers(settings, path)
    region = _region(settings["region"], path)
    stations = _stations(settings["network"], path)
    surface_km = -m_to_km(settings["earth"].get("surface_m", sum(s.elevation_m for s in stations) / len(stations)))
    earth = _earth(settings["earth"], path)
    _check_inside(region, stations, surface_km, path)
    _check_order(settings, path)
    return ExperimentFile(path, settings["name"], settings["seed"], stations, earth, surface_km, region, settings)


_RANGES = (
    ("events", "magnitude"),
    ("events", "stress_drop_mpa"),
    ("records", "cover_s"),
    ("records", "coda_decay_s"),
    ("records", "coda_ratio"),
    ("augmentation", "noise_level"),
    ("augmentation", "recorded_noise_factor"),
)
"""Entries that give two ends of a range."""


def _check_order(settings: dict[str, Any], path: Path) -> None:
    for section, entry in _RANGES:
        low, high = settings.get(section, {}).get(entry, (0.0, 0.0))
        if low > high:
            raise SettingError(f"{path}: {section}.{entry}: {low} is above {high}")
    low, high = settings["events"]["magnitude"]
    if low == high:
        raise SettingError(f"{path}: events.magnitude: give a range, not {low} alone; a model's passport needs one")


def file_path(text: str, entry: str, path: Path) -> Path:
    """The file or folder that ``entry`` of the experiment's file ``path`` names: variables of the environment ($NAME,
    ${NAME}) put in, relative to the file's folder. Raises SettingError where a variable is not set.
    """
    unset = [name for name in _VARIABLE.findall(text) if not os.environ.get(name)]
    if unset:
        raise SettingError(f"{path}: {entry} {text!r} needs the environment variable {unset[0]}, which is not set")
    return path.parent / os.path.expandvars(text)


def schema() -> dict[str, Any]:
    """The JSON schema of experiment files."""
    text = resources.files(__package__).joinpath("schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _check_schema(settings: dict[str, Any], path: Path) -> None:
    said = fault(jsonschema.Draft202012Validator(schema()).iter_errors(settings), settings)
    if said is not None:
        raise SettingError(f"{path}: {said}")


def _check_numbers(settings: dict[str, Any], path: Path) -> None:
    """Refuse TOML's nan anywhere, and its inf but for layers without bottom or loss: comparisons let nan pass."""
    for where, value in _leaves(settings):
        if math.isnan(value) or (math.isinf(value) and where[:2] != ("earth", "layers")):
            raise SettingError(f"{path}: {place(where, settings)}: {value} is no number to work with")


def _leaves(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], float]]:
    """Every number with decimals, and where it stands."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, (*where, key))
    elif isinstance(value, float):
        yield where, value


def _region(row: dict[str, float], path: Path) -> Region:
    region = Region(**row)
    for low, high in (("south", "north"), ("west", "east")):
        if not row[low] < row[high]:
            raise SettingError(f"{path}: region: {low} {row[low]:g} must be below {high} {row[high]:g}")
    if not region.top_km < region.bottom_km:
        raise SettingError(f"{path}: region: top_km {region.top_km:g} must be above bottom_km {region.bottom_km:g}")
    if region.east - region.west > WIDE_DEG:
        raise SettingError(
            f"{path}: region: from west {region.west:g} to east {region.east:g} are more than {WIDE_DEG:g} degrees; "
            "give a smaller region"
        )
    return region


def _stations(network: dict[str, Any], path: Path) -> tuple[Station, ...]:
    if "inventory" in network:
        from ..catalogue import read_stations  # a second of imports, which processes that only synthesise do not need

        try:
            stations = read_stations(file_path(network["inventory"], "network.inventory", path))
        except InventoryError as error:
            raise SettingError(f"{path}: network.inventory: {error}") from error
    else:
        stations = tuple(
            Station(*_codes(row["code"]), row["latitude"], row["longitude"], row["elevation_m"])
            for row in network["stations"]
        )
    names = [station.id for station in stations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(f"{path}: network: {', '.join(twice)} stands there twice; give each station once")
    return stations


def _codes(name: str) -> tuple[str, str]:
    network, _, station = name.partition(".")
    return network, station


def _earth(row: dict[str, Any], path: Path) -> EarthModel:
    if "layers" in row:
        return _model(row["layers"], f"{path}: earth.layers")
    table = file_path(row["file"], "earth.file", path)
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return _model([[float(entry[name]) for name in COLUMNS] for entry in rows], f"{table}")
    except OSError as error:
        raise SettingError(f"{table}: cannot be read ({error.strerror or error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            f"{table}: is no table of numbers with the columns {', '.join(COLUMNS)} ({error})"
        ) from error


def _model(rows: Sequence[Sequence[float]], where: str) -> EarthModel:
    try:
        return EarthModel.from_rows(rows)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def _check_inside(region: Region, stations: tuple[Station, ...], surface_km: float, path: Path) -> None:
    if region.top_km <= surface_km:
        raise SettingError(
            f"{path}: region.top_km {region.top_km:g} lies above the surface of the earth model at {surface_km:g} km; "
            "set earth.surface_m, or lower the region"
        )
    frame = region.frame
    for station in stations:
        x, y = frame.to_local(station.latitude, station.longitude)
        if (float(x) ** 2 + float(y) ** 2) ** 0.5 > FAR_KM:
            raise SettingError(
                f"{path}: network: {station.id} lies more than {FAR_KM:g} km from the region: is its place right?"
            )
