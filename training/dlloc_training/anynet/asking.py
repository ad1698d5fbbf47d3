"""Every subject asked about every event in every condition, and its answers kept, so that no question comes twice."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from obspy import Stream, UTCDateTime

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.atomic import write_atomically
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.locate import Job
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.records import Solution, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes

from ..answers import Answers, Truth, compare
from ..catalogue import short_id
from ..scoreboard import finite
from .conditions import Condition
from .disturbing import Arrivals, arrivals_of, disturbed
from .recordings import Events, Settings, fetched, triggered
from .subjects import Subject

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
EventRow = dict[str, Any]

VERSION = 1
"""Of the files of kept answers: to be raised when what they hold changes its meaning."""


@dataclass(frozen=True)
class Answered:
    """What a subject said to the events, in their order, in one condition: a row per event (:func:`rows_of`).

    ``judges``: whether the subject says which of its answers it stands by.
    """

    condition: str
    subject: str
    judges: bool
    rows: tuple[EventRow, ...]


class Kept:
    """Answers on disk, a file for each subject in each condition; without a folder nothing is kept.

    ``again``: what is there already is not read.
    """

    def __init__(self, folder: Path | None = None, again: bool = False):
        self._folder, self._again = folder, again

    def load(self, question: dict[str, Any]) -> tuple[EventRow, ...] | None:
        """Answers to this question, None where there are none yet. Raises SettingError where the file is none."""
        path = self._path(question)
        if path is None or self._again or not path.exists():
            return None
        try:
            rows = json.loads(path.read_text("utf-8"))["rows"]
            return tuple(dict(row) for row in rows)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(f"{path}: cannot be read as kept answers ({error}); remove it") from error

    def save(self, question: dict[str, Any], rows: Sequence[EventRow]) -> None:
        """Keep the answers to a question."""
        path = self._path(question)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = finite({"question": question, "rows": list(rows)})
            write_atomically(path, (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode())

    def _path(self, question: dict[str, Any]) -> Path | None:
        text = json.dumps(finite(question), sort_keys=True)
        return None if self._folder is None else self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def question_of(subject: Subject, condition: Condition, events: Events, settings: Settings) -> dict[str, Any]:
    """Everything that a subject's answers in a condition depend on."""
    return {
        "version": VERSION,
        "data": events.folder.resolve().name,
        "events": [[short_id(t), t.time, t.latitude, t.longitude, t.depth_km] for t in events.chosen],
        "condition": condition.name,
        "signal_s": settings.signal_s,
        "seed": settings.seed,
        "trigger_error_s": settings.trigger_error_s,
        "picks": settings.picks,
        "subject": subject.identity(),
    }


def ask(
    subjects: Sequence[Subject],
    events: Events,
    conditions: Sequence[Condition],
    travel_times: TravelTimes,
    truth: Truth,
    settings: Settings,
    kept: Kept | None = None,
    each: Progress = lambda items, _: items,
) -> tuple[Answered, ...]:
    """Have every subject locate every event in every condition; conditions in order, in each the subjects.

    ``travel_times`` say where P is when noise is made. Waveforms are read once and held. What is ``kept`` is not asked
    again, and what is asked is kept as soon as a condition is through.
    """
    kept, out = kept or Kept(), list[Answered]()
    waveforms = _Waveforms(subjects, events, travel_times, settings)
    # Several conditions may share a wrong earth, whose tables take longer than an event
    moved: dict[tuple[str, float], Subject] = {}
    for condition in conditions:
        questions = {subject.name: question_of(subject, condition, events, settings) for subject in subjects}
        known = {name: kept.load(question) for name, question in questions.items()}
        asked = [_moved(moved, subject, condition) for subject in subjects if known[subject.name] is None]
        found: dict[str, list[tuple[Solution, float]]] = {subject.name: [] for subject in asked}
        if asked:
            for trigger in each(events.chosen, condition.name):
                job = waveforms.of(trigger, condition)
                for subject in asked:
                    part = _cut(job, *subject.window(job.trigger))
                    began = time.perf_counter()
                    found[subject.name].append((subject.locate(part), time.perf_counter() - began))
        for subject in asked:
            solutions, seconds = zip(*found[subject.name], strict=True)
            rows = rows_of(solutions, seconds, truth, events.network.frame, settings.times)
            kept.save(questions[subject.name], rows)
            known[subject.name] = rows
        out += [Answered(condition.name, s.name, s.judges, known[s.name] or ()) for s in subjects]
    return tuple(out)


