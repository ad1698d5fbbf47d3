"""Re-timed virtual events: recorded traces moved to where another hypocentre would have put them.

Where few training events cover the region, a network that is tied to its stations learns the places of the events
rather than moveout. A virtual event draws a hypocentre, takes for each station a recorded trace of about the same
hypocentral distance (of the same station where it has one), and moves its P and its S part to the predicted times,
joined by a cross-fade between the two. Traces come from training events only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.traveltimes import Phase

from .catalogue import RecordedEvent
from .made import FADE_S, JOIN, Example, retimed, shifted
from .moveout import MoveoutModel
from .network import Target

FloatArray = NDArray[np.float64]

DISTANCE_DECAY = 1.8
"""Amplitudes fall with hypocentral distance to this power: levels of P and S coda at 2-8 Hz in the training data."""

_NEIGHBOURS_SAME, _NEIGHBOURS_ANY = 3, 40


@dataclass(frozen=True)
class Scale:
    """What depends on the size of the network. ``near_km``: scatter of the places about recorded ones;
    ``misfit_km``: how much nearer or further a donor of the same station may have been; ``least_km``: amplitudes do
    not grow any more at less; ``fade_s``: length of the cross-fade between P and S; ``origin_s``: origin times after
    the window's start lie between these.
    """

    near_km: float = 20.0
    misfit_km: float = 8.0
    least_km: float = 3.0
    fade_s: float = FADE_S
    origin_s: tuple[float, float] = (7.5, 10.0)


def hypocentre_km(event: RecordedEvent, target: Target) -> FloatArray:
    """Catalogue hypocentre of an event in the target's frame; (3,)."""
    trigger = event.trigger
    if trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
        raise ValueError(f"{trigger.public_id} has no hypocentre")
    x, y = target.grid.frame.to_local(trigger.latitude, trigger.longitude)
    return np.array([float(x), float(y), trigger.depth_km])


@dataclass(frozen=True)
class _Traces:
    """Donor traces in order of distance: place of the event and of the station, distance."""

    event: NDArray[np.int64]
    station: NDArray[np.int64]
    distance_km: FloatArray


