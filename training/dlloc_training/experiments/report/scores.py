"""Every network and every trivial baseline on every set, measured once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.geometry import LocalFrame

from ... import metrics
from ...metrics import Coverage
from ..predictions import HELD_OUT, RECORDED_HELD_OUT, Predictions
from .measures import FOLLOWED, LEVELS, QUANTITIES, Measure, coverage_of, errors_of, measure
from .results import RECORDED, THEORETICAL, NetworkResults, Results, is_recorded
from .trivial import MEAN, NEAREST, mean_errors, nearest_errors

FloatArray = NDArray[np.float64]
Errors = Mapping[str, FloatArray]

BASELINES = (MEAN, NEAREST)


@dataclass(frozen=True)
class Score:
    """One row: a network or a baseline on a set of ``events``.

    ``measures`` by quantity; ``coverage`` by region, at 68 and 90 %; ``skill`` by baseline and quantity: 1 - mean
    absolute error / the baseline's, over the events that both answer.
    """

    title: str
    events: int
    errors: Errors
    measures: Mapping[str, Measure]
    coverage: Mapping[str, tuple[Coverage, ...]]
    skill: Mapping[str, Mapping[str, float]]

    @property
    def answered(self) -> float:
        """Share of events with any answer."""
        known = np.array([np.isfinite(values) for values in self.errors.values()])
        return float(np.mean(known.any(axis=0)))


@dataclass(frozen=True)
class Scores:
    """``networks`` by (network, set), ``baselines`` by (baseline, set)."""

    networks: Mapping[tuple[str, str], Score]
    baselines: Mapping[tuple[str, str], Score]


def score_all(results: Results, frame: LocalFrame) -> Scores:
    """Measure everything. ``frame``: where x and y are in."""
    networks, baselines = {}, {}
    for name in results.sets:
        for network in results.of(name):
            simple = baseline_errors(network, name, results, frame)
            networks[network.plan.name, name] = _of_network(network, name, simple)
            for title, errors in simple.items():
                if (title, name) not in baselines:
                    count = len(network.sets[name])
                    baselines[title, name] = Score(title, count, errors, _measures(errors), {}, {})
    return Scores(networks, baselines)


def baseline_errors(network: NetworkResults, name: str, results: Results, frame: LocalFrame) -> dict[str, Errors]:
    """Errors by baseline on the events of a network's set; recorded training events where both are recorded."""
    training = results.training.get(RECORDED if is_recorded(name) else THEORETICAL) or results.training.get(THEORETICAL)
    if training is None:
        return {}
    events = network.sets[name]
    return {
        MEAN: mean_errors(events, training, frame, _held_out(network, name)),
        NEAREST: nearest_errors(events, training, frame),
    }


def _held_out(network: NetworkResults, name: str) -> Predictions | None:
    """Events that a constant may be taken from: held out of training, and not those that are measured."""
    for kind in (RECORDED_HELD_OUT, HELD_OUT) if is_recorded(name) else (HELD_OUT,):
        if kind != name and kind in network.sets:
            return network.sets[kind]
    return None


def _measures(errors: Errors) -> dict[str, Measure]:
    found = {name: measure(errors[name]) for name in QUANTITIES if name in errors}
    return {name: value for name, value in found.items() if value is not None}


def _of_network(network: NetworkResults, name: str, simple: Mapping[str, Errors]) -> Score:
    events = network.sets[name]
    errors = errors_of(events)
    covered = {}
    for region in FOLLOWED:
        stated = [coverage_of(events, region, level) for level in LEVELS]
        if all(share is not None for share in stated):
            covered[region] = tuple(share for share in stated if share is not None)
    against = {title: skill_against(errors, theirs) for title, theirs in simple.items()}
    return Score(network.title, len(events), errors, _measures(errors), covered, against)


def skill_against(ours: Errors, theirs: Errors) -> dict[str, float]:
    """Skill by quantity, where both know something and the other one errs at all."""
    skill = {}
    for name in ours.keys() & theirs.keys():
        both = np.isfinite(ours[name]) & np.isfinite(theirs[name])
        if both.any() and np.any(theirs[name][both]):
            means = (float(np.abs(errors[name][both]).mean()) for errors in (ours, theirs))
            skill[name] = metrics.skill(*means)
    return skill
