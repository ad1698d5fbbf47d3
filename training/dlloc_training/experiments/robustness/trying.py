"""Events in a condition put before networks, and what the plugin would say to the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc import trust
from seiscomp_dlloc.errors import EventError
from seiscomp_dlloc.passport import Calibration, Passport
from seiscomp_dlloc.records import Abstention

from ..bank import targets_of
from ..evaluating import Answers, answer
from ..materials import ExactSet
from ..records import Record
from ..training import Fitted
from ..windows import Windows, signal_to_noise
from .conditions import Condition, Event

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """One event in a condition as networks are shown it. ``arrays`` by name; None, and why in ``failure``, where the
    plugin could not make any. ``anchored``: whether the plugin found a first break; else the window stands where the
    earliest P is expected. ``used``: stations in the window.
    """

    record: Record
    silent: bool
    arrays: dict[str, NDArray[np.float32]] | None
    targets: FloatArray
    snr: float
    anchored: bool
    used: int
    failure: str = ""


def show(windows: Windows, event: Event, anchor_error_s: float = 0.0) -> Shown:
    """The window of an event, anchored as the plugin would, and ``anchor_error_s`` after that."""
    record, nowhere = event.finished(), np.full(5, np.nan)
    try:
        conditioned = windows.conditioned(record)
        found = windows.anchor(conditioned, record)
        anchor = (windows.predicted_anchor(record) if found is None else found) + anchor_error_s
        built = windows.at(conditioned, anchor)
    except EventError as error:
        return Shown(record, event.silent, None, nowhere, float("nan"), False, 0, error.reason)
    arrays = {name: np.asarray(built.arrays[name], np.float32) for name in windows.passport.representation["inputs"]}
    snr = signal_to_noise(conditioned, record.origin_s + windows.p_travel_s(record))
    targets = targets_of(record, windows, built.starttime)
    return Shown(record, event.silent, arrays, targets, snr, found is not None, len(built.used))


def show_all(windows: Windows, condition: Condition, events: Sequence[Event], seed: Sequence[int]) -> tuple[Shown, ...]:
    """All events that can be in the condition. Event k draws with ``seed`` and k, the same in every condition."""
    shown = []
    for number, event in enumerate(events):
        changed = condition.change(event, np.random.default_rng([*seed, number]), events)
        if changed is not None:
            shown.append(show(windows, changed, condition.anchor_error_s))
    return tuple(shown)


def abstention(passport: Passport, calibration: Calibration, shown: Shown, answers: Answers, row: int) -> str:
    """Why the plugin would not stand by an answer (row of ``answers``), by its own rules; empty where it would.

    Whether there was a first break is not asked here. Of the plugin's rules those about missing data and about further
    bursts of energy are left out, which ask the waveforms and not the network.
    """
    x, y = (float(answers.mean[row, -1, answers.names.index(name)]) for name in ("x", "y"))
    latitude, longitude = (float(v) for v in passport.frame.to_geographic(x, y))
    image = answers.peaks[row] if answers.peaks else None
    peak = image.peak if image else None
    rules: list[Abstention | None] = [
        trust.too_few_stations(shown.used, passport.min_stations),
        trust.no_event(peak, calibration),
        trust.outside_region(latitude, longitude, passport.region, bool(image and image.edge)),
        trust.low_peak(peak, calibration),
        trust.two_events(image.secondary_peaks if image else 0, ()),
    ]
    found = trust.first(rules)
    return found.reason if found else ""


def ask(fitted: Fitted, calibration: Calibration, shown: Sequence[Shown]) -> dict[str, list[object]]:
    """Columns of :class:`Outcomes` for the events shown, in their order."""
    there = [each for each in shown if each.arrays is not None]
    columns: dict[str, list[object]] = {name: [] for name in ("x_km", "y_km", "depth_km", "sigma_km", "peak", "reason")}
    answers = _answers(fitted, calibration, there) if there else None
    row = 0
    for each in shown:
        if each.arrays is None or answers is None:
            values: tuple[object, ...] = (*[float("nan")] * 5, each.failure)
        else:
            mean = dict(zip(answers.names, answers.mean[row, -1], strict=True))
            sigma = dict(zip(answers.names, answers.sigma[row, -1], strict=True))
            wrong = [mean.get(name, np.nan) - each.targets[k] for k, name in enumerate(("x", "y", "depth"))]
            if each.silent:
                wrong = [float("nan")] * 3
            peak = answers.peaks[row].peak if answers.peaks else float("nan")
            reason = abstention(fitted.passport, calibration, each, answers, row)
            values = (*wrong, float(np.hypot(sigma["x"], sigma["y"])), peak, reason)
            row += 1
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    columns["names"] = [each.record.name for each in shown]
    columns["anchored"] = [each.anchored for each in shown]
    columns["snr"] = [each.snr for each in shown]
    columns["magnitude"] = [each.record.truth.magnitude for each in shown]
    return columns


def _answers(fitted: Fitted, calibration: Calibration, shown: Sequence[Shown]) -> Answers:
    arrays = {name: np.stack([each.arrays[name] for each in shown if each.arrays]) for name in fitted.inputs}
    exact = ExactSet(
        arrays,
        np.stack([each.targets for each in shown]),
        tuple(each.record for each in shown),
        np.array([each.snr for each in shown]),
        np.zeros(len(shown), np.int64),
        np.array([each.anchored for each in shown], bool),
    )
    return answer(fitted, exact, calibration)
