"""ConvNetQuake as a regression, the comparison of Sugiyama et al. (2021).

Perol, Gharbi and Denolle (2018, Science Advances 4, e1700578): the three components of one station, eight convolutions
along time of 32 filters, three samples long, with stride 2 and ReLU, then one fully connected layer to classes. Theirs
here: those eight layers and that a linear layer follows them. Ours: the channels are the components of all stations,
so that a network of stations is located, or the pixels of the image sequence, so that the comparison sees what the
other networks see; the classes are replaced by the parameters, and the cross-entropy with weight decay by the losses of
:mod:`.losses`. Which of this Sugiyama et al. did the same is not written out in their paper.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .head import initialise
from .regression import Trunk
from .settings import HeadSettings, bounded

STRIDE = 2


@dataclass(frozen=True)
class ConvNetQuakeSettings(HeadSettings):
    """Perol's sizes, with no dense layer between and no dropout."""

    dense_layers: int = bounded(0, 0, 3, search=(0, 3))
    dropout: float = bounded(0.0, 0.0, 0.5, search=(0.0, 0.5))
    convolutions: int = bounded(8, 1, 12, search=(5, 10))
    channels: int = bounded(32, 1, 256, search=(16, 64), log=True)
    kernel: int = bounded(3, 3, 9, step=2, search=(3, 9))
    window_frames: int | None = bounded(None, 1, 10000)


class WaveTrunk(Trunk):
    """(batch, ..., sample) or, with images, (batch, layer, frame, row, column) to features."""

    def __init__(self, series: int, samples: int, images: bool, settings: ConvNetQuakeSettings):
        super().__init__()
        self.images = images
        layers: list[nn.Module] = []
        inputs = series
        for _ in range(settings.convolutions):
            layers += [nn.Conv1d(inputs, settings.channels, settings.kernel, STRIDE, settings.kernel // 2), nn.ReLU()]
            inputs, samples = settings.channels, -(-samples // STRIDE)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.layers.apply(initialise)
        self.features = inputs * samples

    def forward(self, motion: torch.Tensor) -> torch.Tensor:
        """(batch, features)."""
        if self.images:
            motion = motion.permute(0, 1, 3, 4, 2)
        features: torch.Tensor = self.layers(motion.flatten(1, -2))
        return features
