"""What tests of robustness share: what is asked for, and a network that is made up."""

import numpy as np
import torch
from dlloc_training.experiments.building import make_network
from dlloc_training.experiments.evaluating import Answers
from dlloc_training.experiments.materials import ExactSet, Materials
from dlloc_training.experiments.plans import plan_of, plans
from dlloc_training.experiments.reading import ExperimentFile
from dlloc_training.experiments.robustness.settings import Robustness, robustness_of
from dlloc_training.experiments.training import Fitted

from seiscomp_dlloc.decode import ImagePeak
from seiscomp_dlloc.passport import Calibration

SECTION = """
[evaluation.robustness]
networks = ["slim", "volume"]
events = 5
magnitudes = [1.0]
snr = [4.0]
anchor_errors_s = [1.0]
dead = [1, 3]
noise_alone = [1]
wrong_gain = [1]
kept_shares = [0.5]
second_ratios = [0.5]
second_delays_s = [3.0]
noise_windows = 7
outside_km = [2.0, 50.0]
outside_events = 4
"""
CALIBRATION = Calibration(peak_threshold=0.5, covariance_scale=1.0, no_event_threshold=0.2)


def wanted(experiment: ExperimentFile) -> Robustness:
    found = robustness_of(experiment, plans(experiment))
    assert found is not None
    return found


def untrained(materials: Materials, name: str) -> Fitted:
    torch.manual_seed(1)
    plan = plan_of(materials.experiment, name)
    network = make_network(plan, materials.passport(plan))
    return Fitted(plan, materials.passport(plan), network.eval(), {})


def peak_of(value: float, secondary: int = 0, edge: bool = False) -> ImagePeak:
    return ImagePeak(0.0, 0.0, 5.0, np.eye(3), value, secondary, edge, False, (0, 0, 0))


def made_up_answers(fitted: Fitted, exact: ExactSet, _: Calibration) -> Answers:
    """x is wrong by 1 km for each station that lacks, depth by 2 km; the peak is high where traces are not
    like noise."""
    lacking = np.array([np.count_nonzero(~record.live) for record in exact.records])
    mean = exact.targets[:, :3] + np.stack([lacking, 0.0 * lacking, np.full(len(exact), -2.0)], axis=-1)
    traces = exact.arrays["waveforms"]
    spread = np.maximum(traces.std(axis=-1), 1e-9)
    spiky = np.median(np.abs(traces).max(axis=-1) / spread, axis=(1, 2))  # Gaussian noise has 3 to 4
    peaks = tuple(peak_of(0.9 if each > 5.0 else 0.1) for each in spiky)
    return Answers(("x", "y", "depth"), mean[:, None], np.full((len(exact), 1, 3), 0.5), peaks)
