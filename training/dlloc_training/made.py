"""The record of an event that training makes or takes, before preprocessing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

JOIN = 0.65
"""Where between P and S a re-timed trace is joined: late enough for P, early enough for any S onset."""

FADE_S = 0.4
"""Length of the cross-fade at the join."""


@dataclass(frozen=True)
class Example:
    """Ground velocity of one window with what is known about it.

    ``data`` (3, station, sample) m/s, zero where ``valid`` (3, station, sample) is False. ``hypocentres`` (event, 3)
    x, y, z in km of the events in the window: none for a window of noise, two for an interfering event.
    ``first_break_s``: time after sample 0 of the earliest P among the live stations, on which the window is anchored.
    """

    data: NDArray[np.floating]
    valid: NDArray[np.bool_]
    hypocentres: FloatArray
    first_break_s: float

    @property
    def live(self) -> NDArray[np.bool_]:
        """(station,): stations with any valid sample."""
        return np.asarray(self.valid.any(axis=(0, 2)))

    def without(self, stations: NDArray[np.bool_]) -> "Example":
        """The example with ``stations`` (station,) taken away."""
        keep = ~stations
        return replace(self, data=self.data * keep[:, None], valid=self.valid & keep[:, None])


def shifted(data: NDArray[Any], samples: int) -> NDArray[Any]:
    """``data`` (..., n) moved ``samples`` earlier (later where negative); zeros come in."""
    out = np.zeros_like(data)
    n = data.shape[-1]
    if samples >= n or samples <= -n:
        return out
    if samples >= 0:
        out[..., : n - samples] = data[..., samples:]
    else:
        out[..., -samples:] = data[..., : n + samples]
    return out


def retimed(data: NDArray[np.float32], earlier_p: int, earlier_s: int, join: float, fade: float) -> NDArray[np.float32]:
    """``data`` (..., n) with P moved ``earlier_p`` and S ``earlier_s`` samples earlier.

    The parts are joined at sample ``join`` by a cross-fade of ``fade`` samples.
    """
    trace = shifted(data, earlier_p)
    if earlier_s != earlier_p:
        ramp = np.clip((np.arange(data.shape[-1]) - join) / fade + 0.5, 0.0, 1.0).astype(np.float32)
        trace += ramp * (shifted(data, earlier_s) - trace)
    return trace


def retimed_network(
    data: NDArray[np.float32],
    before: tuple[FloatArray, FloatArray],
    after: tuple[FloatArray, FloatArray],
    rate_hz: float,
) -> NDArray[np.float32]:
    """``data`` (3, station, sample) with P and S of each station moved.

    ``before`` and ``after``: times of P and of S, (station,) in s after sample 0.
    """
    out = np.empty_like(data)
    for station in range(data.shape[1]):
        (p0, s0), (p, s) = ((times[0][station], times[1][station]) for times in (before, after))
        earlier_p, earlier_s = round((p0 - p) * rate_hz), round((s0 - s) * rate_hz)
        join = (p + JOIN * (s - p)) * rate_hz
        out[:, station] = retimed(data[:, station], earlier_p, earlier_s, join, FADE_S * rate_hz)
    return out
