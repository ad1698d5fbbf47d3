"""A run over many events: inputs checked first, events one by one, output whole at the end."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from .. import __version__
from ..defaults import default_earth
from ..errors import EventError, EventFileError, NoWaveforms, SettingError
from ..formats.atomic import check_writable, write_atomically
from ..formats.corrections import read_corrections
from ..formats.document import Labels
from ..formats.gridfolders import read_earth
from ..formats.identifiers import short_stem
from ..formats.inventory import read_inventory
from ..formats.quakeml import write_quakeml
from ..formats.scml import VERSIONS, write_scml
from ..formats.triggers import TriggerFile, read_triggers
from ..locate import Job, Located, Locator, required_window
from ..model import Model, load
from ..network import inventory_stations, not_listed, nothing_recorded, stations_to_fetch
from ..records import Hypocenter, Solution, Trigger
from ..solution import Options
from ..waveforms import WaveformSource, open_source
from . import EXIT_EVENTS, EXIT_OK
from .choose import choose_model
from .output import Table, as_json, status, summary
from .stdio import printable, say, silence

if TYPE_CHECKING:
    from obspy import Inventory

DEFAULT_SCML = "0.13"
"""Read by SeisComP 6 and later; a newer version is skipped by an older SeisComP."""

HIGHEST_KM = -9.0
"""Depth (km below sea level) of the highest ground there is."""

_MOST_WARNINGS = 10


@dataclass(frozen=True)
class Settings:
    """What the user asked for. ``threads`` 0 leaves the number to onnxruntime; ``progress`` None asks the terminal.

    ``own_picks``: onsets that the model sees are written to the file as picks. ``truths``: publicID -> true hypocentre;
    where there are any, the seismograms are theoretical and every picture says so.
    """

    events: Path
    waveforms: str
    inventory: Path
    model: str | None = None
    earth_model: str | None = None
    corrections: Path | None = None
    fixed_depth_km: float | None = None
    output: Path | None = None
    format: str = "quakeml"
    scml_version: str | None = None
    own_picks: bool = True
    provider: str = "auto"
    require_gpu: bool = False
    threads: int = 0
    batch: int = 16
    as_json: bool = False
    plot: Path | None = None
    progress: bool | None = None
    truths: dict[str, Hypocenter] = field(default_factory=dict)


def check_depth(depth_km: float | None, model: Model) -> None:
    """Raises SettingError where a fixed depth is none that the model and the earth have."""
    deepest = model.passport.region.depth_km[1]
    if depth_km is not None and not HIGHEST_KM <= depth_km <= deepest:
        raise SettingError(
            f"--fixed-depth {depth_km:g}: model {model.passport.name} is for depths down to {deepest:g} km; "
            f"give kilometres below sea level, {HIGHEST_KM:g} to {deepest:g}"
        )


def make_locator(
    model: Model,
    inventory: "Inventory",
    options: Options,
    earth_model: str | None,
    corrections: Path | None,
    usual: dict[str, Any] | None = None,
) -> Locator:
    """The locator, with the earth model and the corrections of these names read. Raises InputErrors.

    ``usual``: the earth model where none is named (:func:`~seiscomp_dlloc.defaults.default_earth`).
    """
    earth = usual if earth_model is None else read_earth(earth_model)
    return Locator(model, inventory, options, earth, None if corrections is None else read_corrections(corrections))


def warn(lines: Sequence[str], kind: str = "warning") -> None:
    """Say on stderr what is wrong although the run goes on: the first of ``lines``, and how many more there are."""
    for line in lines[:_MOST_WARNINGS]:
        print(f"dlloc: {kind}: {printable(line)}", file=sys.stderr)
    if len(lines) > _MOST_WARNINGS:
        print(f"dlloc: {kind}: {len(lines) - _MOST_WARNINGS} more of this kind", file=sys.stderr)


def told(solutions: Sequence[Solution]) -> list[str]:
    """What the answers' notes say, each once, and of which events."""
    of: dict[str, list[str]] = {}
    for solution in solutions:
        for text in solution.notes:
            of.setdefault(text, []).append(short_stem(solution.trigger.public_id))
    return [f"{text} ({_which(names, len(solutions))})" for text, names in of.items()]


def _which(names: Sequence[str], every: int) -> str:
    """One event by its name, more by their number."""
    if len(names) == 1:
        return names[0]
    return "all events" if len(names) == every else f"{len(names)} events"


