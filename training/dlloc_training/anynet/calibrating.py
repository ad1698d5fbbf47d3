"""What a model for any network may claim: how sure it is allowed to be, and from which peak on it stands by an answer.

Measured on recorded events of several networks that are not its tests, as they are and made harder, and on windows
without an event.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from obspy import Stream
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.migration.answer import trust_of
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

LEAST_THRESHOLD = 0.5
"""An answer that is more likely wrong than right is never stood by."""

NOISE_LEVEL = 0.95
"""Share of the windows without an event below whose peak a window is said to hold none."""

NEAR_SHARE = 0.1
"""An event is near where it was located if the epicentre is off by no more than this share of the aperture."""

CONDITIONS = ("clean", "trace:0.5", "network:0.5", "stations:6", "stations:5+network:1")
"""What the events are located in: answers of all sorts, from certain to wrong."""

SCALES = 0.01, 100.0
"""Of covariances, at least and at most."""

AS_RECORDED = ("clean", "stations:6")
"""Of these, those that set the scales: what noise was added to is stated wider than it need be, and would have the rest
stated too narrow.
"""

RIDGE = 1e-3
"""Keeps the trust finite where no answer to an event is as weak as one to noise."""


@dataclass(frozen=True)
class Claims:
    """Of answers: ``apart`` (n, 3), from where the event was, km east, north and down; the covariance (n, 3, 3) that
    was stated before any scale, and ``doubt`` (n, 3, 3), what of it no scale changes; the error of the epicentre (n,)
    in shares of the network's aperture, infinite where there was no event; the sum of the evidence, and the number of
    stations that it is of, (n,) each.
    """

    apart: FloatArray
    covariance: FloatArray
    doubt: FloatArray
    error: FloatArray
    score: FloatArray
    stations: FloatArray

    @property
    def near(self) -> NDArray[np.bool_]:
        """(n,) whether there was an event, and near."""
        return self.error <= NEAR_SHARE

    def peaks(self, trust: dict[str, float]) -> FloatArray:
        """(n,) what the locator will make of them with this ``trust``."""
        return np.array([trust_of(*pair, trust) for pair in zip(self.score, self.stations, strict=True)])


def joined(claims: Iterable[Claims]) -> Claims:
    """All of several."""
    parts = list(claims)
    return Claims(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Claims)))


def claims_of(rows: Iterable[dict[str, Any]], aperture_km: float) -> Claims:
    """What answers to events claim (rows of :mod:`.asking`); those without one are left out."""
    kept = [row for row in rows if row["located"]]
    places = [[row["east_km"], row["north_km"], row["depth_km"]] for row in kept]
    apart = np.array(places, float).reshape(-1, 3)
    covariance = np.array([row["covariance_km2"] for row in kept], float).reshape(-1, 3, 3)
    doubt = np.array([row["doubt_km2"] or np.zeros((3, 3)) for row in kept], float).reshape(-1, 3, 3)
    score, stations = (np.array([row[name] for row in kept], float) for name in ("score", "stations"))
    return Claims(apart, covariance, doubt, np.hypot(apart[:, 0], apart[:, 1]) / aperture_km, score, stations)


def claims_of_noise(solutions: Iterable[Solution]) -> Claims:
    """What answers to windows without an event claim."""
    kept = [s for s in solutions if s.hypocenter is not None and s.score is not None]
    none, count = np.full((len(kept), 3, 3), np.nan), len(kept)
    score, stations = np.array([s.score for s in kept], float), np.array([len(s.used_stations) for s in kept], float)
    return Claims(none[:, 0], none, none, np.full(count, np.inf), score, stations)


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


def fitted_trust(claims: Claims) -> dict[str, float]:
    """The passport's ``trust``: logistic regression of :attr:`Claims.near` on the evidence and the stations.

    Raises SettingError with less than 20 answers that are near, or 20 that are not.
    """
    near = claims.near
    if min(near.sum(), (~near).sum()) < 20:
        raise SettingError(
            f"calibration: {near.sum()} answers are near their event, {(~near).sum()} are not; 20 of each are needed"
        )
    # In tens, so that all three coefficients are of one size
    x = np.stack([np.ones(len(near)), claims.score / 10.0, claims.stations / 10.0])

    def loss(w: FloatArray) -> float:
        logit = w @ x
        return float(np.mean(np.logaddexp(0.0, logit) - near * logit) + RIDGE * np.sum(w[1:] ** 2))

    offset, score, stations = minimize(loss, np.zeros(3), bounds=[(None, None), (0.0, None), (None, 0.0)]).x
    return {"offset": round(offset, 3), "score": round(score / 10.0, 4), "stations": round(stations / 10.0, 4)}


def calibration(claims: Claims, trust: dict[str, float], recorded: Sequence[Claims]) -> dict[str, float]:
    """The passport's ``calibration``; ``recorded``: those of the claims that set the scales, of each network.

    Covariances but the doubt about travel times are scaled so that at each network LEVEL of the truths of answers that
    are stood by lie within, or more; what is stated for events that are wrongly associated is too small all the same.
    The threshold is the largest peak of a window without an event, and a little. Raises SettingError with less than 20
    answers of either.
    """
    peaks, none = claims.peaks(trust), ~np.isfinite(claims.error)
    if none.sum() < 20:
        raise SettingError("calibration: needs 20 windows without an event, or more")
    threshold = min(max(round(float(peaks[none].max()) + PEAK_MARGIN, 2), LEAST_THRESHOLD), 1.0)
    stood_by = [part.peaks(trust) >= threshold for part in recorded]
    fewest = min(int(kept.sum()) for kept in stood_by)
    if fewest < 20:
        raise SettingError(f"calibration: {fewest} events of a network have peaks above noise's, 20 are needed")
    return {
        "peak_threshold": threshold,
        "no_event_threshold": round(float(np.quantile(peaks[none], NOISE_LEVEL)), 2),
        "covariance_scale": max(_scale(*pair, slice(0, 2)) for pair in zip(recorded, stood_by, strict=True)),
        "depth_covariance_scale": max(_scale(*pair, slice(2, 3)) for pair in zip(recorded, stood_by, strict=True)),
    }


def _scale(claims: Claims, kept: NDArray[np.bool_], axes: slice) -> float:
    """What the covariance but its doubt is to be multiplied with, for these axes, so that LEVEL of the truths lie
    within its region of LEVEL; one of SCALES where none does that.
    """
    apart, doubt = claims.apart[kept, axes], claims.doubt[kept, axes, axes]
    scaled = claims.covariance[kept, axes, axes] - doubt
    level = float(chi2.ppf(LEVEL, apart.shape[1]))

    def held(log_scale: float) -> float:
        solved = np.linalg.solve(np.exp(log_scale) * scaled + doubt, apart[..., None])[..., 0]
        return float(np.quantile(np.sum(apart * solved, axis=1), LEVEL)) - level

    low, high = np.log(SCALES)
    if held(low) <= 0.0:
        return SCALES[0]
    return round(float(np.exp(brentq(held, low, high))), 3) if held(high) < 0.0 else SCALES[1]
