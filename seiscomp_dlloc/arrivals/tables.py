"""Tables of first arrivals at one receiver elevation.

What is tabulated is not the time T but (T - T0) / R, R the straight distance between source and receiver and T0 the
time where they coincide: the mean slowness along the way. It is constant in a half-space and stays smooth where the
source comes close to the receiver, where the time itself has the tip of a cone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..traveltimes import PHASES, FloatArray, Phase, TravelTimes
from ..units import m_to_km
from .lattice import LEVELS, Lattice

_NEAREST_KM = 1e-3
_TOLERANCE_S = 5e-4
_COARSE = 8
_NEW = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))  # nodes that halving a block adds, in half steps


@dataclass(frozen=True)
class Table:
    """Mean slowness (s/km) on the nodes of a lattice, (phase, nz * nx) float32, and ``delay_s`` (phase,): T0."""

    lattice: Lattice
    slowness: NDArray[np.float32]
    delay_s: NDArray[np.float32]


def make_table(travel_times: TravelTimes, lattice: Lattice, elevation_m: float) -> Table:
    """Fill a table for receivers at ``elevation_m``."""
    slowness, delay = [], []
    for phase in PHASES:
        values, base = _fill(travel_times, lattice, phase, elevation_m)
        slowness.append(values.astype(np.float32).ravel())
        delay.append(base)
    return Table(lattice, np.stack(slowness), np.array(delay, np.float32))


def _fill(travel_times: TravelTimes, lattice: Lattice, phase: Phase, elevation_m: float) -> tuple[FloatArray, float]:
    """Mean slowness (nz, nx) and the delay (s), from values at twice as many nodes along each axis."""
    height = m_to_km(1.0) * elevation_m
    delay = float(travel_times.times(phase, 0.0, -height, elevation_m))
    delay = delay if np.isfinite(delay) else 0.0
    z, root = _halved(lattice.z_km), _halved(lattice.root)
    x = np.maximum(root**2 - lattice.stretch_km, _NEAREST_KM)
    tolerance = _TOLERANCE_S * lattice.extent.coarseness

    def compute(i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        straight = np.hypot(x[j], z[i] + height)
        time = travel_times.times(phase, x[j], z[i], elevation_m)
        return np.asarray((time - delay) / straight), tolerance / straight

    return _levelled(_coarse_to_fine(compute, z, root), z, root), delay


def _halved(nodes: FloatArray) -> FloatArray:
    """``nodes`` and the middles between them."""
    halved = np.empty(2 * nodes.size - 1)
    halved[::2], halved[1::2] = nodes, (nodes[:-1] + nodes[1:]) / 2.0
    return halved


def _coarse_to_fine(
    compute: Callable[[NDArray[np.intp], NDArray[np.intp]], tuple[FloatArray, FloatArray]],
    rows: FloatArray,
    columns: FloatArray,
) -> FloatArray:
    """A function at the nodes ``rows`` x ``columns``, computed where linear interpolation would not do.

    Every block of nodes is halved; the new nodes are interpolated, and computed only in blocks where one of the last
    two halvings missed by more than a tolerance: a coarse one may have hit by chance, between two kinks. So kinks get
    all their nodes while smooth parts cost little. ``compute`` takes numbers of rows and of columns (n,), and gives the
    function and its tolerance there.
    """
    step = 2 ** (LEVELS + 1)
    values = np.empty((rows.size, columns.size))
    i, j = (step * a.ravel() for a in np.indices(values[::step, ::step].shape))
    values[i, j] = compute(i, j)[0]
    poor = before = np.ones(((rows.size - 1) // step, (columns.size - 1) // step), bool)
    while step > 1:
        half = step // 2
        values[half::step, ::step] = _between(values[:-step:step, ::step], values[step::step, ::step], rows, step, 0)
        values[::half, half::step] = _between(values[::half, :-step:step], values[::half, step::step], columns, step, 1)
        top, left = np.nonzero(poor)
        # Marks stand on the nodes of this step and on those between them
        wanted = np.zeros((2 * poor.shape[0] + 1, 2 * poor.shape[1] + 1), bool)
        for down, right in _NEW:
            wanted[2 * top + down, 2 * left + right] = True
        i, j = np.nonzero(wanted)
        computed, tolerance = compute(half * i, half * j)
        wanted[i, j] = np.abs(values[half * i, half * j] - computed) > tolerance
        values[half * i, half * j] = computed
        # Both blocks beside a node that was missed are looked into, in quarters at the next step
        missed = np.zeros(poor.shape, bool)
        for down, right in _NEW:
            missed |= wanted[down : wanted.shape[0] - 2 + down : 2, right : wanted.shape[1] - 2 + right : 2]
        step = half
        if step > 1:
            poor = _quartered(missed | before if step >= _COARSE else missed)
            before = _quartered(missed)
    return values


def _quartered(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same marks on the quarters of blocks."""
    return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)


def _levelled(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Every other node, shifted so that linear interpolation misses the nodes left out evenly to both sides.

    A kink that the nodes left out show is missed on one side only; half of that, added to the nodes around it, halves
    the largest error.
    """
    linear = values.copy()
    linear[1::2, ::2] = _between(values[:-2:2, ::2], values[2::2, ::2], rows, 2, 0)
    linear[:, 1::2] = _between(linear[:, :-2:2], linear[:, 2::2], columns, 2, 1)
    missed = np.pad(values - linear, 1)
    highest, lowest = (_of_three(_of_three(missed.T, choose).T, choose) for choose in (np.maximum, np.minimum))
    return np.asarray(values[::2, ::2] + (highest + lowest) / 2.0)


def _of_three(values: FloatArray, choose: np.ufunc) -> FloatArray:
    """Of every other row but the first and the last, it and its two neighbours, what ``choose`` takes."""
    return np.asarray(choose(choose(values[:-2:2], values[1:-1:2]), values[2::2]))


def _between(lower: FloatArray, upper: FloatArray, nodes: FloatArray, step: int, axis: int) -> FloatArray:
    """Linear interpolation at the middle one of every ``step`` nodes along ``axis``."""
    share = (nodes[step // 2 :: step] - nodes[:-step:step]) / (nodes[step::step] - nodes[:-step:step])
    share = share[:, None] if axis == 0 else share[None, :]
    return np.asarray(lower + share * (upper - lower))
