"""What travel times that are wrong do to a place: the part of its uncertainty that waveforms do not show.

Errors of an earth model grow with the travel time, as in NonLinLoc's LOCGAU2 (Lomax et al. 2000): each time is wrong
by a share of itself, and part of that is common to all stations. How they move the place is told by least squares,
linear about it, with the onsets that were seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .area import Box
from .search import Arrivals

FloatArray = NDArray[np.float64]


SHARE, WORLD_SHARE = 0.03, 0.06
"""Of the times in layers that somebody named: with it regions of recorded training events hold what they say. And twice
that in an earth of the whole world, whose crust is another one nearly everywhere.
"""

COMMON = 0.25
"""Between errors of single stations, which a network's many average out, and those of the earth as a whole."""

ONSET_STEPS, STEP_KM = 1.5, 0.2
"""How well an onset is known (steps of the evidence), and how far apart times are compared for their slope."""


@dataclass(frozen=True)
class Doubt:
    """``share``: standard deviation of travel times over themselves; ``common``: correlation between the stations' of
    one phase. ``onset_s``: the onsets' own standard deviation.
    """

    share: float
    common: float
    onset_s: float


def share_of(earth_model: Mapping[str, Any], corrected: bool) -> float:
    """By which share of itself a time of this earth model (a passport's ``earth_model``) is wrong.

    Corrections learned from past events make a region's earth of any.
    """
    return WORLD_SHARE if earth_model["kind"] == "taup" and not corrected else SHARE


def doubt_of(share: float, step_s: float) -> Doubt:
    """The doubt about times that are wrong by this share, of onsets in evidence of such steps."""
    return Doubt(share, COMMON, ONSET_STEPS * step_s)


def earth_covariance(arrivals: Arrivals, place: FloatArray, weight: FloatArray, box: Box, doubt: Doubt) -> FloatArray:
    """Covariance (4, 4) of x, y, z (km) and origin time (s) that wrong travel times leave at ``place`` (3,) km.

    ``weight`` (station, phase): how much each onset was worth, 0 to 1. The place is thought to be in ``box``, normally
    distributed with half of its sides; a side without length keeps its coordinate. Zeros where no onset was seen.
    """
    low, high = np.array([box.x_km, box.y_km, box.z_km]).T
    reach = 0.5 * (high - low)
    free = reach > 0.0
    step = np.minimum(0.1 * reach, STEP_KM)
    # Beyond the box there may be no times
    sides = np.clip(place + np.concatenate([np.diag(step), -np.diag(step)]), low, high)
    times = np.asarray(arrivals(*np.concatenate([place[None], sides]).T), np.float64)
    known = (weight > 0.0) & np.all(np.isfinite(times), axis=0)
    covariance = np.zeros((4, 4))
    if not known.any():
        return covariance
    times = times[:, known]
    apart = np.diagonal(sides[:3] - sides[3:])
    kept = np.array([*free, True])
    slope = (times[1:4] - times[4:7])[free] / apart[free, None]
    design = np.vstack([slope, np.ones(times.shape[1])]).T
    worth = weight[known] / doubt.onset_s**2
    normal = (design * worth[:, None]).T @ design + np.diag([*(1.0 / reach[free] ** 2), 0.0])
    gain = np.linalg.solve(normal, (design * worth[:, None]).T)
    inner = np.zeros((len(normal), len(normal)))
    for phase in range(weight.shape[1]):
        of_phase = np.nonzero(known)[1] == phase
        error = gain[:, of_phase] * (doubt.share * times[0, of_phase])
        together = error.sum(axis=1)
        inner += doubt.common * np.outer(together, together) + (1.0 - doubt.common) * (error @ error.T)
    covariance[np.ix_(kept, kept)] = inner
    return covariance
