"""Our origins against those of other locators: which belong together, and how far apart they are.

Pure: origins in, figures out.
"""

from .distance import ABSTAINED, Pair, Residual, Stations, in_sigma, measure, with_residuals
from .figures import EXPECTED, ORDERS, Statistics, statistics, worst_first
from .pairing import DISTANCE_TOLERANCE_KM, TIME_TOLERANCE_S, Comparison, compare, is_ours

__all__ = [
    "ABSTAINED", "DISTANCE_TOLERANCE_KM", "EXPECTED", "ORDERS", "TIME_TOLERANCE_S", "Comparison", "Pair", "Residual",
    "Stations", "Statistics", "compare", "in_sigma", "is_ours", "measure", "statistics", "with_residuals",
    "worst_first",
]  # fmt: skip
