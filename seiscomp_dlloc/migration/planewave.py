"""Whether a plane wave that crosses the network explains the evidence better: a source far outside of it.

The search for a place within reach always ends somewhere. Where a plane wave, which needs neither a place nor S,
explains the stations' evidence better, that place means nothing: a teleseism, or a regional event. What follows in the
coda of such a P is taken for S, but crosses the network as fast as P itself did, where S of a place takes 1.7 times as
long. A wave has as many unknowns as a place: two of slowness, when it crosses, and how much later what follows does.
Nothing says how much: that costs the logarithm of the steps that it may be.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import PlaneWave
from .search import Stack, widened

FloatArray = NDArray[np.float64]

SLOWEST_KM_S = 5.0
"""Smallest apparent velocity of P from a source far away."""

COARSE_STEPS, REFINE = 6.0, 3.0
"""Slownesses of the first grid lie so many steps of the evidence apart at the network's rim; then finer by what."""

KEPT = 4
"""Slownesses that are kept from grid to grid."""

SLACK_STEPS = 5.0
"""How far outside of the given window the wave may cross the network's middle."""


def better_wave(
    evidence: NDArray[np.float32],
    stack: Stack,
    places_km: FloatArray,
    windows: Sequence[tuple[float, float]],
    step_s: float,
    score: float,
) -> PlaneWave | None:
    """The plane wave with the highest sum of the evidence (station, 2, time); None where that is below ``score``.

    That is P's, and that for S of what follows it at the same slowness; where evidence never speaks against an onset it
    tells energy, not S, and P's alone counts. ``places_km`` (station, 2); ``windows``: first
    and last step of the evidence at which the wave, and what follows, crosses their middle.
    """
    if float(evidence.min()) >= 0.0:
        evidence = np.stack([evidence[:, 0], np.zeros_like(evidence[:, 1])], axis=1)
    # No wave has more than every station's best
    if float(np.maximum(evidence.max(axis=-1), 0.0).sum()) <= score:
        return None
    apart = places_km - places_km.mean(axis=0)
    rim = max(float(np.hypot(*apart.T).max()), 1e-3)
    steepest = 1.0 / SLOWEST_KM_S
    spacing, reach, kept = COARSE_STEPS * step_s / rim, steepest, np.zeros((1, 2))
    times = [(first - SLACK_STEPS, last + SLACK_STEPS) for first, last in windows]
    while True:
        count = int(np.ceil(reach / spacing))
        line = np.arange(-count, count + 1) * spacing
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        slowness = np.unique(np.round((kept[:, None] + grid).reshape(-1, 2), 9), axis=0)
        slowness = slowness[np.hypot(*slowness.T) <= steepest]
        blur = 0.5 * spacing * rim / step_s
        stride = max(int(blur), 1)
        wide = widened(evidence, blur + 0.5 * (stride - 1), blur + 0.5 * (stride - 1))
        sums = _highest(wide, stack, slowness @ apart.T / step_s, times, stride)
        best = np.argsort(sums)[::-1][:KEPT]
        # Widened evidence is no less than what finer grids will find
        if sums[best[0]] <= score:
            return None
        if spacing * rim <= step_s:
            break
        kept, reach, spacing = slowness[best], spacing, spacing / REFINE
    east, north = slowness[best[0]]
    size = float(np.hypot(east, north))
    # It travels along its slowness and comes from the other side
    azimuth = float(np.degrees(np.arctan2(-east, -north)) % 360.0)
    return PlaneWave(1.0 / size if size > 0.0 else np.inf, azimuth, float(sums[best[0]]))


def _highest(
    evidence: NDArray[np.float32],
    stack: Stack,
    late_steps: FloatArray,
    windows: Sequence[tuple[float, float]],
    stride: int,
) -> FloatArray:
    """Each wave's (node,) highest sum of P, and of S where that follows; ``late_steps`` (node, station) after it
    crosses the middle; one in ``stride`` times is tried.
    """
    sums, times = [], []
    for phase, window in enumerate(windows):
        arrivals = np.full((*late_steps.shape, 2), np.nan, np.float32)
        arrivals[..., phase] = late_steps + window[0]
        origins = np.arange(0.0, max(np.ceil(window[1] - window[0]), 1.0) + stride, stride, dtype=np.float32)
        sums.append(np.asarray(stack(evidence, arrivals, origins), float))
        times.append(window[0] + origins)
    p, s = sums
    # The highest from each time on, and none after the last. When is anybody's guess: each step is as likely
    later = np.maximum.accumulate(s[:, ::-1], axis=1)[:, ::-1] - np.log(windows[1][1] - windows[1][0] + 1.0)
    later = np.concatenate([np.maximum(later, 0.0), np.zeros((len(s), 1))], axis=1)
    return np.asarray((p + later[:, np.searchsorted(times[1], times[0], side="right")]).max(axis=1))
