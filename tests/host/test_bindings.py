"""Bindings made with the host's own tools decide which stations the worker is told of."""

from pathlib import Path

import pytest
from oklahoma import OklahomaData
from scratchroot import ScratchRoot

from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.waveforms.recordstream import RecordstreamSource

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]


def test_a_station_whose_binding_says_so_is_left_out(
    host: ScratchRoot, shared_data: Path, tmp_path: Path, worker_venv: Path
) -> None:
    data = OklahomaData.read(shared_data)
    host.load_inventory(data.folder / "stations.xml")
    assert main(["install", "--seiscomp-root", str(host.root), "--venv", str(worker_venv)]) in (0, 1)

    keys = tmp_path / "key"
    (keys / "dlloc").mkdir(parents=True)
    (keys / "dlloc" / "profile_out").write_text("enable = false\n")
    (keys / "dlloc" / "profile_in").write_text("enable = true\n")
    for station, profile in (("S03", "dlloc:out"), ("S04", "dlloc:in"), ("S05", "dlloc"), ("S06", "scautopick")):
        (keys / f"station_XX_{station}").write_text(f"{profile}\n")
    host.run("bindings2cfg", "--key-dir", keys, "-o", tmp_path / "bindings.xml")
    host.run("scdb", "-i", tmp_path / "bindings.xml", "-d", host.database_uri)

    source = RecordstreamSource(str(host.root / "bin" / "dlloc-recordstream"))
    found = {station.code for network in read_inventory(source.inventory()) for station in network}
    source.close()
    assert found == {station.code for network in data.inventory for station in network} - {"S03"}
