"""Networks that return parameters: x, y, depth, origin time, magnitude, each with its standard deviation.

A :class:`Regressor` joins a trunk (motion to features) and a head (features to parameters), or several such branches
side by side. It works in standardised units (zero mean and unit variance over the training events), which it holds
itself, so that :class:`ParameterVector`, the module that is exported, returns km, s and magnitude units.

Where the input is longer than the window that the network sees, the estimate is that of the last window, and
:meth:`Regressor.curve` gives all of them, one per frame: the evolution of the estimate in Sugiyama et al. (2021).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from seiscomp_dlloc.errors import SettingError

from .head import Head
from .outputs import Outputs
from .settings import HeadSettings
from .shapes import LOG_CENTRE, InputShape
from .units import Estimates, ParameterUnits

TINY = 1e-20
QUIET = 1e-6
"""Share of the largest value below which a pixel or a trace is taken for one without data."""


class Trunk(nn.Module):
    """Motion (batch, layer, frame, row, column) or (batch, layer * component, station, sample) to (batch, features).

    ``layer`` is 1, or 2 with the mask.
    """

    features: int


class Branch(nn.Module):
    """One trunk with its head."""

    def __init__(self, trunk: Trunk, settings: HeadSettings, extras: int, parameters: int, uncertainty: bool):
        super().__init__()
        self.trunk = trunk
        self.head = Head(trunk.features, extras, parameters, settings, uncertainty)

    def forward(self, motion: torch.Tensor, extras: torch.Tensor | None) -> torch.Tensor:
        """(batch, parameters, 2)."""
        estimate: torch.Tensor = self.head(self.trunk(motion), extras)
        return estimate


class Regressor(ParameterUnits):
    """Arrays of :class:`InputShape` to standardised estimates (batch, parameter, 2): mean, log sigma.

    ``window``: frames that the network sees at once. ``compression`` c: motion m, scaled to the window's largest
    value, enters as log(1 + c |m|) / log(1 + c) with its sign; 0: as it is (needs the scale ``window``). Each branch
    answers one group of ``outputs``. Branches share no weight, so training them together with an optimiser that works
    weight by weight (Adam) is training them apart, as long as gradients are not clipped by their common norm.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        shape: InputShape,
        window: int,
        outputs: Outputs,
        compression: float = 0.0,
    ):
        windows = shape.shape[0] - window + 1 if shape.kind == "snapshots" else 1
        if window < 1 or windows < 1:
            raise SettingError(f"network setting window_frames: {window} does not fit {shape.shape[0]} frames")
        super().__init__(outputs, windows, 1.0 / shape.rate_hz)
        if len(branches) != len(outputs.groups):
            raise ValueError(f"{len(branches)} branches for {len(outputs.groups)} groups of parameters")
        self.branches, self.input_shape, self.window = nn.ModuleList(branches), shape, window
        self.compression = compression

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arrays that :meth:`forward` takes, in its order."""
        return self.input_shape.inputs

    def _pieces(self, arrays: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor | None]:
        named = dict(zip(self.input_names, arrays, strict=True))
        motion = arrays[0]
        layers = [motion, named["mask"]] if "mask" in named else [motion]
        if self.input_shape.kind == "snapshots":
            return torch.stack(layers, 1), named.get("log_scale")
        return torch.cat(layers, 1), named.get("log_scale")

    def _answer(self, stacked: torch.Tensor, log_scale: torch.Tensor | None) -> torch.Tensor:
        extras: list[torch.Tensor] = []
        if log_scale is not None:
            # 0 says that nothing was normalised: no motion
            extras.append(torch.where(log_scale == 0, torch.zeros_like(log_scale), log_scale - LOG_CENTRE))
        if self.input_shape.scale == "window":
            share = stacked.shape[1] // self.input_shape.layers  # the rest is the mask
            motion = stacked[:, :share]
            peak = motion.abs().flatten(1).amax(1, keepdim=True).clamp_min(TINY)
            motion = motion / peak.reshape(-1, *[1] * (stacked.dim() - 1))
            level = torch.where(peak > TINY, torch.log10(peak), torch.zeros_like(peak))
            extras += [level, level + self._mean_level(motion)]
            stacked = torch.cat([self._compressed(motion), stacked[:, share:]], 1)
        joined = torch.cat(extras, 1) if extras else None
        return torch.cat([branch(stacked, joined) for branch in self.branches], 1)

    def _mean_level(self, motion: torch.Tensor) -> torch.Tensor:
        """(batch, 1): log10 of the largest absolute value in time, averaged over the pixels or traces that have one.

        One station's site decides the largest value of all; this rests on all of them.
        """
        axis = 2 if self.input_shape.kind == "snapshots" else -1
        largest = motion.abs().amax(axis).flatten(1)
        there = (largest > QUIET).to(largest.dtype)
        logs = torch.log10(largest.clamp_min(QUIET)) * there
        return logs.sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1.0)

    def _compressed(self, motion: torch.Tensor) -> torch.Tensor:
        """Motion between -1 and 1 on a logarithmic scale, so that weak first breaks show beside strong S waves."""
        if not self.compression:
            return motion
        return torch.sign(motion) * torch.log1p(self.compression * motion.abs()) / math.log1p(self.compression)

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        """(batch, parameter, 2) from the published window; arrays as ``input_names`` says, the batch first."""
        stacked, log_scale = self._pieces(arrays)
        if self.windows > 1:
            first = int(self.published)
            stacked = stacked[:, :, first : first + self.window]
        return self._answer(stacked, log_scale)

    def at(self, windows: torch.Tensor, *arrays: torch.Tensor) -> torch.Tensor:
        """(batch, parameter, 2) from one window of each input; ``windows`` (batch,) says which."""
        stacked, log_scale = self._pieces(arrays)
        if self.windows > 1:
            starts = windows.tolist()
            stacked = torch.stack([row[:, k : k + self.window] for row, k in zip(stacked, starts, strict=True)])
        return self._answer(stacked, log_scale)

    def curve(self, *arrays: torch.Tensor) -> torch.Tensor:
        """(batch, window, parameter, 2) from every window of the input, each one frame after the other."""
        stacked, log_scale = self._pieces(arrays)
        if self.windows == 1:
            return self._answer(stacked, log_scale)[:, None]
        moved = torch.stack([stacked[:, :, k : k + self.window] for k in range(self.windows)], 1)
        if log_scale is not None:
            log_scale = log_scale[:, None].expand(-1, self.windows, -1).flatten(0, 1)
        return self._answer(moved.flatten(0, 1), log_scale).reshape(-1, self.windows, len(self.outputs.names), 2)

    def predict(self, *arrays: torch.Tensor) -> Estimates:
        """Mean and sigma (batch, parameter) in km, s and magnitude units."""
        return self.physical(self(*arrays))


class ParameterVector(nn.Module):
    """The network as it is exported: (batch, 2 * parameter), the means, then the sigmas, as the plugin reads them."""

    def __init__(self, network: Regressor):
        super().__init__()
        network.require_units()
        self.network = network

    @property
    def input_names(self) -> tuple[str, ...]:
        """As those of the network."""
        return self.network.input_names

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * parameter)."""
        return torch.cat(self.network.predict(*arrays), 1)


def join(networks: Sequence[Regressor]) -> Regressor:
    """Networks that were trained apart, each for parameters of its own, as one. They keep weights and temperatures."""
    first = networks[0]
    for other in networks[1:]:
        if (other.input_shape, other.window, other.compression) != (first.input_shape, first.window, first.compression):
            raise SettingError("networks can be joined only where they take the same input, window and compression")
    outputs = Outputs(tuple(group for network in networks for group in network.outputs.groups))
    branches = [cast(Branch, branch) for network in networks for branch in network.branches]
    joined = Regressor(branches, first.input_shape, first.window, outputs, first.compression)
    joined.publish(int(first.published))
    for name in ("mean", "scale", "temperature"):
        getattr(joined, name).copy_(torch.cat([getattr(network, name) for network in networks]))
    return joined
