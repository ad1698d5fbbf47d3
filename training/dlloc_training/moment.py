"""Moment tensors and magnitudes.

Moment tensors are (..., 3, 3) in N m, axes north, east, down.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

FloatArray = NDArray[np.float64]


def moment_from_magnitude(mw: ArrayLike) -> FloatArray:
    """Scalar moment (N m) of moment magnitude ``mw``: Hanks & Kanamori (1979), IASPEI constant (Bormann 2012)."""
    return np.asarray(10.0 ** (1.5 * np.asarray(mw, float) + 9.1))


def magnitude_from_moment(moment_nm: ArrayLike) -> FloatArray:
    """Moment magnitude of a scalar moment (N m); inverse of :func:`moment_from_magnitude`."""
    return np.asarray((np.log10(np.asarray(moment_nm, float)) - 9.1) / 1.5)


def scalar_moment(tensor: ArrayLike) -> FloatArray:
    """Scalar moment (N m), (...,): sqrt(M:M / 2) (Silver & Jordan 1982)."""
    moments = np.sqrt(0.5 * np.sum(np.asarray(tensor, float) ** 2, axis=(-2, -1)))
    return np.asarray(moments)


def double_couple(strike_deg: ArrayLike, dip_deg: ArrayLike, rake_deg: ArrayLike, moment_nm: ArrayLike) -> FloatArray:
    """Moment tensors (..., 3, 3) of shear faults; Aki & Richards (2002), box 4.4. Arguments broadcast, degrees."""
    strike, dip, rake = (np.radians(np.asarray(angle, float)) for angle in (strike_deg, dip_deg, rake_deg))
    ss, cs, s2s, c2s = np.sin(strike), np.cos(strike), np.sin(2 * strike), np.cos(2 * strike)
    sd, cd, s2d, c2d = np.sin(dip), np.cos(dip), np.sin(2 * dip), np.cos(2 * dip)
    sr, cr = np.sin(rake), np.cos(rake)
    nn = -(sd * cr * s2s + s2d * sr * ss * ss)
    ne = sd * cr * c2s + 0.5 * s2d * sr * s2s
    nd = -(cd * cr * cs + c2d * sr * ss)
    ee = sd * cr * s2s - s2d * sr * cs * cs
    ed = -(cd * cr * ss - c2d * sr * cs)
    dd = s2d * sr
    nn, ne, nd, ee, ed, dd = np.broadcast_arrays(nn, ne, nd, ee, ed, dd)
    rows = [np.stack(row, axis=-1) for row in ((nn, ne, nd), (ne, ee, ed), (nd, ed, dd))]
    return np.asarray(np.stack(rows, axis=-2) * np.asarray(moment_nm, float)[..., None, None])


def random_double_couples(rng: np.random.Generator, moment_nm: ArrayLike) -> FloatArray:
    """Double couples (n, 3, 3) of scalar moments ``moment_nm`` (n,), orientations uniform over all rotations."""
    moments = np.atleast_1d(np.asarray(moment_nm, float))
    rotation = Rotation.random(len(moments), rng=rng).as_matrix()
    reference = np.zeros((3, 3))
    reference[0, 1] = reference[1, 0] = 1.0
    tensors = rotation @ reference @ np.swapaxes(rotation, -1, -2)
    return np.asarray(tensors * moments[:, None, None])


def explosion(moment_nm: ArrayLike) -> FloatArray:
    """Isotropic sources (..., 3, 3); ``moment_nm`` is the diagonal element."""
    return np.asarray(np.eye(3) * np.asarray(moment_nm, float)[..., None, None])
