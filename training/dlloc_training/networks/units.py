"""Between what a network works in (zero mean, unit variance over the training events) and km, s and magnitudes."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seiscomp_dlloc.errors import ModelError, SettingError

from .outputs import Outputs, parameter_rows


class Estimates(NamedTuple):
    """Mean and one standard deviation (batch, parameter) in km, s and magnitude units."""

    mean: torch.Tensor
    sigma: torch.Tensor


class ParameterUnits(nn.Module):
    """Scaling of targets and temperature of sigmas, kept with the network's weights.

    ``windows``: how many windows, ``step_s`` apart, the network can see of its input; origin times are learnt from
    the start of the window. The estimate is that of the window ``published``, the last one unless told otherwise.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    temperature: torch.Tensor
    starts_s: torch.Tensor
    published: torch.Tensor

    def __init__(self, outputs: Outputs, windows: int = 1, step_s: float = 0.0):
        super().__init__()
        self.outputs, self.windows = outputs, windows
        count = len(outputs.names)
        self.register_buffer("mean", torch.full((count,), torch.nan))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("temperature", torch.ones(count))
        self.register_buffer("starts_s", torch.arange(windows) * step_s, persistent=False)
        self.register_buffer("published", torch.tensor(windows - 1))

    def fit_targets(self, targets: NDArray[np.float64], all_windows: bool = False) -> None:
        """Take mean and standard deviation of the training events' ``targets`` (event, parameter) for one's own.

        Times are seconds after the input's first sample; ``all_windows``: the network is trained on every window of
        the input, else on the last one. NaN (unknown) is left out. Raises SettingError where a parameter does not
        vary or is never known.
        """
        values = np.asarray(targets, float)
        if values.ndim != 2 or values.shape[1] != len(self.outputs.names):
            raise SettingError(f"targets of shape {values.shape} do not hold {', '.join(self.outputs.names)}")
        known = np.isfinite(values)
        if not known.any(0).all():
            unknown = [n for n, k in zip(self.outputs.names, known.any(0), strict=True) if not k]
            raise SettingError(f"no training event has a known {', '.join(unknown)}: leave it out of the outputs")
        mean, variance = np.nanmean(values, 0), np.nanvar(values, 0)
        starts = self.starts_s.double().cpu().numpy()
        starts = starts if all_windows else starts[-1:]
        for k, name in enumerate(self.outputs.names):
            if name == "time":
                mean[k], variance[k] = mean[k] - starts.mean(), variance[k] + starts.var()
            if not variance[k] > 1e-12:
                raise SettingError(f"all training events have the same {name}: leave it out of the outputs")
        self.mean.copy_(torch.as_tensor(mean))
        self.scale.copy_(torch.as_tensor(np.sqrt(variance)))

    def publish(self, window: int) -> None:
        """Let the estimate be that of a window other than the last one, from now on."""
        if not 0 <= window < self.windows:
            raise SettingError(f"there is no window {window} among {self.windows}")
        self.published.fill_(window)

    def _published_s(self) -> torch.Tensor:
        return self.starts_s[int(self.published) :][:1]

    def _shift(self, starts_s: torch.Tensor) -> torch.Tensor:
        """(window, parameter): what turns a time after the window's start into one after the input's."""
        columns = [starts_s if name == "time" else torch.zeros_like(starts_s) for name in self.outputs.names]
        return torch.stack(columns, -1)

    def standardise(self, targets: torch.Tensor, curve: bool = False) -> torch.Tensor:
        """Targets (batch, parameter), times after the input's first sample, in the units that the network works in.

        ``curve``: (batch, window, parameter), in those of each window.
        """
        shift = self._shift(self.starts_s if curve else self._published_s())
        moved = (targets[:, None] - shift - self.mean) / self.scale
        return moved if curve else moved[:, 0]

    def standardise_at(self, targets: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """As :meth:`standardise`, in the units of one window of each input, ``windows`` (batch,)."""
        standard: torch.Tensor = (targets - self._shift(self.starts_s[windows]) - self.mean) / self.scale
        return standard

    def physical(self, estimate: torch.Tensor) -> Estimates:
        """Standardised estimates in km, s after the input's first sample, and magnitude units.

        (batch, parameter, 2), or (batch, window, parameter, 2) of a curve. Sigmas hold the temperature.
        """
        shift = self._shift(self.starts_s if estimate.dim() == 4 else self._published_s())
        if estimate.dim() == 3:
            shift = shift[0]
        mean = self.mean + self.scale * estimate[..., 0] + shift
        return Estimates(mean, self.temperature * self.scale * torch.exp(estimate[..., 1]))

    def require_units(self) -> None:
        """Raise ModelError where :meth:`fit_targets` has not been called."""
        if not bool(torch.isfinite(self.mean).all()):
            raise ModelError("the network knows no units yet: call fit_targets with the training events first")

    def set_temperature(self, factors: NDArray[np.float64]) -> None:
        """Multiply all sigmas that :meth:`predict` gives from now on, (parameter,); see ``sigma_calibration``."""
        values = np.asarray(factors, float)
        if values.shape != self.temperature.shape or not np.all(np.isfinite(values) & (values > 0)):
            raise SettingError(f"temperatures {values} must be {len(self.outputs.names)} numbers above 0")
        self.temperature.mul_(torch.as_tensor(values).to(self.temperature))

    def passport_head(self, latitude: float, longitude: float) -> dict[str, Any]:
        """The passport's ``head``; x and y are km about the given point."""
        return {
            "kind": "vector",
            "parameters": parameter_rows(self.outputs.names),
            "origin": {"latitude": latitude, "longitude": longitude},
        }
