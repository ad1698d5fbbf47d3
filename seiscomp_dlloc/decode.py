"""From what a model returns to a place with its uncertainty.

A location image becomes an :class:`ImagePeak`, a parameter vector a :class:`VectorEstimate`; both are in the local
frame of the passport. Whether to believe the answer is the business of :mod:`seiscomp_dlloc.trust`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .errors import ModelError, ModelMismatch, NoEventFound
from .geometry import Grid, LocalFrame
from .passport import Calibration, Passport
from .records import LocationImage

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ImagePeak:
    """The main peak of a location image.

    ``x_km`` east, ``y_km`` north, ``z_km`` down in the image's frame; ``covariance_km2`` (3, 3) in that order, NaN
    where the image says nothing (depth of an image with one depth). ``peak``: for a density the probability within
    ``calibration.peak_radius_km`` of the peak, for a label image its maximum. ``secondary_peaks``: other maxima of
    the epicentre's map. ``edge``: the peak's node lies on the horizontal border of the grid; ``depth_edge``: on its
    first or last depth. ``node`` is (iz, iy, ix).
    """

    x_km: float
    y_km: float
    z_km: float
    covariance_km2: FloatArray
    peak: float
    secondary_peaks: int
    edge: bool
    depth_edge: bool
    node: tuple[int, int, int]


def image_from_output(values: NDArray[Any], passport: Passport) -> LocationImage:
    """A model's output (nz, ny, nx) as a location image.

    Raises ModelError where the shape is not the passport's grid, ModelMismatch where a value is not finite.
    """
    grid = passport.grid
    if values.shape != grid.shape:
        raise ModelError(
            f"model {passport.name}: its image has shape {values.shape}, the passport says {grid.shape}; export again"
        )
    if not np.all(np.isfinite(values)):
        raise ModelMismatch(f"model {passport.name} returned values that are not finite: its input is out of range")
    return LocationImage(np.asarray(values, np.float32), grid, passport.head["measure"])


def slice_at_depth(image: LocationImage, depth_km: float) -> LocationImage:
    """The image at the node nearest to ``depth_km``, as an image with one depth; a density is normalised again."""
    grid = image.grid
    index = int(np.argmin(np.abs(grid.z_km - depth_km)))
    values = np.asarray(image.values[index : index + 1], float)
    if image.measure == "density" and np.sum(np.clip(values, 0, None)) > 0:
        values = np.clip(values, 0, None) / np.sum(np.clip(values, 0, None))
    flat = replace(grid, z0_km=float(grid.z_km[index]), nz=1)
    return LocationImage(values.astype(np.float32), flat, image.measure)


def epicentre_map(image: LocationImage) -> FloatArray:
    """(ny, nx): a density summed over depth, a label image's maximum over depth."""
    values = np.clip(np.asarray(image.values, float), 0.0, None)
    return np.asarray(values.sum(axis=0) if image.measure == "density" else values.max(axis=0))


def image_to_hypocenter(
    image: LocationImage,
    calibration: Calibration,
    label_sigma_km: float,
    label_sigma_depth_km: float | None = None,
) -> ImagePeak:
    """Peak, sub-grid place, covariance and secondary peaks of a location image.

    Density: the peak node is the maximum of the epicentre's map (the density summed over depth), so that an
    ill-resolved depth does not move the epicentre; the place is the mean and the covariance the second moment of the
    probability within ``calibration.peak_radius_km`` of that node horizontally, over all depths.

    Label image: the peak node is the maximum; the place is the vertex of a quadratic fitted by least squares to the
    logarithm of the image within one label sigma (at least one node) of the node, which is exact for a Gaussian
    label; the covariance is the second moment about that place within three label sigmas. It holds the label's own
    width: the passport's calibration scales it.

    To either covariance the variance of a uniform cell (spacing squared / 12) is added; the calibration scales it
    (``covariance_scale`` horizontal variance, ``depth_covariance_scale`` depth variance), and no axis of the ellipsoid
    is let below ``covariance_floor_km``. Secondary peaks: maxima of the epicentre's map, the largest within two label
    sigmas around them, more than that away from the main peak and above ``secondary_peak_ratio`` of it.

    Raises NoEventFound where the image is nowhere above zero.
    """
    values = np.clip(np.asarray(image.values, float), 0.0, None)
    if not np.max(values) > 0:
        raise NoEventFound("the location image is empty: the model sees no event in the window")
    grid, flat = image.grid, epicentre_map(image)
    sigma_z = label_sigma_depth_km or label_sigma_km
    iy, ix = (int(i) for i in np.unravel_index(np.argmax(flat), flat.shape))
    if image.measure == "density":
        values = values / np.sum(values)
        flat = flat / np.sum(flat)
        near = _distance_squared(grid, iy, ix, 1.0, 1.0) <= calibration.peak_radius_km**2
        weight = values * near
        place, covariance = _moments(grid, weight)
        iz = int(np.argmax(weight.sum(axis=(1, 2))))
        peak = float(min(np.sum(weight), 1.0))
    else:
        iz = int(np.argmax(values[:, iy, ix]))
        place = _quadratic_vertex(grid, values, (iz, iy, ix), label_sigma_km, sigma_z)
        z_part = ((grid.z_km - grid.z_km[iz]) / sigma_z) ** 2
        near3 = z_part[:, None, None] + _distance_squared(grid, iy, ix, label_sigma_km, label_sigma_km) <= 9.0
        _, covariance = _moments(grid, values * near3, place)
        peak = float(min(values[iz, iy, ix], 1.0))
    return ImagePeak(
        x_km=float(place[0]),
        y_km=float(place[1]),
        z_km=float(place[2]),
        covariance_km2=scale_covariance(_with_cell(covariance, grid), calibration),
        peak=peak,
        secondary_peaks=_secondary_peaks(grid, flat, iy, ix, label_sigma_km, calibration.secondary_peak_ratio),
        edge=ix in (0, grid.nx - 1) or iy in (0, grid.ny - 1),
        depth_edge=grid.nz > 1 and iz in (0, grid.nz - 1),
        node=(iz, iy, ix),
    )