def _moved(moved: dict[tuple[str, float], Subject], subject: Subject, condition: Condition) -> Subject:
    """The subject in the condition's earth, from those made before where it is one of them."""
    key = (subject.name, condition.velocity_percent)
    if key not in moved:
        moved[key] = subject.in_earth(condition.velocity_percent)
    return moved[key]


class _Waveforms:
    """The events' waveforms as all subjects need them, read when first asked for, and made harder."""

    def __init__(self, subjects: Sequence[Subject], events: Events, travel_times: TravelTimes, settings: Settings):
        self._subjects, self._events, self._travel_times, self._settings = subjects, events, travel_times, settings
        self._index = ChannelIndex.from_inventory(events.inventory)
        self._read: dict[str, tuple[Job, Arrivals, dict[str, float]]] = {}

    def of(self, trigger: Trigger, condition: Condition) -> Job:
        """The event in a condition; with the error where that cannot be made."""
        name = short_id(trigger)
        if name not in self._read:
            self._read[name] = self._whole(trigger)
        job, arrivals, gains = self._read[name]
        if job.error is not None or not job.stream:
            return job
        settings = self._settings
        try:
            stream = disturbed(job.stream, condition, arrivals, gains, name, settings.signal_s, settings.seed)
        except EventError as error:
            return replace(job, error=error)
        return replace(job, stream=stream)

    def _whole(self, trigger: Trigger) -> tuple[Job, Arrivals, dict[str, float]]:
        stations = inventory_stations(self._events.inventory, trigger.time)
        told = triggered(trigger, self._settings)
        windows = [subject.window(told) for subject in self._subjects]
        job = fetched(self._events, told, min(start for start, _ in windows), max(end for _, end in windows))
        gains = _gains(self._index, job.stream, trigger.time)
        return job, arrivals_of(trigger, stations, self._travel_times), gains


def _gains(index: ChannelIndex, stream: Stream, at: float) -> dict[str, float]:
    """Counts per m/s (m/s2 of an accelerometer) by channel, where the inventory has them."""
    epochs = {seed_id: index.find(seed_id, at) for seed_id in sorted({trace.id for trace in stream})}
    return {key: e.sensitivity / e.unit_scale for key, e in epochs.items() if e is not None and e.sensitivity}


def _cut(job: Job, start: float, end: float) -> Job:
    """The job with what a model asks for of its waveforms."""
    return replace(job, stream=job.stream.slice(UTCDateTime(start), UTCDateTime(end), nearest_sample=False))


def rows_of(
    solutions: Sequence[Solution], seconds: Sequence[float], truth: Truth, frame: LocalFrame, times: bool
) -> tuple[EventRow, ...]:
    """One row for each event's answer: errors are answer minus truth, NaN where there is none."""
    answers = compare([solutions], truth, frame)
    return tuple(
        _row(solution, took, answers, k, times)
        for k, (solution, took) in enumerate(zip(solutions, seconds, strict=True))
    )


def _row(solution: Solution, seconds: float, answers: Answers, k: int, times: bool) -> EventRow:
    place, abstention = solution.hypocenter, solution.abstention
    return {
        "event": short_id(solution.trigger),
        "accepted": solution.accepted,
        "located": place is not None,
        "reason": None if abstention is None else abstention.reason,
        "detail": None if abstention is None else abstention.detail,
        "east_km": float(answers.east_km[k, 0]),
        "north_km": float(answers.north_km[k, 0]),
        "depth_km": float(answers.depth_km[k, 0]),
        "time_s": float(answers.time_s[k, 0]) if times else None,
        "covariance_km2": answers.covariance_km2[k, 0].tolist(),
        "doubt_km2": None if place is None or place.doubt_km2 is None else place.doubt_km2.tolist(),
        "time_sigma_s": None if place is None else place.time_sigma_s,
        "peak": solution.peak,
        "score": solution.score,
        "secondary_peaks": solution.secondary_peaks,
        "stations": len(solution.used_stations),
        "seconds": seconds,
    }


def answers_of(rows: Sequence[EventRow]) -> Answers:
    """(event, 1) answers of rows, those of :func:`rows_of` or of their JSON, where NaN is null."""

    def column(key: str) -> Any:
        return np.array([np.nan if row[key] is None else row[key] for row in rows], float)[:, None]

    covariance = np.array([row["covariance_km2"] for row in rows], object).astype(float)[:, None]
    accepted = np.array([row["accepted"] for row in rows], bool)[:, None]
    reasons = tuple(row["reason"] for row in rows if row["reason"] is not None)
    east, north, depth, late = (column(key) for key in ("east_km", "north_km", "depth_km", "time_s"))
    return Answers(east, north, depth, late, covariance, accepted, reasons)
