"""Our origins against those of other locators: which belong together, and how far apart they are.

Pure: origins in, figures out. Distances in sigma are Mahalanobis's (1936): d^2 = D' (A + B)^-1 D with D the
difference of the two hypocentres and A, B their covariances, the errors of both taken as independent and normal. d^2
then follows the chi-squared distribution with 2 (epicentre) or 3 (hypocentre) degrees of freedom. Two locators that
saw the same arrivals share errors; their distance in sigma comes out too small rather than too large.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from .errors import EventFileError
from .formats.origins import CatalogueOrigin, OriginFile
from .geometry import LocalFrame, distance_azimuth
from .origintime import first_arrival_phase
from .records import Station
from .traveltimes import PHASES, TravelTimes

FloatArray = NDArray[np.float64]
ABSTAINED = "dlloc/abstention"
"""Comment of an origin that the locator does not stand by."""

Stations = Callable[[str, float], Station | None]
"""Station of ``NET.STA`` at a time (POSIX s), None where it is unknown."""

TIME_TOLERANCE_S = 20.0
DISTANCE_TOLERANCE_KM = 150.0
EXPECTED = {68: (1.5096, 1.8724), 95: (2.4477, 2.7955)}
"""Percent -> distance in sigma of 2 and of 3 dimensions below which that share of normal errors lies."""


@dataclass(frozen=True)
class Residual:
    """One pick seen from both hypocentres: observed minus predicted (s).

    ``..._shifted``: with the origin time that fits the picks best (median of the picks in use), so that the place
    alone counts. ``distance_km`` epicentral, from the conventional origin.
    """

    station_id: str
    phase: str
    used: bool
    distance_km: float
    theirs_s: float
    ours_s: float
    theirs_shifted_s: float = math.nan
    ours_shifted_s: float = math.nan


@dataclass(frozen=True)
class Pair:
    """Our origin and the conventional one of the same event.

    ``locator``: whose the conventional one is; ``how`` they were joined. ``east_km``, ``north_km``, ``down_km``,
    ``later_s``, ``larger``: ours minus theirs. ``sigma2``, ``sigma3``: distance of epicentres and hypocentres in
    sigma, ``sigma_of`` whose covariances went in (``both``, ``ours``, ``theirs`` or ''). NaN where unknown.
    """

    ours: CatalogueOrigin
    theirs: CatalogueOrigin
    locator: str
    how: str
    east_km: float
    north_km: float
    down_km: float
    later_s: float
    larger: float
    sigma2: float
    sigma3: float
    sigma_of: str
    residuals: tuple[Residual, ...] = ()

    @property
    def event_id(self) -> str:
        """The event's publicID, else the conventional origin's."""
        return self.theirs.event_id or self.ours.event_id or self.theirs.public_id

    @property
    def epicentral_km(self) -> float:
        """Distance of the epicentres."""
        return math.hypot(self.east_km, self.north_km)

    @property
    def hypocentral_km(self) -> float:
        """Distance of the hypocentres; of the epicentres where a depth is unknown."""
        down = self.down_km if math.isfinite(self.down_km) else 0.0
        return math.hypot(self.east_km, self.north_km, down)

    @property
    def abstained(self) -> bool:
        """Whether our locator does not stand by its origin."""
        return ABSTAINED in self.ours.comments

    def rms_s(self, side: str) -> float:
        """Root mean square of the residuals ``theirs`` or ``ours`` (``theirs_shifted`` ...) of the picks in use."""
        values = np.array([getattr(r, f"{side}_s") for r in self.residuals if r.used])
        values = values[np.isfinite(values)]
        return float(np.sqrt(np.mean(values**2))) if values.size else math.nan


@dataclass(frozen=True)
class Comparison:
    """All pairs, and what found no counterpart. ``notes`` say what was decided on the way."""

    pairs: tuple[Pair, ...]
    ours_alone: tuple[CatalogueOrigin, ...]
    theirs_alone: tuple[tuple[str, CatalogueOrigin], ...]
    notes: tuple[str, ...] = ()

    @property
    def theoretical(self) -> bool:
        """Whether a file says that its seismograms were computed, not recorded."""
        return any(p.ours.theoretical or p.theirs.theoretical for p in self.pairs)

    @property
    def locators(self) -> tuple[str, ...]:
        """Names of the conventional locators, in order of their first pair."""
        return tuple(dict.fromkeys(pair.locator for pair in self.pairs))


@dataclass(frozen=True)
class Statistics:
    """Figures of the pairs of one locator; NaN where there is nothing to count.

    ``inside``: percent -> share of pairs whose distance in sigma is below what normal errors give (2-D, 3-D).
    """

    locator: str
    count: int
    epicentral_km: tuple[float, float, float]
    depth_km: tuple[float, float]
    time_s: tuple[float, float]
    magnitude: tuple[float, float]
    sigma2: float
    sigma3: float
    inside: dict[int, tuple[float, float]] = field(default_factory=dict)
    rms_theirs_s: float = math.nan
    rms_ours_s: float = math.nan


def is_ours(origin: CatalogueOrigin, method: str | None) -> bool:
    """Whether an origin is this package's: by its methodID (``method``, else DLLOC) or by its comments."""
    if method is not None:
        return method.lower() in (origin.method.lower(), origin.method.lower().rpartition(":")[2])
    return "dlloc" in origin.method.lower() or "dlloc/model" in origin.comments


