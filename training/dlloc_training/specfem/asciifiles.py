"""Seismograms as text: one file per trace, ``NET.STA.BXZ.semv``, two columns, time (s) and value."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .outputs import COMPONENTS, LETTERS, Axis, Output, Quantity, rounded_step
from .text import SpecfemError, fortran_float

FloatArray = NDArray[np.float64]

_ENDINGS: tuple[tuple[str, Quantity], ...] = ((".semv", "velocity"), (".semd", "displacement"))
_TAIL_BYTES = 400
_BANDS, _INSTRUMENTS = "LMBHCF", "XH"


def ascii_output(folder: Path, quantity: Quantity | None = None) -> Output | None:
    """The text seismograms in ``folder`` (or its OUTPUT_FILES); velocity where both are there and none is asked for.

    None where there are none. Raises SpecfemError where a file is empty, damaged or ends in NaN; only the ends of the
    files are read.
    """
    for ending, found in _ENDINGS:
        if quantity not in (None, found):
            continue
        files = _files(folder, ending)
        if files:
            axes = {station: {c: trace_axis(path) for c, path in parts.items()} for station, parts in files.items()}

            def read(station: str, files: dict[str, dict[str, Path]] = files) -> FloatArray:
                return np.stack([read_trace(files[station][component])[1] for component in COMPONENTS])

            letters = {path.name.rsplit(".", 2)[1][-1] for parts in files.values() for path in parts.values()}
            return Output("ASCII", found, bool(letters & set("EN")), axes, read)
    return None


def _files(folder: Path, ending: str) -> dict[str, dict[str, Path]]:
    """Station to component to file; strain channels (S..) and other letters are not taken."""
    files: dict[str, dict[str, Path]] = {}
    for place in (folder / "OUTPUT_FILES", folder):
        for path in sorted(place.glob(f"*{ending}")):
            station, _, channel = path.name[: -len(ending)].rpartition(".")
            if "." in station and _is_motion(channel):
                files.setdefault(station, {})[LETTERS[channel[-1]]] = path
        if files:
            break
    return files


def _is_motion(channel: str) -> bool:
    return len(channel) == 3 and channel[0] in _BANDS and channel[1] in _INSTRUMENTS and channel[2] in LETTERS


def trace_axis(path: Path) -> Axis:
    """Time axis of a trace from its first two and its last line. Raises SpecfemError naming the file."""
    try:
        with path.open("rb") as file:
            head = [file.readline(), file.readline()]
            size = file.seek(0, 2)
            file.seek(max(size - _TAIL_BYTES, 0))
            tail = file.read().splitlines()
    except OSError as error:
        raise SpecfemError(f"{path}: cannot be read ({error.strerror or error})") from error
    if size == 0:
        raise SpecfemError(f"{path}: is empty; the run did not end, or its disk was full")
    (start, first), (second, _), (end, last) = (_row(line, path) for line in (*head, tail[-1]))
    if not (np.isfinite(first) and np.isfinite(last)):
        raise SpecfemError(f"{path}: holds values that are not finite (NaN); the run was unstable, take a smaller DT")
    if not second > start:
        raise SpecfemError(f"{path}: its times do not increase; only forward runs can be imported")
    samples = _count_lines(path, size, len(head[0]), len(head[1]))
    if samples < 2:
        raise SpecfemError(f"{path}: holds fewer than two samples")
    return Axis(start, rounded_step(start, end, samples), samples)


def _count_lines(path: Path, size: int, *widths: int) -> int:
    """Lines of a trace: from its size where lines are of one width, as gfortran writes them, else by counting."""
    if len(set(widths)) == 1 and size % widths[0] == 0:
        return size // widths[0]
    return len(path.read_bytes().splitlines())


def read_trace(path: Path) -> tuple[FloatArray, FloatArray]:
    """Times (s) and values of a trace. Raises SpecfemError where it is empty, damaged or not finite."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file is answered below
            table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise SpecfemError(f"{path}: is no table of time and value ({error})") from error
    if table.size == 0:
        raise SpecfemError(f"{path}: is empty; the run did not end, or its disk was full")
    if table.shape[1] != 2:
        raise SpecfemError(f"{path}: has {table.shape[1]} columns, not two (time and value)")
    if not np.isfinite(table).all():
        raise SpecfemError(f"{path}: holds values that are not finite (NaN); the run was unstable, take a smaller DT")
    return table[:, 0], table[:, 1]


def _row(line: bytes, path: Path) -> tuple[float, float]:
    try:
        time, value = (fortran_float(word) for word in line.decode("ascii").split())
    except (ValueError, UnicodeDecodeError) as error:
        raise SpecfemError(f"{path}: '{line.decode('latin-1').strip()}' is no line of time and value") from error
    return time, value
