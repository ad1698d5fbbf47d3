"""The record of a table of strain Green's functions, and its HDF5 file."""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError

from .earth import EarthModel

FloatArray = NDArray[np.float64]

GREENS_FUNCTIONS = 10
"""Green's functions of each depth and distance; their order is in :mod:`dlloc_training.greens`."""

STRAIN_UNIT = 1e-15
"""Strain per newton of one unit of the table (km, km/s and g/cm3 give it)."""

FORMAT = "dlloc strain table"
FORMAT_VERSION = 1
_NUMBERS = ("duration_s", "fmax_hz", "wrap_damping", "period_km")


@dataclass(frozen=True)
class StrainTable:
    """Spectra of strain at depth from forces at the surface, for one earth model.

    ``spectra`` (depth, distance, 10, frequency) complex64, in units of 1e-15 per newton and hertz, at the complex
    angular frequencies :attr:`omega`; time 0 of each distance is ``start_s`` (distance,) after the origin time.
    """

    model: EarthModel
    depths_km: FloatArray
    distances_km: FloatArray
    start_s: FloatArray
    spectra: NDArray[np.complex64]
    duration_s: float
    fmax_hz: float
    wrap_damping: float
    period_km: float

    def __post_init__(self) -> None:
        shape = (len(self.depths_km), len(self.distances_km), GREENS_FUNCTIONS)
        if self.spectra.ndim != 4 or self.spectra.shape[:3] != shape:
            raise SettingError(f"strain table: spectra have shape {self.spectra.shape}, expected {shape} + frequencies")

    @property
    def damping(self) -> float:
        """w_I (1/s): minus the imaginary part of the angular frequencies."""
        return float(np.log(self.wrap_damping) / self.duration_s)

    @property
    def omega(self) -> NDArray[np.complex128]:
        """Complex angular frequencies (rad/s), (frequency,); the time factor is e^{+i w t}."""
        real = 2.0 * np.pi / self.duration_s * np.arange(self.spectra.shape[-1])
        return np.asarray(real - 1j * self.damping)

    def nearest(self, depth_km: FloatArray, distance_km: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the nearest depth and distance of the table (arrays that broadcast together)."""
        return _nearest(self.depths_km, depth_km), _nearest(self.distances_km, distance_km)

    def save(self, path: str | os.PathLike[str], compress: bool = False) -> None:
        """Write the table as HDF5 (to a temporary name, then renamed)."""
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        with h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["reference_frequency_hz"] = self.model.reference_frequency_hz
            for name in _NUMBERS:
                file.attrs[name] = getattr(self, name)
            file["earth_model"] = self.model.rows()
            for name in ("depths_km", "distances_km", "start_s"):
                file[name] = getattr(self, name)
            options = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if compress else {}
            file.create_dataset("spectra", data=self.spectra, **options)
        os.replace(temporary, target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "StrainTable":
        """Read a table written by :meth:`save`. Raises SettingError where the file is not one."""
        try:
            with h5py.File(path, "r") as file:
                found = file.attrs.get("format"), int(file.attrs.get("format_version", 0))
                if found != (FORMAT, FORMAT_VERSION):
                    raise SettingError(f"{path}: not a strain table of version {FORMAT_VERSION} (found {found})")
                model = EarthModel.from_rows(
                    file["earth_model"][()].tolist(), float(file.attrs["reference_frequency_hz"])
                )
                return cls(
                    model=model,
                    depths_km=file["depths_km"][()],
                    distances_km=file["distances_km"][()],
                    start_s=file["start_s"][()],
                    spectra=file["spectra"][()],
                    **{name: float(file.attrs[name]) for name in _NUMBERS},
                )
        except (OSError, KeyError) as error:
            raise SettingError(f"{path}: cannot be read as a strain table: {error}") from error


def _nearest(nodes: FloatArray, values: FloatArray) -> NDArray[np.int64]:
    if len(nodes) == 1:
        return np.zeros(np.shape(values), np.int64)
    return np.searchsorted(0.5 * (nodes[1:] + nodes[:-1]), values).astype(np.int64)
