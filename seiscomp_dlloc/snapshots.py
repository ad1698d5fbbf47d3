"""The snapshot volume: the wavefield at the surface as images, input of models of representation ``snapshots``.

Stations are interpolated to pixels by one matrix that depends on the geometry alone, so a volume is one matrix
product. Weight of station s at pixel p, at distance d: ``exp(-(d / L)^2 / 2)`` (``gaussian``) or ``1 / (d^2 + L^2)``
(``inverse_distance``, Shepard's method with a softened pole), L the kernel's ``length_km``, divided by the sum over
all stations of the network, observed or not. A pixel is thus a weighted mean of the stations.

What a missing station does:

* ``zero``: it counts as zero motion, a hole in the image (the cutout of Sugiyama et al. 2021);
* ``reweight``: the weights of the others are divided by their own sum, sample by sample.

Either way the mask holds the share of a pixel's weight that rests on observed stations. ``extrapolation`` ``zero``
leaves pixels black that lie further than two kernel lengths from every station.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .errors import ModelMismatch
from .geometry import LocalFrame
from .passport import Preprocessing
from .preprocess import complete_dropped
from .records import COMPONENTS, Conditioned, Dropped, SnapshotVolume, Station
from .resampling import resample, supported

FloatArray = NDArray[np.float64]

EXTRAPOLATION_LENGTHS = 2.0

WAVEFORM_PASS = 0.4
ENVELOPE_PASS = 0.25
"""Highest frequency kept, as a share of the frame rate. Frames hold nothing from half their rate on: waveforms of a
band above that are lost, their envelopes are not."""

_NEGLIGIBLE = 1e-6
"""Pixels whose observed share of weight is below this are zero rather than a quotient of rounding errors."""


def pixel_centres(representation: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Latitudes (row,) from south to north and longitudes (column,) from west to east; ``bounds`` are outer edges."""
    bounds, rows, columns = representation["bounds"], representation["rows"], representation["columns"]
    height = (bounds["north"] - bounds["south"]) / rows
    width = (bounds["east"] - bounds["west"]) / columns
    latitudes = bounds["south"] + height * (np.arange(rows) + 0.5)
    return latitudes, bounds["west"] + width * (np.arange(columns) + 0.5)


def snapshot_weights(stations: tuple[Station, ...], representation: Mapping[str, Any]) -> FloatArray:
    """Weights (row * column, station) of the module's formula; rows sum to 1, or to 0 outside the extrapolation.

    ``representation`` is the passport's. Compute once per model and network.
    """
    latitudes, longitudes = pixel_centres(representation)
    frame = LocalFrame(float(latitudes.mean()), float(longitudes.mean()))
    grid_latitude, grid_longitude = np.meshgrid(latitudes, longitudes, indexing="ij")
    px, py = frame.to_local(grid_latitude.ravel(), grid_longitude.ravel())
    sx, sy = frame.to_local([s.latitude for s in stations], [s.longitude for s in stations])
    squared = (px[:, None] - sx) ** 2 + (py[:, None] - sy) ** 2
    kernel = representation["kernel"]
    length = float(kernel["length_km"])
    if kernel["kind"] == "gaussian":
        # Relative to the nearest station, so that far pixels do not underflow to 0 / 0
        nearest = squared.min(axis=1, keepdims=True)
        weights = np.exp(-(squared - nearest) / (2.0 * length**2))
    else:
        weights = 1.0 / (squared + length**2)
    weights = np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)
    if representation.get("extrapolation", "kernel") == "zero":
        weights[squared.min(axis=1) > (EXTRAPOLATION_LENGTHS * length) ** 2] = 0.0
    return weights


def _frames(
    conditioned: Conditioned, window_start: float, representation: Mapping[str, Any]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """One component of all stations at the frame times: (station, frame) and where observed."""
    component = COMPONENTS.index(representation["component"])
    rate, frame_rate = conditioned.sampling_rate_hz, float(representation["frame_rate_hz"])
    frames = int(representation["frames"])
    if frame_rate > rate:
        raise ModelMismatch(f"snapshots at {frame_rate:g} Hz cannot be made from waveforms at {rate:g} Hz")
    valid = conditioned.valid[component]
    motion = conditioned.data[component].astype(np.float64)
    offset = window_start - conditioned.starttime
    keep = WAVEFORM_PASS
    if representation["quantity"] == "envelope":
        keep = ENVELOPE_PASS
        motion = np.abs(signal.hilbert(motion, axis=-1)) * valid
    resampled = resample(motion, rate, frame_rate, offset, frames, keep * frame_rate)
    observed = supported(valid, rate, frame_rate, offset, frames, resampled.reach_s)
    out = resampled.data
    if representation["quantity"] == "envelope":
        out = np.maximum(out, 0.0)
    return out * observed, observed


def snapshot_volume(
    conditioned: Conditioned,
    stations: tuple[Station, ...],
    dropped: tuple[Dropped, ...],
    window_start: float,
    settings: Preprocessing,
    representation: Mapping[str, Any],
    weights: FloatArray | None = None,
) -> SnapshotVolume:
    """Images (frame, row, column) of one component at ``frame_rate_hz`` from ``window_start`` (POSIX s) on.

    Frame times are exact (waveforms are interpolated to them), the frame rate is not the sampling rate of
    ``conditioned``. ``quantity`` ``envelope`` takes the modulus of the analytic signal. Both normalisations of the
    passport act on stations before the interpolation: ``station_max`` gives each station the same weight,
    ``network_max`` keeps amplitude ratios; ``log_scale`` is log10 of the largest value divided by (m/s), 0 for none.
    ``weights``: :func:`snapshot_weights` of these stations, computed anew where not given.
    """
    matrix = snapshot_weights(stations, representation) if weights is None else weights
    rows, columns = int(representation["rows"]), int(representation["columns"])
    if matrix.shape != (rows * columns, len(stations)):
        raise ValueError(f"weights have shape {matrix.shape}, not ({rows * columns}, {len(stations)})")
    motion, observed = _frames(conditioned, window_start, representation)
    motion *= settings.unit_scale
    log_scale = 0.0
    peak = np.abs(motion).max(axis=1)
    if settings.normalisation != "none" and peak.max() > 0:
        log_scale = float(np.log10(peak.max() / settings.unit_scale))
        divisor = peak if settings.normalisation == "station_max" else np.full_like(peak, peak.max())
        motion /= np.where(peak > 0, divisor, 1.0)[:, None]
    share = matrix @ observed.astype(np.float64)
    images = matrix @ motion
    if representation["missing"] == "reweight":
        images = np.where(share > _NEGLIGIBLE, images / np.maximum(share, _NEGLIGIBLE), 0.0)
    shape = (motion.shape[1], rows, columns)
    there: list[bool] = np.logical_or.reduce(observed, axis=1).tolist()
    return SnapshotVolume(
        np.ascontiguousarray(images.T, np.float32).reshape(shape),
        np.ascontiguousarray(share.T, np.float32).reshape(shape),
        log_scale,
        float(representation["frame_rate_hz"]),
        window_start,
        tuple(station.id for station, here in zip(stations, there, strict=True) if here),
        complete_dropped(dropped, stations, there),
    )
