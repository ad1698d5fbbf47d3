"""Events from reciprocal runs: any moment tensor and moment rate from strain at its place.

A force f along k at a station r gives at a place s the displacement f G_pk(s, r). By reciprocity (Aki & Richards
2002, eq. 2.39) G_kp(r, s) = G_pk(s, r), so that a moment tensor M at s moves the station by

    u_k(r) = M_pq * dG_kp(r, s) / ds_q = M_pq * e_pq(s; force k at r) / f

(Eisner & Clayton 2001, BSSA 91, 553; Zhao, Chen & Jordan 2006, BSSA 96, 1753): the contraction with the symmetric
strain e, because M is symmetric; * is convolution in time. A force with the time function g(t) so gives the velocity
of a moment whose rate is g(t). Another moment rate m(t) is brought about by the factor m(w) / g(w) within the band
that the mesh resolves.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.spatial import cKDTree

from ..events import Sources
from ..source import brune
from .archive import ArchiveHeader, StrainArchive
from .sourcetime import gaussian_spectrum
from .text import SpecfemError

FloatArray = NDArray[np.float64]

LEAST_GAUSSIAN = 0.01
"""Smallest amplitude of the force's spectrum at fmax that it can be divided by."""

_MAX_DENOMINATOR = 1000
_SPARE_S = 4.0


def moment_weights(tensors: ArrayLike) -> FloatArray:
    """Weights (..., 6) of the strains in the order of :data:`~dlloc_training.specfem.archive.STRAINS`, for moment
    tensors (..., 3, 3) north-east-down."""
    m = np.asarray(tensors, float)
    ee, nn, dd = m[..., 1, 1], m[..., 0, 0], m[..., 2, 2]
    return np.stack([ee, 2.0 * m[..., 0, 1], -2.0 * m[..., 1, 2], nn, -2.0 * m[..., 0, 2], dd], axis=-1)


def contract(strain: NDArray[np.floating], tensor: ArrayLike) -> FloatArray:
    """Ground velocity (3, station, sample) in m/s, components Z, N, E, of a moment whose rate is the force's function.

    ``strain`` (station, force, component, sample) per newton as the archive has it; ``tensor`` (3, 3) N m.
    """
    velocity = np.einsum("c,skct->kst", moment_weights(tensor), strain)
    return np.asarray(velocity, np.float64)


def nearest_nodes(header: ArchiveHeader, sources: Sources, largest_misfit_km: float) -> NDArray[np.int64]:
    """(event,): nodes at which the sources lie; their depths are below sea level.

    Raises SpecfemError where one lies further than ``largest_misfit_km`` from every node.
    """
    places = np.stack([sources.x_km, sources.y_km, sources.depth_km], axis=-1)
    misfit, index = cKDTree(header.nodes_km).query(places)
    worst = int(np.argmax(misfit)) if len(misfit) else 0
    if len(misfit) and misfit[worst] > largest_misfit_km:
        raise SpecfemError(
            f"a source at x {places[worst, 0]:.3f}, y {places[worst, 1]:.3f}, depth {places[worst, 2]:.3f} km lies "
            f"{misfit[worst]:.3f} km from the nearest of the archive's {len(header.nodes_km)} nodes: take places from "
            "its nodes_km, or run SPECFEM3D for a finer grid"
        )
    return np.asarray(index, np.int64)


@dataclass(frozen=True)
class _Plan:
    """Lengths of the transforms, real angular frequencies (rad/s), and what divides the force's function out."""

    length: int
    out_length: int
    omega: FloatArray
    factor: FloatArray


