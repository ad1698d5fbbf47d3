"""One event located by migration: the model's evidence, the network's travel times, the search."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..arrivals.base import ArrivalTimes
from ..geometry import LocalFrame
from ..heads import Estimate
from ..passport import Passport
from ..records import PlaneWave, Station
from ..representations import ModelInput
from .answer import estimate_of, trust_of
from .area import Box, search_box
from .deep import box_below, depths, nearly, prior_of
from .earthdoubt import SHARE, doubt_of
from .planewave import better_wave
from .prior import Expected, place_prior
from .search import Found, Plan, Search, Stack

FloatArray = NDArray[np.float64]

Run = Callable[[dict[str, NDArray[Any]], tuple[str, ...]], dict[str, NDArray[np.float32]]]
"""Inputs by name and the outputs wanted: :meth:`seiscomp_dlloc.model.Model.run`."""

ONSETS, STACK = "onsets", "stack"
"""Outputs of the model: the stations' evidence, and its sum along travel times."""

LATE_ANCHORS = 3.0
"""How late after the window's anchor an event may begin, in pre-trigger times (5 s at 20 Hz)."""

NEAR_S, NEAR_SPEED = 3.0, 50.0
"""A trigger's time is good to about NEAR_S and the network's aperture over so many km/s, if its origin is not wrong."""

AFTER_S, SLOWEST_S = 3.0, 2.5
"""So long, and as long as S takes over the aperture at so many km/s, the waves of an event in the network last."""

CHOSEN = 2.0
"""An event within so many times that of the trigger's time is taken for its own, whatever else is in the window."""

WORTH_IT = 0.2
"""Where the first search's peak is below so much of the threshold, nothing is looked for below it."""

USUAL, LEFT = (0.8, 3.0), (0.6, 1.0)
"""Errors of predicted times, as they usually are and as corrections by place leave them: scale of Student's t in the
passport's standard deviations, degrees of freedom (chosen on held-out training events).
"""

_KEPT = 8


def plan_of(passport: Passport, step_s: float, left_share: float = 1.0) -> Plan:
    """The search that a passport's head asks for; ``left_share``: what corrections by place leave of the usual errors
    of travel times, 1 without any.

    The evidence is widened for what they leave; half of it, in the logarithm, is for what onsets are wrong by
    themselves.
    """
    head = passport.head
    wanted = {name: int(head[name]) for name in ("first_nodes", "first_depths", "candidates") if name in head}
    scale, tails = LEFT if left_share < 1.0 else USUAL
    return Plan(
        **wanted,
        smooth_s=float(head.get("smooth_steps", 0.0)) * step_s * scale * left_share**0.5,
        tails=tails,
        temperature=float(head.get("temperature", 1.0)),
    )


def without_what_follows(arrays: dict[str, NDArray[Any]], samples: int) -> dict[str, NDArray[Any]]:
    """The waveforms and their mask (station, 3, sample) as if the record ended after so many samples.

    The model looks for one onset in its window: a stronger event that follows would take it from a weaker one.
    """
    return {name: np.where(np.arange(values.shape[-1]) < samples, values, 0.0).astype(values.dtype)
            for name, values in arrays.items()}  # fmt: skip


def step_s(passport: Passport) -> float:
    """Seconds between the times of the evidence."""
    return int(passport.representation["stride"]) / passport.preprocessing.sampling_rate_hz


@dataclass(frozen=True)
class When:
    """Origin times to be searched, s after the window's start: bounds, and what is expected."""

    earliest_s: float
    latest_s: float
    expected: Expected

    def holds(self, time_s: float, margin_s: float) -> bool:
        """Whether a time lies within the bounds, and not at one of them."""
        return self.earliest_s + margin_s <= time_s <= self.latest_s - margin_s


def when_of(
    stations: Sequence[Station], passport: Passport, trigger_s: float, near: bool, latest_first_arrival_s: float
) -> When:
    """Origin times about the trigger's (s after the window's start), or all that the first break leaves open."""
    reach = near_s(stations)
    if near:
        return When(trigger_s - reach, trigger_s + reach, Expected(trigger_s, 0.5 * reach))
    # The first break stands at the pre-trigger time, give or take what the anchor may be wrong; the event began
    # before it, by as long as P takes to the nearest station
    latest = (1.0 + LATE_ANCHORS) * passport.preprocessing.pretrigger_s
    return When(-latest_first_arrival_s, latest, Expected(trigger_s, 4.0 * reach))


