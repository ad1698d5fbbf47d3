"""When the locator does not stand by a solution. Each rule is a function of what it needs and nothing else.

A rule returns an :class:`~seiscomp_dlloc.records.Abstention` or None; :func:`first` picks the one that is written.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import ModelMismatch, NoEventFound, TooFewStations
from .passport import Calibration, Region
from .records import Abstention, Dropped, PlaneWave

FloatArray = NDArray[np.float64]

TOO_FEW_STATIONS = TooFewStations.reason
NO_EVENT = NoEventFound.reason
MODEL_MISMATCH = ModelMismatch.reason
LOW_PEAK = "low peak"
OUTSIDE_REGION = "outside region"
TWO_EVENTS = "two events in the window"
MISSING_DATA = "missing data"

MAIN_LOBE_S = 3.0
"""A second burst is sought farther than this from the origin time: the short window and location errors smear it."""

BURST_RATIO = 0.25
"""A second burst's stack reaches this share of the first one's (its onsets stand in the first one's coda) ..."""

BURST_LEVEL = math.log(2.5)
"""... and this level, a mean STA/LTA of 2.5, which a mislocated event's many flat maxima seldom reach.

Both were chosen on Oklahoma's 250 training events alone (bench/second_events.py): of the rules that call at most 4 %
of single events double, at the catalogue's place and up to 5 km off it, the one that finds most doublets made of two
of them.
"""


def first(rules: Iterable[Abstention | None]) -> Abstention | None:
    """The first reason; the details of the others are appended to its detail."""
    found = [rule for rule in rules if rule is not None]
    if not found:
        return None
    also = "; ".join(f"also {item.reason}: {item.detail}" for item in found[1:])
    return Abstention(found[0].reason, f"{found[0].detail}; {also}" if also else found[0].detail)


def _named(dropped: Sequence[Dropped], most: int = 5) -> str:
    names = [f"{item.seed_id} ({item.reason})" for item in dropped]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"; left out: {', '.join(names[:most])}{more}" if names else ""


def too_few_stations(used: int, needed: int, dropped: Sequence[Dropped] = ()) -> Abstention | None:
    """Fewer usable stations than the passport's ``min_stations``."""
    if used >= needed:
        return None
    return Abstention(TOO_FEW_STATIONS, f"{used} usable, the model needs {needed}{_named(dropped)}")


def station_mismatch(matched: int, needed: int, known: int, dropped: Sequence[Dropped] = ()) -> Abstention | None:
    """Fewer of the model's ``known`` stations in the inventory, at their places, than ``min_stations``."""
    if matched >= needed:
        return None
    detail = f"the inventory has {matched} of the model's {known} stations at their places, {needed} are needed"
    return Abstention(MODEL_MISMATCH, detail + _named(dropped))


def rate_mismatch(fast: int, slow: int, needed: int, rate_hz: float) -> Abstention | None:
    """So many stations (``slow``) are sampled below the passport's rate that the others (``fast``) are too few."""
    if slow == 0 or fast >= needed:
        return None
    return Abstention(MODEL_MISMATCH, f"{slow} stations are sampled below the model's {rate_hz:g} Hz, {fast} are not")


def no_event(peak: float | None, calibration: Calibration) -> Abstention | None:
    """Peak value below the passport's ``no_event_threshold``."""
    if peak is None or peak >= calibration.no_event_threshold:
        return None
    return Abstention(NO_EVENT, f"peak {peak:.3f} is below {calibration.no_event_threshold:g}")


def low_peak(peak: float | None, calibration: Calibration) -> Abstention | None:
    """Peak value below the passport's ``peak_threshold``."""
    if peak is None or peak >= calibration.peak_threshold:
        return None
    return Abstention(LOW_PEAK, f"peak {peak:.3f} is below {calibration.peak_threshold:g}")


def outside_region(latitude: float, longitude: float, region: Region, at_edge: bool) -> Abstention | None:
    """Epicentre outside the passport's box, or the image's peak on the border of its grid."""
    if not region.contains(latitude, longitude):
        box = (
            f"{region.latitude[0]:g} to {region.latitude[1]:g} N, {region.longitude[0]:g} to {region.longitude[1]:g} E"
        )
        return Abstention(OUTSIDE_REGION, f"the epicentre {latitude:.3f} N, {longitude:.3f} E is not in {box}")
    if at_edge:
        return Abstention(OUTSIDE_REGION, "the peak lies on the border of the model's grid: the event may be outside")
    return None


def far_away(wave: PlaneWave | None, score: float | None) -> Abstention | None:
    """A plane wave explains P at the stations better than any place that was searched (``score``) does P and S."""
    if wave is None:
        return None
    detail = f"P crosses the stations as a plane wave from {wave.back_azimuth_deg:.0f} degrees"
    if np.isfinite(wave.velocity_km_s):
        detail += f" at {wave.velocity_km_s:.1f} km/s"
    told = "" if score is None else f" ({wave.score:.0f} against {score:.0f})"
    return Abstention(OUTSIDE_REGION, f"{detail}, which explains more than any place near them does{told}: a far event")


def two_events(secondary_peaks: int, bursts_s: Sequence[float]) -> Abstention | None:
    """Further peaks in the image, or further bursts of energy that move out as from the same place."""
    parts = []
    if secondary_peaks:
        parts.append(f"{secondary_peaks} more peak{'s' if secondary_peaks > 1 else ''} in the location image")
    if bursts_s:
        parts.append("another burst " + ", ".join(f"{b:+.1f} s" for b in bursts_s) + " from the origin time")
    return Abstention(TWO_EVENTS, "; ".join(parts)) if parts else None


def second_bursts(
    times: FloatArray,
    stack: FloatArray,
    origin_time: float,
    ratio: float = BURST_RATIO,
    least: float = BURST_LEVEL,
) -> tuple[float, ...]:
    """Seconds from ``origin_time`` of further maxima of the onset stack (n,) over candidate origin times (n,).

    A burst is the largest value within MAIN_LOBE_S around it, farther than that from the origin time, at least
    ``ratio`` of the stack there and ``least`` high, with a dip to half of itself on the way there. Only an event
    at about the same place moves out so; one elsewhere shows in the location image instead.
    """
    delta = times - origin_time
    values = np.where(np.isfinite(stack), stack, 0.0)
    main = np.abs(delta) <= MAIN_LOBE_S
    if not np.any(main) or not np.max(values[main]) > 0:
        return ()
    centre = int(np.argmin(np.abs(delta)))
    level = max(ratio * float(np.max(values[main])), least)
    found = []
    for index in np.flatnonzero(~main & (values >= level)):
        near = np.abs(delta - delta[index]) <= MAIN_LOBE_S
        between = values[index : centre + 1] if index < centre else values[centre : index + 1]
        if values[index] >= np.max(values[near]) and np.min(between) <= 0.5 * values[index]:
            found.append(float(delta[index]))
    return tuple(found)


def missing_data(
    p_times: FloatArray, s_times: FloatArray, spans: Sequence[tuple[float, float] | None], needed: int
) -> Abstention | None:
    """Fewer than ``needed`` stations whose record within the window holds both predicted P and S.

    ``p_times``, ``s_times`` (station,) POSIX s; ``spans`` (station,) first and last valid time, None without data.
    """
    whole = sum(
        1
        for p, s, span in zip(p_times, s_times, spans, strict=True)
        if span is not None and span[0] <= p and s <= span[1]
    )
    if whole >= needed:
        return None
    there = sum(1 for span in spans if span is not None)
    return Abstention(
        MISSING_DATA, f"the records of only {whole} of {there} stations hold the predicted P and S, {needed} are needed"
    )
