"""How well a model locates the test events of a folder, beside baselines that see the same events."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import InputError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Job, RunsModel
from seiscomp_dlloc.records import Solution, Trigger
from seiscomp_dlloc.waveforms import open_source

from . import baselines, metrics
from .answers import (
    Answers,
    ForcedAnchor,
    TriggerTest,
    Truth,
    ask,
    compare,
    forced,
    job,
    smaller,
    trigger_test,
    truth_of,
    without,
)
from .catalogue import load_events, read_split, read_stations, short_id
from .local import LocalNetwork
from .scoreboard import Comparison, Report, Row

FloatArray = NDArray[np.float64]
Progress = Callable[[Iterable[Any], str], Iterable[Any]]

LEVELS = (0.68, 0.90)
FORCED_SHIFTS_S = (-10.0, -5.0, 5.0, 10.0)
NOISE_GUARD_S = 1.0


@dataclass(frozen=True)
class Settings:
    """How to evaluate. ``smaller_by``: magnitude units by which events are made smaller, one row each."""

    resamples: int = 2000
    stations_removed: int = 3
    draws: int = 5
    smaller_by: tuple[float, ...] = (1.0,)
    baselines: bool = True
    trigger_tests: bool = True
    seed: int = 0


@dataclass(frozen=True)
class TestSet:
    """Test events of a folder and how to get at their waveforms."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    folder: Path
    triggers: tuple[Trigger, ...]
    training_count: int
    jobs: tuple[Job, ...]
    fetch: Callable[[Trigger], Job]
    inventory: Any


def _no_progress(items: Iterable[Any], _: str) -> Iterable[Any]:
    return items


def open_test_set(folder: Path, model: RunsModel, each: Progress = _no_progress) -> TestSet:
    """Read triggers, inventory, split and waveforms of the test events. Raises InputError where there are none."""
    split = read_split(folder / "split.csv")
    triggers = sorted(read_triggers(folder / "catalog.xml").triggers, key=lambda t: t.time)
    tests = tuple(t for t in triggers if split.get(short_id(t)) == "test")
    if not tests:
        raise InputError(f"{folder}: split.csv names no event of catalog.xml as a test event")
    inventory = read_inventory(folder / "stations.xml")
    source = open_source(str(folder / "waveforms"))
    stations = model.passport.stations or read_stations(folder / "stations.xml")
    seed_ids = [f"{station.id}.*.*" for station in stations]

    def fetch(trigger: Trigger) -> Job:
        return job(trigger, source, model.passport, seed_ids)

    jobs = tuple(fetch(trigger) for trigger in each(tests, "reading"))
    training = sum(1 for t in triggers if split.get(short_id(t)) == "train")
    return TestSet(folder, tests, training, jobs, fetch, inventory)


def model_row(name: str, answers: Answers, settings: Settings, note: str) -> Row:
    """The row of a run of the locator."""
    offset = -np.stack([answers.east_km, answers.north_km], axis=-1)
    flat = answers.covariance_km2[..., :2, :2]
    known = np.isfinite(answers.epicentre_km) & np.isfinite(flat).all(axis=(-1, -2))
    sigma = np.sqrt(answers.covariance_km2[..., 2, 2])
    known_depth = np.isfinite(answers.depth_km) & np.isfinite(sigma)
    horizontal = [metrics.coverage(metrics.inside_region(offset, flat, p), known, p) for p in LEVELS]
    vertical = [metrics.coverage(metrics.inside_interval(answers.depth_km, sigma, p), known_depth, p) for p in LEVELS]
    return Row(
        name,
        metrics.summarise(answers.epicentre_km, settings.resamples, settings.seed),
        metrics.mean_absolute(answers.depth_km, settings.resamples, settings.seed),
        metrics.mean_absolute(answers.time_s, settings.resamples, settings.seed),
        float(np.mean(answers.accepted)),
        (horizontal[0], horizontal[1]),
        (vertical[0], vertical[1]),
        note,
    )


def accepted_only(answers: Answers) -> Answers:
    """The answers without those that the locator does not stand by."""
    keep = answers.accepted
    nan = np.nan
    return Answers(
        np.where(keep, answers.east_km, nan),
        np.where(keep, answers.north_km, nan),
        np.where(keep, answers.depth_km, nan),
        np.where(keep, answers.time_s, nan),
        np.where(keep[..., None, None], answers.covariance_km2, nan),
        keep,
        answers.reasons,
    )


