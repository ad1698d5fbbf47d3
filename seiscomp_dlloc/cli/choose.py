"""Which model to use where the user names none."""

from pathlib import Path
from typing import TYPE_CHECKING

from .. import models
from ..errors import InventoryError, ModelError

if TYPE_CHECKING:
    from obspy import Inventory

    from ..passport import Passport


def known_stations(passport: "Passport", inventory: "Inventory") -> int:
    """How many stations of a fixed network the inventory has where the passport has them."""
    from ..geometry import distance_azimuth

    places: dict[str, list[tuple[float, float]]] = {}
    for network in inventory:
        for station in network:
            places.setdefault(f"{network.code}.{station.code}", []).append((station.latitude, station.longitude))
    count = 0
    for station in passport.stations:
        for latitude, longitude in places.get(station.id, []):
            distance, _ = distance_azimuth(station.latitude, station.longitude, latitude, longitude)
            if float(distance) <= passport.station_tolerance_km:
                count += 1
                break
    return count


def suits(passport: "Passport", inventory: "Inventory") -> bool:
    """Whether the inventory has enough of the model's stations; a model for any network suits every inventory."""
    if passport.fixed_network:
        return known_stations(passport, inventory) >= passport.min_stations
    return sum(len(network.stations) for network in inventory) >= passport.min_stations


def choose_model(wanted: str | None, inventory: "Inventory", folder: Path = models.FOLDER) -> Path:
    """The file of the model: the one named, else the bundled one that suits the inventory.

    Where several suit, :data:`~seiscomp_dlloc.models.DEFAULT` is taken. Raises ModelError where the name is unknown
    or no bundled model suits, InventoryError where the inventory lacks the stations of the model that was named.
    """
    from ..model import read_passport

    if wanted is not None:
        path = models.resolve(wanted, folder)
        passport = read_passport(path)
        if not suits(passport, inventory):
            if not passport.fixed_network:
                raise InventoryError(
                    f"model {passport.name} needs {passport.min_stations} stations; the inventory has fewer"
                )
            raise InventoryError(
                f"model {passport.name} belongs to {len(passport.stations)} stations "
                f"({passport.stations[0].id} to {passport.stations[-1].id}) and needs {passport.min_stations} of them; "
                f"the inventory has {known_stations(passport, inventory)} within {passport.station_tolerance_km:g} km "
                "of where the model has them: give that network's inventory, or another model"
            )
        return path
    names = models.bundled(folder)
    suitable = {name: path for name, path in names.items() if suits(read_passport(path), inventory)}
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
