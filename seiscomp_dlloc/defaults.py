"""The earth that a model for any network is used with where the user names none.

A model of one network was made with an earth model of its region; one for any network has an earth for all of them.
Where a bundled model of one network knows the inventory's stations, its earth is the better one.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import models
from .network import inventory_stations, match_stations
from .passport import Passport

if TYPE_CHECKING:
    from obspy import Inventory


def known_stations(passport: Passport, inventory: "Inventory", times: Iterable[float]) -> int:
    """How many stations the model can use at the best of ``times`` (POSIX s).

    Of a fixed network, those that the inventory has where the passport has them; of any network, all.
    """
    counts = []
    for time in times:
        available = inventory_stations(inventory, time)
        if passport.fixed_network:
            usable, _ = match_stations(passport.stations, available, passport.station_tolerance_km)
            counts.append(int(usable.sum()))
        else:
            counts.append(len(available))
    return max(counts, default=0)


def regional_earth(
    networks: Iterable[Passport], inventory: "Inventory", times: Iterable[float]
) -> dict[str, Any] | None:
    """The layers of that of ``networks`` that knows most of the inventory's stations at ``times`` (POSIX s).

    A passport knows them where it could be used with them; of several that know as many the first one's is taken. None
    where none does. Pure.
    """
    when, best, most = tuple(times), None, 0
    for passport in networks:
        known = known_stations(passport, inventory, when)
        if known >= passport.min_stations and known > most:
            best, most = passport, known
    return None if best is None else _named(best)


def default_earth(passport: Passport, inventory: "Inventory", times: Iterable[float]) -> dict[str, Any] | None:
    """The earth model to use ``passport`` with where none is named; None for its own.

    For a model of any network :func:`regional_earth` of the bundled ones. Raises ModelError where one of their files
    cannot be read.
    """
    if passport.fixed_network:
        return None
    bundled = (_passport(path) for path in models.bundled().values())
    return regional_earth((known for known in bundled if known.fixed_network), inventory, times)


def _named(passport: Passport) -> dict[str, Any]:
    """The passport's earth model without its delays, under a name that says whose it is (no part of its hash).

    The delays were fitted to onsets as that model's own training saw them, the peaks of STA/LTA, which come after the
    first motion: other models see it, and are led astray by them (Oklahoma's epicentres by 0.2 to 0.6 km in the mean).
    """
    earth = passport.earth_model
    # The name of one of TauP's models is its content
    if earth["kind"] == "taup":
        return earth
    layers = {key: earth[key] for key in ("kind", "layers")}
    return {**layers, "name": f"the earth of {passport.name}, which knows these stations"}


@lru_cache(maxsize=32)
def _passport(path: Path) -> Passport:
    """Passport of a bundled model; the package's files do not change while it runs."""
    from .model import read_passport

    return read_passport(path)
