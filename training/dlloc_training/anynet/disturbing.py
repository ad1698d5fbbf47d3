"""Recorded events made harder before a locator sees them: noise laid under them, stations taken away.

Streams in, streams out. What is drawn depends on the seed, the event and the channel, and on nothing else: every model
gets the same, the noise of two levels differs by a factor alone, and six stations are among ten.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, Trace

from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.predict import predict
from seiscomp_dlloc.records import Station, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes

from ..noise import extend_noise

FloatArray = NDArray[np.float64]

CLEAN, TRACE, NETWORK, STATIONS = "clean", "trace", "network", "stations"

SIGNAL_S, SIGNAL_SHARE = 1.5, 0.4
"""The signal is what follows P for so long, and no longer than this share of the median time from P to S."""

NOISE_S, GUARD_S = (2.0, 6.0), 0.5
LEAST_SAMPLES = 32

_HOW = "clean, trace:SNR, network:SNR, stations:NUMBER, or some of them joined by +, as in stations:10+network:1.5"


@dataclass(frozen=True)
class Condition:
    """What is done to every event, in order: (kind, value) of ``trace``, ``network`` and ``stations``."""

    parts: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """As :func:`condition_of` reads it."""
        return "+".join(f"{kind}:{value:g}" for kind, value in self.parts) or CLEAN


def condition_of(name: str) -> Condition:
    """The condition of this name. Raises SettingError."""
    if name == CLEAN:
        return Condition()
    parts = tuple(_part(text, name) for text in name.split("+"))
    kinds = [kind for kind, _ in parts]
    if len(set(kinds)) < len(kinds) or {TRACE, NETWORK} <= set(kinds):
        raise SettingError(f"condition {name}: noise of one kind, and one number of stations; known are {_HOW}")
    return Condition(parts)


def _part(text: str, name: str) -> tuple[str, float]:
    kind, _, value = text.partition(":")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    whole = kind != STATIONS or number == np.floor(number)
    if kind not in (TRACE, NETWORK, STATIONS) or not (0.0 < number < math.inf and whole):
        raise SettingError(f"condition {name}: {text} is none; known are {_HOW}")
    return kind, number


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
    """``stream`` in ``condition``; ``event`` names what is drawn for it.

    ``gains``: counts per unit of ground motion by channel, 1 where it has none. ``signal_s`` is
    :attr:`Arrivals.signal_s` where it is None. Raises EventError where the condition cannot be made.
    """
    for kind, value in condition.parts:
        if kind == STATIONS:
            stream = with_stations(stream, int(value), _generator(seed, event, STATIONS))
        else:
            length = arrivals.signal_s if signal_s is None else signal_s
            levels = noise_levels(stream, value, arrivals.p, gains, length, alike=kind == NETWORK)
            stream = with_noise(stream, levels, min(arrivals.p.values()), gains, event, seed)
    return stream


def station_of(trace: Trace) -> str:
    """``NET.STA``."""
    return f"{trace.stats.network}.{trace.stats.station}"


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def with_stations(stream: Stream, count: int, rng: np.random.Generator) -> Stream:
    """The waveforms of ``count`` random stations among those that record anything; of all where they are no more."""
    live = sorted({station_of(trace) for trace in stream if np.ptp(trace.data) > 0})
    kept = frozenset(rng.permutation(live)[:count].tolist())
    return Stream([trace for trace in stream if station_of(trace) in kept])


def noise_levels(
    stream: Stream, snr: float, p: Mapping[str, float], gains: Mapping[str, float], signal_s: float, alike: bool
) -> dict[str, float]:
    """RMS of the noise to be added, in units of ground motion, by sensor (``NET.STA.LOC.HH``).

    The RMS of ``signal_s`` after P on the vertical over that of the noise is ``snr``: at every sensor or, ``alike``, at
    the median one, with the same noise at all. A sensor without a vertical record of the signal gets the median noise.
    Raises EventError where there is no such record at all.
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
    sensors = sorted({trace.id[:-1] for trace in stream})
    return {sensor: (middle if alike else loud.get(sensor, middle)) / snr for sensor in sensors}


def _rms_from(trace: Trace, time: float, length_s: float) -> float:
    """RMS about the mean; 0 where the trace does not hold all of it."""
    rate = trace.stats.sampling_rate
    first, count = round((time - trace.stats.starttime.timestamp) * rate), max(round(length_s * rate), 2)
    return float(np.std(trace.data[first : first + count])) if 0 <= first <= trace.stats.npts - count else 0.0


def with_noise(
    stream: Stream, levels: Mapping[str, float], first_p: float, gains: Mapping[str, float], event: str, seed: int = 0
) -> Stream:
    """Gaussian noise added to every trace, of the RMS ``levels`` and of the spectrum of the channel's own noise.

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
            rng = _generator(seed, event, trace.id, str(number))
            noise = extend_noise(colours[trace.id], max(trace.stats.npts, LEAST_SAMPLES), rng).astype(float)
            rms = levels[trace.id[:-1]] * gains.get(trace.id, 1.0)
            noisy = trace.copy()
            noisy.data = np.asarray(trace.data, float) + noise[: trace.stats.npts] * (rms / np.std(noise))
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
