"""The archive of reciprocal runs: strain at the nodes of a hypocentre grid from forces at the stations, in HDF5.

One dataset, ``strain`` (node, station, force, component, sample), float32, in strain per newton; a chunk is one node
of all stations, so that an event reads one piece of the file. Forces are Z (up), N, E; components are those of the
strain tensor along east, north and up, in the order of :data:`STRAINS`; off-diagonals are tensor strain (half of the
engineering shear). Time 0 is the middle of the force's Gaussian.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.geometry import LocalFrame

from .outputs import COMPONENTS
from .text import SpecfemError

FloatArray = NDArray[np.float64]

STRAINS = ("EE", "EN", "EZ", "NN", "NZ", "ZZ")
FORCES = tuple(COMPONENTS)

FORMAT = "dlloc strain archive"
FORMAT_VERSION = 1
_TEXTS = {"format": FORMAT, "unit": "strain per newton", "axes": "east north up", "forces": " ".join(FORCES)}


@dataclass(frozen=True)
class ArchiveHeader:
    """What holds for all of an archive.

    ``stations`` (``NET.STA``) with ``stations_km`` (station, 3) and ``nodes_km`` (node, 3): x east, y north in the
    frame at (``latitude``, ``longitude``), depth below sea level, km. Samples start ``start_s`` (negative) after the
    middle of the force, every ``dt_s``. ``width_s``: h of the force's Gaussian
    (:mod:`~dlloc_training.specfem.sourcetime`). ``fmax_hz``: highest frequency that the mesh resolves.
    """

    stations: tuple[str, ...]
    stations_km: FloatArray
    nodes_km: FloatArray
    latitude: float
    longitude: float
    start_s: float
    dt_s: float
    samples: int
    width_s: float
    fmax_hz: float

    @property
    def frame(self) -> LocalFrame:
        """The frame of x and y."""
        return LocalFrame(self.latitude, self.longitude)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(node, station, force, component, sample)."""
        return len(self.nodes_km), len(self.stations), len(FORCES), len(STRAINS), self.samples

    @property
    def size_bytes(self) -> int:
        """Size of the strain."""
        return int(np.prod(self.shape, dtype=np.int64)) * 4


_SCALARS = tuple(field.name for field in fields(ArchiveHeader) if field.type in (float, int))


class StrainArchive:
    """An archive that is open for reading; a context manager. Raises SpecfemError where ``path`` is none."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise SpecfemError(f"{path}: cannot be read as a strain archive ({error})") from error
        try:
            self.header = self._read_header()
        except (KeyError, ValueError) as error:
            self._file.close()
            raise SpecfemError(f"{path}: is no whole strain archive ({error})") from error
        except SpecfemError:
            self._file.close()
            raise

    def _read_header(self) -> ArchiveHeader:
        attributes = self._file.attrs
        found = attributes.get("format"), int(attributes.get("format_version", 0))
        if found != (FORMAT, FORMAT_VERSION):
            raise SpecfemError(f"{self.path}: no strain archive of version {FORMAT_VERSION} (found {found})")
        header = ArchiveHeader(
            stations=tuple(self._file["stations"].asstr()[()].tolist()),
            stations_km=self._file["stations_km"][()],
            nodes_km=self._file["nodes_km"][()],
            **{name: attributes[name].item() for name in _SCALARS},
        )
        if self._file["strain"].shape != header.shape:
            raise SpecfemError(f"{self.path}: strain has shape {self._file['strain'].shape}, expected {header.shape}")
        return header

    def strain(self, node: int) -> NDArray[np.float32]:
        """(station, force, component, sample) at one node, strain per newton."""
        return np.asarray(self._file["strain"][node])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "StrainArchive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def new_archive(path: str | os.PathLike[str], header: ArchiveHeader) -> Iterator[h5py.Dataset]:
    """The dataset ``strain`` of a new archive, to be filled; in its place once all of it is written.

    It is written to a temporary name beside ``path``; where anything fails, or the user interrupts, that is removed
    and what was at ``path`` stays. Raises SpecfemError where the disk has no room for it or cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise SpecfemError(f"{path}: its folder does not exist; make it first")
    free = shutil.disk_usage(target.parent).free
    if free < header.size_bytes:
        raise SpecfemError(
            f"{path}: the archive takes {header.size_bytes / 1e9:.2f} GB, the disk has {free / 1e9:.2f} GB left: "
            "choose another disk, fewer nodes, or a larger NTSTEP_BETWEEN_OUTPUT_SAMPLE"
        )
    temporary = target.with_name(target.name + ".part")
    done = False
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(_TEXTS)
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["components"] = " ".join(STRAINS)
            for name in _SCALARS:
                file.attrs[name] = getattr(header, name)
            file["stations"] = list(header.stations)
            file["stations_km"], file["nodes_km"] = header.stations_km, header.nodes_km
            # Whole chunks without fill values or filters: parts of them are written in place
            yield file.create_dataset(
                "strain", shape=header.shape, dtype=np.float32, chunks=(1, *header.shape[1:]), fill_time="never"
            )
        os.replace(temporary, target)
        done = True
    except OSError as error:
        raise SpecfemError(f"{path}: cannot be written ({error})") from error
    finally:
        if not done:
            with suppress(OSError):
                temporary.unlink()
