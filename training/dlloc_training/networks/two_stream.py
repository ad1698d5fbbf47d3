"""Two streams, one for the image and one for its changes in time: named by Sugiyama et al. (2021) as future work.

After Simonyan and Zisserman (2014): one stream sees the last image, the other a stack of differences between
neighbouring frames (theirs: optical flow); their features are joined before the dense layers.
"""

from dataclasses import dataclass

import torch

from seiscomp_dlloc.errors import SettingError

from .image_cnn import ImageTrunk
from .regression import Trunk
from .settings import ConvolutionSettings, bounded


@dataclass(frozen=True)
class TwoStreamSettings(ConvolutionSettings):
    """``window_frames``: images that the network sees at once; one difference fewer."""

    window_frames: int | None = bounded(2, 2, 10000)


class TwoStreamTrunk(Trunk):
    """(batch, layer, frame, row, column) to features; ``frames`` at least 2."""

    def __init__(self, channels: int, shape: tuple[int, int, int], settings: TwoStreamSettings):
        super().__init__()
        frames, rows, columns = shape
        if frames < 2:
            raise SettingError(f"network two_stream: needs at least 2 frames to see a change, has {frames}")
        self.image = ImageTrunk(channels, (rows, columns), settings)
        self.changes = ImageTrunk(channels * (frames - 1), (rows, columns), settings)
        self.features = self.image.features + self.changes.features

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """(batch, features)."""
        changes = volume[:, :, 1:] - volume[:, :, :-1]
        return torch.cat([self.image(volume[:, :, -1]), self.changes(changes)], 1)
