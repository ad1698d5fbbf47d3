"""Which model to use, and whether it can be."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import models
from ..errors import InventoryError

if TYPE_CHECKING:
    from obspy import Inventory

    from ..passport import Passport


def choose_model(wanted: str | None, inventory: "Inventory", times: Iterable[float]) -> Path:
    """The file of the model that is named, else of :data:`~seiscomp_dlloc.models.DEFAULT`.

    Raises ModelError where there is no such model, InventoryError where the inventory lacks the stations that it needs
    at ``times`` (POSIX s).
    """
    from ..defaults import known_stations
    from ..model import read_passport

    path = models.resolve(models.DEFAULT if wanted is None else wanted)
    passport = read_passport(path)
    found = known_stations(passport, inventory, times)
    if found < passport.min_stations:
        raise InventoryError(_too_few(passport, found))
    return path


def _too_few(passport: "Passport", found: int) -> str:
    if not passport.fixed_network:
        return (
            f"model {passport.name} needs {passport.min_stations} stations at the time of the events; the inventory "
            f"has {found}"
        )
    first, last = passport.stations[0].id, passport.stations[-1].id
    return (
        f"model {passport.name} belongs to {len(passport.stations)} stations ({first} to {last}) and needs "
        f"{passport.min_stations} of them; at the time of the events the inventory has {found} within "
        f"{passport.station_tolerance_km:g} km of where the model has them: give that network's inventory, or "
        "another model"
    )
