"""Characteristic functions of P and S onsets, from the plugin's own STA/LTA."""

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.firstbreak import LTA_S, STA_S, sta_lta
from seiscomp_dlloc.records import COMPONENTS, Conditioned

FloatArray = NDArray[np.float64]

_P_ROWS = (COMPONENTS.index("Z"),)
_S_ROWS = (COMPONENTS.index("N"), COMPONENTS.index("E"))


def energy_ratio(conditioned: Conditioned, phase: str, sta_s: float = STA_S, lta_s: float = LTA_S) -> FloatArray:
    """STA/LTA (station, sample) of the vertical for ``P``, of the horizontals' vector length for ``S``.

    The value of a sample is that of the short window which *begins* there, so that an impulsive onset peaks at its
    own time. NaN where the plugin's STA/LTA is not known.
    """
    rows = list(_P_ROWS if phase == "P" else _S_ROWS)
    data = np.sqrt(np.sum(np.square(conditioned.data[rows], dtype=np.float64), axis=0))
    valid = np.all(conditioned.valid[rows], axis=0)
    rate = conditioned.sampling_rate_hz
    ended = sta_lta(data, rate, sta_s, lta_s, valid)
    early = max(1, round(sta_s * rate)) - 1
    ratio = np.full(data.shape, np.nan)
    ratio[:, : data.shape[1] - early] = ended[:, early:]
    ratio[ratio <= 0] = np.nan
    return ratio


def log_ratios(conditioned: Conditioned) -> tuple[FloatArray, FloatArray]:
    """Natural logarithm of :func:`energy_ratio` for P and for S: what moveout is calibrated on."""
    return np.log(energy_ratio(conditioned, "P")), np.log(energy_ratio(conditioned, "S"))
