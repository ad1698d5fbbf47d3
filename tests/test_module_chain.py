"""The evolving chain: when the worker is asked, what is sent, when it ends."""

from typing import Any

import pytest

from seiscomp_dlloc.seiscomp_app.chain import (
    COMPLETE,
    NOW,
    Action,
    Ask,
    Chain,
    End,
    Pace,
    Send,
    Skip,
    TakeBack,
    backoff,
    distance_km,
    job_key,
    moved,
    origin_id_of,
    place_of,
    token_of,
)

PACE = Pace(first_delay_s=2.0, interval_s=5.0, most_origins=4, stop_distance_km=1.0, stop_time_s=0.3, give_up_s=100.0)


def answer(latitude: float = 36.0, status: str = "accepted", complete: bool = False, **more: Any) -> dict[str, Any]:
    solution = {"time": "2016-01-06T01:17:05.400Z", "latitude": latitude, "longitude": -97.0, "depth_km": 5.0}
    return {"status": status, "solution": solution, "complete": complete, **more}


def chain(pace: Pace = PACE) -> Chain:
    return Chain("O1|ok", "O1", "ok", 100.0, pace)


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_the_answer_on_complete_data_is_asked_for_at_once_and_the_partial_one_after_the_first_delay():
    c = chain()
    assert c.start(100.0) == [Ask(COMPLETE)]
    assert c.next_time() == 102.0
    assert c.due(101.9) == []
    assert c.due(102.0) == [Ask(NOW)]


def test_without_evolving_only_the_answer_on_complete_data_is_asked_for_and_sent():
    c = chain(Pace(evolve=False))
    assert c.start(100.0) == [Ask(COMPLETE)]
    assert c.next_time() is None
    assert c.answered(COMPLETE, answer(complete=True), 130.0) == [Send(1, True), End("accepted")]


def test_it_evolves_while_the_solution_moves_and_ends_with_the_complete_data():
    c = chain()
    c.start(100.0)
    c.due(102.0)
    assert c.answered(NOW, answer(36.0), 102.3) == [Send(1, False)]
    assert c.next_time() == pytest.approx(107.3)
    c.due(107.3)
    (second,) = c.answered(NOW, answer(36.1), 107.5)
    assert isinstance(second, Send)
    assert second.revision == 2
    assert second.moved_km == pytest.approx(11.1, abs=0.1)
    final, end = c.answered(COMPLETE, answer(36.11, complete=True), 110.0)
    assert (final.revision, final.final, end) == (3, True, End("accepted"))
    assert c.next_time() is None


def test_a_refinement_that_hardly_moves_is_not_sent_and_is_the_last_before_the_complete_data():
    c = chain()
    c.start(100.0)
    c.due(102.0)
    c.answered(NOW, answer(36.0), 102.3)
    c.due(107.3)
    assert kinds(c.answered(NOW, answer(36.001), 107.5)) == ["Skip"]
    assert c.next_time() is None
    assert kinds(c.answered(COMPLETE, answer(36.001, complete=True), 120.0)) == ["Send", "End"]


def test_a_partial_question_that_finds_the_data_complete_is_final_and_takes_the_other_back():
    c = chain()
    c.start(100.0)
    c.due(102.0)
    assert c.answered(NOW, answer(complete=True), 102.3) == [Send(1, True), TakeBack(COMPLETE), End("accepted")]
    assert c.answered(COMPLETE, answer(complete=True), 102.4) == [], "an answer that came nevertheless is not sent"


def test_one_of_the_most_origins_is_kept_for_the_complete_data():
    c = chain(Pace(most_origins=2, interval_s=1.0))
    c.start(100.0)
    c.due(102.0)
    assert kinds(c.answered(NOW, answer(36.0), 102.1)) == ["Send"]
    assert c.next_time() is None
    assert kinds(c.answered(COMPLETE, answer(37.0, complete=True), 120.0)) == ["Send", "End"]
    assert c.revision == 2


def test_with_room_for_one_origin_only_the_final_one_is_sent():
    c = chain(Pace(most_origins=1))
    assert c.start(100.0) == [Ask(COMPLETE)]
    assert c.next_time() is None


def test_an_abstention_on_partial_data_is_not_the_end_but_on_complete_data_it_is():
    c = chain()
    c.start(100.0)
    c.due(102.0)
    assert kinds(c.answered(NOW, answer(status="abstained", reason="low peak"), 102.3)) == ["Skip"]
    assert c.next_time() == pytest.approx(107.3)
    c.due(107.3)
    actions = c.answered(COMPLETE, answer(status="abstained", reason="low peak", detail="0.2 < 0.5"), 120.0)
    assert actions == [TakeBack(NOW), End("abstained", "low peak: 0.2 < 0.5")]
    assert c.ended


