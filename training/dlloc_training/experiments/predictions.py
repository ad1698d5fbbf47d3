"""What a network answered on a set of events, beside the truth: what evaluation reads, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError

from .npz import load_fields, save_fields

FloatArray = NDArray[np.float64]

HELD_OUT, TEST, OFF_NODE = "held-out", "test", "off-node"
RECORDED_HELD_OUT, RECORDED_TEST = "recorded-held-out", "recorded-test"


@dataclass(frozen=True)
class Predictions:
    """Answers of one network on one set.

    ``names`` (event,); ``parameters``: the network's, of x, y, depth (km), time (s after the window's first frame) and
    magnitude. ``truth`` (event, parameter), ``mean`` and ``sigma`` (event, window, parameter), NaN where unknown.
    ``until_s`` (window,): how far after the trigger the data of a window reach, in s; the last window's answer is the
    published one. Of each event: ``snr``, the median over stations of peak over noise level (a ratio), ``lost``
    stations cut out, ``magnitude``, ``latitude``, ``longitude``, ``depth_km`` of the truth, and ``spacing_km``, the
    distance (three-dimensional) to the nearest training event.
    """

    names: NDArray[np.str_]
    parameters: tuple[str, ...]
    truth: FloatArray
    mean: FloatArray
    sigma: FloatArray
    until_s: FloatArray
    snr: FloatArray
    lost: NDArray[np.int64]
    magnitude: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    depth_km: FloatArray
    spacing_km: FloatArray

    def __post_init__(self) -> None:
        events, windows, count = len(self.names), len(self.until_s), len(self.parameters)
        for name, shape in (("truth", (events, count)), ("mean", (events, windows, count)),
                            ("sigma", (events, windows, count))):  # fmt: skip
            if getattr(self, name).shape != shape:
                raise SettingError(f"predictions: {name} has shape {getattr(self, name).shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def errors(self) -> FloatArray:
        """(event, window, parameter): answer minus truth."""
        return np.asarray(self.mean - self.truth[:, None])

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all."""
        save_fields(path, self)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read what :meth:`save` wrote; SettingError where it is something else."""
        values = load_fields(path, cls)
        values["parameters"] = tuple(str(name) for name in values["parameters"])
        return cls(**values)
