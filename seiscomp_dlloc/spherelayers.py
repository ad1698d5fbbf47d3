"""Rays in a sphere of layers whose slowness is a power of the radius: curves of time against distance.

u = r / v, the slowness of a sphere, is A r^B within a layer (Bullen's law). Then a ray of the parameter p from u1 down
to u2 takes (sqrt(u1^2 - p^2) - sqrt(u2^2 - p^2)) / B and goes (arccos(p / u1) - arccos(p / u2)) / B around the centre
(Buland and Chapman 1983, The computation of seismic travel times, Bull. Seism. Soc. Am. 73, 1271-1302). That is what
TauP computes (Crotwell, Owens and Ritsema 1999, The TauP Toolkit, Seism. Res. Lett. 70, 154-160). TauP makes a model
anew for each depth of a source; here sums over the layers, made once, serve all depths.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_POINT = 1e-9


class Curve(NamedTuple):
    """Points of a travel-time curve, each the neighbour of the next (point,): distance, time (s), and the slope there
    (s per unit of distance).
    """

    distance: FloatArray
    time: FloatArray
    slope: FloatArray

    def scaled(self, unit: float) -> "Curve":
        """The same where distances are counted in a unit so many times smaller."""
        return Curve(self.distance * unit, self.time, self.slope / unit)


class SphereLayers:
    """Layers of one phase from the surface down: radii (km) and slownesses (s/rad) of their tops and bottoms (layer,).

    ``rays`` (ray,), falling: the ray parameters (s/rad) that curves have points for. A ray turns at the top of the
    first layer that it cannot cross; the slownesses of the layers' ends should be among the rays, as they are in TauP's
    models. Raises ValueError where slowness does not fall with depth, in layers and from one to the next: rays would be
    bent down.
    """

    def __init__(
        self,
        top_radius: FloatArray,
        bottom_radius: FloatArray,
        top_slowness: FloatArray,
        bottom_slowness: FloatArray,
        rays: FloatArray,
    ):
        # TauP puts layers without thickness where the slowness jumps: rays take no time in them
        thick = top_radius > bottom_radius
        self._radius, self._bottom_radius = top_radius[thick], bottom_radius[thick]
        self._top, self._bottom = top_slowness[thick], bottom_slowness[thick]
        falls = np.all(self._top > self._bottom) and np.all(self._bottom[:-1] >= self._top[1:])
        if not (falls and self._bottom[-1] > 0.0):
            raise ValueError("slowness must fall with depth")
        self._power = np.log(self._top / self._bottom) / np.log(self._radius / self._bottom_radius)
        self._rays = rays
        through = self._rays <= self._bottom[:, None]
        parts = _through(self._rays, self._top[:, None], self._bottom[:, None], self._power[:, None])
        # Of each ray from the surface to the top of each layer (layer + 1, ray); where it has turned, no more is added
        self._sums = [np.pad(np.cumsum(np.where(through, part, 0.0), axis=0), ((1, 0), (0, 0))) for part in parts]

    def curve(self, radius_km: float) -> Curve:
        """The rays of a source (distance in radians): from straight up to level, on to the steepest that turns below.

        ``radius_km``: not below the last layer. A source on a jump of the slowness has that of the layer above.
        """
        layer = int(np.searchsorted(-self._bottom_radius, -radius_km))
        slowness = self._top[layer] * (radius_km / self._radius[layer]) ** self._power[layer]
        first = int(np.searchsorted(-self._rays, -slowness, side="right"))
        end = max(first, int(np.searchsorted(-self._rays, -self._bottom[-1], side="right")))  # the rest does not turn
        rays = np.concatenate([self._rays[first:][::-1], [slowness]])
        within = _through(rays, self._top[layer], slowness, self._power[layer])
        # The level ray is none of those that were summed up
        level = _through(slowness, self._top[:layer], self._bottom[:layer], self._power[:layer])
        points = []
        for sums, part, above in zip(self._sums, within, level, strict=True):
            up = part + np.concatenate([sums[layer, first:][::-1], [above.sum()]])
            points.append(np.concatenate([up, 2.0 * sums[-1, first:end] - up[:-1][::-1][: end - first]]))
        time, angle = points
        return Curve(angle, time, np.concatenate([rays, self._rays[first:end]]))


def _through(rays: FloatArray, top: FloatArray, bottom: FloatArray, power: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Time (s) and angle (rad) of rays from slowness ``top`` down to ``bottom``; without meaning where they turn."""
    legs = [np.sqrt(np.maximum(slowness**2 - rays**2, 0.0)) for slowness in (top, bottom)]
    # The arc's tangent, not its cosine, keeps its digits where a ray is nearly level
    angles = [np.arctan2(leg, rays) for leg in legs]
    return (legs[0] - legs[1]) / power, (angles[0] - angles[1]) / power


def lower_to(curve: Curve, grid: FloatArray, earliest: FloatArray) -> None:
    """Lower ``earliest`` (s) on ``grid`` (rising) to the Hermite cubics between neighbouring points of a curve."""
    swap = curve.distance[:-1] > curve.distance[1:]
    (x0, x1), (t0, t1), (p0, p1) = ((np.where(swap, a[1:], a[:-1]), np.where(swap, a[:-1], a[1:])) for a in curve)
    start, stop = np.searchsorted(grid, x0 - _POINT), np.searchsorted(grid, x1 + _POINT)
    some = np.flatnonzero(stop > start)
    start, count = start[some], (stop - start)[some]
    if some.size == 0:
        return
    x0, width, t0, t1, p0, p1 = (a[some] for a in (x0, x1 - x0, t0, t1, p0, p1))
    # Powers of the distance from the first point; a segment that is a point has its earlier time
    point = width < _POINT
    span = np.where(point, 1.0, width)
    rise = (t1 - t0) / span
    first = np.where(point, np.minimum(t0, t1), t0)
    one = np.where(point, 0.0, p0)
    two = np.where(point, 0.0, (3.0 * rise - 2.0 * p0 - p1) / span)
    three = np.where(point, 0.0, (p0 + p1 - 2.0 * rise) / span**2)
    first, one, two, three, away, skipped = (
        np.repeat(a, count) for a in (first, one, two, three, -x0, start - np.cumsum(count) + count)
    )
    node = np.arange(skipped.size) + skipped
    away += grid[node]
    np.minimum.at(earliest, node, first + away * (one + away * (two + away * three)))
