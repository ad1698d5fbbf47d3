"""The rest of a solution once the model has said where: origin time, arrivals, magnitude, trust."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import origintime, trust
from .channels import ChannelIndex
from .heads import Estimate
from .magnitude import ResponseTable, has_response, local_magnitude, some_names
from .network import azimuthal_gap
from .onsets import completed
from .passport import Passport
from .predict import Predictions, SeenPick, location_variance, predict
from .records import (
    Abstention,
    Arrival,
    Conditioned,
    Dropped,
    Hypocenter,
    Magnitude,
    ModelIdentity,
    Solution,
    Station,
    Trigger,
)
from .representations import ModelInput
from .traveltimes import PHASES, TravelTimes

FloatArray = NDArray[np.float64]
Picks = list[SeenPick]

TIME_SEARCH_S = 12.0
"""Origin times by moveout are sought this far about the one that the first break gives."""

LEANING_SIGMAS = 2.0
"""An epicentre that moves by so many standard deviations without one station rests on it."""

AS_NEAR_S = 1.0
"""An event that is farther from the trigger's time by no more than this may be the trigger's as well."""

FIRST_BREAK_SIGMA_S = 2.0
"""Uncertainty of an origin time that rests on the first break alone: which phase and station it is, is a guess."""


@dataclass(frozen=True)
class Options:
    """Settings of a run.

    ``fixed_depth_km``: depth to keep instead of the model's. ``anchor_shift_s`` moves the window off the first break
    (to test what a wrong one does). ``batch_size``: events per run of the model. ``magnitude``: whether ML is
    computed where the model gives no magnitude. ``trigger_only``: of models for any network, whether an event is left
    alone that did not begin at about the trigger's time.
    """

    fixed_depth_km: float | None = None
    anchor_shift_s: float = 0.0
    batch_size: int = 16
    magnitude: bool = True
    trigger_only: bool = False


@dataclass(frozen=True)
class Evidence:
    """What the solution of one event rests on beside the model's answer.

    ``stream`` raw counts; ``stations`` in the order of ``conditioned``'s station axis, ``listed`` all of the inventory
    at the trigger's time; ``anchor`` the first break (POSIX s) that the window was set by; ``passport`` the model's, at
    the network's scale.
    """

    trigger: Trigger
    stream: Any
    stations: tuple[Station, ...]
    listed: tuple[Station, ...]
    dropped: tuple[Dropped, ...]
    conditioned: Conditioned
    anchor: float
    input: ModelInput
    passport: Passport


class Solver:
    """Completes solutions of one model; keeps tables of responses."""

    def __init__(
        self,
        passport: Passport,
        identity: ModelIdentity,
        index: ChannelIndex,
        travel_times: TravelTimes,
        options: Options,
    ):
        self.passport, self.identity, self.options, self.travel_times = passport, identity, options, travel_times
        self._index = index
        self._responses = ResponseTable()

    def with_options(self, options: Options) -> "Solver":
        """A solver with other options that shares this one's tables."""
        other = copy.copy(self)
        other.options = options
        return other

    def solve(self, case: Evidence, estimate: Estimate) -> Solution:
        """The solution that goes with the model's ``estimate``."""
        place = (estimate.latitude, estimate.longitude, estimate.depth_km)
        network = predict(*place, case.stations, self.travel_times)
        in_use = frozenset(case.input.used)
        used = np.array([station.id in in_use for station in case.stations])
        seen, pick_network, notes = self._picks(case, place)
        stack = self._stack(case, network, used)
        time, sigma, weights, time_note = self._time(case, estimate, network, used, seen, pick_network, stack)
        hypocenter = Hypocenter(*place, estimate.covariance_km2, time, sigma, estimate.depth_type, estimate.doubt_km2)
        magnitude, magnitude_note = self._magnitude(case, estimate, hypocenter)
        bursts, elsewhere = _bursts(case, estimate, hypocenter, network, stack)
        abstention = self._judge(case, estimate, hypocenter, network, used, bursts)
        others = ", ".join(f"{burst:+.1f} s" for burst in elsewhere)
        others = f"more events in the window, not the trigger's: {others} from the origin time" if others else ""
        leaning = _leaning(estimate)
        distances = network.distance_km[used]
        fixed = "" if self.options.fixed_depth_km is None else f"depth fixed at {self.options.fixed_depth_km:g} km"
        return Solution(
            trigger=case.trigger,
            model=self.identity,
            hypocenter=hypocenter,
            magnitude=magnitude,
            magnitude_note=magnitude_note,
            peak=estimate.peak,
            secondary_peaks=estimate.secondary_peaks,
            abstention=abstention,
            arrivals=_arrivals(seen, pick_network, weights, time),
            influence_km=estimate.influence_km,
            score=estimate.score,
            onsets=completed(estimate.onsets, network, case.stream, case.dropped, self._index),
            used_stations=case.input.used,
            azimuthal_gap_deg=azimuthal_gap(network.azimuth_deg[used]),
            min_distance_km=float(distances.min()) if distances.size else None,
            max_distance_km=float(distances.max()) if distances.size else None,
            anchor=case.anchor,
            dropped=case.dropped,
            notes=tuple(note for note in (*estimate.notes, fixed, time_note, others, leaning, *notes) if note),
        )

    def _picks(self, case: Evidence, place: tuple[float, float, float]) -> tuple[Picks, Predictions, list[str]]:
        """The trigger's picks at stations of the passport or the inventory, in order of time."""
        # The inventory's coordinates are those of the event's time
        known = {station.id: station for station in (*self.passport.stations, *case.listed)}
        ordered = sorted(case.trigger.picks, key=lambda p: (p.time, p.public_id))
        picks = [pick for pick in ordered if pick.station_id in known]
        unknown = sorted({pick.station_id for pick in ordered if pick.station_id not in known})
        notes = [f"picks of unknown stations left out: {', '.join(unknown)}"] if unknown else []
        network = predict(*place, [known[pick.station_id] for pick in picks], self.travel_times)
        seen = []
        for i, pick in enumerate(picks):
            phase = origintime.first_arrival_phase(pick.phase)
            seen.append(SeenPick(pick, i, phase or "P", phase is not None))
        return seen, network, notes

    def _stack(self, case: Evidence, network: Predictions, used: NDArray[np.bool_]) -> origintime.Moveout:
        """Onset stack over every origin time whose arrivals the records could hold."""
        predicted = {phase: np.where(used, network.times[phase], np.nan) for phase in PHASES}
        latest = float(np.nanmax(predicted["S"], initial=0.0))
        start = case.conditioned.starttime - latest
        return origintime.moveout(case.conditioned, predicted, start, case.conditioned.endtime)

    def _time(
        self,
        case: Evidence,
        estimate: Estimate,
        network: Predictions,
        used: NDArray[np.bool_],
        seen: list[SeenPick],
        pick_network: Predictions,
        stack: origintime.Moveout,
    ) -> tuple[float, float, FloatArray, str]:
        """Origin time, sigma, weights of the picks, and a note on how: the model's, by picks, by moveout."""
        floor, weights = self.passport.calibration.time_sigma_floor_s, np.zeros(len(seen))
        if estimate.time_s is not None:
            sigma = floor if estimate.time_sigma_s is None else max(estimate.time_sigma_s, floor)
            return case.input.starttime + estimate.time_s, sigma, weights, "origin time: the model's own"
        predicted = np.array([pick_network.times[s.phase][s.station] for s in seen])
        prior = np.array([origintime.PHASE_WEIGHT[s.phase] if s.hinted and s.pick.used else 0.0 for s in seen])
        found = origintime.from_picks(np.array([s.pick.time for s in seen]), predicted, prior)
        if found is not None:
            gradients = np.array([pick_network.gradients[s.phase][s.station] for s in seen])
            gradient = np.average(gradients, axis=0, weights=found.weights)
            variance = location_variance(gradient, estimate.covariance_km2)
            note = f"origin time: from {found.used} picks"
            return found.time, max(float(np.hypot(found.sigma_s, np.sqrt(variance))), floor), found.weights, note
        first = float(np.min(network.times["P"][used]))
        centre = case.anchor - first
        found = origintime.from_moveout(stack.between(centre - TIME_SEARCH_S, centre + TIME_SEARCH_S))
        if found is None:
            return centre, max(FIRST_BREAK_SIGMA_S, floor), weights, "origin time: from the first break alone"
        gradient = np.mean([network.gradients[phase][used].mean(axis=0) for phase in PHASES], axis=0)
        variance = location_variance(gradient, estimate.covariance_km2)
        note = (
            f"origin time: stack of onsets at {found.used} stations along the predicted moveout "
            f"(mean STA/LTA {found.mean_ratio:.0f})"
        )
        return found.time, max(float(np.hypot(found.sigma_s, np.sqrt(variance))), floor), weights, note

    def _magnitude(self, case: Evidence, estimate: Estimate, hypocenter: Hypocenter) -> tuple[Magnitude | None, str]:
        settings = case.passport.preprocessing
        if estimate.magnitude is not None:
            return Magnitude(estimate.magnitude, "Mdl", estimate.magnitude_sigma), ""
        if not self.options.magnitude:
            return None, "no ML: not asked for"
        if settings.prefiltered:
            ids = sorted({trace.id for trace in case.stream})
            epochs = {seed_id: self._index.find(seed_id, hypocenter.time) for seed_id in ids}
            bare = sorted({s.rsplit(".", 2)[0] for s, epoch in epochs.items() if not has_response(epoch)})
            reason = f"no instrument response for {some_names(bare)}, and " if bare else ""
            low, high = settings.band_hz
            return None, f"no ML: {reason}the waveforms come already filtered to {low:g}-{high:g} Hz"
        stations = {s.id: s for s in (*case.stations, *case.listed)}
        return local_magnitude(
            case.stream, self._index, list(stations.values()), hypocenter, self.travel_times, self._responses
        )

    def _judge(
        self,
        case: Evidence,
        estimate: Estimate,
        hypocenter: Hypocenter,
        network: Predictions,
        used: NDArray[np.bool_],
        bursts: tuple[float, ...],
    ) -> Abstention | None:
        passport, calibration = case.passport, case.passport.calibration
        window = case.input.starttime, case.input.starttime + passport.preprocessing.window_s
        # A short window need not hold P and S of every station: what is asked for is what could lie in it
        p, s = (np.clip(hypocenter.time + network.times[phase], *window) for phase in PHASES)
        return trust.first(
            [
                trust.no_event(estimate.peak, calibration),
                trust.outside_region(estimate.latitude, estimate.longitude, passport.region, estimate.at_edge),
                trust.far_away(estimate.wave, estimate.score),
                trust.low_peak(estimate.peak, calibration),
                trust.two_events(estimate.secondary_peaks, bursts),
                trust.missing_data(p[used], s[used], _spans(case.conditioned, used), passport.min_stations),
            ]
        )