class Run:
    """Inputs of a run, opened and checked. Raises InputErrors on construction; :meth:`go` locates."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.solutions: list[Solution] = []
        self.pictures: list[Path] = []
        self._lost = 0
        self._check_targets()
        self.triggers: TriggerFile = read_triggers(settings.events)
        if not self.triggers.triggers:
            reasons = "; ".join(problem.message for problem in self.triggers.problems[:_MOST_WARNINGS])
            raise EventFileError(f"no event can be located: {reasons}")
        self.inventory: Inventory = read_inventory(settings.inventory)
        every = [trigger.time for trigger in self.triggers.triggers]
        times = min(every), max(every)
        path = choose_model(settings.model, self.inventory, times)
        self.model: Model = load(path, settings.provider, settings.require_gpu, settings.threads)
        check_depth(settings.fixed_depth_km, self.model)
        self.source: WaveformSource = open_source(settings.waveforms)
        options = Options(fixed_depth_km=settings.fixed_depth_km, batch_size=settings.batch)
        named = settings.earth_model is not None
        usual = None if named else default_earth(self.model.passport, self.inventory, times)
        self.locator = make_locator(
            self.model, self.inventory, options, settings.earth_model, settings.corrections, usual
        )

    def _check_targets(self) -> None:
        """What cannot be written is said before the work, not after it."""
        output, plot = self.settings.output, self.settings.plot
        if plot is not None:
            try:
                plot.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SettingError(f"folder {plot}: cannot be made ({error.strerror or error})") from error
            check_writable(plot / "event.png")
        if output is not None:
            check_writable(output)
            for given in (self.settings.events, self.settings.inventory, self.settings.waveforms, self.settings.model):
                if given and os.path.isfile(given) and os.path.exists(output) and os.path.samefile(given, output):
                    raise SettingError(f"output {output}: is an input of this run; give another name")

    def go(self) -> int:
        """Locate every event; returns the exit status."""
        began = time.monotonic()
        self._warn()
        table = Table([trigger.public_id for trigger in self.triggers.triggers])
        if not self.settings.as_json:
            self._print(table.header())
        with self._bar() as bar:
            for located in self.locator.run(self.jobs()):
                solution = located.solution
                self.solutions.append(solution)
                text = json.dumps(as_json(solution)) if self.settings.as_json else table.row(solution)
                with tqdm.external_write_mode(file=sys.stdout):
                    self._print(text)
                if self.settings.plot is not None:
                    self._draw(located, self.settings.plot)
                bar.update()
        if self.settings.output is not None:
            write_atomically(self.settings.output, self._document())
        if not self.settings.as_json:
            warn(told(self.solutions), "note")
        if strangers := self._strangers():
            warn([f"{self.settings.waveforms}: {not_listed(strangers)}"])
        states = [status(solution) for solution in self.solutions] + ["failed"] * self._lost
        print(summary(states, time.monotonic() - began), file=sys.stderr)
        return EXIT_OK if all(state == "accepted" for state in states) else EXIT_EVENTS

    def _print(self, text: str) -> None:
        """Print a line; where its reader has gone and there are files to write, the run goes on in silence."""
        try:
            say(text)
        except BrokenPipeError:
            if self.settings.output is None and self.settings.plot is None:
                raise
            silence()

    def _warn(self) -> None:
        """Say what is wrong with the inputs although the run goes on."""
        lines = [problem.message for problem in self.triggers.problems]
        self._lost = sum(problem.lost for problem in self.triggers.problems)
        lines += [f"{self.settings.waveforms}: {item.seed_id}: {item.reason}" for item in self.source.problems]
        warn(lines)

    def _bar(self) -> "tqdm[None]":
        wanted, total = self.settings.progress, len(self.triggers.triggers)
        shown = (sys.stderr.isatty() and total > 1) if wanted is None else wanted
        return tqdm(total=total, unit="event", file=sys.stderr, disable=not shown, dynamic_ncols=True, leave=False)

    def jobs(self) -> Iterator[Job]:
        """The triggers with their waveforms, one by one."""
        for trigger in self.triggers.triggers:
            yield self._fetch(trigger)

    def _fetch(self, trigger: Trigger) -> Job:
        stations = stations_to_fetch(self.model.passport, inventory_stations(self.inventory, trigger.time))
        start, end = required_window(trigger, self.model.passport)
        if not stations:
            return Job(trigger)
        try:
            acquired = self.source.get_waveforms((f"{station.id}.*.*" for station in stations), start, end)
        except EventError as error:
            return Job(trigger, error=error)
        if not acquired.stream and not self.model.passport.fixed_network:
            absent = NoWaveforms(nothing_recorded(stations, self.source.stations(start, end)))
            return Job(trigger, error=absent, dropped=acquired.dropped)
        return Job(trigger, acquired.stream, dropped=acquired.dropped)

    def _strangers(self) -> set[str]:
        """Stations (NET.STA) with waveforms that a model for any network could use if the inventory had them."""
        if self.model.passport.fixed_network:
            return set()
        times = [trigger.time for trigger in self.triggers.triggers]
        listed = {station.id for time in times for station in inventory_stations(self.inventory, time)}
        # Asked once: an archive looks through its folders
        return set(self.source.stations(min(times), max(times))) - listed

    def _draw(self, located: Located, folder: Path) -> None:
        if located.solution.hypocenter is None or located.conditioned is None:
            return
        from ..report.figures import EventPicture, event_figure, save

        picture = EventPicture(
            located.solution,
            located.conditioned,
            located.stations,
            located.travel_times,
            located.image,
            theoretical=bool(self.settings.truths),
            truth=self.settings.truths.get(located.solution.trigger.public_id),
        )
        path = folder / f"{self._file_name(located.solution.trigger.public_id)}.png"
        save(event_figure(picture), path)
        self.pictures.append(path)

    def _file_name(self, public_id: str) -> str:
        """The last part of a publicID as a name that every file system takes, once per run."""
        stem = short_stem(public_id)
        taken = {path.stem for path in self.pictures}
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        return name

    def _document(self) -> bytes:
        labels = Labels(version=__version__)
        if self.settings.format == "quakeml":
            return write_quakeml(self.solutions, labels, own=self.settings.own_picks)
        own = self.triggers.version if self.triggers.kind == "scml" and self.triggers.version in VERSIONS else ""
        version = self.settings.scml_version or own or DEFAULT_SCML
        return write_scml(self.solutions, version, labels, own=self.settings.own_picks)
