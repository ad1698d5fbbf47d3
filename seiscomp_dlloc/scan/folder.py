"""The folder of a scan: its settings, what each chunk gave, and the catalogue that is made of these."""

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SettingError
from ..formats.atomic import write_atomically
from ..formats.document import Labels
from ..formats.plain import ellipse_km, iso_time, sigma_depth_km, status
from ..formats.quakeml import write_quakeml
from ..records import Solution
from .plain import from_json, to_json
from .searching import ChunkResult

SETTINGS, CHUNKS, QUAKEML, CSV = "scan.json", "chunks", "catalogue.xml", "catalogue.csv"

COLUMNS = (
    "time", "latitude", "longitude", "depth_km", "time_sigma_s", "sigma_major_km", "sigma_minor_km", "sigma_depth_km",
    "magnitude", "magnitude_type", "peak", "stations", "gap_deg", "status", "reason", "event",
)  # fmt: skip


class ScanFolder:
    """A folder that holds one scan, begun or done. Raises SettingError where it cannot be used for this one.

    It is made with the first thing that is kept in it: a scan that is refused leaves nothing behind.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        """Find the folder empty, or with the same ``settings`` (plain values by the names of their options)."""
        self.path = path
        # What JSON makes of them, so that both are compared alike
        self._settings = json.loads(json.dumps(settings))
        kept = self._kept()
        if kept is not None:
            self._compare(kept)
        self._begun = kept is not None and (path / CHUNKS).is_dir()
        if not self._begun:
            _check_place(path)

    def _begin(self) -> None:
        """Make the folder, once."""
        if self._begun:
            return
        try:
            (self.path / CHUNKS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"folder {self.path}: cannot be made ({error.strerror or error})") from error
        write_atomically(self.path / SETTINGS, json.dumps(self._settings, indent=1).encode())
        self._begun = True

    def _kept(self) -> dict[str, Any] | None:
        """The settings that the folder was made with; None where there is no scan in it."""
        try:
            kept = json.loads((self.path / SETTINGS).read_bytes())
        except FileNotFoundError:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise SettingError(f"folder {self.path}: holds something else than a scan; give another name") from None
            return None
        except (OSError, ValueError) as error:
            raise SettingError(
                f"folder {self.path}: {SETTINGS} cannot be read ({error}); give another folder"
            ) from error
        return kept if isinstance(kept, dict) else {}

    def _compare(self, kept: dict[str, Any]) -> None:
        own = self._settings
        for name in sorted(set(kept) | set(own)):
            if kept.get(name) != own.get(name):
                raise SettingError(
                    f"folder {self.path}: holds a scan with {name} {_short(kept.get(name))}, here it is "
                    f"{_short(own.get(name))}; go on with the same settings, or give another folder"
                )

    def _file(self, number: int) -> Path:
        return self.path / CHUNKS / f"{number:06d}.json"

    def read(self, number: int) -> ChunkResult | None:
        """What chunk ``number`` gave; None where it is not done."""
        try:
            return from_json(ChunkResult, self._file(number).read_text("ascii"))
        except (OSError, ValueError):
            # Not there, or damaged: it is searched again
            return None

    def write(self, result: ChunkResult) -> None:
        """Keep what a chunk gave. Raises SettingError: no room on the disk."""
        self._begin()
        write_atomically(self._file(result.chunk.number), to_json(result).encode("ascii"))

    def finish(self, events: tuple[Solution, ...]) -> None:
        """Write the catalogue of ``events``, which stand in order of time, as QuakeML and as CSV."""
        # Settings and events make the publicIDs: the same scan gives the same ones
        token = hashlib.sha256(json.dumps(self._settings, sort_keys=True).encode()).hexdigest()[:16]
        labels = Labels(version=__version__, token=token)
        self._begin()
        write_atomically(self.path / QUAKEML, write_quakeml(events, labels, own=True))
        write_atomically(self.path / CSV, table(events).encode("utf-8"))


def _check_place(folder: Path) -> None:
    """Raises SettingError where ``folder`` cannot be made, or cannot be written to; leaves nothing behind."""
    try:
        above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise SettingError(f"folder {folder}: cannot be made or written to ({error.strerror or error})") from error


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def table(events: Iterable[Solution]) -> str:
    """The events with hypocentres as CSV: lengths km, depth below sea level, one standard deviation, '' for unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for event in events:
        h, magnitude = event.hypocenter, event.magnitude
        if h is None:
            continue
        major, minor = ellipse_km(h)
        numbers = (
            (h.latitude, 5), (h.longitude, 5), (h.depth_km, 3), (h.time_sigma_s, 3), (major, 3), (minor, 3),
            (sigma_depth_km(h), 3), (None if magnitude is None else magnitude.value, 2),
        )  # fmt: skip
        writer.writerow(
            [
                iso_time(h.time),
                *(_number(value, digits) for value, digits in numbers),
                "" if magnitude is None else magnitude.type,
                _number(event.peak, 3),
                len(event.used_stations),
                _number(event.azimuthal_gap_deg, 0),
                status(event),
                "" if event.abstention is None else event.abstention.reason,
                event.trigger.public_id,
            ]
        )
    return out.getvalue()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or value != value else f"{value:.{digits}f}"
