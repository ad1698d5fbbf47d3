"""The locator: a trigger, waveforms, an inventory and a model in; a solution out.

Pure: no files, no clock. The trigger says when and that an event is; where it was said to be never enters.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import heads, representations, trust
from .arrivals.base import ArrivalTimes
from .arrivals.corrections import CorrectedArrivals, StationCorrections
from .arrivals.gridearth import GridEarth
from .arrivals.radial import RadialArrivals
from .channels import ChannelIndex
from .errors import EventError, NoEventFound, NoWaveforms, SettingError
from .firstbreak import LTA_S, PEAK_S, SEARCH_AFTER_S, SEARCH_BEFORE_S, STA_S, first_break
from .migration.earthdoubt import share_of
from .migration.gridded import GridMigrator
from .migration.locating import Migrator, aperture_km, near_s
from .network import inventory_stations, match_network, nothing_recorded
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
from .traveltimes import PHASES, TravelTimes, from_passport, hash_of, name_of

FloatArray = NDArray[np.float64]


class RunsModel(Protocol):
    """What the locator asks of a model; :class:`seiscomp_dlloc.model.Model` is one."""

    @property
    def passport(self) -> Passport: ...  # noqa: D102

    @property
    def identity(self) -> ModelIdentity: ...  # noqa: D102

    @property
    def input_names(self) -> tuple[str, ...]: ...  # noqa: D102

    def run(  # noqa: D102
        self, inputs: dict[str, NDArray[Any]], outputs: tuple[str, ...] | None = None
    ) -> dict[str, NDArray[np.float32]]: ...


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


@dataclass(frozen=True)
class Record:
    """Conditioned waveforms of any length.

    ``stations`` in the order of their station axis, ``passport`` at the scale of these.
    """

    passport: Passport
    stations: tuple[Station, ...]
    conditioned: Conditioned
    dropped: tuple[Dropped, ...]


SLOWEST_P = 4.0
"""km/s, over a network's aperture: so late after the origin time its first break comes at most."""

Span = Callable[[Passport], tuple[float, float]]
"""Start and end (POSIX s) of the waveforms that are wanted of a network whose scale is now known."""

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
    """An event on its way: what is known of it so far. ``left_out``: of ``dropped``, what no window changes."""

    trigger: Trigger
    stream: Any
    stations: tuple[Station, ...] = ()
    listed: tuple[Station, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
    conditioned: Conditioned | None = None
    left_out: tuple[Dropped, ...] = ()
    anchor: float | None = None
    passport: Passport | None = None
    input: representations.ModelInput | None = None
    outputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    failure: EventError | None = None

    @property
    def scaled(self) -> tuple[Passport, Conditioned]:
        """The passport at the network's scale, and the waveforms as it wants them."""
        if self.passport is None or self.conditioned is None:
            raise ValueError("the waveforms have not been conditioned")
        return self.passport, self.conditioned

    def evidence(self) -> Evidence:
        """The case once its input is built."""
        if self.input is None or self.conditioned is None or self.anchor is None or self.passport is None:
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
            self.passport,
        )


