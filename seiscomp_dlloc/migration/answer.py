"""From where a search ended to what is stated of the event: place, uncertainty, origin time, trust."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..decode import scale_covariance
from ..geometry import Grid, LocalFrame
from ..heads import Estimate
from ..passport import Passport
from ..records import LocationImage, Onset
from ..representations import ModelInput
from ..traveltimes import PHASES
from .area import Axes, Box
from .earthdoubt import Doubt, earth_covariance
from .search import Arrivals, Found

FloatArray = NDArray[np.float64]

FITTING_STEPS = 3.0
"""Residuals (rms of sure onsets) that regions are calibrated with; where they are larger, so are the errors."""

SURE, MISFIT_STEPS = 0.9, 4.5
"""Residuals of onsets that are as probable as that: on recorded events with fitting earths 2 to 3 steps in the rms."""

CUT_SHARE = 0.25

ONSET_STEPS = 10
"""How far from it an onset is looked for to be told: 1 s at 20 Hz."""


def shares(found: Found) -> FloatArray:
    """(nz, ny, nx): the probability of each node, which sums to 1."""
    share = np.exp(found.log_probability - found.log_probability.max())
    return np.asarray(share / share.sum())


def moments(axes: Axes, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (x, y, z) and covariance (3, 3), km, of a probability on a grid, that of a uniform cell added."""
    places = np.stack(axes.nodes())
    weight = share.ravel()
    mean = places @ weight
    apart = places - mean[:, None]
    covariance = (weight * apart) @ apart.T
    steps = [float(line[1] - line[0]) if line.size > 1 else 0.0 for line in (axes.x_km, axes.y_km, axes.z_km)]
    return mean, covariance + np.diag(np.square(steps)) / 12.0


def best_near(evidence: NDArray[np.float32], steps: FloatArray, reach: int) -> tuple[FloatArray, FloatArray]:
    """The largest evidence within ``reach`` steps of each of ``steps`` (station, 2), and where it is, in steps.

    Both (station, 2), places refined by a parabola. NaN where the record does not hold that time or there is none; the
    place is NaN too where the evidence goes on rising beyond the reach: it belongs to something else.
    """
    value, place = np.full(steps.shape, np.nan), np.full(steps.shape, np.nan)
    times = evidence.shape[-1]
    for station, phase in np.argwhere(np.isfinite(steps)):
        at = round(float(steps[station, phase]))
        low, high = max(at - reach, 0), min(at + reach + 1, times)
        if high <= low:
            continue
        trace = evidence[station, phase].astype(np.float64)
        best = low + int(np.argmax(trace[low:high]))
        value[station, phase], place[station, phase] = trace[best], best
        if 0 < best < times - 1:
            left, middle, right = trace[best - 1 : best + 2]
            curvature = left - 2.0 * middle + right
            if middle < max(left, right):
                place[station, phase] = np.nan
            elif curvature < 0.0:
                place[station, phase] += 0.5 * (left - right) / curvature
    return value, place


def trust_of(score: float, stations: int, head: Mapping[str, float]) -> float:
    """The probability that an event is there, near where it is said to be, by the passport's ``trust``.

    Logistic in the sum of the evidence and in the number of stations: noise, too, agrees somewhere, and the more of it
    the more stations there are.
    """
    logit = head["offset"] + head["score"] * score + head["stations"] * stations
    return float(1.0 / (1.0 + np.exp(-np.clip(logit, -500.0, 500.0))))


def chance_of(value: FloatArray) -> FloatArray:
    """The probability of an onset from its evidence, as likely there as not to begin with."""
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def onsets_of(
    value: FloatArray, place: FloatArray, predicted: FloatArray, names: Sequence[str], start: float, step_s: float
) -> tuple[Onset, ...]:
    """Onsets of all stations, P before S; all arrays (station, 2), times in steps after ``start`` (POSIX s)."""
    found = []
    for station, name in enumerate(names):
        for k, phase in enumerate(PHASES):
            if np.isfinite(place[station, k]):
                time = float(place[station, k]) * step_s
                chance = float(chance_of(value[station, k]))
                residual = time - float(predicted[station, k]) * step_s
                found.append(Onset(name, phase, start + time, chance, residual))
    return tuple(found)


