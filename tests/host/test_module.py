"""The module against a real SeisComP: scmaster with SQLite, scevent, origins dispatched as by a conventional chain."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from oklahoma import OklahomaData, write_document
from scratchroot import ScratchRoot, wait_until

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MODULE = ("bin/seiscomp-python", "-m", "seiscomp_dlloc.seiscomp_app.module")
CONVENTIONAL = "LOCSAT"


class Host:
    """A running chain: master, scevent, a worker without models, and the module."""

    def __init__(self, root: ScratchRoot, document: Path):
        self.root, self.document = root, document
        (root.root / "lib" / "python" / "seiscomp_dlloc").symlink_to(REPOSITORY / "seiscomp_dlloc")
        self.socket = root.root / "w.sock"
        self.audit_file = root.root / "var" / "log" / "audit.jsonl"
        self.journal_file = root.root / "var" / "lib" / "journal.jsonl"
        self.configure()
        root.start_master()
        root.start("scevent", "scevent")

    def configure(self, *lines: str) -> None:
        """etc/dlloc.cfg, anew."""
        self.root.write_config(
            "dlloc",
            f"worker.socket = {self.socket}",
            "worker.autostart = false",
            f"journal.file = {self.journal_file}",
            f"audit.file = {self.audit_file}",
            "trigger.maxAge = 0",
            "evolve.firstDelay = 0.3",
            "evolve.interval = 0.5",
            *lines,
        )

    def start_worker(self, delay_s: float) -> None:
        """A worker whose complete data come after ``delay_s``."""
        path = REPOSITORY / "tests" / "host" / "fakeworker.py"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        log = self.root.root / "var" / "log" / "worker.out"
        with log.open("ab") as out:
            self.worker = subprocess.Popen(
                [sys.executable, str(path), str(self.socket), str(delay_s)], env=environment, stdout=out, stderr=out
            )
        wait_until(self.socket.exists)

    def start_module(self, *options: str) -> None:
        """The module, until its engine has begun."""
        before = self.decisions().count("start")
        self.root.start("dlloc", self.root.root / MODULE[0], *MODULE[1:], *options)
        wait_until(lambda: self.decisions().count("start") > before)

    def audit(self) -> list[dict[str, object]]:
        """Decisions so far."""
        if not self.audit_file.exists():
            return []
        return [json.loads(line) for line in self.audit_file.read_text("utf-8").splitlines()]

    def decisions(self) -> list[str]:
        """Their names."""
        return [str(line["decision"]) for line in self.audit()]

    def engine_pid(self) -> int:
        """The process that decides."""
        return int(str([line for line in self.audit() if line["decision"] == "start"][-1]["pid"]))

    def conventional(self) -> list[str]:
        """publicIDs of the origins that were dispatched."""
        return self.root.origins(CONVENTIONAL)

    def ours(self) -> list[str]:
        """publicIDs of the module's origins in the database."""
        return self.root.origins("DLLOC")

    def triggers_with_final_origin(self) -> list[str]:
        """publicIDs of the conventional origins for which our last one is in the database, from its comments."""
        rows = self.root.query(
            "SELECT PublicObject.publicID FROM Comment JOIN PublicObject ON Comment._parent_oid = PublicObject._oid"
            " WHERE Comment.id = 'dlloc/data' AND Comment.text = 'complete'"
        )
        sent = {line["id"]: line["origin"] for line in self.audit() if line["decision"] == "sending"}
        return sorted(str(sent[name]) for (name,) in rows)

    def assert_one_final_origin_each(self) -> None:
        """Nothing lost, nothing doubled."""
        wait_until(lambda: len(self.triggers_with_final_origin()) >= len(self.conventional()), 90)
        # The objects of an origin come into the database one by one
        wait_until(lambda: {line["id"] for line in self.audit() if line["decision"] == "stored"} >= set(self.ours()))
        assert self.triggers_with_final_origin() == sorted(self.conventional())
        assert len(set(self.ours())) == len(self.ours())

    def restart_master(self) -> None:
        """Kill it and start it again."""
        self.root.kill("scmaster")
        self.root.start_master()


