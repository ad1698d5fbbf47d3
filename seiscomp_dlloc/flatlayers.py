"""First arrivals in flat layers of constant velocity: the direct ray and every head wave.

The direct ray is found by Newton's iteration on q = tan(angle in the fastest layer crossed): with the thickness h_i of
each layer crossed, r_i = v_i / v_fastest and w_i = sqrt(1 + (1 - r_i^2) q^2), the distance X = q sum h_i r_i / w_i is a
concave rising function of q, so that the iteration from below cannot fail. It begins at the larger of two bounds that
lie below: each layer's share of X is neither above h_i r_i q nor above h_i r_i / sqrt(1 - r_i^2).

Head waves: T = x p + sum h_i eta_i with p = 1/v of the refractor and eta_i = sqrt(1/v_i^2 - p^2), beyond the critical
distance (Aki and Richards 2002, section 6.2; Lay and Wallace 1995, section 3.2). All but x p is a product of the
legs' lengths within each layer with a matrix that the layers alone fix.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CHUNK = 2048  # nodes at once: what the iteration works on stays in the processor's cache
_LEVEL_KM = 1e-9
_MOST_STEPS = 100
_LAST_GAIN_S = 1e-10


class FlatLayers:
    """Layers of one phase: ``top`` and ``bottom`` (layer,) in km, the first from -inf, the last to inf; ``velocity``
    (layer,) in km/s.
    """

    def __init__(self, top: FloatArray, bottom: FloatArray, velocity: FloatArray):
        self._top, self._bottom, self._velocity = top, bottom, velocity
        number = np.arange(velocity.size)
        slower = velocity[:, None] < velocity
        sine = np.where(slower, velocity[:, None] / velocity, 0.0)
        cosine = np.sqrt(1.0 - sine**2)
        # Legs down to the top of a refractor (column) lie in the layers before it, those up to its bottom behind it
        self._sides = []
        for within in (number[:, None] < number, number[:, None] > number):
            delay, reach = cosine / velocity[:, None], sine / cosine
            self._sides.append((np.where(within, delay, 0.0), np.where(within, reach, 0.0), within & ~slower))

    def first(self, x: FloatArray, upper: FloatArray, lower: FloatArray, which: NDArray[np.intp]) -> FloatArray:
        """Time (s) of the first arrival at each distance ``x`` (n,), km.

        ``upper`` and ``lower`` (m,), km: depths of a ray's ends, the upper one first; ``which`` (n,) of them is at x.
        """
        ends = _Ends(self, upper, lower)
        delays, criticals, slowness = self._heads(upper, lower)
        time = np.empty_like(x)
        # Nodes with the same ends beside one another: their rays cross the same layers, and share refractors
        order = np.argsort(which.astype(np.uint16) if upper.size <= np.iinfo(np.uint16).max else which, kind="stable")
        for start in range(0, x.size, _CHUNK):
            here = order[start : start + _CHUNK]
            distance, pair = x[here], which[here]
            first = ends.direct(distance, pair)
            few = np.flatnonzero(np.min(criticals[:, pair[0] : pair[-1] + 1], axis=1) <= distance.max())
            for refractor in few:
                head = distance * slowness[refractor] + delays[refractor].take(pair)
                np.minimum(first, head, out=first, where=distance >= criticals[refractor].take(pair))
            time[here] = first
        return time

    def crossed(self, upper: FloatArray, lower: FloatArray) -> FloatArray:
        """Length within each layer of the vertical from ``upper`` to ``lower``: (m, layer)."""
        inside = np.minimum(lower[:, None], self._bottom) - np.maximum(upper[:, None], self._top)
        return np.asarray(np.clip(inside, 0.0, None))

    def level(self, depth: FloatArray) -> FloatArray:
        """The larger velocity of the layers that touch a depth (m,)."""
        touches = (self._top <= depth[:, None]) & (depth[:, None] <= self._bottom)
        return np.asarray(np.max(np.where(touches, self._velocity, 0.0), axis=1))

    @property
    def velocity(self) -> FloatArray:
        """(layer,), km/s."""
        return self._velocity

    def _heads(self, upper: FloatArray, lower: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each head wave what it takes beyond x p (s) and its critical distance (km), both (wave, m), and p (wave,).

        The critical distance is infinite where there is no such wave.
        """
        infinite = np.full_like(upper, np.inf)
        below = self.crossed(upper, infinite) + self.crossed(lower, infinite)
        above = self.crossed(-infinite, upper) + self.crossed(-infinite, lower)
        below[:, -1] = above[:, 0] = 0.0  # no leg ends beyond a layer without end
        reachable = self._top >= lower[:, None], self._bottom <= upper[:, None]
        delays, criticals, slowness = [], [], []
        for legs, possible, (delay, reach, barred) in zip((below, above), reachable, self._sides, strict=True):
            possible &= ~((legs > 0).astype(float) @ barred > 0)
            there = possible.any(axis=0)
            delays.append((legs @ delay[:, there]).T)
            criticals.append(np.where(possible, legs @ reach, np.inf)[:, there].T)
            slowness.append(1.0 / self._velocity[there])
        return np.ascontiguousarray(np.concatenate(delays)), np.concatenate(criticals), np.concatenate(slowness)


