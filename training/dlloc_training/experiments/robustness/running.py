"""The tests of robustness as a part of the stage ``evaluate``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seiscomp_dlloc.passport import Calibration

from ...events import station_positions
from ..inputs import Kind
from ..materials import Materials
from ..predictions import RECORDED_TEST, TEST
from ..training import Fitted
from .conditions import OUTSIDE, SILENT, Condition, Event, conditions, silenced, unchanged
from .outcomes import FOLDER, Outcomes
from .settings import RECREATED, Robustness
from .sources import Sources
from .trying import ask, show_all

_SEEDS = {TEST: 0, RECREATED: 1, RECORDED_TEST: 2}


@dataclass
class _Rows:
    """Outcomes of one network on one set while they come in."""

    conditions: list[Condition] = field(default_factory=list)
    condition: list[int] = field(default_factory=list)
    columns: dict[str, list[object]] = field(default_factory=dict)

    def add(self, condition: Condition, columns: Mapping[str, Sequence[object]]) -> None:
        self.condition += [len(self.conditions)] * len(columns["names"])
        self.conditions.append(condition)
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)

    def outcomes(self, notes: Sequence[str]) -> Outcomes:
        kinds, labels, groups, at = zip(*((c.kind, c.label, c.group, c.at) for c in self.conditions), strict=True)
        types = {"names": str, "reason": str, "anchored": bool}
        of_rows: dict[str, Any] = {
            name: np.array(values, types.get(name, float)) for name, values in self.columns.items()
        }
        said = {"kinds": np.array(kinds), "labels": np.array(labels), "groups": np.array(groups)}
        condition, texts = np.array(self.condition, np.int64), np.array(notes, str)
        return Outcomes(at=np.array(at, float), condition=condition, notes=texts, **said, **of_rows)


def _tasks(
    sources: Sources, wanted: Robustness, inputs: Kind, name: str, found: Sequence[Condition]
) -> Iterator[tuple[Condition, Sequence[Event]]]:
    """Every condition with the events that are put into it."""
    events = sources.events(inputs, name)
    for condition in found:
        yield condition, events
    if wanted.noise_windows:
        yield Condition(SILENT, "noise alone", 0.0, silenced), sources.renewed(inputs, name, events)
    if name == TEST and wanted.outside_events:
        for beyond in wanted.outside_km:
            label = f"{beyond:g} km outside the region"
            yield Condition(OUTSIDE, label, beyond, unchanged), sources.outside(inputs, beyond)


def run_robustness(
    materials: Materials,
    wanted: Robustness,
    networks: Mapping[str, tuple[Fitted, Calibration]],
    folder: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Write the outcomes of the wanted ``networks`` (those that are trained) into the run folder ``folder``.

    All networks are shown the same events, with the same noise and the same draws, condition by condition; those that
    take the same inputs together.
    """
    experiment = materials.experiment
    found = conditions(wanted, station_positions(experiment.stations, experiment.region.frame))
    sources = Sources(materials, wanted)
    tested = {name: networks[name] for name in wanted.networks if name in networks}
    kinds: list[Kind] = sorted({fitted.plan.inputs for fitted, _ in tested.values()})
    for inputs in kinds:
        of_kind = {name: pair for name, pair in tested.items() if pair[0].plan.inputs == inputs}
        for which in wanted.sets:
            rows = {name: _Rows() for name in of_kind}
            bar = partial(tqdm, desc=f"robustness, {which}, {inputs}", unit="condition", leave=False)
            tasks = _tasks(sources, wanted, inputs, which, found)
            for condition, events in bar(tasks, disable=None if materials.progress else True):
                shown = show_all(materials.windows(inputs), condition, events, (experiment.seed, 25, _SEEDS[which]))
                for name, (fitted, calibration) in of_kind.items():
                    rows[name].add(condition, ask(fitted, calibration, shown))
            for name, made in rows.items():
                made.outcomes(sources.notes_of(which)).save(folder / FOLDER / name / f"{which}.npz")
            say(f"robustness, {which}: {', '.join(of_kind)} tested")
