"""How well models for any network locate the recorded events of a folder, as they are and made harder."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, UTCDateTime

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.records import Conditioned, Solution, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes
from seiscomp_dlloc.waveforms import WaveformSource, open_source

from .. import evaluate, metrics
from ..answers import Answers, Truth, compare, truth_of
from ..baselines import KnownEvents, nearest_training_event, training_mean
from ..catalogue import read_split, read_stations, short_id
from ..experiments.report.document import Block, Cell, Document, Section, Table
from ..local import LocalNetwork
from ..scoreboard import Row, percent_text
from .disturbing import Arrivals, Condition, arrivals_of, disturbed

FloatArray = NDArray[np.float64]
Progress = Callable[[Iterable[Any], str], Iterable[Any]]

TEST, TRAIN = "test", "train"
ALL, ACCEPTED = "all answers", "accepted answers"


@dataclass(frozen=True)
class Settings:
    """How to measure. ``every``: each so many-th event, from the first. ``times``: whether the catalogue's origin times
    can be compared with. ``signal_s``: what follows P counts as the signal for so long (None: by the distances).
    """

    split: str = TEST
    every: int = 1
    times: bool = True
    signal_s: float | None = None
    resamples: int = 2000
    seed: int = 0

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


@dataclass(frozen=True)
class Subject:
    """A model at work, under a name that no other has."""

    name: str
    locator: Locator


@dataclass(frozen=True)
class Answered:
    """What a model said to the events, in their order, in one condition, and how long it took each time (s)."""

    condition: str
    model: str
    solutions: tuple[Solution, ...]
    seconds: tuple[float, ...]


def ask(
    subjects: Sequence[Subject],
    events: Events,
    conditions: Sequence[Condition],
    travel_times: TravelTimes,
    settings: Settings,
    each: Progress = lambda items, _: items,
) -> tuple[Answered, ...]:
    """Have every subject locate every event in every condition; conditions in order, in each the subjects.

    ``travel_times`` say where P is when noise is made.
    """
    index = ChannelIndex.from_inventory(events.inventory)
    keys = [(condition, subject) for condition in conditions for subject in subjects]
    found: list[list[tuple[Solution, float]]] = [[] for _ in keys]
    for trigger in each(events.chosen, "events"):
        stations = inventory_stations(events.inventory, trigger.time)
        windows = [required_window(trigger, subject.locator.passport) for subject in subjects]
        whole = fetched(events, trigger, min(start for start, _ in windows), max(end for _, end in windows))
        arrivals, gains = arrivals_of(trigger, stations, travel_times), _gains(index, whole.stream, trigger.time)
        made = {condition: _in(condition, whole, arrivals, gains, settings) for condition in conditions}
        places = dict(zip((subject.name for subject in subjects), windows, strict=True))
        for (condition, subject), answers in zip(keys, found, strict=True):
            job = _cut(made[condition], *places[subject.name])
            began = time.perf_counter()
            (located,) = subject.locator.run([job])
            answers.append((located.solution, time.perf_counter() - began))
    return tuple(
        Answered(condition.name, subject.name, *zip(*answers, strict=True))
        for (condition, subject), answers in zip(keys, found, strict=True)
    )


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


def _gains(index: ChannelIndex, stream: Stream, at: float) -> dict[str, float]:
    """Counts per m/s (m/s2 of an accelerometer) by channel, where the inventory has them."""
    epochs = {seed_id: index.find(seed_id, at) for seed_id in sorted({trace.id for trace in stream})}
    return {key: e.sensitivity / e.unit_scale for key, e in epochs.items() if e is not None and e.sensitivity}


def _in(condition: Condition, job: Job, arrivals: Arrivals, gains: dict[str, float], settings: Settings) -> Job:
    """The job in a condition; with the error where that cannot be made."""
    if job.error is not None or not job.stream:
        return job
    name = short_id(job.trigger)
    try:
        stream = disturbed(job.stream, condition, arrivals, gains, name, settings.signal_s, settings.seed)
    except EventError as error:
        return replace(job, error=error)
    return replace(job, stream=stream)


def _cut(job: Job, start: float, end: float) -> Job:
    """The job with what a model asks for of its waveforms."""
    return replace(job, stream=job.stream.slice(UTCDateTime(start), UTCDateTime(end), nearest_sample=False))


@dataclass(frozen=True)
class Figures:
    """``row``: the table's figures, with ``time_s``, the median of the origin times' absolute errors."""

    row: Row
    time_s: metrics.Interval | None


@dataclass(frozen=True)
class Result:
    """A model, or a baseline (``condition`` is "" then), in figures: of all its answers, and of those it stands by.

    ``abstained``: reason -> number, of answers that it does not stand by; ``failed``: of events without an answer.
    ``events``: what it said to each.
    """

    condition: str
    name: str
    answers: Figures
    accepted: Figures | None
    abstained: dict[str, int]
    failed: dict[str, int]
    seconds: float | None
    events: tuple[dict[str, Any], ...] = ()

    @property
    def count(self) -> int:
        """How many events it was asked about."""
        return self.answers.row.epicentre.count


def figures(name: str, answers: Answers, settings: Settings, note: str = "") -> Figures:
    """Figures of (event, 1) answers."""
    row = evaluate.model_row(name, answers, settings.statistics, note)
    if not settings.times:
        return Figures(replace(row, time_mae=None), None)
    median = metrics.bootstrap(np.abs(answers.time_s), metrics.median_of, settings.resamples, settings.seed)
    return Figures(row, median)


def result(answered: Answered, truth: Truth, network: LocalNetwork, settings: Settings) -> Result:
    """What a model's answers are worth."""
    answers = compare([answered.solutions], truth, network.frame)
    reasons: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for solution in answered.solutions:
        if solution.abstention is not None:
            reasons[solution.hypocenter is None][solution.abstention.reason] += 1
    return Result(
        answered.condition,
        answered.model,
        figures(ALL, answers, settings),
        figures(ACCEPTED, evaluate.accepted_only(answers), settings),
        dict(reasons[False].most_common()),
        dict(reasons[True].most_common()),
        float(np.mean(answered.seconds)),
        tuple(_event(answered, answers, k, settings.times) for k in range(len(truth))),
    )


