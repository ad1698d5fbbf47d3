"""Predicted travel times of the first P and S arrival.

Two models: layers of constant velocity in the flat local frame (:class:`LayeredTravelTimes`), and ObsPy's TauP
(:class:`TaupTravelTimes`). Both take distances and depths of any broadcastable shape, so that thousands of
evaluations are one call.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ModelError
from .flatlayers import FlatLayers
from .spherelayers import Curve, SphereLayers, lower_to
from .timerows import TimeRows
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
    """First arrivals in flat layers: the direct ray and every head wave (:mod:`~seiscomp_dlloc.flatlayers`).

    ``top_km``: depth of each layer's top below sea level, increasing. The first layer reaches up without end (its
    ``top_km`` is not used), the last one down, so that source and receiver may stand anywhere, above sea level
    too. ``p_delay_s`` and ``s_delay_s`` are added to every time (what the layers do not explain, sites above all).
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
        top, bottom = np.concatenate([[-np.inf], tops[1:]]), np.concatenate([tops[1:], [np.inf]])
        velocities = {"P": np.asarray(vp_km_s, float), "S": np.asarray(vs_km_s, float)}
        self._layers = {phase: FlatLayers(top, bottom, velocity) for phase, velocity in velocities.items()}
        self._delay = {"P": float(p_delay_s), "S": float(s_delay_s)}

    def times(
        self, phase: Phase, distance_km: ArrayLike, depth_km: ArrayLike, elevation_m: ArrayLike = 0.0
    ) -> FloatArray:
        """See :meth:`TravelTimes.times`."""
        distance, source, elevation = np.broadcast_arrays(
            np.asarray(distance_km, float), np.asarray(depth_km, float), np.asarray(elevation_m, float)
        )
        # Nodes of a table share few depths, and all but the distance's part depends on nothing else
        source, of_source = np.unique(source.ravel(), return_inverse=True)
        receiver, of_receiver = np.unique(-m_to_km(1.0) * elevation.ravel(), return_inverse=True)
        pairs, which = np.unique(of_source * receiver.size + of_receiver, return_inverse=True)
        one, other = source[pairs // max(receiver.size, 1)], receiver[pairs % max(receiver.size, 1)]
        time = self._layers[phase].first(distance.ravel(), np.minimum(one, other), np.maximum(one, other), which)
        return np.asarray((time + self._delay[phase]).reshape(distance.shape))


# Phases of TauP among which the first arrival is sought: direct up-going, turning, and core-refracted for the far side
_TAUP_PHASES: dict[str, tuple[str, ...]] = {
    "P": ("p", "P", "Pn", "Pdiff", "PKP", "PKIKP"),
    "S": ("s", "S", "Sn", "Sdiff", "SKS"),
}
_DEPTH_STEP_KM = 0.5
_DISTANCE_STEP_KM = 0.5
_NEAR_KM = 1500.0
_FAR_STEP_KM = 25.0
_CHECKED_ROW = 29
_SAME_S = 1e-5
_KM_PER_RADIAN = degrees_to_km(math.degrees(1.0))


class TaupTravelTimes:
    """First arrivals of an ObsPy TauP model, from tables that are filled as depths are asked for.

    One row of the table holds the first arrival at one source depth on distances every 0.5 km to 1500 km (every
    25 km beyond); rows stand every 0.5 km of depth; between nodes the time is linear. Curves of time against distance
    are interpolated by cubic Hermite polynomials whose slopes are the ray parameters. Against TauP asked directly:
    better than 0.02 s within 1000 km.

    To 1500 km a row holds the rays through crust and mantle, computed from TauP's own layers and ray parameters
    (:mod:`~seiscomp_dlloc.spherelayers`): TauP's times but for rounding, in a fraction of its time. Beyond, and where a
    channel of low velocity bends rays down, TauP sums up its phases itself, which takes some fifty times as long.

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
        self._near, self._far = slice(0, near.size + 1), slice(near.size, None)
        self._tables: dict[Phase, tuple[TimeRows, TimeRows]] = {}
        for phase in PHASES:
            nearby, away = partial(self._near_row, phase, self._checked(phase)), partial(self._far_row, phase)
            near_km, far_km = self._distance[self._near], self._distance[self._far]
            self._tables[phase] = TimeRows(near_km, nearby), TimeRows(far_km, away)

    def times(
        self, phase: Phase, distance_km: ArrayLike, depth_km: ArrayLike, elevation_m: ArrayLike = 0.0
    ) -> FloatArray:
        """See :meth:`TravelTimes.times`; NaN beyond the reach of the phases known here."""
        distance, depth, elevation = np.broadcast_arrays(
            np.asarray(distance_km, float), np.asarray(depth_km, float), np.asarray(elevation_m, float)
        )
        x, z = distance.ravel(), np.clip(depth.ravel(), 0.0, self._max_depth)
        height = m_to_km(1.0) * elevation.ravel() + np.minimum(depth.ravel(), 0.0)
        place = z / _DEPTH_STEP_KM
        near, far = self._tables[phase]
        away = x >= _NEAR_KM
        if np.any(away):
            time, slowness = np.empty_like(x), np.empty_like(x)
            for table, here in ((near, ~away), (far, away)):
                time[here], slowness[here] = table.at(x[here], place[here])
        else:
            time, slowness = near.at(x, place)
        surface = 1.0 / self._surface_velocity[phase]
        vertical = np.sqrt(np.clip(surface**2 - slowness**2, 0.0, None))
        time = np.sqrt(np.clip(time**2 + 2.0 * time * vertical * height + (surface * height) ** 2, 0.0, None))
        return np.asarray(time.reshape(distance.shape))

    def _checked(self, phase: Phase) -> SphereLayers | None:
        """Rays that give TauP's times of one row, in which all kinds of them are first somewhere; else None."""
        mantle = _mantle(self._model, phase)
        if mantle is None:
            return None
        # Another version of TauP may sample or keep its models otherwise, and slow times are better than wrong ones
        missed = self._near_row(phase, mantle, _CHECKED_ROW) - self._first_arrivals(phase, _CHECKED_ROW)[self._near]
        return mantle if bool(np.all(np.abs(missed) < _SAME_S)) else None

    def _near_row(self, phase: Phase, mantle: SphereLayers | None, row: int) -> FloatArray:
        """Times (s) of a row to 1500 km, from the rays of ``mantle``; from TauP where there is none, or no time."""
        if mantle is not None:
            depth_km, distance = row * _DEPTH_STEP_KM, self._distance[self._near]
            earliest = np.full(distance.size, np.inf)
            curve = mantle.curve(float(self._model.radius_of_planet) - depth_km)
            lower_to(curve.scaled(_KM_PER_RADIAN), distance, earliest)
            if np.all(np.isfinite(earliest)):
                return earliest
        return self._first_arrivals(phase, row)[self._near]

    def _far_row(self, phase: Phase, row: int) -> FloatArray:
        """Times (s) of a row from 1500 km on."""
        return self._first_arrivals(phase, row)[self._far]

    def _first_arrivals(self, phase: Phase, row: int) -> FloatArray:
        """Times (s) of a row at all distances, from TauP's own phases."""
        from obspy.taup.seismic_phase import SeismicPhase

        depth_km = row * _DEPTH_STEP_KM
        corrected = self._model.depth_correct(depth_km)
        earliest = np.full(self._distance.size, np.inf)
        if depth_km == 0.0:
            earliest[0] = 0.0  # source and receiver coincide: no branch of TauP reaches there
        for name in _TAUP_PHASES[phase]:
            curve = SeismicPhase(name, corrected)
            if curve.dist.size > 1:
                points = Curve(curve.dist, curve.time, curve.ray_param)
                lower_to(points.scaled(_KM_PER_RADIAN), self._distance, earliest)
        known = np.isfinite(earliest)
        if not np.any(known):
            raise ModelError(f"earth model: TauP gives no {phase} arrival from {depth_km} km depth")
        first, last = np.flatnonzero(known)[[0, -1]]
        filled: FloatArray = np.interp(self._distance, self._distance[known], earliest[known])
        filled[:first], filled[last + 1 :] = filled[first], np.nan
        return filled


def _mantle(model: Any, phase: Phase) -> SphereLayers | None:
    """Rays of a phase through TauP's layers above the core; None where slowness does not fall all the way."""
    layers = model.s_mod.p_layers if phase == "P" else model.s_mod.s_layers
    layers = layers[layers["bot_depth"] <= model.cmb_depth]
    radius = float(model.radius_of_planet)
    try:
        return SphereLayers(
            radius - layers["top_depth"],
            radius - layers["bot_depth"],
            layers["top_p"],
            layers["bot_p"],
            model.ray_params,
        )
    except ValueError:
        return None


@lru_cache(maxsize=8)
def _taup(name: str) -> TaupTravelTimes:
    return TaupTravelTimes(name)
