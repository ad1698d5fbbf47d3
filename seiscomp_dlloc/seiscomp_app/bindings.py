"""Bindings: which stations of the host's inventory the locator may use."""

from typing import Any, Set, Tuple

from seiscomp import client, datamodel

Station = Tuple[str, str]

_FALSE = ("false", "no", "off", "0")


def excluded_stations(query: Any, config_module: str, name: str = "dlloc") -> Set[Station]:
    """(network, station) whose binding of the module ``name`` says ``enable = false``, or that are disabled.

    ``query``: the database. A station without such a binding is used: what it could be needed for is told by the
    model, and a network of hundreds of stations should not have to be bound one by one.
    """
    store = client.ConfigDB.Instance()
    store.load(query)
    found: Set[Station] = set()
    config = store.config()
    for module in (config.configModule(i) for i in range(config.configModuleCount())):
        if module.name() != config_module:
            continue
        for station in (module.configStation(i) for i in range(module.configStationCount())):
            setup = datamodel.findSetup(station, name, False)
            if setup is not None and not (station.enabled() and setup.enabled() and _enabled(setup)):
                found.add((station.networkCode(), station.stationCode()))
    return found


def _enabled(setup: Any) -> bool:
    parameters = datamodel.ParameterSet.Find(setup.parameterSetID())
    if parameters is None:
        return True
    values = [parameters.parameter(i) for i in range(parameters.parameterCount())]
    return not any(value.name() == "enable" and value.value().strip().lower() in _FALSE for value in values)


def leave_out(inventory: Any, stations: Set[Station]) -> int:
    """Take ``stations`` out of an inventory, all their epochs; how many epochs that were."""
    removed = 0
    for network in (inventory.network(i) for i in range(inventory.networkCount())):
        for index in reversed(range(network.stationCount())):
            if (network.code(), network.station(index).code()) in stations:
                network.removeStation(index)
                removed += 1
    return removed
