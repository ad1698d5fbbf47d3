"""What a network is given: the arrays of one of the plugin's representations, in its order of axes."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.passport import Passport

MAIN = {"snapshots": "snapshots", "stations": "waveforms"}
"""Name of the array that holds the motion, by representation."""

LOG_CENTRE = -6.0
"""log10(m/s) that is 0 to the networks: 1 micrometre per second."""


@dataclass(frozen=True)
class InputShape:
    """Shape of a network's input without the batch axis.

    ``kind`` ``snapshots``: ``shape`` (frame, row, column), ``rate_hz`` frames per second; ``stations``: ``shape``
    (component, station, sample), ``rate_hz`` samples per second. ``inputs``: the arrays that the network takes, in
    the order of its ``forward``: the motion (``snapshots`` or ``waveforms``) first, then any of ``mask`` (the same
    shape) and ``log_scale`` ((1,) for snapshots, (station,) for stations).

    ``scale`` ``given`` takes the motion as it comes; ``window`` divides each window that the network sees by its own
    largest absolute value, whose logarithm goes to the last layer, as does the mean logarithm of the pixels' or traces'
    largest values: for motion that was not normalised, or normalised over a longer window than the network's.
    """

    kind: Literal["snapshots", "stations"]
    shape: tuple[int, int, int]
    rate_hz: float
    inputs: tuple[str, ...]
    scale: Literal["given", "window"] = "given"

    def __post_init__(self) -> None:
        if self.kind not in MAIN:
            raise SettingError(f"input kind {self.kind!r} is unknown; known are {', '.join(MAIN)}")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise SettingError(f"input shape {self.shape} must be three numbers above 0")
        if not self.rate_hz > 0:
            raise SettingError(f"input rate {self.rate_hz} Hz must be above 0")
        main = MAIN[self.kind]
        allowed = {main, "mask", "log_scale"}
        if not self.inputs or self.inputs[0] != main or len(set(self.inputs)) != len(self.inputs):
            raise SettingError(f"inputs {', '.join(self.inputs)}: {main} must stand first, and each name once")
        if strangers := [name for name in self.inputs if name not in allowed]:
            raise SettingError(f"inputs: {', '.join(strangers)} unknown with {self.kind}; known {sorted(allowed)}")
        if self.scale not in ("given", "window"):
            raise SettingError(f"input scale {self.scale!r} is unknown; known are given, window")

    @classmethod
    def of(cls, passport: Passport, scale: Literal["given", "window"] = "given") -> "InputShape":
        """The shape that the plugin builds for a passport; the arrays are those that the passport lists."""
        what: dict[str, Any] = passport.representation
        kind = what["kind"]
        names = what.get("inputs") or [MAIN[kind]]
        inputs = tuple(sorted(names, key=lambda name: (name != MAIN[kind], name)))
        if kind == "snapshots":
            shape = (int(what["frames"]), int(what["rows"]), int(what["columns"]))
            return cls("snapshots", shape, float(what["frame_rate_hz"]), inputs, scale)
        settings = passport.preprocessing
        shape = (3, len(passport.stations), settings.window_samples)
        return cls("stations", shape, settings.sampling_rate_hz, inputs, scale)

    @property
    def layers(self) -> int:
        """1, or 2 with the mask beside the motion."""
        return 2 if "mask" in self.inputs else 1

    @property
    def extras(self) -> int:
        """How many logarithms of amplitudes the network gets beside the motion."""
        scales = (1 if self.kind == "snapshots" else self.shape[1]) if "log_scale" in self.inputs else 0
        return scales + 2 * (self.scale == "window")

    def of_input(self, name: str) -> tuple[int, ...]:
        """Shape of one array, without the batch axis."""
        if name == "log_scale":
            return (1 if self.kind == "snapshots" else self.shape[1],)
        return self.shape

    def example(self, batch: int, generator: torch.Generator | None = None) -> tuple[torch.Tensor, ...]:
        """Random arrays of this shape: normal motion, a mask of ones, log_scale about 1 micrometre per second."""
        arrays = []
        for name in self.inputs:
            shape = (batch, *self.of_input(name))
            noise = torch.randn(shape, generator=generator)
            arrays.append(torch.ones(shape) if name == "mask" else noise + LOG_CENTRE * (name == "log_scale"))
        return tuple(arrays)
