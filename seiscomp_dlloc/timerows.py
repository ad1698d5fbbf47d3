"""Rows of times against distance, one for each step of depth, made as they are asked for."""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_SPARE = 64


class TimeRows:
    """Times on rows, numbered from 0, at ``distance_km`` (distance,) at even steps; made when first asked for.

    ``make`` gives the times (distance,) of a row.
    """

    def __init__(self, distance_km: FloatArray, make: Callable[[int], FloatArray]):
        self._distance, self._make = distance_km, make
        self._step = float(distance_km[1] - distance_km[0])
        # Rows come in any order: where each stands in the table, -1 if nowhere yet
        self._slots, self._table, self._count = np.empty(0, np.intp), np.empty((0, distance_km.size)), 0
        # Threads that share it wait for the rows that one of them makes
        self._lock = threading.Lock()

    def at(self, distance_km: FloatArray, row: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Times (s) and slownesses (s/km) at distances (n,) and places between rows (n,): linear in both."""
        upper = row.astype(np.intp)
        share = row - upper
        lower = np.where(share > 0.0, upper + 1, upper)
        slots, table = self._holding(upper, lower)
        column = (distance_km - self._distance[0]) / self._step
        place = np.clip(column.astype(np.intp), 0, self._distance.size - 2)
        along = column - place
        values = table.reshape(-1)
        time, slowness = np.zeros_like(row), np.zeros_like(row)
        for rows, weight in ((upper, 1.0 - share), (lower, share)):
            corner = slots.take(rows) * self._distance.size + place
            first = values.take(corner)
            rise = values.take(corner + 1) - first
            time += weight * (first + along * rise)
            slowness += weight * rise
        return time, slowness / self._step

    def _holding(self, *rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], FloatArray]:
        """The slot of each row number, and the table (slot, distance), once it holds these rows."""
        wanted = np.zeros(1 + max(int(numbers.max(initial=-1)) for numbers in rows), bool)
        for numbers in rows:
            wanted[numbers] = True
        with self._lock:
            if self._slots.size < wanted.size:
                self._slots = np.pad(self._slots, (0, wanted.size - self._slots.size), constant_values=-1)
            missing = np.flatnonzero(wanted & (self._slots[: wanted.size] < 0))
            if self._count + missing.size > len(self._table):
                more = np.empty((missing.size + _SPARE, self._table.shape[1]))
                self._table = np.concatenate([self._table[: self._count], more])
            for number in missing:
                # The row first, then where it stands: others may be reading
                self._table[self._count] = self._make(int(number))
                self._slots[number] = self._count
                self._count += 1
            return self._slots, self._table
