"""What flat layers lack: random site response, station statics, and the scattered coda.

Parameters are drawn from ranges that are stated in each function, so that a training set covers what a real network
may show; nothing is fitted to a particular network.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft

from seiscomp_dlloc.errors import SettingError

FloatArray = NDArray[np.float64]

_S_TO_P_DELAY = (1.2, 2.2)
"""How many times as long as P slow sediments make S wait."""


@dataclass(frozen=True)
class SiteTerms:
    """Response of each station: ``gains`` (factor), ``kappa_s`` (s), time statics of P and S (s); (..., station)."""

    gains: FloatArray
    kappa_s: FloatArray
    delays_p_s: FloatArray
    delays_s_s: FloatArray


def random_site_terms(
    rng: np.random.Generator,
    shape: int | tuple[int, ...],
    gain_sigma: float = 0.5,
    kappa_range_s: tuple[float, float] = (0.01, 0.05),
    delay_sigma_s: float = 0.1,
    cover_s: tuple[float, float] | None = None,
) -> SiteTerms:
    """Site terms of ``shape`` (..., station).

    Gains are log-normal (``gain_sigma`` in natural units, the usual site-to-site variability), kappa is uniform in
    its range (rock to soil: Ktenidou et al. 2014), P statics are normal; S statics are 1.2 to 2.2 times as long, as
    slow sediments make them. ``cover_s``: what the cover beneath all stations adds to P, one value for each (...),
    uniform within it, S again longer.
    """
    delays = delay_sigma_s * rng.standard_normal(shape)
    terms = SiteTerms(
        gains=np.exp(gain_sigma * rng.standard_normal(shape)),
        kappa_s=rng.uniform(*kappa_range_s, size=shape),
        delays_p_s=delays,
        delays_s_s=delays * rng.uniform(*_S_TO_P_DELAY, size=shape),
    )
    if cover_s is None:
        return terms
    every = (*terms.gains.shape[:-1], 1)
    cover, longer = rng.uniform(*cover_s, size=every), rng.uniform(*_S_TO_P_DELAY, size=every)
    return replace(terms, delays_p_s=terms.delays_p_s + cover, delays_s_s=terms.delays_s_s + cover * longer)


def apply_kappa(traces: NDArray[np.floating], sampling_rate_hz: float, kappa_s: ArrayLike) -> NDArray[np.float32]:
    """Traces (..., sample) attenuated by e^{-pi kappa f}; ``kappa_s`` broadcasts to (...).

    The filter has no phase, so picks stay. Zeros are appended against wrap-around.
    """
    kappa = np.asarray(kappa_s, float)
    if np.any(kappa < 0):
        raise SettingError("kappa must not be negative")
    samples = traces.shape[-1]
    length = next_fast_len(samples + round(2.0 * sampling_rate_hz), real=True)
    frequency = np.fft.rfftfreq(length, 1.0 / sampling_rate_hz)
    factor = np.exp(-np.pi * kappa[..., None] * frequency).astype(np.float32)
    spectra = rfft(np.asarray(traces, np.float32), length, axis=-1) * factor
    return np.ascontiguousarray(irfft(spectra, length, axis=-1)[..., :samples])


def add_coda(
    traces: NDArray[np.floating],
    sampling_rate_hz: float,
    rng: np.random.Generator,
    energy_ratio: ArrayLike = 2.0,
    decay_s: ArrayLike = 6.0,
    rise_s: ArrayLike = 0.3,
    component_axis: int = -3,
) -> NDArray[np.float32]:
    """Traces with scattered coda: x + h * (a random mixture of the components of x).

    ``traces`` (..., 3, station, sample), or the component on ``component_axis``. h is Gaussian noise under the
    envelope (1 - e^{-t / rise}) e^{-t / decay}, independent for every trace, with the energy ``energy_ratio`` (coda
    to direct wave); the three parameters are scalars or broadcast to the shape of ``traces`` without component and
    sample, (..., station). A convolution of this kind gives both P and S a coda, fills the time between them, and
    keeps first arrivals where they are (the single-scattering picture of Sato, Fehler & Maeda 2012, ch. 3, with the
    coda's power law replaced by an exponential). Mixing stands for P-S conversion and the loss of polarisation.
    """
    data = np.moveaxis(np.asarray(traces, np.float32), component_axis, 0)
    lead = data.shape[1:-1]
    ratio, decay, rise = (np.broadcast_to(np.asarray(p, float), lead) for p in (energy_ratio, decay_s, rise_s))
    if np.any(ratio < 0) or np.any(decay <= 0) or np.any(rise <= 0):
        raise SettingError("coda: the energy ratio must not be negative, decay and rise times must be above 0 s")
    samples = data.shape[-1]
    # Beyond 7 decay times the envelope is below 0.001
    reach = min(samples, int(np.ceil(7.0 * decay.max() * sampling_rate_hz)))
    time = np.arange(reach, dtype=np.float32) / np.float32(sampling_rate_hz)
    envelope = (1.0 - np.exp(-time / rise[..., None].astype(np.float32))) * np.exp(
        -time / decay[..., None].astype(np.float32)
    )
    energy = np.sum(envelope**2, axis=-1, keepdims=True)
    envelope *= np.sqrt(ratio[..., None] / np.maximum(energy, np.finfo(np.float32).tiny)).astype(np.float32)
    scatter = rng.standard_normal((data.shape[0], *lead, reach), np.float32) * envelope
    mixing = rng.standard_normal((data.shape[0], data.shape[0], *lead), np.float32) / np.sqrt(np.float32(data.shape[0]))
    length = next_fast_len(samples + reach - 1, real=True)
    spectra = rfft(data, length, axis=-1)
    mixed = np.einsum("ij...,j...f->i...f", mixing, spectra)
    mixed *= rfft(scatter, length, axis=-1)
    out = data + irfft(mixed, length, axis=-1)[..., :samples]
    return np.ascontiguousarray(np.moveaxis(out, 0, component_axis))
