"""Waveforms from one miniSEED file or from a folder of them, of any size and naming."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from obspy import Stream

from ..errors import WaveformSourceError
from ..records import Dropped
from .base import Acquired, Selection, WaveformSource
from .mseed import NotMiniSeedError, Part, Summary, decode, read_window, summarise

# Files that nobody knows the content of are named with an event only up to here
_MAX_NAMED = 10


class FileSource(WaveformSource):
    """A miniSEED file, or a folder with its subfolders (hidden names left out, symbolic links followed once).

    Opening it reads the headers of every file once. A file that cannot be read is named in :attr:`problems`; an event
    names it where the file's headers say that it overlaps the window or, where not even they can be read, where
    something that was asked for is missing. A very large archive is better laid out as SDS.
    """

    def __init__(self, path: str | Path) -> None:
        """Index ``path``. Raises WaveformSourceError: no such path, no permission, or no miniSEED there."""
        self._root = Path(path)
        self._files: dict[Path, Summary] = {}
        self._unknown: list[Dropped] = []
        try:
            mode = self._root.stat().st_mode
        except FileNotFoundError as error:
            raise WaveformSourceError(f"{path}: no such file or folder of waveforms") from error
        except OSError as error:
            raise WaveformSourceError(f"{path}: cannot be reached ({error.strerror})") from error
        if stat.S_ISDIR(mode):
            self._index_folder()
        elif stat.S_ISREG(mode):
            self._index(self._root)
        else:  # a pipe or a device may never end, and is not there a second time
            raise WaveformSourceError(f"{path}: is neither a file nor a folder; write the waveforms to a file first")
        if not self._files:
            raise WaveformSourceError(self._nothing())

    @property
    def problems(self) -> tuple[Dropped, ...]:
        """Files and folders that cannot be read, wholly or in part."""
        partly = (Dropped(self._name(p), s.problem) for p, s in self._files.items() if s.problem)
        return (*self._unknown, *partly)

    def _name(self, path: Path) -> str:
        """Path as the user sees it: below the folder given, or the file's name."""
        return str(path.relative_to(self._root)) if path != self._root else path.name

    def _nothing(self) -> str:
        """Why there is nothing to read."""
        if not self._unknown:
            return f"{self._root}: holds no file of waveforms"
        first = self._unknown[0]
        if not self._root.is_dir():
            return f"{self._root}: {first.reason}"
        return f"{self._root}: no readable miniSEED in it; {len(self._unknown)} failed, first {first.seed_id}: " + (
            first.reason
        )

    def _index_folder(self) -> None:
        try:
            os.scandir(self._root).close()
        except OSError as error:
            raise WaveformSourceError(
                f"{self._root}: cannot be listed ({error.strerror}); give this user the right to read it"
            ) from error
        for path in _walk(self._root, self._unknown):
            self._index(path)

    def _index(self, path: Path) -> None:
        try:
            self._files[path] = summarise(path)
        except OSError as error:
            self._unknown.append(Dropped(self._name(path), f"cannot be read ({error.strerror or error})"))
        except NotMiniSeedError as error:
            self._unknown.append(Dropped(self._name(path), str(error)))

    def stations(self, starttime: float, endtime: float) -> tuple[str, ...]:
        """See :meth:`WaveformSource.stations`: those of the files that reach into the window."""
        there = (summary.seed_ids for summary in self._files.values() if summary.overlaps(starttime, endtime))
        return tuple(sorted({".".join(seed_id.split(".")[:2]) for ids in there for seed_id in ids}))

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        paths = [
            path
            for path, summary in self._files.items()
            if summary.overlaps(starttime, endtime) and any(map(selection.matches, summary.seed_ids))
        ]
        stream, dropped = read_files(paths, selection, starttime, endtime)
        if self._unknown and selection.missing({trace.id for trace in stream}):
            dropped += self._unknown[:_MAX_NAMED]
            more = len(self._unknown) - _MAX_NAMED
            if more > 0:
                dropped.append(Dropped(str(self._root), f"{more} more files cannot be read"))
        return Acquired(stream, tuple(dropped))


def read_files(
    paths: Iterable[Path], selection: Selection, starttime: float, endtime: float
) -> tuple[Stream, list[Dropped]]:
    """Traces of the files that overlap the window; a file that fails is named, never raised."""
    parts = []
    for path in paths:
        try:
            parts.append(read_window(path, selection, starttime, endtime))
        except OSError as error:
            parts.append(Part(path.name, problem=f"cannot be read ({error.strerror or error})"))
        except NotMiniSeedError as error:
            parts.append(Part(path.name, problem=str(error)))
    return decode(parts)


def _walk(root: Path, problems: list[Dropped]) -> Iterator[Path]:
    """Regular files below ``root`` in the order of their names, each once; links that lead round end the walk there."""
    seen: set[tuple[int, int]] = set()

    def walk(folder: Path) -> Iterator[Path]:
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            problems.append(Dropped(str(folder.relative_to(root)), f"cannot be listed ({error.strerror})"))
            return
        for name in names:
            path = folder / name
            if name.startswith("."):
                continue
            try:
                info = path.stat()
            except OSError as error:  # a link that leads nowhere or to itself
                problems.append(Dropped(str(path.relative_to(root)), f"cannot be read ({error.strerror})"))
                continue
            key = (info.st_dev, info.st_ino)
            if key in seen:
                continue
            seen.add(key)
            if stat.S_ISDIR(info.st_mode):
                yield from walk(path)
            elif stat.S_ISREG(info.st_mode):
                yield path

    info = root.stat()
    seen.add((info.st_dev, info.st_ino))
    yield from walk(root)
