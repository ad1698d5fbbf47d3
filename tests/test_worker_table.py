"""The supervisor's table of jobs, without sockets and processes, on a clock that the test turns."""

import pytest

from seiscomp_dlloc.worker.abandoned import PATIENCE_S, Abandoned
from seiscomp_dlloc.worker.answers import empty_answer
from seiscomp_dlloc.worker.statistics import Statistics, percentiles
from seiscomp_dlloc.worker.table import Limits, Table


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def table(clock: Clock, **limits: float) -> Table:
    return Table(Limits(**{"jobs": 2, "queue": 2, **limits}), clock)


def ask(table: Table, name: str, waiter: int = 1, deadline_s: float = 10.0, event: bytes = b"<e/>"):
    return table.submit({"kind": "locate", "id": name, "deadline_s": deadline_s}, {"event": event}, waiter)


def give(table: Table) -> list[str]:
    return [job.id for job, _ in table.hand_out()]


def good(name: str):
    return empty_answer(name, "accepted", "", "", 0.1), {"scml": b"<x/>"}


def test_a_job_is_handed_out_once_with_the_time_it_has_left(clock):
    jobs = table(clock)
    assert ask(jobs, "a") is None
    clock.now += 4.0
    [(job, left)] = list(jobs.hand_out())
    assert (job.id, left) == ("a", 6.0)
    assert give(jobs) == []


def test_the_same_job_twice_at_once_runs_once_and_answers_both(clock):
    jobs = table(clock)
    assert ask(jobs, "a", waiter=1) is None
    assert ask(jobs, "a", waiter=2, deadline_s=20.0) is None
    assert give(jobs) == ["a"]
    done = jobs.finish("a", good("a"))
    assert done is not None
    assert done.waiters == {1, 2}
    assert done.deadline == clock.now + 20.0


def test_an_answer_is_kept_for_who_asks_again_and_then_forgotten(clock):
    jobs = table(clock, keep_s=60.0)
    ask(jobs, "a")
    give(jobs)
    jobs.finish("a", good("a"))
    assert ask(jobs, "a", waiter=9, deadline_s=3.0) == good("a")
    assert give(jobs) == []
    clock.now += 61.0
    assert ask(jobs, "a") is None
    assert give(jobs) == ["a"]


def test_answers_kept_are_bounded_in_number_and_in_bytes(clock):
    jobs = table(clock, keep=3, keep_bytes=1000)
    for n in range(10):
        ask(jobs, str(n))
        jobs.finish(str(n), good(str(n)))
    assert jobs.kept == 3
    ask(jobs, "big")
    jobs.finish("big", (empty_answer("big", "accepted", "", ""), {"scml": bytes(995)}))
    assert jobs.kept == 2
    ask(jobs, "huge")
    jobs.finish("huge", (empty_answer("huge", "accepted", "", ""), {"scml": bytes(2000)}))
    assert jobs.kept == 0


def test_an_id_names_one_job_only(clock):
    jobs = table(clock)
    ask(jobs, "a")
    other = ask(jobs, "a", event=b"<other/>")
    assert other is not None
    assert other[0]["reason"] == "id in use"
    jobs.finish("a", good("a"))
    assert ask(jobs, "a", event=b"<other/>")[0]["reason"] == "id in use"


def test_a_full_queue_refuses_at_once_and_the_job_may_come_again(clock):
    jobs = table(clock)
    assert [ask(jobs, name) for name in "abcd"] == [None] * 4
    refused = ask(jobs, "e")
    assert (refused[0]["status"], refused[0]["reason"]) == ("refused", "queue full")
    assert ask(jobs, "a", waiter=5) is None
    jobs.finish("a", good("a"))
    assert ask(jobs, "e") is None


def test_waiting_jobs_may_not_hold_more_than_so_many_bytes(clock):
    jobs = table(clock, held_bytes=1000)
    assert ask(jobs, "a", event=bytes(900)) is None
    assert ask(jobs, "b", event=bytes(200))[0]["reason"] == "queue full"
    assert jobs.held_bytes == 900


@pytest.mark.parametrize("deadline", [0, -1, float("inf"), "10", True, [1], 1e9])
def test_a_deadline_that_is_none_is_refused(clock, deadline):
    answer = table(clock).submit({"kind": "locate", "id": "a", "deadline_s": deadline}, {}, 1)
    assert (answer[0]["status"], answer[0]["reason"]) == ("refused", "bad request")


@pytest.mark.parametrize("name", [None, "", 5, "x" * 401])
def test_a_job_without_a_name_is_refused(clock, name):
    assert table(clock).submit({"kind": "locate", "id": name}, {}, 1)[0]["reason"] == "bad request"


