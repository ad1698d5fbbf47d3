"""Strain Green's functions of a layered half-space by reciprocity and the discrete-wavenumber method.

A point force at the surface stands for a component of a station; the strain that it causes at depth is, by
reciprocity, the ground displacement that a moment tensor at that depth causes at the station (Aki & Richards 2002,
section 3.3). So one table serves every hypocentre, station and mechanism.

The Hankel integrals over wavenumber become sums with step dk = 2 pi / L (Bouchon 1981, BSSA 71, 959), which repeats
the source at horizontal distance L; frequencies are shifted to w - i w_I, which damps what wraps around in time.

The ten Green's functions of each depth and distance, with r from the force to the point at depth, z down, p (phi) at
right angles to r (clockwise seen from above):

    0-3  vertical (down) force:                   e_rr, e_pp, e_zz, 2 e_rz
    4-7  horizontal force along r:                e_rr, e_pp, e_zz, 2 e_rz
    8-9  horizontal force across, per sin(phi):   2 e_rp, 2 e_pz
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len
from scipy.special import j0, j1
from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError

from .earth import EarthModel
from .recursion import Motion, motion_at, surface_force_waves
from .table import GREENS_FUNCTIONS, StrainTable

FloatArray = NDArray[np.float64]

_LEAST_OFF_BOUNDARY_KM = 1e-3

# Integrands summed against J0 and J1; the figure is the force (0 vertical, 1 along r), z a derivative with depth
_J0_TERMS = ("k Uz0", "k2 V0", "k2 U1", "k V1", "k W", "k Vz1", "k Wz")
_J1_TERMS = ("k2 U0", "k Vz0", "k V0", "k Uz1", "k U1", "k2 V1", "k2 W", "V1 - W", "Vz1 - Wz")


def strain_table(
    model: EarthModel,
    depths_km: ArrayLike,
    distances_km: ArrayLike,
    *,
    duration_s: float,
    fmax_hz: float,
    reduction_velocity_km_s: float | None = None,
    lead_s: float = 2.0,
    wrap_damping: float = 30.0,
    evanescent_decay: float = 12.0,
    period_km: float | None = None,
    single_precision: bool = True,
    progress: bool = False,
) -> StrainTable:
    """Strain at ``depths_km`` (depth,) and ``distances_km`` (distance,) from unit forces at the surface.

    The window of each distance r starts at r / ``reduction_velocity_km_s`` - ``lead_s`` after the origin time
    (-``lead_s`` without a reduction velocity) and is ``duration_s`` long; ``fmax_hz`` is the highest frequency. What
    arrives later than the window wraps around, divided by ``wrap_damping``; the lead holds the ringing before the
    first arrival that a limited band has. ``period_km`` is the distance L at which the sources repeat; by default
    their P waves arrive at the end of the latest window. Wavenumbers are summed up to where S waves have decayed
    by e^-``evanescent_decay`` between surface and source. ``single_precision`` sums the wavenumbers in float32: twice
    as fast, differences near 1e-6 of the largest amplitude.

    Cost is proportional to duration x fmax^2 x L. Threads are numpy's (OMP_NUM_THREADS). Raises SettingError.
    """
    depths, distances = _checked(model, depths_km, distances_km)
    if not (duration_s > lead_s >= 0 and fmax_hz > 0 and wrap_damping > 1 and evanescent_decay > 0):
        raise SettingError(
            "strain table: duration, fmax and decay must be above 0, the lead within the duration, "
            "the wrap damping above 1"
        )
    start = np.full_like(distances, -lead_s)
    if reduction_velocity_km_s is not None:
        if reduction_velocity_km_s < model.vp_km_s.max():
            raise SettingError(
                f"strain table: the reduction velocity {reduction_velocity_km_s} km/s is below the fastest P velocity "
                f"{model.vp_km_s.max()} km/s, so first arrivals would be cut"
            )
        start += distances / reduction_velocity_km_s
    period = period_km or distances.max() + model.vp_km_s.max() * (start.max() + duration_s)
    if period < 2.0 * distances.max():
        raise SettingError(f"strain table: the period {period} km must be at least twice the largest distance")

    step_k = 2.0 * np.pi / period
    damping = np.log(wrap_damping) / duration_s
    omega = 2.0 * np.pi / duration_s * np.arange(int(np.floor(fmax_hz * duration_s)) + 1) - 1j * damping
    counts = np.ceil(_largest_wavenumbers(model, depths, omega.real, evanescent_decay) / step_k).astype(int)
    wavenumbers = (np.arange(counts.max()) + 0.5) * step_k
    dtype = np.float32 if single_precision else np.float64
    phase = np.outer(wavenumbers, distances)
    bessel0, bessel1 = j0(phase), j1(phase)
    del phase
    first0, first1 = _midpoint_corrections(step_k * distances)
    bessel0[0] += first0
    bessel1[0] += first1
    bessel0, bessel1 = bessel0.astype(dtype), bessel1.astype(dtype)

    layer_of, tops = model.layer_at(depths), model.tops_km
    spectra = np.empty((len(depths), len(distances), GREENS_FUNCTIONS, len(omega)), np.complex64)
    for i in tqdm(range(len(omega)), desc="Green's functions", unit="freq", disable=not progress):
        count = counts[:, i].max()
        waves = surface_force_waves(model, complex(omega[i]), wavenumbers[:count], int(layer_of.max()))
        # All depths in one product: real and imaginary parts apart, zeros beyond a depth's own largest wavenumber
        with_j0 = np.zeros((len(depths), len(_J0_TERMS), 2, count), dtype)
        with_j1 = np.zeros((len(depths), len(_J1_TERMS), 2, count), dtype)
        for iz, depth in enumerate(depths):
            k = wavenumbers[: counts[iz, i]]
            motion = motion_at(waves[layer_of[iz]], k, float(depth - tops[layer_of[iz]]))
            _fill_integrands(motion, k, with_j0[iz, :, :, : len(k)], with_j1[iz, :, :, : len(k)])
        sums = [_hankel_sums(*pair, step_k) for pair in ((with_j0, bessel0[:count]), (with_j1, bessel1[:count]))]
        advance = np.exp(1j * omega[i] * start)
        spectra[:, :, :, i] = np.moveaxis(_strains(sums[0], sums[1], distances) * advance, 0, -1)
    return StrainTable(
        model=model,
        depths_km=depths,
        distances_km=distances,
        start_s=start,
        spectra=spectra,
        duration_s=float(duration_s),
        fmax_hz=float(fmax_hz),
        wrap_damping=float(wrap_damping),
        period_km=float(period),
    )


def _checked(model: EarthModel, depths_km: ArrayLike, distances_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
    depths, distances = np.array(depths_km, float).reshape(-1), np.array(distances_km, float).reshape(-1)
    for name, values in (("depths", depths), ("distances", distances)):
        if not (values.size and np.all(np.isfinite(values)) and np.all(np.diff(values) > 0) and values[0] > 0):
            raise SettingError(f"strain table: {name} must be above 0 km, finite and increasing")
    gap = np.abs(depths[:, None] - model.tops_km[None, :])
    near = np.argwhere(gap < _LEAST_OFF_BOUNDARY_KM)
    if near.size:
        raise SettingError(
            f"strain table: the depth {depths[near[0, 0]]} km lies on the boundary between two layers, where strain "
            "is not continuous: move it or the boundary"
        )
    return depths, distances


def _largest_wavenumbers(model: EarthModel, depths: FloatArray, omega: FloatArray, decay: float) -> FloatArray:
    """(depth, frequency): k at which S waves decay by e^-``decay`` on their way from the surface to the depth.

    P waves decay faster. Waves that are trapped above the source and evanescent at its depth are left out by this.
    """
    bottom = model.tops_km + model.thickness_km
    path = np.clip(np.minimum(depths[:, None], bottom) - model.tops_km, 0.0, None)
    slow = omega[None, :] / model.vs_km_s[:, None]

    def exponent(k: FloatArray) -> FloatArray:
        nu = np.sqrt(np.maximum(k[:, None, :] ** 2 - slow[None] ** 2, 0.0))
        total: FloatArray = np.einsum("zl,zlf->zf", path, nu)
        return total

    low = np.zeros((len(depths), len(omega)))
    high: FloatArray = omega[None, :] / model.vs_km_s.min() + decay / depths[:, None]
    for _ in range(40):
        middle = 0.5 * (low + high)
        below = exponent(middle) < decay
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def _midpoint_corrections(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What to add to J0 and J1 at the first wavenumber, for x = dk times distance, (distance,).

    Near k = 0 the integrands are k f J0(kr) and k^2 f J1(kr) with a smooth f. There the midpoint rule is wrong by the
    end-point terms of Euler and Maclaurin, dk^2 f phi(x) for the first, minus its derivative with distance for the
    second: a faint plane wave that travels straight up or down and would arrive before P. With Bessel's integral the
    sum over (n + 1/2) J0((n + 1/2) x) is the mean over theta of a geometric series, whose finite part is
    p(y) = 1/y^2 - cos(y/2) / (4 sin^2(y/2)), y = x cos(theta).
    """
    theta = (np.arange(256) + 0.5) * (np.pi / 256)
    y = x[:, None] * np.cos(theta)
    small = np.abs(y) < 0.05
    safe = np.where(small, 1.0, y)
    sine, cosine = np.sin(0.5 * safe), np.cos(0.5 * safe)
    finite = np.where(small, 1.0 / 24.0 - 7.0 * y**2 / 1920.0, 1.0 / safe**2 - cosine / (4.0 * sine**2))
    slope = np.where(small, -7.0 * y / 960.0, -2.0 / safe**3 + (1.0 + cosine**2) / (8.0 * sine**3))
    phi, phi_slope = finite.mean(axis=1), (slope * np.cos(theta)).mean(axis=1)
    # The first integrands are dk f / 2 and (dk / 2)^2 f
    return -2.0 * phi, 4.0 * phi_slope


