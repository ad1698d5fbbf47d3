"""Frozen records of arrays as .npz files, written whole or not at all."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from seiscomp_dlloc.errors import SettingError


def save_fields(path: Path, record: Any) -> None:
    """Write the fields of a dataclass of arrays, and of what NumPy can make arrays of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        arrays: dict[str, Any] = {item.name: np.asarray(getattr(record, item.name)) for item in fields(record)}
        np.savez_compressed(file, **arrays)
    os.replace(temporary, path)


def load_fields(path: Path, kind: Any) -> dict[str, Any]:
    """Arrays by the names of the fields of the dataclass ``kind``; SettingError where the file is something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {item.name: file[item.name] for item in fields(kind)}
    except (OSError, KeyError, ValueError) as error:
        raise SettingError(f"{path}: cannot be read as {kind.__name__.lower()} ({error}); evaluate again") from error
