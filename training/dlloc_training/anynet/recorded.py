"""Recorded events to be trained on beside theoretical ones: whole records, places of a catalogue, onsets of our own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.preprocess import condition, cut
from seiscomp_dlloc.records import Station, TraceBlock, Trigger
from seiscomp_dlloc.traces import collect_for
from seiscomp_dlloc.traveltimes import PHASES, TravelTimes

from ..noise import extend_noise
from .bank import SAMPLES
from .disturbing import GUARD_S
from .draw import Faults, Recorder, Window, coloured, p_level, preprocessing
from .earths import RATE_HZ
from .evidence import EVIDENCE_STRIDE, Evidence
from .labelling import REACH_S, SURE, delays_of, onsets_of
from .recordings import Events, Settings, fetched, open_events

FloatArray = NDArray[np.float64]
Progress = Callable[[Iterable[Any], str], Iterable[Any]]

STRETCH = 1.5
"""Half of the records are played faster or slower, by up to this factor: another network at another scale."""

RECORDED = Faults(clean=0.37, even=0.25, network=0.25)
"""More windows without an event than theoretical ones have: this noise is real."""

STEP_S = EVIDENCE_STRIDE / RATE_HZ
LEAST_NOISE = 64


@dataclass(frozen=True)
class Recorded:
    """One event at the bank's sampling rate, as it was recorded.

    ``data`` (station, 3, sample), ``valid`` the same; ``onsets`` (station, 2) and ``origin`` in samples;
    ``places_km`` (station, 2) about the epicentre; ``depth_km``; ``delays_s`` (station, 2) of waves against the earth.
    """

    data: NDArray[np.float32]
    valid: NDArray[np.bool_]
    onsets: FloatArray
    origin: float
    places_km: FloatArray
    depth_km: float
    delays_s: FloatArray


@dataclass(frozen=True)
class _Raw:
    """An event before its onsets are known; ``predicted`` (station, 2) s after the record's first sample."""

    data: NDArray[np.float32]
    valid: NDArray[np.bool_]
    stations: tuple[Station, ...]
    places_km: FloatArray
    depth_km: float
    origin_s: float
    predicted: FloatArray


def read_recorded(
    folder: Path,
    travel_times: TravelTimes,
    network: Evidence,
    held_out_every: int = 8,
    each: Progress = lambda items, _: items,
) -> tuple[tuple[Recorded, ...], tuple[Recorded, ...]]:
    """Training events of a folder (see :func:`.measuring.open_events`), and every so many-th, held out.

    ``network`` sees the onsets. Raises SettingError where no event can be used.
    """
    events = open_events(folder, Settings(split="train"))
    raw = [one for trigger in each(events.chosen, "records") if (one := _read(events, trigger, travel_times))]
    if not raw:
        raise SettingError(f"{folder}: no training event has waveforms at {RATE_HZ:g} Hz or more")
    names = sorted({station.id for one in raw for station in one.stations})
    shape = (len(raw), len(names), len(PHASES))
    predicted, seen = np.full(shape, np.nan), np.full(shape, np.nan)
    rows = [[names.index(station.id) for station in one.stations] for one in raw]
    for k, one in enumerate(each(raw, "onsets")):
        predicted[k, rows[k]] = one.predicted
        seen[k, rows[k]] = _seen(one, network)
    delays = delays_of(seen - predicted)
    onsets = onsets_of(predicted, seen, delays)
    made = []
    for k, one in enumerate(raw):
        origin = one.origin_s + float(delays.event[k])
        late = onsets[k, rows[k]] - one.predicted - delays.event[k]
        made.append(
            Recorded(
                one.data,
                one.valid,
                onsets[k, rows[k]] * RATE_HZ,
                origin * RATE_HZ,
                one.places_km,
                one.depth_km,
                late,
            )
        )
    held = np.arange(len(made)) % held_out_every == held_out_every - 1
    return (
        tuple(one for one, out in zip(made, held, strict=True) if not out),
        tuple(one for one, out in zip(made, held, strict=True) if out),
    )


