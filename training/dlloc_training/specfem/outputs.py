"""What a run's seismograms are, whichever format holds them: :class:`Output`, filled by a reader of each format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Quantity = Literal["velocity", "displacement"]

COMPONENTS = "ZNE"
"""The package's order."""

LETTERS = {"X": "E", "Y": "N", "Z": "Z", "E": "E", "N": "N"}
"""Last letter of a channel: X and Y where the UTM projection is suppressed, else E and N; Z is up."""


class Axis(NamedTuple):
    """Time axis of one trace: first sample (s, 0 is the source's origin time), step (s), number of samples."""

    start_s: float
    dt_s: float
    samples: int


@dataclass(frozen=True)
class Output:
    """Seismograms found in a folder, not yet read.

    ``axes``: station (``NET.STA``) to component (Z, N or E) to time axis. ``read`` gives the values (3, sample) of a
    station in the order Z, N, E and in SI units. ``projected``: channels end in E and N, not in X and Y.
    """

    form: str
    quantity: Quantity
    projected: bool
    axes: Mapping[str, Mapping[str, Axis]]
    read: Callable[[str], FloatArray]


def rounded_step(start_s: float, end_s: float, samples: int) -> float:
    """Step (s) of a time axis whose ends were written in single precision."""
    return float(f"{(end_s - start_s) / (samples - 1):.6g}")
