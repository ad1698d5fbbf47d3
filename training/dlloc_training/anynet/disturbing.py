"""Recorded events made harder before a locator sees them: noise laid under them, stations taken away, clocks wrong.

Streams in, streams out. What is drawn depends on the seed, the event and the channel, and on nothing else: every model
gets the same, the noise of two levels differs by a factor alone, and six stations are among ten.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, Trace

from seiscomp_dlloc.errors import EventError
from seiscomp_dlloc.predict import predict
from seiscomp_dlloc.records import Station, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes

from ..noise import extend_noise
from .conditions import NETWORK, PEAK, REMOVED, SHIFTED, STATIONS, Condition

FloatArray = NDArray[np.float64]

SIGNAL_S, SIGNAL_SHARE = 1.5, 0.4
"""The signal is what follows P for so long, and no longer than this share of the median time from P to S."""

NOISE_S, GUARD_S = (2.0, 6.0), 0.5
LEAST_SAMPLES = 32

LEAST_EVENT_S = 2.0

SHIFTED_SHARE = 0.2
"""Of the stations that record anything, at least one, so many have a wrong clock."""


@dataclass(frozen=True)
class Arrivals:
    """First arrivals (POSIX s) predicted at stations (``NET.STA``)."""

    p: Mapping[str, float]
    s: Mapping[str, float]

    @property
    def signal_s(self) -> float:
        """How much after P is taken as the signal."""
        return min(SIGNAL_S, SIGNAL_SHARE * float(np.median([self.s[name] - time for name, time in self.p.items()])))


def arrivals_of(trigger: Trigger, stations: Sequence[Station], travel_times: TravelTimes) -> Arrivals:
    """Arrivals from the trigger's own hypocentre; ValueError where it has none."""
    if trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
        raise ValueError(f"{trigger.public_id} has no hypocentre: no arrival can be predicted")
    times = predict(trigger.latitude, trigger.longitude, trigger.depth_km, stations, travel_times).times
    p, s = ({x.id: trigger.time + float(t) for x, t in zip(stations, times[phase], strict=True)} for phase in times)
    return Arrivals(p, s)


def disturbed(
    stream: Stream,
    condition: Condition,
    arrivals: Arrivals,
    gains: Mapping[str, float],
    event: str,
    signal_s: float | None = None,
    seed: int = 0,
) -> Stream:
    """``stream`` in ``condition`` (what it says of the earth aside); ``event`` names what is drawn for it.

    ``gains``: counts per unit of ground motion by channel, 1 where it has none. ``signal_s`` is
    :attr:`Arrivals.signal_s` where it is None. Raises EventError where the condition cannot be made.
    """
    for kind, value in condition.waveforms.parts:
        if kind in (STATIONS, REMOVED, SHIFTED):
            stream = _AT_STATIONS[kind](stream, value, generator(seed, event, kind))
        else:
            length = arrivals.signal_s if signal_s is None else signal_s
            if kind == PEAK:
                levels = peak_levels(stream, value, arrivals)
            else:
                levels = noise_levels(stream, value, arrivals.p, gains, length, alike=kind == NETWORK)
            stream = with_noise(stream, levels, min(arrivals.p.values()), event, seed)
    return stream


def station_of(trace: Trace) -> str:
    """``NET.STA``."""
    return f"{trace.stats.network}.{trace.stats.station}"


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that belong to these names: an event's, a channel's, what is drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def _shuffled(stream: Stream, rng: np.random.Generator) -> list[str]:
    """The stations that record anything, in random order."""
    live = sorted({station_of(trace) for trace in stream if np.ptp(trace.data) > 0})
    return [str(name) for name in rng.permutation(live)]


def _of(stream: Stream, stations: Sequence[str]) -> Stream:
    kept = frozenset(stations)
    return Stream([trace for trace in stream if station_of(trace) in kept])


def with_stations(stream: Stream, count: float, rng: np.random.Generator) -> Stream:
    """The waveforms of ``count`` random stations among those that record anything; of all where they are no more."""
    return _of(stream, _shuffled(stream, rng)[: int(count)])


def without_stations(stream: Stream, count: float, rng: np.random.Generator) -> Stream:
    """The waveforms without ``count`` random stations of those that record anything, and without those that do not."""
    return _of(stream, _shuffled(stream, rng)[int(count) :])


def with_wrong_clocks(stream: Stream, shift_s: float, rng: np.random.Generator) -> Stream:
    """All waveforms of a random SHIFTED_SHARE of the stations ``shift_s`` early or, as likely, late."""
    stations = _shuffled(stream, rng)
    wrong = stations[: max(round(SHIFTED_SHARE * len(stations)), 1)]
    shifts = dict(zip(stations, shift_s * rng.choice([-1.0, 1.0], len(stations)), strict=True))
    out = Stream()
    for trace in stream:
        if station_of(trace) in wrong:
            trace = Trace(trace.data, trace.stats.copy())  # the samples are shared, the time is not
            trace.stats.starttime += shifts[station_of(trace)]
        out.append(trace)
    return out


_AT_STATIONS: dict[str, Callable[[Stream, float, np.random.Generator], Stream]] = {
    STATIONS: with_stations,
    REMOVED: without_stations,
    SHIFTED: with_wrong_clocks,
}


