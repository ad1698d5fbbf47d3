"""Seismograms in one file: SPECFEM3D's own ``seismograms.h5``, and ``synthetic.h5`` in the Adaptable Seismic Data
Format (Krischer et al. 2016, GJI 207, 1003)."""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from .outputs import COMPONENTS, LETTERS, Axis, Output, Quantity, rounded_step
from .parfile import Settings, find_file
from .text import SpecfemError

FloatArray = NDArray[np.float64]

_NAMES: tuple[tuple[str, Quantity], ...] = (("veloc", "velocity"), ("displ", "displacement"))
_NANOSECOND = 1e-9
_DAY_S = 86400.0


def hdf5_output(folder: Path, quantity: Quantity | None = None) -> Output | None:
    """``seismograms.h5`` of the run in ``folder``; None where there is none. Raises SpecfemError.

    Its arrays are (station, sample, component) with components in the order of ``channel``.
    """
    path = find_file(folder, "seismograms.h5")
    if path is None:
        return None
    try:
        with h5py.File(path, "r") as file:
            present = [pair for pair in _NAMES if pair[0] in file and quantity in (None, pair[1])]
            if not present:
                raise SpecfemError(f"{path}: holds neither veloc nor displ; set SAVE_SEISMOGRAMS_VELOCITY = .true.")
            name, found = present[0]
            stations = [f"{n}.{s}" for n, s in zip(_texts(file["network"]), _texts(file["station"]), strict=True)]
            channels = _texts(file["channel"])
            time = np.asarray(file["time"][()], float)
            shape = file[name].shape
    except (OSError, KeyError, ValueError) as error:
        raise SpecfemError(f"{path}: cannot be read as SPECFEM3D's seismograms.h5 ({error})") from error
    if shape != (len(stations), len(time), len(channels)) or len(time) < 2:
        raise SpecfemError(
            f"{path}: {name} has the shape {shape}, expected {(len(stations), len(time), len(channels))} "
            "(station, sample, component)"
        )
    letters = [LETTERS.get(channel[-1:], "") for channel in channels]
    axis = Axis(float(time[0]), rounded_step(time[0], time[-1], len(time)), len(time))

    def read(station: str) -> FloatArray:
        with h5py.File(path, "r") as file:
            values = np.asarray(file[name][stations.index(station)], float)
        return _finite(np.stack([values[:, letters.index(c)] for c in COMPONENTS]), path, station)

    axes = {station: {letter: axis for letter in letters if letter} for station in stations}
    projected = any(channel[-1:] in ("E", "N") for channel in channels)
    return Output("HDF5", found, projected, axes, read)


def asdf_output(
    folder: Path, origin_time_s: float, settings: Settings, quantity: Quantity | None = None
) -> Output | None:
    """``synthetic.h5`` of the run in ``folder``; None where there is none. Raises SpecfemError.

    The file does not say what its traces are: the Par_file or ``quantity`` must. ``origin_time_s``: POSIX time of the
    source, from which the times of the file become those of the source.
    """
    path = find_file(folder, "synthetic.h5")
    if path is None:
        return None
    kinds: list[Quantity] = []
    if settings.velocity:
        kinds.append("velocity")
    if settings.displacement:
        kinds.append("displacement")
    if quantity is None and len(kinds) != 1:
        raise SpecfemError(
            f"{path}: ASDF does not say whether it holds displacement or velocity, and the Par_file does not say "
            "either (or both): say which, or run with only SAVE_SEISMOGRAMS_VELOCITY = .true."
        )
    names: dict[str, dict[str, str]] = {}
    axes: dict[str, dict[str, Axis]] = {}
    projected = False
    try:
        with h5py.File(path, "r") as file:
            for station, group in file["Waveforms"].items():
                for name, trace in group.items():
                    letter = name.split("__")[0][-1]
                    if name == "StationXML" or letter not in LETTERS:
                        continue
                    projected |= letter in ("E", "N")
                    start = int(trace.attrs["starttime"]) * _NANOSECOND - origin_time_s
                    if abs(start) > _DAY_S:
                        raise SpecfemError(
                            f"{path}: {station} begins {start:.0f} s from the origin time of CMTSOLUTION, so they do "
                            "not belong together"
                        )
                    axis = Axis(start, 1.0 / float(trace.attrs["sampling_rate"]), int(trace.shape[0]))
                    axes.setdefault(station, {})[LETTERS[letter]] = axis
                    names.setdefault(station, {})[LETTERS[letter]] = trace.name
    except (OSError, KeyError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise SpecfemError(f"{path}: cannot be read as ASDF ({error})") from error

    def read(station: str) -> FloatArray:
        with h5py.File(path, "r") as file:
            values = np.stack([np.asarray(file[names[station][c]][()], float) for c in COMPONENTS])
        return _finite(values, path, station)

    return Output("ASDF", quantity or kinds[0], projected, axes, read)


def _texts(dataset: h5py.Dataset) -> list[str]:
    """Strings of fixed length, padded by Fortran with blanks."""
    return [bytes(value).decode("ascii").strip(" \0") for value in dataset[()].tolist()]


def _finite(values: FloatArray, path: Path, station: str) -> FloatArray:
    if not np.isfinite(values).all():
        raise SpecfemError(
            f"{path}: {station} holds values that are not finite (NaN); the run was unstable, take a smaller DT"
        )
    return values
