"""What goes wrong with an event, each as a small function: an event in, the event in that condition out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ...augment import superposed
from ...made import Example
from ..augmenting import of_length
from ..records import Record
from .settings import Robustness

FloatArray = NDArray[np.float64]

UNPERTURBED, MAGNITUDE, NOISE, ANCHOR = "unperturbed", "magnitude", "noise", "anchor"
DEAD, NOISE_ALONE, GAIN, SPACING = "dead", "noise alone", "gain", "spacing"
SECOND, SILENT, OUTSIDE = "second", "silent", "outside"
_LEAST_KEPT = 3


@dataclass(frozen=True)
class Event:
    """An event before its noise is added.

    ``noise`` (3, station, sample) m/s: noise of this event, 0 where there is none; ``level``: so many times it is added
    to the record. ``own``: whether the record holds noise of its own, of the level of ``noise``. ``snr``: the median
    over stations of the largest value in the network's band over the standard deviation of ``noise`` there.
    ``silent``: there is no event left in it.
    """

    record: Record
    noise: NDArray[np.float32]
    own: bool
    snr: float
    level: float = 1.0
    silent: bool = False

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """(station,): those that there is noise of."""
        return np.asarray(self.noise.any(axis=(0, 2)))

    def finished(self) -> Record:
        """The record with its noise; stations without noise to be added are taken away."""
        record = self.record
        if not self.level:
            return record
        valid = record.valid & self.noisy[:, None]
        data = np.where(valid, record.data + np.float32(self.level) * self.noise, np.float32(0.0))
        return replace(record, data=data, valid=valid)


Change = Callable[[Event, np.random.Generator, Sequence[Event]], Event | None]
"""The event in a condition, with draws of its own and the other events of its set; None where it cannot be so."""


@dataclass(frozen=True)
class Condition:
    """``kind``: what goes wrong; ``at``: how far, on the kind's axis; ``group``: what the points of a line share."""

    kind: str
    label: str
    at: float
    change: Change
    anchor_error_s: float = 0.0
    group: str = ""


def unchanged(event: Event, _: np.random.Generator, __: Sequence[Event]) -> Event:
    """The event itself."""
    return event


def scaled_to(event: Event, _: np.random.Generator, __: Sequence[Event], magnitude: float) -> Event | None:
    """Amplitudes scaled by 10**(change of magnitude), as ML is defined, under the same noise; a source's spectrum
    changes with its size, and here it does not. None without a magnitude, or without noise for what is to become
    smaller, and for a recorded event that would become larger.
    """
    factor = 10.0 ** (magnitude - event.record.truth.magnitude)
    if not np.isfinite(factor) or (event.own and (factor > 1.0 or not event.noisy.any())):
        return None
    record = event.record
    truth = replace(record.truth, magnitude=magnitude)
    made = replace(record, data=record.data * np.float32(factor), truth=truth)
    # The noise in a recorded event shrinks with it: so much is laid under it as has gone
    level = float(np.sqrt(1.0 - factor**2)) if event.own else event.level
    return replace(event, record=made, level=level, snr=event.snr * factor)


def with_snr(event: Event, _: np.random.Generator, __: Sequence[Event], snr: float) -> Event | None:
    """Noise of such a level that the event has this ratio of peak to noise; of a recorded event, None where it would
    have to be made less.
    """
    factor = event.snr / snr
    if not np.isfinite(factor) or (event.own and (factor < 1.0 or not event.noisy.any())):
        return None
    level = float(np.sqrt(factor**2 - 1.0)) if event.own else event.level * factor
    return replace(event, level=level, snr=snr)


def _chosen(event: Event, rng: np.random.Generator, count: int) -> NDArray[np.bool_] | None:
    """(station,): ``count`` of the live stations; the same generator chooses more of the same. None where all are."""
    live = np.flatnonzero(event.finished().live)
    if count >= len(live):
        return None
    away = np.zeros(event.record.data.shape[1], bool)
    away[rng.permutation(live)[:count]] = True
    return away


def without_stations(event: Event, rng: np.random.Generator, _: Sequence[Event], count: int) -> Event | None:
    """``count`` stations dead; None where no more are alive."""
    away = _chosen(event, rng, count)
    return None if away is None else replace(event, record=event.record.without(away))


def with_noise_alone(event: Event, rng: np.random.Generator, _: Sequence[Event], count: int) -> Event | None:
    """``count`` stations that record nothing of the event, only noise."""
    away = _chosen(event, rng, count)
    if away is None or not event.noisy[away].all():
        return None
    data = np.where(away[:, None], np.float32(event.own) * event.noise, event.record.data)
    return replace(event, record=replace(event.record, data=data * event.record.valid))


def with_wrong_gain(
    event: Event, rng: np.random.Generator, _: Sequence[Event], count: int, factor: float
) -> Event | None:
    """``count`` stations whose amplitudes are ``factor`` times too large or, as often, too small."""
    wrong = _chosen(event, rng, count)
    if wrong is None:
        return None
    signs = rng.choice([-1.0, 1.0], len(wrong))
    gains = np.where(wrong, factor**signs, 1.0)[:, None].astype(np.float32)
    return replace(event, record=replace(event.record, data=event.record.data * gains), noise=event.noise * gains)