def local_places(stations: Sequence[Station]) -> tuple[LocalFrame, FloatArray, FloatArray]:
    """A frame at the stations' middle, their places (station, 2) in it and their heights (station,), km."""
    latitude = np.array([station.latitude for station in stations])
    # The mean of directions: a network may lie across the date line
    angle = np.radians([station.longitude for station in stations])
    longitude = float(np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())))
    frame = LocalFrame(float(latitude.mean()), longitude)
    places = np.stack(frame.to_local(latitude, np.array([station.longitude for station in stations])), axis=-1)
    return frame, places, np.array([station.elevation_m for station in stations]) / 1000.0


def aperture_km(stations: Sequence[Station]) -> float:
    """The longer side of the box that holds the stations; 0 with one."""
    if not stations:
        return 0.0
    _, places, _ = local_places(stations)
    return float(np.max(places.max(axis=0) - places.min(axis=0)))


def near_s(stations: Sequence[Station]) -> float:
    """How far from the trigger's time its event is looked for first (s)."""
    return NEAR_S + aperture_km(stations) / NEAR_SPEED


class Migrator:
    """Locates events with one earth's travel times; keeps the searches of the station sets it met last.

    ``doubted``: standard deviation of the travel times over themselves; ``left_share``: what corrections that go by
    place leave of their usual errors; ``below``: whether they are known far below the network, too.
    """

    def __init__(self, arrivals: ArrivalTimes, doubted: float = SHARE, left_share: float = 1.0, below: bool = True):
        self._arrivals, self._doubted, self._left_share, self._below = arrivals, doubted, left_share, below
        self._searches: OrderedDict[tuple[Any, ...], tuple[LocalFrame, Search, Search | None]] = OrderedDict()
        # The worker's threads share a locator
        self._lock = threading.Lock()

    def locate(
        self,
        run: Run,
        built: ModelInput,
        stations: Sequence[Station],
        passport: Passport,
        trigger_time: float,
        near: bool,
        fixed_depth_km: float | None = None,
    ) -> Estimate:
        """The estimate from one event's traces; ``stations`` holds those that ``built`` names, at the event's time.

        The event that began at about ``trigger_time`` (POSIX s) where ``near``, else any that the first break may
        belong to. Raises ModelError where the model cannot run.
        """
        known = {station.id: station for station in stations}
        used = tuple(known[name] for name in built.used)
        step = step_s(passport)
        arrays = dict(built.arrays)
        if near:
            over = trigger_time - built.starttime + near_s(used) + AFTER_S + aperture_km(used) / SLOWEST_S
            arrays = without_what_follows(arrays, round(over * passport.preprocessing.sampling_rate_hz))
        evidence = run(arrays, (ONSETS,))[ONSETS]
        frame, search, below = self._search(used, passport, step, fixed_depth_km)

        def stack(
            values: NDArray[np.float32], arrivals: NDArray[np.float32], origins: NDArray[np.float32]
        ) -> NDArray[np.float32]:
            return run({"evidence": values, "arrivals": arrivals, "origins": origins}, (STACK,))[STACK]

        when = when_of(used, passport, trigger_time - built.starttime, near, search.latest_first_arrival())
        found = search.run(evidence, stack, when.earliest_s, when.latest_s, when.expected)
        told: tuple[str, ...] = ()
        threshold = passport.calibration.peak_threshold
        if below is not None and trust_of(found.score, len(evidence), passport.head["trust"]) >= WORTH_IT * threshold:
            deep = below.run(evidence, stack, when.earliest_s, when.latest_s, when.expected)
            told = nearly(found, deep)
            if deep.score > found.score:
                search, found = below, deep
        estimate = estimate_of(
            found,
            evidence,
            search.arrivals,
            search.box,
            frame,
            passport,
            built,
            step,
            fixed_depth_km is not None,
            doubt_of(self._doubted, step),
        )
        estimate = replace(estimate, notes=(*estimate.notes, *told))
        sure = estimate.peak is not None and estimate.peak >= threshold
        if sure:
            estimate = replace(estimate, wave=_wave(evidence, stack, used, search, found, estimate))
        # At a bound it is the flank of another event
        sure = sure and estimate.wave is None and when.holds(cast(float, estimate.time_s), 2.0 * step)
        if sure:
            place = np.array(frame.to_local(estimate.latitude, estimate.longitude)).ravel()
            apart = np.hypot(*(search.without_each(evidence, stack, found) - place).T)
            estimate = replace(estimate, influence_km=dict(zip(built.used, apart.tolist(), strict=True)))
        off = cast(float, estimate.time_s) + built.starttime - trigger_time
        if not near and abs(off) > near_s(used):
            side = "before" if off < 0 else "after"
            late = f"the event found began {abs(off):.1f} s {side} the trigger's time: it may be another one"
            estimate = replace(estimate, notes=(*estimate.notes, late))
        return replace(estimate, sure=sure, chosen=sure and abs(off) <= CHOSEN * near_s(used))

    def search(
        self, stations: Sequence[Station], passport: Passport, fixed_depth_km: float | None = None
    ) -> tuple[LocalFrame, Search]:
        """The search that locates the events of these stations, and the frame that it searches in."""
        frame, search, _ = self._search(tuple(stations), passport, step_s(passport), fixed_depth_km)
        return frame, search

    def _search(
        self, stations: tuple[Station, ...], passport: Passport, step_s: float, fixed_depth_km: float | None
    ) -> tuple[LocalFrame, Search, Search | None]:
        """See :meth:`search`; and the search below that one's box, where there is any."""
        key = (stations, step_s, fixed_depth_km, passport.name, passport.version)
        with self._lock:
            found = self._searches.get(key)
        if found is None:
            frame, places, heights = local_places(stations)
            box = box_of(places, heights, passport.head, fixed_depth_km)
            local = self._arrivals.local(frame, stations)
            prior = place_prior(places, passport.head.get("prior", {}))
            plan = plan_of(passport, step_s, self._left_share)
            search = Search(box, local.times, plan, step_s, prior)
            found = frame, search, None
            lower = box_below(box, aperture_km(stations)) if fixed_depth_km is None and self._below else None
            if lower is not None:
                # Tables that end above are another's: those of the first search stay as fine as they are
                times = self._arrivals.local(frame, stations).times
                prior = place_prior(places, prior_of(passport.head))
                found = frame, search, Search(lower, times, replace(plan, first_depths=depths(lower)), step_s, prior)
        with self._lock:
            self._searches[key] = found
            self._searches.move_to_end(key)
            while len(self._searches) > _KEPT:
                self._searches.popitem(last=False)
        return found