def _read(events: Events, trigger: Trigger, travel_times: TravelTimes) -> _Raw | None:
    """None where the event has no waveforms at the rate."""
    # Folders with an event that has no hypocentre are refused before
    latitude, longitude, depth_km = (
        float(value or 0.0) for value in (trigger.latitude, trigger.longitude, trigger.depth_km)
    )
    job = fetched(events, trigger, trigger.time - 60.0, trigger.time + 120.0)
    stations = inventory_stations(events.inventory, trigger.time)
    settings = preprocessing(SAMPLES)
    if job.error is not None or not job.stream:
        return None
    blocks, _ = collect_for(job.stream, ChannelIndex.from_inventory(events.inventory), stations, settings)
    usable = [block for block in blocks if block.sampling_rate_hz == RATE_HZ]
    if not usable:
        return None
    block = max(usable, key=lambda one: len(one.station_index))
    kept = tuple(stations[k] for k in block.station_index)
    frame = LocalFrame(latitude, longitude)
    places = np.stack(
        frame.to_local(np.array([s.latitude for s in kept]), np.array([s.longitude for s in kept])), axis=-1
    )
    distance, origin = np.hypot(*places.T), trigger.time - block.starttime
    heights = np.array([station.elevation_m for station in kept])
    depth = np.full(len(kept), depth_km)
    times = np.stack([travel_times.times(phase, distance, depth, heights) for phase in PHASES], axis=-1)
    return _Raw(
        block.data.transpose(1, 0, 2).astype(np.float32),
        block.valid.transpose(1, 0, 2),
        kept,
        places,
        depth_km,
        origin,
        origin + times,
    )


