"""The host's half of ``locsat.py``: LOCSAT on picks, with the interpreter and the libraries of SeisComP.

    locsat_host.py IN.json OUT.json

IN: ``stations`` [[network, code, latitude, longitude, elevation m], ...], ``events`` [{"start": [latitude, longitude,
depth km, POSIX s], "picks": [[network, code, phase, POSIX s], ...]}, ...]. OUT: for each event [latitude, longitude,
depth km, POSIX s], or null where LOCSAT found nothing.
"""

import json
import sys

from seiscomp import client, config, core, datamodel, seismology


def main(source, target):
    """Read, locate, write."""
    with open(source) as file:
        given = json.load(file)
    client.Inventory.Instance().setInventory(inventory(given["stations"]))
    locator = seismology.LocatorInterface.Create("LOCSAT")
    locator.init(config.Config())
    locator.setProfile("iasp91")
    found = [located(locator, event) for event in given["events"]]
    with open(target, "w") as file:
        json.dump(found, file)


def time_of(seconds):
    return core.Time(1970, 1, 1, 0, 0, 0) + core.TimeSpan(float(seconds))


def inventory(stations):
    made, began = datamodel.Inventory(), core.Time(1970, 1, 1, 0, 0, 0)
    networks = {}
    for network, code, latitude, longitude, elevation in stations:
        if network not in networks:
            networks[network] = datamodel.Network.Create("Network/" + network)
            networks[network].setCode(network)
            networks[network].setStart(began)
            made.add(networks[network])
        station = datamodel.Station.Create(f"Station/{network}/{code}")
        place = datamodel.SensorLocation.Create(f"SensorLocation/{network}/{code}")
        for item in (station, place):
            item.setCode(code if item is station else "")
            item.setStart(began)
            item.setLatitude(latitude)
            item.setLongitude(longitude)
            item.setElevation(elevation)
        station.add(place)
        networks[network].add(station)
    return made


def located(locator, event):
    latitude, longitude, depth, time = event["start"]
    origin, held = datamodel.Origin.Create(), []
    origin.setLatitude(datamodel.RealQuantity(latitude))
    origin.setLongitude(datamodel.RealQuantity(longitude))
    origin.setDepth(datamodel.RealQuantity(depth))
    origin.setTime(datamodel.TimeQuantity(time_of(time)))
    for network, code, phase, seconds in event["picks"]:
        pick, arrival = datamodel.Pick.Create(), datamodel.Arrival()
        pick.setTime(datamodel.TimeQuantity(time_of(seconds)))
        pick.setWaveformID(datamodel.WaveformStreamID(network, code, "", "HHZ", ""))
        pick.setPhaseHint(datamodel.Phase(phase))
        held.append(pick)  # the locator finds picks by name among those that live
        arrival.setPickID(pick.publicID())
        arrival.setPhase(datamodel.Phase(phase))
        arrival.setWeight(1.0 if phase == "P" else 0.5)
        arrival.setTimeUsed(True)
        origin.add(arrival)
    try:
        found = locator.relocate(origin)
    except Exception:  # whatever class the wrapper gives a location that failed
        return None
    if found is None:
        return None
    seconds = (found.time().value() - core.Time(1970, 1, 1, 0, 0, 0)).toDouble()
    return [found.latitude().value(), found.longitude().value(), found.depth().value(), seconds]


main(*sys.argv[1:])
