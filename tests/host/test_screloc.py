"""screloc relocates with the external locator, and finds what ``dlloc locate`` finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree
from oklahoma import OklahomaData, write_document, write_sds
from scratchroot import ScratchRoot

from seiscomp_dlloc.geometry import distance_azimuth

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def worker_config(host: ScratchRoot, tmp_path: Path, shared_data: Path):
    """Settings of a worker on the recorded events, and screloc told of the locator."""
    config = tmp_path / "dlloc.cfg"
    config.write_text(
        f"profiles = oklahoma\nprofile.oklahoma.model = oklahoma-fcn-slim\n"
        f"profile.oklahoma.waveforms = sds://{tmp_path / 'sds'}\n"
        f"profile.oklahoma.inventory = {shared_data / 'oklahoma' / 'stations.xml'}\n"
        f"worker.socket = {tmp_path / 'w.sock'}\nworker.logFile = {tmp_path / 'worker.log'}\n"
        f"locator.logFile = {tmp_path / 'locext.log'}\nlocator.deadline = 60\n"
    )
    command = f"env PYTHONPATH={REPOSITORY} {sys.executable} -m seiscomp_dlloc.locext --config {config}"
    host.write_config(
        "screloc", "plugins = ${plugins}, locext", f'ExternalLocator.profiles = oklahoma:"{command} --profile oklahoma"'
    )
    yield config
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    stop = [sys.executable, "-m", "seiscomp_dlloc", "worker", "stop", "--config", str(config)]
    subprocess.run(stop, env=environment, capture_output=True)


def hypocentres(document: bytes, method: str) -> dict[str, tuple[float, float, float]]:
    """publicID of the first pick of each origin of ``method`` -> latitude, longitude, depth (km)."""
    root = etree.fromstring(document)
    namespace = {"s": etree.QName(root).namespace}
    found = {}
    for origin in root.iterfind(".//s:origin", namespace):
        if origin.findtext("s:methodID", namespaces=namespace) != method:
            continue
        place = tuple(
            float(origin.findtext(f"s:{name}/s:value", namespaces=namespace))
            for name in ("latitude", "longitude", "depth")
        )
        found[min(pick.text for pick in origin.iterfind("s:arrival/s:pickID", namespace))] = place
    return found


def test_screloc_finds_the_hypocentres_of_dlloc_locate(host, worker_config, shared_data, tmp_path):
    data = OklahomaData.read(shared_data)
    names = data.test_names
    write_sds(data, names, tmp_path / "sds")
    write_document(data, names, tmp_path / "events.scml")
    stations = data.folder / "stations.xml"
    host.load_inventory(stations)
    relocated = host.run(
        "screloc", "--ep", tmp_path / "events.scml", "--locator", "External", "--profile", "oklahoma",
        "-d", host.database_uri, timeout=600,
    )  # fmt: skip
    found = hypocentres(relocated, "External:DLLOC")
    located = subprocess.run(
        [sys.executable, "-m", "seiscomp_dlloc", "locate", "--events", tmp_path / "events.scml",
         "--waveforms", f"sds://{tmp_path / 'sds'}", "--inventory", stations, "-o", tmp_path / "located.scml",
         "--model", "oklahoma-fcn-slim", "--format", "scml", "--json"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, timeout=600,
    )  # fmt: skip
    assert located.returncode in (0, 1), located.stderr.decode()
    assert len(located.stdout.splitlines()) == len([json.loads(line) for line in located.stdout.splitlines()]) == 50
    expected = hypocentres((tmp_path / "located.scml").read_bytes(), "DLLOC")
    assert len(expected) == 50
    assert set(found) == set(expected)
    for pick, (latitude, longitude, depth) in expected.items():
        distance_km, _ = distance_azimuth(latitude, longitude, *found[pick][:2])
        assert float(distance_km) < 1e-3, pick
        assert abs(found[pick][2] - depth) < 1e-3, pick
