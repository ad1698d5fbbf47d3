"""Velocities that change linearly with depth, as layers of constant velocity."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..units import degrees_to_km

Layer = dict[str, float]
"""``top_km``, ``vp_km_s`` and ``vs_km_s``, as in a passport's earth model."""

EARTH_RADIUS_KM = degrees_to_km(math.degrees(1.0))
_ERROR_S = 0.015


@dataclass(frozen=True)
class Segment:
    """Depths (km below sea level) between which P and S velocity (km/s) are linear; ``bottom_km`` may be infinite."""

    top_km: float
    bottom_km: float
    vp_km_s: tuple[float, float]
    vs_km_s: tuple[float, float]


def flat_layers(segments: Iterable[Segment]) -> list[Layer]:
    """Layers of constant velocity that give the segments' first arrivals, in a flat earth.

    Each takes the velocity of its middle. A level ray then is wrong by g h / (2 v^2) of its distance in the worst
    case, and no farther than x = sqrt(8 h v / g), where the gradient g would have turned it around below the layer:
    an error of sqrt(2 g) (h / v)^1.5, from which the thickness h follows.
    """
    return _merged(layer for segment in segments for layer in _steps(segment, spherical=False))


def flattened_layers(segments: Iterable[Segment]) -> list[Layer]:
    """The same for segments of a spherical earth: velocities times R / (R - z), depths to R ln(R / (R - z)).

    That is the earth-flattening transformation (Mueller 1971, J. Geophys. 37, 429-460; Shearer 2009, Introduction to
    Seismology, section 4.7), exact from the surface to the surface. A hypocentre keeps its depth z, and should not:
    straight up, its times are short by z^2 / (2 R v) (S: 0.02 s from 30 km, 0.18 s from 100 km). The layers below are
    coarse in proportion.
    """
    return _merged(layer for segment in segments for layer in _steps(segment, spherical=True))


def _steps(segment: Segment, spherical: bool) -> Iterable[Layer]:
    def at(velocities: tuple[float, float], depth: float) -> float:
        if math.isinf(segment.bottom_km):
            value = velocities[0]
        else:
            share = (depth - segment.top_km) / (segment.bottom_km - segment.top_km)
            value = velocities[0] + share * (velocities[1] - velocities[0])
        return value * EARTH_RADIUS_KM / (EARTH_RADIUS_KM - depth) if spherical else value

    top = segment.top_km
    while top < segment.bottom_km:
        flat_top = EARTH_RADIUS_KM * math.log(EARTH_RADIUS_KM / (EARTH_RADIUS_KM - top)) if spherical else top
        vp, vs = at(segment.vp_km_s, top), at(segment.vs_km_s, top)
        if math.isinf(segment.bottom_km):
            yield {"top_km": flat_top, "vp_km_s": vp, "vs_km_s": vs}
            return
        error = _ERROR_S + (top**2 / (2.0 * EARTH_RADIUS_KM * vp) if spherical else 0.0)
        ahead = min(0.01, segment.bottom_km - top)
        thickness = min(
            _thickness(here, (at(velocities, top + ahead) - here) / ahead, error)
            for here, velocities in ((vp, segment.vp_km_s), (vs, segment.vs_km_s))
        )
        rest = segment.bottom_km - top
        thickness = rest / math.ceil(rest / thickness - 1e-9) if thickness < rest else rest
        middle = top + thickness / 2.0
        yield {"top_km": flat_top, "vp_km_s": at(segment.vp_km_s, middle), "vs_km_s": at(segment.vs_km_s, middle)}
        bottom = top + thickness
        top = segment.bottom_km if segment.bottom_km - bottom < 1e-9 else bottom


def _thickness(velocity: float, gradient: float, error_s: float) -> float:
    return velocity * (error_s / math.sqrt(2.0 * abs(gradient))) ** (2.0 / 3.0) if abs(gradient) > 1e-12 else math.inf


def _merged(layers: Iterable[Layer]) -> list[Layer]:
    """Layers with those left out that have the velocities of the one above."""
    kept: list[Layer] = []
    for layer in layers:
        rounded = {name: round(value, 6) for name, value in layer.items()}
        if kept and all(kept[-1][name] == rounded[name] for name in ("vp_km_s", "vs_km_s")):
            continue
        kept.append(rounded)
    return kept
