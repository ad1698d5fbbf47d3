"""One chunk from waveforms to answers: fetch, find candidates, ask the locator about each."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import EventError, NoWaveforms, SettingError, WaveformReadError
from ..locate import Job, Locator, between, required_window
from ..network import inventory_stations, nothing_recorded
from ..passport import Passport
from ..records import Solution, Trigger
from ..waveforms import Acquired, WaveformSource
from .chunks import Chunk, record_of
from .detecting import Plan
from .finding import Findings, find


@dataclass(frozen=True)
class ChunkResult:
    """What a chunk gave.

    ``listed``: stations of the inventory; ``stations``: those with data; ``coverage``: the share of the time of all
    listed stations that there are data of. ``reasons``: why the locator does not stand by how many candidates.
    ``problem``: why the chunk could not be searched, '' where it was; ``lasting`` False: it may be another time.
    """

    chunk: Chunk
    listed: int = 0
    stations: int = 0
    coverage: float = 0.0
    candidates: int = 0
    reasons: dict[str, int] | None = None
    problem: str = ""
    lasting: bool = True
    solutions: tuple[Solution, ...] = ()


def check_model(passport: Passport) -> None:
    """Raises SettingError for a model that cannot find events: one of a fixed network."""
    if passport.fixed_network or passport.head["kind"] != "migration":
        raise SettingError(
            f"--model: {passport.name} belongs to one network and locates events that something else has found; a scan "
            "takes models of any network, as anynet and migration"
        )


class Searcher:
    """Searches chunks with one locator and one source of waveforms. Raises SettingError for a model that cannot."""

    def __init__(
        self,
        locator: Locator,
        inventory: Any,
        source: WaveformSource,
        abstained: bool = False,
        plan: Plan | None = None,
    ):
        check_model(locator.passport)
        self.locator, self._inventory, self._source = locator, inventory, source
        self._abstained, self._plan = abstained, plan or Plan()

    def search(self, chunk: Chunk) -> ChunkResult:
        """The chunk's events: each candidate's answer that the locator stands by, with ``abstained`` the others too.

        An event near a border of the chunk, and one with several candidates, may be there twice or in the next chunk
        too: :func:`~seiscomp_dlloc.scan.unique.unique`. Raises InputErrors only.
        """
        listed = inventory_stations(self._inventory, 0.5 * (chunk.start + chunk.end))
        if not listed:
            return ChunkResult(chunk, problem=nothing_recorded(listed))
        window = record_of(chunk, self.locator.passport, self._plan)
        try:
            acquired = self._source.get_waveforms((f"{station.id}.*.*" for station in listed), *window)
            if not acquired.stream:
                raise NoWaveforms(nothing_recorded(listed, self._source.stations(*window)))
            found = find(self.locator, acquired.stream, chunk.span, self._plan)
        except EventError as error:
            lasting = not isinstance(error, WaveformReadError)
            return ChunkResult(chunk, len(listed), problem=str(error), lasting=lasting)
        answers = [located.solution for located in self.locator.run(self._jobs(found, acquired))]
        return ChunkResult(
            chunk,
            len(listed),
            len(found.stations),
            found.coverage * len(found.stations) / len(listed),
            len(found.candidates),
            dict(Counter(one.abstention.reason for one in answers if one.abstention is not None)),
            solutions=tuple(one for one in answers if one.accepted or (self._abstained and one.hypocenter is not None)),
        )

    def _jobs(self, found: Findings, acquired: Acquired) -> Iterator[Job]:
        for candidate in found.candidates:
            trigger = Trigger(f"Candidate/dlloc/{candidate.time:.3f}", candidate.time)
            window = required_window(trigger, self.locator.passport)
            yield Job(trigger, between(acquired.stream, *window), dropped=acquired.dropped)