def _distance_squared(grid: Grid, iy: int, ix: int, scale_y: float, scale_x: float) -> FloatArray:
    dy, dx = (grid.y_km - grid.y_km[iy]) / scale_y, (grid.x_km - grid.x_km[ix]) / scale_x
    return np.asarray(dy[:, None] ** 2 + dx[None, :] ** 2)


def _moments(grid: Grid, weight: FloatArray, centre: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Mean (x, y, z) and second moment about ``centre`` (the mean where None) of a weight on the grid."""
    share = weight / np.sum(weight)
    axes = (grid.x_km, grid.y_km, grid.z_km)
    xy, zy, zx = share.sum(axis=0), share.sum(axis=2), share.sum(axis=1)
    margins = (xy.sum(axis=0), xy.sum(axis=1), zy.sum(axis=1))
    if centre is None:
        centre = np.array([np.dot(m, a) for m, a in zip(margins, axes, strict=True)])
    x, y, z = (a - c for a, c in zip(axes, centre, strict=True))
    cross_xy, cross_yz, cross_xz = y @ xy @ x, z @ zy @ y, z @ zx @ x
    square = [np.dot(m, a**2) for m, a in zip(margins, (x, y, z), strict=True)]
    covariance = np.array(
        [[square[0], cross_xy, cross_xz], [cross_xy, square[1], cross_yz], [cross_xz, cross_yz, square[2]]]
    )
    return centre, covariance


def _with_cell(covariance: FloatArray, grid: Grid) -> FloatArray:
    covariance = covariance + np.diag([grid.dx_km**2, grid.dy_km**2, grid.dz_km**2]) / 12.0
    if grid.nz == 1:
        covariance[2, :] = covariance[:, 2] = np.nan
    return covariance


def scale_covariance(covariance_km2: FloatArray, calibration: Calibration) -> FloatArray:
    """The calibration's scales and floor applied to a covariance (3, 3); rows of NaN stay so."""
    factor = np.sqrt([calibration.covariance_scale, calibration.covariance_scale, calibration.depth_covariance_scale])
    scaled = covariance_km2 * np.outer(factor, factor)
    known = np.isfinite(np.diag(scaled))
    if np.any(known):
        block = np.ix_(known, known)
        size, axes = np.linalg.eigh(scaled[block])
        scaled[block] = (axes * np.maximum(size, calibration.covariance_floor_km**2)) @ axes.T
    return np.asarray(scaled)


def _quadratic_vertex(
    grid: Grid, values: FloatArray, node: tuple[int, int, int], sigma_km: float, sigma_depth_km: float
) -> FloatArray:
    """Vertex (x, y, z) of a quadratic through log(values) around ``node``, within the box of nodes it is fitted to.

    Axes with fewer than three nodes are left at the node; so is everything where the quadratic has no maximum.
    """
    axes = (grid.z_km, grid.y_km, grid.x_km)
    reach = [
        max(1, int(s / d))
        for s, d in zip((sigma_depth_km, sigma_km, sigma_km), (grid.dz_km, grid.dy_km, grid.dx_km), strict=True)
    ]
    spans = [slice(max(0, i - r), i + r + 1) for i, r in zip(node, reach, strict=True)]
    start = np.array([a[i] for a, i in zip(axes, node, strict=True)])
    free = [k for k in range(3) if axes[k][spans[k]].size >= 3]
    box = values[tuple(spans)]
    # Far down the flanks the logarithm is all noise: weights by the square of the value keep to the top
    log_values, weight = np.log(np.maximum(box, 1e-12 * box.max())).ravel(), (box / box.max()).ravel()
    offsets = np.meshgrid(*(axes[k][spans[k]] - start[k] for k in range(3)), indexing="ij")
    columns = [np.ones(box.size)] + [offsets[k].ravel() for k in free]
    pairs = [(i, j) for i in range(len(free)) for j in range(i, len(free))]
    columns += [(offsets[free[i]] * offsets[free[j]]).ravel() for i, j in pairs]
    place = start.copy()
    if free and box.size >= len(columns):
        design = np.stack(columns, axis=1) * weight[:, None]
        solution = np.linalg.lstsq(design, log_values * weight, rcond=None)[0]
        gradient, hessian = solution[1 : 1 + len(free)], np.zeros((len(free), len(free)))
        for (i, j), value in zip(pairs, solution[1 + len(free) :], strict=True):
            hessian[i, j] += value
            hessian[j, i] += value
        if np.all(np.linalg.eigvalsh(hessian) < 0):
            shift = np.linalg.solve(hessian, -gradient)
            for k, value in zip(free, shift, strict=True):
                inside = axes[k][spans[k]] - start[k]
                place[k] = start[k] + float(np.clip(value, inside[0], inside[-1]))
    return np.asarray(place[::-1])


def _secondary_peaks(grid: Grid, flat: FloatArray, iy: int, ix: int, sigma_km: float, ratio: float) -> int:
    separation = 2.0 * sigma_km
    reach_y, reach_x = (max(1, int(separation / d)) for d in (grid.dy_km, grid.dx_km))
    dy, dx = np.ogrid[-reach_y : reach_y + 1, -reach_x : reach_x + 1]
    footprint = (dy * grid.dy_km) ** 2 + (dx * grid.dx_km) ** 2 <= separation**2
    footprint |= (np.abs(dy) <= 1) & (np.abs(dx) <= 1)
    highest = ndimage.maximum_filter(flat, footprint=footprint, mode="constant", cval=0.0)
    maxima = (flat == highest) & (flat >= ratio * flat[iy, ix])
    maxima &= _distance_squared(grid, iy, ix, separation, separation) > 1.0
    return int(ndimage.label(maxima, structure=np.ones((3, 3)))[1])  # a plateau counts once


@dataclass(frozen=True)
class VectorEstimate:
    """What a vector head says, in the passport's frame.

    ``covariance_km2`` (3, 3) is diagonal, NaN where the vector holds no sigma. ``time_s`` is the origin time after the
    window's first sample. Parameters that the model does not give are None.
    """

    x_km: float
    y_km: float
    depth_km: float | None
    covariance_km2: FloatArray
    time_s: float | None = None
    time_sigma_s: float | None = None
    magnitude: float | None = None
    magnitude_sigma: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)