def _fill_integrands(
    motion: Motion, k: FloatArray, with_j0: NDArray[np.floating], with_j1: NDArray[np.floating]
) -> None:
    """Write the integrands in the order of :data:`_J0_TERMS` and :data:`_J1_TERMS`, each (term, real | imag, k)."""
    k2 = k * k
    u, v, uz, vz, w, wz = motion.u, motion.v, motion.uz, motion.vz, motion.w, motion.wz
    j0_terms = (k * uz[0], k2 * v[0], k2 * u[1], k * v[1], k * w, k * vz[1], k * wz)
    j1_terms = (k2 * u[0], k * vz[0], k * v[0], k * uz[1], k * u[1], k2 * v[1], k2 * w, v[1] - w, vz[1] - wz)
    for target, terms in ((with_j0, j0_terms), (with_j1, j1_terms)):
        for i, term in enumerate(terms):
            target[i, 0], target[i, 1] = term.real, term.imag


def _hankel_sums(integrands: NDArray[np.floating], bessel: NDArray[np.floating], step: float) -> NDArray[np.complex128]:
    """Sums over k, (term, depth, distance), of integrands (depth, term, real | imag, k) against ``bessel``."""
    total = (integrands.reshape(-1, integrands.shape[-1]) @ bessel).astype(np.float64) * step
    parts = total.reshape(*integrands.shape[:3], -1)
    return np.moveaxis(parts[:, :, 0] + 1j * parts[:, :, 1], 1, 0)


