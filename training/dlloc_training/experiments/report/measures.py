"""Errors of a set of answers in figures: RMSE, MAE, median, coverage of the stated regions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ... import metrics
from ...metrics import Coverage, Interval
from ..predictions import Predictions

FloatArray = NDArray[np.float64]

EPICENTRE = "epicentre"
QUANTITIES = {"x": "km", "y": "km", "depth": "km", "time": "s", "magnitude": "", EPICENTRE: "km"}
"""Quantities and their units; ``x`` is the error along the longitude, ``y`` along the latitude."""

TITLES = {"x": "longitude", "y": "latitude", "depth": "depth", "time": "origin time", "magnitude": "magnitude",
          EPICENTRE: "epicentre"}  # fmt: skip

FOLLOWED = (EPICENTRE, "depth", "time", "magnitude")
"""What figures follow, and stated regions are checked for: the epicentre's ellipse, the intervals of the others."""

LEVELS = (0.68, 0.90)
RESAMPLES = 1000


def with_unit(quantity: str) -> str:
    """``depth, km``: what a column's heading says."""
    return ", ".join(filter(None, (TITLES[quantity], QUANTITIES[quantity])))


def rmse_of(sample: FloatArray) -> FloatArray:
    """Root of the mean square over events of (..., event, draw)."""
    return np.asarray(np.sqrt(np.nanmean(sample**2, axis=-2)))


@dataclass(frozen=True)
class Measure:
    """Errors of one quantity over ``count`` events; ``mae`` and ``median`` of their absolute values.

    ``bias``: mean of answer minus truth; of the epicentre, whose error has no sign, the same as ``mae``.
    """

    count: int
    rmse: Interval
    mae: Interval
    median: Interval
    bias: float


def measure(errors: FloatArray, resamples: int = RESAMPLES, seed: int = 0) -> Measure | None:
    """Figures of ``errors`` (event,), NaN where there is no answer or no truth; None where nothing is known."""
    known = np.asarray(errors, float)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return None
    size = np.abs(known)
    return Measure(
        known.size,
        metrics.bootstrap(size, rmse_of, resamples, seed),
        metrics.bootstrap(size, metrics.mean_of, resamples, seed),
        metrics.bootstrap(size, metrics.median_of, resamples, seed),
        float(known.mean()),
    )


def errors_of(predictions: Predictions, window: int = -1) -> Mapping[str, FloatArray]:
    """Errors (event,) by quantity, answer minus truth; of the last window, which is the published one, by default."""
    wrong = predictions.errors[:, window]
    errors = {name: wrong[:, k] for k, name in enumerate(predictions.parameters)}
    if "x" in errors and "y" in errors:
        errors[EPICENTRE] = np.hypot(errors["x"], errors["y"])
    return errors


def sigmas_of(predictions: Predictions, window: int = -1) -> Mapping[str, FloatArray]:
    """Stated sigmas (event,) by parameter, NaN where none is stated."""
    stated = predictions.sigma[:, window]
    stated = np.where(stated > 0, stated, np.nan)
    return {name: stated[:, k] for k, name in enumerate(predictions.parameters)}


def coverage_of(predictions: Predictions, region: str, level: float, window: int = -1) -> Coverage | None:
    """Share of events whose truth lies within the region that is stated to hold ``level``; None where none is stated.

    The epicentre's region is an ellipse with axes east and north (chi-square, two degrees of freedom), the others are
    intervals of a normal distribution. Wilson's intervals.
    """
    errors, sigmas = errors_of(predictions, window), sigmas_of(predictions, window)
    names = ("x", "y") if region == EPICENTRE else (region,)
    if any(name not in errors for name in names):
        return None
    wrong, stated = (np.stack([of[name] for name in names], axis=-1) for of in (errors, sigmas))
    known = np.asarray(np.isfinite(wrong).all(axis=-1) & np.isfinite(stated).all(axis=-1))
    if not known.any():
        return None
    if region == EPICENTRE:
        inside = metrics.inside_region(wrong, stated[..., None] ** 2 * np.eye(2), level)
    else:
        inside = metrics.inside_interval(wrong[:, 0], stated[:, 0], level)
    return metrics.coverage(np.asarray(inside), known, level)