def _event(answered: Answered, answers: Answers, k: int, times: bool) -> dict[str, Any]:
    """One event's answer, for calibrations: errors are answer minus truth."""
    solution = answered.solutions[k]
    place, abstention = solution.hypocenter, solution.abstention
    return {
        "event": short_id(solution.trigger),
        "accepted": solution.accepted,
        "reason": None if abstention is None else abstention.reason,
        "detail": None if abstention is None else abstention.detail,
        "east_km": answers.east_km[k, 0],
        "north_km": answers.north_km[k, 0],
        "depth_km": answers.depth_km[k, 0],
        "time_s": answers.time_s[k, 0] if times else None,
        "covariance_km2": answers.covariance_km2[k, 0].tolist(),
        "time_sigma_s": None if place is None else place.time_sigma_s,
        "peak": solution.peak,
        "secondary_peaks": solution.secondary_peaks,
        "stations": len(solution.used_stations),
        "seconds": answered.seconds[k],
    }


def baselines(events: Events, settings: Settings) -> tuple[Result, ...]:
    """The training mean and the nearest training event, where there are training events."""
    if not events.training:
        return ()
    train, test = (_known(part, events.network) for part in (events.training, events.chosen))
    out = []
    for baseline in (training_mean(train, test), nearest_training_event(train, test)):
        x, y, z = (baseline.answers[:, :3] - test.hypocentre_km).T[..., None]
        unknown = np.full((len(test), 1, 3, 3), np.nan)
        answers = Answers(x, y, z, np.full_like(x, np.nan), unknown, np.ones(x.shape, bool), ())
        out.append(Result("", baseline.name, figures(ALL, answers, settings, baseline.note), None, {}, {}, None))
    return tuple(out)


def _known(triggers: Sequence[Trigger], network: LocalNetwork) -> KnownEvents:
    """Hypocentres alone: these baselines look at no waveforms."""
    truth = truth_of(triggers, network.frame)
    none = Conditioned(np.zeros((3, 0, 0), np.float32), np.zeros((3, 0, 0), bool), 1.0, 0.0)
    places = np.column_stack([truth.x_km, truth.y_km, truth.depth_km])
    return KnownEvents(network, (none,) * len(triggers), places, np.zeros(len(triggers)))


