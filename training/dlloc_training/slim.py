"""The slim network: small enough to be bundled and to be trained on two cores.

It keeps the idea of Zhang et al. (2020), convolutions from the station tensor to a location image, and departs from
their network in four points, each for a reason measured on held-out training events:

* a fixed front end (:mod:`.frontend`) gives it envelopes and STA/LTA, so it need not learn what an onset is from few
  events;
* convolutions along time are shared by all stations and do not reach across them: neighbours in the list of stations
  are no neighbours on the ground;
* one convolution as high as the list of stations joins them, and a fully connected layer, not upsampling alone, turns
  the station-time plane into the map;
* it ends in a softmax over all nodes of the location image: a probability, from which covariance and peak follow.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .frontend import CHANNELS, FrontEnd

UPSAMPLING = 8
"""Three doublings lie between the coarse map and the image: grids have to be multiples of this."""


def _block(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


@dataclass(frozen=True)
class SlimSettings:
    """Sizes. ``image`` is (nz, ny, nx), ny and nx multiples of 8; ``samples`` a multiple of 128."""

    stations: int
    samples: int
    sampling_rate_hz: float
    image: tuple[int, int, int]
    width: int = 16
    mixed: int = 192
    hidden: int = 384
    decoder: int = 24
    dropout: float = 0.1


class SlimFCN(nn.Module):
    """(batch, 3, station, sample) waveforms to log probabilities (batch, nz, ny, nx)."""

    def __init__(self, settings: SlimSettings):
        super().__init__()
        nz, ny, nx = settings.image
        if ny % UPSAMPLING or nx % UPSAMPLING:
            raise ValueError(f"ny and nx must be multiples of {UPSAMPLING}, got {ny} and {nx}")
        if settings.samples % 128:
            raise ValueError(f"samples must be a multiple of 128, got {settings.samples}")
        self.settings = settings
        w, m, d = settings.width, settings.mixed, settings.decoder
        self.coarse = (d, ny // UPSAMPLING, nx // UPSAMPLING)
        self.front = FrontEnd(settings.sampling_rate_hz)
        self.along_time = nn.Sequential(
            _block(CHANNELS, w, (1, 9), (1, 4)),
            _block(w, 2 * w, (1, 7)),
            _block(2 * w, 2 * w, (1, 5), (1, 2)),
            _block(2 * w, 2 * w, (1, 5)),
        )
        self.across = nn.Sequential(
            nn.Conv2d(2 * w, m, (settings.stations, 1), bias=False), nn.BatchNorm2d(m), nn.ReLU()
        )
        self.reduce = nn.Sequential(*[_block(m, m, (1, 5), (1, 2)) for _ in range(3)], nn.Dropout(settings.dropout))
        steps = settings.samples // 128
        self.to_map = nn.Sequential(
            nn.Conv2d(m, 48, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(48 * steps, settings.hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden, d * self.coarse[1] * self.coarse[2]),
            nn.ReLU(),
        )
        self.refine = nn.ModuleList([_block(d, d, (3, 3)) for _ in range(3)])
        self.image = nn.Conv2d(d, nz, 3, padding=1)

    def encode(self, waveforms: torch.Tensor) -> torch.Tensor:
        """What the network makes of all stations together: (batch, mixed, 1, sample / 128)."""
        with torch.no_grad():
            features = self.front(waveforms)
        joined: torch.Tensor = self.reduce(self.across(self.along_time(features)))
        return joined

    def decode(self, joined: torch.Tensor) -> torch.Tensor:
        """Log probabilities from :meth:`encode`."""
        plane = self.to_map(joined)
        plane = plane.reshape(-1, *self.coarse)
        for block in self.refine:
            plane = block(functional.interpolate(plane, scale_factor=2.0, mode="bilinear", align_corners=False))
        logits = self.image(plane)
        return torch.log_softmax(logits.flatten(1), 1).reshape(logits.shape)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Log probabilities over all nodes of the image."""
        return self.decode(self.encode(waveforms))


class Density(nn.Module):
    """The network as it is exported: probabilities, sum 1 over the image.

    The network sees the window as it is and moved by each of ``shifts_s`` earlier and later; the geometric mean of
    the images is normalised. An anchor that is some seconds wrong then matters less (measured on held-out training
    events: the mean error at anchors 0 to 10 s wrong spans 0.96 to 1.08 km instead of 0.90 to 1.28 km).
    """

    def __init__(self, network: SlimFCN, shifts_s: tuple[float, ...] = (4.0,)):
        super().__init__()
        self.network = network
        samples = [round(shift * network.settings.sampling_rate_hz) for shift in shifts_s]
        self.shifts = (0, *samples, *(-n for n in samples))

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(batch, nz, ny, nx)."""
        # One after the other, not as one batch: a third of the memory
        total = self.network(waveforms)
        for shift in self.shifts[1:]:
            moved = functional.pad(waveforms, (0, shift))[..., shift:] if shift > 0 else waveforms
            if shift < 0:
                moved = functional.pad(waveforms, (-shift, 0))[..., :shift]
            total = total + self.network(moved)
        image = torch.softmax(total.flatten(1) / len(self.shifts), 1)
        return image.reshape(total.shape)