class VirtualEvents:
    """Draws virtual events from recorded ones. ``model.event_terms`` belong to ``events`` in their order."""

    def __init__(
        self, events: tuple[RecordedEvent, ...], target: Target, model: MoveoutModel, scale: Scale | None = None
    ):
        self.events, self.target, self.model, self.scale = events, target, model, scale or Scale()
        self.hypocentres = np.array([hypocentre_km(event, target) for event in events])
        self.distance = target.distances(self.hypocentres)
        origin = model.event_terms - np.array([event.start_s for event in events])
        self.p_time = origin[:, None] + self.travel_s("P", self.hypocentres)
        self.s_time = origin[:, None] + self.travel_s("S", self.hypocentres)
        self.rate = events[0].block.sampling_rate_hz
        live = np.array([event.live for event in events])
        where_event, where_station = np.nonzero(live)
        order = np.argsort(self.distance[where_event, where_station], kind="stable")
        self.donors = _Traces(
            where_event[order], where_station[order], self.distance[where_event[order], where_station[order]]
        )
        self.of_station = [np.nonzero(self.donors.station == k)[0] for k in range(len(target.stations))]
        self.live_share = live.mean(axis=0)
        size = np.array([self._size(k) for k in range(len(events))])
        # An event whose S fell outside its record is taken for one of middling size
        self.size = np.where(np.isfinite(size), size, np.nanmedian(size))

    def travel_s(self, phase: Phase, points_km: FloatArray) -> FloatArray:
        """Travel times (..., station) from ``points_km`` (..., 3), s."""
        return self.model.times(phase, self.target.distances(points_km))

    def _size(self, k: int) -> float:
        """log10 of an event's amplitude at 1 km by the power law: median over stations of the S window's RMS."""
        data, rate = self.events[k].block.data, self.rate
        levels = []
        for station in np.nonzero(self.events[k].live)[0]:
            first = max(0, int((self.s_time[k, station] - 1.0) * rate))
            part = data[:, station, first : first + int(10 * rate)]
            if part.size and np.any(part):
                level = np.log10(np.sqrt(np.mean(part.astype(np.float64) ** 2)))
                levels.append(level + DISTANCE_DECAY * np.log10(self.distance[k, station]))
        return float(np.median(levels)) if levels else float("nan")

    def place(self, rng: np.random.Generator) -> FloatArray:
        """A hypocentre: near a recorded one in three cases of five, else anywhere in the search box."""
        x0, x1, y0, y1 = self.target.search_km
        while True:
            if rng.random() < 0.6:
                x, y = self.hypocentres[rng.integers(len(self.events)), :2] + rng.normal(0.0, self.scale.near_km, 2)
            else:
                x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
            if x0 <= x <= x1 and y0 <= y <= y1:
                break
        depths = self.hypocentres[:, 2]
        low, high = self.target.grid.z_km[[0, -1]]
        depth = np.clip(rng.normal(depths.mean(), 1.25 * depths.std()), max(low, 0.5), high)
        return np.array([x, y, depth])

    def _donor(self, rng: np.random.Generator, station: int, distance: float) -> int:
        own = self.of_station[station]
        if rng.random() < 0.6 and len(own) > 30:
            near = int(np.searchsorted(self.donors.distance_km[own], distance))
            pick = own[int(np.clip(near + rng.integers(-_NEIGHBOURS_SAME, _NEIGHBOURS_SAME + 1), 0, len(own) - 1))]
            if abs(self.donors.distance_km[pick] - distance) < self.scale.misfit_km:
                return int(pick)
        count = len(self.donors.event)
        near = int(np.searchsorted(self.donors.distance_km, distance))
        return int(np.clip(near + rng.integers(-_NEIGHBOURS_ANY, _NEIGHBOURS_ANY + 1), 0, count - 1))

    def draw(self, rng: np.random.Generator, samples: int) -> Example:
        """One virtual event in a window of ``samples``."""
        return self.drawn(rng, samples)[0]

    def drawn(self, rng: np.random.Generator, samples: int) -> tuple[Example, float, int]:
        """As :meth:`draw`, with the origin time in s after the window's start and the event that it is as large as."""
        point, origin = self.place(rng), rng.uniform(*self.scale.origin_s)
        distance, least = self.target.distances(point), self.scale.least_km
        p_time = origin + self.travel_s("P", point)
        s_time = origin + self.travel_s("S", point)
        live = rng.random(len(distance)) < self.live_share
        as_large = int(rng.integers(len(self.events)))
        size = self.size[as_large]
        data = np.zeros((3, len(distance), samples), np.float32)
        valid = np.zeros(data.shape, bool)
        for station in np.nonzero(live)[0]:
            donor = self._donor(rng, int(station), distance[station])
            event, other = self.donors.event[donor], self.donors.station[donor]
            spread = max(distance[station], least) / max(self.distance[event, other], least)
            gain = 10.0 ** (size - self.size[event] - DISTANCE_DECAY * np.log10(spread))
            recorded = self.events[event].block.data[:, other, :samples]
            late_p = round((self.p_time[event, other] - p_time[station]) * self.rate)
            late_s = round((self.s_time[event, other] - s_time[station]) * self.rate)
            join = (p_time[station] + JOIN * (s_time[station] - p_time[station])) * self.rate
            trace = retimed(recorded, late_p, late_s, join, self.scale.fade_s * self.rate)
            observed = self.events[event].block.valid[:, other, :samples]
            observed = shifted(observed, late_p) & shifted(observed, late_s)
            inside = slice(0, trace.shape[-1])
            data[:, station, inside] = np.where(observed, trace * np.float32(gain), np.float32(0.0))
            valid[:, station, inside] = observed
        first = float(p_time[live].min()) if live.any() else origin
        return Example(data, valid, point[None], first), float(origin), as_large

    def recorded(self, k: int) -> Example:
        """The k-th recorded event itself."""
        event = self.events[k]
        return Example(
            event.block.data,
            event.block.valid,
            self.hypocentres[k : k + 1],
            float(self.p_time[k][event.live].min()),
        )