@dataclass(frozen=True)
class Measured:
    """Everything that was found. ``header``: label -> text; ``results``: baselines first, then as :func:`ask` has them;
    ``events``: where and when they were."""

    title: str
    header: dict[str, str]
    results: tuple[Result, ...]
    events: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...] = ()


def measure(
    subjects: Sequence[Subject],
    events: Events,
    conditions: Sequence[Condition],
    travel_times: TravelTimes,
    settings: Settings,
    header: dict[str, str],
    remarks: Sequence[str] = (),
    each: Progress = lambda items, _: items,
) -> Measured:
    """Ask the subjects about the events in every condition, and compare with the catalogue and the baselines."""
    truth = truth_of(events.chosen, events.network.frame)
    answered = ask(subjects, events, conditions, travel_times, settings, each)
    about = {
        "data": f"{events.folder.name}: {len(truth)} events ({events.told}); the trigger's time, and its picks where "
        "it has any, are the catalogue's",
        **header,
        "intervals": f"68 %, percentile bootstrap over events, {settings.resamples} resamples, seed {settings.seed}",
    }
    return Measured(
        f"Models for any network on {events.folder.name}",
        about,
        (*baselines(events, settings), *(result(each, truth, events.network, settings) for each in answered)),
        tuple(
            {"event": short_id(trigger), "x_km": x, "y_km": y, "depth_km": z, "time": t}
            for trigger, x, y, z, t in zip(
                events.chosen, truth.x_km, truth.y_km, truth.depth_km, truth.time, strict=True
            )
        ),
        (*REMARKS, *remarks),
    )


REMARKS = (
    "Errors are against the catalogue, whose own errors are in every figure; means and medians are over the events "
    "that were answered.",
    "trace:R: Gaussian noise of each channel's own spectrum added, so that at every station the RMS of what follows P "
    "on the vertical, unfiltered, is R times that of the noise; network:R: the same noise everywhere, R at the median "
    "station; stations:N: the waveforms of N random stations alone. The draws are the same for every model.",
)

_COLUMNS = (
    "", "events", "accepted", "abstained", "failed", "epicentre mean [68 %] km", "median [68 %] km", "p90 km",
    "depth MAE [68 %] km", "time median s", "epicentre in 68 / 90 % region", "s per event",
)  # fmt: skip


def document(measured: Measured) -> Document:
    """The report for people: a table for each condition."""
    trivial = [item for item in measured.results if not item.condition]
    names = dict.fromkeys(item.condition for item in measured.results if item.condition)
    sections = [
        _section(name, [*trivial, *(item for item in measured.results if item.condition == name)]) for name in names
    ]
    notes = [f"{item.name}: {item.answers.row.note}." for item in trivial]
    sections.append(Section("Remarks", (*notes, *measured.remarks)))
    return Document(measured.title, "", measured.header, tuple(sections))


def _section(name: str, results: Sequence[Result]) -> Section:
    rows = [line for item in results for line in _lines(item)]
    blocks: list[Block] = [Table(name, _COLUMNS, tuple(rows))]
    for item in results:
        for what, reasons in (("abstained", item.abstained), ("failed", item.failed)):
            if reasons:
                said = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
                blocks.append(f"{item.name} {what}: {said}.")
    return Section(name, tuple(blocks))


def _lines(item: Result) -> list[tuple[Cell, ...]]:
    """The table's lines of one model; a baseline has one, and no counts."""
    if item.accepted is None:
        return [(item.name, item.count, None, None, None, *_cells(item.answers), None)]
    lost, refused = sum(item.failed.values()), sum(item.abstained.values())
    counts = (item.count, item.count - lost - refused, refused, lost)
    return [
        (f"{item.name}, {ALL}", *counts, *_cells(item.answers), item.seconds),
        (f"{item.name}, {ACCEPTED}", *counts, *_cells(item.accepted), None),
    ]


def _cells(found: Figures) -> tuple[Cell, ...]:
    row = found.row
    inside = [percent_text(item.share.value) for item in row.horizontal or ()]
    time_s = None if found.time_s is None else found.time_s.value
    share = " / ".join(inside) if set(inside) != {"-"} else "-"
    return row.epicentre.mean, row.epicentre.median, row.epicentre.p90.value, row.depth_mae, time_s, share


def record(measured: Measured) -> dict[str, Any]:
    """The report for machines, every event's answers with it."""
    return asdict(measured)
