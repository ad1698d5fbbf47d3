"""The plugin's own locator asked about test events, as an operator would ask it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from obspy import Stream

from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.locate import Job, Locator, RunsModel, required_window
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.records import Solution, Trigger
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.waveforms import WaveformSource

from .noise import extend_noise

FloatArray = NDArray[np.float64]

LEAST_NOISE_SAMPLES = 64


@dataclass(frozen=True)
class Truth:
    """Catalogue hypocentres in the frame of the model: ``x_km``, ``y_km``, ``depth_km``, ``time`` (POSIX), (event,)."""

    x_km: FloatArray
    y_km: FloatArray
    depth_km: FloatArray
    time: FloatArray

    def __len__(self) -> int:
        return int(self.x_km.size)


@dataclass(frozen=True)
class Answers:
    """What the locator said, (event, draw): answer minus truth; NaN where it said nothing.

    ``east_km``, ``north_km``, ``depth_km``, ``time_s`` errors; ``covariance_km2`` (event, draw, 3, 3); ``accepted``;
    ``reasons`` of abstention, one per event that has one in the first draw.
    """

    east_km: FloatArray
    north_km: FloatArray
    depth_km: FloatArray
    time_s: FloatArray
    covariance_km2: FloatArray
    accepted: NDArray[np.bool_]
    reasons: tuple[str, ...]

    @property
    def epicentre_km(self) -> FloatArray:
        """Epicentre errors (event, draw)."""
        return np.hypot(self.east_km, self.north_km)


def truth_of(triggers: Sequence[Trigger], frame: LocalFrame) -> Truth:
    """Catalogue hypocentres of ``triggers`` in ``frame``; ValueError where one has none."""
    rows = []
    for trigger in triggers:
        if trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
            raise ValueError(f"{trigger.public_id} has no hypocentre: it cannot be tested on")
        rows.append((trigger.latitude, trigger.longitude, trigger.depth_km, trigger.time))
    latitude, longitude, depth, time = np.array(rows, float).T
    x, y = frame.to_local(latitude, longitude)
    return Truth(x, y, depth, time)


def job(trigger: Trigger, source: WaveformSource, passport: Passport, seed_ids: Sequence[str]) -> Job:
    """Fetch what locating ``trigger`` needs."""
    acquired = source.get_waveforms(seed_ids, *required_window(trigger, passport, magnitude=False))
    return Job(trigger, acquired.stream, None, acquired.dropped)


def without(item: Job, station_ids: Iterable[str]) -> Job:
    """The job without the waveforms of some stations (``NET.STA``)."""
    gone = frozenset(station_ids)
    kept = [t for t in item.stream if f"{t.stats.network}.{t.stats.station}" not in gone]
    return replace(item, stream=Stream(kept))


def smaller(item: Job, factor: float, before: float, rng: np.random.Generator) -> Job:
    """The event scaled by ``factor`` (below 1) with the station's own noise kept.

    The noise is what each trace holds before ``before`` (POSIX s), made longer by phase randomisation
    (:func:`~dlloc_training.noise.extend_noise`); as much of it is added as scaling took away. Traces with less than
    LEAST_NOISE_SAMPLES before that time are left out.
    """
    out = []
    for trace in item.stream:
        stop = int((before - trace.stats.starttime.timestamp) * trace.stats.sampling_rate)
        data = np.asarray(trace.data, float)
        if stop < LEAST_NOISE_SAMPLES or not np.all(np.isfinite(data)):
            continue
        noise = extend_noise(data[:stop], data.size, rng)
        scaled = trace.copy()
        scaled.data = factor * data + np.sqrt(1.0 - factor**2) * noise
        out.append(scaled)
    return replace(item, stream=Stream(out))


def ask(
    model: RunsModel, inventory: object, jobs: Sequence[Job], anchor_shift_s: float = 0.0, batch_size: int = 16
) -> tuple[Solution, ...]:
    """Solutions of ``jobs``, in order, without magnitudes."""
    options = Options(anchor_shift_s=anchor_shift_s, magnitude=False, batch_size=batch_size)
    return tuple(Locator(model, inventory, options).locate_many(jobs))


def compare(draws: Sequence[Sequence[Solution]], truth: Truth, frame: LocalFrame) -> Answers:
    """Solutions of every draw (draw, event) against the truth."""
    shape = (len(truth), len(draws))
    errors = np.full((4, *shape), np.nan)
    covariance, accepted = np.full((*shape, 3, 3), np.nan), np.zeros(shape, bool)
    for d, solutions in enumerate(draws):
        for k, solution in enumerate(solutions):
            accepted[k, d] = solution.accepted
            place = solution.hypocenter
            if place is None:
                continue
            x, y = frame.to_local(place.latitude, place.longitude)
            errors[:, k, d] = (
                float(x) - truth.x_km[k],
                float(y) - truth.y_km[k],
                place.depth_km - truth.depth_km[k],
                place.time - truth.time[k],
            )
            covariance[k, d] = place.covariance_km2
    reasons = tuple(s.abstention.reason for s in draws[0] if s.abstention is not None) if draws else ()
    east, north, depth, time = errors
    return Answers(east, north, depth, time, covariance, accepted, reasons)


def identical(one: Solution, other: Solution) -> bool:
    """Whether two solutions agree to the last bit in everything but the trigger that they answer."""
    first, second = one.hypocenter, other.hypocenter
    if (first is None) != (second is None):
        return False
    if first is not None and second is not None:
        if first.covariance_km2.tobytes() != second.covariance_km2.tobytes():
            return False
        if replace(first, covariance_km2=second.covariance_km2) != second:
            return False
    return replace(one, trigger=other.trigger, hypocenter=None) == replace(other, hypocenter=None)


@dataclass(frozen=True)
class TriggerTest:
    """What wrong triggers do. Shares are of the events with an anchor in the undisturbed run.

    ``moved_identical``: of the events, how many answered bit-equal with the trigger's epicentre ``moved_km`` away;
    ``same_anchor``: per shift of the trigger's time (s), the share with the same anchor.
    """

    events: int
    moved_km: float
    moved_identical: int
    anchored: int
    same_anchor: dict[float, float]


@dataclass(frozen=True)
class ForcedAnchor:
    """The anchor forced off by ``shift_s``: mean epicentre error, its change over the events answered both times, and
    how far the epicentres moved (km)."""

    shift_s: float
    answered: int
    mean_km: float
    change_km: float
    moved_mean_km: float
    moved_median_km: float
    moved_largest_km: float


def moved(trigger: Trigger, distance_km: float, azimuth_deg: float) -> Trigger:
    """The trigger with its epicentre moved."""
    if trigger.latitude is None or trigger.longitude is None:
        return trigger
    angle = np.radians(azimuth_deg)
    frame = LocalFrame(trigger.latitude, trigger.longitude)
    latitude, longitude = frame.to_geographic(distance_km * np.sin(angle), distance_km * np.cos(angle))
    return replace(trigger, latitude=float(latitude), longitude=float(longitude))


def trigger_test(
    run: Callable[[Sequence[Job]], tuple[Solution, ...]],
    fetch: Callable[[Trigger], Job],
    jobs: Sequence[Job],
    clean: Sequence[Solution],
    moved_km: float = 50.0,
    shifts_s: tuple[float, ...] = (-5.0, 5.0),
    tolerance_s: float = 1e-3,
) -> TriggerTest:
    """Move every trigger's epicentre (azimuths by the golden angle) and time, fetch again, locate again."""
    golden_angle = 180.0 * (3.0 - 5.0**0.5)
    elsewhere = run([fetch(moved(item.trigger, moved_km, golden_angle * k)) for k, item in enumerate(jobs)])
    equal = sum(identical(a, b) for a, b in zip(clean, elsewhere, strict=True))
    anchors = np.array([np.nan if s.anchor is None else s.anchor for s in clean])
    there = np.isfinite(anchors)
    shares = {}
    for shift in shifts_s:
        late = run([fetch(replace(item.trigger, time=item.trigger.time + shift)) for item in jobs])
        found = np.array([np.nan if s.anchor is None else s.anchor for s in late])
        same = np.abs(found - anchors) <= tolerance_s
        shares[shift] = float(np.mean(same[there])) if np.any(there) else np.nan
    return TriggerTest(len(jobs), moved_km, equal, int(np.count_nonzero(there)), shares)


def forced(shift_s: float, clean: Answers, shifted: Answers) -> ForcedAnchor:
    """Compare a run with a forced anchor with the undisturbed one, over the events that both answer."""
    both = np.isfinite(clean.epicentre_km[:, 0]) & np.isfinite(shifted.epicentre_km[:, 0])
    if not np.any(both):
        return ForcedAnchor(shift_s, 0, *([np.nan] * 5))
    before, after = clean.epicentre_km[both, 0], shifted.epicentre_km[both, 0]
    way = np.hypot((shifted.east_km - clean.east_km)[both, 0], (shifted.north_km - clean.north_km)[both, 0])
    return ForcedAnchor(
        shift_s,
        int(np.count_nonzero(both)),
        float(after.mean()),
        float(after.mean() - before.mean()),
        float(way.mean()),
        float(np.median(way)),
        float(way.max()),
    )