def compare(
    files: Sequence[OriginFile],
    ours: str | None = None,
    time_tolerance_s: float = TIME_TOLERANCE_S,
    distance_tolerance_km: float = DISTANCE_TOLERANCE_KM,
    accepted_only: bool = False,
) -> Comparison:
    """Pairs of our origins and the conventional ones of ``files``.

    Ours are those of methodID ``ours`` (default: those that this package wrote; where there are none, or no others,
    those of the first file). Of several of ours for an event the latest counts, of several of a locator the event's
    preferred one, else the latest. Pairs are joined by event, or by the origin that ours names as its trigger, else by
    time and place within the tolerances, the nearest in time first. ``accepted_only`` leaves out those of ours that
    the locator does not stand by.

    Raises :class:`~seiscomp_dlloc.errors.EventFileError` where there is nothing to compare.
    """
    mine, others, notes = _sides(files, ours)
    mine = _latest(mine)
    abstained = sum(ABSTAINED in origin.comments for origin in mine)
    if abstained:
        fate = "are left out" if accepted_only else "are compared too"
        notes.append(f"{abstained} of our {len(mine)} origins, which the locator does not stand by, {fate}")
    if accepted_only:
        mine = [origin for origin in mine if ABSTAINED not in origin.comments]
    pairs: list[Pair] = []
    alone: list[tuple[str, CatalogueOrigin]] = []
    joined: set[int] = set()
    for locator, origins in _locators(others):
        found, rest = _join(mine, origins, time_tolerance_s, distance_tolerance_km)
        for i, theirs, how in found:
            joined.add(i)
            pairs.append(measure(mine[i], theirs, locator, how))
        alone += [(locator, origin) for origin in rest]
    left = tuple(origin for i, origin in enumerate(mine) if i not in joined)
    return Comparison(tuple(pairs), left, tuple(alone), tuple(notes))


Named = tuple[str, CatalogueOrigin]


def _sides(files: Sequence[OriginFile], method: str | None) -> tuple[list[CatalogueOrigin], list[Named], list[str]]:
    """Our origins, the others with their file's name, and notes."""
    mine = [o for file in files for o in file.origins if is_ours(o, method)]
    others = [(file.name, o) for file in files for o in file.origins if not is_ours(o, method)]
    if mine and others:
        return mine, others, []
    if method is not None:
        what = "no origin" if not mine else "every origin"
        methods = sorted({o.method or "(none)" for file in files for o in file.origins})
        raise EventFileError(f"--ours {method}: {what} has this methodID; there are {', '.join(methods[:8])}")
    if len(files) < 2:
        raise EventFileError(
            f"{files[0].name if files else 'no file'}: holds origins of one kind only; give a second file, or name "
            "our methodID with --ours"
        )
    kind = "no origin is" if not mine else "every origin is"
    note = f"{kind} marked as this package's: those of {files[0].name} stand for ours"
    return list(files[0].origins), [(file.name, o) for file in files[1:] for o in file.origins], [note]


def _keys(origin: CatalogueOrigin) -> tuple[str, ...]:
    """Identifiers by which an origin can be joined: the event's, its own, that of its trigger."""
    return tuple(key for key in (origin.event_id, origin.public_id, origin.comments.get("dlloc/trigger", "")) if key)


def _latest(origins: Iterable[CatalogueOrigin]) -> list[CatalogueOrigin]:
    """One origin per event: the one created last; in the order of the events."""
    chosen: dict[str, CatalogueOrigin] = {}
    for origin in origins:
        key = origin.event_id or origin.public_id
        if key not in chosen or origin.created >= chosen[key].created:
            chosen[key] = origin
    return list(chosen.values())


