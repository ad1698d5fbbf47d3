"""A worker as its clients see it: jobs, refusals, status, and what comes over the socket that is no request."""

import json
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from workers import DEMO, EVENTS, MODEL, PATIENCE_S, SHORT_S, Answers, RunningWorker, job, mute_server, until

from seiscomp_dlloc.bundle import BundleStore, differences, read_bundle, replay
from seiscomp_dlloc.errors import ProtocolError, SettingError, WorkerUnavailable
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.plain import as_json
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Locator, required_window
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.waveforms import open_source
from seiscomp_dlloc.worker.client import Client
from seiscomp_dlloc.worker.launch import WorkerLauncher, worker_environment
from seiscomp_dlloc.worker.protocol import Decoder, encode

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the worker is for Linux")


@pytest.fixture(scope="module")
def worker() -> Iterator[RunningWorker]:
    running = RunningWorker("--jobs", "2", "--queue", "8", cut_s=SHORT_S).start().ready()
    yield running
    running.end()


def raw(worker: RunningWorker) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(worker.socket)
    connection.settimeout(PATIENCE_S)
    return connection


def read_messages(connection: socket.socket) -> list:
    """Messages up to the end of the connection."""
    decoder, messages = Decoder(), []
    try:
        while data := connection.recv(65536):
            messages += decoder.feed(data)
    except ConnectionResetError:
        pass
    return messages


def test_a_job_gets_the_hypocentre_that_the_locator_gives_without_a_worker(worker):
    header, blobs = worker.locate("same", number=2, reply="event")
    [trigger] = [t for t in read_triggers(EVENTS).triggers if t.origin_id.endswith("theoretical-2")]
    model, inventory = load(resolve(MODEL), "cpu", threads=1), read_inventory(DEMO / "stations.xml")
    start, end = required_window(trigger, model.passport)
    stream = open_source(worker.waveforms).get_waveforms(["*.*.*.*"], start, end).stream
    wanted = as_json(Locator(model, inventory).locate(trigger, stream))
    assert header["status"] == wanted["status"] == "accepted"
    for key in ("latitude", "longitude", "depth_km", "time", "peak", "used_stations"):
        assert header["solution"][key] == pytest.approx(wanted[key]), key
    assert header["model"] == {"name": model.passport.name, "version": model.passport.version, "sha256": model.sha256}
    assert header["provider"] == "CPUExecutionProvider"
    assert header["stations"] == {"used": len(wanted["used_stations"]), "expected": 30}
    assert all(header["timing"][name] >= 0 for name in ("queued_s", "acquired_s", "located_s", "total_s"))
    root = etree.fromstring(blobs["scml"])
    assert float(root.findtext(".//{*}origin/{*}latitude/{*}value")) == pytest.approx(wanted["latitude"], abs=1e-6)


def test_an_origin_is_answered_alone_with_the_ids_and_labels_that_were_asked_for(worker):
    labels = {"agency": "TEST", "author": "me", "method_id": "External:DLLOC", "earth_model_id": "iasp91"}
    _, blobs = worker.locate("labels", origin_token="abc/1", labels=labels)
    root = etree.fromstring(blobs["scml"])
    [origin] = root
    assert etree.QName(origin).localname == "Origin"
    assert origin.get("publicID") == "Origin/dlloc/abc/1/1"
    assert origin.findtext("{*}creationInfo/{*}agencyID") == "TEST"
    assert origin.findtext("{*}earthModelID") == "iasp91"
    assert origin.findtext("{*}methodID") == "External:DLLOC"


def test_options_of_a_job_are_its_own(worker):
    fixed, _ = worker.locate("fixed", options={"fixed_depth_km": 7.25})
    assert fixed["solution"]["depth_km"] == 7.25
    free, _ = worker.locate("free")
    assert free["solution"]["depth_km"] != 7.25
    near, _ = worker.locate("near", options={"max_distance_km": 90.0})
    assert near["stations"]["expected"] < 30
    assert "beyond the 90 km asked for" in json.dumps(near["solution"]["dropped"])
    ignored, _ = worker.locate("ignored", options={"max_distance_km": 90.0, "ignore_initial_location": True})
    assert ignored["stations"]["expected"] == 30


