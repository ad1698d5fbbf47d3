"""Streams as operators have them to ground velocity of one sensor per station, with every channel left out named.

Per station one sensor is chosen: one with three usable components before an incomplete one, one that has a vertical
before one that has not, velocity before acceleration (HH, BH, EH, SH ... before HN, BN ...), then the lowest location
code. The choice falls after the quality checks, so a sensor with a dead component gives way to a sound one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import gain
from .channels import ChannelEpoch, ChannelIndex, component_set, preference, seismometer
from .merging import RATE_TOLERANCE, Channel, merge
from .orientation import to_zne
from .passport import Preprocessing
from .quality import inspect, quantum
from .records import COMPONENTS, Dropped, Station, TraceBlock
from .resampling import ALIGNMENT, SLACK, resample, supported

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DEFAULT_BAND_HZ = (0.5, 10.0)
"""Band within which ground velocity must be right where the caller names none."""


@dataclass
class _Usable:
    """A channel that passed: counts (n,), later m/s, and validity on its own time axis."""

    seed_id: str
    epoch: ChannelEpoch
    rate_hz: float
    starttime: float
    data: FloatArray
    valid: BoolArray


@dataclass
class _StationMotion:
    """Z, N, E of one station: (3, n)."""

    rate_hz: float
    starttime: float
    data: FloatArray
    valid: BoolArray


def allows_counts(settings: Preprocessing) -> bool:
    """Whether a model can do with counts: one that normalises its input does not see the unit."""
    return settings.normalisation != "none"


def collect_for(
    stream: Any, inventory: Any, stations: tuple[Station, ...], settings: Preprocessing
) -> tuple[tuple[TraceBlock, ...], tuple[Dropped, ...]]:
    """:func:`collect` as a model's passport asks for it: response, rate, band, counts."""
    return collect(
        stream,
        inventory,
        stations,
        settings.response,
        band_hz=settings.band_hz,
        min_rate_hz=settings.sampling_rate_hz,
        allow_counts=allows_counts(settings),
    )


def collect(
    stream: Any,
    inventory: Any,
    stations: tuple[Station, ...],
    response: str = "sensitivity",
    *,
    band_hz: tuple[float, float] = DEFAULT_BAND_HZ,
    min_rate_hz: float = 0.0,
    allow_counts: bool = False,
) -> tuple[tuple[TraceBlock, ...], tuple[Dropped, ...]]:
    """Ground velocity (m/s) of ``stations`` and what was left out.

    ``stream`` is an :class:`obspy.Stream`, not changed; ``inventory`` an :class:`obspy.Inventory` or, to save its
    walk, a :class:`~seiscomp_dlloc.channels.ChannelIndex` of it. Blocks hold stations that share rate and sample
    grid, padded (not valid) to a common length; ``station_index`` points into ``stations``.

    ``response``: ``sensitivity`` divides by the overall sensitivity and integrates accelerometers, ``full``
    divides by the whole response within ``band_hz``. Channels below ``min_rate_hz`` are left out. Where no channel of
    the whole inventory has a sensitivity, ``allow_counts`` takes counts for ground velocity; never beside channels in
    m/s, so units do not mix. The caller can tell from ``ChannelIndex.has_sensitivity``.

    The names of :class:`~seiscomp_dlloc.records.Dropped` are channels, or stations without any data; a reason that
    begins with "in part" concerns a piece of a channel that is otherwise used.
    """
    if response not in ("sensitivity", "full"):
        raise ValueError(f"response must be sensitivity or full, not {response!r}")
    index = inventory if isinstance(inventory, ChannelIndex) else ChannelIndex.from_inventory(inventory)
    counts = allow_counts and not index.has_sensitivity
    dropped: list[Dropped] = []
    by_station = _group(stream, stations, dropped)
    channels = _checked(by_station, index, response, counts, min_rate_hz, dropped)
    motions: list[tuple[int, _StationMotion]] = []
    for place, station in enumerate(stations):
        if station.id not in by_station:
            dropped.append(Dropped(station.id, "no data"))
            continue
        sensor = _choose(channels.get(station.id, []), index, dropped)
        in_velocity = _velocities(sensor, response, counts, band_hz, dropped)
        motion = _rotated(in_velocity, dropped)
        if motion is not None:
            motions.append((place, motion))
    return _blocks(motions), tuple(dropped)


