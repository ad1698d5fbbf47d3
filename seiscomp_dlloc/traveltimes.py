"""Predicted travel times of the first P and S arrival.

Two models: layers of constant velocity in the flat local frame (:class:`LayeredTravelTimes`), and ObsPy's TauP
(:class:`TaupTravelTimes`). Both take distances and depths of any broadcastable shape, so that thousands of
evaluations are one call.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ModelError
from .units import degrees_to_km, m_to_km

FloatArray = NDArray[np.float64]
Phase = Literal["P", "S"]
PHASES: tuple[Phase, ...] = ("P", "S")


class TravelTimes(Protocol):
    """What the locator asks of an earth model."""

    def times(
        self, phase: Phase, distance_km: ArrayLike, depth_km: ArrayLike, elevation_m: ArrayLike = 0.0
    ) -> FloatArray:
        """Travel time (s) of the first arrival of ``phase``.

        ``distance_km`` epicentral, ``depth_km`` of the source below sea level (may be negative), ``elevation_m`` of
        the receiver above sea level; the three broadcast, and the answer has their shape.
        """
        ...


def from_passport(earth_model: dict[str, Any]) -> TravelTimes:
    """The travel times that a passport's ``earth_model`` stands for.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` where the layers are out of order or TauP has no such model.
    """
    if earth_model["kind"] == "taup":
        return _taup(str(earth_model["name"]))
    layers = earth_model["layers"]
    return LayeredTravelTimes(
        [layer["top_km"] for layer in layers],
        [layer["vp_km_s"] for layer in layers],
        [layer["vs_km_s"] for layer in layers],
        float(earth_model.get("p_delay_s", 0.0)),
        float(earth_model.get("s_delay_s", 0.0)),
    )


def name_of(earth_model: dict[str, Any]) -> str:
    """What a document of an earth model is called; ``layers`` where it has no name."""
    return str(earth_model.get("name") or earth_model["kind"])


def hash_of(earth_model: dict[str, Any]) -> str:
    """Twelve digits of the SHA-256 of what a document of an earth model holds, in canonical JSON.

    That is all of it but the names that files gave it: two files with the same layers are the same earth model. The
    name of one of TauP's own models is its content.
    """
    held = dict(earth_model)
    if held["kind"] != "taup":
        held.pop("name", None)
    if isinstance(held.get("beside"), dict):
        held["beside"] = hash_of(held["beside"])
    canonical = json.dumps(held, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


class LayeredTravelTimes:
    """First arrivals in flat layers: the direct ray and every head wave.

    ``top_km``: depth of each layer's top below sea level, increasing. The first layer reaches up without end (its
    ``top_km`` is not used), the last one down, so that source and receiver may stand anywhere, above sea level
    too. ``p_delay_s`` and ``s_delay_s`` are added to every time (what the layers do not explain, sites above all).

    The direct ray is found by Newton's iteration on q = tan(angle in the fastest layer crossed): the distance is a
    concave rising function of q, so that the iteration from below cannot fail. Head waves: T = x p + sum h_i eta_i
    with p = 1/v of the refractor and eta_i = sqrt(1/v_i^2 - p^2), beyond the critical distance (Aki and Richards
    2002, section 6.2; Lay and Wallace 1995, section 3.2).
    """

    def __init__(
        self,
        top_km: Sequence[float],
        vp_km_s: Sequence[float],
        vs_km_s: Sequence[float],
        p_delay_s: float = 0.0,
        s_delay_s: float = 0.0,
    ):
        tops = np.asarray(top_km, float)
        if tops.size == 0 or not tops.size == len(vp_km_s) == len(vs_km_s):
            raise ModelError("earth model: every layer needs top_km, vp_km_s and vs_km_s")
        if np.any(np.diff(tops) <= 0):
            raise ModelError(f"earth model: the layers' tops {tops.tolist()} km must increase downwards")
        self._top = np.concatenate([[-np.inf], tops[1:]])
        self._bottom = np.concatenate([tops[1:], [np.inf]])
        self._velocity = {"P": np.asarray(vp_km_s, float), "S": np.asarray(vs_km_s, float)}
        self._delay = {"P": float(p_delay_s), "S": float(s_delay_s)}

    def times(
        self, phase: Phase, distance_km: ArrayLike, depth_km: ArrayLike, elevation_m: ArrayLike = 0.0
    ) -> FloatArray:
        """See :meth:`TravelTimes.times`."""
        distance, source, elevation = np.broadcast_arrays(
            np.asarray(distance_km, float), np.asarray(depth_km, float), np.asarray(elevation_m, float)
        )
        x, receiver = distance.ravel(), -m_to_km(1.0) * elevation.ravel()
        upper, lower = np.minimum(source.ravel(), receiver), np.maximum(source.ravel(), receiver)
        velocity = self._velocity[phase]
        time = self._direct(x, upper, lower, velocity)
        # Nodes of a table share few depths, and the legs of a head wave depend on nothing else
        pairs, which = np.unique(upper + 1j * lower, return_inverse=True)
        for refractor in range(velocity.size):
            if np.isfinite(self._top[refractor]):
                time = np.minimum(time, self._head(x, pairs, which, velocity, refractor, below=True))
            if np.isfinite(self._bottom[refractor]):
                time = np.minimum(time, self._head(x, pairs, which, velocity, refractor, below=False))
        return np.asarray((time + self._delay[phase]).reshape(distance.shape))

    def _thickness(self, upper: FloatArray, lower: FloatArray) -> FloatArray:
        """Length within each layer of the vertical from ``upper`` to ``lower``: (n, layers)."""
        inside = np.minimum(lower[:, None], self._bottom) - np.maximum(upper[:, None], self._top)
        return np.asarray(np.clip(inside, 0.0, None))

    def _direct(self, x: FloatArray, upper: FloatArray, lower: FloatArray, velocity: FloatArray) -> FloatArray:
        thickness = self._thickness(upper, lower)
        flat = lower - upper < 1e-9
        # Where source and receiver are level the ray runs in the faster of the layers that touch their depth
        touches = (self._top <= upper[:, None]) & (upper[:, None] <= self._bottom)
        level_time: FloatArray = x / np.max(np.where(touches, velocity, 0.0), axis=1)
        if np.all(flat):
            return level_time
        thickness = np.where(flat[:, None], 1.0, thickness)
        fastest = np.max(np.where(thickness > 0, velocity, 0.0), axis=1)
        # Layers that are not crossed have no thickness: their velocity only has to keep the roots real
        ratio = np.minimum(velocity / fastest[:, None], 1.0)
        rest = 1.0 - ratio**2
        q = x / np.sum(thickness * ratio, axis=1)
        for _ in range(100):
            root = np.sqrt(1.0 + rest * q[:, None] ** 2)
            miss = x - np.sum(thickness * ratio * q[:, None] / root, axis=1)
            q = q + miss / np.sum(thickness * ratio / root**3, axis=1)
            if np.all(miss <= 1e-9 * (1.0 + x)):
                break
        cosine = np.sqrt((1.0 + rest * q[:, None] ** 2) / (1.0 + q[:, None] ** 2))
        slowness = q / np.sqrt(1.0 + q**2) / fastest
        time = slowness * x + np.sum(thickness * cosine / (ratio * fastest[:, None]), axis=1)
        return np.where(flat, level_time, time)

    def _head(
        self,
        x: FloatArray,
        pairs: NDArray[np.complex128],
        which: NDArray[np.intp],
        velocity: FloatArray,
        refractor: int,
        below: bool,
    ) -> FloatArray:
        """Head wave along the top (``below`` source and receiver) or the bottom of a layer; inf where there is none.

        ``pairs``: distinct depths of the upper (real) and the lower end (imaginary part), ``which`` of them is at x.
        """
        upper, lower = pairs.real, pairs.imag
        if below:
            depth = np.full_like(upper, self._top[refractor])
            legs = self._thickness(upper, depth) + self._thickness(lower, depth)
            possible = depth >= lower
        else:
            depth = np.full_like(upper, self._bottom[refractor])
            legs = self._thickness(depth, upper) + self._thickness(depth, lower)
            possible = depth <= upper
        slower = velocity < velocity[refractor]
        possible &= ~np.any((legs > 0) & ~slower, axis=1)
        sine = np.where(slower, velocity / velocity[refractor], 0.0)
        cosine = np.sqrt(1.0 - sine**2)
        critical = np.sum(legs * sine / cosine, axis=1)
        time = x / velocity[refractor] + np.sum(legs * cosine / velocity, axis=1)[which]
        return np.where(possible[which] & (x >= critical[which]), time, np.inf)


# Phases of TauP among which the first arrival is sought: direct up-going, turning, and core-refracted for the far side
_TAUP_PHASES: dict[str, tuple[str, ...]] = {
    "P": ("p", "P", "Pn", "Pdiff", "PKP", "PKIKP"),
    "S": ("s", "S", "Sn", "Sdiff", "SKS"),
}
_DEPTH_STEP_KM = 0.5
_DISTANCE_STEP_KM = 0.5
_NEAR_KM = 1500.0
_FAR_STEP_KM = 25.0


class TaupTravelTimes:
    """First arrivals of an ObsPy TauP model, from tables that are filled as depths are asked for.

    One row of the table holds the first arrival at one source depth on distances every 0.5 km to 1500 km (every
    25 km beyond); rows stand every 0.5 km of depth; between nodes the time is linear. TauP's curves of time against
    distance are interpolated by cubic Hermite polynomials whose slopes are TauP's own ray parameters. Against TauP
    asked directly: better than 0.02 s within 1000 km.

    TauP's surface is taken as sea level. Receiver elevation e turns the time t into sqrt(t^2 + 2 t e s + (e/v)^2),
    s = sqrt(1/v^2 - p^2), v the model's velocity at the surface, p the ray parameter: exact where rays are straight,
    t + e s where t is long. A source above sea level is put on the surface and the receivers' elevations are counted
    from it.
    """

    def __init__(self, name: str):
        from obspy.taup import TauPyModel  # slow to import, and layered models do without

        try:
            self._model = TauPyModel(name).model
        except Exception as error:  # ObsPy raises unrelated classes for an unknown and for a damaged model
            raise ModelError(f"earth model: TauP has no usable model {name!r} ({error})") from error
        layer = self._model.s_mod.v_mod.layers[0]
        self._surface_velocity = {"P": float(layer["top_p_velocity"]), "S": float(layer["top_s_velocity"])}
        self._max_depth = float(self._model.cmb_depth) - _DEPTH_STEP_KM
        near = np.arange(0.0, _NEAR_KM, _DISTANCE_STEP_KM)
        self._distance = np.concatenate([near, np.arange(_NEAR_KM, degrees_to_km(180.0), _FAR_STEP_KM)])
        self._rows: dict[tuple[Phase, int], FloatArray] = {}

    def times(
        self, phase: Phase, distance_km: ArrayLike, depth_km: ArrayLike, elevation_m: ArrayLike = 0.0
    ) -> FloatArray:
        """See :meth:`TravelTimes.times`; NaN beyond the reach of the phases known here."""
        distance, depth, elevation = np.broadcast_arrays(
            np.asarray(distance_km, float), np.asarray(depth_km, float), np.asarray(elevation_m, float)
        )
        x, z = distance.ravel(), np.clip(depth.ravel(), 0.0, self._max_depth)
        height = m_to_km(1.0) * elevation.ravel() + np.minimum(depth.ravel(), 0.0)
        upper_row = np.floor(z / _DEPTH_STEP_KM).astype(int)
        share = z / _DEPTH_STEP_KM - upper_row
        place = np.clip(np.searchsorted(self._distance, x, side="right") - 1, 0, self._distance.size - 2)
        step = self._distance[place + 1] - self._distance[place]
        along = (x - self._distance[place]) / step
        time, slowness = np.zeros_like(x), np.zeros_like(x)
        for row, weight in ((upper_row, 1.0 - share), (upper_row + 1, share)):
            for index in np.unique(row[weight > 0]):
                here = (row == index) & (weight > 0)
                table = self._row(phase, int(index))
                first, second = table[place[here]], table[place[here] + 1]
                time[here] += weight[here] * (first + along[here] * (second - first))
                slowness[here] += weight[here] * (second - first) / step[here]
        surface = 1.0 / self._surface_velocity[phase]
        vertical = np.sqrt(np.clip(surface**2 - slowness**2, 0.0, None))
        time = np.sqrt(np.clip(time**2 + 2.0 * time * vertical * height + (surface * height) ** 2, 0.0, None))
        return np.asarray(time.reshape(distance.shape))

    def _row(self, phase: Phase, index: int) -> FloatArray:
        if (phase, index) not in self._rows:
            self._rows[phase, index] = self._first_arrivals(phase, index * _DEPTH_STEP_KM)
        return self._rows[phase, index]

    def _first_arrivals(self, phase: Phase, depth_km: float) -> FloatArray:
        from obspy.taup.seismic_phase import SeismicPhase

        corrected, km_per_radian = self._model.depth_correct(depth_km), degrees_to_km(float(np.degrees(1.0)))
        earliest = np.full(self._distance.size, np.inf)
        if depth_km == 0.0:
            earliest[0] = 0.0  # source and receiver coincide: no branch of TauP reaches there
        for name in _TAUP_PHASES[phase]:
            curve = SeismicPhase(name, corrected)
            if curve.dist.size < 2:
                continue
            x, slope = curve.dist * km_per_radian, curve.ray_param / km_per_radian
            for i in range(x.size - 1):
                _lower_by_segment(earliest, self._distance, x[i : i + 2], curve.time[i : i + 2], slope[i : i + 2])
        known = np.isfinite(earliest)
        if not np.any(known):
            raise ModelError(f"earth model: TauP gives no {phase} arrival from {depth_km} km depth")
        first, last = np.flatnonzero(known)[[0, -1]]
        filled: FloatArray = np.interp(self._distance, self._distance[known], earliest[known])
        filled[:first], filled[last + 1 :] = filled[first], np.nan
        return filled


def _lower_by_segment(
    earliest: FloatArray, grid: FloatArray, x: FloatArray, time: FloatArray, slope: FloatArray
) -> None:
    """Lower ``earliest`` on ``grid`` to the Hermite cubic through two neighbouring points of a travel-time curve."""
    if x[0] > x[1]:
        x, time, slope = x[::-1], time[::-1], slope[::-1]
    start, stop = np.searchsorted(grid, [x[0] - 1e-9, x[1] + 1e-9])
    if start == stop:
        return
    width = x[1] - x[0]
    if width < 1e-9:
        values = np.full(stop - start, time.min())
    else:
        s = (grid[start:stop] - x[0]) / width
        values = (
            (1 + 2 * s) * (1 - s) ** 2 * time[0]
            + s * (1 - s) ** 2 * width * slope[0]
            + s**2 * (3 - 2 * s) * time[1]
            + s**2 * (s - 1) * width * slope[1]
        )
    earliest[start:stop] = np.minimum(earliest[start:stop], values)


@lru_cache(maxsize=8)
def _taup(name: str) -> TaupTravelTimes:
    return TaupTravelTimes(name)