def test_waveforms_and_inventory_may_come_with_the_job(worker):
    blobs = {
        "event": EVENTS,
        "waveforms": worker.waveforms.read_bytes(),
        "inventory": (DEMO / "stations.xml").read_bytes(),
    }
    options = {"waveforms": "/nowhere", "inventory": "/nowhere"}
    header, _ = worker.client.locate(job("blobs", options=options), blobs, PATIENCE_S)
    assert header["solution"]["latitude"] == worker.locate("files")[0]["solution"]["latitude"]
    blobs["waveforms"] = b"no miniSEED" * 1000
    header, _ = worker.client.locate(job("noise"), blobs, PATIENCE_S)
    assert (header["status"], header["reason"]) == ("failed", "no waveforms")
    assert "waveforms of the job" in json.dumps(header["solution"]["dropped"])


def test_no_data_after_a_time_that_is_named_are_used_and_partial_data_are_told(worker):
    [trigger] = [t for t in read_triggers(EVENTS).triggers if t.origin_id.endswith("theoretical-1")]
    header, blobs = worker.locate("until", until=trigger.time + 20.0, reply="event")
    assert header["complete"] is True
    assert header["solution"]["notes"] is not None
    early, blobs = worker.locate("early", reply="event")
    assert early["complete"] is False
    assert b"ended before the window did" in blobs["scml"]
    assert header["solution"]["latitude"] != early["solution"]["latitude"]


def test_a_bundle_of_the_answer_is_kept_and_gives_it_again(worker):
    header, _ = worker.locate("bundle", number=3, keep_bundle=True, origin_token="kept/1")
    path = Path(header["bundle"])
    assert path.is_relative_to(worker.folder)
    until(path.exists)
    bundle = read_bundle(path)
    model = load(resolve(MODEL), "cpu", threads=1)
    assert differences(bundle.answer, replay(bundle, model).solution) == ()
    assert bundle.answer["latitude"] == header["solution"]["latitude"]
    store = BundleStore(path.parent, 1)
    assert store.path("Origin/dlloc/kept/1/1") == path
    assert store.picture("Origin/dlloc/kept/1/1").read_bytes().startswith(b"\x89PNG")
    assert worker.locate("no bundle")[0]["bundle"] is None


