"""Inputs made ahead of training: augmented windows of every training event, kept in one file and held in memory.

The paper found its training bound by random reads; here each network reads its windows from memory, and all networks
of an experiment see the same ones.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .augmenting import NO_EVENT, Augmenter, Drawn
from .dataset import cannot_write
from .records import Record
from .windows import Windows, signal_to_noise

FloatArray = NDArray[np.float64]

TARGETS = ("x", "y", "depth", "time", "magnitude")
MOTION = ("snapshots", "waveforms")
_FORMAT, _VERSION = "dlloc windows", 1
_MASK_STEPS = 255.0


@dataclass(frozen=True)
class Bank:
    """Rows of inputs. ``arrays`` by the model's names: motion as float16 shares of the row's ``peak`` (row,), masks as
    uint8 of 255. ``targets`` (row, 5) in the order of :data:`TARGETS` (km, km, km, s after the window's first sample,
    magnitude), NaN where there is no event; ``second`` (row, 3) x, y, depth of a second event. ``event`` (row,): index
    of the event among those the bank was made of; ``kind``, ``lost``, ``snr`` as drawn.
    """

    arrays: dict[str, NDArray[Any]]
    peak: NDArray[np.float32]
    targets: NDArray[np.float32]
    second: NDArray[np.float32]
    event: NDArray[np.int64]
    kind: NDArray[np.int64]
    lost: NDArray[np.int64]
    snr: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.event)

    def rows(self, chosen: NDArray[np.int64], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """Inputs of ``chosen`` rows as the network takes them, in the order of ``names``."""
        out = []
        for name in names:
            values = self.arrays[name][chosen].astype(np.float32)
            if name in MOTION:
                values *= self.peak[chosen].reshape(-1, *[1] * (values.ndim - 1))
            elif name == "mask":
                values /= np.float32(_MASK_STEPS)
            out.append(values)
        return out


def exact_input(
    windows: Windows, record: Record, names: Sequence[str]
) -> tuple[list[NDArray[np.float32]], FloatArray, bool]:
    """Arrays of an unaugmented record as inference would see them, its targets (5,), and whether the plugin answers.

    Where the plugin finds no first break it gives no answer; the window is then the predicted one.
    """
    conditioned = windows.conditioned(record)
    found = windows.anchor(conditioned, record)
    built = windows.at(conditioned, windows.predicted_anchor(record) if found is None else found)
    arrays = [np.asarray(built.arrays[name], np.float32) for name in names]
    return arrays, targets_of(record, windows, built.starttime), found is not None


def targets_of(record: Record, windows: Windows, start_s: float) -> FloatArray:
    """(5,) in the order of :data:`TARGETS`."""
    x, y, depth = record.truth.local(windows.passport.frame)
    return np.array([x, y, depth, record.origin_s - start_s, record.truth.magnitude])


def _row(windows: Windows, augmenter: Augmenter, drawn: Drawn, rng: np.random.Generator) -> dict[str, Any]:
    record = drawn.record
    conditioned = windows.conditioned(record)
    automatic, error = augmenter.anchor_error(rng)
    found = windows.anchor(conditioned, record) if automatic else None
    anchor = windows.predicted_anchor(record) if found is None else found
    built = windows.at(conditioned, anchor + error)
    targets = targets_of(record, windows, built.starttime)
    return {
        "arrays": built.arrays,
        "targets": np.full(len(TARGETS), np.nan) if drawn.kind == NO_EVENT else targets,
        "second": drawn.second,
        "kind": drawn.kind,
        "lost": drawn.lost,
        "snr": signal_to_noise(conditioned, record.origin_s + windows.p_travel_s(record)),
    }


def make_bank(
    windows: Windows,
    augmenter: Augmenter,
    names: Sequence[str],
    per_event: int,
    seed: Sequence[int],
    progress: bool = True,
) -> Bank:
    """``per_event`` rows of each of the augmenter's events. Row k of event e depends on ``seed``, e and k alone."""
    events = len(augmenter.records)
    total = events * per_event
    store: dict[str, NDArray[Any]] = {}
    columns: dict[str, list[Any]] = {name: [] for name in ("peak", "targets", "second", "kind", "lost", "snr")}
    for step in tqdm(range(total), desc="windows", unit="window", disable=None if progress else True):
        event, number = divmod(step, per_event)
        rng = np.random.default_rng([*seed, event, number])
        drawn = augmenter.draw(rng, event)
        row = _row(windows, augmenter, drawn, rng)
        peak = 1.0
        for name in names:
            values = row["arrays"][name]
            if name in MOTION:
                peak = float(np.abs(values).max()) or 1.0
                kept = (values / np.float32(peak)).astype(np.float16)
            elif name == "mask":
                kept = np.round(np.asarray(values, np.float32) * _MASK_STEPS).astype(np.uint8)
            else:
                kept = np.asarray(values, np.float32)
            if name not in store:
                store[name] = np.empty((total, *kept.shape), kept.dtype)
            store[name][step] = kept
        columns["peak"].append(peak)
        for name in ("targets", "second", "kind", "lost", "snr"):
            columns[name].append(row[name])
    return Bank(
        store,
        np.array(columns["peak"], np.float32),
        np.array(columns["targets"], np.float32),
        np.array(columns["second"], np.float32),
        np.repeat(np.arange(events), per_event),
        np.array(columns["kind"], np.int64),
        np.array(columns["lost"], np.int64),
        np.array(columns["snr"], np.float32),
    )


def save_bank(path: Path, bank: Bank, header: Mapping[str, Any]) -> None:
    """Write a bank, whole or not at all. Raises SettingError where the disk is full or cannot be written."""
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w") as file:
            file.attrs.update(format=_FORMAT, format_version=_VERSION, header=json.dumps(dict(header), sort_keys=True))
            for name, values in bank.arrays.items():
                file.create_dataset(f"arrays/{name}", data=values, chunks=(1, *values.shape[1:]))
            for name in ("peak", "targets", "second", "event", "kind", "lost", "snr"):
                file[name] = getattr(bank, name)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # HDF5 raises RuntimeError where it cannot even close the file
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def load_bank(path: Path, header: Mapping[str, Any]) -> Bank | None:
    """The bank of ``path`` where it was made with the same ``header``; else None, and it is to be made anew."""
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("header") != json.dumps(dict(header), sort_keys=True):
                return None
            arrays = {name: values[()] for name, values in file["arrays"].items()}
            rest = {name: file[name][()] for name in ("peak", "targets", "second", "event", "kind", "lost", "snr")}
    except (OSError, KeyError):
        return None  # damaged: nothing is in it that cannot be made again
    return Bank(arrays, **rest)


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Of several processes that need the file ``path``, one makes it; the others wait here and find it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