def noise_levels(
    stream: Stream, snr: float, p: Mapping[str, float], gains: Mapping[str, float], signal_s: float, alike: bool
) -> dict[str, float]:
    """RMS (counts) of the noise to be added, by channel.

    The RMS of ``signal_s`` after P on the vertical over that of the noise is ``snr``, both in units of ground motion:
    at every sensor (``NET.STA.LOC.HH``) or, ``alike``, at the median one, with the same noise at all. A sensor without
    a vertical record of the signal gets the median noise. Raises EventError where there is no such record at all.
    """
    loud: dict[str, float] = {}
    for trace in stream:
        if not trace.stats.channel.endswith("Z") or station_of(trace) not in p:
            continue
        rms = _rms_from(trace, p[station_of(trace)], signal_s) / gains.get(trace.id, 1.0)
        if rms > 0:
            loud[trace.id[:-1]] = rms
    if not loud:
        raise EventError("no vertical record of P: noise of no given ratio can be added")
    middle = float(np.median(list(loud.values())))
    return {
        trace.id: (middle if alike else loud.get(trace.id[:-1], middle)) / snr * gains.get(trace.id, 1.0)
        for trace in stream
    }


def peak_levels(stream: Stream, snr: float, arrivals: Arrivals) -> dict[str, float]:
    """RMS (counts) of the noise to be added, by channel, until the peak of each is ``snr`` times the noise's RMS.

    The peak is the largest value about the mean from P to as long after S as S is after P, two seconds at least; the
    noise is that of the channel before the first P and what is added, which add as squares; nothing is added where
    there is more already. A channel without a record of P gets none. Raises EventError where none has one.
    """
    first, levels = min(arrivals.p.values()), dict[str, float]()
    for trace in stream:
        name, own = station_of(trace), own_noise(trace, first)
        if name not in arrivals.p or own is None:
            continue
        p, s = arrivals.p[name], arrivals.s[name]
        event = _from(trace, p, max(2.0 * (s - p), LEAST_EVENT_S))
        if event.size:
            peak = float(np.max(np.abs(event - np.mean(trace.data, dtype=float))))
            wanted = math.sqrt(max((peak / snr) ** 2 - float(np.var(own)), 0.0))
            levels[trace.id] = max(wanted, levels.get(trace.id, 0.0))
    if not levels:
        raise EventError("no record of P with noise before it: noise of no given ratio can be added")
    return {trace.id: levels.get(trace.id, 0.0) for trace in stream}


def _from(trace: Trace, time: float, length_s: float) -> FloatArray:
    """The samples for so long from ``time`` on, as far as they go; none where the trace begins after it."""
    rate = trace.stats.sampling_rate
    first = round((time - trace.stats.starttime.timestamp) * rate)
    return np.asarray(trace.data[first : first + round(length_s * rate)] if first >= 0 else [], float)


def _rms_from(trace: Trace, time: float, length_s: float) -> float:
    """RMS about the mean; 0 where the trace does not hold all of it."""
    rate = trace.stats.sampling_rate
    first, count = round((time - trace.stats.starttime.timestamp) * rate), max(round(length_s * rate), 2)
    return float(np.std(trace.data[first : first + count])) if 0 <= first <= trace.stats.npts - count else 0.0


def with_noise(stream: Stream, levels: Mapping[str, float], first_p: float, event: str, seed: int = 0) -> Stream:
    """Gaussian noise added to every trace, of the RMS ``levels`` (counts, by channel) and of the spectrum of the
    channel's own noise.

    Its own noise is what a channel has up to half a second before ``first_p`` (POSIX s), 6 s at most, and no less than
    the first 2 s of the record. A channel without as much noise is left out, a dead one stays as it is.
    """
    colours: dict[str, FloatArray] = {}
    for trace in stream:
        if trace.id not in colours and (own := own_noise(trace, first_p)) is not None:
            colours[trace.id] = own
    out, numbers = Stream(), dict[str, int]()
    for trace in stream:
        number = numbers[trace.id] = numbers.get(trace.id, -1) + 1
        if np.ptp(trace.data) == 0:
            out.append(trace)
        elif trace.id in colours:
            rng = generator(seed, event, trace.id, str(number))
            noise = extend_noise(colours[trace.id], max(trace.stats.npts, LEAST_SAMPLES), rng).astype(float)
            noisy = trace.copy()
            noisy.data = np.asarray(trace.data, float) + noise[: trace.stats.npts] * (levels[trace.id] / np.std(noise))
            out.append(noisy)
    return out


def own_noise(trace: Trace, first_p: float) -> FloatArray | None:
    """What the trace holds before the event (n,); None where that is too short or dead."""
    rate, began = trace.stats.sampling_rate, trace.stats.starttime.timestamp
    least, most = (max(math.ceil(length * rate), LEAST_SAMPLES) for length in NOISE_S)
    stop = max(math.floor((first_p - GUARD_S - began) * rate), least)
    noise = np.asarray(trace.data[max(stop - most, 0) : stop], float)
    # A piece of a record that begins with the event holds no noise
    known = began < first_p and noise.size >= least and np.all(np.isfinite(trace.data)) and np.ptp(noise) > 0
    return noise if known else None
