"""The 3D CNN of Sugiyama et al. (2021): a sequence of images to all five parameters by one network.

The paper's: snapshots of 32 x 32 pixels, 60 of them at 0.1 s (it says 32 x 32 x 10 in one place), convolution along
time as well. Ours: the number of filters, their length in time, and poolings along time, no more of them than there is
time for, so that the network can be built for any number of frames. Images of a few stations hold little that a pixel's
neighbour does not, but 0.1 s is 0.3 km to an S wave: the first layers may pool pixels alone.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .head import initialise
from .regression import Trunk
from .settings import ConvolutionSettings, bounded, check_poolings, switch

FRAMES = 60
"""Six seconds at 0.1 s."""


@dataclass(frozen=True)
class VolumeCNNSettings(ConvolutionSettings):
    """``window_frames``: images that the network sees at once, by default all. ``kernel_time``: filters' frames.

    ``pooling_time``: whether a layer's pooling is along time too, for all layers or for each.
    """

    channels: int = bounded(8, 1, 256)
    kernel_time: int = bounded(3, 1, 9, step=2)
    window_frames: int | None = bounded(None, 1, 10000)
    pooling_time: bool | tuple[bool, ...] = switch(True, search=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.per_layer("pooling_time")


class VolumeTrunk(Trunk):
    """(batch, layer, frame, row, column) to features."""

    def __init__(self, channels: int, shape: tuple[int, int, int], settings: VolumeCNNSettings):
        super().__init__()
        frames, rows, columns = shape
        check_poolings((rows, columns), settings.poolings)
        layers: list[nn.Module] = []
        inputs, kernel = channels, (settings.kernel_time, settings.kernel, settings.kernel)
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        layout = zip(settings.widths, settings.poolings, settings.per_layer("pooling_time"), strict=True)
        for outputs, pool, pool_time in layout:
            norm = settings.batch_normalisation
            layers.append(nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=not norm))
            layers += [nn.BatchNorm3d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
            if pool:
                along_time = 2 if pool_time and frames > 1 else 1
                layers.append(nn.MaxPool3d((along_time, 2, 2)))
                frames, rows, columns = frames // along_time, rows // 2, columns // 2
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.layers.apply(initialise)
        self.features = inputs * frames * rows * columns

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """(batch, features)."""
        features: torch.Tensor = self.layers(volume)
        return features
