"""2D convolution of each image, then a recurrent network over time: named by Sugiyama et al. (2021) as future work.

The images share one set of filters; a long short-term memory (Hochreiter and Schmidhuber 1997) goes over their features
from the first frame to the last, and what it holds then are the features of the sequence.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .image_cnn import ImageTrunk
from .regression import Trunk
from .settings import ConvolutionSettings, bounded


@dataclass(frozen=True)
class ImageLSTMSettings(ConvolutionSettings):
    """``hidden``: size of the memory. ``window_frames``: images that the network sees at once, by default all."""

    channels: int = bounded(8, 1, 256)
    hidden: int = bounded(64, 1, 2048, log=True, search=(16, 256))
    window_frames: int | None = bounded(None, 1, 10000)


class SequenceTrunk(Trunk):
    """(batch, layer, frame, row, column) to features (batch, hidden)."""

    def __init__(self, channels: int, pixels: tuple[int, int], settings: ImageLSTMSettings):
        super().__init__()
        self.per_image = ImageTrunk(channels, pixels, settings)
        self.memory = nn.LSTM(self.per_image.features, settings.hidden, batch_first=True)
        self.features = settings.hidden

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """(batch, hidden)."""
        frames = volume.shape[2]
        images = volume.transpose(1, 2).flatten(0, 1)
        features = self.per_image(images).reshape(-1, frames, self.per_image.features)
        held: torch.Tensor = self.memory(features)[0]
        return held[:, -1]
