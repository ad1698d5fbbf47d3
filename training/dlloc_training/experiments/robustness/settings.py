"""Section ``evaluation.robustness`` of an experiment's file, with what it leaves out filled in."""

from dataclasses import dataclass
from typing import Any

from seiscomp_dlloc.errors import SettingError

from ..plans import NetworkPlan
from ..predictions import RECORDED_TEST, TEST
from ..reading import ExperimentFile

RECREATED = "re-created"
"""Theoretical events at the hypocentres of the recorded test events: what a network makes of them has none of the
catalogue's errors in it."""


@dataclass(frozen=True)
class Robustness:
    """Which networks and sets are tested, at most so many ``events`` of each, and how far each thing goes wrong.

    An empty tuple, or 0, leaves a test out. ``magnitudes``: what events are scaled to; ``snr``: peak over standard
    deviation of the noise; ``anchor_errors_s``: of the window's anchor, positive where it is late; ``dead``,
    ``noise_alone``, ``wrong_gain``: stations without data, with nothing but noise, with amplitudes ``gain_factor``
    times too large or too small; ``kept_shares``: of the stations, in a thinned network; ``second_ratios``: amplitude
    of another event over that of the first, ``second_delays_s``: its origin time after that of the first;
    ``noise_windows``: windows without an event; ``outside_km``: how far beyond the region's sides ``outside_events``
    are made.
    """

    networks: tuple[str, ...]
    sets: tuple[str, ...]
    events: int = 100
    magnitudes: tuple[float, ...] = (1.5, 1.0, 0.5)
    snr: tuple[float, ...] = (30.0, 10.0, 5.0, 3.0, 2.0)
    anchor_errors_s: tuple[float, ...] = (-5.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 5.0)
    dead: tuple[int, ...] = (1, 2, 3, 5, 8, 10, 15)
    noise_alone: tuple[int, ...] = (1, 3, 5)
    wrong_gain: tuple[int, ...] = (1, 3, 5)
    gain_factor: float = 10.0
    kept_shares: tuple[float, ...] = (0.75, 0.5, 0.33)
    second_ratios: tuple[float, ...] = (0.1, 0.3, 1.0)
    second_delays_s: tuple[float, ...] = (2.0, 5.0, 10.0)
    noise_windows: int = 200
    outside_km: tuple[float, ...] = (2.0, 5.0, 10.0)
    outside_events: int = 30


def robustness_of(experiment: ExperimentFile, plans: tuple[NetworkPlan, ...]) -> Robustness | None:
    """What the file asks for; None without the section.

    Without ``networks`` those with location images are tested, without any of these all, but none that was trained on a
    part of the events; without ``sets`` the theoretical test and, where there are recorded events, these re-created and
    as recorded. Raises SettingError naming the file for networks that it has not, and for recorded sets without
    recorded events.
    """
    row = experiment.settings.get("evaluation", {}).get("robustness")
    if row is None:
        return None
    where = f"{experiment.path}: evaluation.robustness"
    known = [plan.name for plan in plans]
    full = [plan for plan in plans if plan.events_share == 1 and plan.node_stride == 1]
    usual = [plan.name for plan in full if plan.image_head] or [plan.name for plan in full]
    unknown = [name for name in row.get("networks", []) if name not in known]
    if unknown:
        raise SettingError(f"{where}.networks: no network {', '.join(unknown)}; known are {', '.join(known)}")
    for plan in plans:
        if plan.name in row.get("networks", usual) and not (plan.image_head or {"x", "y"} <= set(plan.outputs.names)):
            raise SettingError(f"{where}.networks: {plan.name} gives no x and y, so there is no error to follow")
    recorded = "recorded" in experiment.settings
    sets = row.get("sets", [TEST, RECREATED, RECORDED_TEST] if recorded else [TEST])
    if not recorded and {RECREATED, RECORDED_TEST} & set(sets):
        raise SettingError(f"{where}.sets: {RECREATED} and {RECORDED_TEST} need a section recorded")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Robustness(**{**values, "networks": tuple(row.get("networks", usual)), "sets": tuple(sets)})
