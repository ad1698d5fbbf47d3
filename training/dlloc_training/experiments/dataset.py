"""Theoretical seismograms on disk: one HDF5 file, chunked by event and read in sequence.

Sugiyama et al. (2021) found training bound by random reads of small files; a chunk here is one event of all stations,
and :meth:`Dataset.read` takes ranges.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError

FORMAT, FORMAT_VERSION = "dlloc theoretical seismograms", 1
COMPONENTS = "ZNE"
_SPARE_BYTES = 64 << 20


class DatasetWriter:
    """Writes records to ``path.part`` event by event; :meth:`finish` gives the file its name.

    ``header``: what the records rest on (settings, seed, stations, units), as JSON can hold it. Where a file that was
    not finished has the same header, it is gone on with: :attr:`done` says which events are there. Raises SettingError
    where the disk has no room for all of it.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], shape: tuple[int, int, int]):
        self.path, self._part = path, path.with_name(path.name + ".part")
        text = json.dumps(dict(header), sort_keys=True)
        events, stations, samples = shape
        reopened = self._reopened(text)
        if reopened is None:
            need = 4 * 3 * events * stations * samples + _SPARE_BYTES
            free = shutil.disk_usage(path.parent).free
            if need > free:
                raise SettingError(
                    f"{path}: needs {need / 2**30:.1f} GiB, the disk has {free / 2**30:.1f}; ask for fewer or shorter "
                    "records, or another run folder"
                )
            reopened = h5py.File(self._part, "w")
            reopened.attrs.update(
                format=FORMAT, format_version=FORMAT_VERSION, header=text, components=COMPONENTS, unit="m/s"
            )
            reopened.create_dataset(
                "velocity", (events, 3, stations, samples), np.float32, chunks=(1, 3, stations, samples)
            )
            reopened["done"] = np.zeros(events, bool)
        self._file: h5py.File = reopened
        self.done: NDArray[np.bool_] = self._file["done"][()]

    def _reopened(self, header: str) -> h5py.File | None:
        if not self._part.exists():
            return None
        try:
            file = h5py.File(self._part, "r+")
        except OSError:
            return None  # it was being written when its process died, and is not readable: made anew
        if file.attrs.get("header") == header and "done" in file:
            return file
        file.close()
        return None

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, events: NDArray[np.int64], velocity: NDArray[np.float32]) -> None:
        """Records (event, 3, station, sample) in m/s of the events of these indices, which must rise."""
        self._file["velocity"][events] = velocity
        self._file.flush()  # the records are on the disk before the mark that says so
        self._file["done"][events] = True
        self._file.flush()
        self.done[events] = True

    def finish(self) -> None:
        """Close the file and give it its name. Raises RuntimeError where events are missing."""
        if not self.done.all():
            raise RuntimeError(f"{np.count_nonzero(~self.done)} events are not written yet")
        self._file.close()
        os.replace(self._part, self.path)


class Dataset:
    """Records of a finished file. Raises SettingError where it is none, or of another header than ``header``."""

    def __init__(self, path: Path, header: Mapping[str, Any] | None = None):
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise SettingError(f"{path}: cannot be read as HDF5 ({error})") from error
        found = self._file.attrs.get("format"), int(self._file.attrs.get("format_version", 0))
        if found != (FORMAT, FORMAT_VERSION):
            raise SettingError(
                f"{path}: no file of theoretical seismograms of version {FORMAT_VERSION} (found {found})"
            )
        self.header: dict[str, Any] = json.loads(self._file.attrs["header"])
        if header is not None and json.dumps(dict(header), sort_keys=True) != self._file.attrs["header"]:
            raise SettingError(f"{path}: was made with other settings; remove it, or take another run folder")

    def __len__(self) -> int:
        return int(self._file["velocity"].shape[0])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(event, 3, station, sample)."""
        events, components, stations, samples = self._file["velocity"].shape
        return int(events), int(components), int(stations), int(samples)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Records (event, 3, station, sample), m/s, of the events from ``first`` to before ``last``."""
        return np.asarray(self._file["velocity"][first:last])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
