"""Recorded events of a folder as records in an experiment's order of stations, and the noise before them.

The folder holds catalog.xml, stations.xml, split.csv and waveforms/ (see :mod:`dlloc_training.catalogue`). Some of its
training events are set aside by a seeded draw for selection and calibration; which, stands in the run folder. Events
of the test are read where they are asked for, and nowhere else.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import obspy
from numpy.typing import NDArray
from obspy.core.util.obspy_types import ObsPyException
from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Trigger

from ..catalogue import RecordedEvent, load_events, read_stations, short_id
from ..experiment import held_out_of
from ..noise import extend_noise
from .reading import ExperimentFile, file_path
from .records import Record, Truth

HELD_OUT_SHARE = 0.15
"""Share of the training events that is set aside where the file gives no ``held_out``."""

PICK_GUARD_S, ORIGIN_GUARD_S = 0.2, 1.0
"""Noise ends so long before the earliest P pick; before the origin time where there is none."""


_SHORTER_PERCENT = 20.0  # so many of the events may be too short for the bank of noise, for longer stretches


@dataclass(frozen=True)
class RecordedRecord(Record):
    """A recorded event. ``quiet_s``: seconds from sample 0 on that end before the event's first break. ``p_picks_s``,
    ``s_picks_s`` (station,): what the catalogue's origin has been located with, s after the origin time, NaN without.
    """

    quiet_s: float = field(kw_only=True)
    p_picks_s: NDArray[np.float64] = field(kw_only=True)
    s_picks_s: NDArray[np.float64] = field(kw_only=True)


class RecordedSets:
    """Recorded events of an experiment, each set in order of time. Nothing is read before it is asked for.

    Raises InputError where a split has no readable event, SettingError where nothing is left for training or the
    records' sampling rate is not the experiment's.
    """

    def __init__(self, experiment: ExperimentFile, folder: Path, run: Path, settings: Preprocessing):
        self._experiment, self._folder, self._run, self._settings = experiment, folder, run, settings

    @property
    def train(self) -> tuple[RecordedRecord, ...]:
        """Training events but those held out."""
        return self._training[0]

    @property
    def held_out(self) -> tuple[RecordedRecord, ...]:
        """Training events set aside for selection and calibration."""
        return self._training[1]

    @cached_property
    def test(self) -> tuple[RecordedRecord, ...]:
        """Events of the test."""
        return self._read("test")

    @cached_property
    def _training(self) -> tuple[tuple[RecordedRecord, ...], tuple[RecordedRecord, ...]]:
        records = self._read("train")
        names = [record.name for record in records]
        count = self._experiment.settings["recorded"].get("held_out", math.ceil(HELD_OUT_SHARE * len(names)))
        if count >= len(names):
            raise SettingError(
                f"{self._experiment.path}: recorded.held_out: {count} of {len(names)} training events leaves none"
            )
        self._run.mkdir(parents=True, exist_ok=True)
        aside = set(held_out_of(self._run, names, count, self._experiment.seed))
        return tuple(r for r in records if r.name not in aside), tuple(r for r in records if r.name in aside)

    def _read(self, split: str) -> tuple[RecordedRecord, ...]:
        experiment = self._experiment
        samples = experiment.settings["recorded"].get("samples")
        events = load_events(self._folder, split, experiment.stations, self._settings)
        magnitudes = read_magnitudes(self._folder / "catalog.xml")
        ids = tuple(station.id for station in experiment.stations)
        records = tuple(
            record_of(event, magnitudes.get(short_id(event.trigger), math.nan), samples, ids)
            for event in events
            if _has_hypocentre(event.trigger)
        )
        wanted = experiment.settings["records"]["sampling_rate_hz"]
        for record in records:
            if not math.isclose(record.rate_hz, wanted, rel_tol=1e-4):
                raise SettingError(
                    f"{experiment.path}: records.sampling_rate_hz is {wanted:g}, {record.name} of {self._folder} has "
                    f"{record.rate_hz:g} Hz; set it to that, as recorded noise is laid under theoretical events "
                    "(records.highest_hz bounds what they cost)"
                )
        return records


def read_recorded(experiment: ExperimentFile, run: Path, settings: Preprocessing) -> RecordedSets:
    """The recorded events that section ``recorded`` names; ``run``: the run folder, ``settings``: the preprocessing.

    Raises SettingError where the folder or a variable in its name is absent, or where its inventory lacks a station
    of the experiment; EventFileError where its catalogue holds no origin.
    """
    where = f"{experiment.path}: recorded.folder"
    if "recorded" not in experiment.settings:
        raise SettingError(f"{experiment.path}: there is no section recorded; give it, with folder")
    folder = file_path(experiment.settings["recorded"]["folder"], "recorded.folder", experiment.path)
    if not folder.is_dir():
        raise SettingError(f"{where}: there is no folder {folder}")
    known = {station.id for station in read_stations(folder / "stations.xml")}
    lacking = [station.id for station in experiment.stations if station.id not in known]
    if lacking:
        raise SettingError(f"{where}: {folder / 'stations.xml'} lacks {', '.join(lacking)} of the experiment's network")
    read_triggers(folder / "catalog.xml")
    return RecordedSets(experiment, folder, run, settings)


def read_magnitudes(catalogue: Path) -> dict[str, float]:
    """Preferred magnitude, else the first, of each event that has one, by the last part of its publicID.

    A catalogue that ObsPy cannot read (it takes fewer versions of SCML than the locator does) is named on standard
    error and gives none.
    """
    try:
        events = obspy.read_events(str(catalogue))
    except (ObsPyException, TypeError, ValueError, NotImplementedError) as error:
        tqdm.write(f"{catalogue}: no magnitudes read ({error})", file=sys.stderr)
        return {}
    found = {}
    for event in events:
        magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
        if magnitude is not None and magnitude.mag is not None:
            found[event.resource_id.id.rsplit("/", 1)[-1]] = float(magnitude.mag)
    return found


def record_of(
    event: RecordedEvent, magnitude: float, samples: int | None = None, stations: tuple[str, ...] = ()
) -> RecordedRecord:
    """An event of a catalogue as a record: the stretch of data about its origin time, up to where no station has any.

    Beyond that lie records of other events, where each has a file of its own. Where ``samples`` is given, a longer
    stretch is cut and a shorter one ends in samples that are not valid. ``stations``: ids (NET.STA) in the block's
    order, without which there are no picks.
    """
    block, trigger = event.block, event.trigger
    if trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
        raise ValueError(f"{trigger.public_id} has no hypocentre")
    first, stop = _stretch(np.asarray(block.valid.any(axis=(0, 1))), round(-event.start_s * block.sampling_rate_hz))
    part = slice(first, stop if samples is None else min(stop, first + samples))
    widths = ((0, 0), (0, 0), (0, max((samples or 0) - (stop - first), 0)))
    starttime = block.starttime + first / block.sampling_rate_hz
    picks = sorted(pick.time for pick in trigger.picks if pick.used)
    return RecordedRecord(
        short_id(trigger),
        np.pad(block.data[..., part].astype(np.float32), widths),
        np.pad(block.valid[..., part], widths),
        block.sampling_rate_hz,
        trigger.time - starttime,
        Truth(trigger.latitude, trigger.longitude, trigger.depth_km, magnitude),
        picks[0] - starttime if picks else None,
        quiet_s=max(_quiet_until(trigger) - starttime, 0.0),
        p_picks_s=_picks_of(trigger, "P", stations, block.data.shape[1]),
        s_picks_s=_picks_of(trigger, "S", stations, block.data.shape[1]),
    )


def _picks_of(trigger: Trigger, phase: str, stations: tuple[str, ...], count: int) -> NDArray[np.float64]:
    """(station,) s after the origin time: each station's first used pick of a phase."""
    found = np.full(count, np.nan)
    for pick in sorted(trigger.picks, key=lambda each: -each.time):
        if pick.used and pick.phase.upper().startswith(phase) and pick.station_id in stations:
            found[stations.index(pick.station_id)] = pick.time - trigger.time
    return found