@lru_cache(maxsize=8)
def _plan(
    dt_s: float, samples: int, width_s: float, fmax_hz: float, rate_hz: float, spare_s: float, taper_share: float
) -> _Plan:
    ratio = Fraction(dt_s * rate_hz).limit_denominator(_MAX_DENOMINATOR)
    if ratio == 0 or abs(float(ratio) / (dt_s * rate_hz) - 1.0) > 1e-9:
        raise SpecfemError(
            f"{rate_hz:g} Hz and the archive's {1 / dt_s:g} Hz have no simple ratio: choose another rate"
        )
    if rate_hz < 2.0 * fmax_hz:
        raise SpecfemError(f"{rate_hz:g} Hz is below twice the highest frequency {fmax_hz:g} Hz")
    blocks = next_fast_len(int(np.ceil((samples + spare_s / dt_s) / ratio.denominator)), real=True)
    length, out_length = blocks * ratio.denominator, blocks * ratio.numerator
    omega = 2.0 * np.pi / (length * dt_s) * np.arange(int(fmax_hz * length * dt_s) + 1)
    share = max(taper_share, 1e-12)
    taper = 0.5 + 0.5 * np.cos(np.pi * np.clip((omega / (2.0 * np.pi * fmax_hz) - 1.0 + share) / share, 0.0, 1.0))
    return _Plan(length, out_length, omega, taper / gaussian_spectrum(omega, width_s))


def synthesize(
    archive: StrainArchive,
    sources: Sources,
    *,
    samples: int,
    start_s: ArrayLike = 0.0,
    sampling_rate_hz: float = 20.0,
    gains: ArrayLike = 1.0,
    delays_s: ArrayLike = 0.0,
    kappa_s: ArrayLike = 0.0,
    taper_share: float = 0.1,
    fmax_hz: float | None = None,
    largest_misfit_km: float = 0.01,
) -> NDArray[np.float32]:
    """Ground velocity (event, 3, station, sample) in m/s, components Z, N, E, of Brune sources at the nodes.

    The counterpart of :func:`dlloc_training.events.synthesize` with the same arguments and layout, but for this:
    stations are those of the archive in its order, depths of ``sources`` are below sea level, and sources must lie
    at nodes. ``fmax_hz``: highest frequency, the archive's by default. Every node is read once. Raises SpecfemError
    where a source lies off the nodes, ``fmax_hz`` is above the archive's, or the rate below twice ``fmax_hz``.
    """
    header = archive.header
    shape = (len(sources), len(header.stations))
    begin, gain, delay, kappa = (
        np.broadcast_to(np.asarray(value, float), shape)
        for value in (np.asarray(start_s, float).reshape(-1, 1), gains, delays_s, kappa_s)
    )
    # The force's ringing, Brune's tail and the statics must not come round to the other end
    tail = _SPARE_S + 4.0 / float(np.min(sources.corner_hz, initial=np.inf)) + 4.0 * header.width_s
    fmax = header.fmax_hz if fmax_hz is None else fmax_hz
    if not 0.0 < fmax <= header.fmax_hz:
        raise SpecfemError(f"{fmax:g} Hz were asked for; the archive holds up to {header.fmax_hz:g} Hz")
    plan = _plan(header.dt_s, header.samples, header.width_s, fmax, sampling_rate_hz, float(tail), taper_share)
    frequency = plan.omega / (2.0 * np.pi)
    nodes = nearest_nodes(header, sources, largest_misfit_km)
    out = np.zeros((len(sources), 3, len(header.stations), samples), np.float32)
    for node in np.unique(nodes):
        strain = archive.strain(int(node))
        for event in np.flatnonzero(nodes == node):
            spectra = rfft(contract(strain, sources.tensors[event]), plan.length, axis=-1)[..., : len(plan.omega)]
            place = (header.start_s + delay[event] - begin[event]) * sampling_rate_hz
            offset = np.round(place).astype(np.int64)
            late = (place - offset) / sampling_rate_hz
            site = np.exp(-np.pi * kappa[event][:, None] * frequency - 1j * plan.omega * late[:, None])
            site *= plan.factor * brune(plan.omega.astype(np.complex128), sources.corner_hz[event])
            traces = irfft(spectra * site, plan.out_length, axis=-1) * (plan.out_length / plan.length)
            _place(out[event], traces * gain[event][:, None], offset)
    return out


def _place(out: NDArray[np.float32], traces: FloatArray, offset: NDArray[np.int64]) -> None:
    """Put traces (3, station, n) into ``out`` (3, station, sample), each station from its ``offset`` on."""
    for station, at in enumerate(offset):
        low, high = max(int(at), 0), min(int(at) + traces.shape[-1], out.shape[-1])
        if high > low:
            out[:, station, low:high] = traces[:, station, low - at : high - at]
