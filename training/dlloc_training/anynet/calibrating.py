"""What a model for any network may claim: how sure it is allowed to be, and from which peak on it stands by an answer.

Measured on recorded events of several networks that are not its tests, and on windows without an event.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from obspy import Stream
from scipy.stats import chi2

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.records import Solution, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes

from ..noise import extend_noise
from .disturbing import arrivals_of, own_noise, station_of
from .recordings import Events, fetched

FloatArray = NDArray[np.float64]

LEVEL = 0.68
"""Share of the truths that the scaled covariances hold."""

LEAST_STATIONS = 4

PEAK_MARGIN = 0.02
"""Added to the largest peak that a window without an event had."""

NOISE_LEVEL = 0.95
"""Share of the windows without an event below whose peak a window is said to hold none."""


@dataclass(frozen=True)
class Claims:
    """Of located events: squared errors in stated variances, of the epicentre (two axes together) and the depth, and
    the peaks."""

    epicentre: FloatArray
    depth: FloatArray
    peak: FloatArray

    def __add__(self, other: "Claims") -> "Claims":
        pairs = ((self.epicentre, other.epicentre), (self.depth, other.depth), (self.peak, other.peak))
        return Claims(*(np.concatenate(pair) for pair in pairs))


def claims_of(solutions: Sequence[Solution]) -> Claims:
    """What solutions claim, against the hypocentres of their triggers; those without an answer are left out."""
    rows = []
    for solution in solutions:
        found, trigger = solution.hypocenter, solution.trigger
        if found is None or trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
            continue
        x, y = LocalFrame(trigger.latitude, trigger.longitude).to_local(found.latitude, found.longitude)
        apart = np.array([float(x), float(y)])
        square = float(apart @ np.linalg.solve(found.covariance_km2[:2, :2], apart))
        deep = (found.depth_km - trigger.depth_km) ** 2 / found.covariance_km2[2, 2]
        rows.append((square, float(deep), solution.peak if solution.peak is not None else math.nan))
    return Claims(*np.array(rows).reshape(-1, 3).T)


def noise_windows(
    events: Events, count: int, locator: Locator, travel_times: TravelTimes, rng: np.random.Generator
) -> Iterator[Job]:
    """Windows without an event: what stations recorded before random events, made longer without repeating it.

    A random number of stations, four or more, in each. The trigger stands where the event's did.
    """
    made, tries = 0, 0
    while made < count:
        trigger = events.chosen[int(rng.integers(len(events.chosen)))]
        start, end = required_window(trigger, locator.passport, magnitude=False)
        whole = fetched(events, trigger, start, end).stream
        first = min(arrivals_of(trigger, inventory_stations(events.inventory, trigger.time), travel_times).p.values())
        quiet = {trace.id: (trace, noise) for trace in whole if (noise := own_noise(trace, first)) is not None}
        names = sorted({station_of(trace) for trace, _ in quiet.values()})
        tries += 1
        if len(names) < LEAST_STATIONS:
            if tries > 20 * count:
                raise SettingError(
                    f"{events.folder}: records begin too late to tell noise; give events with 2 s before P"
                )
            continue
        kept = set(rng.permutation(names)[: int(rng.integers(LEAST_STATIONS, len(names) + 1))].tolist())
        stream = Stream()
        for trace, noise in quiet.values():
            if station_of(trace) in kept:
                piece = trace.copy()
                piece.data = extend_noise(noise, round((end - start) * trace.stats.sampling_rate), rng).astype(float)
                piece.stats.starttime += start - trace.stats.starttime.timestamp
                stream.append(piece)
        made += 1
        yield Job(Trigger(trigger.origin_id, trigger.time), stream)


def calibration(claims: Claims, noise_peaks: FloatArray) -> dict[str, float]:
    """The passport's ``calibration``.

    Covariances are scaled so that LEVEL of the truths lie within; what is stated for events that are wrongly associated
    is too small all the same. The threshold is the largest peak of a window without an event, and a little.
    Raises SettingError with less than 20 of either.
    """
    peaks = noise_peaks[np.isfinite(noise_peaks)]
    if len(claims.epicentre) < 20 or len(peaks) < 20:
        raise SettingError("calibration: needs 20 located events and 20 windows without one, or more; give --every 1")
    return {
        "peak_threshold": min(round(float(peaks.max()) + PEAK_MARGIN, 2), 1.0),
        "no_event_threshold": round(float(np.quantile(peaks, NOISE_LEVEL)), 2),
        "covariance_scale": _scale(claims.epicentre, 2),
        "depth_covariance_scale": _scale(claims.depth, 1),
    }


def _scale(squares: FloatArray, axes: int) -> float:
    return round(max(float(np.quantile(squares, LEVEL)) / float(chi2.ppf(LEVEL, axes)), 0.01), 3)
