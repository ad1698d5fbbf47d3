"""What files of JSON are asked again and again; errors name where and what."""

import math
from typing import Any

from ..errors import ModelError


def is_number(value: Any) -> bool:
    """Whether it is a finite number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_object(document: Any, names: tuple[str, ...], where: str) -> None:
    """Raises ModelError where ``document`` is no object of exactly these names."""
    if not isinstance(document, dict) or set(document) != set(names):
        raise ModelError(f"{where}: must be an object of {', '.join(names)}")


def require_station(name: str, where: str) -> None:
    """Raises ModelError where ``name`` is not NET.STA."""
    network, point, code = name.partition(".")
    if not (network and point and code) or "." in code:
        raise ModelError(f"{where}: is not of the form NET.STA")
