"""The whole way on recorded events: dispatched origin, module, worker with its model, our origin in the database."""

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from oklahoma import OklahomaData, write_document, write_sds
from scratchroot import ScratchRoot, wait_until

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EVENTS = 50


@pytest.fixture
def chain(host: ScratchRoot, shared_data: Path, tmp_path: Path) -> Iterator[ScratchRoot]:
    """A running chain on the recorded test events; the module starts the worker."""
    data = OklahomaData.read(shared_data)
    names = data.test_names[:EVENTS]
    write_sds(data, names, tmp_path / "sds")
    for number, name in enumerate(names):
        write_document(data, (name,), tmp_path / f"{number}.xml")
    (host.root / "lib" / "python" / "seiscomp_dlloc").symlink_to(REPOSITORY / "seiscomp_dlloc")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} "$@"\n', "utf-8")
    python.chmod(0o755)
    host.write_config(
        "dlloc",
        "profiles = oklahoma",
        # The recordings hold the windows that it wants
        "profile.oklahoma.model = oklahoma-fcn-slim",
        f"profile.oklahoma.waveforms = sds://{tmp_path / 'sds'}",
        f"profile.oklahoma.inventory = {data.folder / 'stations.xml'}",
        f"worker.python = {python}",
        "ring.enable = false",
        "trigger.maxAge = 0",
    )
    host.start_master()
    host.start("scevent", "scevent")
    host.start("dlloc", host.root / "bin" / "seiscomp-python", "-m", "seiscomp_dlloc.seiscomp_app.module")
    wait_until((host.root / "var" / "run" / "dlloc.sock").exists, 120)
    yield host
    environment = {**host.environment, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-m", "seiscomp_dlloc", "worker", "stop"], env=environment, capture_output=True)


def audit(host: ScratchRoot) -> list[dict]:
    path = host.root / "var" / "log" / "dlloc-audit.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def outcomes_of(host: ScratchRoot) -> list[dict]:
    """How jobs ended."""
    return [row for row in audit(host) if "origins" in row]


def ended(host: ScratchRoot, jobs: int) -> bool:
    """Whether so many jobs have come to their end."""
    return len(outcomes_of(host)) >= jobs


def test_recorded_events_are_located_beside_their_conventional_origins(chain: ScratchRoot, tmp_path: Path):
    for number in range(EVENTS):
        chain.dispatch(tmp_path / f"{number}.xml")
        wait_until(partial(ended, chain, number + 1), 120)
    outcomes = outcomes_of(chain)
    assert len(outcomes) == EVENTS
    accepted = {row["origin"] for row in outcomes if row["decision"] == "accepted" and row["origins"]}
    wait_until(lambda: len([r for r in audit(chain) if r["decision"] == "stored"]) >= len(chain.origins("DLLOC")))
    finals = {row["origin"]: row["id"] for row in audit(chain) if row["decision"] == "sending" and row["final"]}
    assert set(finals) == accepted
    assert set(chain.origins("DLLOC")) >= set(finals.values())
    assert len(accepted) >= EVENTS // 2
    assert not set(chain.preferred().values()) & set(chain.origins("DLLOC"))
    ways = [row["seconds"] for row in audit(chain) if row["decision"] == "sending" and row["final"]]
    stored = [row["seconds"] for row in audit(chain) if row["decision"] == "stored"]
    print(f"\n{len(accepted)} of {EVENTS} accepted; on {os.cpu_count()} cores")
    for name, times in (("trigger to answer", ways), ("answer to database", stored)):
        late = sorted(times)[int(0.95 * len(times))]
        print(f"{name}: median {statistics.median(times):.3f} s, 95 % {late:.3f} s, longest {max(times):.3f} s")


def worker_status(host: ScratchRoot) -> dict:
    """What the worker says of itself."""
    environment = {**host.environment, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "seiscomp_dlloc", "worker", "status", "--json"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=False).stdout)


def test_what_is_asked_while_the_worker_is_replaced_is_located_once(chain: ScratchRoot, tmp_path: Path):
    first = worker_status(chain)
    chain.kill("dlloc", signal.SIGTERM)
    with (chain.root / "etc" / "dlloc.cfg").open("a") as settings:
        settings.write("worker.jobs = 3\n")
    for number in range(4):
        chain.dispatch(tmp_path / f"{number}.xml")
    # Origins that came meanwhile are asked about at once, the first of them the old worker
    chain.start("dlloc", chain.root / "bin" / "seiscomp-python", "-m", "seiscomp_dlloc.seiscomp_app.module")
    wait_until(partial(ended, chain, 4), 120)
    assert {row["decision"] for row in outcomes_of(chain)} <= {"accepted", "abstained"}
    assert len({row["origin"] for row in outcomes_of(chain)}) == len(outcomes_of(chain)) == 4
    second = worker_status(chain)
    assert second["pid"] != first["pid"]
    assert second["jobs"]["at_once"] == 3
    said = [row["why"] for row in audit(chain) if row["decision"] == "not sent"]
    assert not [why for why in said if "no worker has been started" in why], said
    assert "WARNING a client" not in (chain.root / "var" / "log" / "dlloc-worker.log").read_text("utf-8")
