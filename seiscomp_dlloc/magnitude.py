"""Local magnitude from Wood-Anderson amplitudes.

ML = log10(A) + 1.11 log10(R) + 0.00189 R - 2.09, A the largest amplitude (zero to peak, nm) of a horizontal
component as a Wood-Anderson seismograph of static magnification 1 would show it, R the hypocentral distance in km:
IASPEI (2013), Summary of Magnitude Working Group recommendations on standard procedures for determining earthquake
magnitudes from digital data, section ML; the formula is Hutton and Boore's (1987) for southern California. 1 mm at
100 km on the instrument of magnification 2080 is ML 3.0.

The arithmetic works on arrays; :func:`local_magnitude` is the edge that takes channels out of streams.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channels import ACCELERATION_INSTRUMENTS, VELOCITY_INSTRUMENTS, ChannelEpoch, ChannelIndex, seismometer
from .geometry import distance_azimuth
from .merging import merge
from .quality import inspect
from .records import Dropped, Hypocenter, Magnitude, Station, StationMagnitude
from .traveltimes import TravelTimes
from .units import m_to_km

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

WA_GAIN = 2080.0
"""Static magnification of the Wood-Anderson seismograph (Uhrhammer and Collins 1990; IASPEI 2013)."""
_WA_PERIOD_S, _WA_DAMPING = 0.8, 0.7

MAX_DISTANCE_KM = 1000.0  # the formula's reach (IASPEI 2013)
MIN_RATE_HZ = 20.0  # below, the instrument's band (0.8 s and shorter) is cut off
MIN_SNR = 3.0
MAX_DIP_DEG = 5.0
"""Channels that dip more are no horizontals: at this dip 9 % of the vertical comes in, 0.04 of a magnitude."""

NOISE_S, MIN_NOISE_S = 10.0, 5.0
GUARD_S = 1.0  # predicted P may be late by this; noise is read before it
TAPER_S = 5.0
HIGH_PASS_HZ = (0.05, 0.1)  # pre-filter: zero below the first, one above the second
LOW_PASS_OF_RATE = (0.4, 0.45)
WATER_LEVEL = 0.02
"""Responses weaker than this share of their largest value are not undone further: there is only noise there."""

_EVALRESP = threading.Lock()  # the C library keeps its state in globals


def wood_anderson(frequency_hz: FloatArray) -> ComplexArray:
    """Trace per ground displacement of the Wood-Anderson seismograph: period 0.8 s, damping 0.7, gain 2080.

    Equal to the poles -5.49779 +- 5.60886i rad/s of IASPEI (2013).
    """
    s, w0 = 2j * np.pi * np.asarray(frequency_hz, float), 2 * np.pi / _WA_PERIOD_S
    return np.asarray(WA_GAIN * s**2 / (s**2 + 2 * _WA_DAMPING * w0 * s + w0**2))


def prefilter(frequency_hz: FloatArray, rate_hz: float) -> FloatArray:
    """Cosine band within which counts are turned into displacement, zero where the division would blow up."""
    low, high = HIGH_PASS_HZ, tuple(share * rate_hz for share in LOW_PASS_OF_RATE)
    up = np.clip((frequency_hz - low[0]) / (low[1] - low[0]), 0, 1)
    down = np.clip((high[1] - frequency_hz) / (high[1] - high[0]), 0, 1)
    return np.asarray(np.sin(0.5 * np.pi * up) ** 2 * np.sin(0.5 * np.pi * down) ** 2)


def simulate_wood_anderson(counts: FloatArray, rate_hz: float, transfer: ComplexArray) -> FloatArray:
    """Wood-Anderson trace in mm (n,) from counts (n,).

    ``transfer``: the instrument's response in counts per metre of displacement at the frequencies of
    :func:`frequencies`. The mean is removed and TAPER_S at each end are tapered; twice the length is transformed.
    """
    x = np.asarray(counts, float) - np.mean(counts)
    ramp = min(round(TAPER_S * rate_hz), x.size // 2)
    edge = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))
    x[:ramp] *= edge
    x[x.size - ramp :] *= edge[::-1]
    f = frequencies(x.size, rate_hz)
    band = prefilter(f, rate_hz)
    safe = np.where((band > 0) & (np.abs(transfer) > 0), transfer, 1.0)
    spectrum = np.fft.rfft(x, 2 * x.size) * np.where(np.abs(transfer) > 0, band, 0.0) / safe * wood_anderson(f)
    return np.asarray(1000.0 * np.fft.irfft(spectrum, 2 * x.size)[: x.size])


def frequencies(samples: int, rate_hz: float) -> FloatArray:
    """The frequencies (Hz) at which :func:`simulate_wood_anderson` wants the response for a trace of ``samples``."""
    return np.asarray(np.fft.rfftfreq(2 * samples, 1.0 / rate_hz))


def station_ml(amplitude_mm: float, distance_km: float) -> float:
    """ML of a zero-to-peak amplitude (mm, instrument of gain 2080) at hypocentral ``distance_km``."""
    nanometres = amplitude_mm * 1e6 / WA_GAIN
    return float(np.log10(nanometres) + 1.11 * np.log10(distance_km) + 0.00189 * distance_km - 2.09)


def network_magnitude(stations: Sequence[StationMagnitude]) -> Magnitude | None:
    """Median of the station magnitudes; sigma is their scatter, 1.4826 MAD, from two stations on. None without any."""
    if not stations:
        return None
    values = np.array([s.magnitude for s in stations])
    median = float(np.median(values))
    sigma = float(1.4826 * np.median(np.abs(values - median))) if values.size > 1 else None
    return Magnitude(median, "ML", sigma, tuple(stations))


def amplitude_window(origin: float, p_s: float, s_s: float) -> tuple[float, float, float]:
    """Start and end of the search for the largest amplitude, and the time that a record must at least reach.

    From the predicted P (GUARD_S earlier) to 15 s and half of S minus P after the predicted S: the source's
    duration and the train of Sg and Lg down to about 2.7 km/s. A record must reach a third of that beyond S.
    """
    tail = 15.0 + 0.5 * (s_s - p_s)
    return origin + p_s - GUARD_S, origin + s_s + tail, origin + s_s + tail / 3.0


def largest_amplitude(
    trace_mm: FloatArray, rate_hz: float, starttime: float, window: tuple[float, float]
) -> tuple[float, float, float]:
    """Largest zero-to-peak amplitude (mm) in the window, its time, and the largest of the noise before it.

    Noise: up to NOISE_S before the window, the tapered TAPER_S at the trace's start left out; NaN where less than
    MIN_NOISE_S are there.
    """
    first, last = (round((t - starttime) * rate_hz) for t in window)
    inside = np.abs(trace_mm[max(first, 0) : last + 1])
    before = np.abs(trace_mm[max(first - round(NOISE_S * rate_hz), round(TAPER_S * rate_hz), 0) : max(first, 0)])
    place = int(np.argmax(inside))
    noise = float(np.max(before)) if before.size >= MIN_NOISE_S * rate_hz else np.nan
    return float(inside[place]), starttime + (max(first, 0) + place) / rate_hz, noise


@dataclass
class ResponseTable:
    """Responses of channels, evaluated once per epoch.

    evalresp takes seconds for the tens of thousands of frequencies of a long record; on these few hundred, with
    logarithm of modulus and unwrapped phase interpolated, it takes 20 ms and errs by less than 2e-3 above the water
    level.
    """

    _tables: dict[tuple[str, float, float], tuple[FloatArray, ComplexArray]] = field(default_factory=dict)

    def transfer(self, epoch: ChannelEpoch, rate_hz: float, frequency_hz: FloatArray) -> ComplexArray:
        """Counts per metre of displacement at ``frequency_hz``; ValueError where the response cannot be evaluated."""
        key = (epoch.seed_id, epoch.start, rate_hz)
        if key not in self._tables:
            nodes = np.unique(
                np.concatenate(
                    [np.geomspace(0.4 * HIGH_PASS_HZ[0], rate_hz / 2, 300), np.arange(0.25, rate_hz / 2, 0.25)]
                )
            )
            self._tables[key] = nodes, _evaluate(epoch, nodes)
        nodes, values = self._tables[key]
        clipped = np.clip(frequency_hz, nodes[0], nodes[-1])
        modulus = np.interp(np.log(clipped), np.log(nodes), np.log(np.maximum(np.abs(values), 1e-300)))
        phase = np.interp(clipped, nodes, np.unwrap(np.angle(values)))
        return np.asarray(np.exp(modulus + 1j * phase))


def _evaluate(epoch: ChannelEpoch, nodes: FloatArray) -> ComplexArray:
    try:
        with _EVALRESP:
            values = np.asarray(epoch.response.get_evalresp_response_for_frequencies(nodes, output="DISP"), complex)
    except Exception as error:  # ObsPy raises bare exceptions of many kinds, evalresp's own among them
        raise ValueError(f"the instrument response cannot be evaluated: {error}") from error
    if not np.all(np.isfinite(values)) or not np.any(np.abs(values) > 0):
        raise ValueError("the instrument response cannot be evaluated: it gives values that are not finite")
    # Water level on the response to the instrument's own quantity: flat but for the digitiser's and the sensor's ends
    native = (2 * np.pi * nodes) ** (epoch.time_power or 0)
    modulus = np.abs(values) / native
    raised = np.maximum(modulus, WATER_LEVEL * np.max(modulus)) * native
    return np.asarray(raised * np.exp(1j * np.angle(values)))


def has_response(epoch: ChannelEpoch | None) -> bool:
    """Whether the inventory holds more than an overall sensitivity: poles and zeros or a list, of ground motion."""
    if epoch is None or epoch.response is None or epoch.time_power is None:
        return False
    stages = epoch.response.response_stages
    return any(hasattr(stage, "poles") or hasattr(stage, "response_list_elements") for stage in stages)


def local_magnitude(
    stream: Any,
    index: ChannelIndex,
    stations: Sequence[Station],
    hypocenter: Hypocenter,
    travel_times: TravelTimes,
    responses: ResponseTable | None = None,
) -> tuple[Magnitude | None, str]:
    """Network ML of raw waveforms (:class:`obspy.Stream`, counts), and a note on what was left out.

    Per station the first sensor (seismometers before accelerometers) of which at least one horizontal channel passes:
    full response in the inventory, at least 20 Hz, no gap, no clipping or spike, reaching beyond S, amplitude at
    least MIN_SNR times the largest noise amplitude. The station's ML is the mean over its horizontals (its amplitude
    the geometric mean); ``channel`` is then their common band and instrument code.
    """
    table = ResponseTable() if responses is None else responses
    grouped: dict[str, list[Any]] = {}
    for trace in stream:
        grouped.setdefault(trace.id, []).append(trace)
    found: list[StationMagnitude] = []
    left: list[Dropped] = []
    for _, station in sorted({s.id: s for s in stations}.items()):
        result = _station(station, grouped, index, hypocenter, travel_times, table)
        if isinstance(result, StationMagnitude):
            found.append(result)
        elif result is not None:
            left.append(result)
    return network_magnitude(found), _note(found, left)


def _note(found: Sequence[StationMagnitude], left: Sequence[Dropped]) -> str:
    reasons: dict[str, list[str]] = {}
    for item in left:
        reasons.setdefault(item.reason, []).append(item.seed_id)
    parts = [f"{reason} for {some_names(ids)}" for reason, ids in sorted(reasons.items())]
    if found:
        return f"left out of ML: {'; '.join(parts)}" if parts else ""
    return "no ML: " + ("; ".join(parts) if parts else "no waveforms of any station")


def some_names(ids: Sequence[str], most: int = 4) -> str:
    """The first ``most`` names and how many more there are."""
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _sensors(
    station: Station, grouped: Mapping[str, Sequence[Any]], index: ChannelIndex, time: float
) -> list[tuple[str, list[str]]]:
    """(prefix, horizontal channels at ``time``) of the station's sensors, seismometers first.

    The inventory's dip tells a horizontal where there is one: of a sensor whose components are 1, 2 and 3 any may be
    the vertical. Elsewhere the component's letter does.
    """
    sensors: dict[str, list[str]] = {}
    for seed_id in sorted(grouped):
        code = seed_id.rsplit(".", 1)[-1]
        if not seed_id.startswith(station.id + ".") or not seismometer(code):
            continue
        epoch = index.find(seed_id, time)
        dip = None if epoch is None else epoch.dip
        if code[2] in "NE12" if dip is None else abs(dip) <= MAX_DIP_DEG:
            sensors.setdefault(seed_id[:-1], []).append(seed_id)
    order = VELOCITY_INSTRUMENTS + ACCELERATION_INSTRUMENTS
    ranked = [(order.find(prefix[-1]), prefix) for prefix in sensors if prefix[-1] in order]
    return [(prefix, sensors[prefix]) for _, prefix in sorted(ranked)]


def _station(
    station: Station,
    grouped: Mapping[str, Sequence[Any]],
    index: ChannelIndex,
    hypocenter: Hypocenter,
    travel_times: TravelTimes,
    table: ResponseTable,
) -> StationMagnitude | Dropped | None:
    sensors = _sensors(station, grouped, index, hypocenter.time)
    if not sensors:
        return None
    epicentral = float(
        distance_azimuth(hypocenter.latitude, hypocenter.longitude, station.latitude, station.longitude)[0]
    )
    distance = float(np.hypot(epicentral, hypocenter.depth_km + m_to_km(station.elevation_m)))
    if distance > MAX_DISTANCE_KM:
        return Dropped(station.id, f"farther than {MAX_DISTANCE_KM:.0f} km")
    p, s = (
        float(travel_times.times(phase, epicentral, hypocenter.depth_km, station.elevation_m)) for phase in ("P", "S")
    )
    if not np.isfinite(p + s):
        return Dropped(station.id, "no predicted arrival")
    window = amplitude_window(hypocenter.time, p, s)
    first_reason = ""
    for prefix, seed_ids in sensors:
        readings = []
        for seed_id in seed_ids:
            reading = _reading(seed_id, grouped[seed_id], index, window, table)
            if isinstance(reading, str):
                first_reason = first_reason or reading
            else:
                readings.append(reading)
        if readings:
            amplitude = float(np.exp(np.mean(np.log([a for a, _ in readings]))))
            code = prefix.rsplit(".", 1)[-1]
            ml = station_ml(amplitude, distance)
            return StationMagnitude(station.id, code, amplitude, max(readings)[1], distance, ml)
    return Dropped(station.id, first_reason)


def _reading(
    seed_id: str, traces: Sequence[Any], index: ChannelIndex, window: tuple[float, float, float], table: ResponseTable
) -> tuple[float, float] | str:
    """Amplitude (mm) and time of one channel, or why there is none."""
    start, end, least_end = window
    epoch = index.find(seed_id, start)
    if epoch is None or not has_response(epoch):
        return "no instrument response"
    merged = merge(seed_id, list(traces))
    if merged is None or merged.rate_hz < MIN_RATE_HZ:
        return f"a sampling rate below {MIN_RATE_HZ:g} Hz" if merged else "an empty record"
    rate = merged.rate_hz
    low = max(round((start - NOISE_S - TAPER_S - merged.starttime) * rate), 0)
    high = min(round((end + TAPER_S - merged.starttime) * rate) + 1, merged.data.size)
    begin, finish = merged.starttime + low / rate, merged.starttime + (high - 1) / rate
    if high <= low or begin > start - MIN_NOISE_S - TAPER_S or finish - TAPER_S < least_end:
        return "a record that does not hold the noise before P and the train of S"
    if merged.valid is not None and not np.all(merged.valid[low:high]):
        return "a gap in the record"
    counts = np.asarray(merged.data[low:high], float)
    verdict = inspect(counts[None], np.ones((1, counts.size), bool), rate).reasons[0]
    if verdict:
        return verdict.split(" (")[0]
    try:
        transfer = table.transfer(epoch, rate, frequencies(counts.size, rate))
    except ValueError:
        return "an instrument response that cannot be evaluated"
    trace_mm = simulate_wood_anderson(counts, rate, transfer)
    amplitude, time, noise = largest_amplitude(trace_mm, rate, begin, (start, min(end, finish - TAPER_S)))
    if not np.isfinite(noise):
        return "no noise before P"
    if not amplitude > 0 or amplitude < MIN_SNR * noise:
        return f"amplitude below {MIN_SNR:g} times the noise"
    return amplitude, time