def between(stream: Sequence[Any], start: float, end: float) -> list[Any]:
    """The traces' samples from ``start`` to ``end`` (POSIX s), not copied; traces without any are left out."""
    from obspy import UTCDateTime

    parts = (trace.slice(UTCDateTime(start), UTCDateTime(end)) for trace in stream)
    return [part for part in parts if len(part)]


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

    def __init__(
        self,
        model: RunsModel,
        inventory: Any,
        options: Options | None = None,
        earth_model: dict[str, Any] | GridEarth | None = None,
        corrections: StationCorrections | None = None,
    ):
        self.model, self.options = model, options or Options()
        self.passport = model.passport
        if self.passport.fixed_network and (earth_model is not None or corrections is not None):
            raise SettingError(
                f"earth model, corrections: model {self.passport.name} belongs to its own network and earth; only "
                "models of any network take others, as anynet"
            )
        self._grids = earth_model if isinstance(earth_model, GridEarth) else None
        layered = earth_model.beside if isinstance(earth_model, GridEarth) else earth_model
        # Beside grids: the earth of everything but the search
        self._layered = layered or self.passport.earth_model
        self.earth_model = self._grids.document if self._grids else self._layered
        self.travel_times = from_passport(self._layered)
        self._arrivals = self._grids.arrivals if self._grids else RadialArrivals(self.travel_times)
        self._earth_told = self._told(corrections)
        self._migrator = self._migrator_with(corrections)
        self._inventory = inventory
        self._index = ChannelIndex.from_inventory(inventory)
        self._solver = Solver(self.passport, model.identity, self._index, self.travel_times, self.options)

    def _told(self, corrections: StationCorrections | None) -> str:
        """Whose travel times an answer rests on, for its notes."""
        earth = f"travel times: {name_of(self.earth_model)} (content {hash_of(self.earth_model)})"
        if corrections is None:
            return f"{earth}, no station corrections"
        return f"{earth}, corrections of {corrections.told}"

    def _migrator_with(self, corrections: StationCorrections | None) -> Migrator:
        arrivals: ArrivalTimes = self._arrivals
        left = 1.0
        if corrections is not None:
            arrivals, left = self._corrected(corrections), corrections.left_share
        doubted = left * share_of(self.earth_model, corrections is not None)
        if self._grids is None:
            return Migrator(arrivals, doubted, left)
        return GridMigrator(arrivals, self._grids.arrivals, doubted, left)

    def _corrected(self, corrections: StationCorrections) -> CorrectedArrivals:
        name, held = name_of(self.earth_model), hash_of(self.earth_model)
        if corrections.earth_hash != held:
            changed = ", which has changed since" if corrections.earth_model == name else ""
            raise SettingError(
                f"corrections: were learned with earth model {corrections.earth_model!r} (content "
                f"{corrections.earth_hash}), here it is {name!r} (content {held}){changed}; give that one, or learn "
                "them again"
            )
        return CorrectedArrivals(self._arrivals, corrections)

    def with_corrections(self, corrections: StationCorrections | None) -> "Locator":
        """A locator with these station corrections, and no others, that shares this one's tables."""
        other = copy.copy(self)
        other._earth_told = self._told(corrections)
        other._migrator = self._migrator_with(corrections)
        return other

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

    def window_end(self, trigger: Trigger, stream: Any) -> float | None:
        """Until when (POSIX s) waveforms are needed, by the first break and at the scale of the stations in ``stream``.

        None where ``stream`` does not tell. Raises InputErrors only.
        """
        case = self._prepare(Job(trigger, stream))
        if case.anchor is None or case.passport is None:
            return None
        return required_window(trigger, case.passport, known=case.anchor)[1]

    def record(self, time: float, stream: Any, span: Span) -> Record:
        """Waveforms of any length, conditioned as those of an event at ``time`` (POSIX s) would be.

        Raises EventErrors: nothing there that can be used.
        """
        return self._condition(_Case(Trigger("", time), stream), span)

    def arrival_times(self, trigger: Trigger) -> dict[tuple[str, str], float]:
        """Travel times (s) by station and phase, without corrections, from where the trigger was said to be.

        Raises SettingError where that is not known.
        """
        latitude, longitude, depth_km = trigger.latitude, trigger.longitude, trigger.depth_km
        if latitude is None or longitude is None or depth_km is None:
            raise SettingError(f"{trigger.public_id}: has no hypocentre; give events that have been located")
        stations = inventory_stations(self._inventory, trigger.time)
        times = self._arrivals.times([latitude], [longitude], [depth_km], stations)[0]
        names = [(station.id, phase) for station in stations for phase in PHASES]
        return dict(zip(names, times.ravel().tolist(), strict=True))

    @property
    def migrator(self) -> Migrator:
        """What searches the place for models of any network."""
        return self._migrator

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
        self._condition(case, lambda scaled: required_window(case.trigger, scaled))
        self._cut(case, self._anchor(case) + self.options.anchor_shift_s)

    def _cut(self, case: _Case, anchor: float) -> None:
        """The model's input, from a window about ``anchor`` (POSIX s)."""
        case.anchor = anchor
        passport, conditioned = case.scaled
        start = anchor - passport.preprocessing.pretrigger_s
        window = representations.Window(conditioned, case.stations, case.left_out, start, self.travel_times)
        built = representations.build(window, passport)
        case.dropped = built.dropped
        _require(trust.too_few_stations(len(built.used), passport.min_stations, built.dropped))
        case.input = built

    def _condition(self, case: _Case, span: Span) -> Record:
        """Fill in the stations and their conditioned waveforms."""
        passport = self.passport
        case.listed = inventory_stations(self._inventory, case.trigger.time)
        stream = [] if case.stream is None else case.stream
        if passport.fixed_network:
            match = match_network(passport.stations, case.listed, passport.station_tolerance_km)
            case.stations, usable, missing, case.notes = match.stations, match.usable, match.dropped, match.notes
            _require(trust.station_mismatch(int(usable.sum()), passport.min_stations, len(case.stations), missing))
            strangers = {station.id for station, there in zip(case.stations, usable, strict=True) if not there}
            stream = [t for t in stream if f"{t.stats.network}.{t.stats.station}" not in strangers]
            if not len(stream):
                raise NoWaveforms(
                    "no waveforms of any of the model's stations for this event: look at the source's span"
                )
        else:
            recorded = {f"{trace.stats.network}.{trace.stats.station}" for trace in stream}
            case.stations, missing = tuple(station for station in case.listed if station.id in recorded), ()
            strangers = set()
            if not case.stations:
                raise NoWaveforms(nothing_recorded(case.listed, recorded))
        if self._migrates and self._grids is None:
            case.notes = (self._earth_told,)
        if self._grids is not None:
            case.stations, missing, notes = self._grids.served(case.stations)
            case.notes, strangers = (*notes, self._grids.told(self._layered)), {item.seed_id for item in missing}
            _require(trust.too_few_stations(len(case.stations), passport.min_stations, missing))
        case.passport = passport = self._at_scale(case, stream)
        settings = passport.preprocessing
        if passport is not self.passport:
            # What was fetched is for the longest window; the rest may be another event's record, or mostly gap
            stream = between(stream, *span(passport))
        blocks, dropped = collect_for(stream, self._index, case.stations, settings)
        kept = tuple(d for d in dropped if ".".join(d.seed_id.split(".")[:2]) not in strangers)
        case.dropped = case.left_out = case.dropped + missing + kept
        try:
            case.conditioned = condition(blocks, len(case.stations), settings)
        except NoWaveforms as error:
            raise NoWaveforms(f"{error}{_reasons(case.dropped)}") from error
        return Record(passport, case.stations, case.conditioned, case.dropped)

    def _anchor(self, case: _Case) -> float:
        """Where the model's first window stands (POSIX s): at the first break.

        A migration looks first for the event that the trigger means, which need not be the strongest near it: its
        window stands at the first break only where that may be this event's. Raises NoEventFound for other models.
        """
        if not self._migrates:
            return first_break(case.scaled[1], case.trigger).time
        late, near = self._first_break(case) - case.trigger.time, near_s(case.stations)
        latest = near + aperture_km(case.stations) / SLOWEST_P
        return case.trigger.time + (late if -near <= late <= latest else 0.0)

    def _first_break(self, case: _Case) -> float:
        """The first break (POSIX s); without one the trigger's time.

        A migration sees events that no station shows by itself: what it finds there is judged like any answer.
        """
        try:
            return first_break(case.scaled[1], case.trigger).time
        except NoEventFound:
            return case.trigger.time

    def _at_scale(self, case: _Case, stream: Sequence[Any]) -> Passport:
        """The passport at the scale of the stations with waveforms; a coarser one where most are sampled too slowly.

        Raises an EventError where too few are fast enough for any scale.
        """
        known, best = {s.id for s in case.stations}, dict[str, float]()
        for trace in stream:
            name = f"{trace.stats.network}.{trace.stats.station}"
            if name in known:
                best[name] = max(best.get(name, 0.0), float(trace.stats.sampling_rate))
        there = [station for station in case.stations if station.id in best]
        choice = self.passport.scales_for(aperture_km(there))
        for passport in choice:
            wanted = passport.preprocessing.sampling_rate_hz
            slow = sum(1 for rate in best.values() if rate < wanted * (1.0 - SLACK))
            if 2 * slow <= len(best):
                break
        _require(trust.rate_mismatch(len(best) - slow, slow, self.passport.min_stations, wanted))
        return passport

    # The model, and after it

    def _answer(self, batch: list[_Case]) -> Iterator[Located]:
        ready = [(case, case.input) for case in batch if case.input is not None]
        if ready and not self._migrates:
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
            estimate = self._estimate(case)
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

    @property
    def _migrates(self) -> bool:
        """Whether the model's steps alternate with a search, event by event."""
        return bool(self.passport.head["kind"] == "migration")

    def _estimate(self, case: _Case) -> heads.Estimate:
        depth = self.options.fixed_depth_km
        if not self._migrates:
            return heads.read(case.outputs, self.passport, depth)
        near = self._migrated(case, True, depth)
        if near.sure:
            return near
        if self.options.trigger_only:
            if (near.peak or 0.0) >= case.scaled[0].calibration.peak_threshold:
                raise NoEventFound("what the stations see near the trigger's time belongs to an event at another one")
            return near
        kept = case.anchor, case.input, case.dropped
        try:
            self._cut(case, self._first_break(case) + self.options.anchor_shift_s)
            wide = self._migrated(case, False, depth)
        except _RuleError:
            # The other window has too few stations; the first one's answer is judged
            case.anchor, case.input, case.dropped = kept
            return near
        if wide.sure or (wide.peak or 0.0) > (near.peak or 0.0):
            return wide
        case.anchor, case.input, case.dropped = kept
        return near

    def _migrated(self, case: _Case, near: bool, depth: float | None) -> heads.Estimate:
        found = case.evidence()
        return self._migrator.locate(
            self.model.run, found.input, found.stations, found.passport, case.trigger.time, near, depth
        )


def locate(trigger: Trigger, stream: Any, inventory: Any, model: RunsModel, options: Options | None = None) -> Solution:
    """Locate one event; see :class:`Locator`, which saves the preparation where there are several."""
    return Locator(model, inventory, options).locate(trigger, stream)


def locate_many(
    jobs: Iterable[Job], inventory: Any, model: RunsModel, options: Options | None = None
) -> Iterator[Solution]:
    """Locate many events in batches; see :meth:`Locator.locate_many`."""
    return Locator(model, inventory, options).locate_many(jobs)
