"""Waves of a surface point force in a layered half-space, in the frequency and wavenumber domain.

One complex angular frequency w, many real horizontal wavenumbers k. Time factor e^{+i w t}, z down. Vertical
slownesses enter as nu = sqrt(k^2 - (w/c)^2), Re nu > 0, so that down-going waves vary as e^{-nu z}.

In a layer the P-SV motion is a sum of down-going (d) and up-going (u) P and S waves with the displacement-stress
vectors (U, V, s_zz, s_zr)

    P down  (-nu_a, k, mu g, -2 mu k nu_a)       S down  (k, -nu_b, -2 mu k nu_b, mu g),      g = k^2 + nu_b^2

(up-going: nu changes sign), where u_z = U J0 and u_r = V dJ0/d(kr). SH motion has the amplitude W.

Reflection matrices are carried upwards once (interface by interface) and the amplitudes downwards once, so that only
decaying exponentials occur: the reflection-transmission method of Kennett (1983), Seismic Wave Propagation in
Stratified Media, ch. 6, as in Luco & Apsel (1983), BSSA 73, 909.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .earth import EarthModel

ComplexArray = NDArray[np.complexfloating]
Matrix = tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]
"""2 x 2 matrix for each wavenumber, row by row: PP, PS, SP, SS (row: outgoing wave, column: incoming wave)."""


@dataclass(frozen=True)
class LayerWaves:
    """Waves in one layer: down-going amplitudes at its top, reflection at its bottom.

    ``down_p``, ``down_s`` (force, k): force 0 is vertical (unit traction down), force 1 horizontal; ``down_h`` (k,).
    ``reflection`` and ``reflection_h`` are referred to the bottom of the layer, None in the half-space.
    """

    nu_a: ComplexArray
    nu_b: ComplexArray
    thickness_km: float
    down_p: ComplexArray
    down_s: ComplexArray
    down_h: ComplexArray
    reflection: Matrix | None
    reflection_h: ComplexArray | None


@dataclass(frozen=True)
class Motion:
    """Harmonic amplitudes at one depth and their derivatives with depth (suffix ``z``).

    ``u``, ``v``, ``uz``, ``vz`` (force, k); ``w``, ``wz`` (k,), which only the horizontal force excites.
    """

    u: ComplexArray
    v: ComplexArray
    uz: ComplexArray
    vz: ComplexArray
    w: ComplexArray
    wz: ComplexArray


def _multiply(a: Matrix, b: Matrix) -> Matrix:
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    )


def _inverse(a: Matrix) -> Matrix:
    scale = 1.0 / (a[0] * a[3] - a[1] * a[2])
    return a[3] * scale, -a[1] * scale, -a[2] * scale, a[0] * scale


@dataclass(frozen=True)
class _Medium:
    """Elastic terms of one layer at one frequency."""

    k: NDArray[np.float64]
    nu_a: ComplexArray
    nu_b: ComplexArray
    gamma: ComplexArray
    mu: complex
    rho_omega2: complex

    def motion_stress(self, reflection: Matrix | None) -> tuple[tuple[ComplexArray, ...], tuple[ComplexArray, ...]]:
        """(U, V, s_zz, s_zr) at the top of the layer for a unit down-going P, and for a unit down-going S wave."""
        k, a, b, g, mu = self.k, self.nu_a, self.nu_b, self.gamma, self.mu
        kb, ka = (2.0 * mu) * k * b, (2.0 * mu) * k * a
        mg = mu * g
        if reflection is None:
            return (-a, k + 0j, mg, -ka), (k + 0j, -b, -kb, mg)
        pp, ps, sp, ss = reflection
        up, down = pp + 1.0, pp - 1.0
        first = (a * down + k * sp, k * up + b * sp, mg * up + kb * sp, ka * down + mg * sp)
        up, down = ss + 1.0, ss - 1.0
        second = (a * ps + k * up, k * ps + b * down, mg * ps + kb * down, ka * ps + mg * up)
        return first, second

    def split(self, vector: tuple[ComplexArray, ...]) -> tuple[ComplexArray, ...]:
        """Displacement-stress vector to the amplitudes (down P, down S, up P, up S)."""
        u, v, szz, szr = vector
        scale = 1.0 / self.rho_omega2
        m2k = (2.0 * self.mu * scale) * self.k
        p_sum = m2k * v - szz * scale
        s_difference = (v - self.k * p_sum) / self.nu_b
        s_sum = m2k * u - szr * scale
        p_difference = (u - self.k * s_sum) / self.nu_a
        return (
            0.5 * (p_sum - p_difference),
            0.5 * (s_sum - s_difference),
            0.5 * (p_sum + p_difference),
            0.5 * (s_sum + s_difference),
        )


def _root(value: ComplexArray) -> ComplexArray:
    """Square root with positive real part."""
    # numpy's principal branch has Re >= 0 already, so decaying waves are chosen without a further test
    root: ComplexArray = np.sqrt(value)
    return root


def surface_force_waves(
    model: EarthModel, omega: complex, wavenumbers: NDArray[np.float64], deepest_layer: int
) -> list[LayerWaves]:
    """Waves excited by unit point forces at the free surface, in the layers 0 .. ``deepest_layer``.

    ``omega`` rad/s, with a negative imaginary part; ``wavenumbers`` (k,) rad/km, above 0. The amplitudes contain the
    factor 1/(2 pi) of the Hankel transform of a point force.
    """
    k = wavenumbers
    k2 = k * k
    vp, vs = model.complex_velocities(omega)
    layers = []
    for n in range(len(vp)):
        nu_a, nu_b = _root(k2 - (omega / vp[n]) ** 2), _root(k2 - (omega / vs[n]) ** 2)
        rho = model.density_g_cm3[n]
        mu = complex(rho * vs[n] ** 2)
        layers.append(_Medium(k, nu_a, nu_b, k2 + nu_b * nu_b, mu, rho * omega * omega))

    # Upwards: reflection at the bottom of each layer, and what passes into the layer below
    reflections: list[tuple[Matrix, ComplexArray] | None] = [None] * len(layers)
    transmissions: list[tuple[Matrix, ComplexArray] | None] = [None] * len(layers)
    decay: list[tuple[ComplexArray, ComplexArray]] = []
    for n in range(len(layers) - 1):
        h = model.thickness_km[n]
        decay.append((np.exp(-h * layers[n].nu_a), np.exp(-h * layers[n].nu_b)))
    at_top: Matrix | None = None
    at_top_h: ComplexArray = np.zeros_like(layers[-1].nu_b)
    for n in range(len(layers) - 2, -1, -1):
        upper, lower = layers[n], layers[n + 1]
        first, second = (upper.split(column) for column in lower.motion_stress(at_top))
        transmission = _inverse((first[0], second[0], first[1], second[1]))
        reflection = _multiply((first[2], second[2], first[3], second[3]), transmission)
        stress = (lower.mu / upper.mu) * lower.nu_b * (at_top_h - 1.0) / upper.nu_b
        down_h, up_h = 0.5 * (1.0 + at_top_h - stress), 0.5 * (1.0 + at_top_h + stress)
        reflections[n], transmissions[n] = (reflection, up_h / down_h), (transmission, 1.0 / down_h)
        ea, eb = decay[n]
        eab = ea * eb
        at_top = (reflection[0] * ea * ea, reflection[1] * eab, reflection[2] * eab, reflection[3] * eb * eb)
        at_top_h = (up_h / down_h) * eb * eb

    # At the surface the waves balance the traction of the force
    first, second = layers[0].motion_stress(at_top)
    source = _inverse((first[2], second[2], first[3], second[3]))
    unit = -1.0 / (2.0 * np.pi)
    down_p: ComplexArray = unit * np.array([source[0], source[1]], np.complex128)
    down_s: ComplexArray = unit * np.array([source[2], source[3]], np.complex128)
    down_sh: ComplexArray = np.asarray(unit / (layers[0].mu * layers[0].nu_b * (at_top_h - 1.0)), np.complex128)

    # Downwards: amplitudes at the top of each layer
    waves = []
    for n in range(deepest_layer + 1):
        here, bottom = layers[n], reflections[n]
        waves.append(
            LayerWaves(
                here.nu_a,
                here.nu_b,
                float(model.thickness_km[n]),
                down_p,
                down_s,
                down_sh,
                None if bottom is None else bottom[0],
                None if bottom is None else bottom[1],
            )
        )
        through = transmissions[n]
        if through is not None and n < deepest_layer:
            matrix, scalar = through
            ea, eb = decay[n]
            p, s = ea * down_p, eb * down_s
            down_p, down_s = matrix[0] * p + matrix[1] * s, matrix[2] * p + matrix[3] * s
            down_sh = scalar * eb * down_sh
    return waves


def motion_at(waves: LayerWaves, wavenumbers: NDArray[np.float64], below_top_km: float) -> Motion:
    """Motion at ``below_top_km`` under the top of the layer, for the first ``len(wavenumbers)`` wavenumbers."""
    k, count = wavenumbers, len(wavenumbers)
    nu_a, nu_b = waves.nu_a[:count], waves.nu_b[:count]
    ea, eb = np.exp(-below_top_km * nu_a), np.exp(-below_top_km * nu_b)
    down_p, down_s, down_h = ea * waves.down_p[:, :count], eb * waves.down_s[:, :count], eb * waves.down_h[:count]
    if waves.reflection is None or waves.reflection_h is None:
        p_sum, p_difference, s_sum, s_difference = down_p, -down_p, down_s, -down_s
        h_sum, h_difference = down_h, -down_h
    else:
        rest = waves.thickness_km - below_top_km
        # From here to the bottom and back: e^{-nu (h - z)} twice
        ra, rb = np.exp(-rest * nu_a), np.exp(-rest * nu_b)
        pp, ps, sp, ss = (part[:count] for part in waves.reflection)
        p, s = ra * down_p, rb * down_s
        up_p, up_s = ra * (pp * p + ps * s), rb * (sp * p + ss * s)
        up_h = rb * rb * waves.reflection_h[:count] * down_h
        p_sum, p_difference, s_sum, s_difference = up_p + down_p, up_p - down_p, up_s + down_s, up_s - down_s
        h_sum, h_difference = up_h + down_h, up_h - down_h
    ap, bs = nu_a * p_difference, nu_b * s_difference
    ks = k * s_sum
    return Motion(
        u=ap + ks,
        v=k * p_sum + bs,
        uz=nu_a * (nu_a * p_sum) + k * bs,
        vz=k * ap + nu_b * (nu_b * s_sum),
        w=h_sum,
        wz=nu_b * h_difference,
    )