def _group(stream: Any, stations: tuple[Station, ...], dropped: list[Dropped]) -> dict[str, dict[str, list[Any]]]:
    """Traces by station id and SEED id, in order of SEED id; data of unknown stations named once per station."""
    known = {station.id for station in stations}
    by_station: dict[str, dict[str, list[Any]]] = {}
    unknown: dict[str, None] = {}
    for trace in stream:
        stats = trace.stats
        station_id = f"{stats.network}.{stats.station}"
        if station_id in known:
            by_id = by_station.setdefault(station_id, {})
            by_id.setdefault(f"{station_id}.{stats.location}.{stats.channel}", []).append(trace)
        else:
            unknown[station_id] = None
    dropped.extend(Dropped(station_id, "data of a station that is not asked for") for station_id in sorted(unknown))
    return {station_id: dict(sorted(by_station[station_id].items())) for station_id in sorted(by_station)}


def _checked(
    by_station: dict[str, dict[str, list[Any]]],
    index: ChannelIndex,
    response: str,
    counts: bool,
    min_rate_hz: float,
    dropped: list[Dropped],
) -> dict[str, list[_Usable]]:
    """Channels that are usable, by station id; the others named."""
    merged: list[tuple[str, Channel, ChannelEpoch]] = []
    for station_id, by_id in by_station.items():
        for seed_id, traces in by_id.items():
            channel = merge(seed_id, traces) if seismometer(seed_id.rsplit(".", 1)[1]) else None
            if channel is None:
                empty = seismometer(seed_id.rsplit(".", 1)[1])
                dropped.append(Dropped(seed_id, "no data" if empty else "not a seismometer's channel"))
                continue
            dropped.extend(Dropped(seed_id, note) for note in channel.notes)
            epoch = index.find(seed_id, channel.starttime)
            reason = _unfit(channel, epoch, seed_id in index, response, counts, min_rate_hz)
            if reason or epoch is None:
                dropped.append(Dropped(seed_id, reason))
            else:
                merged.append((station_id, channel, epoch))
    # Channels of one length and rate are judged together
    groups: dict[tuple[float, int], list[tuple[str, Channel, ChannelEpoch]]] = {}
    for item in merged:
        groups.setdefault((item[1].rate_hz, item[1].data.size), []).append(item)
    usable: dict[str, list[_Usable]] = {}
    for (rate, samples), items in groups.items():
        data, valid = np.empty((len(items), samples)), np.ones((len(items), samples), bool)
        for row, (_, channel, _) in enumerate(items):
            data[row] = channel.data
            if channel.valid is not None:
                valid[row] = channel.valid
        least = np.ones(len(items))
        for row, (_, channel, _) in enumerate(items):
            if channel.data.dtype.kind == "f":
                least[row] = quantum(data[row])
        verdicts = inspect(data, valid, rate, least)
        lost: BoolArray = np.logical_or.reduce(verdicts.stuck, axis=1)
        for row, (station_id, channel, epoch) in enumerate(items):
            if verdicts.reasons[row]:
                dropped.append(Dropped(channel.seed_id, verdicts.reasons[row]))
                continue
            if lost[row]:
                seconds = np.count_nonzero(verdicts.stuck[row]) / rate
                dropped.append(Dropped(channel.seed_id, f"in part: {seconds:.2f} s stuck at one value left out"))
                valid[row] &= ~verdicts.stuck[row]
                data[row, verdicts.stuck[row]] = 0.0
            passed = _Usable(channel.seed_id, epoch, rate, channel.starttime, data[row], valid[row])
            usable.setdefault(station_id, []).append(passed)
    return usable


