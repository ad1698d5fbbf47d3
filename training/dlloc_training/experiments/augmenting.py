"""What happens to an event's record before the one preprocessing: noise, errors of the network, a wrong anchor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..augment import Augmentation, cut_in, damaged, superposed
from ..made import Example
from ..noise import model_noise, random_levels
from .records import Record

FloatArray = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], NDArray[np.float32]]
"""Draws ground noise (3, station, sample) in m/s of so many samples."""

EVENT, NO_EVENT, TWO_EVENTS = 0, 1, 2
"""Kinds of a row."""

_QUIET_S = 8.0
_SECOND_S = (-4.0, 8.0)
_SECOND_FACTOR = (-0.5, 0.3)
_GAP_S = (0.2, 5.0)


@dataclass(frozen=True)
class Draws:
    """Section ``augmentation``; shares are probabilities of a row.

    ``noise_level``: each station's modelled noise lies between these levels (0 the low, 1 the high noise model).
    ``recorded_noise``: share of rows with recorded noise, where there is any; in each it is multiplied by a factor
    within ``recorded_noise_factor``, evenly in the logarithm: for events that stand out less than those recorded, and
    for recordings whose unit is not what their inventory says. ``magnitude_shift``: amplitudes are
    multiplied by 10**d and magnitudes raised by d, d uniform within it (between the 1.5 d of moments below the corner
    frequency and the 0.5 d of Brune's high frequencies, so it is for small d). ``lost``: up to so many stations cut
    out in a ``lost_share`` of the rows. ``gain_sigma``: log10 of each station's gain. The anchor is the plugin's own,
    N(0, ``usual_shift_s``) off, in the ``usual`` share, else the predicted one, up to ``shift_s`` off.
    ``wrong_time``: a station's clock is off by N(0, ``wrong_time_sigma_s``). ``two_events``: a second event within some
    seconds; ``no_event``: noise alone.
    """

    noise_level: tuple[float, float] = (0.3, 0.8)
    recorded_noise: float = 0.5
    recorded_noise_factor: tuple[float, float] = (1.0, 1.0)
    magnitude_shift: float = 0.1
    lost: int = 3
    lost_share: float = 0.5
    gain_sigma: float = 0.05
    usual: float = 0.7
    usual_shift_s: float = 0.1
    shift_s: float = 1.0
    wrong_time: float = 0.03
    wrong_time_sigma_s: float = 0.5
    glitch: float = 0.03
    gap: float = 0.05
    two_events: float = 0.03
    no_event: float = 0.03

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> "Draws":
        """From the section of a file, whose ends of ranges were found in order when it was read."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key in known
        }
        return cls(**values)

    def damage(self) -> Augmentation:
        """The part that needs no more than waveforms."""
        return Augmentation(
            drop=0.0,
            gain_sigma=self.gain_sigma,
            wrong_time=self.wrong_time,
            wrong_time_sigma_s=self.wrong_time_sigma_s,
            glitch=self.glitch,
        )


@dataclass(frozen=True)
class Drawn:
    """An augmented record. ``second``: x, y, depth in km of a second event, NaN without one."""

    record: Record
    kind: int
    second: tuple[float, float, float]
    lost: int


_NONE = (float("nan"),) * 3


