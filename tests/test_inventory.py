"""Inventories from StationXML and SeisComP inventory XML."""

from pathlib import Path

import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

from seiscomp_dlloc.errors import InventoryError
from seiscomp_dlloc.formats.inventory import read_inventory

SCML = """<?xml version="1.0"?>
<seiscomp xmlns="{namespace}{version}" version="{version}"><Inventory>
<sensor publicID="Sensor/1" name="s" response="Paz/1"><unit>M/S</unit></sensor>
<network publicID="Network/1" code="XX"><start>2000-01-01T00:00:00Z</start>
<station publicID="Station/1" code="S01"><start>2000-01-01T00:00:00Z</start>
<latitude>35.5</latitude><longitude>-97.25</longitude><elevation>310</elevation>
<sensorLocation publicID="Loc/1" code="00"><start>2000-01-01T00:00:00Z</start>
<latitude>35.5</latitude><longitude>-97.25</longitude><elevation>310</elevation>
<stream code="HHZ" sensor="Sensor/1"><start>2000-01-01T00:00:00Z</start>
<sampleRateNumerator>100</sampleRateNumerator><sampleRateDenominator>1</sampleRateDenominator>
<depth>0</depth><azimuth>0</azimuth><dip>-90</dip><gain>1e9</gain><gainFrequency>1</gainFrequency>
<gainUnit>M/S</gainUnit></stream></sensorLocation></station></network></Inventory></seiscomp>"""


NAMESPACES = ("http://geofon.gfz-potsdam.de/ns/seiscomp3-schema/", "http://geofon.gfz.de/ns/seiscomp-schema/")


def station_xml(path: Path, stations: bool = True) -> Path:
    channel = Channel("HHZ", "00", 35.5, -97.25, 310.0, 0.0, 0.0, -90.0, sample_rate=100.0, response=Response())
    station = Station("S01", 35.5, -97.25, 310.0, channels=[channel])
    Inventory([Network("XX", [station] if stations else [])], "test").write(str(path), format="STATIONXML")
    return path


def test_stationxml_is_read(tmp_path: Path) -> None:
    inventory = read_inventory(station_xml(tmp_path / "inventory.xml"))
    assert isinstance(inventory, obspy.Inventory)
    assert inventory.get_contents()["channels"] == ["XX.S01.00.HHZ"]
    assert inventory[0][0].elevation == 310.0


@pytest.mark.parametrize("version", [f"0.{minor}" for minor in range(7, 15)])
def test_seiscomp_inventory_of_every_version_is_read(version: str, tmp_path: Path) -> None:
    namespace = NAMESPACES[version == "0.14"]
    path = tmp_path / "inventory.xml"
    path.write_text(SCML.format(namespace=namespace, version=version))
    inventory = read_inventory(path)
    assert inventory.get_contents()["channels"] == ["XX.S01.00.HHZ"]


@pytest.mark.parametrize("version", ["0.7", "0.14"])
def test_a_stream_without_a_sampling_rate_is_read(version: str, tmp_path: Path) -> None:
    text = SCML.format(namespace=NAMESPACES[version == "0.14"], version=version)
    rates = "<sampleRateNumerator>100</sampleRateNumerator><sampleRateDenominator>1</sampleRateDenominator>"
    assert rates in text
    path = tmp_path / "inventory.xml"
    path.write_text(text.replace(rates, ""))
    (channel,) = read_inventory(path)[0][0]
    assert (channel.code, channel.sample_rate) == ("HHZ", 0.0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("no xml", "no well-formed XML"),
        ('<!DOCTYPE a [<!ENTITY e "x">]><FDSNStationXML/>', "DOCTYPE"),
        ("<q:quakeml xmlns:q='http://quakeml.org/xmlns/quakeml/1.2'/>", "holds events"),
        ("<html/>", "root element is <html>"),
        ("<seiscomp version='0.15'/>", "versions 0.7 to 0.14"),
        ("<seiscomp version='0.14'><EventParameters/></seiscomp>", "without an <Inventory>"),
        ("<seiscomp version='0.14'><Inventory>", "damaged or incomplete"),
        ("<seiscomp xmlns='http://x/0.14' version='0.14'><Inventory/></seiscomp>", "cannot be read as SeisComP"),
        ("<FDSNStationXML xmlns='http://www.fdsn.org/xml/station/1'><Network/>", "damaged or incomplete"),
        ("<FDSNStationXML><Network/></FDSNStationXML>", "its namespace is ''"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_an_error_that_names_it(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.xml"
    path.write_text(content)
    with pytest.raises(InventoryError) as error:
        read_inventory(path)
    assert str(path) in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["NaN", "north", "", "91"])
def test_a_station_whose_place_is_none_is_named(text: str, tmp_path: Path) -> None:
    path = station_xml(tmp_path / "stations.xml")
    before = path.read_text()
    latitude = before[before.index("<Latitude") :].partition("</Latitude>")[0].partition(">")[2]
    path.write_text(before.replace(f">{latitude}</Latitude>", f">{text}</Latitude>", 1))
    with pytest.raises(InventoryError, match=rf"station \w+: Latitude '{text}' is no number from -90 to 90"):
        read_inventory(path)


def test_an_inventory_without_station_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="holds no station"):
        read_inventory(station_xml(tmp_path / "empty.xml", stations=False))


def test_a_missing_inventory_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="no such file"):
        read_inventory(tmp_path / "none.xml")
    with pytest.raises(InventoryError, match="is a folder"):
        read_inventory(tmp_path)


@pytest.mark.parametrize("given", ["", "<latitude>NaN</latitude>", "<latitude>91</latitude>"])
def test_a_station_without_a_place_in_seiscomps_inventory_is_named(given: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.xml"
    path.write_text(
        "<seiscomp xmlns='http://geofon.gfz-potsdam.de/ns/seiscomp3-schema/0.11' version='0.11'><Inventory><network "
        "publicID='N' code='XX'><start>2010-01-01T00:00:00Z</start><station publicID='S' code='ABC'><start>"
        f"2010-01-01T00:00:00Z</start>{given}</station></network></Inventory></seiscomp>"
    )
    with pytest.raises(InventoryError, match=r"station ABC: Latitude '\w*' is no number from -90 to 90"):
        read_inventory(path)