def test_a_full_queue_is_asked_again_later_and_later():
    c = chain()
    c.start(100.0)
    assert kinds(c.answered(COMPLETE, answer(status="refused", reason="queue full"), 100.1)) == ["Skip"]
    assert c.next_complete == pytest.approx(100.6)
    assert c.due(100.6) == [Ask(COMPLETE)]
    c.answered(COMPLETE, answer(status="refused", reason="queue full"), 100.7)
    assert c.next_complete == pytest.approx(101.7)


def test_a_refusal_for_good_ends_it():
    c = chain()
    c.start(100.0)
    actions = c.answered(COMPLETE, answer(status="refused", reason="unknown profile", detail="ok"), 100.1)
    assert actions == [End("refused", "unknown profile: ok")]


def test_a_worker_that_died_is_asked_again_until_the_chain_gives_up():
    c = chain()
    c.start(100.0)
    assert kinds(c.failed(COMPLETE, "the worker ended", 101.0)) == ["Skip"]
    assert c.due(101.5) == [Ask(COMPLETE)]
    (end,) = c.failed(COMPLETE, "the worker ended", 201.0)
    assert isinstance(end, End)
    assert end.outcome == "failed"


def test_after_a_restart_revisions_go_on_where_they_were():
    c = Chain("O1|ok", "O1", "ok", 200.0, PACE, token="abc", revision=2)
    c.start(200.0)
    (send, _) = c.answered(COMPLETE, answer(complete=True), 201.0)
    assert send == Send(3, True)


def test_an_accepted_answer_without_a_place_is_no_origin():
    c = chain()
    c.start(100.0)
    actions = c.answered(COMPLETE, {"status": "accepted", "solution": {"latitude": None}, "complete": True}, 101.0)
    assert kinds(actions) == ["End"]
    assert isinstance(actions[0], End)
    assert actions[0].outcome == "failed"


def test_ids_are_of_the_job_and_differ_with_trigger_profile_and_revision():
    token = token_of("O1", "ok")
    assert token == token_of("O1", "ok")
    others = [token_of("O2", "ok"), token_of("O1", "uk")]
    names = [origin_id_of(token, 1, False), origin_id_of(token, 2, False), origin_id_of(token, 2, True)]
    names.append(origin_id_of(token, 1, True, "asked"))
    assert len({*names, *(origin_id_of(other, 1, False) for other in others)}) == 6
    assert origin_id_of(token, 2, True) == origin_id_of(token, 0, True), "known before the number is"
    assert job_key("O1", "ok") != job_key("O1", "uk")


@pytest.mark.parametrize("bad", [None, {}, {"time": "noon", "latitude": 1, "longitude": 1, "depth_km": 1}])
def test_what_is_no_solution_has_no_place(bad: Any):
    assert place_of(bad) is None
    assert place_of({**answer()["solution"], "depth_km": float("nan")}) is None
    assert place_of({**answer()["solution"], "time": "2016-01-06T01:17:05Z"}) is not None


def test_moving_counts_depth_and_time():
    assert moved((0.0, 36.0, -97.0, 5.0), (2.0, 36.0, -97.0, 9.0)) == pytest.approx((4.0, 2.0))


def test_distances_on_the_sphere_hold_at_the_pole_and_across_the_date_line():
    assert distance_km(0.0, 179.9, 0.0, -179.9) == pytest.approx(22.2, abs=0.1)
    assert distance_km(90.0, 0.0, 90.0, 123.0) == pytest.approx(0.0, abs=1e-6)
    # Oklahoma City to Tulsa
    assert distance_km(35.4676, -97.5164, 36.1540, -95.9928) == pytest.approx(157.2, abs=1.0)


def test_backing_off_doubles_and_has_a_limit():
    assert [backoff(n, 0.5, 30.0) for n in (0, 1, 2, 3, 7, 5000)] == [0.5, 0.5, 1.0, 2.0, 30.0, 30.0]


def test_skips_say_why():
    c = chain()
    c.start(100.0)
    c.due(102.0)
    (skip,) = c.answered(NOW, answer(status="failed", reason="no waveforms"), 102.3)
    assert skip == Skip("failed on partial data: no waveforms")
