"""The module's journal: what was announced is known after any death."""

import multiprocessing
import os
from pathlib import Path

import pytest

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.seiscomp_app.journal import Journal

DOCUMENT = b"<seiscomp>" + b"x" * 5000 + b"</seiscomp>"
NAME = "Origin/dlloc/abc/1"


def journal(folder: Path, **options: float) -> Journal:
    return Journal(str(folder / "journal.jsonl"), **options)


def with_one_sending(folder: Path) -> Journal:
    made = journal(folder)
    made.begin("O1|ok", "O1", "ok", 100.0)
    made.sending("O1|ok", "abc", NAME, 1, DOCUMENT, 101.0)
    return made


def test_what_was_sent_but_not_seen_in_the_database_is_known_after_a_restart(tmp_path: Path):
    made = with_one_sending(tmp_path)
    made.sent(NAME, 102.0)
    made.close()
    (left,) = journal(tmp_path).unstored()
    assert (left.public_id, left.state, left.document, left.revision) == (NAME, "sent", DOCUMENT, 1)


def test_what_the_database_has_is_not_sent_again(tmp_path: Path):
    made = with_one_sending(tmp_path)
    made.sent(NAME, 102.0)
    made.stored(NAME, 103.0)
    made.close()
    again = journal(tmp_path)
    assert again.unstored() == []
    assert again.sendings[NAME].document == b""


def test_a_job_without_end_is_taken_up_with_its_token_and_what_it_sent(tmp_path: Path):
    with_one_sending(tmp_path).close()
    (job,) = journal(tmp_path).unfinished()
    assert (job.key, job.origin, job.profile, job.token, job.sent) == ("O1|ok", "O1", "ok", "abc", [NAME])


def test_a_job_that_ended_is_known_and_not_taken_up(tmp_path: Path):
    made = with_one_sending(tmp_path)
    made.done("O1|ok", "accepted", 104.0)
    made.close()
    again = journal(tmp_path)
    assert again.unfinished() == []
    assert again.known("O1|ok")


def test_that_an_origin_was_the_last_survives(tmp_path: Path):
    made = journal(tmp_path)
    made.begin("O1|ok", "O1", "ok", 100.0)
    made.sending("O1|ok", "abc", NAME, 2, DOCUMENT, 101.0, final=True)
    made.close()
    assert journal(tmp_path).sendings[NAME].final
    assert journal(tmp_path).sendings[NAME].final, "and compacting"


@pytest.mark.parametrize("cut", [1, 40, 4000])
def test_a_last_line_that_a_crash_tore_is_dropped_and_the_rest_is_kept(tmp_path: Path, cut: int):
    made = with_one_sending(tmp_path)
    made.begin("O2|ok", "O2" + "y" * 5000, "ok", 105.0)
    made.close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = journal(tmp_path)
    assert again.dropped_lines == 1
    assert [job.origin for job in again.unfinished()] == ["O1"]
    again.begin("O3|ok", "O3", "ok", 106.0)
    again.close()
    assert [job.origin for job in journal(tmp_path).unfinished()] == ["O1", "O3"]


@pytest.mark.parametrize("line", [b"\0" * 100, b"[1, 2]", b"{}", b'{"what":"sent","t":1,"id":"unknown"}', b"\xff\xfe"])
def test_a_damaged_line_costs_only_itself(tmp_path: Path, line: bytes):
    made = with_one_sending(tmp_path)
    made.close()
    path = tmp_path / "journal.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    again = journal(tmp_path)
    assert again.dropped_lines == 1
    assert len(again.unstored()) == 1


def test_old_jobs_are_forgotten_when_the_file_is_compacted_but_not_what_is_on_its_way(tmp_path: Path):
    made = with_one_sending(tmp_path)
    made.done("O1|ok", "accepted", 104.0)
    made.begin("O2|ok", "O2", "ok", 100.0)
    made.done("O2|ok", "abstained", 104.0)
    made.compact(now=100.0 + 8 * 86400.0)
    assert set(made.jobs) == {"O1|ok"}, "its origin is not in the database yet"
    made.stored(NAME, 105.0)
    made.compact(now=100.0 + 8 * 86400.0)
    assert made.jobs == {}
    assert (tmp_path / "journal.jsonl").read_bytes() == b""


def test_a_file_that_has_grown_is_compacted_while_it_is_used(tmp_path: Path):
    made = journal(tmp_path)
    for number in range(30):
        made.begin("O|ok", "O", "ok", float(number))
    made.compact_when_long(most_lines=20)
    made.begin("P|ok", "P", "ok", 31.0)
    made.close()
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 2


def test_only_the_first_start_is_fresh(tmp_path: Path):
    made = journal(tmp_path)
    assert made.fresh
    made.close()
    assert not journal(tmp_path).fresh


def _hold(path: str, ready: "multiprocessing.synchronize.Event", end: "multiprocessing.synchronize.Event") -> None:
    held = Journal(path)
    ready.set()
    end.wait(60)
    held.close()


def test_a_second_process_cannot_write_it(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path / "journal.jsonl"), ready, end))
    other.start()
    assert ready.wait(60)
    with pytest.raises(SettingError, match="second module"):
        journal(tmp_path, wait_s=0.0)
    end.set()
    other.join(60)
    journal(tmp_path, wait_s=60.0).close()


def test_a_folder_that_cannot_be_written_is_told_by_its_setting(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"journal\.file"):
        Journal(str(tmp_path / "file" / "journal.jsonl"))


def test_each_line_is_on_disk_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (synced.append(handle), real(handle))[1])
    made = with_one_sending(tmp_path)
    assert len(synced) == 2
    assert (tmp_path / "journal.jsonl").read_bytes().count(b"\n") == 2
    made.close()
