"""The 2D CNN of Sugiyama et al. (2021): one image of the wavefield to hypocentral parameters.

The paper's: a LeNet-like network for 32 x 32 pixels; convolution, batch normalisation, ReLU and max pooling, 50 %
dropout before the last layer; one network for longitude and latitude and another for depth, magnitude and origin time
(``outputs.TWO_NETWORKS``). Ours: the number of filters, any size of image, the mask as a second layer of the image,
and origin times counted from the image's own time, which a single image can tell.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .head import initialise
from .regression import Trunk
from .settings import ConvolutionSettings, check_poolings


@dataclass(frozen=True)
class ImageCNNSettings(ConvolutionSettings):
    """The paper's space as it stands."""


class ImageTrunk(Trunk):
    """(batch, channel, row, column), or (batch, layer, frame, row, column) with frames as channels, to features."""

    def __init__(self, channels: int, pixels: tuple[int, int], settings: ConvolutionSettings):
        super().__init__()
        check_poolings(pixels, settings.poolings)
        layers: list[nn.Module] = []
        rows, columns = pixels
        inputs = channels
        for outputs, pool in zip(settings.widths, settings.poolings, strict=True):
            norm = settings.batch_normalisation
            layers.append(nn.Conv2d(inputs, outputs, settings.kernel, padding=settings.kernel // 2, bias=not norm))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
            if pool:
                layers.append(nn.MaxPool2d(2))
                rows, columns = rows // 2, columns // 2
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.layers.apply(initialise)
        self.features = inputs * rows * columns

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, features)."""
        features: torch.Tensor = self.layers(images.flatten(1, -3))
        return features
