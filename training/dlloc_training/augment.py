"""What training does to an example before the one preprocessing: everything here acts on ground velocity."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .catalogue import RecordedEvent
from .made import Example, shifted
from .noise import extend_noise


@dataclass(frozen=True)
class Augmentation:
    """How often and how much. Shares are probabilities per example.

    ``small``: amplitudes scaled by 10**U(``small_range``) under the noise of the stations, which makes a smaller
    event of it (delta ML = log10 of the factor). ``drop``: stations taken away, each with a probability drawn from
    ``drop_rates``. ``gain_sigma``: log10 of the error of each station's gain. ``shift_s``: largest error of the
    window's anchor, for 10 s on top of the several seconds by which the anchors of some recorded events are early
    already; ``usual_shift_s`` is the standard deviation of the errors in the ``usual`` share of the cases.
    ``noise_only`` and ``two_events``: windows without an event and with a second one.
    ``wrong_time``: stations whose clock is off by N(0, ``wrong_time_sigma_s``). ``glitch``: a spike at one station.

    Records of a catalogue begin at about the same time before the origin; a network must not take that beginning for
    a clock, or it fails on continuous data. So ``continuous`` examples are surrounded by ``surround_s`` of noise on
    both sides, ``begun`` ones have noise of any shorter length before them, and ``late`` ones begin shortly before
    the first break. The rest stay as they are.
    """

    small: float = 0.5
    small_range: tuple[float, float] = (-2.0, 0.0)
    drop: float = 0.5
    drop_rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    gain_sigma: float = 0.1
    usual: float = 0.5
    usual_shift_s: float = 1.0
    shift_s: float = 18.0
    noise_only: float = 0.03
    two_events: float = 0.03
    wrong_time: float = 0.05
    wrong_time_sigma_s: float = 2.0
    glitch: float = 0.05
    continuous: float = 0.4
    begun: float = 0.2
    late: float = 0.1
    surround_s: float = 35.0


class NoiseBank:
    """Recorded noise of each station, extended without repetition; from training events only.

    ``seconds`` before the first break of each event are taken as noise. A pool of extended records is made once;
    a draw takes for each station a record of the pool, rotated in time, of an event in which the station was live.
    """

    def __init__(
        self,
        events: tuple[RecordedEvent, ...],
        first_break_s: NDArray[np.float64],
        samples: int,
        rng: np.random.Generator,
        seconds: float = 7.0,
        pool: int = 120,
    ):
        chosen = rng.choice(len(events), size=min(pool, len(events)), replace=False)
        records, live = [], []
        for k in chosen:
            event = events[k]
            stop = int(min(seconds, max(first_break_s[k] - 0.5, 2.0)) * event.block.sampling_rate_hz)
            records.append(extend_noise(np.asarray(event.block.data[..., :stop]), samples, rng).astype(np.float32))
            live.append(event.live)
        self.records: NDArray[np.float32] = np.array(records)
        self.live: NDArray[np.bool_] = np.array(live)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(3, station, sample) m/s; zero for a station that no event of the pool has."""
        out: NDArray[np.float32] = np.zeros(self.records.shape[1:], np.float32)
        samples = self.records.shape[-1]
        for station in range(len(self.live[0])):
            having = np.nonzero(self.live[:, station])[0]
            if having.size:
                record = self.records[having[rng.integers(having.size)], :, station]
                turn = int(rng.integers(samples))
                out[:, station, : samples - turn] = record[:, turn:]
                out[:, station, samples - turn :] = record[:, :turn]
        return out


def smaller(example: Example, factor: float, noise: NDArray[np.float32]) -> Example:
    """The event scaled by ``factor`` under ``noise`` (3, station, sample), where it is valid."""
    data = np.where(example.valid, example.data * np.float32(factor) + noise[..., : example.data.shape[-1]], 0.0)
    return replace(example, data=data.astype(np.float32))


def superposed(one: Example, other: Example, late: int, factor: float) -> Example:
    """``one`` with ``other`` scaled by ``factor`` and moved ``late`` samples later; both hypocentres are kept."""
    data = np.where(one.valid, one.data + np.float32(factor) * shifted(other.data, -late), 0.0)
    return replace(one, data=data.astype(np.float32), hypocentres=np.concatenate([one.hypocentres, other.hypocentres]))


