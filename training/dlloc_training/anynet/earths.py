"""Random layered earths for networks of any size.

Everything here is at a scale of its own: the sampling rate is 20 Hz. Elastic waves do not know their scale (times and
lengths grow together, velocities and Q stay), so the same seismograms serve a volcano's network at 100 Hz, where a
kilometre of these is 200 m.
"""

import numpy as np

from ..earth import EarthModel

RATE_HZ = 20.0
"""Sampling rate of everything that is made here; at another rate lengths and times are those times 20 Hz over it."""


def regional_earth(rng: np.random.Generator) -> EarthModel:
    """A crust of 26 to 46 km under sediments of 0 to 4 km, over a mantle of 7.8 to 8.2 km/s.

    Ranges hold the continental models of CRUST1.0 (Laske et al. 2013) from shields to young basins.
    """
    ratio, q = rng.uniform(1.68, 1.80), rng.uniform(150.0, 900.0)
    cover, share = rng.uniform(0.1, 4.0), rng.uniform(0.3, 0.7)
    top, lower = rng.uniform(2.5, 5.0), rng.uniform(0.1, 1.0)
    upper = rng.uniform(5.5, 6.2)
    middle = upper + rng.uniform(0.1, 0.5)
    deep = middle + rng.uniform(0.1, 0.5)
    conrad, third, moho = rng.uniform(6.0, 15.0), rng.uniform(16.0, 24.0), rng.uniform(26.0, 46.0)
    loose, firm = rng.uniform(1.75, 2.1), rng.uniform(1.72, 1.95)
    mantle = rng.uniform(7.8, 8.2)
    second = min(top + lower, upper - 0.1)
    return EarthModel.from_rows(
        [
            (share * cover, top, top / loose, 2.35, 0.3 * q, 0.2 * q),
            ((1.0 - share) * cover, second, second / firm, 2.5, 0.5 * q, 0.3 * q),
            (conrad - cover, upper, upper / ratio, 2.7, q, 0.6 * q),
            (third - conrad, middle, middle / ratio, 2.75, q, 0.7 * q),
            (moho - third, deep, deep / ratio, 2.9, 1.2 * q, 0.8 * q),
            (np.inf, mantle, mantle / 1.77, 3.3, 2.0 * q, 1.2 * q),
        ]
    )


def local_earth(rng: np.random.Generator) -> EarthModel:
    """Five layers that get faster with depth, from 2 to 5.5 km/s at the top to 5 to 6.8 km/s: volcanoes, fields, mines.

    The thickness of each is drawn about a tenth to a whole of 10 km at this module's scale; one in four has a slow
    layer in the middle.
    """
    top, bottom = rng.uniform(2.0, 5.5), rng.uniform(5.0, 6.8)
    bottom = max(bottom, top + 0.3)
    steps = np.sort(rng.uniform(0.0, 1.0, 3))
    velocity = np.concatenate([[top], top + (bottom - top) * steps, [bottom]])
    if rng.random() < 0.25:
        velocity[2] = velocity[1] * rng.uniform(0.85, 0.97)
    thickness = 10.0 ** rng.uniform(-0.3, 1.0, 5)
    ratio = rng.uniform(1.65, 1.80) + rng.uniform(0.0, 0.35) * (1.0 - np.linspace(0.0, 1.0, 5)) ** 2
    q = rng.uniform(40.0, 500.0) * np.linspace(0.4, 1.0, 5)
    density = 1.74 * velocity**0.25  # Gardner et al. (1974), km/s and g/cm3
    rows = [
        (h, v, v / r, d, 1.5 * one, one) for h, v, r, d, one in zip(thickness, velocity, ratio, density, q, strict=True)
    ]
    return EarthModel.from_rows(rows)
