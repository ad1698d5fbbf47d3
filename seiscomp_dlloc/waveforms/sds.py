"""Waveforms from a SeisComP data structure (SDS) archive."""

import contextlib
import glob
import os
from pathlib import Path

from obspy import UTCDateTime
from obspy.clients.filesystem.sds import SDS_FMTSTR

from ..errors import WaveformSourceError
from ..records import Dropped
from .base import Acquired, Selection, WaveformSource
from .files import read_files

# Records may run over midnight: a day's first samples may stand in the file of the day before
_SPILL_S = 3600.0


class SdsSource(WaveformSource):
    """An SDS archive of miniSEED (YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY)."""

    def __init__(self, root: str | Path) -> None:
        """Open the archive at ``root``. Raises WaveformSourceError: no such folder, no permission."""
        self._root = Path(root).expanduser()
        try:
            names = os.listdir(self._root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise WaveformSourceError(f"sds://{root}: no such folder") from error
        except OSError as error:
            raise WaveformSourceError(f"sds://{root}: cannot be listed ({error.strerror})") from error
        if not any(name.isdigit() and len(name) == 4 for name in names):
            raise WaveformSourceError(
                f"sds://{root}: holds no folder of a year (YEAR/NET/STA/CHAN.D); give the archive's root, "
                "or the path alone for a folder of miniSEED"
            )

    def stations(self, starttime: float, endtime: float) -> tuple[str, ...]:
        """See :meth:`WaveformSource.stations`: those that have a folder in the window's years."""
        years = {UTCDateTime(time).year for time in (starttime, endtime)}
        found = {place.relative_to(self._root).parts[1:] for year in years for place in self._root.glob(f"{year}/*/*")}
        return tuple(sorted(".".join(parts) for parts in found))

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        stream, dropped = read_files(self._paths(selection, starttime, endtime), selection, starttime, endtime)
        if selection.missing({trace.id for trace in stream}):
            dropped += self._closed(selection, starttime, endtime)
        return Acquired(stream, tuple(dropped))

    def _closed(self, selection: Selection, starttime: float, endtime: float) -> list[Dropped]:
        """Folders that may not be read; looking for files in them finds nothing and says nothing."""
        years = {UTCDateTime(time).year for time in (starttime, endtime)}
        folders: dict[Path, None] = {}
        for year in sorted(years):
            for network, station, _, _ in selection.patterns:
                place = self._root / str(year)
                folders |= dict.fromkeys((place, place / network, place / network / station))
                with contextlib.suppress(OSError):
                    folders |= dict.fromkeys(sorted((place / network / station).iterdir()))
        closed = [path for path in folders if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK)]
        return [Dropped(str(path.relative_to(self._root)), "cannot be listed (Permission denied)") for path in closed]

    def _paths(self, selection: Selection, starttime: float, endtime: float) -> list[Path]:
        """Files that may hold something of the window, sorted."""
        first = int((starttime - _SPILL_S) // 86400)
        last = int((endtime + _SPILL_S) // 86400)
        paths: set[Path] = set()
        for network, station, location, channel in selection.patterns:
            for day in range(first, last + 1):
                date = UTCDateTime(day * 86400.0)
                name = SDS_FMTSTR.format(
                    network=network,
                    station=station,
                    location=location,
                    channel=channel,
                    year=date.year,
                    doy=date.julday,
                    sds_type="D",
                )
                paths.update(Path(found) for found in glob.glob(os.path.join(glob.escape(str(self._root)), name)))
        return sorted(paths)