def test_a_job_past_its_deadline_is_answered_and_says_how_far_it_came(clock):
    jobs = table(clock)
    ask(jobs, "begun")
    give(jobs)
    jobs.note("begun", "acquiring")
    ask(jobs, "idle", deadline_s=5.0)
    assert jobs.next_deadline() == clock.now + 5.0
    clock.now += 10.0
    done = {job.id: message[0] for job, message in jobs.expire()}
    assert (done["begun"]["status"], done["begun"]["reason"]) == ("failed", "deadline")
    assert "acquiring" in done["begun"]["detail"]
    assert (done["idle"]["status"], done["idle"]["reason"]) == ("refused", "deadline")
    assert jobs.unfinished == 0
    assert jobs.finish("begun", good("begun")) is None


def test_jobs_of_a_dead_engine_are_handed_out_again_and_a_deadly_one_is_refused(clock):
    jobs = table(clock)
    for name in ("deadly", "waits", "queued"):
        ask(jobs, name)
    assert give(jobs) == ["deadly", "waits", "queued"]
    jobs.note("deadly", "locating")
    jobs.note("waits", "waiting")
    assert jobs.engine_died() == []
    assert give(jobs) == ["deadly", "waits", "queued"]
    jobs.note("deadly", "locating")
    jobs.note("waits", "waiting")
    [(job, (header, _))] = jobs.engine_died()
    assert job.id == "deadly"
    assert (header["status"], header["reason"]) == ("refused", "worker died")
    assert "twice" in header["detail"]
    assert give(jobs) == ["waits", "queued"]
    assert ask(jobs, "deadly")[0]["reason"] == "worker died"


def test_suspects_run_one_at_a_time_so_that_the_deadly_one_goes_alone(clock):
    jobs = table(clock)
    for name in ("good", "deadly", "new"):
        ask(jobs, name)
    give(jobs)
    for name in ("good", "deadly"):
        jobs.note(name, "locating")
    jobs.engine_died()
    assert give(jobs) == ["good", "new"]
    jobs.finish("good", good("good"))
    assert give(jobs) == ["deadly"]
    jobs.note("deadly", "locating")
    jobs.note("new", "locating")
    assert [job.id for job, _ in jobs.engine_died()] == ["deadly"]
    assert give(jobs) == ["new"]


def test_an_engine_that_the_supervisor_kills_leaves_no_suspects(clock):
    jobs = table(clock)
    ask(jobs, "a")
    for _ in range(5):
        give(jobs)
        jobs.note("a", "locating")
        assert jobs.engine_died(guilty=False) == []


def test_a_job_whose_engine_always_dies_early_is_not_run_for_ever(clock):
    jobs = table(clock)
    ask(jobs, "a")
    deaths = 0
    while jobs.unfinished:
        give(jobs)
        deaths += 1
        assert deaths < 100
        jobs.engine_died()


def test_at_the_end_what_waits_is_refused_and_what_runs_may_finish(clock):
    jobs = table(clock)
    ask(jobs, "runs")
    give(jobs)
    jobs.note("runs", "locating")
    ask(jobs, "waits")
    assert [job.id for job, _ in jobs.refuse_all("stopping", "", idle_only=True)] == ["waits"]
    assert [job.id for job, _ in jobs.refuse_all("stopping", "", idle_only=False)] == ["runs"]
    assert ask(jobs, "waits") is None


def test_jobs_that_hang_are_borne_while_they_are_few_and_young(clock):
    hanging = Abandoned(10, clock)
    for n in range(9):
        hanging.add(str(n))
    assert not hanging.too_many()
    hanging.add("9")
    assert hanging.too_many()
    for n in range(3, 10):
        hanging.discard(str(n))
    clock.now += PATIENCE_S + 1.0
    assert not hanging.too_many()
    hanging.add("young")
    assert not hanging.too_many()
    clock.now += PATIENCE_S + 1.0
    assert hanging.too_many()
    hanging.clear()
    assert not hanging.too_many()


def test_percentiles_are_those_of_the_nearest_rank():
    assert percentiles([]) == {"n": 0, "p50": None, "p95": None, "p99": None, "max": None}
    assert percentiles([float(v) for v in range(100, 0, -1)]) == {
        "n": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0,
    }  # fmt: skip
    assert percentiles([3.0])["p95"] == 3.0


def test_statistics_stay_bounded_whatever_the_answers_say():
    statistics = Statistics()
    for n in range(5000):
        statistics.count({"status": "failed", "reason": f"reason {n}", "timing": {"total_s": 1.0, "queued_s": None}})
    report = statistics.report()
    assert report["counts"]["failed"] == 5000
    assert len(report["reasons"]) <= 50
    assert report["latency_s"] == {"total_s": percentiles([1.0] * 2000)}
