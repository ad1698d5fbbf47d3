"""Stations whose clock is wrong: P and S are early or late there by one time, where the others suit the place."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]

LARGEST_S = 3.0
"""Clocks that are off by more look like another event."""

FITTING_S, FITTING_STEPS = 0.4, 4
"""Onsets that close to their predicted times (the longer of both) fit: earth models leave no less."""

ALIKE_STEPS = 2
"""P and S are early or late by one time if they are by times that differ by no more than twice that."""

SEEN = 2.0
"""Least evidence of each of the two onsets."""

GAIN = 6.0
"""By how much both together must be better than what there is at the predicted times."""

MOST_SHARE = 0.34
"""If more of the stations have clocks that look wrong, it is the place that is."""


def wrong_clocks(
    evidence: NDArray[np.float32], steps: FloatArray, names: Sequence[str], step_s: float
) -> dict[str, float]:
    """Station -> seconds by which P and S are late there (negative: early), alike; empty where all clocks are right.

    ``evidence`` (station, 2, time); ``steps`` (station, 2): predicted onsets in its steps. Empty, too, where that is
    so at more of the stations than have wrong clocks.
    """
    reach = round(LARGEST_S / step_s)
    fitting = max(round(FITTING_S / step_s), FITTING_STEPS)
    late = np.arange(-reach, reach + 1)
    alike = ndimage.maximum_filter1d(evidence, 2 * ALIKE_STEPS + 1, axis=-1, mode="nearest")
    found: dict[str, float] = {}
    for station, name in enumerate(names):
        if not np.all(np.isfinite(steps[station])):
            continue
        at = np.rint(steps[station])[:, None].astype(int) + late
        inside = (at >= 0) & (at < evidence.shape[-1])
        seen = np.where(inside, np.take_along_axis(alike[station], np.clip(at, 0, evidence.shape[-1] - 1), -1), -np.inf)
        fits = np.abs(late) <= fitting
        if not inside[:, fits].all():
            continue
        both = np.where(np.all(seen >= SEEN, axis=0) & ~fits, seen.sum(axis=0), -np.inf)
        best = int(np.argmax(both))
        if both[best] >= float(seen[:, fits].max(axis=1).sum()) + GAIN:
            # The filter spreads the largest value evenly over its length
            equal = np.flatnonzero(both >= both[best] - 1e-6)
            found[name] = float(late[equal].mean()) * step_s
    return found if len(found) <= MOST_SHARE * len(names) else {}


def told(clocks: Mapping[str, float]) -> tuple[str, ...]:
    """A note for each of these stations."""
    return tuple(
        f"P and S of {name} are {abs(late):.1f} s {'late' if late > 0 else 'early'}, both: look at its clock"
        for name, late in clocks.items()
    )