_UNITS = {
    "latitude": "deg",
    "longitude": "deg",
    "time": "s",
    "sigma_time": "s",
    "magnitude": "1",
    "sigma_magnitude": "1",
}


def named_parameters(values: NDArray[Any], parameters: Sequence[dict[str, Any]]) -> dict[str, float]:
    """A parameter vector (n,) by the passport's ``head.parameters``: value = raw * scale + offset, in ``unit``.

    Raises ModelError where the passport's names and units do not fit together or the vector's length is another,
    ModelMismatch where a value is not finite.
    """
    raw = np.asarray(values, float).ravel()
    if raw.size != len(parameters):
        raise ModelError(f"the model returns {raw.size} values, its passport names {len(parameters)}; export it again")
    if not np.all(np.isfinite(raw)):
        raise ModelMismatch("the model returned values that are not finite: its input is out of range")
    named: dict[str, float] = {}
    for value, row in zip(raw, parameters, strict=True):
        name, wanted = str(row["name"]), _UNITS.get(str(row["name"]), "km")
        if row["unit"] != wanted:
            raise ModelError(f"passport field head.parameters: {name} must be in {wanted!r}, not in {row['unit']!r}")
        if name in named:
            raise ModelError(f"passport field head.parameters: {name} stands there twice")
        named[name] = float(value * row["scale"] + row["offset"])
    return named


def sigma_of(named: Mapping[str, float], name: str) -> float | None:
    """Standard deviation of a parameter, None where the model gives none."""
    return abs(named[f"sigma_{name}"]) if f"sigma_{name}" in named else None


def vector_to_parameters(
    values: NDArray[Any], parameters: Sequence[dict[str, Any]], frame: LocalFrame, calibration: Calibration
) -> VectorEstimate:
    """A parameter vector (n,) as :func:`named_parameters` reads it, with its covariance in the passport's scales.

    Sigmas become variances and are scaled and floored as for images. Raises as that, and ModelError without an
    epicentre.
    """
    named = named_parameters(values, parameters)
    if "latitude" in named and "longitude" in named:
        x, y = (float(v) for v in frame.to_local(named["latitude"], named["longitude"]))
    elif "x" in named and "y" in named:
        x, y = named["x"], named["y"]
    else:
        raise ModelError("passport field head.parameters: needs latitude and longitude, or x and y")
    sigmas = [abs(named.get(key, np.nan)) for key in ("sigma_x", "sigma_y", "sigma_depth")]
    covariance = np.full((3, 3), np.nan)
    known = np.isfinite(sigmas)
    covariance[np.ix_(known, known)] = np.diag(np.square(sigmas)[known])
    return VectorEstimate(
        x_km=x,
        y_km=y,
        depth_km=named.get("depth"),
        covariance_km2=scale_covariance(covariance, calibration),
        time_s=named.get("time"),
        time_sigma_s=sigma_of(named, "time"),
        magnitude=named.get("magnitude"),
        magnitude_sigma=sigma_of(named, "magnitude"),
        parameters=named,
    )
