"""Layered earth models: flat layers over a half-space, velocities with constant-Q dispersion.

Depth is km below the model's flat surface, positive down. The caller decides what the surface stands for (usually
the mean elevation of the stations).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.errors import SettingError

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

COLUMNS = ("thickness_km", "vp_km_s", "vs_km_s", "density_g_cm3", "qp", "qs")
"""Order of the columns of a table of layers."""

_LEAST_VP_VS = 2.0 / np.sqrt(3.0)  # below it the bulk modulus is negative


@dataclass(frozen=True)
class EarthModel:
    """Flat layers, top to bottom; the last one is the half-space (its thickness is infinite).

    All fields have shape (layer,). Velocities (km/s) are those at ``reference_frequency_hz``; density g/cm3; quality
    factors may be infinite. Raises SettingError where a layer is not physical.
    """

    thickness_km: FloatArray
    vp_km_s: FloatArray
    vs_km_s: FloatArray
    density_g_cm3: FloatArray
    qp: FloatArray
    qs: FloatArray
    reference_frequency_hz: float = 1.0

    def __post_init__(self) -> None:
        count = np.size(self.vp_km_s)
        for name in COLUMNS:
            column = np.array(getattr(self, name), float).reshape(-1)
            if column.size != count:
                raise SettingError(f"earth model: {name} has {column.size} layers, vp_km_s has {count}")
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if count == 0:
            raise SettingError("earth model: there is no layer")
        if not np.isposinf(self.thickness_km[-1]):
            raise SettingError("earth model: the last layer is the half-space, give it an infinite (or zero) thickness")
        for name in COLUMNS:
            column = getattr(self, name)
            finite = np.isfinite(column) if name in ("vp_km_s", "vs_km_s", "density_g_cm3") else ~np.isnan(column)
            bad = np.nonzero(~(finite & (column > 0)))[0]
            if bad.size:
                raise SettingError(f"earth model: layer {bad[0] + 1} has {name} {column[bad[0]]}, it must be above 0")
        if count > 1 and not np.all(np.isfinite(self.thickness_km[:-1])):
            raise SettingError("earth model: only the last layer may have an infinite thickness")
        slow = np.nonzero(self.vp_km_s < _LEAST_VP_VS * self.vs_km_s)[0]
        if slow.size:
            raise SettingError(
                f"earth model: layer {slow[0] + 1} has vp/vs {self.vp_km_s[slow[0]] / self.vs_km_s[slow[0]]:.3f}, "
                f"no solid has less than {_LEAST_VP_VS:.3f}"
            )
        if not self.reference_frequency_hz > 0:
            raise SettingError("earth model: the reference frequency must be above 0 Hz")

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[float]], reference_frequency_hz: float = 1.0) -> "EarthModel":
        """Model from rows of :data:`COLUMNS`; the thickness of the last row is ignored (half-space)."""
        try:
            table = np.array(rows, float)
        except ValueError as error:
            raise SettingError(f"earth model: the rows are not a table of numbers ({error})") from error
        if table.ndim != 2 or table.shape[1] != len(COLUMNS):
            raise SettingError(f"earth model: each row needs {len(COLUMNS)} numbers: {', '.join(COLUMNS)}")
        table[-1, 0] = np.inf
        return cls(**dict(zip(COLUMNS, table.T, strict=True)), reference_frequency_hz=reference_frequency_hz)

    def rows(self) -> FloatArray:
        """(layer, 6) in the order of :data:`COLUMNS`."""
        return np.stack([getattr(self, name) for name in COLUMNS], axis=1)

    @property
    def tops_km(self) -> FloatArray:
        """Depth of the top of each layer, (layer,)."""
        return np.concatenate([[0.0], np.cumsum(self.thickness_km[:-1])])

    def layer_at(self, depth_km: ArrayLike) -> NDArray[np.int64]:
        """Index of the layer at each depth; at a boundary the layer below it."""
        return np.searchsorted(self.tops_km, np.asarray(depth_km, float), side="right") - 1

    def velocities_at(self, depth_km: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(vp, vs) in km/s at each depth."""
        layer = self.layer_at(depth_km)
        return self.vp_km_s[layer], self.vs_km_s[layer]

    def complex_velocities(self, omega: complex) -> tuple[ComplexArray, ComplexArray]:
        """Complex (vp, vs) of each layer at the complex angular frequency ``omega`` (rad/s), time factor e^{+i w t}.

        Constant Q with its dispersion: c(w) = c0 [1 + ln(w/w0)/(pi Q) + i/(2Q)] (Aki & Richards 2002, eq. 5.94).
        """
        log_ratio = np.log(complex(omega) / (2.0 * np.pi * self.reference_frequency_hz))
        factor = log_ratio / np.pi + 0.5j
        return self.vp_km_s * (1.0 + factor / self.qp), self.vs_km_s * (1.0 + factor / self.qs)


def central_oklahoma(rng: np.random.Generator) -> EarthModel:
    """A random 1-D model of central Oklahoma.

    Palaeozoic sediments of 0.8 to 1.9 km (so that events of 2 km and more lie in the crystalline crust) over a crust
    whose ranges follow the regional models used for the 2011-2018 sequences (e.g. Keranen et al. 2013, Geology;
    Rubinstein et al. 2018): 5.9-6.2 km/s, 6.4-6.7 km/s below 12 to 20 km, Moho near 40 km with 8.0 km/s.
    """
    vp_vs = rng.uniform(1.70, 1.75)
    sediment_vp_vs = rng.uniform(1.75, 1.90)
    sediments = rng.uniform(0.8, 1.9)
    first = rng.uniform(0.35, 0.65) * sediments
    vp_first = rng.uniform(3.4, 4.3)
    vp_second = rng.uniform(max(4.3, vp_first + 0.2), 5.2)
    vp_upper = rng.uniform(5.8, 6.0)
    vp_middle = vp_upper + rng.uniform(0.05, 0.25)
    vp_lower = rng.uniform(6.4, 6.7)
    conrad = rng.uniform(12.0, 20.0)
    # Boundaries at odd depths, away from the round depths at which tables are made
    middle = rng.uniform(7.0, 7.7)
    moho = rng.uniform(38.0, 42.0)
    q = rng.uniform(200.0, 600.0)
    return EarthModel.from_rows(
        [
            (first, vp_first, vp_first / sediment_vp_vs, 2.35, 0.4 * q, 0.2 * q),
            (sediments - first, vp_second, vp_second / sediment_vp_vs, 2.5, 0.6 * q, 0.35 * q),
            (middle - sediments, vp_upper, vp_upper / vp_vs, 2.70, 1.5 * q, q),
            (conrad - middle, vp_middle, vp_middle / vp_vs, 2.74, 1.8 * q, 1.2 * q),
            (moho - conrad, vp_lower, vp_lower / vp_vs, 2.90, 2.0 * q, 1.4 * q),
            (np.inf, rng.uniform(7.9, 8.15), 8.0 / 1.77, 3.30, 2.5 * q, 1.5 * q),
        ]
    )
