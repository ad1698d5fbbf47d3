"""Counts to ground velocity: by the overall sensitivity or by the full response."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

FloatArray = NDArray[np.float64]

WATER_LEVEL_DB = 60.0


def integrate(
    acceleration: FloatArray, valid: NDArray[np.bool_], rate_hz: float, high_pass_hz: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Velocity (n,) from acceleration (n,) and where it can be trusted.

    A causal Butterworth high-pass of two poles at ``high_pass_hz`` keeps offset and drift out of the trapezoidal sum,
    whose error is below 1 % up to a tenth of ``rate_hz``; its settling time, one period of ``high_pass_hz`` after
    each gap, is not valid.
    """
    if not valid.any():
        return np.zeros_like(acceleration), valid
    x = np.where(valid, acceleration - acceleration[valid].mean(), 0.0)
    x = signal.sosfilt(signal.butter(2, high_pass_hz, "highpass", output="sos", fs=rate_hz), x)
    velocity = np.zeros_like(x)
    np.cumsum((x[1:] + x[:-1]) * (0.5 / rate_hz), out=velocity[1:])
    settle = round(rate_hz / high_pass_hz)
    missing = np.concatenate([np.ones(settle, np.int64), ~valid])
    count = np.cumsum(missing)
    settled = valid & (count[settle:] - count[: x.size] + missing[: x.size] == 0)
    return velocity * settled, settled


def deconvolve(
    counts: FloatArray, valid: NDArray[np.bool_], rate_hz: float, response: Any, band_hz: tuple[float, float]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Velocity (n,) in m/s by spectral division with the full response, and where it can be trusted.

    ObsPy's ``remove_response`` with a water level of 60 dB and a pre-filter flat from 0.5 times the lower to 1.5
    times the upper frequency of ``band_hz``, zero at half of and 1.33 times that. One period of the lower
    pre-filter corner at each side of a gap and at the record's ends is not valid: there the tapers work and the
    division rings. Raises ValueError where the response cannot be evaluated.
    """
    from obspy import Trace

    low = band_hz[0] / 2.0
    top = 0.5 * rate_hz
    high = min(1.5 * band_hz[1], 0.8 * top)
    x = np.where(valid, counts - counts[valid].mean(), 0.0)
    guard = round(rate_hz / low)
    trace = Trace(x.copy(), header={"sampling_rate": rate_hz})
    trace.stats.response = response
    try:
        trace.remove_response(
            output="VEL",
            water_level=WATER_LEVEL_DB,
            pre_filt=(low / 2.0, low, high, min(high / 0.75, 0.98 * top)),
            zero_mean=False,
            taper=True,
            taper_fraction=min(0.5, guard / x.size),
        )
    except Exception as error:  # ObsPy raises bare exceptions of many kinds, evalresp's own among them
        raise ValueError(f"the response cannot be evaluated: {error}") from error
    missing = np.concatenate([np.ones(guard, np.int64), ~valid, np.ones(guard, np.int64)])
    count = np.concatenate([[0], np.cumsum(missing)])
    settled = count[2 * guard + 1 :] == count[: x.size]
    velocity = np.asarray(trace.data, np.float64)
    if not np.isfinite(velocity).all():
        raise ValueError("the response cannot be evaluated: it gives values that are not finite")
    return velocity * settled, settled
