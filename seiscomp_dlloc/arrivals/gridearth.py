"""A 3-D earth as the locator takes it: time grids of stations, what identifies them, and a 1-D earth beside them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import ModelError
from ..passport import check_earth_model
from ..records import Dropped, Station
from ..traveltimes import from_passport, hash_of, name_of
from .grids import GridArrivals, TimeGrid
from .radial import RadialArrivals

KIND = "nonlinloc"
"""What the document of such an earth has for its kind, where a passport's has ``layers`` or ``taup``."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class GridEarth:
    """Grids by the name of their folder, and ``sha256``, which tells them from others of that name.

    ``beside``: a 1-D earth model, as a passport's, from which stations without grids take their times; None where they
    are left out.
    """

    name: str
    sha256: str
    grids: tuple[TimeGrid, ...]
    beside: dict[str, Any] | None = None

    @cached_property
    def document(self) -> dict[str, Any]:
        """What is kept of it in place of a 1-D earth model's document: all but the grids."""
        return {"kind": KIND, "name": self.name, "sha256": self.sha256, "beside": self.beside}

    @cached_property
    def arrivals(self) -> GridArrivals:
        """The grids' travel times. Raises ModelError for two grids of one station and phase."""
        beside = None if self.beside is None else RadialArrivals(from_passport(self.beside))
        return GridArrivals(self.grids, beside, continued=True)

    def served(self, stations: Sequence[Station]) -> tuple[tuple[Station, ...], tuple[Dropped, ...], tuple[str, ...]]:
        """The stations that there are times for, those that there are not, and what is to be noted."""
        if self.beside is not None:
            without = [station.id for station in stations if self.arrivals.missing(station)]
            stand_in = f"no time grid of {', '.join(without)}: {name_of(self.beside)} stands in" if without else ""
            return tuple(stations), (), (stand_in,) if stand_in else ()
        lost = {station.id: missing for station in stations if (missing := self.arrivals.missing(station))}
        reasons = (Dropped(name, f"no time grid of {' and '.join(lost[name])} in {self.name}") for name in sorted(lost))
        return tuple(station for station in stations if station.id not in lost), tuple(reasons), ()

    def told(self, layered: dict[str, Any]) -> str:
        """A sentence for every answer: which times it rests on, and which of its figures on a 1-D earth."""
        return (
            f"travel times: time grids of {self.name} (content {hash_of(self.document)}); residuals of the trigger's "
            f"picks, and the windows of magnitudes and checks: the 1-D earth model {name_of(layered)}"
        )


def check_document(document: Any, where: str) -> dict[str, Any]:
    """``document`` once it is a :attr:`GridEarth.document`. Raises ModelError naming ``where`` and what is wrong."""
    if not isinstance(document, dict) or set(document) != {"kind", "name", "sha256", "beside"}:
        raise ModelError(f"{where}: of kind {KIND}, must be an object of kind, name, sha256 and beside")
    if not isinstance(document["name"], str) or not document["name"]:
        raise ModelError(f"{where}: name must be that of the grids' folder")
    if not isinstance(document["sha256"], str) or not _SHA256.fullmatch(document["sha256"]):
        raise ModelError(f"{where}: sha256 must be 64 hexadecimal digits")
    if document["beside"] is not None:
        check_earth_model(document["beside"], f"{where}: beside")
    return document
