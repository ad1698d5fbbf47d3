"""Learning curves of a training: a table that is renewed after each epoch."""

import csv
import math
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from seiscomp_dlloc.formats.atomic import write_atomically

CURVES = "metrics.csv"


class Curves(Callback):
    """Renews metrics.csv after each epoch; what was there of earlier epochs stays. Squares become their roots.

    ``seconds`` that an epoch took: a run that was stopped must not forget the time before.
    """

    def __init__(self, path: Path, report: Any = None):
        self.path, self.report = path, report
        self._began = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Begin to count."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """One more row."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row: dict[str, float] = {"epoch": trainer.current_epoch}
        for name, value in values.items():
            root = name.startswith("square_")
            row[f"rmse_{name.removeprefix('square_')}" if root else name] = math.sqrt(value) if root else value
        row["seconds"], self._began = time.monotonic() - self._began, time.monotonic()
        if trainer.is_global_zero:
            before = [r for r in _rows(self.path) if int(r["epoch"]) < trainer.current_epoch]
            names = list(row)
            lines = [",".join(names)]
            lines += [",".join(r.get(name, "") for name in names) for r in before]
            lines.append(",".join(f"{row[name]:.6g}" for name in names))
            write_atomically(self.path, ("\n".join(lines) + "\n").encode())
        if self.report is not None:
            self.report(trainer.current_epoch, row["rmse_held_out"])


def seconds_of(folder: Path) -> float:
    """How long the epochs of the network in ``folder`` took, in all runs together."""
    return sum(float(row.get("seconds") or 0.0) for row in _rows(folder / CURVES))


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
