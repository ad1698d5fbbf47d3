"""Waiting for waveforms and for a turn: sources that grow, stall, fail and hang."""

import contextlib
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from seiscomp_dlloc.errors import WaveformReadError
from seiscomp_dlloc.waveforms.base import Acquired, Selection, WaveformSource
from seiscomp_dlloc.worker.acquire import STALLED_S, Later, Opened, Progress, Window, gather
from seiscomp_dlloc.worker.running import Cancelled, Running, Slots

STATIONS = ("XX.A", "XX.B", "XX.C")


def running(left_s: float = 30.0) -> Running:
    return Running({"id": "job", "left_s": left_s}, {}, lambda *_: None)


def stream(start: float, ends: dict[str, float]) -> Stream:
    """One trace per station at 10 Hz, from ``start`` to just before each of ``ends``."""
    traces = []
    for station, end in ends.items():
        network, code = station.split(".")
        header = {"network": network, "station": code, "channel": "HHZ", "sampling_rate": 10.0}
        header["starttime"] = UTCDateTime(start)
        traces.append(Trace(np.zeros(round((end - start) * 10), np.int32), header))
    return Stream(traces)


class Growing(WaveformSource):
    """A source that has what ``available`` says at each call; an exception in place of it is raised."""

    def __init__(self, available: Callable[[int], Stream]):
        self._available = available
        self.calls = 0

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        self.calls += 1
        return Acquired(self._available(self.calls))


def window(seconds: float = 10.0, ago: float = 10.0) -> Window:
    """A window of ``seconds`` that ended ``ago`` seconds before now."""
    end = time.time() - ago
    return Window(STATIONS, end - seconds, end)


def test_data_that_still_come_are_waited_for_and_no_longer():
    wanted = window()
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, wanted.start + min(4.0 * call, 10.0))))
    gathered = gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), True, 0.1)
    assert gathered.complete
    assert gathered.note == ""
    assert source.calls == 3


def test_data_are_taken_as_they_are_where_nobody_waits():
    wanted = window()
    source = Growing(lambda call: stream(wanted.start, {"XX.A": wanted.end, "XX.B": wanted.start + 4.0}))
    gathered = gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), False, 0.1)
    assert (gathered.complete, gathered.behind, source.calls) == (False, ("XX.B",), 1)
    assert "XX.B ended before the window did" in gathered.note


def test_old_data_are_never_waited_for():
    wanted = window(ago=10_000.0)
    source = Growing(lambda call: stream(wanted.start, {"XX.A": wanted.start + 4.0}))
    assert not gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), True, 0.1).complete
    assert source.calls == 1


def test_at_the_deadline_partial_data_are_used_with_time_left_to_locate():
    wanted = window()
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, wanted.start + 4.0)))
    job = running(1.5)
    gathered = gather(Opened(source, poll_s=0.05), wanted, job, Slots(1), True, 0.5)
    assert not gathered.complete
    assert gathered.behind == STATIONS
    assert job.left_s > 0.3
    assert source.calls > 2


def test_a_window_that_ends_later_is_not_asked_for_again_and_again():
    wanted = window(ago=-1.0)
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, min(time.time(), wanted.end))))
    gathered = gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), True, 0.1)
    assert gathered.complete
    assert source.calls <= 2


def test_a_window_whose_end_the_data_tell_is_waited_for_no_longer_than_that():
    begun = time.time()
    wanted = Window(STATIONS, begun - 60.0, begun + 60.0)
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, begun - 20.0 + 10.0 * min(call, 2))))
    asked: list[float] = []

    def end(there: Stream) -> float:
        asked.append(float(there[0].stats.endtime))
        return begun - 3.0 if len(asked) == 1 else begun

    job = running(30.0)
    gathered = gather(Opened(source, poll_s=0.01), wanted, job, Slots(1), True, 0.1, Later(begun - 5.0, end))
    assert gathered.complete
    assert len(asked) == 1, "asked once, when the data reached the time"
    assert asked[0] >= begun - 6.0
    assert job.left_s > 15.0


def test_data_that_do_not_tell_the_windows_end_leave_it_as_it_is():
    wanted = window(ago=5.0)
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, wanted.start + min(4.0 * call, 10.0))))
    later = Later(wanted.start + 3.0, lambda there: None)
    gathered = gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), True, 0.1, later)
    assert gathered.complete
    assert source.calls == 3
    # Nor does one that lies behind it make the window longer
    later = Later(wanted.start + 3.0, lambda there: wanted.end + 1000.0)
    assert gather(Opened(source, poll_s=0.01), wanted, running(), Slots(1), True, 0.1, later).complete


def test_the_data_are_not_asked_for_the_windows_end_before_they_reach_so_far():
    wanted = window()
    source = Growing(
        lambda call: stream(wanted.start, {**dict.fromkeys(STATIONS, wanted.end), "XX.A": wanted.start + 4.0})
    )

    def end(there: Stream) -> float:
        raise AssertionError("XX.A still comes")

    gathered = gather(Opened(source), wanted, running(), Slots(1), False, 0.1, Later(wanted.start + 8.0, end))
    assert gathered.behind == ("XX.A",)


