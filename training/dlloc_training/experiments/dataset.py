"""Theoretical seismograms on disk: one HDF5 file, chunked by event and read in sequence.

Sugiyama et al. (2021) found training bound by random reads of small files; a chunk here is one event of all stations,
and :meth:`Dataset.read` takes ranges.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

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
    where the disk has no room for all of it and for ``beside_bytes`` of other files, where the file cannot be written,
    and where another run is at it.

    HDF5 lays the file out once, and is closed before the first record is written to its place: what HDF5 keeps of
    itself never changes, so that no killed run and no full disk can spoil what is there already, and the bytes of a
    finished file do not depend on the order in which its records came.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], shape: tuple[int, int, int], beside_bytes: int = 0):
        self.path, self._part = path, path.with_name(path.name + ".part")
        text = json.dumps(dict(header), sort_keys=True)
        self._file: BinaryIO | None = self._locked()
        try:
            found = _layout(self._part, text, shape)
            events, stations, samples = shape
            need = beside_bytes if found else 4 * 3 * events * stations * samples + _SPARE_BYTES + beside_bytes
            free = shutil.disk_usage(path.parent).free
            if need > free:
                raise SettingError(
                    f"{path}: needs {need / 2**30:.1f} GiB, the disk has {free / 2**30:.1f}; ask for fewer or shorter "
                    "records, or another run folder"
                )
            if found is None:
                self._create(text, shape)
                found = _layout(self._part, text, shape)
            if found is None:
                raise RuntimeError(f"{self._part}: HDF5 did not lay the file out as it was told to")
            self._record_at, self._done_at, self.done = found
        except BaseException:
            self.close()
            raise

    def _locked(self) -> BinaryIO:
        try:
            file = os.fdopen(os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        except OSError as error:
            raise cannot_write(self._part, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise SettingError(f"{self._part}: another run is writing it; wait, or take another run folder") from error
        except OSError:
            pass  # a file system without locks
        return file

    def _create(self, header: str, shape: tuple[int, int, int]) -> None:
        events, stations, samples = shape
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        record = (3, stations, samples)
        try:
            with h5py.File(self._part, "w", locking=False) as file:
                file.attrs.update(
                    format=FORMAT, format_version=FORMAT_VERSION, header=header, components=COMPONENTS, unit="m/s"
                )
                file.create_dataset("velocity", (events, *record), "<f4", chunks=(1, *record), dcpl=early)
                file.create_dataset("done", data=np.zeros(events, bool))
            if self._file is not None and hasattr(os, "posix_fallocate"):
                # A full disk is met now, not after hours; a file system that cannot reserve says so and is let be
                os.posix_fallocate(self._file.fileno(), 0, self._part.stat().st_size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                return
            self._part.unlink(missing_ok=True)  # nothing is in it
            raise cannot_write(self._part, error) from error

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is written stays, for a later run to go on with."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, events: NDArray[np.int64], velocity: NDArray[np.float32]) -> None:
        """Records (event, 3, station, sample) in m/s of the events of these indices.

        Raises SettingError where the disk is full or fails: what was written before stays.
        """
        if self._file is None:
            raise RuntimeError(f"{self._part} is closed")
        file = self._file.fileno()
        try:
            for event, record in zip(events, velocity, strict=True):
                _write_at(file, np.ascontiguousarray(record, "<f4").data.cast("B"), self._record_at[event])
            os.fsync(file)  # the records are on the disk before the marks that say so
            for event in events:
                _write_at(file, memoryview(b"\1"), self._done_at + int(event))
        except OSError as error:
            raise cannot_write(self._part, error, "what was made so far is kept: the same command goes on") from error
        self.done[events] = True

    def finish(self) -> None:
        """Close the file and give it its name. Raises RuntimeError where events are missing."""
        if not self.done.all():
            raise RuntimeError(f"{np.count_nonzero(~self.done)} events are not written yet")
        try:
            if self._file is not None:
                os.fsync(self._file.fileno())
            os.replace(self._part, self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.close()


def cannot_write(path: Path, error: OSError | RuntimeError, then: str = "") -> SettingError:
    """The error of a file that cannot be written: no room, no permission, a broken disk; ``then``: what to do."""
    code = getattr(error, "errno", None)
    if f"errno = {errno.ENOSPC}" in str(error):  # as HDF5 says it
        code = errno.ENOSPC
    why = os.strerror(code) if code else " ".join(str(error).split())
    more = "; make room on the disk, or take another run folder" if code in (errno.ENOSPC, errno.EDQUOT) else ""
    return SettingError(f"{path}: cannot be written ({why}){more}{'; ' if then else ''}{then}")


def _layout(part: Path, header: str, shape: tuple[int, int, int]) -> tuple[list[int], int, NDArray[np.bool_]] | None:
    """Places in the file of each event's record and of the marks, and the marks; None where it is not such a file."""
    try:
        with h5py.File(part, "r", locking=False) as file:
            if file.attrs.get("header") != header or file["velocity"].shape != (shape[0], 3, *shape[1:]):
                return None
            velocity, done = file["velocity"].id, file["done"]
            places = [velocity.get_chunk_info_by_coord((event, 0, 0, 0)).byte_offset for event in range(shape[0])]
            if None in places or done.id.get_offset() is None:
                return None
            return places, int(done.id.get_offset()), np.asarray(done[()])
    except (OSError, KeyError):
        return None  # empty, or its process died while it was laid out: nothing is in it


def _write_at(file: int, data: memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


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
