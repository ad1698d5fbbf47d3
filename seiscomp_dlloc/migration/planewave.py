"""Whether P is better explained by a plane wave that crosses the network: a source far outside of it.

The search for a place within reach always ends somewhere. Where a plane wave, which needs neither a place nor S,
explains the stations' evidence better, that place means nothing: a teleseism, or a regional event.
"""

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
    window: tuple[float, float],
    step_s: float,
    score: float,
) -> PlaneWave | None:
    """The plane wave with the highest sum of P's evidence (station, 2, time); None where that is below ``score``.

    ``places_km`` (station, 2); ``window``: first and last step of the evidence at which the wave crosses their middle.
    """
    # No wave has more than every station's best
    if float(np.maximum(evidence[:, 0].max(axis=-1), 0.0).sum()) <= score:
        return None
    apart = places_km - places_km.mean(axis=0)
    rim = max(float(np.hypot(*apart.T).max()), 1e-3)
    steepest = 1.0 / SLOWEST_KM_S
    spacing, reach, kept = COARSE_STEPS * step_s / rim, steepest, np.zeros((1, 2))
    times = window[0] - SLACK_STEPS, window[1] + SLACK_STEPS
    while True:
        count = int(np.ceil(reach / spacing))
        line = np.arange(-count, count + 1) * spacing
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        slowness = np.unique(np.round((kept[:, None] + grid).reshape(-1, 2), 9), axis=0)
        slowness = slowness[np.hypot(*slowness.T) <= steepest]
        blur = 0.5 * spacing * rim / step_s
        sums = _highest(widened(evidence, blur, blur), stack, slowness @ apart.T / step_s, times)
        best = np.argsort(sums)[::-1][:KEPT]
        if spacing * rim <= step_s:
            break
        kept, reach, spacing = slowness[best], spacing, spacing / REFINE
    east, north = slowness[best[0]]
    if sums[best[0]] <= score:
        return None
    size = float(np.hypot(east, north))
    # It travels along its slowness and comes from the other side
    azimuth = float(np.degrees(np.arctan2(-east, -north)) % 360.0)
    return PlaneWave(1.0 / size if size > 0.0 else np.inf, azimuth, float(sums[best[0]]))


def _highest(
    evidence: NDArray[np.float32], stack: Stack, late_steps: FloatArray, window: tuple[float, float]
) -> FloatArray:
    """Each wave's (node,) highest sum of P; ``late_steps`` (node, station) after it crosses the middle."""
    arrivals = np.full((*late_steps.shape, 2), np.nan, np.float32)
    arrivals[..., 0] = late_steps + window[0]
    times = np.arange(max(np.ceil(window[1] - window[0]), 1.0) + 1.0, dtype=np.float32)
    return np.asarray(stack(evidence, arrivals, times).max(axis=1), float)
