"""Origin time and magnitude beside the location image of the FCN, full or slim.

The image network's features of all stations together, and the logarithm of each station's largest amplitude, go to a
:class:`~.head.Head`. The slim network does not see the unit of its input, and a magnitude is the logarithm of an
amplitude and a function of distance: so amplitudes enter on their own.
"""

from dataclasses import dataclass

import torch
from torch import nn

from seiscomp_dlloc.errors import SettingError

from ..fcn import FCN, LabelImage
from ..slim import Density, SlimFCN
from .head import Head
from .outputs import Outputs
from .settings import HeadSettings, NetworkSettings, bounded, switch
from .shapes import LOG_CENTRE, InputShape
from .units import Estimates, ParameterUnits

BESIDE_IMAGE = Outputs((("time", "magnitude"),))
"""What the image does not say."""

FULL_INPUT = (3, 30, 2048)
"""(component, station, sample) of the full network."""


@dataclass(frozen=True)
class FCNSettings(NetworkSettings):
    """``width`` 64 is that of Zhang et al. (2020)."""

    width: int = bounded(64, 1, 256)


@dataclass(frozen=True)
class SlimSizes(NetworkSettings):
    """Sizes of the slim network; the rest of its settings follow from input and image."""

    width: int = bounded(16, 1, 256)
    mixed: int = bounded(192, 1, 2048)
    hidden: int = bounded(384, 1, 4096)
    decoder: int = bounded(24, 1, 512)
    dropout: float = bounded(0.1, 0.0, 0.9)


@dataclass(frozen=True)
class ImageHeadSettings(HeadSettings):
    """``detach``: the head learns from the image network's features without changing them."""

    nodes: int = bounded(64, 1, 4096, log=True, search=(16, 512))
    dropout: float = bounded(0.1, 0.0, 0.5, search=(0.0, 0.5))
    detach: bool = switch(False, search=False)


def amplitudes(usual: torch.Tensor, waveforms: torch.Tensor, log_scale: torch.Tensor | None = None) -> torch.Tensor:
    """(batch, station): log10 of the largest absolute value over components and time.

    With what normalisation has divided by put back. A station without data gets what is ``usual`` (station,) there and
    as much more as the others have on the mean: a number out of the ordinary would mean anything to a head that has
    seen all stations in training.
    """
    peak = waveforms.abs().amax((1, 3))
    there = peak > 0
    level = torch.log10(torch.where(there, peak, torch.ones_like(peak)))
    if log_scale is not None:
        # 0 says that nothing was normalised
        level = level + torch.where(log_scale == 0, torch.zeros_like(log_scale), log_scale - LOG_CENTRE)
    excess = torch.where(there, level - usual, torch.zeros_like(level)).sum(1, keepdim=True)
    return torch.where(there, level, usual + excess / there.sum(1, keepdim=True).clamp_min(1))


class ImageWithParameters(ParameterUnits):
    """An image network and a head: (batch, 3, station, sample) to its image and (batch, parameter, 2).

    ``input_names``: ``waveforms``, and ``log_scale`` (batch, station) where the preprocessing normalises.
    """

    def __init__(self, network: FCN | SlimFCN, shape: InputShape, outputs: Outputs, settings: ImageHeadSettings):
        super().__init__(outputs)
        if len(outputs.groups) > 1:
            raise SettingError("a head beside an image has one group of outputs")
        if "mask" in shape.inputs:
            raise SettingError("networks of location images do not take the mask: leave it out of inputs")
        self.network, self.input_shape, self.detach = network, shape, settings.detach
        stations = shape.shape[1]
        if isinstance(network, SlimFCN):
            features = network.settings.mixed * (network.settings.samples // 128)
        else:
            features = 16 * network.width * 8
        self.head = Head(features, stations, len(outputs.names), settings, outputs.uncertainty)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arrays that :meth:`forward` takes, in its order."""
        return self.input_shape.inputs

    def parameters_from(self, encoded: torch.Tensor, *arrays: torch.Tensor) -> torch.Tensor:
        """(batch, parameter, 2) from what the image network's ``encode`` gives and the inputs."""
        features = encoded.detach() if self.detach else encoded
        usual = self.head.standard.running_mean
        assert isinstance(usual, torch.Tensor)
        levels = amplitudes(usual, *arrays)
        # Averaged over the rows, which hold groups of stations in the full network
        estimate: torch.Tensor = self.head(features.mean(2).flatten(1), levels)
        return estimate

    def forward(self, *arrays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The image as the image network gives it for training, and the standardised estimate."""
        encoded = self.network.encode(arrays[0])
        return self.network.decode(encoded), self.parameters_from(encoded, *arrays)

    def predict(self, *arrays: torch.Tensor) -> Estimates:
        """The parameters alone: mean and sigma (batch, parameter) in s and magnitude units (km)."""
        return self.physical(self.parameters_from(self.network.encode(arrays[0]), *arrays))


class ImageAndVector(nn.Module):
    """The network as it is exported: outputs ``image`` (batch, nz, ny, nx) and ``vector`` (batch, 2 * parameter).

    The slim network's image is the mean over ``shifts_s`` (see :class:`~dlloc_training.slim.Density`); the vector is
    that of the window as it is.
    """

    def __init__(self, network: ImageWithParameters, shifts_s: tuple[float, ...] = (4.0,)):
        super().__init__()
        network.require_units()
        self.network = network
        inner = network.network
        self.image = Density(inner, shifts_s) if isinstance(inner, SlimFCN) else LabelImage(inner)

    @property
    def input_names(self) -> tuple[str, ...]:
        """As those of the network."""
        return self.network.input_names

    def forward(self, *arrays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and vector; means, then sigmas."""
        return self.image(arrays[0]), torch.cat(self.network.predict(*arrays), 1)
