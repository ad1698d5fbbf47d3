"""From features to each parameter's mean and logarithm of its standard deviation."""

import torch
from torch import nn

from .settings import HeadSettings

LOG_SIGMA_LIMIT = 5.0
"""exp(-5) to exp(5) of the training events' standard deviation: smooth bounds, so that no event's loss runs away."""

EXTRAS_GAIN = 5.0
"""Adam moves every weight by about the same in a step, and none has to go as far as that of the amplitude, on which a
magnitude rests alone: this is how much faster it goes."""


def initialise(layer: nn.Module) -> None:
    """He et al. (2015) for convolutions and fully connected layers that a ReLU follows."""
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Head(nn.Module):
    """(batch, features) and (batch, extras) to (batch, parameters, 2): standardised mean, log sigma.

    Dense layers with ReLU, dropout, the last layer. ``extras`` (logarithms of amplitudes) enter the first and, past
    the dropout, the last layer: a magnitude is their sum with a function of place. Without ``uncertainty`` the log
    sigma is 0, and sigma is what calibration makes it.
    """

    def __init__(self, features: int, extras: int, parameters: int, settings: HeadSettings, uncertainty: bool = True):
        super().__init__()
        # Logarithms lie some units from 0, far for weights that start near 0
        self.standard = nn.BatchNorm1d(extras, affine=False) if extras else nn.Identity()
        layers: list[nn.Module] = []
        # Without dense layers the last layer is the only one that the extras enter
        self.early = extras if settings.dense_layers else 0
        width = features + self.early
        for _ in range(settings.dense_layers):
            layers += [nn.Linear(width, settings.nodes), nn.ReLU()]
            width = settings.nodes
        self.dense = nn.Sequential(*layers)
        self.dense.apply(initialise)
        self.dropout = nn.Dropout(settings.dropout)
        self.parameters_out, self.uncertainty = parameters, uncertainty
        outputs = parameters * (2 if uncertainty else 1)
        self.last = nn.Linear(width + extras, outputs)
        # The first estimate is the training mean with the training spread
        nn.init.normal_(self.last.weight, std=0.02 / self.last.in_features**0.5)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: torch.Tensor, extras: torch.Tensor | None) -> torch.Tensor:
        """(batch, parameters, 2)."""
        joined = features
        if extras is not None:
            extras = EXTRAS_GAIN * self.standard(extras)
        if extras is not None and self.early:
            joined = torch.cat([features, extras], 1)
        joined = self.dropout(self.dense(joined))
        if extras is not None:
            joined = torch.cat([joined, extras], 1)
        raw = self.last(joined).reshape(-1, 2 if self.uncertainty else 1, self.parameters_out)
        mean = raw[:, 0]
        log_sigma = LOG_SIGMA_LIMIT * torch.tanh(raw[:, 1] / LOG_SIGMA_LIMIT) if self.uncertainty else 0.0 * mean
        return torch.stack([mean, log_sigma], -1)
