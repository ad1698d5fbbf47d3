"""The time functions of SPECFEM3D's sources, as spectra with time factor e^{+i w t}.

A moment tensor's rate and a force of shape 0 are Gaussians exp(-t^2 / h^2) / (sqrt(pi) h) about time 0, with h the
half duration over 1.628 (their area is 1); a force of shape 4 is that of Meschede et al. (2011, GJI 187, 529, eq. 2),
h the half duration over pi; a force of shape 2 is the integral of shape 0. Half durations below five time steps are
raised to five time steps by SPECFEM3D.
"""

import numpy as np
from numpy.typing import NDArray

from .sources import ForceShape
from .text import SpecfemError

TRIANGLE_DECAY = 1.628
LEAST_STEPS = 5.0


def width_s(half_duration_s: float, dt_s: float, shape: int = ForceShape.GAUSSIAN) -> float:
    """h of the Gaussian (s) that a run with time step ``dt_s`` used. Raises SpecfemError for other shapes."""
    half = max(half_duration_s, LEAST_STEPS * dt_s)
    if shape in (ForceShape.GAUSSIAN, ForceShape.STEP):
        return half / TRIANGLE_DECAY
    if shape == ForceShape.GAUSSIAN_MESCHEDE:
        return half / np.pi
    raise SpecfemError(
        f"source time function {shape}: only 0 (Gaussian), 2 (step) and 4 (Gaussian of Meschede) can stand for a "
        "moment rate"
    )


def gaussian_spectrum(omega: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """exp(-w^2 h^2 / 4) at real angular frequencies (rad/s) for a width h (s)."""
    return np.asarray(np.exp(-0.25 * (np.asarray(omega, float) * width) ** 2))