@pytest.mark.parametrize(
    ("request_", "reason", "said"),
    [
        ({"profile": "other"}, "bad request", "profile other: is not configured"),
        ({"options": {"model": "/no/model.onnx"}}, "model", "/no/model.onnx"),
        ({"options": {"inventory": "/no/stations.xml"}}, "inventory", "/no/stations.xml"),
        ({"options": {"inventory": "stations.xml"}}, "bad request", "absolute path"),
        ({"options": {"waveforms": "recordstream"}}, "bad request", "worker.recordstreamCommand"),
        ({"options": {"fixed_depth_km": 900}}, "bad request", "fixed_depth_km 900"),
        ({"options": {"fixed_depth_km": "deep"}}, "bad request", "fixed_depth_km: is no number"),
        ({"options": {"max_distance_km": -1}}, "bad request", "max_distance_km"),
        ({"options": [1]}, "bad request", "options"),
        ({"origin": "other"}, "bad document", "no origin other"),
        ({"origin": None}, "bad document", "holds"),
        ({"wait": "long"}, "bad request", "wait"),
        ({"reply": "sms"}, "bad request", "reply"),
        ({"labels": "me"}, "bad request", "labels"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_the_reason(worker, request_, reason, said):
    header, blobs = worker.locate("refused", **request_)
    assert (header["status"], header["reason"]) == ("refused", reason)
    assert said in header["detail"]
    assert blobs == {}


@pytest.mark.parametrize(
    "event",
    [b"", b"no XML", EVENTS[:1000], b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><seiscomp>&a;</seiscomp>"],
)
def test_a_document_that_is_none_is_refused(worker, event):
    header, _ = worker.locate("document", event=event)
    assert (header["status"], header["reason"]) == ("refused", "bad document")


def test_a_source_that_is_not_there_fails_the_job_and_names_it(worker):
    header, _ = worker.locate("source", options={"waveforms": "/no/such/folder"})
    assert (header["status"], header["reason"]) == ("failed", "waveform source")
    assert "/no/such/folder" in header["detail"]


def test_several_jobs_run_at_once_and_one_that_waits_for_data_keeps_no_other(worker):
    answers = Answers()
    for n in range(4):
        # The demo is of 2030: what its records lack may come yet
        answers.ask(worker.client, f"waits {n}", 8.0, wait="complete", number=1 + n % 3)
    until(lambda: worker.status()["jobs"]["waiting"] == 4)
    assert worker.locate("quick", number=3)[0]["status"] == "accepted"
    assert worker.status()["jobs"]["waiting"] == 4
    for n in range(4):
        late = answers.take(f"waits {n}")
        assert late["status"] == "accepted"
        assert late["complete"] is False
        assert "partial data were used" in " ".join(late["solution"]["notes"])
        assert 4.0 < late["timing"]["total_s"] < 8.0


def test_the_same_job_twice_at_once_runs_once_and_asked_again_is_there_at_once(worker):
    before = sum(worker.status()["counts"].values())
    answers = [Answers(), Answers()]
    for each in answers:
        each.ask(worker.client, "twice", 5.0, wait="complete")
    first, second = (each.take("twice") for each in answers)
    assert first == second
    again, _ = worker.client.locate(job("twice", wait="complete"), {"event": EVENTS}, 5.0)
    assert again["timing"] == first["timing"]
    assert sum(worker.status()["counts"].values()) == before + 1
    other, _ = worker.client.locate(job("twice"), {"event": EVENTS}, 5.0)
    assert (other["status"], other["reason"]) == ("refused", "id in use")


def test_the_answer_of_a_client_that_has_gone_is_kept(worker):
    before = sum(worker.status()["counts"].values())
    with raw(worker) as connection:
        connection.sendall(encode({"kind": "locate", **job("gone"), "deadline_s": 60}, {"event": EVENTS}))
    until(lambda: sum(worker.status()["counts"].values()) == before + 1)
    header, _ = worker.locate("gone")
    assert header["status"] == "accepted"
    assert sum(worker.status()["counts"].values()) == before + 1


def test_a_client_may_close_its_sending_side_and_read_on(worker):
    with raw(worker) as connection:
        connection.sendall(encode({"kind": "locate", **job("half"), "deadline_s": 60}, {"event": EVENTS}))
        connection.shutdown(socket.SHUT_WR)
        [(header, _)] = read_messages(connection)
    assert header["status"] == "accepted"


def test_jobs_and_questions_share_a_connection(worker):
    with raw(worker) as connection:
        connection.sendall(
            encode({"kind": "locate", **job("shared"), "deadline_s": 60}, {"event": EVENTS}) + encode({"kind": "ping"})
        )
        connection.shutdown(socket.SHUT_WR)
        kinds = [header["kind"] for header, _ in read_messages(connection)]
    assert sorted(kinds) == ["answer", "pong"]


def test_several_answers_can_be_waited_for_without_blocking(worker):
    pending = {name: worker.client.open({**job(name), "deadline_s": 60}, {"event": EVENTS}) for name in "xyz"}
    found = {}
    while pending:
        for name, each in list(pending.items()):
            message = each.read()
            if message is not None:
                found[name] = message[0]["status"]
                del pending[name]
        time.sleep(0.01)
    assert found == dict.fromkeys("xyz", "accepted")


def test_what_is_no_message_is_told_so_and_the_worker_goes_on(worker):
    for noise in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"DLW1" + bytes(12),
        struct.pack(">4sIQ", b"DLW1", 2**31, 0),
        os.urandom(4096),
    ):
        with raw(worker) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            messages = read_messages(connection)
        assert [header["reason"] for header, _ in messages] == ["no message"], noise[:20]
    assert worker.client.ping(PATIENCE_S)["kind"] == "pong"


def test_an_unknown_kind_or_version_is_told_what_is_understood(worker):
    for header, reason in (({"kind": "dance"}, "unknown kind"), ({"kind": "ping", "version": 2}, "unknown version")):
        with raw(worker) as connection:
            connection.sendall(encode(header) + encode({"kind": "ping"}))
            connection.shutdown(socket.SHUT_WR)
            [(error, _), (pong, _)] = read_messages(connection)
        assert error["kind"] == "error"
        assert error["reason"] == reason
        assert error["versions"] == [1]
        assert error["kinds"] == ["ping", "status", "stop", "locate"]
        assert pong["kind"] == "pong"


def test_a_client_that_is_not_understood_says_so(worker):
    pending = worker.client.open({"kind": "dance"})
    with pytest.raises(ProtocolError, match="no request 'dance'"):
        until(pending.read)


def test_clients_that_hang_at_any_point_disturb_nobody(worker):
    idle = [raw(worker) for _ in range(20)]
    frame = encode({"kind": "locate", **job("torn"), "deadline_s": 60}, {"event": EVENTS})
    for n, connection in enumerate(idle):
        connection.sendall(frame[: 1 + n * 300])
    deaf = raw(worker)
    deaf.setblocking(False)
    questions = encode({"kind": "status"}) * 2000
    sent = 0
    while sent < len(questions):
        try:
            sent += deaf.send(questions[sent:])
        except BlockingIOError:
            break
    try:
        assert worker.locate("undisturbed")[0]["status"] == "accepted"
    finally:
        for connection in (*idle, deaf):
            connection.close()
    until(lambda: worker.status()["connections"] == 1)


def test_too_many_connections_are_refused_and_room_is_made_again(worker):
    crowd = []
    try:
        for _ in range(300):
            crowd.append(raw(worker))
        until(lambda: any(self_closed(connection) for connection in crowd[-3:]))
        with pytest.raises(WorkerUnavailable, match="busy"):
            worker.client.status(PATIENCE_S)
    finally:
        for connection in crowd:
            connection.close()
    until(lambda: pings(worker))


def self_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        data = connection.recv(65536)
    except BlockingIOError:
        return False
    return b"too many connections" in data


def pings(worker: RunningWorker) -> bool:
    try:
        return worker.client.ping(PATIENCE_S)["kind"] == "pong"
    except WorkerUnavailable:
        return False


def test_only_the_user_may_speak_to_the_worker(worker):
    assert stat.S_IMODE(os.stat(worker.socket).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(worker.log).st_mode) == 0o600


def test_the_status_tells_what_an_operator_asks(worker):
    worker.locate("for the status")
    status = worker.status()
    assert status["engine"]["state"] == "ready"
    assert status["counts"]["accepted"] > 0
    assert 0 < status["latency_s"]["total_s"]["p50"] <= status["latency_s"]["total_s"]["p99"]
    [model] = status["models"]
    assert len(model["sha256"]) == 64
    assert model["provider"] == "CPUExecutionProvider"
    assert status["memory_mib"]["supervisor"] < 60
    assert status["memory_mib"]["engine"] > 50
    assert status["profiles"] == [{"name": "default", "problem": None}]
    done = worker.run("status")
    assert done.returncode == 0, done.stderr
    assert MODEL in done.stdout
    assert json.loads(worker.run("status", "--json").stdout)["pid"] == status["pid"]


def test_a_second_worker_does_not_start(worker):
    done = worker.run("run")
    assert done.returncode == 2
    assert "runs there already" in done.stderr
    assert worker.run("start").returncode == 0
    pid = worker.status()["pid"]
    worker.launcher(PATIENCE_S)
    assert worker.status()["pid"] == pid


def test_a_server_that_hangs_costs_its_own_job_only_and_only_to_its_deadline(worker):
    answers = Answers()
    with mute_server() as address:
        for n in range(3):
            answers.ask(worker.client, f"hangs {n}", 3.0, options={"waveforms": address})
        until(lambda: worker.status()["jobs"]["running"] == 3)
        began = time.monotonic()
        assert worker.locate("beside it", number=2)[0]["status"] == "accepted"
        for n in range(3):
            late = answers.take(f"hangs {n}")
            assert (late["status"], late["reason"]) == ("failed", "deadline")
        assert time.monotonic() - began < PATIENCE_S


def test_the_path_of_the_socket_has_a_length_that_the_system_allows():
    with pytest.raises(SettingError, match="may have 107"):
        Client("/tmp/" + "x" * 103)
    Client("/tmp/" + "x" * 102)


def test_without_a_worker_a_client_says_so(tmp_path: Path):
    with pytest.raises(WorkerUnavailable, match="no worker has been started"):
        Client(tmp_path / "none.sock").ping()


def test_a_launcher_says_why_the_worker_does_not_start(tmp_path: Path):
    with pytest.raises(WorkerUnavailable, match="dlloc doctor"):
        WorkerLauncher(str(tmp_path / "w.sock"), "/no/python")(5.0)
    (tmp_path / "w.sock").write_text("a file of somebody")
    with pytest.raises(WorkerUnavailable, match="no socket"):
        WorkerLauncher(str(tmp_path / "w.sock"))(PATIENCE_S)
    assert (tmp_path / "w.sock").read_text() == "a file of somebody"


def test_the_worker_does_not_inherit_the_hosts_packages(tmp_path: Path):
    root = tmp_path / "seiscomp"
    (root / "lib" / "python").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    environment = {
        "SEISCOMP_ROOT": str(root),
        "PYTHONPATH": f"{root}/lib/python:/opt/own:{tmp_path}/link/lib/python",
        "PYTHONHOME": "/usr",
        "PATH": "/bin",
    }
    assert worker_environment(environment) == {"SEISCOMP_ROOT": str(root), "PYTHONPATH": "/opt/own", "PATH": "/bin"}
    assert "PYTHONPATH" not in worker_environment({"SEISCOMP_ROOT": str(root), "PYTHONPATH": f"{root}/lib/python"})


def test_the_worker_does_not_inherit_the_hosts_libraries(tmp_path: Path):
    root = tmp_path / "seiscomp"
    (root / "lib").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    beside = f"{tmp_path}/seiscomp-old/lib"
    path = f"{root}/lib:/opt/cuda/lib64::{tmp_path}/link/lib:{root}:{beside}"
    kept = worker_environment({"SEISCOMP_ROOT": str(root), "LD_LIBRARY_PATH": path})
    assert kept == {"SEISCOMP_ROOT": str(root), "LD_LIBRARY_PATH": f"/opt/cuda/lib64:{beside}"}
    assert "LD_LIBRARY_PATH" not in worker_environment({"SEISCOMP_ROOT": str(root), "LD_LIBRARY_PATH": f"{root}/lib"})
    # Without a host nothing is known to be its own
    assert worker_environment({"LD_LIBRARY_PATH": f"{root}/lib"}) == {"LD_LIBRARY_PATH": f"{root}/lib"}


def test_the_light_modules_need_only_the_standard_library_of_python_3_8():
    import ast
    import subprocess

    from workers import REPOSITORY

    names = ("protocol", "client", "launch")
    for name in names:
        ast.parse((REPOSITORY / "seiscomp_dlloc" / "worker" / f"{name}.py").read_text(), feature_version=(3, 8))
    code = (
        "import sys\n"
        "for name in ('numpy', 'obspy', 'onnxruntime', 'scipy', 'lxml', 'matplotlib', 'tqdm', 'jsonschema'):\n"
        "    sys.modules[name] = None\n"
        f"import {', '.join(f'seiscomp_dlloc.worker.{name}' for name in names)}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_many_clients_that_start_a_worker_at_once_get_one():
    running = RunningWorker()
    try:
        pids = []

        def start() -> None:
            running.launcher(PATIENCE_S)
            pids.append(Client(running.socket).ping(PATIENCE_S)["pid"])

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(pids) == 6
        assert len(set(pids)) == 1
    finally:
        running.end()
