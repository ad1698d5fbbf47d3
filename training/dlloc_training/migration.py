"""Location by stacking STA/LTA along travel times, nothing learned: the baseline that a network has to beat.

For a trial hypocentre and origin time the onset functions of P (vertical) and S (horizontals) are read at the
predicted times and added up over stations; the answer is the mean of the exponential of that sum times a depth
prior, about its maximum (coalescence, Drew et al. 2013, Geophys. J. Int. 195, 1773, with a fixed weight in place of
its product).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from seiscomp_dlloc.records import Conditioned

from .local import LocalNetwork, Located
from .moveout import MoveoutModel
from .onsets import energy_ratio

FloatArray = NDArray[np.float64]

WEIGHT = 6.0
"""Log-likelihood that the highest point of a trace's onset function is worth."""

COARSE_KM, FINE_KM = 5.0, 1.0
COARSE_STEP_S, FINE_STEP_S = 0.4, 0.1
FINE_REACH_KM, FINE_REACH_S = 6.0, 1.2
MAX_ROUNDS = 3


def onset_functions(conditioned: Conditioned) -> FloatArray:
    """(2, station, sample): square root of STA/LTA of P and S, each trace scaled to a maximum of WEIGHT, else 0."""
    amplitude = np.sqrt(np.nan_to_num(np.stack([energy_ratio(conditioned, phase) for phase in ("P", "S")]), nan=0.0))
    highest = amplitude.max(axis=-1, keepdims=True)
    return np.asarray(WEIGHT * amplitude / np.where(highest > 0, highest, 1.0))


class Migration:
    """The stack over a box of epicentres.

    ``box_km`` (x low, x high, y low, y high): where epicentres are sought. ``depth_km``, ``depth_sigma_km``: Gaussian
    prior of the depth; the coarse search is at its centre.
    """

    def __init__(
        self,
        model: MoveoutModel,
        network: LocalNetwork,
        box_km: tuple[float, float, float, float],
        depth_km: float = 5.0,
        depth_sigma_km: float = 2.0,
    ):
        self.model, self.network = model, network
        x = np.arange(box_km[0], box_km[1] + COARSE_KM, COARSE_KM)
        y = np.arange(box_km[2], box_km[3] + COARSE_KM, COARSE_KM)
        gx, gy = np.meshgrid(x, y, indexing="ij")
        self.coarse = np.stack([gx.ravel(), gy.ravel(), np.full(gx.size, depth_km)], axis=-1)
        self.coarse_times = self.travel_times(self.coarse)
        reach = np.arange(-FINE_REACH_KM, FINE_REACH_KM + FINE_KM / 2, FINE_KM)
        depths = np.clip(depth_km + depth_sigma_km * np.linspace(-1.75, 1.75, 7), 0.0, None)
        fx, fy, fz = np.meshgrid(reach, reach, depths, indexing="ij")
        self.fine = np.stack([fx.ravel(), fy.ravel(), fz.ravel()], axis=-1)
        self.prior = -0.5 * ((self.fine[:, 2] - depth_km) / depth_sigma_km) ** 2

    def travel_times(self, points: FloatArray) -> FloatArray:
        """(2, point, station) s: P and S from ``points`` (point, 3)."""
        distance = self.network.distances(points)
        return np.stack([self.model.times(phase, distance) for phase in ("P", "S")])

    def locate(self, functions: FloatArray, rate_hz: float, earliest_s: float, latest_s: float) -> Located | None:
        """Hypocentre from ``functions`` (2, station, sample), origin time between the two bounds (s after sample 0).

        None where no trace has an onset function.
        """
        if not np.any(functions > 0):
            return None
        # A coarse node is up to 3.5 km from the truth: the functions are widened by what that is in time
        widened = ndimage.maximum_filter1d(functions, 2 * round(0.4 * rate_hz) + 1, axis=-1)
        origins = np.arange(earliest_s, latest_s + COARSE_STEP_S, COARSE_STEP_S)
        sums = stack(widened, rate_hz, self.coarse_times, origins)
        node, step = np.unravel_index(int(np.argmax(sums)), sums.shape)
        centre, time = self.coarse[node].copy(), float(origins[step])
        offsets = np.arange(-FINE_REACH_S, FINE_REACH_S + FINE_STEP_S / 2, FINE_STEP_S)
        for _ in range(MAX_ROUNDS):
            points = self.fine + np.array([centre[0], centre[1], 0.0])
            sums = stack(functions, rate_hz, self.travel_times(points), time + offsets) + self.prior[:, None]
            share = np.exp(sums - sums.max())
            share /= share.sum()
            place = share.sum(axis=1) @ points
            time += float(share.sum(axis=0) @ offsets)
            moved = np.max(np.abs(place[:2] - centre[:2]))
            centre[:2] = np.round(place[:2])
            if moved < FINE_REACH_KM - 2.0 * FINE_KM:
                break
        return Located(float(place[0]), float(place[1]), float(place[2]), time, float(sums.max()))


def stack(functions: FloatArray, rate_hz: float, times: FloatArray, origins: FloatArray) -> FloatArray:
    """Sum of ``functions`` (2, station, sample) at ``times`` (2, node, station) after ``origins`` (n,): (node, n).

    Nearest sample; 0 beyond the record.
    """
    samples = functions.shape[-1]
    padded = np.pad(functions, ((0, 0), (0, 0), (1, 1)))  # what lies outside is read from the pad
    out = np.zeros((times.shape[1], origins.size))
    for phase in range(2):
        for station in np.flatnonzero(functions[phase].any(axis=-1)):
            at = np.rint((times[phase, :, station, None] + origins) * rate_hz).astype(np.int64)
            out += padded[phase, station, np.clip(at, -1, samples) + 1]
    return out
