"""What a 1-D or 3-D model does not explain at a station: a delay of P and one of S, added to predicted times."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ModelError
from ..geometry import LocalFrame
from ..records import Station
from ..traveltimes import PHASES, FloatArray
from ..wording import counted
from .base import ArrivalTimes, LocalArrivals, TimeArray
from .sourceterms import LocalTerms, SourceTerms


@dataclass(frozen=True)
class PhaseDelay:
    """Delay (s) of one phase: ``delay_s`` later than predicted, from ``events`` events that scatter by ``scatter_s``.

    ``scatter_s``: standard deviation of one event's residual, None where it is unknown.
    """

    delay_s: float
    events: int = 0
    scatter_s: float | None = None


@dataclass(frozen=True)
class StationDelay:
    """Delays of one station, ``station_id`` NET.STA; None for a phase that was not measured counts as 0."""

    station_id: str
    p: PhaseDelay | None = None
    s: PhaseDelay | None = None

    def of(self, phase: str) -> PhaseDelay | None:
        """The delay of phase P or S."""
        return self.p if phase == "P" else self.s


@dataclass(frozen=True)
class StationCorrections:
    """Delays measured against one earth model; they mean nothing with another one.

    ``earth_model`` is its name, ``earth_hash`` what it holds (:func:`~seiscomp_dlloc.traveltimes.hash_of`);
    ``sources``: what they differ by from place to place, None where that is not known. Raises
    :class:`~seiscomp_dlloc.errors.ModelError` where a station is named twice.
    """

    earth_model: str
    earth_hash: str
    stations: tuple[StationDelay, ...]
    sources: SourceTerms | None = None

    def __post_init__(self) -> None:
        names = [station.station_id for station in self.stations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ModelError(f"station corrections: {', '.join(twice)} twice; leave one of them")

    @property
    def left_share(self) -> float:
        """What is left of the travel times' errors where corrections by station alone leave 1."""
        return 1.0 if self.sources is None else self.sources.left_share

    @property
    def told(self) -> str:
        """What they are, for a reader: ``30 stations, by place over 7 km from 250 events``."""
        stations = counted(len(self.stations), "station")
        if self.sources is None:
            return stations
        events = counted(len(self.sources.latitude), "event")
        return f"{stations}, by place over {self.sources.length_km:g} km from {events}"

    @cached_property
    def _by_id(self) -> dict[str, StationDelay]:
        return {station.station_id: station for station in self.stations}

    def delays_s(self, stations: Sequence[Station]) -> NDArray[np.float64]:
        """Delays (station, phase) in s; 0 for a station or phase without one."""
        delays = np.zeros((len(stations), len(PHASES)))
        for i, station in enumerate(stations):
            known = self._by_id.get(station.id)
            for j, phase in enumerate(PHASES):
                delay = known.of(phase) if known else None
                delays[i, j] = delay.delay_s if delay else 0.0
        return delays


class CorrectedArrivals:
    """Arrival times with station corrections added."""

    def __init__(self, arrivals: ArrivalTimes, corrections: StationCorrections):
        self._arrivals = arrivals
        self._corrections = corrections

    def times(
        self, latitude: ArrayLike, longitude: ArrayLike, depth_km: ArrayLike, stations: Sequence[Station]
    ) -> FloatArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.times`."""
        times = self._arrivals.times(latitude, longitude, depth_km, stations) + self._corrections.delays_s(stations)
        if self._corrections.sources is not None:
            latitude, longitude, depth = (np.asarray(value, float) for value in (latitude, longitude, depth_km))
            for k in range(len(times)):
                terms = self._corrections.sources.local(LocalFrame(float(latitude[k]), float(longitude[k])), stations)
                times[k] += terms.at(np.array([[0.0, 0.0, depth[k]]]))[0]
        return np.asarray(times)

    def local(self, frame: LocalFrame, stations: Sequence[Station]) -> "CorrectedLocal":
        """See :meth:`~seiscomp_dlloc.arrivals.base.ArrivalTimes.local`."""
        sources = self._corrections.sources
        terms = None if sources is None else sources.local(frame, stations)
        return CorrectedLocal(self._arrivals.local(frame, stations), self._corrections.delays_s(stations), terms)


class CorrectedLocal:
    """Local arrivals with delays (station, phase) added, and what these differ by from place to place."""

    def __init__(self, arrivals: LocalArrivals, delays_s: FloatArray, terms: LocalTerms | None = None):
        self._arrivals = arrivals
        self._delays = delays_s.astype(np.float32)
        self._terms = terms

    def times(self, x_km: ArrayLike, y_km: ArrayLike, z_km: ArrayLike) -> TimeArray:
        """See :meth:`~seiscomp_dlloc.arrivals.base.LocalArrivals.times`."""
        times = self._arrivals.times(x_km, y_km, z_km)
        times += self._delays
        if self._terms is not None:
            times += self._terms.at(np.stack([np.asarray(line, float) for line in (x_km, y_km, z_km)], axis=-1))
        return times
