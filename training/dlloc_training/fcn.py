"""The fully convolutional network of Zhang et al. (2020) at its own sizes.

Scientific Reports 10, 1941. Ten convolutions in pairs with pooling in between take the station tensor (3, 30, 2048)
to 5 x 8 cells of 1024 channels; eleven bring it to the image (30 depths, 80, 128). The paper's text gives up-sampling
factors (4, 2), (2, 2), (2, 2), which cannot lead from 5 x 8 to 80 x 128; (4, 4), (2, 2), (2, 2) does. Two dropouts
(50 %), ReLU, a sigmoid at the end. It is trained with binary cross-entropy against a Gaussian label and Adam 1e-4;
eq. 3 of the paper lacks the minus sign and has label and prediction the wrong way round.
"""

import torch
from torch import nn

IMAGE = (30, 80, 128)
"""(nz, ny, nx) of the paper."""

_POOLS = ((1, 4), (1, 4), (2, 4), (3, 4))


def _conv(inputs: int, outputs: int, kernel: int = 3) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, kernel, padding="same")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return [layer, nn.ReLU()]


class FCN(nn.Module):
    """(batch, 3, 30, 2048) to logits (batch, 30, 80, 128); ``width`` 64 is the paper's, 21 convolutions."""

    def __init__(self, width: int = 64):
        super().__init__()
        w = width
        layers: list[nn.Module] = []
        inputs = 3
        for level, outputs in enumerate((w, 2 * w, 4 * w, 8 * w, 16 * w)):
            layers += _conv(inputs, outputs) + _conv(outputs, outputs)
            if level >= 3:
                layers.append(nn.Dropout(0.5))
            if level < 4:
                layers.append(nn.MaxPool2d(_POOLS[level]))
            inputs = outputs
        layers += [nn.Upsample(scale_factor=4), *_conv(16 * w, 8 * w, 2), *_conv(8 * w, 8 * w), *_conv(8 * w, 8 * w)]
        layers += [nn.Upsample(scale_factor=2), *_conv(8 * w, 4 * w, 2), *_conv(4 * w, 4 * w), *_conv(4 * w, 4 * w)]
        layers += [nn.Upsample(scale_factor=2), *_conv(4 * w, 2 * w, 2), *_conv(2 * w, w), *_conv(w, w)]
        layers += [*_conv(w, max(w // 2, 1)), nn.Conv2d(max(w // 2, 1), IMAGE[0], 1)]
        self.layers = nn.Sequential(*layers)
        self.width = width
        self.encoder_length = next(k for k, layer in enumerate(layers) if isinstance(layer, nn.Upsample))

    def encode(self, waveforms: torch.Tensor) -> torch.Tensor:
        """The cells in the middle: (batch, 16 * width, 5, 8)."""
        cells: torch.Tensor = self.layers[: self.encoder_length](waveforms)
        return cells

    def decode(self, cells: torch.Tensor) -> torch.Tensor:
        """Logits from :meth:`encode`."""
        logits: torch.Tensor = self.layers[self.encoder_length :](cells)
        return logits

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Logits; a sigmoid makes the image of them."""
        return self.decode(self.encode(waveforms))


class LabelImage(nn.Module):
    """The network as it is exported: the image between 0 and 1."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(batch, 30, 80, 128)."""
        return torch.sigmoid(self.network(waveforms))