def noise_window(noise: NDArray[np.float32], live: NDArray[np.bool_], first_break_s: float) -> Example:
    """A window without an event."""
    valid = np.broadcast_to(live[:, None], noise.shape)
    return Example(np.where(valid, noise, np.float32(0.0)), valid.copy(), np.zeros((0, 3)), first_break_s)


def surrounded(
    example: Example, before: int, after: int, rate_hz: float, rng: np.random.Generator, fade_s: float = 1.0
) -> Example:
    """``example`` with noise like its own before the first break put ahead (``before`` samples) and behind it.

    Joined by cross-fades of equal power over ``fade_s`` ahead only: behind, the coda is above the noise.
    A record with less than 2 s before its first break is returned as it is.
    """
    quiet = int((example.first_break_s - 0.5) * rate_hz)
    if quiet < 2.0 * rate_hz:
        return example
    own, fade = np.asarray(example.data[..., :quiet]), min(int(fade_s * rate_hz), quiet)
    noise = extend_noise(own, before + fade + after, rng)
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)
    whole = np.array(example.data, np.float32)
    first, last = example.valid[..., :1], example.valid[..., -1:]
    joined = whole[..., :fade] * ramp + noise[..., before : before + fade] * np.sqrt(1.0 - ramp**2)
    whole[..., :fade] = np.where(first & example.valid[..., :fade], joined, whole[..., :fade])
    data = np.concatenate([noise[..., :before] * first, whole, noise[..., before + fade :] * last], axis=-1)
    shape = example.valid.shape[:-1]
    valid = np.concatenate(
        [np.broadcast_to(first, (*shape, before)), example.valid, np.broadcast_to(last, (*shape, after))], axis=-1
    )
    return replace(example, data=data, valid=valid, first_break_s=example.first_break_s + before / rate_hz)


def cut_in(example: Example, samples: int, rate_hz: float) -> Example:
    """``example`` without its first ``samples``."""
    return replace(
        example,
        data=np.ascontiguousarray(example.data[..., samples:]),
        valid=np.ascontiguousarray(example.valid[..., samples:]),
        first_break_s=example.first_break_s - samples / rate_hz,
    )


def rebegun(example: Example, settings: Augmentation, rate_hz: float, rng: np.random.Generator) -> Example:
    """``example`` with another beginning and end of its record, as :class:`Augmentation` says."""
    kind, longest = rng.random(), int(settings.surround_s * rate_hz)
    if kind < settings.continuous:
        return surrounded(example, longest, longest, rate_hz, rng)
    kind -= settings.continuous
    if kind < settings.begun:
        return surrounded(example, int(rng.integers(longest)), int(rng.integers(longest)), rate_hz, rng)
    kind -= settings.begun
    spare = int((example.first_break_s - 2.0) * rate_hz)
    if kind < settings.late and spare > 0:
        return cut_in(example, int(rng.integers(spare + 1)), rate_hz)
    return example


def damaged(example: Example, settings: Augmentation, rate_hz: float, rng: np.random.Generator) -> Example:
    """Stations dropped, gains and clocks wrong, a glitch: what networks do."""
    count = example.data.shape[1]
    if rng.random() < settings.drop:
        example = example.without(rng.random(count) < rng.choice(settings.drop_rates))
    gains = (10.0 ** rng.normal(0.0, settings.gain_sigma, (1, count, 1))).astype(np.float32)
    data, valid = example.data * gains, example.valid.copy()
    if rng.random() < settings.wrong_time:
        station = int(rng.integers(count))
        late = round(rng.normal(0.0, settings.wrong_time_sigma_s) * rate_hz)
        data[:, station], valid[:, station] = shifted(data[:, station], late), shifted(valid[:, station], late)
    if rng.random() < settings.glitch:
        station, at = int(rng.integers(count)), int(rng.integers(data.shape[-1] - 3))
        height = np.abs(data[:, station]).max() * rng.uniform(3.0, 30.0)
        data[:, station, at : at + 3] += np.float32(height) * valid[:, station, at : at + 3]
    return replace(example, data=data, valid=valid)


def anchor_error(settings: Augmentation, rng: np.random.Generator) -> float:
    """Error of the window's anchor in s, positive when the anchor is late."""
    if rng.random() < settings.usual:
        return float(rng.normal(0.0, settings.usual_shift_s))
    return float(rng.uniform(-settings.shift_s, settings.shift_s))