def _strains(s0: NDArray[np.complex128], s1: NDArray[np.complex128], r: FloatArray) -> NDArray[np.complex128]:
    """The ten Green's functions (10, depth, distance) from the wavenumber sums.

    Vertical force: u_z = sum k U J0, u_r = -sum k V J1. Horizontal force along phi = 0: u_z = cos(phi) sum k U J1,
    u_r = cos(phi) sum k [V J1' + W J1/(kr)], u_phi = -sin(phi) sum k [V J1/(kr) + W J1'], with
    J1'(x) = J0(x) - J1(x)/x. Strain in cylindrical coordinates: Aki & Richards (2002), eq. 2.46.
    """
    kuz0, k2v0, k2u1, kv1, kw, kvz1, kwz = s0
    k2u0_1, kvz0_1, kv0_1, kuz1_1, ku1_1, k2v1_1, k2w_1, difference, difference_z = s1
    ur = -kv0_1
    vertical = (-k2v0 - ur / r, ur / r, kuz0, -kvz0_1 - k2u0_1)

    shear, shear_z = difference / r, difference_z / r  # (V - W) J1 / r and its derivative with depth
    # d/dr of (V - W) J1 / r is (V - W) (k J0 / r - 2 J1 / r^2)
    shear_r = (kv1 - kw - 2.0 * shear) / r
    ur, up = kv1 - shear, -kw - shear  # factors of cos(phi) and sin(phi)
    urr, upr = -k2v1_1 - shear_r, k2w_1 - shear_r
    urz, upz = kvz1 - shear_z, -kwz - shear_z
    uzr = k2u1 - ku1_1 / r
    along = (urr, (ur + up) / r, kuz1_1, urz + uzr)
    across = (upr - (up + ur) / r, upz - ku1_1 / r)
    return np.stack(vertical + along + across)


def fast_duration(duration_s: float, sampling_rate_hz: float) -> float:
    """The shortest duration (s) not below ``duration_s`` that is quickly transformed at ``sampling_rate_hz``."""
    return float(next_fast_len(int(np.ceil(duration_s * sampling_rate_hz - 1e-9)), real=True) / sampling_rate_hz)