def _wave(
    evidence: NDArray[np.float32],
    stack: Stack,
    stations: Sequence[Station],
    search: Search,
    found: Found,
    estimate: Estimate,
) -> PlaneWave | None:
    """The plane wave that explains the evidence better than the place found, crossing at about P's and S's times."""
    frame, places, _ = local_places(stations)
    x, y = frame.to_local(estimate.latitude, estimate.longitude)
    late = search.arrivals(*(np.array([float(value)]) for value in (x, y, estimate.depth_km)))[0]
    times = (late + cast(float, estimate.time_s)) / search.step_s
    windows = list(zip(np.nanmin(times, axis=0).tolist(), np.nanmax(times, axis=0).tolist(), strict=True))
    return better_wave(search.smoothed(evidence), stack, places, windows, search.step_s, found.score)


def box_of(
    places_km: FloatArray, heights_km: FloatArray, head: Mapping[str, Any], fixed_depth_km: float | None = None
) -> Box:
    """The box that a network with these stations searches."""
    box = search_box(
        places_km,
        heights_km,
        float(head["margin_share"]),
        float(head["deepest_share"]),
        float(head["deepest_km"]),
    )
    return box if fixed_depth_km is None else Box(box.x_km, box.y_km, (fixed_depth_km, fixed_depth_km))
