"""Which parameters a network returns, and what the plugin calls them."""

from collections.abc import Sequence
from dataclasses import dataclass

from seiscomp_dlloc.errors import SettingError

UNITS = {"x": "km", "y": "km", "depth": "km", "time": "s", "magnitude": "1"}
"""Parameters in the order of the paper's comparison, with the passport's units. Time is after the input's start."""

PARAMETERS = tuple(UNITS)


@dataclass(frozen=True)
class Outputs:
    """Parameters by group; each group has a network of its own. ``uncertainty``: whether sigmas are learnt."""

    groups: tuple[tuple[str, ...], ...] = (PARAMETERS,)
    uncertainty: bool = True

    def __post_init__(self) -> None:
        names = self.names
        if not names or not all(self.groups):
            raise SettingError(f"outputs: no parameter in {[list(group) for group in self.groups]}")
        if strangers := [name for name in names if name not in UNITS]:
            raise SettingError(f"outputs: {', '.join(strangers)} unknown; known are {', '.join(PARAMETERS)}")
        if len(set(names)) != len(names):
            raise SettingError(f"outputs: a parameter stands twice in {', '.join(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters, group by group."""
        return tuple(name for group in self.groups for name in group)


TWO_NETWORKS = Outputs((("x", "y"), ("depth", "magnitude", "time")))
"""Sugiyama et al. (2021): one network for longitude and latitude, one for depth, magnitude and origin time."""

ONE_NETWORK = Outputs()
"""All five parameters from one network, which the paper found to overfit with single images."""


def parameter_rows(names: Sequence[str]) -> list[dict[str, str | float]]:
    """The passport's ``head.parameters`` of a vector of means, then sigmas, in physical units."""
    means: list[dict[str, str | float]] = [
        {"name": name, "unit": UNITS[name], "scale": 1.0, "offset": 0.0} for name in names
    ]
    return means + [{**row, "name": f"sigma_{row['name']}"} for row in means]
