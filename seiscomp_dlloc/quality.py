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

PLATEAU_SHARE = 0.9
SLOWEST_HZ = 0.005
"""Equal samples further out than PLATEAU_SHARE of the extreme are a plateau where they last longer than the crest of
a wave of this frequency and the same amplitude would."""

FULL_SCALE = 2.0**23
OVERDRIVEN = 0.9

SPIKE_RATIO = 10.0
SPIKE_QUANTA = 20.0
_BLOCK = 8
_CHUNK = 2**16
_AROUND = np.concatenate([np.arange(-_BLOCK, -1), np.arange(2, _BLOCK + 1)])
_POWER = float(_AROUND @ _AROUND)


@dataclass(frozen=True)
class Verdicts:
    """Per channel: why it is not usable ('' where it is), and which samples are stuck (channel, sample)."""

    reasons: tuple[str, ...]
    stuck: BoolArray


def quantum(data: FloatArray) -> FloatArray:
    """Least step of each row (..., n): 1 for whole numbers, 0 for anything else."""
    return np.where((data == np.rint(data)).all(axis=-1), 1.0, 0.0)


def inspect(data: FloatArray, valid: BoolArray, rate_hz: float, least: FloatArray | None = None) -> Verdicts:
    """Judge channels (channel, sample) in counts that share a sampling rate; ``valid`` False in gaps.

    ``least``: :func:`quantum` of the channels, where it is known already.
    """
    rows, n = data.shape
    known = quantum(data) if least is None else least
    reasons: tuple[str, ...] = ()
    stuck = np.zeros(data.shape, bool)
    # A few channels at a time stay in the processor's cache through the many passes
    step = max(1, _CHUNK // max(n, 1))
    for start in range(0, rows, step):
        some = slice(start, start + step)
        reasons += _inspect(data[some], valid[some], rate_hz, known[some], stuck[some])
    return Verdicts(reasons, stuck)


def _inspect(
    data: FloatArray, valid: BoolArray, rate_hz: float, least: FloatArray, stuck: BoolArray
) -> tuple[str, ...]:
    """Reasons of a few channels; marks stuck samples."""
    rows, n = data.shape
    reasons = [""] * rows
    if n < 2 * _BLOCK:
        return tuple("too short" for _ in reasons)
    whole = valid.all(axis=1)
    step = np.diff(data, axis=1)
    known = None
    if not whole.all():
        known = valid[:, 1:] & valid[:, :-1]
        step *= known
    equal = step == 0.0
    if known is not None:
        equal &= known
    repeats = [np.count_nonzero(row) for row in equal]
    total = [np.count_nonzero(row) for row in valid]
    # _flat_runs looks for three equal samples far out and for runs of STUCK_S, which hold one of two halves whole;
    # few sound channels have either
    low, high = data.min(axis=1), data.max(axis=1)
    margin = 0.5 * (1.0 - PLATEAU_SHARE) * (high - low)
    inner = data[:, 1:-1]
    outer = (inner > (high - margin)[:, None]) | (inner < (low + margin)[:, None])
    flat = (outer & equal[:, 1:] & equal[:, :-1]).any(axis=1)
    half = max(1, int(STUCK_S * rate_hz) // 2 - 1)
    halves = equal[:, : equal.shape[1] // half * half].reshape(rows, -1, half)
    flat |= halves.all(axis=2).any(axis=1)
    overdriven = _overdriven(data, low, high, least)
    spiking = _spikes(data, step, least)
    for row in range(rows):
        if total[row] < max(MIN_VALID_SHARE * n, 2):
            reasons[row] = f"hardly any data ({total[row]} of {n} samples)"
        elif repeats[row] >= REPEATED_SHARE * (total[row] - 1):
            reasons[row] = "dead (constant)"
        elif overdriven[row]:
            reasons[row] = f"clipped (beyond {OVERDRIVEN:.0%} of a 24-bit digitizer's range)"
        elif flat[row]:
            reasons[row] = _flat_runs(data[row], valid[row], step[row], equal[row], least[row], rate_hz, stuck[row])
        if not reasons[row] and spiking[row] >= 0:
            reasons[row] = f"spikes (the largest {spiking[row] / rate_hz:.2f} s after its start)"
    return tuple(reasons)


def _flat_runs(
    x: FloatArray, valid: BoolArray, step: FloatArray, equal: BoolArray, least: float, rate_hz: float, stuck: BoolArray
) -> str:
    """Reason from the runs of equal samples of one channel; marks stuck samples."""
    edge = np.diff(np.concatenate([[False], equal, [False]]).view(np.int8))
    first, last = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    long = last - first + 1 >= FLAT_SAMPLES
    first, last = first[long], last[long]
    padded = np.concatenate([[0.0], np.abs(step), [0.0]])
    length, value = last - first + 1, x[first]
    jump = np.maximum(padded[first], padded[last + 1])
    used = x[valid]
    low, high, middle = used.min(), used.max(), float(np.median(used))
    out = np.where(value > middle, high - middle, middle - low)
    share = np.abs(value - middle) / np.where(out > 0, out, 1.0)
    steep = (jump > JUMP_QUANTA * least) & (jump > FLAT_STEP_SHARE * out) & (share == 1.0)
    # x = A cos(2 pi f t) stays within one count of its crest for 1 / (pi f sqrt(A / 1 count))
    crest = rate_hz / (np.pi * SLOWEST_HZ * np.sqrt(np.maximum(out, 1e-300) / max(least, 1e-300)))
    # Zero is no digitizer's limit, it is what fills gaps
    top = (steep | ((share > PLATEAU_SHARE) & (length > np.maximum(crest, FLAT_SAMPLES)))) & (value != 0.0)
    lasting = (length >= STUCK_S * rate_hz) & (jump > JUMP_QUANTA * least)
    # One long plateau is a dropout; clipping also makes short ones, or comes back
    if np.any(top & ~lasting) or np.count_nonzero(top) > 1:
        return f"clipped (flat at {value[top][np.abs(value[top] - middle).argmax()]:.0f} counts)"
    for k in np.flatnonzero(lasting | (steep & (value == 0.0))):
        stuck[first[k] : last[k] + 1] = True
    if np.count_nonzero(valid & ~stuck) < MIN_VALID_SHARE * x.size:
        return "dead (stuck at one value)"
    return ""


def _overdriven(data: FloatArray, low: FloatArray, high: FloatArray, least: FloatArray) -> BoolArray:
    """Channels (channel, sample) at the limit of a 24-bit digitizer, whose filter may ring on the flat top."""
    largest = np.maximum(high, -low)
    out = np.zeros(data.shape[0], bool)
    for row in np.flatnonzero((largest > OVERDRIVEN * FULL_SCALE) & (largest < 1.05 * FULL_SCALE) & (least == 1.0)):
        beyond = np.abs(data[row]) > OVERDRIVEN * FULL_SCALE
        out[row] = bool((beyond[2:] & beyond[1:-1] & beyond[:-2]).any())
    return out


def _spikes(data: FloatArray, step: FloatArray, least: FloatArray) -> NDArray[np.int64]:
    """Sample of the largest isolated spike of each channel (channel, sample), -1 where there is none.

    A spike stands SPIKE_RATIO times as far from the straight line through the samples from 2 to 8 away on either
    side as any of these. Ground motion behind an anti-alias filter has side lobes there, so an impulsive onset is
    none, nor is a spike that was filtered since.
    """
    rows = step.shape[0]
    curvature = np.diff(step, axis=1)
    np.abs(curvature, out=curvature)
    found = np.full(rows, -1, np.int64)
    blocks = curvature.shape[1] // _BLOCK
    if blocks < 5:
        return found
    # Maxima of blocks, by columns: NumPy reduces a short last axis slowly
    peak = curvature[:, : blocks * _BLOCK : _BLOCK].copy()
    for k in range(1, _BLOCK):
        np.maximum(peak, curvature[:, k : blocks * _BLOCK : _BLOCK], out=peak)
    # Screening by second differences: blocks that stand out from those two away (a spike may touch the next one)
    before, after = np.empty_like(peak), np.empty_like(peak)
    before[:, 2:], before[:, :2] = peak[:, :-2], np.inf
    after[:, :-2], after[:, -2:] = peak[:, 2:], np.inf
    floor = np.maximum(SPIKE_QUANTA * least, SPIKE_RATIO * np.median(peak, axis=1))[:, None]
    row, block = np.nonzero((peak > floor) & (peak > 0.5 * SPIKE_RATIO * np.minimum(before, after)))
    stretch = curvature[:, : blocks * _BLOCK].reshape(rows, blocks, _BLOCK)[row, block]
    i = block * _BLOCK + stretch.argmax(axis=1) + 1
    inside = (i >= _BLOCK) & (i + _BLOCK < data.shape[1])
    row, i = row[inside], i[inside]
    x = data[row[:, None], i[:, None] + _AROUND]
    mean = x.mean(axis=1)
    line = mean[:, None] + (x @ _AROUND / _POWER)[:, None] * _AROUND
    height = np.abs(data[row, i] - mean)
    isolated = (height > SPIKE_QUANTA * least[row]) & (height > SPIKE_RATIO * np.abs(x - line).max(axis=1))
    # In order of height, so that the largest stays
    for k in np.flatnonzero(isolated)[np.argsort(height[isolated], kind="stable")]:
        found[row[k]] = i[k]
    return found
