"""From the components that a sensor has to vertical (up), north and east."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

TOLERANCE = 0.02
"""How much of another direction may remain in a recovered component: about one degree."""


def unit_vectors(azimuth: ArrayLike, dip: ArrayLike) -> FloatArray:
    """Directions of positive motion, (channel, 3) with axes up, north, east.

    ``azimuth`` degrees clockwise from north, ``dip`` degrees positive down (SEED manual, blockette 52: a vertical
    whose positive counts are ground motion up has dip -90).
    """
    a, d = np.radians(np.asarray(azimuth, float)), np.radians(np.asarray(dip, float))
    vectors = np.stack([-np.sin(d), np.cos(d) * np.cos(a), np.cos(d) * np.sin(a)], axis=-1)
    nearest = np.rint(vectors)
    # cos(90 degrees) is 6e-17 in floating point; sensors along the axes must come out untouched, to the bit
    return np.where(np.abs(vectors - nearest) < 1e-9, nearest, vectors)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, made read-only: cached results are shared."""
    array.setflags(write=False)
    return array


@lru_cache(maxsize=1024)
def to_zne(azimuth: tuple[float, ...], dip: tuple[float, ...]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Matrix (3, channel) that turns the channels of one sensor into Z, N, E, and which of these it recovers (3,).

    With three independent directions it is the inverse of their unit vectors; with fewer the pseudo-inverse, of which
    only the axes count that lie in the plane or line spanned. Rows not recovered are zero.
    """
    vectors = unit_vectors(azimuth, dip)
    # A signed permutation is inverted exactly by its transpose
    if np.array_equal(np.abs(vectors).sum(axis=1), np.ones(len(vectors))) and np.array_equal(vectors, np.rint(vectors)):
        distinct = np.abs(vectors).sum(axis=0) == 1
        return _frozen(vectors.T * distinct[:, None]), _frozen(distinct)
    matrix = np.asarray(np.linalg.pinv(vectors, rcond=0.1), np.float64)
    recovered = np.abs(matrix @ vectors - np.eye(3)).max(axis=1) < TOLERANCE
    matrix = np.where(np.abs(matrix) < 1e-9, 0.0, matrix)
    return _frozen(matrix * recovered[:, None]), _frozen(recovered)
