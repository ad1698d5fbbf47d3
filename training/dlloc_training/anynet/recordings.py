"""Recorded events of a folder, what a locator is told of them, and how loud they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from obspy import Stream

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.migration.locating import aperture_km
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.passport import Passport, Preprocessing
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import COMPONENTS, Conditioned, Station, Trigger
from seiscomp_dlloc.traces import collect_for
from seiscomp_dlloc.waveforms import WaveformSource, open_source

from .. import evaluate
from ..catalogue import read_split, read_stations, short_id
from ..local import LocalNetwork
from .disturbing import GUARD_S, NOISE_S, Arrivals, generator

FloatArray = NDArray[np.float64]

TEST, TRAIN = "test", "train"
LEAST_NOISE_S = 1.0
"""Records that are cut out begin shortly before the event."""

_Z = COMPONENTS.index("Z")


@dataclass(frozen=True)
class Settings:
    """How to measure. ``every``: each so many-th event, from the first. ``times``: whether the catalogue's origin times
    can be compared with. ``signal_s``: what follows P counts as the signal for so long (None: by the distances).
    ``trigger_error_s``: standard deviation by which the trigger's time is off; ``picks``: whether the trigger keeps the
    catalogue's. ``near_km``: what counts as near.
    """

    split: str = TEST
    every: int = 1
    times: bool = True
    signal_s: float | None = None
    resamples: int = 2000
    seed: int = 0
    trigger_error_s: float = 1.0
    picks: bool = False
    near_km: float = 10.0

    @property
    def statistics(self) -> evaluate.Settings:
        """Of the intervals."""
        return evaluate.Settings(resamples=self.resamples, seed=self.seed)


@dataclass(frozen=True)
class Events:
    """Events of a folder in order of time, those to be trained on apart, and how to get at their waveforms.

    ``told``: what must be known of them beside their number.
    """

    folder: Path
    chosen: tuple[Trigger, ...]
    training: tuple[Trigger, ...]
    network: LocalNetwork
    inventory: Any
    source: WaveformSource
    told: str = ""


def open_events(folder: Path, settings: Settings) -> Events:
    """Read the folder (catalog.xml, stations.xml, waveforms/, perhaps split.csv: else all of its events are taken).

    Raises SettingError where no event is left, or one has no hypocentre.
    """
    listed = read_triggers(folder / "catalog.xml")
    triggers = sorted(listed.triggers, key=lambda trigger: trigger.time)
    for trigger in triggers:
        if None in (trigger.latitude, trigger.longitude, trigger.depth_km):
            raise SettingError(f"{folder}: {trigger.public_id} has no hypocentre to be measured against; take it out")
    table = folder / "split.csv"
    split = read_split(table) if table.exists() else None
    parts: dict[str, list[Trigger]] = {TEST: [], TRAIN: []}
    for trigger in triggers:
        parts.setdefault(split.get(short_id(trigger), "") if split else settings.split, []).append(trigger)
    chosen = parts[settings.split][:: settings.every]
    if not chosen:
        raise SettingError(f"{folder}: no {settings.split} event in split.csv; give the other --split")
    told = [f"{settings.split} events of split.csv" if split else "all events, for there is no split.csv"]
    told += [f"one in {settings.every}"] if settings.every > 1 else []
    if listed.problems:
        told.append(f"{len(listed.problems)} problems in catalog.xml, the first: {listed.problems[0].message}")
    return Events(
        folder,
        tuple(chosen),
        tuple(parts[TRAIN]) if split and settings.split == TEST else (),
        LocalNetwork(read_stations(folder / "stations.xml")),
        read_inventory(folder / "stations.xml"),
        open_source(str(folder / "waveforms")),
        "; ".join(told),
    )


def triggered(trigger: Trigger, settings: Settings) -> Trigger:
    """What locators are told of a catalogue's event: a time that is off by a normal deviate of ``trigger_error_s``,
    drawn from the seed and the event, and none of its picks unless ``picks``.
    """
    late = settings.trigger_error_s * float(generator(settings.seed, short_id(trigger), "trigger").standard_normal())
    return replace(trigger, time=trigger.time + late, picks=trigger.picks if settings.picks else ())


def fetched(events: Events, trigger: Trigger, start: float, end: float) -> Job:
    """The event with the waveforms of all stations, as a run of the plugin fetches them."""
    stations = inventory_stations(events.inventory, trigger.time)
    try:
        acquired = events.source.get_waveforms((f"{station.id}.*.*" for station in stations), start, end)
    except EventError as error:
        return Job(trigger, Stream(), error)
    return Job(trigger, acquired.stream, dropped=acquired.dropped)


def fetched_for(events: Events, trigger: Trigger, locator: Locator) -> Job:
    """The event with the waveforms that this locator asks for."""
    return fetched(events, trigger, *required_window(trigger, locator.passport))


def conditioned_for(
    job: Job,
    passport: Passport,
    index: ChannelIndex,
    stations: Sequence[Station],
    fewest_hz: float = 0.0,
    warmup: float = 1.0,
) -> tuple[Preprocessing, Conditioned]:
    """The job's waveforms of ``stations`` as a model of any network would see them, and by which preprocessing.

    That is the passport's for the aperture of the stations with waveforms, of at least ``fewest_hz``, with so much of
    its ``warmup`` taken from the records. Raises EventError where there are none.
    """
    there = {f"{trace.stats.network}.{trace.stats.station}" for trace in job.stream}
    scales = passport.scales_for(aperture_km([station for station in stations if station.id in there]))
    settings = scales[0].preprocessing
    if settings.sampling_rate_hz < fewest_hz:
        finer = [s.preprocessing for s in passport.scales if s.preprocessing.sampling_rate_hz >= fewest_hz]
        settings = min(finer, key=lambda found: found.sampling_rate_hz, default=settings)
    settings = replace(settings, warmup_s=warmup * settings.warmup_s)
    blocks, _ = collect_for(job.stream, index, tuple(stations), settings)
    return settings, condition(blocks, len(stations), settings)


def loudness(conditioned: Conditioned, stations: Sequence[Station], arrivals: Arrivals) -> FloatArray:
    """P's signal-to-noise ratio (station,) on the vertical; NaN where it is not recorded with noise before it.

    RMS of what follows P (:attr:`~.disturbing.Arrivals.signal_s`) over that of the noise up to half a second before the
    first P, 6 s at most and LEAST_NOISE_S at least.
    """
    rate, first_p = conditioned.sampling_rate_hz, min(arrivals.p.values())
    out = np.full(len(stations), np.nan)
    for k, station in enumerate(stations):
        data, valid = conditioned.data[_Z, k].astype(float), conditioned.valid[_Z, k]

        def between(
            start: float, length_s: float, data: FloatArray = data, valid: NDArray[np.bool_] = valid
        ) -> FloatArray:
            here = slice(max(round((start - conditioned.starttime) * rate), 0), None)
            count = max(round(length_s * rate), 0)
            return data[here][:count][valid[here][:count]]

        stop = first_p - GUARD_S
        began = max(stop - NOISE_S[1], conditioned.starttime)
        noise, signal = between(began, stop - began), between(arrivals.p[station.id], arrivals.signal_s)
        if noise.size >= LEAST_NOISE_S * rate and signal.size >= 0.5 * arrivals.signal_s * rate and np.any(noise):
            out[k] = np.sqrt(np.mean(signal**2) / np.mean(noise**2))
    return out
