"""Evidence made for a search, and its sum, term by term."""

import numpy as np
from numpy.typing import NDArray

VP, VS = 6.0, 3.5
STEP_S = 0.1


def stack(
    evidence: NDArray[np.float32], arrivals: NDArray[np.float32], origins: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the model's graph does, term by term."""
    stations, phases, times = evidence.shape
    padded = np.concatenate([evidence, np.zeros((stations, phases, 2), np.float32)], axis=-1)
    total = np.zeros((len(arrivals), len(origins)))
    for station in range(stations):
        for phase in range(phases):
            at = np.nan_to_num(arrivals[:, station, phase, None], nan=-1e6) + origins
            whole = np.floor(at).astype(int)
            inside = (whole >= 0) & (whole < times)
            low = np.where(inside, whole, 0)
            share = at - whole
            value = padded[station, phase, low] * (1 - share) + padded[station, phase, low + 1] * share
            total += np.where(inside, value, 0.0)
    return total.astype(np.float32)


class Network:
    """Stations about the origin of the frame, straight rays."""

    def __init__(self, count: int = 12, radius_km: float = 40.0):
        turn = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
        far = radius_km * np.where(np.arange(count) % 2, 1.0, 0.5)
        self.places = np.stack([far * np.cos(turn), far * np.sin(turn)], axis=-1)

    def arrivals(self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        apart = np.hypot(x[:, None] - self.places[:, 0], y[:, None] - self.places[:, 1])
        length = np.hypot(apart, z[:, None])
        return np.stack([length / VP, length / VS], axis=-1)

    def evidence(self, x: float, y: float, z: float, time: float, width: float = 1.5) -> NDArray[np.float32]:
        """(station, 2, 400): a peak of 6 at each onset."""
        at = (self.arrivals(np.array([x]), np.array([y]), np.array([z]))[0] + time) / STEP_S
        steps = np.arange(400.0)
        return np.asarray(6.0 * np.exp(-0.5 * ((steps - at[..., None]) / width) ** 2), np.float32)
