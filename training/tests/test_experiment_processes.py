"""Several processes that train one network together, by Lightning."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from dlloc_training.experiments.computing import Compute, first_process
from dlloc_training.experiments.curves import CURVES
from dlloc_training.experiments.fitting import LAST
from dlloc_training.experiments.training import DONE, WEIGHTS

from seiscomp_dlloc.errors import SettingError

from . import tinyrun

PACKAGE = Path(__file__).parents[1]

# The children of both strategies run this file too; each says which events' rows it was given
SCRIPT = """
import json, os, sys
from pathlib import Path
from dlloc_training.experiments import trained

iterate = trained.EventBatches.__iter__

def told(self):
    for rows in iterate(self):
        with open(Path(os.environ["ROWS_FOLDER"]) / f"rows-{self.share[0]}-of-{self.share[1]}", "a") as file:
            file.write(json.dumps([self.epoch, rows.tolist()]) + "\\n")
        yield rows

trained.EventBatches.__iter__ = told

if __name__ == "__main__":
    from dlloc_training.__main__ import main
    sys.exit(main(sys.argv[1:]))
"""


def ran(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "ROWS_FOLDER": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=PACKAGE, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["auto", "ddp"])
def test_two_processes_train_on_disjoint_halves_and_end(tmp_path: Path, strategy: str) -> None:
    # With lost stations every event has all its windows, so that no row comes twice
    experiment = tinyrun.written(tmp_path, re.sub(r"(network = .(volume_cnn|slim).)", r"\1\nlost = true", tinyrun.TEXT))
    run = tmp_path / "run"
    ended = ran(
        tmp_path, "train", str(experiment.path), "-o", str(run), "-q", "--workers", "1",
        "--accelerator", "cpu", "--devices", "2", "--strategy", strategy,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [line.split(" (")[0] for line in ended.stdout.splitlines() if "trained" in line] == [
        "volume: trained", "slim: trained",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.glob("rows-*")) == ["rows-0-of-2", "rows-1-of-2"]
    lines = [[json.loads(line) for line in (tmp_path / f"rows-{k}-of-2").read_text().splitlines()] for k in range(2)]
    # Two networks of two epochs: what each process was given, epoch by epoch
    assert len(lines[0]) == len(lines[1]) > 4
    assert [epoch for epoch, _ in lines[0]] == [epoch for epoch, _ in lines[1]]
    steps = len(lines[0]) // 4
    for first in range(0, len(lines[0]), steps):
        mine, other = ({row for _, rows in part[first : first + steps] for row in rows} for part in lines)
        assert not mine & other
        assert len(mine) == len(other) == 16 * steps
    for name in ("volume", "slim"):
        folder = run / "networks" / name
        assert (folder / DONE).exists()
        state = torch.load(folder / WEIGHTS, weights_only=True)
        assert all(torch.isfinite(value).all() for value in state.values())
        curves = np.genfromtxt(folder / CURVES, delimiter=",", names=True)
        assert curves["epoch"].tolist() == [0.0, 1.0]
        # The schedule is as long as the steps that are taken: the rate ends near 0
        checkpoint = torch.load(folder / LAST, weights_only=False)
        assert checkpoint["lr_schedulers"][0]["last_epoch"] == checkpoint["global_step"] == 2 * steps
    again = ran(tmp_path, "train", str(experiment.path), "-o", str(run), "-q", "--accelerator", "cpu")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("was trained already") == 2


def test_a_machine_without_such_an_accelerator_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SettingError, match="computing: "):
        Compute("gpu").trainer(logger=False)
    with pytest.raises(SettingError, match="computing: "):
        Compute("abacus").trainer(logger=False)
    with pytest.raises(SettingError, match="computing: "):
        Compute("cpu", precision="7-bit").trainer(logger=False)


def test_alone_this_process_is_the_first() -> None:
    assert first_process()
    assert Compute("cpu", 2, 3).processes == 6


@pytest.mark.parametrize(
    ("devices", "strategy", "start"), [(1, "auto", None), (2, "auto", "spawn"), (2, "ddp", "popen")]
)
def test_processes_of_one_machine_are_started_for_the_training_alone(devices, strategy, start) -> None:
    made = Compute("cpu", devices, strategy=strategy, progress=False).trainer(logger=False).strategy
    assert getattr(made, "_start_method", None) == start
