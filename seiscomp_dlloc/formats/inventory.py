"""Inventories: StationXML, or SeisComP inventory XML (0.7 to 0.14)."""

import io
import warnings
from pathlib import Path
from typing import IO

import obspy
from lxml import etree

from ..errors import InventoryError
from .xmlinput import iterate, open_input, read_root, scml_version

_STATIONXML = "http://www.fdsn.org/xml/station/1"
_LIMITS = {"Latitude": 90.0, "Longitude": 180.0, "Elevation": 1e4}
_EVENT_ROOTS = ("quakeml", "eventParameters", "EventParameters")


def read_inventory(path: str | Path | bytes) -> obspy.Inventory:
    """Inventory of one file (not a folder) of StationXML or SeisComP inventory XML, or of its content as bytes.

    Raises :class:`~seiscomp_dlloc.errors.InventoryError` naming the file: it cannot be opened, is no XML, has a
    document type declaration (entities), is of another kind or version, or holds no station.
    """
    stream, name = open_input(path, InventoryError)
    with stream:
        root = read_root(stream, name, InventoryError)
        if root.name == "FDSNStationXML":
            kind = "STATIONXML"
            if root.namespace != _STATIONXML:
                raise InventoryError(
                    f"{name}: its namespace is '{root.namespace}'; that of StationXML is {_STATIONXML}"
                )
            _check_places(stream, name)
        elif root.name in ("seiscomp", "seiscomp3"):
            kind = "SCML"
            scml_version(root, name, InventoryError)
            element = next(iterate(stream, name, InventoryError, ("Inventory",)), None)
            if element is None:
                raise InventoryError(f"{name}: is SCML without an <Inventory>; export it with scxmldump -I")
            stream.seek(0)
            for station in element.iter("{*}station"):
                _check_place(station, name)
            if _fill_rates(element):
                stream = io.BytesIO(etree.tostring(element.getroottree()))
        elif root.name in _EVENT_ROOTS:
            raise InventoryError(f"{name}: holds events, not stations; give StationXML or SeisComP inventory XML")
        else:
            raise InventoryError(
                f"{name}: its root element is <{root.name}>; give StationXML (<FDSNStationXML>) "
                "or SeisComP inventory XML (<seiscomp>)"
            )
        try:
            with warnings.catch_warnings():
                # ObsPy warns of each odd response stage; what matters of them comes out where they are used
                warnings.simplefilter("ignore")
                inventory = obspy.read_inventory(stream, format=kind)
        except Exception as error:  # ObsPy raises whatever its converters do: KeyError, TypeError, lxml's own ...
            raise InventoryError(f"{name}: cannot be read as {_LABEL[kind]} ({_text(error)})") from error
    if not any(network.stations for network in inventory.networks):
        raise InventoryError(f"{name}: holds no station")
    return inventory


def _fill_rates(inventory: etree._Element) -> bool:
    """Give streams without a sampling rate that of 0; whether there were any.

    SeisComP's converter leaves it out where StationXML has none; ObsPy ends with a TypeError there.
    """
    filled = False
    for stream in inventory.iter("{*}stream"):
        namespace = etree.QName(stream).namespace
        for tag, text in (("sampleRateNumerator", "0"), ("sampleRateDenominator", "1")):
            name = etree.QName(namespace, tag)
            if stream.find(name) is None:
                etree.SubElement(stream, name).text = text
                filled = True
    return filled


def _check_places(stream: IO[bytes], name: str) -> None:
    """Name the station whose coordinates are none; ObsPy's own error does not say which. Rewinds ``stream``."""
    for station in iterate(stream, name, InventoryError, ("Station",)):
        _check_place(station, name)
    stream.seek(0)


def _check_place(station: etree._Element, name: str) -> None:
    """Raise InventoryError where a station of either format has no coordinates."""
    scml = etree.QName(station).localname == "station"
    for tag, limit in _LIMITS.items():
        text = (station.findtext(f"{{*}}{tag.lower() if scml else tag}") or "").strip()
        try:
            good = abs(float(text)) <= limit  # False for NaN too
        except ValueError:
            good = False
        if not good:
            raise InventoryError(
                f"{name}: station {station.get('code')}: {tag} '{text}' is no number from {-limit:g} to {limit:g}"
            )


_LABEL = {"STATIONXML": "StationXML", "SCML": "SeisComP inventory XML"}


def _text(error: Exception) -> str:
    """One line of an exception."""
    line = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