def _unfit(
    channel: Channel, epoch: ChannelEpoch | None, listed: bool, response: str, counts: bool, min_rate_hz: float
) -> str:
    """Why the inventory or the rate rule a channel out, '' where they do not."""
    if epoch is None:
        return "no epoch in the inventory for its time" if listed else "not in the inventory"
    if epoch.azimuth is None or epoch.dip is None:
        return "no azimuth and dip in the inventory"
    if not channel.rate_hz > 0 or not math.isfinite(channel.rate_hz):
        return f"sampling rate of {channel.rate_hz} Hz"
    if channel.rate_hz < min_rate_hz * (1.0 - SLACK):
        return f"sampled at {channel.rate_hz:g} Hz, below the {min_rate_hz:g} Hz needed"
    if counts:
        return ""
    if response == "full":
        return "" if epoch.response is not None else "no full response in the inventory"
    if epoch.sensitivity is None:
        return "no sensitivity in the inventory"
    if epoch.time_power not in (1, 2):
        return f"input unit {epoch.unit or 'unknown'} is neither ground velocity nor acceleration"
    return ""


def _directions(sensor: list[_Usable]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Azimuths and dips of channels; those without have been left out by now."""
    epochs = [channel.epoch for channel in sensor]
    return tuple(e.azimuth or 0.0 for e in epochs), tuple(e.dip or 0.0 for e in epochs)


def _choose(channels: list[_Usable], index: ChannelIndex, dropped: list[Dropped]) -> list[_Usable]:
    """Channels of the preferred sensor, in order of their set of component letters; the others named."""
    sensors: dict[str, list[_Usable]] = {}
    for channel in channels:
        sensors.setdefault(channel.seed_id[:-1], []).append(channel)
    if not sensors:
        return []
    picked: dict[str, list[_Usable]] = {}
    for prefix, members in sensors.items():
        by_letter = {channel.seed_id[-1]: channel for channel in members}
        letters = component_set(by_letter)
        picked[prefix] = [by_letter[letter] for letter in letters if letter in by_letter]
        spare = [by_letter[letter].seed_id for letter in sorted(by_letter) if letter not in letters]
        dropped.extend(Dropped(seed_id, f"not used: {prefix}{letters} is the sensor's set") for seed_id in spare)

    def rank(prefix: str) -> tuple[bool, bool, tuple[int, int, int, str]]:
        members = picked[prefix]
        _, recovered = to_zne(*_directions(members))
        accelerometer = members[0].epoch.time_power == 2
        return not recovered.all(), not recovered[0], preference(prefix, accelerometer)

    best = min(sorted(picked), key=rank) if len(picked) > 1 else next(iter(picked))
    for prefix in sorted(picked):
        if prefix != best:
            dropped.extend(Dropped(c.seed_id, f"not used: {best}? is preferred") for c in picked[prefix])
    chosen = picked[best]
    if len(chosen) < len(COMPONENTS):
        there = {channel.seed_id for channel in chosen} | {item.seed_id for item in dropped}
        absent = [seed_id for seed_id in index.sensor(best, chosen[0].starttime) if seed_id not in there]
        dropped.extend(Dropped(seed_id, "no data") for seed_id in absent)
    return chosen


def _velocities(
    sensor: list[_Usable], response: str, counts: bool, band_hz: tuple[float, float], dropped: list[Dropped]
) -> list[_Usable]:
    """The sensor's channels in m/s (or in counts, integrated where the code says acceleration)."""
    out = []
    for channel in sensor:
        epoch = channel.epoch
        if response == "full" and not counts:
            try:
                channel.data, channel.valid = gain.deconvolve(
                    channel.data, channel.valid, channel.rate_hz, epoch.response, band_hz
                )
            except ValueError as error:
                dropped.append(Dropped(channel.seed_id, str(error)))
                continue
        else:
            if not counts and epoch.sensitivity is not None:
                channel.data /= epoch.sensitivity / epoch.unit_scale
            if epoch.time_power == 2:
                channel.data, channel.valid = gain.integrate(
                    channel.data, channel.valid, channel.rate_hz, band_hz[0] / 2.0
                )
        out.append(channel)
    return out


def _rotated(sensor: list[_Usable], dropped: list[Dropped]) -> _StationMotion | None:
    """Z, N, E of a sensor on one time axis, None where nothing is left."""
    if not sensor:
        return None
    sensor = _same_rate(sensor, dropped)
    matrix, recovered = to_zne(*_directions(sensor))
    used = matrix != 0.0
    for column in np.flatnonzero(~used.any(axis=0)):
        reason = "its direction cannot be turned to north and east without the sensor's other components"
        dropped.append(Dropped(sensor[column].seed_id, reason))
    if not recovered.any():
        return None
    reference = max(sensor, key=lambda channel: channel.data.size)
    rate = reference.rate_hz
    first = min(round((channel.starttime - reference.starttime) * rate) for channel in sensor)
    ends = [(channel.starttime - reference.starttime) * rate + channel.data.size for channel in sensor]
    start, samples = reference.starttime + first / rate, round(max(ends)) - first
    placed = [_placed(channel, start, samples) for channel in sensor]
    data, valid = np.zeros((len(COMPONENTS), samples)), np.zeros((len(COMPONENTS), samples), bool)
    for component in np.flatnonzero(recovered):
        columns = np.flatnonzero(used[component])
        if columns.size == 1:
            motion, valid[component] = placed[columns[0]]
            np.multiply(motion, matrix[component, columns[0]], out=data[component])
            continue
        valid[component] = np.logical_and.reduce([placed[column][1] for column in columns])
        for column in columns:
            data[component] += matrix[component, column] * placed[column][0]
        data[component] *= valid[component]
    return _StationMotion(rate, start, data, valid) if valid.any() else None


def _same_rate(sensor: list[_Usable], dropped: list[Dropped]) -> list[_Usable]:
    """The channels that share the rate of the first one."""
    rate = sensor[0].rate_hz
    kept = [channel for channel in sensor if abs(channel.rate_hz / rate - 1.0) < RATE_TOLERANCE]
    for channel in sensor:
        if not any(channel is other for other in kept):
            reason = f"sampled at {channel.rate_hz:g} Hz, the sensor's first component at {rate:g} Hz"
            dropped.append(Dropped(channel.seed_id, reason))
    return kept


def _placed(channel: _Usable, start: float, samples: int) -> tuple[FloatArray, BoolArray]:
    """A channel on the time axis of its sensor, interpolated where it is off the grid."""
    rate, offset = channel.rate_hz, start - channel.starttime
    if channel.data.size == samples and abs(offset) * rate <= ALIGNMENT:
        return channel.data, channel.valid
    shifted = resample(channel.data, rate, rate, offset, samples, 0.4 * rate)
    valid = supported(channel.valid, rate, rate, offset, samples, shifted.reach_s)
    return shifted.data * valid, valid


def _blocks(motions: Iterable[tuple[int, _StationMotion]]) -> tuple[TraceBlock, ...]:
    """Stations of one rate and sample grid put together, each padded to the extent of its block."""
    groups: list[list[tuple[int, _StationMotion]]] = []
    for place, motion in motions:
        for group in groups:
            head = group[0][1]
            offset = (motion.starttime - head.starttime) * head.rate_hz
            if head.rate_hz == motion.rate_hz and abs(offset - round(offset)) <= ALIGNMENT:
                group.append((place, motion))
                break
        else:
            groups.append([(place, motion)])
    return tuple(_block(group) for group in groups)


def _block(group: list[tuple[int, _StationMotion]]) -> TraceBlock:
    head = group[0][1]
    rate = head.rate_hz
    offsets = [round((motion.starttime - head.starttime) * rate) for _, motion in group]
    first = min(offsets)
    samples = max(offset - first + motion.data.shape[1] for offset, (_, motion) in zip(offsets, group, strict=True))
    data = np.zeros((len(COMPONENTS), len(group), samples))
    valid = np.zeros(data.shape, bool)
    for row, (offset, (_, motion)) in enumerate(zip(offsets, group, strict=True)):
        here = slice(offset - first, offset - first + motion.data.shape[1])
        data[:, row, here], valid[:, row, here] = motion.data, motion.valid
    places = np.array([place for place, _ in group], np.int64)
    return TraceBlock(places, data, valid, rate, head.starttime + first / rate)
