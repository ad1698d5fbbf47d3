"""How good a set of locations is: errors with bootstrap intervals, coverage of stated uncertainties, skill.

Pure functions of arrays. Where an event is answered several times (draws of removed stations), the last axis holds
the draws: a figure is computed for every draw over the events, then averaged over the draws, and the bootstrap
resamples events and keeps the draws of an event together, because they are no independent evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.68
"""Confidence of every interval here."""


@dataclass(frozen=True)
class Interval:
    """A figure and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ErrorSummary:
    """Errors of a set of locations: ``count`` events, ``answered`` share of (event, draw) that have an answer."""

    count: int
    answered: float
    mean: Interval
    median: Interval
    p90: Interval


@dataclass(frozen=True)
class Coverage:
    """Share of events whose truth lies within the stated region of probability ``level``."""

    level: float
    count: int
    share: Interval


def _two_dimensional(errors: FloatArray) -> FloatArray:
    errors = np.asarray(errors, float)
    if errors.ndim not in (1, 2) or errors.shape[0] == 0:
        raise ValueError(f"errors must be (event,) or (event, draw) with an event at least, not {errors.shape}")
    return errors if errors.ndim == 2 else errors[:, None]


def bootstrap(
    errors: FloatArray, statistic: Callable[[FloatArray], FloatArray], resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13) over events.

    ``errors`` (event,) or (event, draw); NaN where there is no answer. ``statistic`` takes (..., event, draw) and
    reduces the event axis (-2); it must pass over NaN. NaN where no event has an answer.
    """
    values = _two_dimensional(errors)
    values = values[np.any(np.isfinite(values), axis=1)]
    if values.shape[0] == 0:
        return Interval(np.nan, np.nan, np.nan)

    def over_draws(sample: FloatArray) -> FloatArray:
        return np.asarray(np.nanmean(statistic(sample), axis=-1))

    chosen = np.random.default_rng(seed).integers(0, values.shape[0], (resamples, values.shape[0]))
    tails = np.quantile(over_draws(values[chosen]), [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Interval(float(over_draws(values)), float(tails[0]), float(tails[1]))


def mean_of(sample: FloatArray) -> FloatArray:
    """Mean over events of (..., event, draw)."""
    return np.asarray(np.nanmean(sample, axis=-2))


def median_of(sample: FloatArray) -> FloatArray:
    """Median over events of (..., event, draw)."""
    return _quantile(sample, 0.5)


def p90_of(sample: FloatArray) -> FloatArray:
    """90th percentile over events of (..., event, draw)."""
    return _quantile(sample, 0.9)


def _quantile(sample: FloatArray, level: float) -> FloatArray:
    # nanquantile is a hundred times slower than quantile, and there is seldom a NaN
    if np.all(np.isfinite(sample)):
        return np.asarray(np.quantile(sample, level, axis=-2))
    return np.asarray(np.nanquantile(sample, level, axis=-2))


def summarise(errors: FloatArray, resamples: int = 2000, seed: int = 0) -> ErrorSummary:
    """Mean, median and 90th percentile of ``errors`` (event,) or (event, draw), each with its bootstrap interval."""
    values = _two_dimensional(errors)
    return ErrorSummary(
        count=values.shape[0],
        answered=float(np.mean(np.isfinite(values))),
        mean=bootstrap(values, mean_of, resamples, seed),
        median=bootstrap(values, median_of, resamples, seed),
        p90=bootstrap(values, p90_of, resamples, seed),
    )


def mean_absolute(errors: FloatArray, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean absolute value of ``errors`` (event,) or (event, draw), for depths and origin times."""
    return bootstrap(np.abs(_two_dimensional(errors)), mean_of, resamples, seed)


def inside_region(offset_km: FloatArray, covariance_km2: FloatArray, level: float) -> NDArray[np.bool_]:
    """Whether the truth lies within the stated horizontal ellipse of probability ``level``.

    ``offset_km`` (..., 2): true minus stated epicentre, east and north; ``covariance_km2`` (..., 2, 2). The squared
    Mahalanobis distance of a 2-D Gaussian is chi-square with two degrees of freedom. False where either is NaN.
    """
    known = np.asarray(np.isfinite(offset_km).all(axis=-1) & np.isfinite(covariance_km2).all(axis=(-1, -2)))
    covariance = np.where(known[..., None, None], covariance_km2, np.eye(2))
    offset = np.where(known[..., None], offset_km, 0.0)
    squared = np.sum(offset * np.linalg.solve(covariance, offset[..., None])[..., 0], axis=-1)
    return np.asarray(known & (squared <= stats.chi2.ppf(level, 2)))


def inside_interval(error: FloatArray, sigma: FloatArray, level: float) -> NDArray[np.bool_]:
    """Whether a Gaussian interval of probability ``level`` holds the truth: |error| <= z sigma; False for NaN."""
    z = stats.norm.ppf(0.5 + level / 2)
    known = np.isfinite(error) & np.isfinite(sigma)
    return np.asarray(known & (np.abs(np.where(known, error, 0.0)) <= z * np.where(known, sigma, 0.0)))


def coverage(inside: NDArray[np.bool_], known: NDArray[np.bool_], level: float) -> Coverage:
    """Share of the ``known`` that are ``inside``, both (event,) or (event, draw), with Wilson's interval (1927).

    The draws of an event count as one trial.
    """
    known = np.atleast_2d(known.T).T
    count = int(np.count_nonzero(known.any(axis=1)))
    if count == 0:
        return Coverage(level, 0, Interval(np.nan, np.nan, np.nan))
    share = float(np.count_nonzero(np.atleast_2d(inside.T).T & known) / np.count_nonzero(known))
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return Coverage(level, count, Interval(share, float(centre - half), float(centre + half)))


def skill(mean_error: float, baseline_mean_error: float) -> float:
    """1 for a perfect answer, 0 for one no better than the baseline, negative for a worse one."""
    if not baseline_mean_error > 0:
        raise ValueError("the baseline has no error: nothing can have skill against it")
    return 1.0 - mean_error / baseline_mean_error
