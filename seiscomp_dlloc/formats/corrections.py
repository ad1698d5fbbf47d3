"""Station corrections as a JSON file.

``{"format_version": 3, "earth_model": NAME, "earth_hash": HASH, "stations": {"NET.STA": {"P": {"delay_s": 0.12,
"events": 31, "scatter_s": 0.08}, "S": {...}}}, "sources": null}``: seconds added to what the earth model of that name
and content (:func:`~seiscomp_dlloc.traveltimes.hash_of`) predicts; ``scatter_s`` may be null, and a phase may be left
out. ``sources``, where delays differ by place: ``{"length_km": 7.0, "left_share": 0.53, "events": [[latitude,
longitude, depth_km], ...], "residuals_s": {"NET.STA": {"P": [0.02, null, ...], "S": [...]}}}``, one residual of each
event. Format 2 had no ``sources`` and is read; format 1 named the earth model alone, which a changed file keeps, and is
not.
"""

import json
import re
from pathlib import Path
from typing import Any

from ..arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from ..errors import ModelError
from .atomic import write_atomically
from .jsonchecks import is_number, require_object, require_station
from .smalltext import read_text
from .sourceterms import read_sources, sources_document

FORMAT_VERSION, OLDER = 3, 2
_LIMIT_BYTES = 20_000_000
_LARGEST_S = 60.0
_HASH = re.compile("[0-9a-f]{12}")


def write_corrections(path: str | Path, corrections: StationCorrections) -> None:
    """Write ``corrections`` in one step, stations sorted by name.

    Raises :class:`~seiscomp_dlloc.errors.SettingError` where the file cannot be written,
    :class:`~seiscomp_dlloc.errors.ModelError` where a value is none that could be read again.
    """
    write_atomically(path, corrections_json(corrections, str(path)))


def corrections_json(corrections: StationCorrections, where: str = "station corrections") -> bytes:
    """The file of ``corrections``, stations sorted by name.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming ``where`` and the value that could not be read again.
    """
    stations = {}
    for station in sorted(corrections.stations, key=lambda s: s.station_id):
        delays = {"P": station.p, "S": station.s}
        stations[station.station_id] = {
            phase: {"delay_s": delay.delay_s, "events": delay.events, "scatter_s": delay.scatter_s}
            for phase, delay in delays.items()
            if delay is not None
        }
    document = {
        "format_version": FORMAT_VERSION,
        "earth_model": corrections.earth_model,
        "earth_hash": corrections.earth_hash,
        "stations": stations,
        "sources": None if corrections.sources is None else sources_document(corrections.sources),
    }
    _corrections(document, where)
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_corrections(path: str | Path) -> StationCorrections:
    """Read what :func:`write_corrections` wrote, or a person.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming the file and the station at fault.
    """
    return parse_corrections(read_text(path, ModelError, _LIMIT_BYTES), str(path))


def parse_corrections(text: str | bytes, where: str) -> StationCorrections:
    """As :func:`read_corrections`, of a file's text; ``where`` it is from."""
    try:
        document = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: is no valid JSON ({error}); write it again") from error
    return _corrections(document, where)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} stands in it")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand in it once each."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands in it twice")
        found[name] = value
    return found


def _corrections(document: Any, where: str) -> StationCorrections:
    version = document.get("format_version", FORMAT_VERSION) if isinstance(document, dict) else FORMAT_VERSION
    if version not in (FORMAT_VERSION, OLDER) or isinstance(version, bool):
        raise ModelError(
            f"{where}: format {version} of station corrections is not known to this version "
            f"(it reads formats {OLDER} and {FORMAT_VERSION}); measure them again"
        )
    names = ("format_version", "earth_model", "earth_hash", "stations")
    require_object(document, names if version == OLDER else (*names, "sources"), where)
    name, content, stations = document["earth_model"], document["earth_hash"], document["stations"]
    if not isinstance(name, str) or not name:
        raise ModelError(f"{where}: earth_model must be the name of the model that they were measured against")
    if not isinstance(content, str) or not _HASH.fullmatch(content):
        raise ModelError(f"{where}: earth_hash must be 12 hexadecimal digits, as dlloc corrections writes them")
    if not isinstance(stations, dict):
        raise ModelError(f"{where}: stations must be an object of NET.STA")
    rows = tuple(_station(key, value, f"{where}: {key}") for key, value in stations.items())
    sources = document.get("sources")
    return StationCorrections(name, content, rows, None if sources is None else read_sources(sources, where))


def _station(station_id: str, document: Any, where: str) -> StationDelay:
    require_station(station_id, where)
    if not isinstance(document, dict) or not set(document) <= {"P", "S"}:
        raise ModelError(f"{where}: must be an object of P and S")
    return StationDelay(station_id, **{p.lower(): _delay(value, f"{where} {p}") for p, value in document.items()})


def _delay(document: Any, where: str) -> PhaseDelay:
    require_object(document, ("delay_s", "events", "scatter_s"), where)
    delay, events, scatter = document["delay_s"], document["events"], document["scatter_s"]
    if not is_number(delay) or abs(delay) > _LARGEST_S:
        raise ModelError(f"{where}: delay_s must be a number of seconds up to {_LARGEST_S}, not {delay!r}")
    if not isinstance(events, int) or isinstance(events, bool) or events < 0:
        raise ModelError(f"{where}: events must be a count, not {events!r}")
    if scatter is not None and not (is_number(scatter) and scatter >= 0.0):
        raise ModelError(f"{where}: scatter_s must be null or not negative, not {scatter!r}")
    return PhaseDelay(float(delay), events, None if scatter is None else float(scatter))
