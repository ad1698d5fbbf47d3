"""What an operator does, in order: install, check, start, an event, ours beside the conventional origin, scolv.

With DLLOC_PICTURES=FOLDER the screenshots are left there; the documentation's is made that way.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from oklahoma import OklahomaData, write_document, write_sds
from scratchroot import ScratchRoot, wait_until
from screen import Screen

from seiscomp_dlloc.cli.main import main

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]


@pytest.fixture
def operator(host: ScratchRoot, shared_data: Path, tmp_path: Path, worker_venv: Path) -> Iterator[ScratchRoot]:
    """A SeisComP with inventory, waveforms and one event, and the plugin installed as the manual says."""
    data = OklahomaData.read(shared_data)
    write_sds(data, data.test_names[:1], tmp_path / "sds")
    write_document(data, data.test_names[:1], tmp_path / "event.xml")
    without_event(tmp_path / "event.xml")
    host.load_inventory(data.folder / "stations.xml")
    with (host.root / "etc" / "global.cfg").open("a") as settings:
        settings.write(f"recordstream = sdsarchive://{tmp_path / 'sds'}\n")
    host.write_config("dlloc", "bundle.keep = true", "trigger.maxAge = 0")
    options = ["--venv", str(worker_venv), "--scolv", "--screloc"]
    # The check may find fault with the inventory: its epochs are those of a network of 2016
    assert main(["install", "--seiscomp-root", str(host.root), *options]) in (0, 1)
    yield host
    host.control("stop", "dlloc", check=False)
    host.run(host.root / "bin" / "dlloc", "worker", "stop", check=False)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("DLLOC_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def without_event(path: Path) -> None:
    """Leave the making of events to scevent."""
    tree = etree.parse(path)
    for event in tree.getroot().findall(".//{*}event"):
        event.getparent().remove(event)
    tree.write(path, xml_declaration=True, encoding="UTF-8")


def final_origin(host: ScratchRoot) -> str:
    rows = host.query("SELECT publicID FROM PublicObject WHERE publicID LIKE 'Origin/dlloc/%/final'")
    return str(rows[0][0]) if rows else ""


@pytest.fixture
def scolv(operator: ScratchRoot, tmp_path: Path) -> Iterator[Screen]:
    """scolv on a screen of its own, as it runs on an analyst's desk all day; its viewer of pictures keeps a list."""
    with Screen(1600, 1100) as screen:
        viewers = tmp_path / "viewers"
        viewers.mkdir()
        (viewers / "xdg-open").write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
        (viewers / "xdg-open").chmod(0o755)
        environment = {**operator.environment, "DISPLAY": screen.display, "QT_QPA_PLATFORM": "xcb"}
        environment["PATH"] = f"{viewers}:{environment['PATH']}"
        operator.start_master()
        with (operator.root / "var" / "log" / "scolv.out").open("wb") as log:
            process = subprocess.Popen(["scolv", "--load-event-db", "10000"], env=environment, stdout=log, stderr=log)
        try:
            window = screen.wait_for("scolv@")
            time.sleep(4)
            screen.do("windowmove", window, "0", "0")
            screen.do("windowsize", window, "1590", "1060")
            time.sleep(2)
            yield screen
        finally:
            process.terminate()
            process.wait(20)


def test_from_the_installation_to_scolv(
    operator: ScratchRoot, scolv: Screen, tmp_path: Path, pictures: Path, shared_data: Path
) -> None:
    host, program = operator, operator.root / "bin" / "dlloc"
    said = host.run(program, "doctor", "--time", "2016-06-01").decode()
    assert "no fault" in said
    assert "the host's inventory" in said
    host.start("scevent", "scevent")
    host.control("enable", "dlloc")
    host.control("start", "dlloc")
    wait_until(lambda: "is running" in host.control("status", "dlloc"), 60, 1.0)
    host.dispatch(tmp_path / "event.xml")
    ours = str(wait_until(lambda: final_origin(host), 120))
    (preferred,) = wait_until(lambda: list(host.preferred().values()), 30)  # type: ignore[misc]
    assert str(preferred).startswith("Origin/conventional/")
    references = "SELECT originID FROM OriginReference WHERE originID = ?"
    wait_until(lambda: host.query(references, ours), 30)
    (summary,) = host.query(
        "SELECT text FROM Comment c JOIN PublicObject p ON c._parent_oid = p._oid"
        " WHERE c.id = 'dlloc/summary' AND p.publicID = ?",
        ours,
    )
    assert "from conventional" in str(summary[0])
    picture = Path(str(wait_until(lambda: host.run(program, "picture", ours, check=False).decode().strip(), 60, 1.0)))
    assert picture.read_bytes()[:4] == b"\x89PNG"

    # The analyst's two commands, on what the host has now
    assert b"the same" in host.run(program, "replay", ours)
    (event,) = host.preferred()
    (tmp_path / "dumped.xml").write_bytes(host.run("scxmldump", "-d", host.database_uri, "-E", event, "-PAMf"))
    compared = host.run(program, "compare", tmp_path / "dumped.xml", "-o", tmp_path / "page.html", "--csv").decode()
    assert ours in compared
    assert (tmp_path / "page.html").stat().st_size > 10_000

    time.sleep(3)
    scolv.click(*EVENTS_TAB)
    time.sleep(1)
    scolv.save(pictures / "events.png")
    scolv.click(*FIRST_EVENT, repeat=2)
    time.sleep(4)
    scolv.click(*EVENT_TAB)
    time.sleep(2)
    scolv.save(pictures / "event.png")
    scolv.click(*LOCATION_TAB)
    time.sleep(2)
    answered = accepted(host)
    relocate(scolv)
    wait_until(lambda: accepted(host) == answered + 1, 30, 0.5)
    time.sleep(3)
    scolv.save(pictures / "relocated.png")
    # The picture of the origin that the reviewer has just made
    opened = tmp_path / "opened"
    wait_until(lambda: press_until(scolv, PICTURE, opened), 60, 1.0)
    assert Path(opened.read_text().split("\n")[0]).read_bytes()[:4] == b"\x89PNG"


# Places in a window of 1590 x 1060 points
LOCATION_TAB, EVENT_TAB, EVENTS_TAB, FIRST_EVENT = (40, 69), (212, 69), (290, 69), (300, 125)
LOCATORS, RELOCATE, PICTURE = (79, 980), (47, 1014), (137, 1014)


def relocate(screen: Screen) -> None:
    """Choose the External locator and press Relocate."""
    screen.click(*LOCATORS)
    time.sleep(1)
    screen.do("type", "External")
    screen.do("key", "Return")
    time.sleep(1)
    screen.click(*RELOCATE)


def press_until(screen: Screen, button: tuple[int, int], path: Path) -> bool:
    """Press a button; whether there is a file then. The picture is drawn behind the answer."""
    screen.click(*button)
    time.sleep(2)
    return path.exists()


def accepted(host: ScratchRoot) -> int:
    """Answers that the worker has given."""
    status = json.loads(host.run(host.root / "bin" / "dlloc", "worker", "status", "--json", check=False))
    return int(status["counts"].get("accepted", 0))