def _locators(others: Sequence[Named]) -> list[tuple[str, list[CatalogueOrigin]]]:
    """The conventional origins by locator, one per event.

    A file whose events have one origin each is one locator; else every methodID is one.
    """
    files: dict[str, list[CatalogueOrigin]] = {}
    for name, origin in others:
        files.setdefault(name, []).append(origin)
    groups: list[tuple[str, list[CatalogueOrigin]]] = []
    for name, origins in files.items():
        counts: dict[str, int] = {}
        for origin in origins:
            counts[origin.event_id or origin.public_id] = counts.get(origin.event_id or origin.public_id, 0) + 1
        stem = PurePath(name).stem
        if max(counts.values()) == 1:
            methods = {origin.method for origin in origins}
            only = methods.pop() if len(methods) == 1 else ""
            groups.append((only if only and len(files) == 1 else stem, origins))
            continue
        by_method: dict[str, list[CatalogueOrigin]] = {}
        for origin in origins:
            by_method.setdefault(origin.method or origin.author or origin.agency or "unnamed", []).append(origin)
        for method, members in by_method.items():
            chosen: dict[str, CatalogueOrigin] = {}
            for origin in members:
                key = origin.event_id or origin.public_id
                kept = chosen.get(key)
                if kept is None or (origin.preferred, origin.created) >= (kept.preferred, kept.created):
                    chosen[key] = origin
            groups.append((method if len(files) == 1 else f"{stem}: {method}", list(chosen.values())))
    taken: dict[str, int] = {}
    named = []
    for name, origins in groups:
        taken[name] = taken.get(name, 0) + 1
        named.append((name if taken[name] == 1 else f"{name} ({taken[name]})", origins))
    return named


def _join(
    mine: Sequence[CatalogueOrigin], theirs: Sequence[CatalogueOrigin], time_s: float, distance_km: float
) -> tuple[list[tuple[int, CatalogueOrigin, str]], list[CatalogueOrigin]]:
    """(place in ``mine``, their origin, how) for each pair, and their origins left over."""
    known: dict[str, int] = {}
    for i, origin in enumerate(mine):
        for key in _keys(origin):
            known.setdefault(key, i)
    pairs: list[tuple[int, CatalogueOrigin, str]] = []
    taken: set[int] = set()
    rest = []
    for origin in theirs:
        i = next((known[key] for key in _keys(origin) if known.get(key, -1) >= 0 and known[key] not in taken), -1)
        if i < 0:
            rest.append(origin)
            continue
        taken.add(i)
        pairs.append((i, origin, "event" if origin.event_id in _keys(mine[i]) else "trigger"))
    free = sorted((mine[i].time, i) for i in range(len(mine)) if i not in taken)
    near = []
    for row, origin in enumerate(rest):
        for time, i in free[bisect_left(free, (origin.time - time_s, -1)) :]:
            if time > origin.time + time_s:
                break
            away, _ = distance_azimuth(origin.latitude, origin.longitude, mine[i].latitude, mine[i].longitude)
            if float(away) <= distance_km:
                near.append((abs(time - origin.time), row, i))
    gone: set[int] = set()
    for _, row, i in sorted(near):
        if row not in gone and i not in taken:
            gone.add(row)
            taken.add(i)
            pairs.append((i, rest[row], "time and place"))
    return pairs, [origin for row, origin in enumerate(rest) if row not in gone]


def measure(ours: CatalogueOrigin, theirs: CatalogueOrigin, locator: str = "", how: str = "") -> Pair:
    """The pair with its distances, in km and in sigma."""
    frame = LocalFrame(theirs.latitude, theirs.longitude)
    east, north = (float(v) for v in frame.to_local(ours.latitude, ours.longitude))
    down = math.nan
    if ours.depth_km is not None and theirs.depth_km is not None:
        down = ours.depth_km - theirs.depth_km
    larger = math.nan
    if ours.magnitude is not None and theirs.magnitude is not None:
        larger = ours.magnitude - theirs.magnitude
    difference = np.array([east, north, down])
    total, whose = _summed(ours.covariance_km2, theirs.covariance_km2, 2)
    total3, _ = _summed(ours.covariance_km2, theirs.covariance_km2, 3)
    return Pair(
        ours, theirs, locator, how, east, north, down, ours.time - theirs.time, larger,
        in_sigma(difference[:2], total), in_sigma(difference, total3), whose,
    )  # fmt: skip


def _summed(ours: FloatArray, theirs: FloatArray, size: int) -> tuple[FloatArray, str]:
    """Sum of the known covariances (size, size), NaN where neither is known, and whose they are."""
    parts = {"ours": ours[:size, :size], "theirs": theirs[:size, :size]}
    known = {name: part for name, part in parts.items() if np.isfinite(part).all()}
    if not known:
        return np.full((size, size), np.nan), ""
    total: FloatArray = np.sum(list(known.values()), axis=0)
    return total, "both" if len(known) == 2 else next(iter(known))


