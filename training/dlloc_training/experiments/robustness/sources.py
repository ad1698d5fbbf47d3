"""The events that are tested on, with the noise of each: the same for every network and every condition."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...noise import extend_noise
from ..inputs import Kind
from ..materials import THEORETICAL, Materials
from ..predictions import RECORDED_TEST, TEST
from ..recorded import RecordedRecord
from ..records import Record
from ..windows import Windows, signal_to_noise
from .conditions import Event
from .making import as_delivered, made_at, outside, reachable
from .settings import RECREATED, Robustness

_LEAST_NOISE = 32
"""Samples of noise that more can be made of; see :func:`extend_noise`."""

_NUMBERS = {TEST: 0, RECREATED: 1, RECORDED_TEST: 2}
_OUTSIDE = 20
"""From here on: numbers of draws, so that what is made of one seed is not the same."""


class Sources:
    """Events of an experiment by set."""

    def __init__(self, materials: Materials, wanted: Robustness):
        self._materials, self._wanted = materials, wanted
        self._notes: dict[str, str] = {}

    def notes_of(self, name: str) -> list[str]:
        """What could not be had for a set, in sentences; complete once its events are read."""
        return [text for key, text in self._notes.items() if key.partition(" ")[0] == name]

    def events(self, inputs: Kind, name: str) -> tuple[Event, ...]:
        """Events of a set, at most as many as are wanted, drawn by the seed; records in the order of the set."""
        if name == RECORDED_TEST:
            recorded = self._recorded
            return tuple(self._own(inputs, recorded[k], k) for k in self._chosen(len(recorded)))
        if name == RECREATED:
            return self._theoretical(inputs, self._recreated(), _NUMBERS[RECREATED])
        records = self._materials.records(inputs, TEST)
        noise = self._materials.augmenter(inputs, THEORETICAL, records)
        chosen = [(k, records[k]) for k in self._chosen(len(records))]
        # The noise that the set is evaluated with, so that the unperturbed row is the set's
        made = [(record, noise.noise(self._materials.noise_rng(TEST, k), record)) for k, record in chosen]
        windows = self._materials.windows(inputs)
        return tuple(_event(record, ground, windows) for record, ground in made)

    def outside(self, inputs: Kind, beyond_km: float) -> tuple[Event, ...]:
        """Theoretical events beyond the region's sides; fewer than wanted, or none, where the tables end."""
        number = _OUTSIDE + self._wanted.outside_km.index(beyond_km)
        return self._theoretical(inputs, self._beyond(beyond_km, number), number)

    def renewed(self, inputs: Kind, name: str, events: Sequence[Event]) -> tuple[Event, ...]:
        """As many events of a set as windows of noise are wanted, each with other noise; none without events."""
        wanted, seed = self._wanted.noise_windows if events else 0, self._materials.experiment.seed
        augmenter = self._materials.augmenter(inputs, THEORETICAL, [event.record for event in events])
        made = []
        for number in range(wanted):
            event, rng = events[number % len(events)], np.random.default_rng([seed, 26, _NUMBERS[name], number])
            record = event.record
            noise = own_noise(record, rng) if isinstance(record, RecordedRecord) else augmenter.noise(rng, record)
            made.append(replace(event, noise=noise))
        return tuple(made)

    @property
    def _recorded(self) -> tuple[RecordedRecord, ...]:
        recorded = self._materials.recorded
        return () if recorded is None else recorded.test

    def _chosen(self, count: int) -> list[int]:
        rng = np.random.default_rng([self._materials.experiment.seed, 21])
        return sorted(int(k) for k in rng.permutation(count)[: self._wanted.events])

    @cache  # noqa: B019
    def _recreated(self) -> tuple[Record, ...]:
        experiment, recorded = self._materials.experiment, self._recorded
        truths = [recorded[k].truth for k in self._chosen(len(recorded))]
        names = [recorded[k].name for k in self._chosen(len(recorded))]
        places = np.array([(t.latitude, t.longitude, t.depth_km) for t in truths]).reshape(-1, 3)
        least, largest = experiment.settings["events"]["magnitude"]
        drawn = np.random.default_rng([experiment.seed, 22]).uniform(least, largest, len(truths))
        known = np.array([t.magnitude for t in truths])
        magnitude = np.where(np.isfinite(known), known, drawn)
        near = reachable(experiment, places)
        if not near.all():
            self._notes[RECREATED] = (
                f"{np.count_nonzero(~near)} of {len(near)} recorded events lie deeper, shallower or farther away than "
                "the strain tables reach and were not made again"
            )
        kept = [name for name, there in zip(names, near, strict=True) if there]
        folder, number = self._materials.folder, _NUMBERS[RECREATED]
        return tuple(made_at(experiment, folder, places[near], magnitude[near], kept, number))

    @cache  # noqa: B019
    def _beyond(self, beyond_km: float, number: int) -> tuple[Record, ...]:
        experiment, wanted = self._materials.experiment, self._wanted.outside_events
        rng = np.random.default_rng([experiment.seed, 23, number])
        places = outside(experiment, rng, beyond_km, wanted)
        if len(places) < wanted:
            self._notes[f"{TEST} {beyond_km:g}"] = (
                f"{len(places)} of {wanted} events {beyond_km:g} km outside the region could be made: the strain "
                "tables reach no farther"
            )
        least, largest = experiment.settings["events"]["magnitude"]
        magnitude = rng.uniform(least, largest, len(places))
        names = [f"outside{beyond_km:g}-{k:03d}" for k in range(len(places))]
        return tuple(made_at(experiment, self._materials.folder, places, magnitude, names, number))

    def _theoretical(self, inputs: Kind, records: tuple[Record, ...], number: int) -> tuple[Event, ...]:
        windows = self._materials.windows(inputs)
        augmenter = self._materials.augmenter(inputs, THEORETICAL, records)
        events = []
        for k, record in enumerate(records):
            delivered = as_delivered(record, windows.passport.preprocessing)
            rng = np.random.default_rng([self._materials.experiment.seed, 24, number, k])
            events.append(_event(delivered, augmenter.noise(rng, delivered), windows))
        return tuple(events)

    def _own(self, inputs: Kind, record: RecordedRecord, number: int) -> Event:
        """A recorded event with noise like that before its first break."""
        windows = self._materials.windows(inputs)
        rng = np.random.default_rng([self._materials.experiment.seed, 24, _NUMBERS[RECORDED_TEST], number])
        conditioned = windows.conditioned(record)
        snr = signal_to_noise(conditioned, record.origin_s + windows.p_travel_s(record))
        return Event(record, own_noise(record, rng), True, snr, level=0.0)


def own_noise(record: RecordedRecord, rng: np.random.Generator) -> NDArray[np.float32]:
    """(3, station, sample) m/s like what a record holds before its event; 0 for stations with gaps in it, and for all
    where it is too short.
    """
    quiet = int(record.quiet_s * record.rate_hz)
    if quiet < _LEAST_NOISE:
        return np.zeros(record.data.shape, np.float32)
    whole = np.asarray(record.valid[..., :quiet].all(axis=-1))
    before = record.data[..., :quiet] * whole[..., None]
    return extend_noise(before, record.data.shape[-1], rng, coherent_axis=0) * whole[..., None].astype(np.float32)


def _event(record: Record, noise: NDArray[np.float32], windows: Windows) -> Event:
    """A theoretical record with its noise, and how far it stands above it."""
    signal = windows.conditioned(record)
    ground = windows.conditioned(replace(record, data=noise))
    spread = np.array([ground.data[:, k][ground.valid[:, k]].std() for k in range(ground.data.shape[1])])
    peaks, there = np.abs(signal.data).max(axis=(0, 2)), spread > 0
    snr = float(np.median(peaks[there] / spread[there])) if there.any() else float("nan")
    return Event(record, noise, False, snr)