def removed(event: Event, _: np.random.Generator, __: Sequence[Event], stations: NDArray[np.bool_]) -> Event | None:
    """``stations`` (station,) taken away; None where nothing is left."""
    made = replace(event, record=event.record.without(stations))
    return made if made.finished().live.any() else None


def with_second(
    event: Event, rng: np.random.Generator, events: Sequence[Event], ratio: float, delay_s: float
) -> Event | None:
    """Another event of the set above this one: ``ratio`` of its amplitude (median over stations of the largest value),
    its origin time ``delay_s`` later. None where there is no other event.
    """
    others = [other for other in events if other.record.name != event.record.name]
    if not others:
        return None
    record, other = event.record, others[int(rng.integers(len(others)))].record
    sizes = [float(np.median(np.abs(each.data).max(axis=(0, 2))[each.live])) for each in (record, other)]
    if not min(sizes) > 0:
        return None
    late = round((delay_s + record.origin_s - other.origin_s) * record.rate_hz)
    nowhere = np.zeros((0, 3))
    one = Example(record.data, record.valid, nowhere, 0.0)
    beside = Example(of_length(other.data, record.data.shape[-1]), record.valid, nowhere, 0.0)
    both = superposed(one, beside, late, ratio * sizes[0] / sizes[1])
    return replace(event, record=replace(record, data=both.data))


def silenced(event: Event, _: np.random.Generator, __: Sequence[Event]) -> Event | None:
    """Noise alone, which nobody has picked anything in; None where there is none."""
    if not event.noisy.any():
        return None
    record = event.record
    valid = record.valid & event.noisy[:, None]
    data = np.where(valid, np.float32(event.own) * event.noise, np.float32(0.0))
    return replace(event, record=replace(record, data=data, valid=valid, first_pick_s=None), silent=True)


def thinned(stations_km: FloatArray, keep: int) -> NDArray[np.bool_]:
    """(station,): which go until ``keep`` of ``stations_km`` (station, 2) are left: always one of the two that stand
    closest together, the one with the nearer next neighbour.
    """
    gone = np.zeros(len(stations_km), bool)
    while np.count_nonzero(~gone) > keep:
        left = np.flatnonzero(~gone)
        distances = _apart(stations_km[left])
        pair = np.unravel_index(np.argmin(distances), distances.shape)
        nexts = [np.partition(distances[each], 1)[1] if len(left) > 2 else 0.0 for each in pair]
        gone[left[pair[int(np.argmin(nexts))]]] = True
    return gone


def spacing_km(stations_km: FloatArray) -> float:
    """Mean distance of stations (station, 2) to their nearest neighbours."""
    return float(_apart(stations_km).min(axis=1).mean())


def _apart(stations_km: FloatArray) -> FloatArray:
    distances = cdist(stations_km, stations_km)
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances)


def conditions(wanted: Robustness, stations_km: FloatArray) -> tuple[Condition, ...]:
    """All conditions of events but those that have events of their own; the unperturbed one first."""
    made = [Condition(UNPERTURBED, "unperturbed", 0.0, unchanged)]
    made += [
        Condition(MAGNITUDE, f"scaled to {m:g}", m, partial(scaled_to, magnitude=m), group="scaled")
        for m in wanted.magnitudes
    ]
    made += [Condition(NOISE, f"peak SNR {r:g}", r, partial(with_snr, snr=r)) for r in wanted.snr]
    made += [Condition(ANCHOR, f"{e:+g} s", e, unchanged, anchor_error_s=e) for e in wanted.anchor_errors_s]
    total = len(stations_km)
    for kind, counts, change in (
        (DEAD, wanted.dead, without_stations),
        (NOISE_ALONE, wanted.noise_alone, with_noise_alone),
        (GAIN, wanted.wrong_gain, partial(with_wrong_gain, factor=wanted.gain_factor)),
    ):
        made += [Condition(kind, str(n), float(n), partial(change, count=n)) for n in counts if 0 < n < total]
    for keep in dict.fromkeys(max(round(share * total), _LEAST_KEPT) for share in wanted.kept_shares):
        gone = thinned(stations_km, keep)
        if gone.any():
            apart = spacing_km(stations_km[~gone])
            label = f"{np.count_nonzero(~gone)} of {total} stations, {apart:.1f} km apart"
            made.append(Condition(SPACING, label, apart, partial(removed, stations=gone)))
    made += [
        Condition(SECOND, f"{ratio:g} of the amplitude, {delay:+g} s", delay,
                  partial(with_second, ratio=ratio, delay_s=delay), group=f"{ratio:g} x")
        for ratio in wanted.second_ratios
        for delay in wanted.second_delays_s
    ]  # fmt: skip
    return tuple(made)
