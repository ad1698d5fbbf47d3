"""From a record to what a network is given, through the plugin's own preprocessing and representations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import NoEventFound
from seiscomp_dlloc.firstbreak import first_break
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import Conditioned, Pick, TraceBlock, Trigger
from seiscomp_dlloc.representations import ModelInput, Window, build
from seiscomp_dlloc.traveltimes import TravelTimes, from_passport

from .records import Record

FloatArray = NDArray[np.float64]

_QUIET_BEFORE_S = 0.5
_LEAST_NOISE_S = 1.0


@dataclass(frozen=True)
class Windows:
    """Makes inputs by a passport, which must have a fixed network."""

    passport: Passport
    travel_times: TravelTimes

    @classmethod
    def of(cls, passport: Passport) -> "Windows":
        """With the passport's own travel times."""
        return cls(passport, from_passport(passport.earth_model))

    def conditioned(self, record: Record) -> Conditioned:
        """The record preprocessed; times are s after its first sample."""
        count = record.data.shape[1]
        block = TraceBlock(np.arange(count), record.data, record.valid, record.rate_hz, 0.0)  # type: ignore[arg-type]
        return condition((block,), count, self.passport.preprocessing)

    def at(self, conditioned: Conditioned, anchor_s: float) -> ModelInput:
        """The input whose window is anchored at ``anchor_s``."""
        passport = self.passport
        start = anchor_s - passport.preprocessing.pretrigger_s
        return build(Window(conditioned, passport.stations, (), start, self.travel_times), passport)

    def anchor(self, conditioned: Conditioned, record: Record) -> float | None:
        """Where the plugin finds the first break, knowing of a trigger at the origin time with the first pick, if any.

        None where it finds none.
        """
        pick = record.first_pick_s
        picks = () if pick is None else (Pick("first", pick, "", ""),)
        try:
            return first_break(conditioned, Trigger(record.name, record.origin_s, picks=picks)).time
        except NoEventFound:
            return None

    def predicted_anchor(self, record: Record) -> float:
        """The earliest P of the passport's earth model among the live stations, s after the record's first sample."""
        return record.origin_s + float(self.p_travel_s(record)[record.live].min(initial=np.inf))

    def p_travel_s(self, record: Record) -> FloatArray:
        """(station,) s from the hypocentre, by the passport's earth model."""
        frame, truth = self.passport.frame, record.truth
        x, y = frame.to_local(truth.latitude, truth.longitude)
        stations = self.passport.stations
        sx, sy = frame.to_local([s.latitude for s in stations], [s.longitude for s in stations])
        distance = np.hypot(np.asarray(sx) - float(x), np.asarray(sy) - float(y))
        return self.travel_times.times("P", distance, truth.depth_km, [s.elevation_m for s in stations])


def signal_to_noise(conditioned: Conditioned, arrivals_s: FloatArray) -> float:
    """Median over stations of the largest value after P divided by the standard deviation before it; NaN without noise.

    ``arrivals_s`` (station,): P, s after the first sample.
    """
    rate, ratios = conditioned.sampling_rate_hz, []
    for station, arrival in enumerate(arrivals_s):
        split = max(int((arrival - _QUIET_BEFORE_S) * rate), 0)
        valid = conditioned.valid[:, station]
        before = conditioned.data[:, station, :split][valid[:, :split]]
        after = conditioned.data[:, station, split:][valid[:, split:]]
        longest = valid[:, :split].sum(axis=-1).max(initial=0)
        if longest < _LEAST_NOISE_S * rate or after.size == 0:
            continue
        noise = float(before.std())
        if noise > 0:
            ratios.append(float(np.abs(after).max()) / noise)
    return float(np.median(ratios)) if ratios else float("nan")
