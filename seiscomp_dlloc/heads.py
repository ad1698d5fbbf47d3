"""Answers of models by the passport's ``head.kind``.

A new kind of answer is one more function in :data:`HEADS` (and a branch of the passport's schema).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decode import (
    image_from_output,
    image_to_hypocenter,
    named_parameters,
    sigma_of,
    slice_at_depth,
    vector_to_parameters,
)
from .errors import ModelError
from .passport import Passport
from .records import DepthType, LocationImage, Onset, PlaneWave

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """What a model says of one event, whatever its head.

    ``covariance_km2`` (3, 3) x, y, z, NaN where unknown; ``doubt_km2`` as a hypocentre's. ``peak`` None for heads
    without one. ``time_s`` is seconds after the window's first sample. ``image`` is what the peak was taken from.
    ``sure``: nothing else need be looked for. ``chosen``: of several events in the window the one that the trigger
    means was taken. ``influence_km``: station (``NET.STA``) -> how far the epicentre moves without it. ``score``: sum
    of the evidence, a log-likelihood ratio, where the head has one. ``wave``: a plane wave that explains the evidence
    better than this place does.
    """

    latitude: float
    longitude: float
    depth_km: float
    covariance_km2: FloatArray
    peak: float | None = None
    secondary_peaks: int = 0
    at_edge: bool = False
    time_s: float | None = None
    time_sigma_s: float | None = None
    magnitude: float | None = None
    magnitude_sigma: float | None = None
    image: LocationImage | None = None
    depth_type: DepthType = "from location"
    onsets: tuple[Onset, ...] = ()
    notes: tuple[str, ...] = ()
    sure: bool = False
    chosen: bool = False
    influence_km: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    wave: PlaneWave | None = None
    doubt_km2: FloatArray | None = None


def _output(outputs: Mapping[str, NDArray[Any]], name: str, passport: Passport) -> NDArray[Any]:
    if name not in outputs:
        raise ModelError(
            f"model {passport.name}: output {name!r} is missing (it has {', '.join(outputs)}); export again"
        )
    return outputs[name]


def _volume(outputs: Mapping[str, NDArray[Any]], passport: Passport, fixed_depth_km: float | None) -> Estimate:
    """Output ``image`` (nz, ny, nx) and, where the passport's head has ``parameters``, ``vector`` (n,)."""
    head, image = passport.head, image_from_output(_output(outputs, "image", passport), passport)
    if fixed_depth_km is not None:
        image = slice_at_depth(image, fixed_depth_km)
    peak = image_to_hypocenter(
        image, passport.calibration, float(head["label_sigma_km"]), head.get("label_sigma_depth_km")
    )
    latitude, longitude = (float(v) for v in passport.frame.to_geographic(peak.x_km, peak.y_km))
    depth, notes = peak.z_km, []
    if fixed_depth_km is not None:
        depth = fixed_depth_km
    elif peak.depth_edge:
        side = "top" if peak.node[0] == 0 else "bottom"
        notes.append(f"the depth lies at the {side} of the model's grid: poorly constrained")
    named: dict[str, float] = {}
    if "parameters" in head:
        named = named_parameters(_output(outputs, "vector", passport), head["parameters"])
    return Estimate(
        latitude=latitude,
        longitude=longitude,
        depth_km=depth,
        covariance_km2=peak.covariance_km2,
        peak=peak.peak,
        secondary_peaks=peak.secondary_peaks,
        at_edge=peak.edge,
        time_s=named.get("time"),
        time_sigma_s=sigma_of(named, "time"),
        magnitude=named.get("magnitude"),
        magnitude_sigma=sigma_of(named, "magnitude"),
        image=image,
        depth_type="from location" if fixed_depth_km is None else "operator assigned",
        notes=tuple(notes),
    )


def _vector(outputs: Mapping[str, NDArray[Any]], passport: Passport, fixed_depth_km: float | None) -> Estimate:
    """Output ``vector`` (n,)."""
    values = _output(outputs, "vector", passport)
    got = vector_to_parameters(values, passport.head["parameters"], passport.frame, passport.calibration)
    covariance, depth = got.covariance_km2.copy(), got.depth_km
    notes: list[str] = []
    depth_type: DepthType = "from location"
    if fixed_depth_km is not None or depth is None:
        covariance[2, :] = covariance[:, 2] = np.nan
    if fixed_depth_km is not None:
        depth, depth_type = fixed_depth_km, "operator assigned"
    elif depth is None:
        depth_type = "other"
        depth = float(np.mean(passport.region.depth_km))
        notes.append("the model gives no depth: the middle of its depth range is written")
    latitude, longitude = (float(v) for v in passport.frame.to_geographic(got.x_km, got.y_km))
    return Estimate(
        latitude=latitude,
        longitude=longitude,
        depth_km=depth,
        covariance_km2=covariance,
        time_s=got.time_s,
        time_sigma_s=got.time_sigma_s,
        magnitude=got.magnitude,
        magnitude_sigma=got.magnitude_sigma,
        depth_type=depth_type,
        notes=tuple(notes),
    )


HEADS: dict[str, Callable[[Mapping[str, NDArray[Any]], Passport, float | None], Estimate]] = {
    "volume": _volume,
    "vector": _vector,
}


def read(outputs: Mapping[str, NDArray[Any]], passport: Passport, fixed_depth_km: float | None = None) -> Estimate:
    """The estimate in one event's outputs (without the batch axis).

    ``fixed_depth_km`` replaces the depth; a volume is read at the nearest of its depths. Raises ModelError (the run
    cannot go on) and EventErrors (this event cannot be located); see :mod:`seiscomp_dlloc.decode`.
    """
    kind = str(passport.head["kind"])
    if kind not in HEADS:
        raise ModelError(f"model {passport.name}: answers of kind {kind!r} are not known here; update seiscomp_dlloc")
    estimate = HEADS[kind](outputs, passport, fixed_depth_km)
    low, high = passport.region.depth_km
    notes = []
    if not low <= estimate.depth_km <= high:
        notes.append(f"depth {estimate.depth_km:.1f} km is outside the model's {low:g} to {high:g} km")
    trained = passport.region.magnitude
    if estimate.magnitude is not None and trained is not None and not trained[0] <= estimate.magnitude <= trained[1]:
        notes.append(f"magnitude {estimate.magnitude:.1f} is outside the model's {trained[0]:g} to {trained[1]:g}")
    return replace(estimate, notes=(*estimate.notes, *notes)) if notes else estimate