@pytest.fixture(scope="session")
def events(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SCML of three recorded events."""
    data = OklahomaData.read(shared_data)
    path = tmp_path_factory.mktemp("events") / "events.xml"
    write_document(data, data.test_names[:3], path)
    return path


@pytest.fixture
def chain(host: ScratchRoot, events: Path) -> Iterator[Host]:
    made = Host(host, events)
    made.start_worker(1.5)
    yield made
    if made.worker.poll() is None:
        made.worker.kill()
    made.worker.wait(10)


def test_our_origin_stands_beside_the_conventional_one_and_is_not_preferred(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    events = {event: origin for event, origin in chain.root.preferred().items() if origin}
    assert sorted(events.values()) == sorted(chain.conventional())
    associated = wait_until(
        lambda: (
            len(rows) == len(chain.ours()) and rows
            if (rows := chain.root.query("SELECT originID FROM OriginReference WHERE originID LIKE 'Origin/dlloc/%'"))
            else None
        )
    )
    assert sorted(str(row[0]) for row in associated) == sorted(chain.ours())  # type: ignore[attr-defined]


def test_our_origin_has_labels_arrivals_comments_and_a_magnitude_without_station_count(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    rows = chain.root.query(
        "SELECT creationInfo_agencyID, creationInfo_author, evaluationStatus, evaluationMode, depth_value FROM Origin"
        " WHERE methodID = 'DLLOC'"
    )
    author = f"dlloc@{os.uname().nodename}"
    assert {row[:4] for row in rows} == {("TST", author, "reported", "automatic")}
    arrivals = (
        "SELECT count(*), count(Pick._oid) FROM Origin JOIN Arrival ON Arrival._parent_oid = Origin._oid"
        " LEFT JOIN PublicObject ON PublicObject.publicID = Arrival.pickID"
        " LEFT JOIN Pick ON Pick._oid = PublicObject._oid WHERE Origin.methodID = ? GROUP BY Origin._oid"
    )
    conventional = set(chain.root.query(arrivals, CONVENTIONAL))
    assert set(chain.root.query(arrivals, "DLLOC")) == conventional, "every arrival, each on a pick that is there"
    comments = dict(chain.root.query("SELECT id, text FROM Comment WHERE text != 'partial'"))
    assert comments["dlloc/distance-km"] == "1.00"
    assert comments["dlloc/profile"] == "default"
    assert set(chain.root.query("SELECT type, stationCount FROM Magnitude")) == {("Mdl", None)}


def test_each_revision_is_an_origin_of_its_own_and_the_complete_one_is_the_last(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    revisions = sorted(name.rsplit("/", 1)[1] for name in chain.ours())
    assert revisions == ["1"] * 3 + ["final"] * 3


def test_our_own_origins_are_not_located_again(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    count = len(chain.ours())
    second = chain.root.root / "var" / "own.xml"
    chain.root.run("scxmldump", "-O", ",".join(chain.ours()[:1]), "-PAMf", "-o", second, "-d", chain.root.database_uri)
    # As another installation would send them: other IDs, the same author and method
    second.write_text(second.read_text("utf-8").replace("Origin/dlloc/", "Origin/other/"), "utf-8")
    chain.root.dispatch(second)
    wait_until(lambda: any(line.get("why") == "an origin of our own" for line in chain.audit()))
    assert len([name for name in chain.ours() if "/dlloc/" in name]) == count


@pytest.mark.parametrize("victim", ["engine", "module", "worker", "scmaster"])
@pytest.mark.parametrize("after_s", [0.1, 1.0])
def test_killing_any_process_loses_and_doubles_nothing(chain: Host, victim: str, after_s: float):
    chain.start_module()
    chain.root.dispatch(chain.document)
    time.sleep(after_s)
    if victim == "engine":
        os.kill(chain.engine_pid(), signal.SIGKILL)
    elif victim == "module":
        chain.root.kill("dlloc")
        chain.start_module()
    elif victim == "worker":
        chain.worker.kill()
        chain.worker.wait(10)
        time.sleep(1.0)
        chain.start_worker(1.0)
    else:
        chain.restart_master()
    chain.assert_one_final_origin_each()
    # Anything that would come twice would come soon
    time.sleep(5.0)
    chain.assert_one_final_origin_each()


def test_what_came_while_the_module_was_down_is_found_in_the_database(chain: Host):
    chain.start_module()
    chain.root.kill("dlloc", signal.SIGTERM)
    chain.root.dispatch(chain.document)
    chain.start_module()
    chain.assert_one_final_origin_each()
    assert {line.get("profile") for line in chain.audit() if line["decision"] == "triggered"} == {"default"}


def test_a_second_start_after_everything_is_done_sends_nothing(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    count = len(chain.ours())
    chain.root.kill("dlloc", signal.SIGTERM)
    chain.start_module()
    time.sleep(3.0)
    assert len(chain.ours()) == count


def test_a_journal_that_is_lost_costs_work_and_doubles_nothing(chain: Host):
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()
    chain.root.kill("dlloc", signal.SIGTERM)
    chain.journal_file.write_text("", "utf-8")
    chain.start_module()
    wait_until(lambda: chain.decisions().count("stored") >= 9)
    chain.assert_one_final_origin_each()


def test_with_test_nothing_is_sent_and_the_audit_says_what_would_be(chain: Host):
    chain.start_module("--test")
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("would send") == 6)
    assert chain.ours() == []
    chain.root.kill("dlloc", signal.SIGTERM)
    # Without a journal the module has never run here, and looks for no origins that it missed
    chain.journal_file.touch()
    chain.start_module()
    chain.assert_one_final_origin_each()


def test_a_test_runs_beside_the_module_and_leaves_its_journal_alone(chain: Host):
    chain.start_module()
    before = chain.journal_file.read_bytes()
    chain.root.start("beside", chain.root.root / MODULE[0], *MODULE[1:], "--test")
    wait_until(lambda: any(line.get("test") for line in chain.audit()))
    assert chain.journal_file.read_bytes() == before
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("would send") == 6)
    chain.assert_one_final_origin_each()
    assert chain.root.running("beside")
    assert chain.root.running("dlloc")
    chain.root.kill("beside", signal.SIGINT)
    log = chain.root.log("beside")
    assert "nothing is sent" in log
    assert sorted(path.name for path in chain.journal_file.parent.glob("journal*")) == [
        "journal.jsonl", "journal.jsonl.lock",
    ]  # fmt: skip


def test_a_second_module_says_why_it_does_not_start(chain: Host):
    chain.start_module()
    command = [str(chain.root.root / MODULE[0]), *MODULE[1:]]
    done = subprocess.run(command, env=chain.root.environment, cwd=chain.root.root, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert "another 'dlloc' runs there" in done.stderr.decode()


def test_conditions_keep_origins_out_and_the_audit_says_why(chain: Host):
    chain.configure("trigger.agencies = GFZ")
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("refused") >= 3)
    assert chain.ours() == []
    assert "agency TST is not in trigger.agencies" in [line.get("why") for line in chain.audit()]


def test_events_trigger_by_their_preferred_origins(chain: Host):
    chain.configure("trigger.origins = false", "trigger.events = true")
    chain.start_module()
    chain.root.dispatch(chain.document)
    chain.assert_one_final_origin_each()


def test_an_origin_in_the_regions_of_two_profiles_is_located_with_both(chain: Host):
    chain.configure(
        "profiles = okla, world, alps", "profile.okla.region = 33, -101, 38, -94", "profile.alps.region = 44, 5, 48, 16"
    )
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: len(chain.triggers_with_final_origin()) >= 6)
    assert chain.triggers_with_final_origin() == sorted(2 * chain.conventional())
    assert len(set(chain.ours())) == len(chain.ours())
    used = {row[0] for row in chain.root.query("SELECT text FROM Comment WHERE id = 'dlloc/profile'")}
    assert used == {"okla", "world"}


def test_an_abstention_is_not_sent_and_the_audit_says_why(chain: Host):
    chain.configure("output.author = abstain")
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("abstained") == 3)
    assert chain.ours() == []
    assert {line["why"] for line in chain.audit() if line["decision"] == "abstained"} == {"low peak"}


def test_what_the_operator_does_not_want_is_not_sent(chain: Host):
    chain.configure(
        "output.evaluationStatus = none", "output.arrivals = false", "output.magnitudes = false",
        "output.methodID = External:DLLOC", "output.agencyID = OWN",
    )  # fmt: skip
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: len(chain.triggers_with_final_origin()) == 3)
    rows = chain.root.query(
        "SELECT evaluationStatus, creationInfo_agencyID, earthModelID, (SELECT count(*) FROM Arrival WHERE"
        " Arrival._parent_oid = Origin._oid) FROM Origin WHERE methodID = 'External:DLLOC'"
    )
    assert set(rows) == {(None, "OWN", "default", 0)}
    assert chain.root.query("SELECT * FROM Magnitude") == []


def test_a_revision_of_the_conventional_origin_joins_the_chain_that_is_under_way(chain: Host):
    revised = chain.root.root / "var" / "revised.xml"
    revised.write_text(chain.document.read_text("utf-8").replace("Origin/conventional/", "Origin/revised/"), "utf-8")
    chain.worker.kill()
    chain.worker.wait(10)
    chain.start_worker(8.0)
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("triggered") == 3)
    chain.root.dispatch(revised)
    wait_until(lambda: chain.decisions().count("joined") == 3)
    wait_until(lambda: chain.decisions().count("accepted") == 3)
    assert len(chain.triggers_with_final_origin()) <= 3
    # What comes when the chain has ended is located on its own
    chain.root.kill("dlloc", signal.SIGTERM)
    later = chain.root.root / "var" / "later.xml"
    later.write_text(revised.read_text("utf-8").replace("Origin/revised/", "Origin/later/"), "utf-8")
    chain.start_module()
    chain.root.dispatch(later)
    wait_until(lambda: chain.decisions().count("accepted") == 6)
    wait_until(lambda: len(chain.triggers_with_final_origin()) == 6)


def test_a_file_is_located_without_messaging(chain: Host):
    command = [chain.root.root / MODULE[0], *MODULE[1:], "--ep", chain.document, "-f", "--plugins", "dbsqlite3"]
    done = subprocess.run(command, env=chain.root.environment, cwd=chain.root.root, capture_output=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr.decode().rstrip().endswith("3 origins read, 3 meet the conditions, 3 new ones")
    out = done.stdout.decode()
    assert out.count("<origin publicID=") == 6
    assert out.count('<origin publicID="Origin/dlloc/') == 3
    assert out.count("<stationCount>") == 0
    assert chain.root.origins() == []


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_as_a_daemon_it_starts_again_at_once_after_a_kill_and_leaves_no_process_behind(chain: Host):
    lock = chain.root.root / "var" / "run" / "dlloc.pid"

    def start() -> int:
        before = chain.decisions().count("start")
        chain.root.run(chain.root.root / MODULE[0], *MODULE[1:], "-D", "-l", lock)
        wait_until(lambda: chain.decisions().count("start") > before)
        return int(lock.read_text())

    first = start()
    engine = chain.engine_pid()
    try:
        assert children(first) == [engine]
        os.kill(first, signal.SIGKILL)
        second = start()
    finally:
        wait_until(lambda: gone(engine))
    try:
        chain.root.dispatch(chain.document)
        chain.assert_one_final_origin_each()
    finally:
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: gone(second) and gone(chain.engine_pid()))


def test_a_file_that_is_none_is_told(chain: Host):
    bad = chain.root.root / "bad.xml"
    bad.write_text(
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><seiscomp>&e;</seiscomp>'
    )
    for name, word in ((bad, "DTD"), (chain.root.root / "none.xml", "No such file")):
        command = [str(chain.root.root / MODULE[0]), *MODULE[1:], "--ep", str(name)]
        done = subprocess.run(command, env=chain.root.environment, cwd=chain.root.root, capture_output=True, timeout=60)
        assert done.returncode == 2
        assert word in done.stderr.decode()
        assert done.stdout == b""


def test_one_origin_of_the_database_is_located_on_request_while_the_module_runs(chain: Host):
    chain.configure("trigger.agencies = GFZ")
    chain.start_module()
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("refused") >= 3)
    asked = chain.conventional()[0]
    for count in (1, 2):
        chain.root.run(chain.root.root / MODULE[0], *MODULE[1:], "--origin-id", asked, timeout=120)
        assert len(chain.ours()) == count, "each time asked is a revision"
    token = f"Origin/dlloc/{hashlib.sha256(f'{asked}|default|'.encode()).hexdigest()[:20]}/asked-"
    assert all(name.startswith(token) for name in chain.ours())


def test_a_wrong_setting_is_told_at_the_start(chain: Host):
    chain.configure("trigger.minPhases = many")
    command = [str(chain.root.root / MODULE[0]), *MODULE[1:]]
    done = subprocess.run(command, env=chain.root.environment, cwd=chain.root.root, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert "dlloc: setting trigger.minPhases: 'many' is no number" in done.stderr.decode()
    # As a daemon, too, before it leaves the terminal
    daemon = [*command, "-D", "-l", str(chain.root.root / "var" / "run" / "dlloc.pid")]
    done = subprocess.run(daemon, env=chain.root.environment, cwd=chain.root.root, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert "trigger.minPhases" in done.stderr.decode()
    # What the host says of settings is not kept back by a wrong one
    shown = subprocess.run(
        [*command, "--print-config-vars"], env=chain.root.environment, capture_output=True, timeout=60
    )
    assert shown.returncode == 0


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_with_nothing_to_do_it_uses_less_than_a_hundredth_of_a_core(chain: Host):
    chain.start_module()
    time.sleep(3.0)
    engine = chain.engine_pid()
    main = int(Path(f"/proc/{engine}/stat").read_text().rpartition(")")[2].split()[1])
    before, began = cpu_s(engine) + cpu_s(main), time.monotonic()
    time.sleep(30.0)
    share = (cpu_s(engine) + cpu_s(main) - before) / (time.monotonic() - began)
    print(f"idle: {100 * share:.2f} % of a core")
    assert share < 0.01