def in_sigma(difference: FloatArray, covariance: FloatArray) -> float:
    """Mahalanobis distance of ``difference`` (n,) under ``covariance`` (n, n); NaN where either is unknown."""
    if not (np.isfinite(difference).all() and np.isfinite(covariance).all()):
        return math.nan
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    if values[0] <= 1e-12 * values[-1] or values[-1] <= 0:
        return math.nan
    return float(np.sqrt(np.sum((difference @ vectors) ** 2 / values)))


def with_residuals(pair: Pair, stations: Stations, travel_times: TravelTimes) -> Pair:
    """The pair with the residuals of the conventional origin's P and S picks at both hypocentres."""
    rows = []
    for pick in pair.theirs.picks:
        phase, station = first_arrival_phase(pick.phase), stations(pick.station_id, pick.time)
        if phase is not None and station is not None:
            rows.append((pick, phase, station))
    if not rows:
        return pair
    observed = np.array([pick.time for pick, _, _ in rows])
    phases = np.array([phase for _, phase, _ in rows])
    used = np.array([pick.used for pick, _, _ in rows])
    latitude, longitude, elevation = (
        np.array([getattr(s, name) for _, _, s in rows]) for name in ("latitude", "longitude", "elevation_m")
    )
    sides, distances = [], []
    for origin in (pair.theirs, pair.ours):
        distance, _ = distance_azimuth(origin.latitude, origin.longitude, latitude, longitude)
        predicted = np.full(len(rows), np.nan)
        for phase in PHASES:
            here = phases == phase
            if here.any() and origin.depth_km is not None:
                predicted[here] = travel_times.times(phase, distance[here], origin.depth_km, elevation[here])
        raw = observed - origin.time - predicted
        counted = raw[used & np.isfinite(raw)]
        sides += [raw, raw - (np.median(counted) if counted.size else math.nan)]
        distances.append(distance)
    residuals = tuple(
        Residual(
            pick.station_id, phase, pick.used, float(distances[0][i]),
            float(sides[0][i]), float(sides[2][i]), float(sides[1][i]), float(sides[3][i]),
        )
        for i, (pick, phase, _) in enumerate(rows)
    )  # fmt: skip
    return replace(pair, residuals=residuals)


ORDERS: dict[str, Callable[[Pair], float]] = {
    "km": lambda pair: pair.hypocentral_km,
    "sigma": lambda pair: pair.sigma3 if math.isfinite(pair.sigma3) else pair.sigma2,
    "depth": lambda pair: abs(pair.down_km),
    "time": lambda pair: abs(pair.later_s),
    "magnitude": lambda pair: abs(pair.larger),
}
"""Name -> by what the worst are found."""


def worst_first(pairs: Iterable[Pair], order: str = "km") -> tuple[Pair, ...]:
    """Pairs by one of :data:`ORDERS`, the largest first, the unknown last."""
    key = ORDERS[order]
    return tuple(sorted(pairs, key=lambda p: (not math.isfinite(key(p)), -key(p) if math.isfinite(key(p)) else 0.0)))


def statistics(comparison: Comparison) -> tuple[Statistics, ...]:
    """Figures for each locator: medians, shares and, of epicentral distances, the 68th and 95th percentile."""
    return tuple(
        _statistics(locator, [p for p in comparison.pairs if p.locator == locator]) for locator in comparison.locators
    )


def _statistics(locator: str, pairs: Sequence[Pair]) -> Statistics:
    def known(name: str) -> FloatArray:
        values = np.array([getattr(pair, name) for pair in pairs], float)
        return np.asarray(values[np.isfinite(values)])

    def middle(values: FloatArray) -> tuple[float, float]:
        """Median and 1.4826 times the median absolute deviation."""
        if not values.size:
            return math.nan, math.nan
        centre = float(np.median(values))
        return centre, 1.4826 * float(np.median(np.abs(values - centre)))

    def typical(side: str) -> float:
        values = np.array([pair.rms_s(side) for pair in pairs])
        return middle(values[np.isfinite(values)])[0]

    flat, full = known("sigma2"), known("sigma3")
    p50, p68, p95 = (float(v) for v in np.percentile(known("epicentral_km"), [50, 68, 95]))
    inside = {
        percent: tuple(
            float(np.mean(values <= limit)) if values.size else math.nan
            for values, limit in zip((flat, full), limits, strict=True)
        )
        for percent, limits in EXPECTED.items()
    }
    return Statistics(
        locator, len(pairs), (p50, p68, p95), middle(known("down_km")), middle(known("later_s")),
        middle(known("larger")), middle(flat)[0], middle(full)[0],
        {percent: (shares[0], shares[1]) for percent, shares in inside.items()},
        typical("theirs_shifted"), typical("ours_shifted"),
    )  # fmt: skip