def _leaning(estimate: Estimate) -> str:
    """A note where the epicentre rests on one station: without it, it would lie beyond what is stated."""
    if not estimate.influence_km:
        return ""
    station, away = max(estimate.influence_km.items(), key=lambda item: item[1])
    sigma = float(np.sqrt(np.linalg.eigvalsh(estimate.covariance_km2[:2, :2]).max()))
    if away <= LEANING_SIGMAS * sigma:
        return ""
    return f"without {station} the epicentre would lie {away:.1f} km away"


def _bursts(
    case: Evidence, estimate: Estimate, hypocenter: Hypocenter, network: Predictions, stack: origintime.Moveout
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Further bursts in the window, s from the origin time: those that the trigger may mean as well, and the others."""
    start, end = case.input.starttime, case.input.starttime + case.passport.preprocessing.window_s
    found = trust.second_bursts(stack.times, stack.stack, hypocenter.time)
    first = hypocenter.time + float(np.min(network.times["P"]))
    inside = tuple(burst for burst in found if start <= first + burst <= end)
    if not estimate.chosen:
        return inside, ()
    off = hypocenter.time - case.trigger.time
    near = tuple(burst for burst in inside if abs(off + burst) <= abs(off) + AS_NEAR_S)
    return near, tuple(burst for burst in inside if burst not in near)


def _spans(conditioned: Conditioned, used: NDArray[np.bool_]) -> list[tuple[float, float] | None]:
    """First and last valid time of each used station."""
    spans: list[tuple[float, float] | None] = []
    for row in np.asarray(conditioned.valid.any(axis=0), bool)[used]:
        there = np.flatnonzero(row)
        if there.size == 0:
            spans.append(None)
            continue
        first, last = conditioned.starttime + there[[0, -1]] / conditioned.sampling_rate_hz
        spans.append((float(first), float(last)))
    return spans


def _arrivals(
    seen: Sequence[SeenPick], network: Predictions, weights: FloatArray, origin: float
) -> tuple[Arrival, ...]:
    """The picks seen from the solution. A pick without a usable phase gets the nearer of P and S, and no weight."""
    arrivals = []
    for item, weight in zip(seen, weights, strict=True):
        residuals = {phase: item.pick.time - origin - float(network.times[phase][item.station]) for phase in PHASES}
        phase = item.phase if item.hinted else min(PHASES, key=lambda name: abs(residuals[name]))
        arrivals.append(
            Arrival(
                item.pick,
                item.pick.phase or phase,
                float(network.distance_km[item.station]),
                float(network.azimuth_deg[item.station]),
                residuals[phase],
                float(weight),
            )
        )
    return tuple(arrivals)
