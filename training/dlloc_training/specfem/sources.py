"""``CMTSOLUTION`` and ``FORCESOLUTION``: the sources of SPECFEM3D's runs.

Positions are kept as the files have them: ``y`` and ``x`` are metres where the run suppresses the UTM projection,
else degrees of latitude and longitude; ``depth`` is km below the mesh's surface or, under USE_SOURCES_RECEIVERS_Z,
the height z in metres. :class:`~dlloc_training.specfem.placement.Placement` turns them into the package's frame.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .text import SpecfemError, labelled_float, read_lines

FloatArray = NDArray[np.float64]

NM_PER_DYNE_CM = 1e-7
CMT_LINES, FORCE_LINES = 13, 11

_HEADER = re.compile(r"^\D*(\d{4})\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+(?:\.\d*)?)")
_TENSOR_LABELS = ("Mrr", "Mtt", "Mpp", "Mrt", "Mrp", "Mtp")


@dataclass(frozen=True)
class MomentSource:
    """A point source. ``tensor`` (3, 3) N m, north-east-down; ``time_s`` POSIX time of the header.

    The moment rate is a Gaussian about ``time_s`` + ``time_shift_s`` (:mod:`dlloc_training.specfem.sourcetime`).
    """

    name: str
    time_s: float
    time_shift_s: float
    half_duration_s: float
    y: float
    x: float
    depth: float
    tensor: FloatArray

    @property
    def origin_time_s(self) -> float:
        """POSIX time at which the seismograms' time axis is 0: the middle of the moment rate."""
        return self.time_s + self.time_shift_s


class ForceShape(IntEnum):
    """The time functions of a force that can stand for a moment rate, by their number in the file."""

    GAUSSIAN = 0
    STEP = 2
    GAUSSIAN_MESCHEDE = 4


@dataclass(frozen=True)
class ForceSource:
    """A point force. ``direction`` (3,) east, north, up of unit length; ``newtons`` its size."""

    name: str
    time_shift_s: float
    half_duration_s: float
    y: float
    x: float
    depth: float
    shape: int
    newtons: float
    direction: FloatArray


def tensor_from_spherical(spherical: FloatArray) -> FloatArray:
    """(3, 3) north-east-down from Mrr, Mtt, Mpp, Mrt, Mrp, Mtp (up, south, east): Aki & Richards (2002), box 4.4."""
    rr, tt, pp, rt, rp, tp = np.asarray(spherical, float)
    return np.array([[tt, -tp, rt], [-tp, pp, -rp], [rt, -rp, rr]])


def spherical_from_tensor(tensor: FloatArray) -> FloatArray:
    """(6,) Mrr, Mtt, Mpp, Mrt, Mrp, Mtp; inverse of :func:`tensor_from_spherical`."""
    m = np.asarray(tensor, float)
    return np.array([m[2, 2], m[0, 0], m[1, 1], m[0, 2], -m[1, 2], -m[0, 1]])


def read_cmtsolution(path: Path) -> MomentSource:
    """Read a CMTSOLUTION of one point source. Raises SpecfemError naming the file and the line."""
    lines = read_lines(path)
    if len(lines) != CMT_LINES:
        several = " (several sources, or a source time function of its own, cannot be imported)"
        raise SpecfemError(
            f"{path}: has {len(lines)} lines, a CMTSOLUTION of one point source has {CMT_LINES}"
            + (several if len(lines) > CMT_LINES else "")
        )
    match = _HEADER.match(lines[0])
    try:
        if match is None:
            raise ValueError("no year, month, day, hour, minute, second")
        year, month, day, hour, minute = (int(match[i]) for i in range(1, 6))
        # An hour of 24 is allowed
        start = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute)
    except ValueError as error:
        raise SpecfemError(f"{path}: no origin time in its first line '{lines[0]}' ({error})") from error
    labels = ("time shift", "half duration", "latitude", "longitude", "depth", *_TENSOR_LABELS)
    shift, half, y, x, depth, *moments = (
        labelled_float(line, label, path) for line, label in zip(lines[2:], labels, strict=True)
    )
    if half < 0:
        raise SpecfemError(f"{path}: the half duration {half} s is negative")
    if not any(moments):
        raise SpecfemError(f"{path}: all six elements of the moment tensor are 0")
    return MomentSource(
        name=lines[1].split(":", 1)[-1].strip(),
        time_s=start.timestamp() + float(match[6]),
        time_shift_s=shift,
        half_duration_s=half,
        y=y,
        x=x,
        depth=depth,
        tensor=tensor_from_spherical(np.array(moments) * NM_PER_DYNE_CM),
    )


