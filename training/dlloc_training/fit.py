"""Training loops, by Lightning: one module for probability images (slim), one for Zhang's labels (full width)."""

from dataclasses import asdict
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from seiscomp_dlloc.geometry import Grid


class Axes(nn.Module):
    """Gaussian labels of a batch on the device of the network."""

    x_km: torch.Tensor
    y_km: torch.Tensor
    z_km: torch.Tensor

    def __init__(self, grid: Grid):
        super().__init__()
        for name in ("x_km", "y_km", "z_km"):
            self.register_buffer(name, torch.tensor(getattr(grid, name), dtype=torch.float32), persistent=False)
        self.nodes = grid.nx * grid.ny * grid.nz

    def gaussians(self, points: torch.Tensor, sigma: float, sigma_depth: float) -> torch.Tensor:
        """(batch, 2, nz, ny, nx), 1 at the hypocentre; zeros for the NaN that stand for no event."""
        x, y, z = (
            torch.exp(-0.5 * ((nodes - points[..., k : k + 1]) / width) ** 2)
            for k, (nodes, width) in enumerate(((self.x_km, sigma), (self.y_km, sigma), (self.z_km, sigma_depth)))
        )
        image = z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]
        return torch.nan_to_num(image, nan=0.0)

    def density(self, points: torch.Tensor, sigma: float, sigma_depth: float) -> torch.Tensor:
        """(batch, nz, ny, nx): probabilities; equal parts for each event, uniform without one."""
        parts = self.gaussians(points, sigma, sigma_depth)
        total = parts.sum((2, 3, 4), keepdim=True)
        image = (parts / total.clamp_min(1e-20)).sum(1)
        mass = image.sum((1, 2, 3), keepdim=True)
        return torch.where(mass > 0, image / mass.clamp_min(1e-20), torch.full_like(image, 1.0 / self.nodes))


class ImageModule(lightning.LightningModule):
    """What the training of any network that returns a location image shares: labels, logging, validation."""

    sigma_km: tuple[float, float]

    def __init__(self, network: nn.Module, grid: Grid, steps: int, learning_rate: float, sigma_depth_km: float):
        super().__init__()
        self.network, self.axes = network, Axes(grid)
        self.grid, self.steps, self.learning_rate = grid, steps, learning_rate
        self.sigma_depth_km = sigma_depth_km

    def loss(self, batch: list[torch.Tensor], sigma: float) -> torch.Tensor:
        """Loss against labels of the given width (km)."""
        raise NotImplementedError

    def epicentre_map(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(batch, ny, nx): higher where the epicentre is more likely."""
        raise NotImplementedError

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Sizes of the network go along with its weights."""
        settings = getattr(self.network, "settings", None)
        if settings is not None:
            checkpoint["slim_settings"] = asdict(settings)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """One batch, at the label's width of the moment."""
        first, last = self.sigma_km
        loss = self.loss(batch, first + (last - first) * min(1.0, self.global_step / self.steps))
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int, dataloader_idx: int = 0) -> None:
        """Epicentre error of the highest node, and the loss at the final label width."""
        waveforms, points = batch
        name = ("recorded", "made")[dataloader_idx]
        self.log(f"loss_{name}", self.loss(batch, self.sigma_km[1]), add_dataloader_idx=False)
        place = self.epicentre_map(waveforms).flatten(1).argmax(1)
        x, y = self.axes.x_km[place % self.grid.nx], self.axes.y_km[place // self.grid.nx]
        error = torch.hypot(x - points[:, 0, 0], y - points[:, 0, 1])
        self.log(f"km_{name}", error.mean(), prog_bar=True, add_dataloader_idx=False)
        self.log(f"median_km_{name}", error.median(), add_dataloader_idx=False)


class SlimModule(ImageModule):
    """Cross-entropy against a Gaussian that narrows from ``sigma_km[0]`` to ``sigma_km[1]`` while training goes on.

    AdamW with warm-up and cosine; ``steps`` is the length of the schedule in optimizer steps.
    """

    def __init__(
        self,
        network: nn.Module,
        grid: Grid,
        steps: int,
        learning_rate: float = 2e-3,
        sigma_km: tuple[float, float] = (6.0, 3.0),
        sigma_depth_km: float = 1.5,
    ):
        super().__init__(network, grid, steps, learning_rate, sigma_depth_km)
        self.sigma_km = sigma_km

    def loss(self, batch: list[torch.Tensor], sigma: float) -> torch.Tensor:
        """Cross-entropy of the probability image."""
        waveforms, points = batch
        return self.cross_entropy(self.network(waveforms), points, sigma)

    def cross_entropy(self, image: torch.Tensor, points: torch.Tensor, sigma: float) -> torch.Tensor:
        """The loss of log probabilities (batch, nz, ny, nx) whose events were at ``points`` (batch, 2, 3)."""
        loss: torch.Tensor = -(self.axes.density(points, sigma, self.sigma_depth_km) * image).sum((1, 2, 3)).mean()
        return loss

    def epicentre_map(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Probability summed over depth."""
        image: torch.Tensor = self.network(waveforms)
        return image.exp().sum(1)

    def configure_optimizers(self) -> Any:
        """AdamW, linear warm-up over 100 steps, cosine to 0.3 % of the rate."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-2)

        def factor(step: int) -> float:
            share = min(1.0, step / self.steps)
            return float(min(1.0, (step + 1) / 100) * (0.5 * (1.0 + np.cos(np.pi * share)) + 0.003))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class FullModule(ImageModule):
    """Binary cross-entropy against Zhang's Gaussian label, Adam 1e-4."""

    def __init__(
        self,
        network: nn.Module,
        grid: Grid,
        steps: int = 1,
        learning_rate: float = 1e-4,
        sigma_km: float = 6.0,
        sigma_depth_km: float = 3.0,
    ):
        super().__init__(network, grid, steps, learning_rate, sigma_depth_km)
        self.sigma_km = (sigma_km, sigma_km)

    def loss(self, batch: list[torch.Tensor], sigma: float) -> torch.Tensor:
        """Binary cross-entropy of the image, over all nodes."""
        waveforms, points = batch
        label = self.axes.gaussians(points, sigma, self.sigma_depth_km).amax(1)
        return functional.binary_cross_entropy_with_logits(self.network(waveforms), label)

    def epicentre_map(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Logits, the largest over depth."""
        image: torch.Tensor = self.network(waveforms)
        return image.amax(1)

    def configure_optimizers(self) -> Any:
        """Adam with a fixed rate, as in the paper."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)
