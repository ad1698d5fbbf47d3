"""Reading SPECFEM3D's text files: lines, labelled values, numbers as Fortran writes them."""

from pathlib import Path

from seiscomp_dlloc.errors import InputError


class SpecfemError(InputError):
    """A file or folder of SPECFEM3D cannot be used; the message names it and says what to do."""


def read_lines(path: Path) -> list[str]:
    """Lines of ``path`` that are not empty, stripped. Raises SpecfemError where there are none."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8", errors="replace").splitlines()]
    except OSError as error:
        raise SpecfemError(f"{path}: cannot be read ({error.strerror or error})") from error
    lines = [line for line in lines if line]
    if not lines:
        raise SpecfemError(f"{path}: is empty")
    return lines


def fortran_float(text: str) -> float:
    """A number as Fortran reads it: ``1.5``, ``-7.6e+27``, ``1.d10``. Raises ValueError."""
    return float(text.strip().lower().replace("d", "e"))


def labelled_float(line: str, label: str, path: Path) -> float:
    """The number after the colon of ``line``, which stands where ``label`` is expected. Raises SpecfemError."""
    try:
        return fortran_float(line.split(":", 1)[1].split()[0])
    except (IndexError, ValueError) as error:
        raise SpecfemError(f"{path}: expected '{label}: NUMBER', found '{line}'") from error
