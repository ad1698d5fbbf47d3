"""Experiments that cannot be: said in one line that names file and entry, before anything is made."""

import re
from pathlib import Path

import pytest
from dlloc_training.__main__ import main

from .test_experiment_synthesis import SMALL

STATIONXML = """<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>x</Source>
<Created>2020-01-01T00:00:00Z</Created><Network code="XX"><Station code="A">{}</Station></Network></FDSNStationXML>"""
SCML = """<seiscomp xmlns="http://geofon.gfz-potsdam.de/ns/seiscomp3-schema/0.11" version="0.11"><Inventory>
<network publicID="N/XX" code="XX"><start>2010-01-01T00:00:00Z</start><station publicID="S/A" code="A">
<start>2010-01-01T00:00:00Z</start>{}</station></network></Inventory></seiscomp>"""
INVENTORY = re.compile(r"stations = \[.*?\n\]", re.DOTALL)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("top_km = 0.0", "top_km = -1.0", "region.top_km -1 lies above the surface of the earth model at -0.6 km"),
        ("bottom_km = 6.0", "bottom_km = inf", "region.bottom_km: inf is no number"),
        ("[2.0, 4.0, 2.3,", "[2.0, 4.0, 4.3,", "earth.layers: earth model: layer 1 has vp/vs"),
        ("[2.0, 4.0, 2.3,", "[2.0, nan, 2.3,", "earth.layers: layer 1: entry 2: nan is no number"),
        ("latitude = 35.20, ", "", "network.stations: XX.A: latitude is missing; give it"),
        ("latitude = 35.20", "latitude = nan", "network.stations: XX.A: latitude: nan is no number"),
        ("latitude = 35.20", "latitude = 0.0", "network: XX.A lies more than 400 km from the region"),
        (INVENTORY, STATIONXML, "network.inventory: {}: station A: Latitude '' is no number from -90 to 90"),
        (INVENTORY, SCML, "network.inventory: {}: station A: Latitude '' is no number from -90 to 90"),
        (INVENTORY, "", "network.inventory: {}: no such file"),
        ("[region]", "highest = 3\n[region]", "earth.highest: there is no such setting; known are layers, file,"),
        ("before_s = 2.0", "before_s = 2.0\nhighest_hz = 6.0", "records.highest_hz 6 is above half the sampling rate"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_anything_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old: "str | re.Pattern[str]", new: str, said: str
) -> None:
    file = tmp_path / "small.toml"
    if isinstance(old, str):
        assert old in SMALL
        file.write_text(SMALL.replace(old, new, 1))
    else:
        inventory = tmp_path / "stations.xml"
        if new:
            inventory.write_text(new.format("<Site><Name>a</Name></Site>" if new == STATIONXML else ""))
        file.write_text(old.sub('inventory = "stations.xml"', SMALL, count=1))
        said = said.format(inventory)
    assert main(["synthesize", str(file), "-o", str(tmp_path / "run")]) == 2
    line, *more = capfd.readouterr().err.splitlines()
    assert not more
    assert line.startswith(f"synthesize: {file}: {said}")
    assert not list(tmp_path.glob("run/*"))