def _seen(one: _Raw, network: Evidence) -> FloatArray:
    """(station, 2) s after the record's first sample: sure onsets near the predicted ones, NaN for the others."""
    settings = replace(preprocessing(one.data.shape[-1] // EVIDENCE_STRIDE * EVIDENCE_STRIDE), warmup_s=0.0)
    block = TraceBlock(
        np.arange(len(one.data)),
        one.data.transpose(1, 0, 2).astype(np.float64),
        one.valid.transpose(1, 0, 2),
        RATE_HZ,
        0.0,
    )
    data, mask, _ = cut(condition((block,), len(one.data), settings), 0.0, settings)
    with torch.no_grad():
        waveforms, there = (
            torch.from_numpy(np.ascontiguousarray(array.transpose(1, 0, 2), np.float32)) for array in (data, mask)
        )
        evidence = network(waveforms, there).numpy()
    out, reach = np.full(one.predicted.shape, np.nan), round(REACH_S / STEP_S)
    for station, phase in np.ndindex(out.shape):
        middle = round(float(one.predicted[station, phase]) / STEP_S)
        low, high = max(middle - reach, 0), min(middle + reach + 1, evidence.shape[-1])
        if high > low:
            piece = evidence[station, phase, low:high]
            best = int(np.argmax(piece))
            # At the border of where it is looked for it belongs to something else
            if piece[best] >= SURE and 0 < best < len(piece) - 1:
                out[station, phase] = (low + best) * STEP_S
    return out


class RecordedDrawer(Recorder):
    """Draws windows of ``stations`` stations from recorded events, some made harder, some without their event.

    ``faults`` as :class:`.draw.Faults` has them; ``clean`` windows get no noise, and there is no second event.
    """

    def __init__(
        self, events: Sequence[Recorded], earth: TravelTimes, samples: int, stations: int, faults: Faults = RECORDED
    ):
        super().__init__(samples, stations, faults)
        self.events, self.earths = events, (earth,)

    def draw(self, rng: np.random.Generator) -> Window:
        """One window."""
        f = self.faults
        event = self.events[int(rng.integers(len(self.events)))]
        chosen = rng.permutation(len(event.data))[: self.stations]
        stretch = float(np.exp(rng.uniform(-1.0, 1.0) * np.log(STRETCH))) if rng.random() < 0.5 else 1.0
        kind = rng.random()
        quiet = kind > f.clean + f.even + f.network
        lead = round(rng.uniform(2.5, 5.0) * RATE_HZ)
        length = lead + self.samples
        record, valid = event.data[chosen], event.valid[chosen]
        onsets, origin = event.onsets[chosen] / stretch, event.origin / stretch
        if stretch != 1.0:
            count = round(record.shape[-1] / stretch)
            record = played(record, count)
            valid = valid[..., np.minimum((np.arange(count) * stretch).astype(int), valid.shape[-1] - 1)]
        first = float(onsets[:, 0].min())
        shift = lead + round(rng.uniform(*f.early_s) * RATE_HZ) - round(first)
        signal, known = _placed(record, shift, length), _placed(valid, shift, length)
        own = _own_noise(record, first, length, rng) if rng.random() < 0.6 else None
        noise = coloured(signal.shape, rng) if own is None else own
        if quiet:
            traces = noise
        elif kind < f.clean:
            traces = signal
        else:
            level = p_level(signal, onsets[:, 0] + shift)
            ratio = 10.0 ** rng.uniform(*np.log10(f.low_snr))
            level = level if kind < f.clean + f.even else np.full(len(level), np.median(level))
            size = np.sqrt(np.mean(noise**2, axis=(1, 2), keepdims=True)) + 1e-30
            traces = signal + noise / size * (level / ratio)[:, None, None]
        traces, known = _filled(traces, self.stations), _filled(known, self.stations)
        seen = self.seen(traces.astype(np.float32), known | quiet, lead, rng)
        if seen is None:
            return self.draw(rng)
        times = _filled(onsets + shift - lead, self.stations, np.nan)
        return Window(
            *seen,
            np.full_like(times, np.nan) if quiet else times,
            origin + shift - lead,
            _filled(event.places_km[chosen] / stretch, self.stations),
            event.depth_km / stretch,
            -1 if quiet else 0,
            _filled(event.delays_s[chosen] / stretch, self.stations),
            stretch,
        )


def played(record: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The record (..., n) in ``count`` samples instead: faster or slower, and called by the same sampling rate.

    What a faster one would have above half the rate is left out.
    """
    samples = record.shape[-1]
    spectrum = np.fft.rfft(record, axis=-1)
    kept = np.zeros((*record.shape[:-1], count // 2 + 1), spectrum.dtype)
    common = min(kept.shape[-1], spectrum.shape[-1])
    kept[..., :common] = spectrum[..., :common]
    return np.asarray(np.fft.irfft(kept, count, axis=-1) * (count / samples), np.float32)


def _placed(record: NDArray[Any], shift: int, length: int) -> NDArray[Any]:
    """(station, 3, length): the record with its first sample at ``shift``, nothing elsewhere."""
    out = np.zeros((*record.shape[:2], length), record.dtype)
    low, high = max(shift, 0), min(shift + record.shape[-1], length)
    if high > low:
        out[..., low:high] = record[..., low - shift : high - shift]
    return out


def _filled(array: NDArray[Any], stations: int, value: float = 0.0) -> NDArray[Any]:
    """The same with empty rows for stations that the event does not have."""
    missing = stations - len(array)
    return np.concatenate([array, np.full((missing, *array.shape[1:]), value, array.dtype)]) if missing else array


def _own_noise(
    record: NDArray[np.float32], first: float, length: int, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Noise (station, 3, length) like what stands before the first P; None where that is too short or dead."""
    piece = record[..., : max(int(first - GUARD_S * RATE_HZ), 0)]
    if piece.shape[-1] < LEAST_NOISE or not np.all(np.ptp(piece, axis=-1) > 0):
        return None
    return extend_noise(piece, length, rng)