def remove_stations(
    jobs: Sequence[Job], clean: Sequence[Solution], count: int, rng: np.random.Generator
) -> tuple[Job, ...]:
    """Each job without ``count`` stations, drawn from those that the undisturbed solution used."""
    out = []
    for item, solution in zip(jobs, clean, strict=True):
        used = sorted(solution.used_stations)
        gone = rng.choice(len(used), size=min(count, len(used)), replace=False)
        out.append(without(item, [used[i] for i in gone]))
    return tuple(out)


def evaluate_model(
    model: RunsModel, tests: TestSet, settings: Settings, each: Progress = _no_progress
) -> tuple[tuple[Row, ...], Answers, TriggerTest | None, tuple[ForcedAnchor, ...]]:
    """Rows of the model, its undisturbed answers, and what wrong triggers and anchors do."""
    frame, truth = model.passport.frame, truth_of(tests.triggers, model.passport.frame)

    def run(jobs: Sequence[Job], shift_s: float = 0.0, what: str = "locating") -> tuple[Solution, ...]:
        return ask(model, tests.inventory, list(each(jobs, what)), shift_s)

    solutions = run(tests.jobs)
    clean = compare([solutions], truth, frame)
    name = f"{model.passport.name} {model.passport.version}"
    rows = [
        model_row(
            name,
            clean,
            settings,
            "the plugin's locator on the waveforms as they are; every answer counts, whether or not it is accepted",
        ),
        model_row(
            f"{name}, accepted only", accepted_only(clean), settings, "the same, without what the locator abstains from"
        ),
    ]
    if settings.stations_removed > 0:
        draws = [
            run(
                remove_stations(
                    tests.jobs, solutions, settings.stations_removed, np.random.default_rng([settings.seed, d])
                ),
                0.0,
                f"draw {d + 1}",
            )
            for d in range(settings.draws)
        ]
        rows.append(
            model_row(
                f"{name}, {settings.stations_removed} stations removed",
                compare(draws, truth, frame),
                settings,
                f"{settings.stations_removed} random stations of those used above taken away from every event, in "
                f"{settings.draws} draws (seeded); every figure is computed over the events for each draw and averaged "
                "over the draws, and the bootstrap resamples events with all their draws",
            )
        )
    for step in settings.smaller_by:
        rows.append(_smaller_row(model, tests, settings, solutions, truth, step, run))
    if not settings.trigger_tests:
        return tuple(rows), clean, None, ()
    test = trigger_test(run, tests.fetch, tests.jobs, solutions)
    pushed = tuple(
        forced(shift, clean, compare([run(tests.jobs, shift, f"anchor {shift:+g} s")], truth, frame))
        for shift in FORCED_SHIFTS_S
    )
    return tuple(rows), clean, test, pushed


def _smaller_row(
    model: RunsModel,
    tests: TestSet,
    settings: Settings,
    clean: Sequence[Solution],
    truth: Truth,
    step: float,
    run: Callable[[Sequence[Job]], tuple[Solution, ...]],
) -> Row:
    jobs = []
    for k, (item, solution) in enumerate(zip(tests.jobs, clean, strict=True)):
        before = (solution.anchor if solution.anchor is not None else item.trigger.time) - NOISE_GUARD_S
        jobs.append(smaller(item, 10.0**-step, before, np.random.default_rng([settings.seed, 1000 + k])))
    answers = compare([run(jobs)], truth, model.passport.frame)
    return model_row(
        f"{model.passport.name} {model.passport.version}, events {step:g} ML smaller",
        answers,
        settings,
        f"waveforms times {10.0**-step:.3g} with the station's own noise kept: what each trace holds before the first "
        "break, made longer by phase randomisation",
    )


