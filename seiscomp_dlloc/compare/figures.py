"""Pairs in figures: the worst of them, and medians and shares of all."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .distance import FloatArray, Pair
from .pairing import Comparison

EXPECTED = {68: (1.5096, 1.8724), 95: (2.4477, 2.7955)}
"""Percent -> distance in sigma of 2 and of 3 dimensions below which that share of normal errors lies."""


@dataclass(frozen=True)
class Statistics:
    """Figures of the pairs of one locator; NaN where there is nothing to count.

    ``inside``: percent -> share of pairs whose distance in sigma is below what normal errors give (2-D, 3-D).
    """

    locator: str
    count: int
    epicentral_km: tuple[float, float, float]
    depth_km: tuple[float, float]
    time_s: tuple[float, float]
    magnitude: tuple[float, float]
    sigma2: float
    sigma3: float
    inside: dict[int, tuple[float, float]] = field(default_factory=dict)
    rms_theirs_s: float = math.nan
    rms_ours_s: float = math.nan


ORDERS: dict[str, Callable[[Pair], float]] = {
    "km": lambda pair: pair.hypocentral_km,
    "sigma": lambda pair: pair.sigma3 if math.isfinite(pair.sigma3) else pair.sigma2,
    "depth": lambda pair: abs(pair.down_km),
    "time": lambda pair: abs(pair.later_s),
    "magnitude": lambda pair: abs(pair.larger),
}
"""Name -> by what the worst are found."""


def worst_first(pairs: Iterable[Pair], order: str = "km") -> tuple[Pair, ...]:
    """Pairs by one of :data:`ORDERS`, the largest first, the unknown last."""
    key = ORDERS[order]
    return tuple(sorted(pairs, key=lambda p: (not math.isfinite(key(p)), -key(p) if math.isfinite(key(p)) else 0.0)))


def statistics(comparison: Comparison) -> tuple[Statistics, ...]:
    """Figures for each locator: medians, shares and, of epicentral distances, the 68th and 95th percentile."""
    return tuple(
        _statistics(locator, [p for p in comparison.pairs if p.locator == locator]) for locator in comparison.locators
    )


def _statistics(locator: str, pairs: Sequence[Pair]) -> Statistics:
    def known(name: str) -> FloatArray:
        values = np.array([getattr(pair, name) for pair in pairs], float)
        return np.asarray(values[np.isfinite(values)])

    def middle(values: FloatArray) -> tuple[float, float]:
        """Median and 1.4826 times the median absolute deviation."""
        if not values.size:
            return math.nan, math.nan
        centre = float(np.median(values))
        return centre, 1.4826 * float(np.median(np.abs(values - centre)))

    def typical(side: str) -> float:
        values = np.array([pair.rms_s(side) for pair in pairs])
        return middle(values[np.isfinite(values)])[0]

    flat, full = known("sigma2"), known("sigma3")
    p50, p68, p95 = (float(v) for v in np.percentile(known("epicentral_km"), [50, 68, 95]))
    inside = {
        percent: tuple(
            float(np.mean(values <= limit)) if values.size else math.nan
            for values, limit in zip((flat, full), limits, strict=True)
        )
        for percent, limits in EXPECTED.items()
    }
    return Statistics(
        locator, len(pairs), (p50, p68, p95), middle(known("down_km")), middle(known("later_s")),
        middle(known("larger")), middle(flat)[0], middle(full)[0],
        {percent: (shares[0], shares[1]) for percent, shares in inside.items()},
        typical("theirs_shifted"), typical("ours_shifted"),
    )  # fmt: skip
