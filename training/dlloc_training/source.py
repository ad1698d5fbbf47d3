"""Moment-rate functions as spectra at complex angular frequencies.

Each returns the Fourier transform, with time factor e^{+i w t}, of a moment rate that integrates to 1 and starts at the
origin time; 1 is a step of moment. The displacement of a delta function of moment is the velocity of a step of
moment. Parameters may have any shape that broadcasts with ``omega``; parameters (n, 1) give (n, frequency).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .moment import moment_from_magnitude

ComplexArray = NDArray[np.complex128]


def corner_frequency(mw: ArrayLike, stress_drop_mpa: ArrayLike = 3.0, vs_km_s: ArrayLike = 3.5) -> NDArray[np.float64]:
    """Brune's corner frequency (Hz): 2.34 b / (2 pi) (16 D / (7 M0))^(1/3) (Brune 1970, corrected 1971)."""
    stress = np.asarray(stress_drop_mpa, float) * 1e6
    radius = (7.0 * moment_from_magnitude(mw) / (16.0 * stress)) ** (1.0 / 3.0)
    return np.asarray(2.34 * np.asarray(vs_km_s, float) * 1e3 / (2.0 * np.pi * radius))


def brune(omega: ComplexArray, corner_hz: ArrayLike) -> ComplexArray:
    """Omega-square source: w_c^2 t e^{-w_c t}."""
    return np.asarray((1.0 + 1j * omega / (2.0 * np.pi * np.asarray(corner_hz, float))) ** -2)


def boxcar(omega: ComplexArray, duration_s: ArrayLike) -> ComplexArray:
    """Constant moment rate over ``duration_s``."""
    x = 1j * omega * np.asarray(duration_s, float)
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, x)
    return np.where(small, 1.0 - 0.5 * x, (1.0 - np.exp(-safe)) / safe)


def triangle(omega: ComplexArray, duration_s: ArrayLike) -> ComplexArray:
    """Isosceles triangle of ``duration_s``: two boxcars of half its length, convolved."""
    return np.asarray(boxcar(omega, 0.5 * np.asarray(duration_s, float)) ** 2)


def gaussian(omega: ComplexArray, sigma_s: ArrayLike, centre_s: ArrayLike = 0.0) -> ComplexArray:
    """Gaussian of standard deviation ``sigma_s`` centred ``centre_s`` after the origin time."""
    sigma = np.asarray(sigma_s, float)
    return np.asarray(np.exp(-0.5 * (omega * sigma) ** 2 - 1j * omega * np.asarray(centre_s, float)))
