"""From a strain table to ground velocity: any moment tensor, any moment-rate function, components Z, N, E."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft

from seiscomp_dlloc.errors import SettingError

from .table import STRAIN_UNIT, StrainTable

FloatArray = NDArray[np.float64]


def component_coefficients(tensors: FloatArray, azimuths_deg: ArrayLike) -> FloatArray:
    """Weights (..., 3, 10) of the ten Green's functions in the components Z (up), N, E.

    ``tensors`` (..., 3, 3) north-east-down; ``azimuths_deg`` (...,) of the station seen from the epicentre.
    By reciprocity u_f = M : strain(force f); r points from the station to the source, p is at right angles to it.
    """
    azimuth = np.radians(np.asarray(azimuths_deg, float))
    # Unit vector from the station to the epicentre
    c, s = -np.cos(azimuth), -np.sin(azimuth)
    nn, ne, nd = tensors[..., 0, 0], tensors[..., 0, 1], tensors[..., 0, 2]
    ee, ed, dd = tensors[..., 1, 1], tensors[..., 1, 2], tensors[..., 2, 2]
    rr = c * c * nn + 2.0 * c * s * ne + s * s * ee
    pp = s * s * nn - 2.0 * c * s * ne + c * c * ee
    rp = c * s * (ee - nn) + (c * c - s * s) * ne
    rz, pz = c * nd + s * ed, c * ed - s * nd
    plane = np.stack(np.broadcast_arrays(rr, pp, dd, rz), axis=-1)
    # A force along +p sees the point at phi = -90 degrees: the sine is -1
    across = -np.stack(np.broadcast_arrays(rp, pz), axis=-1)
    weights = np.zeros((*plane.shape[:-1], 3, 10))
    weights[..., 0, 0:4] = -plane
    weights[..., 1, 4:8], weights[..., 2, 4:8] = c[..., None] * plane, s[..., None] * plane
    weights[..., 1, 8:10], weights[..., 2, 8:10] = -s[..., None] * across, c[..., None] * across
    return weights


def band_taper(table: StrainTable, share: float = 0.1) -> FloatArray:
    """(frequency,): 1, falling as a cosine over the last ``share`` of the band, against ringing at fmax."""
    if not 0.0 <= share <= 1.0:
        raise SettingError(f"band taper: the share {share} must lie between 0 and 1")
    x = np.arange(table.spectra.shape[-1]) / max(table.spectra.shape[-1] - 1, 1)
    if share == 0.0:
        return np.ones_like(x)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip((x - 1.0 + share) / share, 0.0, 1.0)))


def sample_count(table: StrainTable, sampling_rate_hz: float) -> int:
    """Samples in the window of the table at ``sampling_rate_hz``. Raises SettingError where that does not fit."""
    count = table.duration_s * sampling_rate_hz
    if abs(count - round(count)) > 1e-6:
        raise SettingError(
            f"the table's window of {table.duration_s} s holds no whole number of samples at {sampling_rate_hz} Hz"
        )
    if sampling_rate_hz < 2.0 * table.fmax_hz:
        raise SettingError(f"{sampling_rate_hz} Hz is below twice the table's highest frequency {table.fmax_hz} Hz")
    return round(count)


def to_time(table: StrainTable, spectra: NDArray[np.complexfloating], sampling_rate_hz: float) -> NDArray[np.floating]:
    """Spectra (..., frequency) at ``table.omega`` to series (..., sample) in the same precision, damping undone."""
    count = sample_count(table, sampling_rate_hz)
    series = irfft(spectra, count, axis=-1)
    growth = sampling_rate_hz * np.exp(table.damping / sampling_rate_hz * np.arange(count))
    series *= growth.astype(series.dtype)
    return np.asarray(series)


def ground_velocity(
    table: StrainTable,
    depth_index: int,
    distance_index: ArrayLike,
    azimuths_deg: ArrayLike,
    tensor: FloatArray,
    source_spectrum: NDArray[np.complexfloating] | complex = 1.0,
    sampling_rate_hz: float = 20.0,
    taper_share: float = 0.1,
) -> NDArray[np.float64]:
    """Ground velocity (3, station, sample) in m/s, components Z, N, E, at nodes of the table.

    ``distance_index`` and ``azimuths_deg`` (station,): azimuth of the station seen from the epicentre. ``tensor``
    (3, 3) N m; ``source_spectrum`` (frequency,) is that of the moment rate (:mod:`dlloc_training.source`). Sample 0
    of each station is ``table.start_s[distance_index]`` after the origin time.

    M : strain is the displacement of a delta function of moment, hence the velocity of a step of moment.
    """
    index = np.atleast_1d(np.asarray(distance_index, np.int64))
    azimuths = np.broadcast_to(np.asarray(azimuths_deg, float), index.shape)
    weights = component_coefficients(np.asarray(tensor, float), azimuths)
    spectra = np.matmul(weights, table.spectra[depth_index, index]) * (source_spectrum * band_taper(table, taper_share))
    return np.asarray(np.moveaxis(to_time(table, spectra, sampling_rate_hz) * STRAIN_UNIT, 1, 0))