def test_a_failure_is_forgotten_once_data_come_and_raised_where_none_do():
    wanted = window()

    def flaky(call: int) -> Stream:
        if call < 3:
            raise WaveformReadError("not yet")
        return stream(wanted.start, dict.fromkeys(STATIONS, wanted.end))

    assert gather(Opened(Growing(flaky), poll_s=0.01), wanted, running(), Slots(1), True, 0.1).complete

    def broken(call: int) -> Stream:
        raise WaveformReadError("never")

    with pytest.raises(WaveformReadError, match="never"):
        gather(Opened(Growing(broken), poll_s=0.01), wanted, running(0.5), Slots(1), True, 0.1)


def test_a_source_that_hangs_later_leaves_what_it_gave_before():
    wanted, release = window(), threading.Event()

    def hangs(call: int) -> Stream:
        if call > 1:
            release.wait(60.0)
        return stream(wanted.start, dict.fromkeys(STATIONS, wanted.start + 4.0))

    try:
        gathered = gather(Opened(Growing(hangs), poll_s=0.01), wanted, running(1.0), Slots(1), True, 0.3)
        assert not gathered.complete
        assert len(gathered.acquired.stream) == 3
    finally:
        release.set()


def test_a_source_that_never_answers_gets_no_more_requests_after_a_while():
    wanted, release = window(), threading.Event()

    def hangs(call: int) -> Stream:
        release.wait(60.0)
        return Stream()

    source = Growing(hangs)
    opened = Opened(source)
    try:
        for _ in range(20):
            with pytest.raises(WaveformReadError):
                gather(opened, wanted, running(0.12), Slots(1), False, 0.1)
        assert source.calls == 8
    finally:
        release.set()
    source._available = lambda call: stream(wanted.start, dict.fromkeys(STATIONS, wanted.end))
    limit = time.monotonic() + 30.0
    while opened.stuck["threads"]:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert gather(opened, wanted, running(), Slots(1), False, 0.1).complete


def test_no_slot_is_held_while_data_are_waited_for():
    wanted, slots = window(), Slots(1)
    source = Growing(lambda call: stream(wanted.start, dict.fromkeys(STATIONS, wanted.start + 4.0)))
    job = running()
    waiting = threading.Thread(target=_until_cancelled, args=(source, wanted, job, slots), daemon=True)
    waiting.start()
    other = running(10.0)
    while source.calls < 1:
        time.sleep(0.005)
    other.enter(slots)
    other.leave(slots)
    job.cancel()
    waiting.join(30.0)
    assert not waiting.is_alive()


def _until_cancelled(source: WaveformSource, wanted: Window, job: Running, slots: Slots) -> None:
    with contextlib.suppress(Cancelled):
        gather(Opened(source, poll_s=5.0), wanted, job, slots, True, 0.1)


def test_a_station_that_stands_still_is_not_waited_for_once_most_are_complete():
    progress = Progress(110.0)
    progress.note(stream(100.0, {"XX.A": 104.0, "XX.B": 104.0, "XX.C": 104.0}), now=0.0)
    assert not progress.done(now=STALLED_S + 1.0)
    progress.note(stream(100.0, {"XX.A": 110.0, "XX.B": 110.0, "XX.C": 104.0}), now=10.0)
    assert not progress.done(now=STALLED_S - 1.0)
    assert progress.done(now=STALLED_S + 1.0)
    assert progress.behind() == ("XX.C",)
    assert not Progress(110.0).done(now=1e6)


def test_slots_are_given_in_the_order_of_asking():
    slots, order = Slots(1), []
    first = running()
    first.enter(slots)

    def work(number: int) -> None:
        job = running()
        job.enter(slots)
        order.append(number)
        job.leave(slots)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,), daemon=True))
        threads[-1].start()
        while len(slots._queue) <= number:
            time.sleep(0.001)
    first.leave(slots)
    first.leave(slots)
    for thread in threads:
        thread.join(30.0)
    assert order == list(range(5))
    assert slots._free == 1


def test_a_job_that_hangs_in_a_slot_loses_it_when_it_is_cancelled():
    slots = Slots(1)
    hangs, other = running(), running()
    hangs.enter(slots)
    hangs.cancel()
    other.enter(slots)
    hangs.leave(slots)
    assert slots._free == 0
    other.leave(slots)
    assert slots._free == 1
    with pytest.raises(Cancelled):
        hangs.enter(slots)
    assert slots._free == 1


def test_a_job_that_gets_no_slot_in_time_gives_up_its_place():
    slots = Slots(1)
    first = running()
    first.enter(slots)
    with pytest.raises(Cancelled):
        running(0.05).enter(slots)
    first.leave(slots)
    running().enter(slots)
