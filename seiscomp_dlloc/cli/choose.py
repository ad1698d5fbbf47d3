"""Which model to use where the user names none."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import models
from ..errors import InventoryError, ModelError

if TYPE_CHECKING:
    from obspy import Inventory

    from ..passport import Passport


def known_stations(passport: "Passport", inventory: "Inventory", times: Iterable[float]) -> int:
    """How many stations the model can use at the best of ``times`` (POSIX s).

    Of a fixed network, those that the inventory has where the passport has them; of any network, all.
    """
    from ..network import inventory_stations, match_stations

    counts = []
    for time in times:
        available = inventory_stations(inventory, time)
        if passport.fixed_network:
            usable, _ = match_stations(passport.stations, available, passport.station_tolerance_km)
            counts.append(int(usable.sum()))
        else:
            counts.append(len(available))
    return max(counts, default=0)


def choose_model(wanted: str | None, inventory: "Inventory", times: Iterable[float]) -> Path:
    """The file of the model: the one named, else the bundled one that suits the inventory at ``times`` (POSIX s).

    Models of one network go before those of any, among which :data:`~seiscomp_dlloc.models.ANY` is taken; where several
    of one network suit, :data:`~seiscomp_dlloc.models.DEFAULT` is. Raises ModelError where the name is unknown
    or no bundled model suits, InventoryError where the inventory lacks the stations of the model that was named.
    """
    from ..model import read_passport

    when = tuple(times)
    if wanted is not None:
        path = models.resolve(wanted)
        passport = read_passport(path)
        found = known_stations(passport, inventory, when)
        if found < passport.min_stations:
            raise InventoryError(_too_few(passport, found))
        return path
    names = models.bundled()
    suitable: dict[str, Path] = {}
    for name, path in names.items():
        passport = read_passport(path)
        if (passport.fixed_network or name == models.ANY) and (
            known_stations(passport, inventory, when) >= passport.min_stations
        ):
            suitable[name] = path
    if len(suitable) > 1:
        suitable.pop(models.ANY, None)
    if len(suitable) == 1:
        return next(iter(suitable.values()))
    if models.DEFAULT in suitable:
        return suitable[models.DEFAULT]
    if suitable:
        raise ModelError(f"several bundled models suit this inventory: choose one with --model {' | '.join(suitable)}")
    raise ModelError(
        f"no bundled model is for the stations of this inventory (bundled: {', '.join(names) or 'none'}): "
        "give a model with --model FILE, or train one with dlloc_training"
    )


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