def format_cmtsolution(source: MomentSource) -> str:
    """Text of a CMTSOLUTION. The origin time is written to 0.01 s as the format has it; the rest goes, with the
    time shift, into the line of the time shift."""
    hundredths = round(source.time_s * 100.0)
    time = datetime.fromtimestamp(hundredths // 100, UTC)
    shift = source.time_shift_s + source.time_s - hundredths / 100.0
    seconds = time.second + (hundredths % 100) / 100.0
    values = [
        ("time shift", f"{shift:.4f}"),
        ("half duration", f"{source.half_duration_s:.6f}"),
        ("latorUTM", f"{source.y:.7f}"),
        ("longorUTM", f"{source.x:.7f}"),
        ("depth", f"{source.depth:.7f}"),
    ]
    moments = spherical_from_tensor(source.tensor) / NM_PER_DYNE_CM
    values += [(label, f"{value:.9e}") for label, value in zip(_TENSOR_LABELS, moments, strict=True)]
    header = (
        f"PDE  {time:%Y %m %d %H %M} {seconds:05.2f} {source.y:.4f} {source.x:.4f} {source.depth:.4f} 0.0 0.0 "
        f"{source.name}"
    )
    return "\n".join([header, f"event name:       {source.name}", *(_line(*value) for value in values)]) + "\n"


def read_forcesolution(path: Path) -> ForceSource:
    """Read a FORCESOLUTION of one force. Raises SpecfemError naming the file and the line.

    Text after the number in the first line is the ``name``; SPECFEM3D ignores it.
    """
    lines = read_lines(path)
    if len(lines) != FORCE_LINES:
        raise SpecfemError(f"{path}: has {len(lines)} lines, a FORCESOLUTION of one force has {FORCE_LINES}")
    names = ("time shift", "hdurorf0", "latorUTM", "longorUTM", "depth", "source time function", "factor force source")
    labels = (*names, *(f"component dir vect source {axis}" for axis in ("E", "N", "Z_UP")))
    shift, half, y, x, depth, shape, newtons, *direction = (
        labelled_float(line, label, path) for line, label in zip(lines[1:], labels, strict=True)
    )
    length = float(np.linalg.norm(direction))
    if not (length > 0 and newtons > 0):
        raise SpecfemError(f"{path}: the force and its direction must not be 0")
    words = lines[0].split(maxsplit=2)
    return ForceSource(
        name=words[2].strip() if len(words) > 2 else "",
        time_shift_s=shift,
        half_duration_s=half,
        y=y,
        x=x,
        depth=depth,
        shape=int(shape),
        newtons=newtons,
        direction=np.array(direction) / length,
    )


def format_forcesolution(source: ForceSource) -> str:
    """Text of a FORCESOLUTION."""
    east, north, up = source.direction
    values = [
        ("time shift", f"{source.time_shift_s:.4f}"),
        ("hdurorf0", f"{source.half_duration_s:.6f}"),
        ("latorUTM", f"{source.y:.7f}"),
        ("longorUTM", f"{source.x:.7f}"),
        ("depth", f"{source.depth:.7f}"),
        ("source time function", f"{source.shape:d}"),
        ("factor force source", f"{source.newtons:.9e}"),
        ("component dir vect source E", f"{east:.9f}"),
        ("component dir vect source N", f"{north:.9f}"),
        ("component dir vect source Z_UP", f"{up:.9f}"),
    ]
    return "\n".join([f"FORCE  001  {source.name}".rstrip(), *(_line(*value) for value in values)]) + "\n"


def _line(label: str, value: str) -> str:
    return f"{label + ':':<32}{value}"
