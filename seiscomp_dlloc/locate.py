"""The locator: a trigger, waveforms, an inventory and a model in; a solution out.

Pure: no files, no clock. The trigger says when and that an event is; where it was said to be never enters.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import heads, representations, trust
from .channels import ChannelIndex
from .errors import EventError, NoWaveforms
from .firstbreak import LTA_S, PEAK_S, SEARCH_AFTER_S, SEARCH_BEFORE_S, STA_S, first_break
from .network import inventory_stations, match_network
from .passport import Passport
from .preprocess import condition
from .records import (
    Abstention,
    Conditioned,
    Dropped,
    LocationImage,
    ModelIdentity,
    Solution,
    Station,
    Trigger,
)
from .resampling import SLACK
from .solution import Evidence, Options, Solver
from .traces import collect_for
from .traveltimes import TravelTimes, from_passport

FloatArray = NDArray[np.float64]


class RunsModel(Protocol):
    """What the locator asks of a model; :class:`seiscomp_dlloc.model.Model` is one."""

    @property
    def passport(self) -> Passport: ...  # noqa: D102

    @property
    def identity(self) -> ModelIdentity: ...  # noqa: D102

    @property
    def input_names(self) -> tuple[str, ...]: ...  # noqa: D102

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]: ...  # noqa: D102


@dataclass(frozen=True)
class Job:
    """One event to locate: its waveforms (:class:`obspy.Stream`, counts), or why there are none."""

    trigger: Trigger
    stream: Any = None
    error: EventError | None = None
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class Located:
    """A solution and what it was made from, for figures. None or empty where the event did not get so far.

    ``stations`` in the order of ``conditioned``'s station axis.
    """

    solution: Solution
    travel_times: TravelTimes
    stations: tuple[Station, ...] = ()
    conditioned: Conditioned | None = None
    image: LocationImage | None = None


FOUND_AFTER_S = SEARCH_AFTER_S + PEAK_S + 1.0
"""Data up to so long after the trigger's time tell the first break of a trigger without picks; a second for filters."""


def required_window(
    trigger: Trigger, passport: Passport, magnitude: bool = True, known: float | None = None
) -> tuple[float, float]:
    """Start and end (POSIX s) of the waveforms that locating ``trigger`` needs.

    The first break lies at the earliest pick in use, else from 15 s before to 30 s after the trigger's time, unless it
    is ``known`` (POSIX s); the model's window starts the pre-trigger time before it. Before that: filter warm-up and
    STA/LTA's long window. With ``magnitude``, and unless the model wants filtered waveforms, half a minute more for ML.
    """
    settings = passport.preprocessing
    times = [pick.time for pick in trigger.picks if pick.used] if known is None else [known]
    earliest = min(times) if times else trigger.time - SEARCH_BEFORE_S
    latest = earliest if times else trigger.time + SEARCH_AFTER_S
    before = max(settings.pretrigger_s, LTA_S + STA_S) + settings.warmup_s + 1.0
    end = latest - settings.pretrigger_s + settings.window_s + 1.0
    if magnitude and not settings.prefiltered:
        end += 30.0
    return earliest - before, max(end, latest + 5.0)