def evaluate_baselines(
    tests: TestSet, model: RunsModel, settings: Settings, each: Progress = _no_progress
) -> tuple[tuple[Row, ...], dict[str, FloatArray], int]:
    """Rows of the baselines, their epicentre errors (event,) by name in the order of the test events, and on how many
    training events they are fitted."""
    stations = model.passport.stations or read_stations(tests.folder / "stations.xml")
    network, preprocessing = LocalNetwork(stations), model.passport.preprocessing
    train = baselines.known_events(load_events(tests.folder, "train", stations, preprocessing), network, preprocessing)
    read = load_events(tests.folder, "test", stations, preprocessing)
    test = baselines.known_events(read, network, preprocessing)
    place = {event.trigger.public_id: k for k, event in enumerate(read)}
    moveout = baselines.calibrate_on(train)
    found = (
        baselines.training_mean(train, test),
        baselines.nearest_training_event(train, test),
        baselines.migration(moveout, train, test, each),
        *baselines.conventional(moveout, train, test, each=each),
    )
    rows, errors = [], {}
    for baseline in found:
        wrong = np.full((len(tests.triggers), 4), np.nan)
        for k, trigger in enumerate(tests.triggers):
            if trigger.public_id in place:
                i = place[trigger.public_id]
                wrong[k] = baseline.answers[i] - np.array([*test.hypocentre_km[i], 0.0])
        errors[baseline.name] = np.hypot(wrong[:, 0], wrong[:, 1])
        rows.append(
            Row(
                baseline.name,
                metrics.summarise(errors[baseline.name], settings.resamples, settings.seed),
                metrics.mean_absolute(wrong[:, 2], settings.resamples, settings.seed) if baseline.has_depth else None,
                metrics.mean_absolute(wrong[:, 3], settings.resamples, settings.seed) if baseline.has_time else None,
                note=baseline.note,
            )
        )
    return tuple(rows), errors, len(train)


def compare_with(errors: dict[str, FloatArray], ours: FloatArray, settings: Settings) -> tuple[Comparison, ...]:
    """The model's epicentre errors (event,) against each baseline's, over the events that both answer."""
    out = []
    for name, theirs in errors.items():
        both = np.isfinite(ours) & np.isfinite(theirs)
        if not np.any(both):
            continue
        difference = metrics.bootstrap((ours - theirs)[both], metrics.mean_of, settings.resamples, settings.seed)
        out.append(Comparison(name, difference, metrics.skill(float(ours[both].mean()), float(theirs[both].mean()))))
    return tuple(out)


def evaluate(
    model: RunsModel,
    folder: Path,
    settings: Settings,
    date: str,
    remarks: Sequence[str] = (),
    each: Progress = _no_progress,
) -> Report:
    """The whole evaluation of ``model`` on the test events of ``folder``; ``date`` goes into the header."""
    tests = open_test_set(folder, model, each)
    rows, clean, test, pushed = evaluate_model(model, tests, settings, each)
    others: tuple[Row, ...] = ()
    errors: dict[str, FloatArray] = {}
    fitted = ""
    if settings.baselines:
        others, errors, count = evaluate_baselines(tests, model, settings, each)
        fitted = f" (baselines are fitted on {count} of them)"
    identity = model.identity
    header = {
        # The hash of the weights: the figures may be written into the passport afterwards, which changes the file's
        "model": f"{identity.name} {identity.version}, content SHA-256 {model.passport.content_sha256}",
        "ran on": identity.provider,
        "data": f"{folder.name}: {len(tests.triggers)} test events; {tests.training_count} training events"
        f"{fitted}, as split.csv has them",
        "date": date,
        "intervals": f"68 %, percentile bootstrap over events, {settings.resamples} resamples, seed {settings.seed}",
    }
    return Report(
        f"{identity.name} {identity.version} on the test events of {folder.name}",
        header,
        (*others, *rows),
        compare_with(errors, clean.epicentre_km[:, 0], settings),
        test,
        pushed,
        dict(Counter(clean.reasons).most_common()),
        (*GENERAL_REMARKS, *remarks),
    )


GENERAL_REMARKS = (
    "Epicentre errors are against the catalogue, whose own errors are in every figure.",
    "answered: share of events with a hypocentre; means are over these. accepted: share that the locator stands by.",
    "Nothing of the trigger but its time, and its picks where it has any, reaches the model; baselines see its time "
    f"alone, and seek the origin time within {baselines.ORIGIN_REACH_S:g} s of it.",
)
