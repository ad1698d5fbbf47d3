"""Work spread over processes and over Dask: the same results whoever computed them, and none lost."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dlloc_training.__main__ import main
from dlloc_training.experiments import synthesis, workers
from dlloc_training.experiments.dataset import DatasetWriter
from dlloc_training.experiments.drawing import draw_events
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.experiments.synthesis import DATASET, Batch, TableTask, make_batch, make_table, run_synthesis
from dlloc_training.experiments.workers import workplace

from seiscomp_dlloc.errors import SettingError

from .pieces import die_always, die_once, double, hunger, name_process, refuse
from .test_experiment_synthesis import SMALL, quiet

MANY = SMALL.replace("off_node = 3", "off_node = 200")


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFile:
    path = tmp_path / "small.toml"
    path.write_text(MANY)
    return read_experiment(path)


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / DATASET).read_bytes()).hexdigest()


def test_two_processes_make_the_file_that_one_makes_byte_by_byte(experiment: ExperimentFile, tmp_path: Path) -> None:
    quiet(experiment, tmp_path / "one").close()
    run_synthesis(experiment, tmp_path / "two", say=lambda _: None, progress=False, workers=2).close()
    assert len(synthesis.batches(draw_events(experiment))) >= 6
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_the_order_in_which_batches_come_leaves_no_trace(
    experiment: ExperimentFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(experiment, tmp_path / "forward").close()
    monkeypatch.setattr(workers._Here, "each", lambda _, function, pieces: (function(p) for p in reversed(pieces)))
    quiet(experiment, tmp_path / "backward").close()
    assert digest(tmp_path / "forward") == digest(tmp_path / "backward")


def test_work_goes_to_several_processes_none_of_them_this_one() -> None:
    with workplace(2) as place:
        assert sorted(place.each(double, range(10))) == [2 * k for k in range(10)]
        pids = set(place.each(name_process, range(40)))
        assert len(pids) == 2
        assert os.getpid() not in pids


def test_what_a_dead_worker_had_is_made_by_another(tmp_path: Path) -> None:
    mark = str(tmp_path / "died")
    with workplace(2) as place:
        assert sorted(place.each(die_once, [(k, mark) for k in range(8)])) == list(range(8))
    assert Path(mark).exists()


def test_work_that_kills_every_worker_is_given_up_after_the_others_had_their_turn() -> None:
    done: list[int] = []
    with workplace(2) as place:
        with pytest.raises(SettingError, match="4 times a worker died"):
            done.extend(place.each(die_always, range(8)))
        assert len(done) >= 6  # one may have been beside the killer each time
        assert 3 not in done
        assert sorted(place.each(double, range(3))) == [0, 2, 4]


def test_an_error_of_a_worker_is_the_runs() -> None:
    with workplace(2) as place, pytest.raises(SettingError, match="cannot be"):
        list(place.each(refuse, [1]))
    for count in (1, 2):
        with workplace(count) as place, pytest.raises(SettingError, match="no memory left"):
            list(place.each(hunger, [1]))
    with pytest.raises(SettingError, match="--workers 0"), workplace(0):
        pass


def test_a_worker_refuses_what_it_cannot_make_alike(experiment: ExperimentFile, tmp_path: Path) -> None:
    events = draw_events(experiment)
    part = synthesis.batches(events)[0]
    batch = Batch(experiment, 0, part, events.take(part), tmp_path / "elsewhere.h5")
    with pytest.raises(SettingError, match=r"elsewhere\.h5: a worker on .* does not see it"):
        make_batch(batch)
    with pytest.raises(SettingError, match=r"dlloc_training is 0\.0\.1 here"):
        make_table(TableTask(experiment, experiment.earth, tmp_path / "t.h5", False, "0.0.1"))


def test_dask_that_is_not_there_is_named_with_what_to_install(
    experiment: ExperimentFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["synthesize", str(experiment.path), "-o", str(tmp_path / "run"), "--dask", "local"]) == 2
    assert "pip install 'dlloc_training[scale]'" in capsys.readouterr().err


def test_an_address_takes_no_number_of_local_processes(
    experiment: ExperimentFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synthesize", str(experiment.path), "--dask", "tcp://127.0.0.1:1", "--workers", "2"]) == 2
    assert "--workers" in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_named(
    experiment: ExperimentFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x:1"):
        assert main(["synthesize", str(experiment.path), "-o", str(tmp_path / "run"), "--dask", address]) == 2
        assert f"--dask {address}: no scheduler answers there" in capsys.readouterr().err


@pytest.mark.slow
def test_a_local_dask_cluster_makes_the_same_file(experiment: ExperimentFile, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    quiet(experiment, tmp_path / "one").close()
    options = ["-o", str(tmp_path / "dask"), "--dask", "local", "--workers", "2"]
    assert main(["synthesize", str(experiment.path), *options]) == 0
    assert digest(tmp_path / "one") == digest(tmp_path / "dask")


@dataclass(frozen=True)
class Cluster:
    """A scheduler and two workers, each a process of its own."""

    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: list["subprocess.Popen[bytes]"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = {**os.environ, "PYTHONPATH": path}
    report = tmp_path / "scheduler.json"
    with ExitStack() as stack, (tmp_path / "log").open("wb") as log:

        def start(*command: str) -> "subprocess.Popen[bytes]":
            made = subprocess.Popen([sys.executable, "-m", *command], env=env, stdout=log, stderr=log, cwd=tmp_path)
            stack.callback(made.wait)
            stack.callback(made.kill)
            return made

        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(report)]
        scheduler = start("distributed.cli.dask_scheduler", *options)
        until = time.monotonic() + 60
        while not report.exists():
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        options = ["--scheduler-file", str(report), "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        pair = [start("distributed.cli.dask_worker", *options) for _ in range(2)]
        yield Cluster(json.loads(report.read_text())["address"], scheduler, pair)


@contextmanager
def after_batches(number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Act once that many batches are written; gives the list that grows by one for each."""
    made, count = DatasetWriter.write, list[int]()

    def write(self: DatasetWriter, events: Any, velocity: Any) -> None:
        made(self, events, velocity)
        count.append(len(events))
        if len(count) == number:
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatasetWriter, "write", write)
        yield count


@pytest.mark.slow
def test_a_dask_cluster_by_its_address_loses_a_worker_and_makes_the_same_file(
    experiment: ExperimentFile, tmp_path: Path, cluster: Cluster
) -> None:
    quiet(experiment, tmp_path / "one").close()
    address, pair = cluster.address, cluster.workers
    with after_batches(2, pair[0].kill):
        assert main(["synthesize", str(experiment.path), "-o", str(tmp_path / "dask"), "--dask", address]) == 0
    assert pair[0].wait() != 0
    assert pair[1].poll() is None
    assert digest(tmp_path / "one") == digest(tmp_path / "dask")


@pytest.mark.slow
def test_a_scheduler_that_goes_is_said_and_what_was_made_is_kept(
    experiment: ExperimentFile, tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet(experiment, tmp_path / "one").close()
    command = ["synthesize", str(experiment.path), "-o", str(tmp_path / "dask")]
    with after_batches(2, cluster.scheduler.kill):
        assert main([*command, "--dask", cluster.address]) == 2
    assert "Dask: the scheduler has gone" in capsys.readouterr().err
    with after_batches(1, lambda: None) as count:
        assert main([*command, "--workers", "1"]) == 0
    assert len(count) < len(synthesis.batches(draw_events(experiment)))
    assert digest(tmp_path / "one") == digest(tmp_path / "dask")