class _Ends:
    """Direct rays between pairs of depths: what does not depend on the distance, as (layer, m) or (m,)."""

    def __init__(self, layers: FlatLayers, upper: FloatArray, lower: FloatArray):
        thickness = layers.crossed(upper, lower)
        self._flat = lower - upper < _LEVEL_KM
        # Where source and receiver are level the ray runs in the faster of the layers that touch their depth
        self._level = layers.level(upper)
        thickness[self._flat] = 0.0
        thickness[self._flat, np.argmax(layers.velocity == self._level[self._flat, None], axis=1)] = 1.0
        crossed = thickness > 0
        self._first = np.argmax(crossed, axis=1)
        self._end = crossed.shape[1] - np.argmax(crossed[:, ::-1], axis=1)
        fastest = np.max(np.where(crossed, layers.velocity, 0.0), axis=1)
        # Layers that are not crossed have no thickness: their velocity only has to keep the roots real
        ratio = np.minimum(layers.velocity / fastest[:, None], 1.0)
        rest = 1.0 - ratio**2
        across, bent = thickness * ratio, rest > 0
        limit = np.sum(np.where(bent, across, 0.0) / np.sqrt(np.where(bent, rest, 1.0)), axis=1)
        self._fastest, self._limit, self._free = fastest, limit, np.sum(np.where(bent, 0.0, across), axis=1)
        self._straight = across.sum(axis=1)
        self._across, self._rest, self._along = (np.ascontiguousarray(a.T) for a in (across, rest, thickness / ratio))

    def direct(self, x: FloatArray, pair: NDArray[np.intp]) -> FloatArray:
        """Time (s) of the direct ray at distances x (n,) between the ends ``pair`` (n,)."""
        touched = slice(self._first[pair].min(), self._end[pair].max())
        across, rest, along = (a[touched].take(pair, axis=1) for a in (self._across, self._rest, self._along))
        fastest = self._fastest[pair]
        q = np.maximum(x / self._straight[pair], (x - self._limit[pair]) / self._free[pair])
        inverse, part = np.empty_like(rest), np.empty_like(rest)
        for _ in range(_MOST_STEPS):
            square = q * q
            np.multiply(rest, square, out=inverse)
            inverse += 1.0
            np.sqrt(inverse, out=inverse)
            np.divide(1.0, inverse, out=inverse)
            np.multiply(across, inverse, out=part)
            miss = x - q * part.sum(axis=0)
            np.multiply(inverse, inverse, out=inverse)
            part *= inverse
            step = miss / part.sum(axis=0)
            secant = np.sqrt(1.0 + square)
            gain = 0.5 * miss * step / (secant**3 * fastest)
            if not np.any((gain > _LAST_GAIN_S) | (step > 0.1 * secant)):
                break
            q = q + step
        np.sqrt(inverse, out=inverse)
        inverse *= along
        # The time is stationary in q: what is missed costs its slowness, and half of the change of the slowness
        time = (secant * inverse.sum(axis=0) + q / secant * miss) / fastest + gain
        return np.where(self._flat[pair], x / self._level[pair], time)
