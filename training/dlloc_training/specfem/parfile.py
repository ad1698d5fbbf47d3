"""``Par_file``: the settings of a run that its output cannot be understood without."""

from dataclasses import dataclass
from pathlib import Path

from .text import SpecfemError, fortran_float, read_lines

PLACES = ("", "DATA", "OUTPUT_FILES")
"""Where the files of a run may lie, below its folder."""


@dataclass(frozen=True)
class Settings:
    """What was read; None where the file does not say. ``dt_s`` is the step of the simulation, ``output_dt_s`` that
    of its seismograms."""

    suppress_utm: bool | None = None
    absolute_z: bool | None = None
    dt_s: float | None = None
    output_dt_s: float | None = None
    velocity: bool | None = None
    displacement: bool | None = None


def find_file(folder: Path, name: str) -> Path | None:
    """``name`` in ``folder``, its DATA or its OUTPUT_FILES; None where it is in none of them."""
    for place in PLACES:
        path = folder / place / name
        if path.is_file():
            return path
    return None


def required_file(folder: Path, name: str) -> Path:
    """As :func:`find_file`; raises SpecfemError where there is no such file."""
    path = find_file(folder, name)
    if path is None:
        raise SpecfemError(f"{folder}: no {name} in it, nor in its DATA or OUTPUT_FILES; copy it there after the run")
    return path


def read_settings(folder: Path) -> Settings:
    """Settings of the run in ``folder``; all None without a Par_file. Raises SpecfemError on a damaged one."""
    path = find_file(folder, "Par_file")
    if path is None:
        return Settings()
    values = {}
    for line in read_lines(path):
        name, equals, rest = line.split("#", 1)[0].partition("=")
        if equals:
            values[name.strip()] = rest.strip()
    dt = _number(values, "DT", path)
    every = _number(values, "NTSTEP_BETWEEN_OUTPUT_SAMPLE", path)
    return Settings(
        suppress_utm=_flag(values, "SUPPRESS_UTM_PROJECTION", path),
        absolute_z=_flag(values, "USE_SOURCES_RECEIVERS_Z", path),
        dt_s=dt,
        output_dt_s=None if dt is None else dt * (every or 1.0),
        velocity=_flag(values, "SAVE_SEISMOGRAMS_VELOCITY", path),
        displacement=_flag(values, "SAVE_SEISMOGRAMS_DISPLACEMENT", path),
    )


def _flag(values: dict[str, str], name: str, path: Path) -> bool | None:
    if name not in values:
        return None
    word = values[name].strip(".").lower()
    if word not in ("true", "t", "false", "f"):
        raise SpecfemError(f"{path}: {name} is '{values[name]}', neither .true. nor .false.")
    return word.startswith("t")


def _number(values: dict[str, str], name: str, path: Path) -> float | None:
    if name not in values:
        return None
    try:
        return fortran_float(values[name])
    except ValueError as error:
        raise SpecfemError(f"{path}: {name} is '{values[name]}', no number") from error