class Augmenter:
    """Draws augmented records of ``records``.

    ``clean``: the records hold no noise of their own (theoretical ones). ``modelled`` makes noise by the noise models
    for levels (3, station), ``recorded`` draws recorded noise, where there is any.
    """

    def __init__(
        self,
        records: Sequence[Record],
        draws: Draws,
        local: Callable[[Record], tuple[float, float, float]],
        *,
        clean: bool,
        recorded: Noise | None = None,
        finish_noise: Callable[[NDArray[np.float32], float], NDArray[np.float32]] | None = None,
    ):
        self.records, self.draws, self.clean = records, draws, clean
        self._local, self._recorded, self._finish = local, recorded, finish_noise

    def noise(self, rng: np.random.Generator, like: Record) -> NDArray[np.float32]:
        """Noise (3, station, sample) m/s for a record."""
        samples, stations = like.data.shape[-1], like.data.shape[1]
        if self._recorded is not None and rng.random() < self.draws.recorded_noise:
            low, high = self.draws.recorded_noise_factor
            factor = low if low == high else low * (high / low) ** rng.random()
            return self._recorded(rng, samples) * np.float32(factor)
        made = model_noise(rng, random_levels(rng, stations, *self.draws.noise_level), samples, like.rate_hz)
        return made if self._finish is None else self._finish(made, like.rate_hz)

    def noisy(self, rng: np.random.Generator, index: int) -> Record:
        """The event with noise and nothing else done to it; recorded events as they are."""
        record = self.records[index]
        if not self.clean:
            return record
        noise = self.noise(rng, record)
        valid = record.valid & np.asarray(noise.any(axis=(0, 2)))[:, None]
        return replace(record, data=np.where(valid, record.data + noise, np.float32(0.0)), valid=valid)

    def draw(self, rng: np.random.Generator, index: int) -> Drawn:
        """One augmented row of the event."""
        draws, share = self.draws, rng.random()
        record, kind, second = self.records[index], EVENT, _NONE
        if share < draws.no_event:
            kind = NO_EVENT
            data = np.zeros_like(record.data)
        else:
            delta = rng.uniform(-draws.magnitude_shift, draws.magnitude_shift)
            data = record.data * np.float32(10.0**delta)
            record = replace(record, truth=replace(record.truth, magnitude=record.truth.magnitude + delta))
        valid = record.valid.copy()
        example = Example(data, valid, np.zeros((0, 3)), record.origin_s)
        if kind == EVENT and share > 1.0 - draws.two_events and len(self.records) > 1:
            kind = TWO_EVENTS
            other = self.records[int(rng.integers(len(self.records)))]
            late = round((rng.uniform(*_SECOND_S) + record.origin_s - other.origin_s) * record.rate_hz)
            beside = Example(of_length(other.data, data.shape[-1]), valid, np.zeros((0, 3)), 0.0)
            example = superposed(example, beside, late, 10.0 ** rng.uniform(*_SECOND_FACTOR))
            second = self._local(other)
        if self.clean or kind == NO_EVENT:
            noise = self.noise(rng, record)
            valid = valid & np.asarray(noise.any(axis=(0, 2)))[:, None]
            example = replace(example, data=np.where(valid, example.data + noise, np.float32(0.0)), valid=valid)
        example = damaged(example, draws.damage(), record.rate_hz, rng)
        example = _with_gap(example, draws, record.rate_hz, rng)
        lost = np.zeros(data.shape[1], bool)
        if draws.lost and rng.random() < draws.lost_share:
            live = np.flatnonzero(example.live)
            count = min(int(rng.integers(1, draws.lost + 1)), max(len(live) - 1, 0))
            lost[rng.choice(live, count, replace=False)] = True
        example = example.without(lost)
        # Records must not all begin at one time before the event: their beginning would be a clock
        spare = max(int((record.origin_s - _QUIET_S) * record.rate_hz), 0)
        begun = cut_in(example, int(rng.integers(spare + 1)), record.rate_hz)
        pick = record.first_pick_s
        if pick is not None:
            pick += begun.first_break_s - record.origin_s
        made = replace(record, data=begun.data, valid=begun.valid, origin_s=begun.first_break_s, first_pick_s=pick)
        return Drawn(made, kind, second, int(lost.sum()))

    def anchor_error(self, rng: np.random.Generator) -> tuple[bool, float]:
        """Whether the plugin's anchor is taken where it finds one, and by how much the anchor is off, s."""
        if rng.random() < self.draws.usual:
            return True, float(rng.normal(0.0, self.draws.usual_shift_s))
        return False, float(rng.uniform(-self.draws.shift_s, self.draws.shift_s))


def of_length(data: NDArray[Any], samples: int) -> NDArray[Any]:
    """``data`` (..., n) cut or padded with zeros to (..., ``samples``)."""
    if data.shape[-1] >= samples:
        return data[..., :samples]
    return np.pad(data, [(0, 0)] * (data.ndim - 1) + [(0, samples - data.shape[-1])])


def _with_gap(example: Example, draws: Draws, rate_hz: float, rng: np.random.Generator) -> Example:
    if rng.random() >= draws.gap:
        return example
    data, valid = np.array(example.data), example.valid.copy()
    station, samples = int(rng.integers(data.shape[1])), data.shape[-1]
    length = min(int(rng.uniform(*_GAP_S) * rate_hz), samples - 1)
    first = int(rng.integers(samples - length))
    data[:, station, first : first + length] = 0.0
    valid[:, station, first : first + length] = False
    return replace(example, data=data, valid=valid)
