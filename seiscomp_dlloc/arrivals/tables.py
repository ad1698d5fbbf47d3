"""Tables of first arrivals at one receiver elevation.

What is tabulated is not the time T but (T - T0) / R, R the straight distance between source and receiver and T0 the
time where they coincide: the mean slowness along the way. It is constant in a half-space and stays smooth where the
source comes close to the receiver, where the time itself has the tip of a cone.
"""

import itertools
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
Compute = Callable[[NDArray[np.intp], NDArray[np.intp]], tuple[FloatArray, FloatArray]]
"""A function and its tolerance at nodes, from their numbers of rows and of columns (n,)."""

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
    """Mean slowness (nz, nx) and the delay (s); the middles between nodes are looked at, too."""
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

    values, poor = _coarse_to_fine(compute, z, root)
    _level(values, poor, compute, z, root)
    return values, delay


def _halved(nodes: FloatArray) -> FloatArray:
    """``nodes`` and the middles between them."""
    halved = np.empty(2 * nodes.size - 1)
    halved[::2], halved[1::2] = nodes, (nodes[:-1] + nodes[1:]) / 2.0
    return halved


def _coarse_to_fine(compute: Compute, rows: FloatArray, columns: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A function at every other node of ``rows`` x ``columns``, computed where linear interpolation would not do.

    Every block of nodes is halved; the new nodes are interpolated, and computed only in blocks where one of the last
    two halvings missed by more than a tolerance: a coarse one may have hit by chance, between two kinks. So kinks get
    all their nodes while smooth parts cost little. Beside the values: the blocks between them whose middles, the nodes
    left out, linear interpolation may miss.
    """
    step = 2 ** (LEVELS + 1)
    i, j = (step * a.ravel() for a in np.indices((rows[::step].size, columns[::step].size)))
    rows, columns, step = rows[::2], columns[::2], step // 2
    values = np.empty((rows.size, columns.size))
    values[i // 2, j // 2] = compute(i, j)[0]
    poor = before = np.ones(((rows.size - 1) // step, (columns.size - 1) // step), bool)
    while step > 1:
        half = step // 2
        values[half::step, ::step] = _between(values[:-step:step, ::step], values[step::step, ::step], rows, step, 0)
        values[::half, half::step] = _between(values[::half, :-step:step], values[::half, step::step], columns, step, 1)
        wanted = _marks(poor)
        i, j = _places(wanted)
        computed, tolerance = compute(2 * half * i, 2 * half * j)
        wanted[i, j] = np.abs(values[half * i, half * j] - computed) > tolerance
        values[half * i, half * j] = computed
        # Both blocks beside a node that was missed are looked into, in quarters at the next step
        missed = np.zeros(poor.shape, bool)
        for down, right in _NEW:
            missed |= wanted[down : wanted.shape[0] - 2 + down : 2, right : wanted.shape[1] - 2 + right : 2]
        step = half
        poor = _quartered(missed | before if 2 * step >= _COARSE else missed)
        before = _quartered(missed)
    return values, poor


def _marks(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Marks on the nodes that halving these blocks adds, among the blocks' corners and their middles."""
    top, left = _places(blocks)
    marks = np.zeros((2 * blocks.shape[0] + 1, 2 * blocks.shape[1] + 1), bool)
    for down, right in _NEW:
        marks[2 * top + down, 2 * left + right] = True
    return marks


def _places(marks: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of what is marked; several times faster than numpy.nonzero of two axes."""
    flat = np.flatnonzero(marks)
    row = flat // marks.shape[1]
    return row, flat - row * marks.shape[1]


def _quartered(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same marks on the quarters of blocks."""
    return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)


def _level(
    values: FloatArray, poor: NDArray[np.bool_], compute: Compute, rows: FloatArray, columns: FloatArray
) -> None:
    """Shift ``values``, in place, so that linear interpolation misses the nodes left out evenly to both sides.

    A kink that the nodes left out show is missed on one side only; half of that, added to the nodes around it, halves
    the largest error. Only those in ``poor`` blocks are computed: in the others nothing is missed.
    """
    highest, lowest = np.zeros_like(values), np.zeros_like(values)
    i, j = _places(_marks(poor))
    computed, _ = compute(i, j)
    downs, rights = _shares(rows, 2), _shares(columns, 2)
    for below, beside in ((1, 0), (0, 1), (1, 1)):
        here = (i % 2 == below) & (j % 2 == beside)
        k, m = i[here] // 2, j[here] // 2
        down, right = downs[k] if below else 0.0, rights[m] if beside else 0.0
        left_of, right_of = (
            values[k, column] + down * (values[k + below, column] - values[k, column]) for column in (m, m + beside)
        )
        missed = computed[here] - (left_of + right * (right_of - left_of))
        for row, column in itertools.product(range(1 + below), range(1 + beside)):
            at = k + row, m + column  # no node twice
            highest[at], lowest[at] = np.maximum(highest[at], missed), np.minimum(lowest[at], missed)
    values += (highest + lowest) / 2.0


def _between(lower: FloatArray, upper: FloatArray, nodes: FloatArray, step: int, axis: int) -> FloatArray:
    """Linear interpolation at the middle one of every ``step`` nodes along ``axis``."""
    share = _shares(nodes, step)
    share = share[:, None] if axis == 0 else share[None, :]
    return np.asarray(lower + share * (upper - lower))


def _shares(nodes: FloatArray, step: int) -> FloatArray:
    """Where the middle one of every ``step`` nodes stands between the first and the last of them, 0 to 1."""
    return np.asarray((nodes[step // 2 :: step] - nodes[:-step:step]) / (nodes[step::step] - nodes[:-step:step]))
