"""Virtual events of an experiment: its recorded training events re-timed to other hypocentres.

Recorded events lie where earthquakes happened to be: a network that is tuned on them alone learns these places. Virtual
events carry the same waveforms, site responses and noise to the whole region. See :mod:`dlloc_training.virtual`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import TraceBlock, Trigger
from seiscomp_dlloc.traveltimes import Phase, TravelTimes, from_passport
from seiscomp_dlloc.units import M_PER_KM

from ..catalogue import RecordedEvent
from ..made import FADE_S
from ..moveout import WINDOWS_S, MoveoutModel, Records, calibrate, fit
from ..network import Target
from ..onsets import log_ratios
from ..virtual import Scale, VirtualEvents
from .areas import region_bounds
from .reading import ExperimentFile
from .recorded import RecordedRecord
from .records import Record, Truth

FloatArray = NDArray[np.float64]

_USUAL_SIZE_KM = 150.0
"""Size of the region that the usual scales of :mod:`dlloc_training.virtual` and :mod:`~dlloc_training.moveout` suit."""

_LEAST_SHARE = 0.15
"""Onsets of a small network are not read more closely than such a share of those of a large one."""

_FADE_PERIODS = 0.8

_FACTOR_SIGMA = 0.05
"""How far calibrated travel times may be from those of the earth model, in proportion: events that lie close together
cannot tell a velocity from a delay."""

PHASES: tuple[Phase, Phase] = ("P", "S")


@dataclass(frozen=True)
class _Network(Target):
    """With stations where they stand, and the travel times of an earth model."""

    layers: TravelTimes

    def times(self, phase: Phase, points_km: FloatArray) -> FloatArray:
        """Travel times (..., station) of the earth model from points (..., 3), s."""
        return self.layers.times(phase, self.epicentral_km(points_km), points_km[..., None, 2], self.elevation_m)

    def distances(self, hypocentre_km: ArrayLike) -> FloatArray:
        """Hypocentral distances (..., station) of points (..., 3)."""
        point = np.asarray(hypocentre_km, float)
        return np.hypot(self.epicentral_km(point), point[..., None, 2] + self.elevation_m / M_PER_KM)

    def epicentral_km(self, point_km: FloatArray) -> FloatArray:
        """Epicentral distances (..., station) of points (..., 3)."""
        flat = point_km[..., None, :2] - self.positions_km
        return np.asarray(np.hypot(flat[..., 0], flat[..., 1]))

    @property
    def elevation_m(self) -> FloatArray:
        """(station,)."""
        return np.array([station.elevation_m for station in self.stations])


class _Retimed(VirtualEvents):
    """Virtual events anywhere in the region of an experiment, at the travel times that were calibrated for it."""

    target: _Network

    def __init__(
        self,
        events: tuple[RecordedEvent, ...],
        target: _Network,
        model: MoveoutModel,
        scale: Scale,
        depths_km: tuple[float, float],
    ):
        self.depths_km = depths_km
        super().__init__(events, target, model, scale)

    def travel_s(self, phase: Phase, points_km: FloatArray) -> FloatArray:
        """Calibrated travel times (..., station), s."""
        return self.model.times(phase, self.target.times(phase, points_km))

    def place(self, rng: np.random.Generator) -> FloatArray:
        """A hypocentre near a recorded one in three cases of five, else anywhere; at their depths or any, evenly."""
        point = super().place(rng)
        top, bottom = self.depths_km
        recorded = self.hypocentres[:, 2]
        own = rng.normal(recorded.mean(), 1.25 * recorded.std())
        point[2] = np.clip(own, top, bottom) if rng.random() < 0.5 else rng.uniform(top, bottom)
        return point


class VirtualRecords(Sequence[Record]):
    """``count`` virtual events made of ``records``; which the i-th is, depends on ``seed`` and i alone.

    Raises SettingError where the records have too few onsets to tell the travel times.
    """

    def __init__(
        self,
        experiment: ExperimentFile,
        passport: Passport,
        records: Sequence[RecordedRecord],
        count: int,
        seed: Sequence[int],
    ):
        self._count, self._seed = count, tuple(seed)
        self._magnitudes = [record.truth.magnitude for record in records]
        self._picked = any(record.first_pick_s is not None for record in records)
        self._samples = max(record.data.shape[-1] for record in records)
        self._frame = experiment.region.frame
        low, high = region_bounds(experiment)
        size = float(np.max(high[:2] - low[:2]))
        frame, (x0, y0, z0), (dx, dy, dz) = self._frame, low.tolist(), (high - low).tolist()
        grid = Grid(frame.latitude, frame.longitude, x0, y0, z0, dx, dy, dz, 2, 2, 2)
        box = float(low[0]), float(high[0]), float(low[1]), float(high[1])
        layers = from_passport(passport.earth_model)
        target = _Network(experiment.stations, grid, passport.preprocessing, box, layers)
        events = tuple(_as_event(record) for record in records)
        origins = np.array([record.origin_s for record in records])
        scale = Scale(
            near_km=0.12 * size,
            misfit_km=0.05 * size,
            least_km=0.02 * size,
            fade_s=min(FADE_S, _FADE_PERIODS / passport.preprocessing.band_hz[0]),
            origin_s=(float(np.percentile(origins, 5)), float(np.percentile(origins, 95))),
        )
        try:
            model = _calibrated(records, events, target, size)
        except ValueError as error:
            raise SettingError(
                f"{experiment.path}: recorded.virtual: no travel times for virtual events: {error}"
            ) from error
        self.source = _Retimed(events, target, model, scale, (float(low[2]), float(high[2])))

    def __len__(self) -> int:
        return self._count

    @cached_property
    def truths(self) -> tuple[Truth, ...]:
        """Where and how large they are."""
        return tuple(self[k].truth for k in range(self._count))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> "Record | list[Record]":
        """One virtual event, or those of a slice."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        rng = np.random.default_rng([*self._seed, index])
        example, origin, as_large = self.source.drawn(rng, self._samples)
        x, y, depth = example.hypocentres[0]
        latitude, longitude = self._frame.to_geographic(x, y)
        return Record(
            f"virtual{index:05d}",
            example.data,
            example.valid,
            self.source.rate,
            origin,
            Truth(float(latitude), float(longitude), float(depth), self._magnitudes[as_large]),
            example.first_break_s if self._picked else None,
        )


