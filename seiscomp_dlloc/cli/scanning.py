"""A scan: inputs checked first, chunk after chunk kept as it is done, the catalogue at the end."""

import hashlib
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import __version__
from ..defaults import default_earth
from ..errors import InventoryError
from ..formats.corrections import corrections_json, read_corrections
from ..formats.gridfolders import read_earth_document
from ..formats.inventory import read_inventory
from ..formats.plain import iso_time
from ..model import load, read_passport
from ..records import Solution
from ..scan.chunks import Chunk, chunks_of
from ..scan.folder import ScanFolder
from ..scan.searching import ChunkResult, Searcher, check_model
from ..scan.spread import each
from ..scan.unique import named, unique
from ..solution import Options
from ..traveltimes import hash_of
from ..waveforms import open_source
from ..wording import counted
from . import EXIT_EVENTS, EXIT_OK
from .choose import choose_model
from .run import check_depth, make_locator, warn


@dataclass(frozen=True)
class Inputs:
    """What a searcher is made of: names that mean the same to every worker. ``threads`` 0: onnxruntime's choice.

    ``usual_earth``: the earth model where ``earth_model`` names none; None for the model's own.
    """

    waveforms: str
    inventory: Path
    model: Path
    earth_model: str | None = None
    corrections: Path | None = None
    fixed_depth_km: float | None = None
    abstained: bool = False
    provider: str = "auto"
    require_gpu: bool = False
    threads: int = 0
    batch: int = 16
    usual_earth: dict[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Settings:
    """What the user asked for; times POSIX s. ``progress`` None asks the terminal."""

    inputs: Inputs
    start: float
    end: float
    output: Path
    chunk_s: float = 600.0
    workers: int = 1
    scheduler: str | None = None
    progress: bool | None = None


@lru_cache(maxsize=1)
def open_searcher(inputs: Inputs) -> Searcher:
    """The searcher of these inputs; a process opens them once. Raises InputErrors."""
    inventory = read_inventory(inputs.inventory)
    model = load(inputs.model, inputs.provider, inputs.require_gpu, inputs.threads)
    check_depth(inputs.fixed_depth_km, model)
    source = open_source(inputs.waveforms)
    options = Options(fixed_depth_km=inputs.fixed_depth_km, batch_size=inputs.batch, trigger_only=True)
    locator = make_locator(model, inventory, options, inputs.earth_model, inputs.corrections, inputs.usual_earth)
    warn([f"{inputs.waveforms}: {item.seed_id}: {item.reason}" for item in source.problems])
    return Searcher(locator, inventory, source, inputs.abstained)


def search(inputs: Inputs, chunk: Chunk) -> ChunkResult:
    """One chunk, in whichever process this is."""
    return open_searcher(inputs).search(chunk)


def model_and_earth(
    wanted: str | None, inventory: Path, start: float, end: float
) -> tuple[Path, dict[str, Any] | None]:
    """The model's file, and the earth model where none is named (None for the model's own).

    Raises InputErrors: no such model, one that cannot find events, too few stations.
    """
    stations, times = read_inventory(inventory), (start, 0.5 * (start + end), end)
    path = choose_model(wanted, stations, times)
    passport = read_passport(path)
    check_model(passport)
    return path, default_earth(passport, stations, times)


class Scan:
    """A scan, its folder opened. Raises InputErrors on construction; :meth:`go` searches."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.events: tuple[Solution, ...] = ()
        self.chunks = chunks_of(settings.start, settings.end, settings.chunk_s)
        earth: dict[str, Any] | None = None
        if settings.scheduler is None and settings.workers <= 1:
            # What is wrong with the inputs is said before a folder is made
            earth = open_searcher(settings.inputs).locator.earth_model
        elif settings.inputs.earth_model is not None:
            earth = read_earth_document(settings.inputs.earth_model)
        else:
            earth = settings.inputs.usual_earth
        self.folder = ScanFolder(settings.output, self._identity(earth))

    def _identity(self, earth: dict[str, Any] | None) -> dict[str, Any]:
        """All that the catalogue depends on, by the names of the options: files by what they hold.

        ``earth``: the document of the earth model, needed where one is named.
        """
        inputs = self.settings.inputs
        own = inputs.earth_model is not None or inputs.usual_earth is not None
        return {
            "version": __version__,
            "--waveforms": inputs.waveforms,
            "--inventory": _digest(inputs.inventory),
            "--start": iso_time(self.settings.start),
            "--end": iso_time(self.settings.end),
            "--chunk": self.settings.chunk_s / 60.0,
            "--model": _digest(inputs.model),
            "--earth-model": f"content {hash_of(earth)}" if own and earth is not None else None,
            "--corrections": None if inputs.corrections is None else _corrections(inputs.corrections),
            "--fixed-depth": inputs.fixed_depth_km,
            "--abstained": inputs.abstained,
        }

    def go(self) -> int:
        """Search what is not done yet and write the catalogue; the exit status."""
        began, settings = time.monotonic(), self.settings
        results = {chunk.number: kept for chunk in self.chunks if (kept := self.folder.read(chunk.number)) is not None}
        waiting = [chunk for chunk in self.chunks if chunk.number not in results]
        shown = sys.stderr.isatty() if settings.progress is None else settings.progress
        with tqdm(
            total=len(self.chunks), initial=len(results), unit="chunk", file=sys.stderr, disable=not shown, leave=False
        ) as bar:
            for result in each(partial(search, settings.inputs), waiting, settings.workers, settings.scheduler):
                results[result.chunk.number] = result
                if result.lasting:
                    self.folder.write(result)
                bar.update()
        seconds = time.monotonic() - began
        ordered = [results[chunk.number] for chunk in self.chunks]
        self.events = named(unique(solution for result in ordered for solution in result.solutions))
        self.folder.finish(self.events)
        self._tell(ordered, sum(chunk.end - chunk.start for chunk in waiting), seconds)
        return EXIT_EVENTS if any(result.problem for result in ordered) else EXIT_OK

    def _tell(self, results: list[ChunkResult], searched_s: float, seconds: float) -> None:
        lost = [result for result in results if result.problem]
        warn([f"{iso_time(one.chunk.start)} to {iso_time(one.chunk.end)}: {one.problem}" for one in lost])
        done = [result for result in results if not result.problem]
        reasons = Counter[str]()
        for result in done:
            reasons.update(result.reasons or {})
        hours = sum(one.chunk.end - one.chunk.start for one in done) / 3600.0
        parts = [f"{counted(sum(event.accepted for event in self.events), 'event')} in {hours:.2f} hours"]
        if done:
            most = max(one.listed for one in done)
            share = sum(one.coverage for one in done) / len(done)
            parts.append(f"data of {100.0 * share:.0f} % of the time of {counted(most, 'station')}")
        parts.append(counted(sum(one.candidates for one in done), "candidate"))
        parts += [f"{number} {reason}" for reason, number in reasons.most_common()]
        if lost:
            parts.append(f"{len(lost)} of {counted(len(results), 'chunk')} without")
        pace = f", {seconds / (searched_s / 3600.0):.0f} s per hour of data" if searched_s else ""
        print(f"{'; '.join(parts)} ({seconds:.1f} s{pace})", file=sys.stderr)


def _digest(path: Path) -> str:
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read ({error.strerror or error})") from error


def _corrections(path: Path) -> str:
    """Corrections by what they are, however the file writes them. Raises ModelError."""
    return f"sha256:{hashlib.sha256(corrections_json(read_corrections(path), str(path))).hexdigest()}"


def with_threads(inputs: Inputs, workers: int, scheduler: str | None) -> Inputs:
    """Workers that share a machine take one thread each unless told otherwise."""
    return replace(inputs, threads=1) if inputs.threads == 0 and (workers > 1 or scheduler) else inputs
