"""The fixed first stage of the slim network: waveforms to what an analyst would look at, at half the rate.

It is part of the exported graph, so preprocessing stays what the passport says and raw ground velocity goes in.
"""

import torch
from torch import nn
from torch.nn import functional

CHANNELS = 5
"""Log envelope of Z and of the horizontals, log STA/LTA of both, level of the station against the network."""

_STA_S, _LTA_S, _SETTLED_S = 0.5, 5.0, 2.0
_FLOOR = 1e-5  # of the trace's mean energy: below it logarithms are of no interest
_TINY = 1e-12


def _moving_mean(values: torch.Tensor, ahead: int, behind: int) -> torch.Tensor:
    """Mean over ``behind`` samples up to and ``ahead`` samples after each sample, zeros beyond the ends."""
    # Sums of energies of a large S wave and of noise meet in one cumulative sum: float32 would lose the noise
    total = torch.cumsum(functional.pad(values.double(), (behind, ahead)), -1)
    count = ahead + behind
    return ((total[..., count:] - total[..., :-count]) / count).to(values.dtype).clamp_min(0.0)


class FrontEnd(nn.Module):
    """(batch, 3, station, sample) to (batch, :data:`CHANNELS`, station, sample / 2); nothing to be learnt.

    A sample counts as observed where it is not zero. Log envelopes are standardised over the observed samples of each
    trace; STA/LTA (0.5 s ahead over 5 s behind) is left at 0 until 2 s have been observed. The level is the mean log
    amplitude of the horizontals less that of the network: it orders stations by distance.
    """

    def __init__(self, sampling_rate_hz: float):
        super().__init__()
        rate = sampling_rate_hz / 2.0
        self.sta, self.lta, self.settled = (max(1, round(s * rate)) for s in (_STA_S, _LTA_S, _SETTLED_S))

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """See the class."""
        energy = torch.stack([waveforms[:, 0] ** 2, waveforms[:, 1] ** 2 + waveforms[:, 2] ** 2], 1)
        energy = 0.5 * (energy[..., 0::2] + energy[..., 1::2])
        seen = (energy > 0).to(energy.dtype)
        count = seen.sum(-1, keepdim=True).clamp_min(1.0)
        floor = energy.sum(-1, keepdim=True) / count * _FLOOR + _TINY
        long = _moving_mean(energy, 0, self.lta) / _moving_mean(seen, 0, self.lta).clamp_min(1e-3)
        short = _moving_mean(energy, self.sta - 1, 1)
        settled = (_moving_mean(seen, 0, self.settled) > 0.9).to(energy.dtype) * seen
        ratio = torch.log10((short + floor) / (long + floor)).clamp(-2.0, 3.0) * settled
        log = 0.5 * torch.log10(energy + floor)
        mean = (log * seen).sum(-1, keepdim=True) / count
        spread = torch.sqrt((((log - mean) * seen) ** 2).sum(-1, keepdim=True) / count + 1e-3)
        standard = (log - mean) / spread * seen
        alive = seen.amax(-1, keepdim=True)
        of_network = (mean * alive).sum((1, 2), keepdim=True) / alive.sum((1, 2), keepdim=True).clamp_min(1.0)
        level = ((mean - of_network) * alive)[:, 1:2] * seen[:, 1:2]
        return torch.cat([standard, ratio, level], 1)
