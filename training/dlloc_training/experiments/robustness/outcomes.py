"""What a network made of every event in every condition: what the report reads, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..npz import load_fields, save_fields

FloatArray = NDArray[np.float64]

FOLDER = "robustness"
"""In the run folder: NETWORK/SET.npz."""


@dataclass(frozen=True)
class Outcomes:
    """One network on one set. ``kinds``, ``labels``, ``groups``, ``at`` (condition,) say what went wrong and how far.

    A row is one event in one condition: ``condition`` (row,) its index, ``names`` (row,) of the event; ``x_km``,
    ``y_km``, ``depth_km`` (row,) answer minus truth, NaN without either; ``sigma_km`` (row,) the stated sigma of the
    epicentre, root of the sum of the squares of both axes; ``peak`` (row,) of a location image; ``anchored``: whether
    the plugin found a first break in the record, without which it asks no network; ``reason``: why it would not stand
    by this answer if it had, empty where it would; ``snr``, the median over stations of peak over noise, and
    ``magnitude``, of the event as it was shown.
    ``notes``: what could not be tested.
    """

    at: FloatArray
    kinds: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.str_]
    notes: NDArray[np.str_]
    condition: NDArray[np.int64]
    names: NDArray[np.str_]
    reason: NDArray[np.str_]
    anchored: NDArray[np.bool_]
    x_km: FloatArray
    y_km: FloatArray
    depth_km: FloatArray
    sigma_km: FloatArray
    peak: FloatArray
    snr: FloatArray
    magnitude: FloatArray

    @property
    def epicentre_km(self) -> FloatArray:
        """(row,) size of the epicentre's error."""
        return np.asarray(np.hypot(self.x_km, self.y_km))

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(row,): whether the plugin would give the answer and stand by it."""
        return np.asarray(self.anchored & (self.reason == ""))

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all."""
        save_fields(path, self)

    @classmethod
    def load(cls, path: Path) -> "Outcomes":
        """Read what :meth:`save` wrote; SettingError where it is something else."""
        return cls(**load_fields(path, cls))
