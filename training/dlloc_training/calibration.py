"""Thresholds and scales of a passport, from held-out training events; never from test events."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from seiscomp_dlloc.decode import ImagePeak, image_to_hypocenter
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Calibration
from seiscomp_dlloc.records import LocationImage

FloatArray = NDArray[np.float64]

LEVELS = (0.68, 0.90)


@dataclass(frozen=True)
class ImageKind:
    """What the values of an image are, and the width of the labels (km) that it was taught with."""

    measure: Literal["density", "label"]
    sigma_km: float
    sigma_depth_km: float


@dataclass(frozen=True)
class Readings:
    """Decoded images (event,) with the uncalibrated covariance, and the errors (event, 3) x, y, z in km."""

    peaks: tuple[ImagePeak, ...]
    errors_km: FloatArray

    @property
    def epicentre_errors_km(self) -> FloatArray:
        """(event,)."""
        return np.asarray(np.hypot(self.errors_km[:, 0], self.errors_km[:, 1]))


def raw(peak_radius_km: float) -> Calibration:
    """The calibration that changes nothing."""
    return Calibration(peak_threshold=0.0, covariance_scale=1.0, peak_radius_km=peak_radius_km)


def read(
    images: NDArray[np.float32],
    hypocentres_km: FloatArray,
    grid: Grid,
    settings: Calibration,
    kind: ImageKind,
) -> Readings:
    """Decode images (event, nz, ny, nx) whose events were at ``hypocentres_km`` (event, 3)."""
    peaks = tuple(
        image_to_hypocenter(LocationImage(image, grid, kind.measure), settings, kind.sigma_km, kind.sigma_depth_km)
        for image in images
    )
    found = np.array([[p.x_km, p.y_km, p.z_km] for p in peaks])
    return Readings(peaks, found - np.asarray(hypocentres_km, float))


def covariance_scale(readings: Readings) -> tuple[float, float]:
    """Factors of horizontal and depth variance with which the 68 and 90 % regions hold as many of the events.

    The factor of a level is the quantile of the normalised squared error over that of chi-square with two degrees of
    freedom (one for depth); the geometric mean of the two levels is taken.
    """
    horizontal, depth = [], []
    for peak, error in zip(readings.peaks, readings.errors_km, strict=True):
        covariance = peak.covariance_km2
        horizontal.append(error[:2] @ np.linalg.solve(covariance[:2, :2], error[:2]))
        depth.append(error[2] ** 2 / covariance[2, 2])

    def factor(values: list[float], freedom: int) -> float:
        return float(np.exp(np.mean([np.log(np.quantile(values, q) / chi2.ppf(q, freedom)) for q in LEVELS])))

    return factor(horizontal, 2), factor(depth, 1)


def thresholds(events: FloatArray, noise: FloatArray, lost: float = 0.02) -> tuple[float, float]:
    """(peak_threshold, no_event_threshold) from peak values of clean events and of windows without one.

    No event: below what 99 % of the noise windows stay under, as long as that costs less than half of ``lost``. Low
    peak: the value below which a share ``lost`` of the clean events would fall, at least the no-event threshold.
    """
    silent = float(min(np.quantile(noise, 0.99), np.quantile(events, lost / 2)))
    return max(float(np.quantile(events, lost)), silent), silent
