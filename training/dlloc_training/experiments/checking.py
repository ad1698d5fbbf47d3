"""What is wrong with an experiment's networks, found before anything long begins."""

import re
from collections.abc import Sequence

from seiscomp_dlloc.errors import SettingError

from ..networks.sigma_calibration import LEAST_EVENTS
from ..slim import SlimFCN
from .building import Network, common_parts, make_network, passport_of, shapes
from .drawing import HELD_OUT, TRAIN, draw_events
from .models import highest_hz
from .plans import NetworkPlan, plan_of
from .reading import ExperimentFile

CLEAR_OF_BAND = 1.25
"""Seismograms that reach so far above the band have nothing in it before P that real ones have not (precursors of
0.06 % of the peak where they were 0.8 %, in the 90th percentile of a network of 15 stations)."""


def check_networks(experiment: ExperimentFile, chosen: Sequence[NetworkPlan]) -> None:
    """Build each network and look whether it could be trained and calibrated. Raises SettingError naming the file."""
    _check_windows(experiment, chosen)
    events = draw_events(experiment)
    train, held_out = len(events.of(TRAIN)), len(events.of(HELD_OUT))
    aside = experiment.settings.get("recorded", {}).get("held_out")
    for plan in chosen:
        network = _built(experiment, plan)
        if plan.start is not None:
            other = _built(experiment, plan_of(experiment, plan.start))
            searched = plan.searched or plan_of(experiment, plan.start).searched
            part, theirs = common_parts(network, other)
            if not searched and shapes(part) != shapes(theirs):
                raise SettingError(
                    f"{experiment.path}: networks.{plan.name}.start: the weights of {plan.start} do not fit; give both "
                    "the same settings"
                )
        needed = 1 if isinstance(network, SlimFCN) else LEAST_EVENTS
        if plan.data == "theoretical" and held_out < needed:
            raise SettingError(
                f"{experiment.path}: events: {held_out} of {train + held_out} events are held out, "
                f"networks.{plan.name} needs {needed} for selection and calibration; raise held_out_share, or ask for "
                "more events"
            )
        if plan.data != "theoretical" and aside is not None and aside < needed:
            raise SettingError(
                f"{experiment.path}: recorded.held_out: networks.{plan.name} needs {needed} recorded events for "
                f"selection and calibration, not {aside}"
            )


def _check_windows(experiment: ExperimentFile, chosen: Sequence[NetworkPlan]) -> None:
    """Raise SettingError where the records do not hold what the networks are to be given."""
    settings, path = experiment.settings, experiment.path
    records, stations = settings["records"], len(experiment.stations)
    half, high = 0.5 * records["sampling_rate_hz"], settings.get("preprocessing", {}).get("band_hz", [0.0, 0.0])[1]
    if high >= half:
        raise SettingError(
            f"{path}: preprocessing.band_hz: {high:g} Hz is not below {half:g} Hz, half the records' sampling rate"
        )
    length = records.get("before_s", 0.0) + records["duration_s"]
    for plan in chosen:
        needed = passport_of(experiment, plan).preprocessing
        window = needed.window_samples / needed.sampling_rate_hz
        if window > length:
            entry = "preprocessing.window_s" if plan.inputs == "stations" else "images.frames"
            raise SettingError(
                f"{path}: {entry}: windows of {window:g} s, which networks.{plan.name} takes, are longer than the "
                f"records, {length:g} s; make records.before_s or records.duration_s longer"
            )
    lost = settings.get("augmentation", {}).get("lost", 0)
    if lost >= stations:
        raise SettingError(f"{path}: augmentation.lost: {lost} of {stations} stations lost leaves none")


def doubts(experiment: ExperimentFile) -> list[str]:
    """What is allowed and most likely not meant, a line each."""
    if "preprocessing" not in experiment.settings:
        return []
    highest, upper = highest_hz(experiment), experiment.settings["preprocessing"]["band_hz"][1]
    half = 0.5 * experiment.settings["records"]["sampling_rate_hz"]
    if highest >= min(CLEAR_OF_BAND * upper, half):
        return []
    return [
        f"{experiment.path}: records.highest_hz {highest:g} is hardly above the band, which reaches to {upper:g} Hz: "
        "the end of the spectrum rings for a second before P, which STA/LTA takes for the first break; set it to "
        f"{min(CLEAR_OF_BAND * upper, half):g} or more"
    ]


def check_version(version: str) -> None:
    """Raise SettingError for what is no version of a model."""
    if not re.fullmatch(r"\d+\.\d+\.\d+[a-z0-9.+-]*", version):
        raise SettingError(f"model version {version!r}: give three numbers, like 1.0.0")


def _built(experiment: ExperimentFile, plan: NetworkPlan) -> Network:
    passport = passport_of(experiment, plan)
    try:
        return make_network(plan, passport)
    except SettingError as error:
        raise SettingError(f"{experiment.path}: {error}") from error
