"""How far our solution lies from the conventional origin, in km and in its own standard deviations."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .chain import EARTH_KM_PER_DEGREE, distance_km
from .rules import Facts


def distance(solution: Optional[Dict[str, Any]], facts: Facts) -> Optional[Tuple[float, Optional[float]]]:
    """(km, sigma) between a solution of the worker and the origin that it answers; None where there is no place.

    km are horizontal, as an operator reads a map. sigma is the Mahalanobis distance with the solution's covariance,
    in depth, too, where both have one; None where the covariance is missing or not positive definite.
    """
    if not solution or solution.get("latitude") is None or solution.get("longitude") is None:
        return None
    latitude, longitude = float(solution["latitude"]), float(solution["longitude"])
    kilometres = distance_km(facts.latitude, facts.longitude, latitude, longitude)
    north = (latitude - facts.latitude) * EARTH_KM_PER_DEGREE
    turn = (longitude - facts.longitude + 180.0) % 360.0 - 180.0
    east = turn * EARTH_KM_PER_DEGREE * math.cos(math.radians((latitude + facts.latitude) / 2))
    step = [east, north]
    if facts.depth_km is not None and solution.get("depth_km") is not None:
        step.append(float(solution["depth_km"]) - facts.depth_km)
    covariance = solution.get("covariance_km2")
    return kilometres, _mahalanobis(step, covariance) if covariance else None


def _mahalanobis(step: Sequence[float], covariance: Sequence[Sequence[Optional[float]]]) -> Optional[float]:
    """Root of step . covariance^-1 . step by Cholesky's factors; the leading block where ``step`` is shorter."""
    size = len(step)
    factor: List[List[float]] = []
    solved: List[float] = []
    try:
        for i in range(size):
            row: List[float] = []
            for j in range(i + 1):
                value = covariance[i][j]
                if value is None:
                    # The depth may be without uncertainty: the map is then what can be judged
                    return _mahalanobis(step[:2], covariance) if i == 2 else None
                rest = value - sum(a * b for a, b in zip(row, row if i == j else factor[j]))
                row.append(math.sqrt(rest) if i == j else rest / factor[j][j])
            factor.append(row)
            solved.append((step[i] - sum(a * b for a, b in zip(row, solved))) / row[i])
    except (ValueError, ZeroDivisionError, IndexError, TypeError):
        return None
    return math.sqrt(sum(value * value for value in solved))
