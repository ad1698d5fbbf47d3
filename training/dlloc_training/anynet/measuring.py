"""How well models for any network locate the recorded events of a folder, as they are and made harder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError
from seiscomp_dlloc.network import inventory_stations
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.records import Conditioned, Trigger
from seiscomp_dlloc.traveltimes import TravelTimes

from .. import evaluate, metrics
from ..answers import Answers, truth_of
from ..baselines import KnownEvents, nearest_training_event, training_mean
from ..catalogue import short_id
from ..local import LocalNetwork
from ..scoreboard import Row
from .asking import Answered, EventRow, Kept, Progress, answers_of, ask
from .conditions import Condition
from .disturbing import arrivals_of
from .recordings import Events, Settings, conditioned_for, fetched, loudness
from .subjects import Subject

SHORT_WARMUP = 0.25
"""Of the filter's, where only a level is wanted of records that begin shortly before P."""

ALL, ACCEPTED = "all answers", "accepted answers"


@dataclass(frozen=True)
class Figures:
    """``row``: the table's figures, with ``time_s``, the median of the origin times' absolute errors, and ``near``: the
    share of all events, answered or not, whose answer lies near the truth."""

    row: Row
    time_s: metrics.Interval | None
    near: float


@dataclass(frozen=True)
class Result:
    """A model, or a baseline (``condition`` is "" then), in figures: of all its answers, and of those it stands by
    (None where it does not say which).

    ``abstained``: reason -> number, of answers that it does not stand by; ``failed``: of events without an answer.
    ``seconds``: the median time that it took, for the first events wait for tables. ``events``: what it said to each.
    """

    condition: str
    name: str
    answers: Figures
    accepted: Figures | None
    abstained: dict[str, int]
    failed: dict[str, int]
    seconds: float | None
    events: tuple[EventRow, ...] = ()

    @property
    def count(self) -> int:
        """How many events it was asked about."""
        return self.answers.row.epicentre.count


def figures(name: str, answers: Answers, settings: Settings, note: str = "") -> Figures:
    """Figures of (event, 1) answers."""
    row = evaluate.model_row(name, answers, settings.statistics, note)
    # An event without an answer is farther than anything
    near = float(np.mean(np.nan_to_num(answers.epicentre_km, nan=np.inf) <= settings.near_km))
    if not settings.times:
        return Figures(replace(row, time_mae=None), None, near)
    median = metrics.bootstrap(np.abs(answers.time_s), metrics.median_of, settings.resamples, settings.seed)
    return Figures(row, median, near)


def result(answered: Answered, settings: Settings) -> Result:
    """What a subject's answers are worth."""
    answers = answers_of(answered.rows)
    reasons: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for row in answered.rows:
        if row["reason"] is not None:
            reasons[row["located"]][row["reason"]] += 1
    return Result(
        answered.condition,
        answered.subject,
        figures(ALL, answers, settings),
        figures(ACCEPTED, evaluate.accepted_only(answers), settings) if answered.judges else None,
        dict(reasons[True].most_common()),
        dict(reasons[False].most_common()),
        float(np.median([row["seconds"] for row in answered.rows])),
        answered.rows,
    )


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
class Surroundings:
    """How loud the events are, undisturbed: medians over the events of the median station's signal-to-noise ratio of P
    on the vertical in the band of the models, and of the number of stations with waveforms; of ``events`` that have any
    such ratio.
    """

    snr: float
    stations: float
    band_hz: tuple[float, float]
    events: int

    @property
    def text(self) -> str:
        """For the header of a report."""
        low, high = self.band_hz
        return (
            f"{self.snr:.1f} on the vertical at {low:g}-{high:g} Hz (median over {self.events} events of the median "
            f"station); {self.stations:g} stations with waveforms (median)"
        )


def surroundings(events: Events, passport: Passport, travel_times: TravelTimes) -> Surroundings:
    """Measure how loud the events are for models with this passport's scales."""
    index, ratios, counts = ChannelIndex.from_inventory(events.inventory), list[float](), list[int]()
    band = passport.preprocessing.band_hz
    for trigger in events.chosen:
        stations = inventory_stations(events.inventory, trigger.time)
        arrivals = arrivals_of(trigger, stations, travel_times)
        settings = passport.preprocessing
        # From long before P, for noise and filter, to what P needs, and no more of the next event
        start, end = min(arrivals.p.values()) - 30.0 - settings.warmup_s, max(arrivals.s.values())
        job = fetched(events, trigger, start, end)
        try:
            settings, conditioned = conditioned_for(job, passport, index, stations, warmup=SHORT_WARMUP)
        except EventError:
            continue
        found = loudness(conditioned, stations, arrivals)
        band = settings.band_hz
        if np.any(np.isfinite(found)):
            ratios.append(float(np.nanmedian(found)))
            counts.append(int(np.count_nonzero(conditioned.valid.any(axis=(0, 2)))))
    if not ratios:
        return Surroundings(np.nan, np.nan, band, 0)
    return Surroundings(float(np.median(ratios)), float(np.median(counts)), band, len(ratios))


@dataclass(frozen=True)
class Measured:
    """Everything that was found. ``header``: label -> text; ``results``: baselines first, then as :func:`.asking.ask`
    has them; ``events``: where and when they were."""

    title: str
    header: dict[str, str]
    results: tuple[Result, ...]
    events: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...] = ()
    surroundings: Surroundings | None = None
    near_km: float = Settings.near_km


def measure(
    subjects: Sequence[Subject],
    events: Events,
    conditions: Sequence[Condition],
    travel_times: TravelTimes,
    settings: Settings,
    header: dict[str, str],
    remarks: Sequence[str] = (),
    loud: Surroundings | None = None,
    kept: Kept | None = None,
    each: Progress = lambda items, _: items,
) -> Measured:
    """Ask the subjects about the events in every condition, and compare with the catalogue and the baselines."""
    truth = truth_of(events.chosen, events.network.frame)
    answered = ask(subjects, events, conditions, travel_times, truth, settings, kept, each)
    error, picks = settings.trigger_error_s, "the catalogue's" if settings.picks else "none"
    about = {
        "data": f"{events.folder.resolve().name}: {len(truth)} events ({events.told})",
        **({} if loud is None else {"signal-to-noise ratio of P": loud.text}),
        "trigger": f"the catalogue's time with a normal error of {error:g} s, the same for all; picks: {picks}",
        **header,
        "intervals": f"68 %, percentile bootstrap over events, {settings.resamples} resamples, seed {settings.seed}",
    }
    return Measured(
        f"Models for any network on {events.folder.resolve().name}",
        about,
        (*baselines(events, settings), *(result(item, settings) for item in answered)),
        tuple(
            {"event": short_id(trigger), "x_km": x, "y_km": y, "depth_km": z, "time": t}
            for trigger, x, y, z, t in zip(
                events.chosen, truth.x_km, truth.y_km, truth.depth_km, truth.time, strict=True
            )
        ),
        tuple(remarks),
        loud,
        settings.near_km,
    )
