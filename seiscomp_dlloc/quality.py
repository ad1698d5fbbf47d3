"""Dead, stuck, clipped and spiking channels, found in counts before anything is done to them.

The tests look for what ground motion behind an anti-alias filter cannot do, not for what is merely large: a repeated
value reached by a jump, a flat top at the channel's own extreme, a single sample that stands out from still
neighbours on both sides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STUCK_S = 1.0
"""A value repeated for this long, entered or left by a jump, is a fill value or a dropout."""

MIN_VALID_SHARE = 0.1
"""A channel with a smaller share of usable samples than this is dead."""

REPEATED_SHARE = 0.99
"""A channel in which a larger share of samples repeats its predecessor is dead."""

JUMP_QUANTA = 5.0
"""Steps above this many counts are jumps: rounding alone makes steps of one."""

FLAT_SAMPLES = 3
FLAT_STEP_SHARE = 0.01
"""A flat top has at least FLAT_SAMPLES equal samples at the extreme and is entered by a step of this share of it."""

SPIKE_RATIO = 10.0
SPIKE_QUANTA = 20.0
_BLOCK = 8


@dataclass(frozen=True)
class Verdicts:
    """Per channel: why it is not usable ('' where it is), and which samples are stuck (channel, sample)."""

    reasons: tuple[str, ...]
    stuck: BoolArray


def quantum(data: FloatArray) -> FloatArray:
    """Least step of each row (..., n): 1 for whole numbers, 0 for anything else."""
    return np.where((data == np.rint(data)).all(axis=-1), 1.0, 0.0)


def inspect(data: FloatArray, valid: BoolArray, rate_hz: float) -> Verdicts:
    """Judge channels (channel, sample) in counts that share a sampling rate; ``valid`` False in gaps."""
    rows, n = data.shape
    reasons = [""] * rows
    stuck = np.zeros(data.shape, bool)
    if n < 2 * _BLOCK:
        return Verdicts(tuple("too short" for _ in reasons), stuck)
    whole = valid.all(axis=1)
    step = np.diff(data, axis=1)
    known = None
    if not whole.all():
        known = valid[:, 1:] & valid[:, :-1]
        step *= known
    equal = step == 0.0
    if known is not None:
        equal &= known
    least = quantum(data)
    repeats = np.count_nonzero(equal, axis=1)
    total = valid.sum(axis=1)
    # Three equal samples in a row are needed for anything below; most channels of real counts have some
    flat = (equal[:, 1:] & equal[:, :-1]).any(axis=1)
    spiking = _spikes(step, least)
    for row in range(rows):
        if total[row] < max(MIN_VALID_SHARE * n, 2):
            reasons[row] = f"hardly any data ({total[row]} of {n} samples)"
        elif repeats[row] >= REPEATED_SHARE * (total[row] - 1):
            reasons[row] = "dead (constant)"
        elif flat[row]:
            reasons[row] = _flat_runs(data[row], valid[row], step[row], equal[row], least[row], rate_hz, stuck[row])
        if not reasons[row] and spiking[row] >= 0:
            reasons[row] = f"spikes (the largest {spiking[row] / rate_hz:.2f} s after its start)"
    return Verdicts(tuple(reasons), stuck)


def _flat_runs(
    x: FloatArray, valid: BoolArray, step: FloatArray, equal: BoolArray, least: float, rate_hz: float, stuck: BoolArray
) -> str:
    """Reason from the runs of equal samples of one channel; marks stuck samples."""
    edge = np.diff(np.concatenate([[False], equal, [False]]).view(np.int8))
    first, last = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    long = last - first + 1 >= FLAT_SAMPLES
    first, last = first[long], last[long]
    padded = np.concatenate([[0.0], np.abs(step), [0.0]])
    jump = np.maximum(padded[first], padded[last + 1])
    used = x[valid]
    low, high, middle = used.min(), used.max(), float(np.median(used))
    value = x[first]
    # Value and middle decide how far the flat part lies out; a filled gap of a channel with offset also lies out
    out = np.where(value > middle, high - middle, middle - low)
    steep = jump > np.maximum(JUMP_QUANTA * least, FLAT_STEP_SHARE * out)
    extreme = steep & ((value == high) | (value == low)) & (value != middle)
    lasting = (last - first + 1 >= STUCK_S * rate_hz) & (jump > JUMP_QUANTA * least)
    for k in np.flatnonzero(lasting & ~extreme):
        stuck[first[k] : last[k] + 1] = True
    # One long plateau is a dropout; clipping also makes short ones, or comes back to the same value
    for bound in (low, high):
        at = extreme & (value == bound)
        # Zero is no digitizer's limit, it is what fills gaps
        if bound != 0.0 and (np.any(at & ~lasting) or np.count_nonzero(at) > 1):
            return f"clipped (flat at {bound:.0f} counts)"
        for k in np.flatnonzero(at):
            stuck[first[k] : last[k] + 1] = True
    if np.count_nonzero(valid & ~stuck) < MIN_VALID_SHARE * x.size:
        return "dead (stuck at one value)"
    return ""


def _spikes(step: FloatArray, least: FloatArray) -> NDArray[np.int64]:
    """Sample of the largest isolated spike of each channel, -1 where there is none.

    ``s[i] = x[i] - (x[i-1] + x[i+1]) / 2``. A spike of one or two samples has an ``s`` at least SPIKE_RATIO times
    as large as any from 3 to 8 samples away on either side.
    """
    rows = step.shape[0]
    s = np.abs(np.diff(step, axis=1)) * 0.5
    found = np.full(rows, -1, np.int64)
    blocks = s.shape[1] // _BLOCK
    if blocks < 5:
        return found
    peak = s[:, : blocks * _BLOCK].reshape(rows, blocks, _BLOCK).max(axis=2)
    # Screening: blocks that stand out from those two away (a spike may touch the next one)
    before, after = np.empty_like(peak), np.empty_like(peak)
    before[:, 2:], before[:, :2] = peak[:, :-2], np.inf
    after[:, :-2], after[:, -2:] = peak[:, 2:], np.inf
    floor = np.maximum(SPIKE_QUANTA * least, SPIKE_RATIO * np.median(peak, axis=1))[:, None]
    row, block = np.nonzero((peak > floor) & (peak > 0.5 * SPIKE_RATIO * np.minimum(before, after)))
    height = np.zeros(rows)
    for r, b in zip(row, block, strict=True):
        i = b * _BLOCK + int(s[r, b * _BLOCK : (b + 1) * _BLOCK].argmax())
        if i < 9 or i + 9 > s.shape[1] or s[r, i] <= height[r]:
            continue
        around = max(s[r, i - 8 : i - 2].max(), s[r, i + 3 : i + 9].max())
        if s[r, i] > SPIKE_RATIO * around:
            found[r], height[r] = i + 1, s[r, i]
    return found
