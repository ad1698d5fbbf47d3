"""Losses of standardised estimates (..., parameter, 2) against targets (..., parameter); NaN targets are unknown."""

from dataclasses import dataclass
from typing import Literal

import torch

from seiscomp_dlloc.errors import SettingError


@dataclass(frozen=True)
class LossSettings:
    """``gaussian``: heteroscedastic (Kendall and Gal 2017), with ``beta`` of Seitzer et al. (2022); ``mse``: the mean
    squared error, as in Sugiyama et al. (2021). ``beta`` 0 is the plain likelihood, 1 teaches the mean as MSE does.
    """

    kind: Literal["gaussian", "mse"] = "gaussian"
    beta: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("gaussian", "mse"):
            raise SettingError(f"loss kind {self.kind!r} is unknown; known are gaussian, mse")
        if not 0.0 <= self.beta <= 1.0:
            raise SettingError(f"loss beta {self.beta} is outside 0 to 1")


def _mean_of_known(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return torch.where(known, values, 0.0).sum() / known.sum().clamp_min(1)


def gaussian_nll(estimate: torch.Tensor, target: torch.Tensor, beta: float = 0.0) -> torch.Tensor:
    """Mean over all known parameters of sigma^(2 beta) (log sigma + (target - mean)^2 / (2 sigma^2)).

    The weight sigma^(2 beta) is not differentiated (Seitzer et al. 2022, eq. 5); with beta above 0 badly fitted
    events keep their pull on the mean, which the plain likelihood (Kendall and Gal 2017, eq. 8) divides away.
    """
    known = torch.isfinite(target)
    residual = torch.where(known, target, 0.0) - estimate[..., 0]
    log_sigma = estimate[..., 1]
    loss = log_sigma + 0.5 * residual**2 * torch.exp(-2.0 * log_sigma)
    if beta:
        loss = loss * torch.exp(2.0 * beta * log_sigma.detach())
    return _mean_of_known(loss, known)


def mse(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the known parameters; sigmas do not matter."""
    known = torch.isfinite(target)
    return _mean_of_known((torch.where(known, target, 0.0) - estimate[..., 0]) ** 2, known)


def loss(estimate: torch.Tensor, target: torch.Tensor, settings: LossSettings) -> torch.Tensor:
    """The loss that the settings name."""
    return mse(estimate, target) if settings.kind == "mse" else gaussian_nll(estimate, target, settings.beta)