@dataclass
class _Case:
    """An event on its way: what is known of it so far."""

    trigger: Trigger
    stream: Any
    stations: tuple[Station, ...] = ()
    listed: tuple[Station, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
    conditioned: Conditioned | None = None
    anchor: float | None = None
    input: representations.ModelInput | None = None
    outputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    failure: EventError | None = None

    def evidence(self) -> Evidence:
        """The case once its input is built."""
        if self.input is None or self.conditioned is None or self.anchor is None:
            raise ValueError("the model's input has not been built")
        return Evidence(
            self.trigger,
            self.stream,
            self.stations,
            self.listed,
            self.dropped,
            self.conditioned,
            self.anchor,
            self.input,
        )


def _reasons(dropped: Sequence[Dropped], most: int = 3) -> str:
    """Why channels were left out, the most frequent reasons first: ``: no sensitivity in the inventory (90)``."""
    counts = Counter(item.reason for item in dropped).most_common(most)
    return f": {', '.join(f'{reason} ({number})' for reason, number in counts)}" if counts else ""


class _RuleError(EventError):
    """A rule of trust that stops an event before the model runs."""

    def __init__(self, abstention: Abstention):
        super().__init__(abstention.detail)
        self.reason = abstention.reason


def _require(abstention: Abstention | None) -> None:
    if abstention is not None:
        raise _RuleError(abstention)


class Locator:
    """Locates events with one model and one inventory. Make it once; it keeps tables of travel times and responses."""

    def __init__(self, model: RunsModel, inventory: Any, options: Options | None = None):
        self.model, self.options = model, options or Options()
        self.passport = model.passport
        self.travel_times = from_passport(self.passport.earth_model)
        self._inventory = inventory
        self._index = ChannelIndex.from_inventory(inventory)
        self._solver = Solver(self.passport, model.identity, self._index, self.travel_times, self.options)

    def with_options(self, options: Options) -> "Locator":
        """A locator with other options that shares this one's tables."""
        other = copy.copy(self)
        other.options, other._solver = options, self._solver.with_options(options)
        return other

    def locate(self, trigger: Trigger, stream: Any) -> Solution:
        """Locate one event. EventErrors become its abstention; InputErrors are raised."""
        return next(self.run([Job(trigger, stream)])).solution

    def locate_many(self, jobs: Iterable[Job]) -> Iterator[Solution]:
        """Locate events in batches, in order. ``jobs`` is drawn from as the batches go."""
        for located in self.run(jobs):
            yield located.solution

    def run(self, jobs: Iterable[Job]) -> Iterator[Located]:
        """As :meth:`locate_many`, with what the solutions were made from."""
        batch: list[_Case] = []
        for job in jobs:
            batch.append(self._prepare(job))
            if len(batch) >= max(self.options.batch_size, 1):
                yield from self._answer(batch)
                batch = []
        yield from self._answer(batch)

    def first_break(self, trigger: Trigger, stream: Any) -> float | None:
        """When the model's window would have its anchor (POSIX s); None where ``stream`` does not tell.

        Raises InputErrors only.
        """
        return self._prepare(Job(trigger, stream)).anchor

    # Before the model

    def _prepare(self, job: Job) -> _Case:
        case = _Case(job.trigger, job.stream, dropped=job.dropped)
        try:
            if job.error is not None:
                raise job.error
            self._build_input(case)
        except EventError as error:
            case.failure = error
        return case

    def _build_input(self, case: _Case) -> None:
        passport, settings = self.passport, self.passport.preprocessing
        case.listed = inventory_stations(self._inventory, case.trigger.time)
        stream = [] if case.stream is None else case.stream
        if passport.fixed_network:
            match = match_network(passport.stations, case.listed, passport.station_tolerance_km)
            case.stations, usable, missing, case.notes = match.stations, match.usable, match.dropped, match.notes
            _require(trust.station_mismatch(int(usable.sum()), passport.min_stations, len(case.stations), missing))
            strangers = {station.id for station, there in zip(case.stations, usable, strict=True) if not there}
            stream = [t for t in stream if f"{t.stats.network}.{t.stats.station}" not in strangers]
        else:
            case.stations, missing = case.listed, ()
            strangers = set()
        if not len(stream):
            raise NoWaveforms("no waveforms of any of the model's stations for this event: look at the source's span")
        self._check_rates(case, stream)
        blocks, dropped = collect_for(stream, self._index, case.stations, settings)
        kept = tuple(d for d in dropped if ".".join(d.seed_id.split(".")[:2]) not in strangers)
        case.dropped = case.dropped + missing + kept
        try:
            case.conditioned = condition(blocks, len(case.stations), settings)
        except NoWaveforms as error:
            raise NoWaveforms(f"{error}{_reasons(case.dropped)}") from error
        case.anchor = first_break(case.conditioned, case.trigger).time + self.options.anchor_shift_s
        window = representations.Window(
            case.conditioned,
            case.stations,
            case.dropped,
            case.anchor - settings.pretrigger_s,
            self.travel_times,
        )
        built = representations.build(window, passport)
        case.dropped = built.dropped
        _require(trust.too_few_stations(len(built.used), passport.min_stations, built.dropped))
        case.input = built

    def _check_rates(self, case: _Case, stream: Sequence[Any]) -> None:
        wanted, known = self.passport.preprocessing.sampling_rate_hz, {s.id for s in case.stations}
        best: dict[str, float] = {}
        for trace in stream:
            name = f"{trace.stats.network}.{trace.stats.station}"
            if name in known:
                best[name] = max(best.get(name, 0.0), float(trace.stats.sampling_rate))
        slow = sum(1 for rate in best.values() if rate < wanted * (1.0 - SLACK))
        _require(trust.rate_mismatch(len(best) - slow, slow, self.passport.min_stations, wanted))

    # The model, and after it

    def _answer(self, batch: list[_Case]) -> Iterator[Located]:
        ready = [(case, case.input) for case in batch if case.input is not None]
        if ready:
            names = [name for name in self.model.input_names if all(name in built.arrays for _, built in ready)]
            outputs = self.model.run({name: np.stack([built.arrays[name] for _, built in ready]) for name in names})
            for row, (case, _) in enumerate(ready):
                case.outputs = {name: values[row] for name, values in outputs.items()}
        for case in batch:
            yield self._finish(case)

    def _finish(self, case: _Case) -> Located:
        try:
            if case.failure is not None:
                raise case.failure
            estimate = heads.read(case.outputs, self.passport, self.options.fixed_depth_km)
            solution = self._solver.solve(case.evidence(), estimate)
            if case.notes:
                solution = replace(solution, notes=solution.notes + case.notes)
        except EventError as error:
            solution = Solution(
                case.trigger,
                self.model.identity,
                abstention=Abstention(error.reason, str(error)),
                used_stations=case.input.used if case.input else (),
                anchor=case.anchor,
                dropped=case.dropped,
                notes=case.notes,
            )
            return Located(solution, self.travel_times, case.stations, case.conditioned)
        return Located(solution, self.travel_times, case.stations, case.conditioned, estimate.image)


def locate(trigger: Trigger, stream: Any, inventory: Any, model: RunsModel, options: Options | None = None) -> Solution:
    """Locate one event; see :class:`Locator`, which saves the preparation where there are several."""
    return Locator(model, inventory, options).locate(trigger, stream)


def locate_many(
    jobs: Iterable[Job], inventory: Any, model: RunsModel, options: Options | None = None
) -> Iterator[Solution]:
    """Locate many events in batches; see :meth:`Locator.locate_many`."""
    return Locator(model, inventory, options).locate_many(jobs)
