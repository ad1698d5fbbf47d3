"""What any locator has to be measured against, on the same events and the same conditioned waveforms.

Everything fitted here is fitted on training events. Origin times are sought within :data:`ORIGIN_REACH_S` of the
trigger's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import Conditioned
from seiscomp_dlloc.traveltimes import from_passport

from .catalogue import RecordedEvent
from .conventional import CalibratedTimes, Chain, EarthModelTimes
from .local import LocalNetwork, Located
from .migration import Migration, onset_functions
from .moveout import MoveoutModel, Records, calibrate
from .onsets import log_ratios

FloatArray = NDArray[np.float64]
Progress = Callable[[Iterable[int], str], Iterable[int]]

ORIGIN_REACH_S = 10.0
BOX_MARGIN_KM = 10.0
FIT_SCALE_S = 0.2


@dataclass(frozen=True)
class KnownEvents:
    """Recorded events conditioned for a network, with their hypocentres.

    ``hypocentre_km`` (event, 3) x, y, z in the network's frame; ``origin_s`` (event,) origin time after sample 0.
    """

    network: LocalNetwork
    conditioned: tuple[Conditioned, ...]
    hypocentre_km: FloatArray
    origin_s: FloatArray

    def __len__(self) -> int:
        return len(self.conditioned)


@dataclass(frozen=True)
class Baseline:
    """Answers of one baseline, (event, 4): x, y, z (km) and origin time (s after the catalogue's), NaN where none.

    ``has_depth``, ``has_time``: whether these columns are answers at all. ``note``: what it is and what it knew.
    """

    name: str
    answers: FloatArray
    has_depth: bool
    has_time: bool
    note: str


def known_events(events: Sequence[RecordedEvent], network: LocalNetwork, settings: Preprocessing) -> KnownEvents:
    """Condition ``events``; ValueError for an event without a hypocentre."""
    conditioned = tuple(condition((event.block,), len(network.stations), settings) for event in events)
    places = []
    for event in events:
        trigger = event.trigger
        if trigger.latitude is None or trigger.longitude is None or trigger.depth_km is None:
            raise ValueError(f"{trigger.public_id} has no hypocentre: it can be neither trained nor tested on")
        places.append((trigger.latitude, trigger.longitude, trigger.depth_km))
    latitude, longitude, depth = zip(*places, strict=True)
    flat = network.to_local(latitude, longitude)
    origin = np.array([event.trigger.time - c.starttime for event, c in zip(events, conditioned, strict=True)])
    return KnownEvents(network, conditioned, np.column_stack([flat, depth]), origin)


def calibrate_on(events: KnownEvents) -> MoveoutModel:
    """Straight-ray travel times with delays and terms, calibrated on ``events``."""
    samples = max(c.data.shape[-1] for c in events.conditioned)
    shape = (len(events), len(events.network.stations), samples)
    p, s = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    for k, conditioned in enumerate(events.conditioned):
        for out, function in zip((p, s), log_ratios(conditioned), strict=True):
            out[k, :, : function.shape[-1]] = function
    rate = events.conditioned[0].sampling_rate_hz
    return calibrate(Records(p, s, rate, events.origin_s, events.network.distances(events.hypocentre_km)))


def training_mean(train: KnownEvents, test: KnownEvents) -> Baseline:
    """The mean epicentre and the median depth of the training events, whatever happens."""
    place = [*train.hypocentre_km[:, :2].mean(axis=0), np.median(train.hypocentre_km[:, 2]), np.nan]
    answers = np.tile(np.array(place), (len(test), 1))
    return Baseline(
        "training mean", answers, True, False, "mean epicentre and median depth of the training events, no waveforms"
    )


def nearest_training_event(train: KnownEvents, test: KnownEvents) -> Baseline:
    """The training event whose epicentre is nearest to the true one: no locator, a measure of the density."""
    flat = test.hypocentre_km[:, None, :2] - train.hypocentre_km[:, :2]
    nearest = np.argmin(np.sum(flat**2, axis=-1), axis=1)
    answers = np.column_stack([train.hypocentre_km[nearest], np.full(len(test), np.nan)])
    return Baseline(
        "nearest training event",
        answers,
        True,
        False,
        "the training event nearest to the true epicentre: it is told the answer, and shows how densely the training "
        "events lie",
    )


def migration(
    model: MoveoutModel, train: KnownEvents, test: KnownEvents, each: Progress = lambda items, _: items
) -> Baseline:
    """STA/LTA migration of P and S with travel times calibrated on the training events."""
    depths = train.hypocentre_km[:, 2]
    centre, sigma = float(np.median(depths)), float(np.std(depths))
    locator = Migration(model, test.network, test.network.box(BOX_MARGIN_KM), centre, sigma)
    answers = np.full((len(test), 4), np.nan)
    for k in each(range(len(test)), "migration"):
        conditioned, origin = test.conditioned[k], test.origin_s[k]
        found = locator.locate(
            onset_functions(conditioned), conditioned.sampling_rate_hz, origin - ORIGIN_REACH_S, origin + ORIGIN_REACH_S
        )
        answers[k] = _row(found, origin)
    return Baseline(
        "STA/LTA migration",
        answers,
        True,
        True,
        "P on the vertical and S on the horizontals, nothing learned; travel times calibrated on the training events "
        f"(Vp {model.vp:.2f}, Vs {model.vs:.2f} km/s, delays {model.p_delay:.2f} and {model.s_delay:.2f} s, station "
        f"terms); depth prior {centre:.1f} +- {sigma:.1f} km, theirs",
    )


def conventional(
    model: MoveoutModel,
    train: KnownEvents,
    test: KnownEvents,
    earth_model: str = "iasp91",
    each: Progress = lambda items, _: items,
) -> tuple[Baseline, Baseline]:
    """The conventional chain with calibrated times and free depth, then its picks in ``earth_model`` at fixed depth."""
    network, box = test.network, test.network.box(BOX_MARGIN_KM)
    depth = float(np.median(train.hypocentre_km[:, 2]))
    calibrated = Chain(CalibratedTimes(model), network, box, depth)
    global_model = Chain(EarthModelTimes(from_passport({"kind": "taup", "name": earth_model})), network, box, depth)
    answers: list[FloatArray] = [np.full((len(test), 4), np.nan) for _ in range(2)]
    for k in each(range(len(test)), "conventional chain"):
        origin = test.origin_s[k]
        found = calibrated.run(test.conditioned[k], origin - ORIGIN_REACH_S, origin + ORIGIN_REACH_S)
        if found is None:
            continue
        located, phases = found
        answers[0][k] = _row(located, origin)
        start = np.array([located.x_km, located.y_km, located.depth_km, located.time_s])
        again = global_model.fit(phases, start, depth, FIT_SCALE_S)
        answers[1][k] = [*again[:3], again[3] - origin]
    recipe = "STA/LTA and AIC picks, association by votes for origin times, Cauchy least squares"
    return (
        Baseline(
            "conventional chain, calibrated",
            answers[0],
            True,
            True,
            f"{recipe}; straight rays of {model.vp:.2f} and {model.vs:.2f} km/s with station terms, calibrated on the "
            "training events; free depth",
        ),
        Baseline(
            f"conventional chain, {earth_model}",
            answers[1],
            True,
            True,
            f"the same picks in {earth_model}, nothing fitted but the depth fixed at the training events' median, "
            f"{depth:.1f} km",
        ),
    )


def _row(found: Located | None, origin_s: float) -> Any:
    if found is None:
        return np.full(4, np.nan)
    return np.array([found.x_km, found.y_km, found.depth_km, found.time_s - origin_s])