def sure_rms(onsets: Sequence[Onset]) -> float:
    """Root mean square residual (s) of the sure onsets; 0 without any."""
    residuals = [onset.residual_s for onset in onsets if onset.probability >= SURE]
    return float(np.sqrt(np.mean(np.square(residuals)))) if residuals else 0.0


def misfit(onsets: Sequence[Onset], step_s: float) -> tuple[str, ...]:
    """A note where sure onsets lie farther from their predicted times than an earth model that fits leaves them."""
    rms = sure_rms(onsets)
    if rms <= MISFIT_STEPS * step_s:
        return ()
    return (f"sure onsets are {rms:.2f} s (rms) off their predicted times: look at the earth model",)


def cut_off(p_steps: FloatArray, stations: int) -> tuple[str, ...]:
    """A note where P of many stations (steps after the window's start) came before what was looked at."""
    before = int(np.sum(p_steps < 0.0))
    if before < CUT_SHARE * stations:
        return ()
    return (f"P of {before} of {stations} stations came before the window: give a trigger nearer to the event's time",)


def estimate_of(
    found: Found,
    evidence: NDArray[np.float32],
    arrivals: Arrivals,
    box: Box,
    frame: LocalFrame,
    passport: Passport,
    built: ModelInput,
    step_s: float,
    fixed_depth: bool,
    doubt: Doubt,
) -> Estimate:
    """The estimate; ``evidence`` (station, 2, time) and ``arrivals`` of the stations that ``built`` names.

    ``doubt``: of these arrivals.
    """
    share = shares(found)
    mean, covariance = moments(found.axes, share)
    if found.axes.z_km.size == 1:
        mean[2] = found.axes.z_km[0]
        covariance[2, :] = covariance[:, 2] = np.nan
    time = float(np.sum(share * found.time_s))
    time_sigma = float(np.sqrt(np.sum(share * (found.time_s - time) ** 2)))
    predicted = np.asarray(arrivals(*(np.array([value]) for value in mean)), float)[0]
    steps = (predicted + time) / step_s
    peak = trust_of(found.score, len(evidence), passport.head["trust"])
    value, onset = best_near(evidence, steps, ONSET_STEPS)
    onsets = onsets_of(value, onset, steps, built.used, built.starttime, step_s)
    # As the variance of an adjustment is scaled by that of its residuals, where they are larger than they should be
    wider = max(sure_rms(onsets) / (FITTING_STEPS * step_s), 1.0) ** 2
    seen = np.where(np.isfinite(onset), chance_of(value), 0.0)
    beside = earth_covariance(arrivals, mean, seen, box, doubt)
    notes = [*misfit(onsets, step_s), *cut_off(steps[:, 0], len(evidence))]
    latitude, longitude = (float(value) for value in frame.to_geographic(mean[0], mean[1]))
    edge = 0.02 * box.width_km
    inside = min(mean[0] - box.x_km[0], box.x_km[1] - mean[0], mean[1] - box.y_km[0], box.y_km[1] - mean[1])
    if not fixed_depth and min(abs(mean[2] - box.z_km[0]), abs(mean[2] - box.z_km[1])) < 1e-6:
        notes.append("the depth lies at the border of the depths searched: poorly constrained")
    return Estimate(
        latitude=latitude,
        longitude=longitude,
        depth_km=float(mean[2]),
        covariance_km2=scale_covariance(covariance * wider, passport.calibration) + beside[:3, :3],
        doubt_km2=beside[:3, :3],
        peak=peak,
        score=found.score,
        at_edge=bool(inside < edge),
        time_s=time,
        time_sigma_s=float(np.hypot(time_sigma, np.sqrt(beside[3, 3]))),
        image=image_of(found.axes, share, frame),
        depth_type="operator assigned" if fixed_depth else "from location",
        onsets=onsets,
        notes=tuple(notes),
    )


def image_of(axes: Axes, share: FloatArray, frame: LocalFrame) -> LocationImage:
    """The probability as a location image on the finest grid."""

    def step(line: FloatArray) -> float:
        return float(line[1] - line[0]) if line.size > 1 else 1.0

    grid = Grid(
        frame.latitude,
        frame.longitude,
        float(axes.x_km[0]),
        float(axes.y_km[0]),
        float(axes.z_km[0]),
        step(axes.x_km),
        step(axes.y_km),
        step(axes.z_km),
        axes.x_km.size,
        axes.y_km.size,
        axes.z_km.size,
    )
    return LocationImage(share.astype(np.float32), grid, "density")
