"""What a worker does when its processes are killed, its queue is full, and when it is stopped."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import obspy
import pytest
from workers import DEMO, EVENTS, MODEL, PATIENCE_S, SHORT_S, Answers, RunningWorker, alive, job, mute_server, until

from seiscomp_dlloc.errors import WorkerTimeout, WorkerUnavailable
from seiscomp_dlloc.worker.client import Client
from seiscomp_dlloc.worker.launch import WorkerLauncher

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the worker is for Linux"),
    pytest.mark.slow,
]


@pytest.fixture
def worker() -> Iterator[RunningWorker]:
    running = RunningWorker("--jobs", "1", "--queue", "2", cut_s=SHORT_S).start()
    yield running
    running.end()


def engine(worker: RunningWorker) -> int:
    return until(lambda: worker.status()["engine"]["pid"])


def test_a_job_outlives_the_engine_that_had_it(worker: RunningWorker):
    worker.ready()
    answers = Answers()
    answers.ask(worker.client, "survivor", 20.0, wait="complete")
    until(lambda: worker.status()["jobs"]["waiting"] == 1)
    first = engine(worker)
    os.kill(first, signal.SIGKILL)
    until(lambda: worker.status()["engine"]["pid"] not in (first, None))
    assert answers.take("survivor")["status"] == "accepted"
    status = worker.status()
    assert status["engine"]["restarts"] == 1
    assert "signal 9" in status["engine"]["last_death"]
    assert status["counts"] == {"accepted": 1, "abstained": 0, "failed": 0, "refused": 0}


def test_a_job_that_the_engine_dies_on_twice_is_refused_and_the_next_is_not(worker: RunningWorker):
    answers = Answers()
    with mute_server() as address:
        answers.ask(worker.client, "deadly", PATIENCE_S, options={"waveforms": address})
        for _ in range(2):
            until(lambda: worker.status()["jobs"]["running"] == 1)
            os.kill(engine(worker), signal.SIGKILL)
            until(lambda: worker.status()["jobs"]["running"] == 0)
        refused = answers.take("deadly")
    assert (refused["status"], refused["reason"]) == ("refused", "worker died")
    assert "twice" in refused["detail"]
    assert worker.locate("harmless")[0]["status"] == "accepted"


def test_a_client_starts_the_worker_again_and_submits_its_job_again(worker: RunningWorker):
    worker.ready()
    answers = Answers()
    answers.ask(Client(worker.socket, worker.launcher), "again", 25.0, wait="complete")
    until(lambda: worker.status()["jobs"]["waiting"] == 1)
    before = worker.status()
    os.kill(before["pid"], signal.SIGKILL)
    # An engine without its supervisor would hold the models in memory for nothing
    until(lambda: not alive(before["engine"]["pid"]))
    assert answers.take("again")["status"] == "accepted"
    assert worker.status()["pid"] != before["pid"]


def test_without_a_launcher_the_client_says_that_the_worker_died(worker: RunningWorker):
    answers = Answers()
    answers.ask(worker.client, "lost", 40.0, wait="complete")
    until(lambda: sum(worker.status()["jobs"][name] for name in ("queued", "waiting", "running")) == 1)
    os.kill(worker.status()["pid"], signal.SIGKILL)
    with pytest.raises(WorkerUnavailable, match="ended before it answered"):
        answers.take("lost")
    # While the system takes the dead process apart its socket may still be there
    with pytest.raises(WorkerUnavailable, match=r"has died|ended before it answered"):
        worker.client.ping()
    worker.start()
    assert worker.locate("found")[0]["status"] == "accepted"


def test_a_full_queue_refuses_at_once_while_the_others_go_on(worker: RunningWorker):
    answers = Answers()
    for n in range(3):
        answers.ask(worker.client, f"job {n}", 12.0, wait="complete")
    until(lambda: sum(worker.status()["jobs"][name] for name in ("queued", "waiting", "running")) == 3)
    refused, _ = worker.locate("one too many")
    assert (refused["status"], refused["reason"]) == ("refused", "queue full")
    assert refused["timing"]["total_s"] is None
    for n in range(3):
        assert answers.take(f"job {n}")["status"] == "accepted"
    assert worker.locate("one too many")[0]["status"] == "accepted"


def test_a_job_is_answered_by_its_deadline_even_where_the_engine_does_nothing(worker: RunningWorker):
    pid = engine(worker)
    os.kill(pid, signal.SIGSTOP)
    try:
        header, _ = worker.client.locate(job("late"), {"event": EVENTS}, 2.0)
        assert header["reason"] == "deadline"
        assert header["status"] == "refused"
        assert worker.client.ping(PATIENCE_S)["kind"] == "pong"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert worker.locate("in time")[0]["status"] == "accepted"


def test_a_client_does_not_wait_longer_than_it_said_for_a_worker_that_hangs(worker: RunningWorker):
    pid = worker.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(WorkerTimeout):
            worker.client.locate(job("never"), {"event": EVENTS}, 0.5)
        assert time.monotonic() - began < 5.0
    finally:
        os.kill(pid, signal.SIGCONT)


def test_threads_that_hang_beyond_their_deadlines_end_with_their_engine(worker: RunningWorker):
    worker.ready()
    first = engine(worker)
    with mute_server() as address:
        answers = Answers()
        for n in range(3):
            answers.ask(worker.client, f"hangs {n}", 2.0, options={"waveforms": address})
        for n in range(3):
            assert answers.take(f"hangs {n}")["reason"] == "deadline"
        until(lambda: worker.status()["engine"]["pid"] not in (first, None))
    assert "hang" in worker.status()["engine"]["last_death"]
    assert worker.locate("afterwards")[0]["status"] == "accepted"


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "stop"])
def test_a_worker_that_is_stopped_refuses_what_waits_and_leaves_no_trace(worker: RunningWorker, way: str):
    worker.ready()
    answers = Answers()
    answers.ask(worker.client, "waits", 60.0, wait="complete")
    until(lambda: worker.status()["jobs"]["waiting"] == 1)
    status = worker.status()
    if way == "stop":
        done = worker.run("stop")
        assert done.returncode == 0, done.stderr
        assert str(status["pid"]) in done.stdout
    else:
        os.kill(status["pid"], getattr(signal, way))
    refused = answers.take("waits")
    assert (refused["status"], refused["reason"]) == ("refused", "stopping")
    until(lambda: not os.path.exists(worker.socket))
    until(lambda: not alive(status["pid"]))
    until(lambda: not alive(status["engine"]["pid"]))
    assert "ended" in worker.log.read_text()
    assert worker.run("status").returncode == 2


def test_a_worker_whose_socket_was_taken_away_makes_room_for_another(worker: RunningWorker):
    pid = worker.status()["pid"]
    os.unlink(worker.socket)
    until(lambda: not alive(pid))
    worker.start()
    assert worker.status()["pid"] != pid


def test_a_profile_that_cannot_be_used_is_named_and_its_jobs_are_refused(tmp_path: Path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    running = RunningWorker("--model", str(bad)).start().ready()
    try:
        [profile] = running.status()["profiles"]
        assert "bad.onnx" in profile["problem"]
        refused, _ = running.locate("refused")
        assert (refused["status"], refused["reason"]) == ("refused", "model")
        assert running.locate("named", options={"model": MODEL})[0]["status"] == "accepted"
        done = running.run("status")
        assert done.returncode == 1
        assert "bad.onnx" in done.stdout
    finally:
        running.end()


def test_a_folder_that_gets_new_files_gives_new_waveforms(tmp_path: Path):
    whole = obspy.read(DEMO / "waveforms.mseed")
    whole.select(station="S0*").write(str(tmp_path / "first.mseed"), "MSEED")
    running = RunningWorker("--waveforms", str(tmp_path)).start()
    try:
        before = running.locate("before", number=3)[0]["stations"]["used"]
        whole.select(station="S1*").write(str(tmp_path / "second.mseed"), "MSEED")
        time.sleep(2.1)  # the folder is looked at every two seconds
        assert running.locate("after", number=3)[0]["stations"]["used"] > before
    finally:
        running.end()


def test_an_engine_that_cannot_start_is_tried_again_with_pauses_and_its_jobs_are_told_why(tmp_path: Path):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('this onnxruntime is broken')")
    running = RunningWorker()
    running.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), running.environment["PYTHONPATH"]])
    running.launcher = WorkerLauncher(running.socket, sys.executable, running.options, running.environment)
    running.start()
    try:
        until(lambda: running.status()["engine"]["restarts"] == 2)
        header, _ = running.locate("told why", deadline_s=2.0)
        assert (header["status"], header["reason"]) == ("refused", "deadline")
        assert "this onnxruntime is broken" in header["detail"]
        assert running.status()["engine"]["restarts"] < 20
        (tmp_path / "onnxruntime.py").unlink()
        assert running.locate("mended")[0]["status"] == "accepted"
    finally:
        running.end()


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path):
    running = RunningWorker("--log", str(tmp_path / "folder"))
    (tmp_path / "folder").mkdir()
    try:
        with pytest.raises(WorkerUnavailable, match="logFile"):
            running.start()
        assert not os.path.exists(running.socket)
    finally:
        running.end()
