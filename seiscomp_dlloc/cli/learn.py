"""Rounds of locating past events and learning what their onsets are late by."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from ..arrivals.corrections import StationCorrections
from ..arrivals.learning import learn, learn_sources, residuals_of, seen_from
from ..errors import SettingError
from ..network import inventory_stations
from ..records import Onset, Solution, Station, Trigger
from ..wording import counted
from .run import Run, Settings

FARTHEST_S = 1.0
"""No ground makes half of all onsets later or earlier than the others by more."""


class LearningRun:
    """Inputs opened and checked; :meth:`go` learns. Raises InputErrors."""

    def __init__(self, settings: Settings):
        self._run = Run(settings)
        passport = self._run.model.passport
        if passport.fixed_network:
            raise SettingError(
                f"--model: {passport.name} belongs to one network, whose travel times it has learned; corrections are "
                "for models of any network"
            )
        self._spread: list[float] = []
        self._used = 0

    def go(self, rounds: int, located: bool = False) -> StationCorrections:
        """Locate the events ``rounds`` times, the first time without corrections; the last corrections.

        ``located``: the events lie where --events says, and their onsets are late from there; by place, where that
        foretells them better.
        """
        locator, found = self._run.locator, None
        shown = sys.stderr.isatty() if self._run.settings.progress is None else self._run.settings.progress
        total = rounds * len(self._run.triggers.triggers)
        with tqdm(total=total, unit="event", file=sys.stderr, disable=not shown, leave=False) as bar:
            for _ in range(rounds):
                solutions: list[Solution] = []
                for solution in locator.with_corrections(found).locate_many(self._run.jobs()):
                    solutions.append(solution)
                    bar.update()
                seen = [(s.trigger, self._onsets(s, located)) for s in solutions if s.accepted]
                residuals = residuals_of(onsets for _, onsets in seen)
                every = [value for values in residuals.values() for value in values]
                self._spread.append(float(np.median(np.abs(every))) if every else float("nan"))
                if located and self._spread[-1] > FARTHEST_S:
                    raise SettingError(
                        f"--located: onsets are {self._spread[-1]:.1f} s (median) from where the hypocentres of "
                        "--events and the earth model have them; mend what is wrong, or leave --located out"
                    )
                self._used = sum(solution.accepted for solution in solutions)
                found = learn(residuals, locator.earth_model, None if located else found)
        if found is None:
            raise SettingError("--rounds: at least one is needed")
        return replace(found, sources=learn_sources(seen, self._stations(seen), found)) if located else found

    def _stations(self, events: Sequence[tuple[Trigger, object]]) -> list[Station]:
        """Every station that the inventory has at the time of any of the events."""
        stations = (inventory_stations(self._run.inventory, trigger.time) for trigger, _ in events)
        return list({station.id: station for at_once in stations for station in at_once}.values())

    def _onsets(self, solution: Solution, located: bool) -> tuple[Onset, ...]:
        if not located:
            return solution.onsets
        return seen_from(solution.onsets, self._run.locator.arrival_times(solution.trigger))

    def table(self, corrections: StationCorrections) -> str:
        """The corrections for a reader: station, P and S delays with their events and scatter."""
        lines = [f"{'station':<12}{'P, s':>8}{'events':>8}{'scatter':>9}{'S, s':>8}{'events':>8}{'scatter':>9}"]
        for station in corrections.stations:
            line = f"{station.station_id:<12}"
            for delay in (station.p, station.s):
                if delay is None:
                    line += f"{'-':>8}{0:>8}{'-':>9}"
                else:
                    scatter = "-" if delay.scatter_s is None else f"{delay.scatter_s:.3f}"
                    line += f"{delay.delay_s:>8.3f}{delay.events:>8}{scatter:>9}"
            lines.append(line)
        return "\n".join(lines)

    def summary(self, corrections: StationCorrections) -> str:
        """How many events were used, how far onsets were from their predicted times from round to round, and what going
        by place takes away of that.
        """
        spread = ", ".join(f"{value:.3f}" for value in self._spread)
        text = f"{counted(self._used, 'event')} used; median absolute residual by round: {spread} s"
        if corrections.sources is None:
            return text
        return (
            f"{text}\ndelays go by place, over {corrections.sources.length_km:g} km: events that they were not learned "
            f"from keep {100 * corrections.left_share:.0f} % of what the stations' own delays leave"
        )