def _stretch(observed: NDArray[np.bool_], origin: int) -> tuple[int, int]:
    """First sample and end of the run of ``observed`` (sample,) at ``origin``; all of it where nothing is there."""
    if not (0 <= origin < len(observed) and observed[origin]):
        return 0, len(observed)
    gaps = np.flatnonzero(~observed)
    return int(max(gaps[gaps < origin], default=-1)) + 1, int(min(gaps[gaps > origin], default=len(observed)))


def _has_hypocentre(trigger: Trigger) -> bool:
    complete = None not in (trigger.latitude, trigger.longitude, trigger.depth_km)
    if not complete:
        tqdm.write(f"{trigger.public_id} left out: its hypocentre is not complete", file=sys.stderr)
    return complete


def _quiet_until(trigger: Trigger) -> float:
    """POSIX time until which no station has anything of the event."""
    picks = [pick.time for pick in trigger.picks if pick.phase.upper().startswith("P")]
    return min(picks) - PICK_GUARD_S if picks else trigger.time - ORIGIN_GUARD_S


class RecordedNoise:
    """Noise of each station from before the first breaks of ``records``, made longer without repeating it.

    Each draw takes for every station a stretch of some event and makes new noise of its spectra, levels and coherence
    between components (:func:`dlloc_training.noise.extend_noise`). Stretches of T seconds hold the spectrum smoothed
    over 8 / T Hz: with 2 s before the first break, nothing finer than 4 Hz.

    ``longest_s`` bounds the stretches; events with less than ``least_s`` (or 32 samples) give none. Raises SettingError
    where no event has so much.
    """

    def __init__(self, records: Sequence[RecordedRecord], longest_s: float = 8.0, least_s: float = 1.5):
        self.rate_hz = records[0].rate_hz
        lengths = np.array([int(record.quiet_s * self.rate_hz) for record in records])
        enough = lengths >= max(int(least_s * self.rate_hz), 32)
        if not enough.any():
            raise SettingError(
                f"recorded noise: none of {len(records)} training events has {least_s:g} s before its first break; "
                "set augmentation.recorded_noise to 0, or give longer records"
            )
        length = int(min(np.percentile(lengths[enough], _SHORTER_PERCENT), longest_s * self.rate_hz))
        chosen = [(record, stop) for record, stop in zip(records, lengths, strict=True) if stop >= length]
        data = np.stack([record.data[..., stop - length : stop] for record, stop in chosen])
        valid = np.stack([record.valid[..., stop - length : stop].all(axis=-1) for record, stop in chosen])
        alive = valid & (data.std(axis=-1) > 0)
        self._data: NDArray[np.floating] = data * alive[..., None]
        self._usable: NDArray[np.bool_] = alive.any(axis=1)

    @property
    def live(self) -> NDArray[np.bool_]:
        """(station,): stations of which there is noise."""
        return np.asarray(self._usable.any(axis=0))

    def draw(self, rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
        """(3, station, sample) m/s at :attr:`rate_hz`; 0 for stations and components of which there is none."""
        out = np.zeros((3, self._usable.shape[1], samples), np.float32)
        stations = np.flatnonzero(self.live)
        events = [rng.choice(np.flatnonzero(self._usable[:, station])) for station in stations]
        stretches = self._data[events, :, stations]  # (station, component, sample)
        out[:, stations] = extend_noise(stretches, samples, rng, coherent_axis=1).swapaxes(0, 1)
        return out