def _as_event(record: RecordedRecord) -> RecordedEvent:
    truth = record.truth
    trigger = Trigger(record.name, 0.0, "", truth.latitude, truth.longitude, truth.depth_km)
    everything = np.arange(record.data.shape[1])
    data: NDArray[np.float64] = record.data  # type: ignore[assignment]  # float32 does, and is half of the memory
    return RecordedEvent(trigger, TraceBlock(everything, data, record.valid, record.rate_hz, -record.origin_s))


def _calibrated(
    records: Sequence[RecordedRecord],
    events: tuple[RecordedEvent, ...],
    target: _Network,
    size_km: float,
) -> MoveoutModel:
    """Corrections of the earth model's travel times from the catalogue's picks, else from the waveforms."""
    share = min(1.0, max(size_km / _USUAL_SIZE_KM, _LEAST_SHARE))
    limits = {"scale_s": 0.2 * share, "term_sigma_s": 0.5 * share, "event_sigma_s": share}
    limits["factor_sigma"] = _FACTOR_SIGMA
    points = np.array([target.grid.frame.to_local(r.truth.latitude, r.truth.longitude) for r in records])
    points = np.column_stack([points, [record.truth.depth_km for record in records]])
    picks = tuple(np.stack([getattr(record, name) for record in records]) for name in ("p_picks_s", "s_picks_s"))
    origins = np.array([record.origin_s for record in records])
    p, s = (target.times(phase, points) for phase in PHASES)
    if all(np.isfinite(each).sum() > 2 * (len(records) + len(target.stations)) for each in picks):
        return fit((picks[0], picks[1]), (p, s), **limits)
    of_p, of_s = _functions(events, target)
    onsets = Records(of_p, of_s, target.settings.sampling_rate_hz, origins, p, s)
    windows = tuple(share * width for width in WINDOWS_S)
    return calibrate(onsets, vp=1.0, vs=1.0, p_delay=0.0, s_delay=0.0, **limits, windows_s=windows)


def _functions(events: tuple[RecordedEvent, ...], target: _Network) -> list[NDArray[np.float32]]:
    """Characteristic functions of P and of S, each (event, station, sample)."""
    count = len(target.stations)
    found = [log_ratios(condition((event.block,), count, target.settings)) for event in events]
    samples = min(p.shape[-1] for p, _ in found)
    return [np.stack([each[k][:, :samples].astype(np.float32) for each in found]) for k in (0, 1)]
