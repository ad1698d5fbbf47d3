"""Evidence of P and S in time, from the three components of one station.

Evidence at a time t is a log-likelihood ratio: how much better the waveform is explained by an onset at t than by
onsets at unknown times or none. So it is 0 where there is nothing to be seen, and sums over stations and phases.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

PHASES = 2
"""P and S."""

EVIDENCE_STRIDE = 2
"""Samples of the waveform for each time of the evidence."""

INVALID = -1e4
"""Logit of times without data: no probability, and finite."""


@dataclass(frozen=True)
class StationSizes:
    """Filters at each level, length of the filters; ``strides`` between levels, the first is that of the evidence."""

    channels: tuple[int, int, int, int] = (12, 24, 40, 64)
    strides: tuple[int, int, int] = (EVIDENCE_STRIDE, 4, 4)
    kernel: int = 7


SHORT, LONG = 10, 100
"""Windows (samples) of the energy ratio: 0.5 and 5 s at 20 Hz, as Sugiyama et al. (2021) trigger."""

RATIO_LIMITS = (-3.0, 6.0)
_FLOOR = 1e-4


def energy_ratio(waveforms: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logarithm of the energy after each sample over that before it, (n, 2, sample): vertical, horizontals.

    ``waveforms``, ``mask`` (n, 3, sample). Short window from the sample on, long one up to it; energies are means over
    the valid samples, and where less than a fifth of the long window or half of the short one is valid the ratio is 0.
    """
    observed = torch.stack([mask[:, 0], torch.maximum(mask[:, 1], mask[:, 2])], dim=1)
    square = (waveforms * mask) ** 2
    energy = torch.stack([square[:, 0], square[:, 1] + square[:, 2]], dim=1)

    def after(values: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool1d(functional.pad(values, (0, SHORT - 1)), SHORT, 1)

    def before(values: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool1d(functional.pad(values, (LONG, 0)), LONG, 1)[..., :-1]

    share_after, share_before = after(observed), before(observed)
    short = after(energy) / share_after.clamp_min(1e-3)
    long = before(energy) / share_before.clamp_min(1e-3)
    level = energy.sum(-1, keepdim=True) / observed.sum(-1, keepdim=True).clamp_min(1.0)
    ratio = torch.log((short + _FLOOR * level + 1e-30) / (long + _FLOOR * level + 1e-30))
    known = (share_before > 0.2) & (share_after > 0.5)
    return torch.where(known, ratio, torch.zeros_like(ratio)).clamp(*RATIO_LIMITS)


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
    )


class StationNetwork(nn.Module):
    """U-shaped 1-D network (after PhaseNet, Zhu & Beroza 2019): waveforms to logits of P and S in time."""

    def __init__(self, sizes: StationSizes = StationSizes()):
        super().__init__()
        first, a, b, c = sizes.channels
        k = sizes.kernel
        self.stem = _block(6, first, k)
        self.enter = nn.Sequential(_block(first, a, k, sizes.strides[0]), _block(a, a, k))
        self.down1 = nn.Sequential(_block(a, b, k, sizes.strides[1]), _block(b, b, k))
        self.down2 = nn.Sequential(_block(b, c, k, sizes.strides[2]), _block(c, c, k), _block(c, c, 5))
        self.up2 = _block(b + c, b, k)
        self.up1 = nn.Sequential(_block(a + b, a, k), _block(a, a, k))
        self.out = nn.Conv1d(a, PHASES, 5, padding=2)
        self.none = nn.Linear(2 * c, PHASES)

    def forward(self, waveforms: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of onsets (n, 2, time) and of none within the window (n, 2); input (n, 3, sample)."""
        ratio = energy_ratio(waveforms, mask)
        whole = mask.amax(1, keepdim=True)
        count = mask.sum((1, 2), keepdim=True).clamp_min(1.0)
        level = (waveforms.abs() * mask).sum((1, 2), keepdim=True) / count
        compressed = 0.6 * torch.sign(waveforms) * torch.log1p(waveforms.abs() / (0.1 * level + 1e-20)) * mask
        h0 = self.enter(self.stem(torch.cat([compressed, 0.5 * ratio, whole], dim=1)))
        h1 = self.down1(h0)
        h2 = self.down2(h1)
        u1 = self.up2(torch.cat([h1, functional.interpolate(h2, size=h1.shape[-1], mode="linear")], 1))
        u0 = self.up1(torch.cat([h0, functional.interpolate(u1, size=h0.shape[-1], mode="linear")], 1))
        return self.out(u0), self.none(torch.cat([h2.mean(-1), h2.amax(-1)], dim=1))


def valid_times(mask: torch.Tensor) -> torch.Tensor:
    """1 where any component is there throughout, (n, time), of a mask (n, 3, sample); an even number of samples."""
    pooled = -functional.max_pool1d(-mask.amax(1, keepdim=True), EVIDENCE_STRIDE, EVIDENCE_STRIDE)
    return pooled[:, 0]


class Evidence(nn.Module):
    """Waveforms of stations to evidence of P and S: the network's, and some of the energy ratio's.

    ``outlier``: share of onsets that are nowhere near where the network sees them; it bounds what a station may say
    against a place.
    """

    def __init__(self, sizes: StationSizes = StationSizes(), outlier: float = 0.03):
        super().__init__()
        self.network = StationNetwork(sizes)
        self.outlier = outlier
        self.ratio_weight = nn.Parameter(torch.full((PHASES,), -1.0))

    def log_probabilities(self, waveforms: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of the onset (n, 2, time + 1), the last of none in the window; and the valid times."""
        logits, none = self.network(waveforms, mask)
        valid = valid_times(mask)[:, None]
        logits = logits * valid + INVALID * (1.0 - valid)
        return functional.log_softmax(torch.cat([logits, none[..., None]], dim=-1), dim=-1), valid

    def of(self, log_probabilities: torch.Tensor, valid: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
        """Evidence (n, 2, time) from log-probabilities (n, 2, time + 1), valid times (n, 1, time), energy ratios."""
        share = log_probabilities.exp()
        times = valid.sum(-1, keepdim=True)
        seen = share[..., :-1] * times + share[..., -1:]
        learned = torch.log((1.0 - self.outlier) * seen + self.outlier)
        weight = functional.softplus(self.ratio_weight)[:, None]
        return (learned + weight * ratio[..., ::EVIDENCE_STRIDE].clamp_min(0.0)) * valid

    def forward(self, waveforms: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Evidence (n, 2, time) of waveforms and mask (n, 3, sample)."""
        log_probabilities, valid = self.log_probabilities(waveforms, mask)
        return self.of(log_probabilities, valid, energy_ratio(waveforms, mask))


class RatioEvidence(nn.Module):
    """Evidence without anything learned: the logarithm of STA/LTA where it is above 0, of energies.

    For Gaussian noise that becomes stronger at the onset the log-likelihood ratio grows with that of the energies, so
    no weight is chosen. (:mod:`dlloc_training.migration`, the baseline of fixed networks, stacks its square root,
    scaled to one height at every trace; where there is noise alone that height is noise.)
    """

    def forward(self, waveforms: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Evidence (n, 2, time) of waveforms and mask (n, 3, sample)."""
        ratio = energy_ratio(waveforms, mask)[..., ::EVIDENCE_STRIDE]
        return ratio.clamp_min(0.0) * valid_times(mask)[:, None]
