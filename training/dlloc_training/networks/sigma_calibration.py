"""Sigmas that hold: factors from held-out events, and the share of events that stated regions cover."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from seiscomp_dlloc.errors import SettingError

FloatArray = NDArray[np.float64]

LEAST_EVENTS = 10
"""With fewer known events a 68 % quantile says next to nothing."""


def _squared(residuals: FloatArray, sigmas: FloatArray, columns: Sequence[int]) -> FloatArray:
    ratio = np.asarray(residuals, float)[:, columns] / np.asarray(sigmas, float)[:, columns]
    total: FloatArray = (ratio**2).sum(1)
    return total[np.isfinite(total)]


def _checked(residuals: FloatArray, sigmas: FloatArray) -> None:
    shape = np.shape(residuals)
    if len(shape) != 2 or np.shape(sigmas) != shape:
        raise SettingError(f"residuals {shape} and sigmas {np.shape(sigmas)} must both be (event, parameter)")
    if not np.all(np.asarray(sigmas) > 0):
        raise SettingError("sigmas must be above 0")


def calibrate(
    residuals: FloatArray,
    sigmas: FloatArray,
    groups: Sequence[Sequence[int]] | None = None,
    levels: Sequence[float] = (0.68,),
) -> FloatArray:
    """Factors (parameter,) by which sigmas of held-out events (event, parameter) have to be multiplied.

    For each level the factor is the one with which the stated region holds that share of the events: the quantile of
    the squared normalised residual over that of chi-square, square root; of several levels the geometric mean is
    taken. Columns in one of ``groups`` form one region (an ellipse, with a degree of freedom for each) and share a
    factor; by default each parameter stands alone. NaN residuals are left out. Raises SettingError with fewer than 10
    known events, or where all residuals are 0.
    """
    _checked(residuals, sigmas)
    count = np.shape(residuals)[1]
    regions = [[k] for k in range(count)] if groups is None else [list(group) for group in groups]
    if sorted(k for region in regions for k in region) != list(range(count)):
        raise SettingError(f"groups {regions} must hold each of the {count} parameters once")
    factors = np.ones(count)
    for region in regions:
        squared = _squared(residuals, sigmas, region)
        if squared.size < LEAST_EVENTS:
            raise SettingError(
                f"calibration needs at least {LEAST_EVENTS} held-out events, {squared.size} are known: hold out more"
            )
        ratios = np.array([np.quantile(squared, q) / chi2.ppf(q, len(region)) for q in levels])
        if not np.all(ratios > 0):
            raise SettingError("the residuals of held-out events are 0: were they training events?")
        factors[region] = np.exp(0.5 * np.mean(np.log(ratios)))
    return factors


def coverage(residuals: FloatArray, sigmas: FloatArray, columns: Sequence[int], level: float) -> float:
    """Share of events whose residuals in ``columns`` lie within the region that is stated to hold ``level``."""
    _checked(residuals, sigmas)
    squared = _squared(residuals, sigmas, columns)
    return float(np.mean(squared <= chi2.ppf(level, len(columns))))
