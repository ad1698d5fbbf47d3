"""The any-network model as one ``.onnx`` file: evidence from waveforms, and its sum along travel times.

Both steps are in one graph; the search for the place alternates between them (:mod:`seiscomp_dlloc.migration`).
"""

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seiscomp_dlloc import __version__

from ..export import half_exact, write_model
from .evidence import EVIDENCE_STRIDE, Evidence, RatioEvidence
from .stacking import stack

INPUTS = ("waveforms", "mask", "evidence", "arrivals", "origins")
OUTPUTS = ("onsets", "stack")

AXES: dict[str, dict[int, str]] = {
    "waveforms": {0: "station", 2: "sample"},
    "mask": {0: "station", 2: "sample"},
    "evidence": {0: "row", 2: "time"},
    "arrivals": {0: "node", 1: "row"},
    "origins": {0: "origin"},
    "onsets": {0: "station", 2: "step"},
    "stack": {0: "node", 1: "origin"},
}

REFERENCE_RATE_HZ = 20.0
PRETRIGGER_S, WARMUP_S, WINDOW_SAMPLES = 5.0, 2.0, 1536
"""At the reference rate; at another one times are shorter or longer in proportion."""

SCALES: tuple[tuple[float, float], ...] = ((70.0, 50.0), (250.0, 20.0), (700.0, 10.0))
"""Largest aperture (km) and sampling rate (Hz): the window holds S of all stations, the band most of the energy."""

BAND = (0.1, 0.4)
"""Share of the sampling rate: 2 to 8 Hz at 20 Hz."""


class Graph(nn.Module):
    """What is exported: two steps that have nothing in common but the file."""

    def __init__(self, evidence: nn.Module):
        super().__init__()
        self.evidence = evidence

    def forward(
        self,
        waveforms: torch.Tensor,
        mask: torch.Tensor,
        evidence: torch.Tensor,
        arrivals: torch.Tensor,
        origins: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``onsets`` (station, 2, time) of waveforms and mask (station, 3, sample); ``stack`` (node, origin)."""
        return self.evidence(waveforms, mask), stack(evidence, arrivals, origins.long())


PRIOR = {"outside_share": 0.15, "shallow_km": 15.0, "deep_km": 8.0}
"""See :func:`seiscomp_dlloc.migration.prior.place_prior`. Crustal events; it counts where little else is known."""

UNCALIBRATED = {"peak_threshold": 0.5, "covariance_scale": 1.0}
UNCALIBRATED_TRUST = {"offset": -4.4, "score": 0.26, "stations": -0.2}
"""Where a calibration starts from."""


@dataclass(frozen=True)
class About:
    """What a passport says of a model beside how it is applied."""

    name: str
    version: str
    description: str
    provenance: dict[str, Any]
    calibration: dict[str, float]
    skill: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    min_stations: int = 4


def scale_row(aperture_km: float, rate_hz: float) -> dict[str, Any]:
    """One of the passport's ``scales``."""
    factor = REFERENCE_RATE_HZ / rate_hz
    return {
        "aperture_km": aperture_km,
        "sampling_rate_hz": rate_hz,
        "band_hz": [BAND[0] * rate_hz, BAND[1] * rate_hz],
        "warmup_s": WARMUP_S * factor,
        "window_samples": WINDOW_SAMPLES,
        "pretrigger_s": PRETRIGGER_S * factor,
    }


def passport_document(about: About) -> dict[str, Any]:
    """The JSON document, without the hash that embedding adds."""
    scales = [scale_row(aperture, rate) for aperture, rate in SCALES]
    # What is fetched for an event before its network's size is known: the longest window
    largest = {key: value for key, value in scales[-1].items() if key != "aperture_km"}
    return {
        "format_version": 1,
        "name": about.name,
        "version": about.version,
        "description": about.description,
        "content_sha256": "0" * 64,
        "network": {"kind": "any"},
        "preprocessing": {
            **largest,
            "corners": 3,
            "prefiltered": False,
            "detrend": "constant",
            "quantity": "velocity",
            "normalisation": "station_max",
            "unit_scale": 1.0,
        },
        "scales": scales,
        "representation": {
            "kind": "traces",
            "missing": "zero",
            "inputs": list(INPUTS),
            "stride": EVIDENCE_STRIDE,
        },
        "head": {
            "kind": "migration",
            "margin_share": 1.0,
            "deepest_share": 1.0,
            "deepest_km": 60.0,
            "first_nodes": 48,
            "prior": PRIOR,
            "trust": UNCALIBRATED_TRUST,
            **about.head,
        },
        "region": {"latitude": [-90.0, 90.0], "longitude": [-180.0, 180.0], "depth_km": [-9.0, 60.0]},
        "min_stations": about.min_stations,
        "earth_model": {"kind": "taup", "name": "iasp91"},
        "calibration": about.calibration,
        "provenance": {
            "code_version": __version__,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **about.provenance,
        },
        "skill": about.skill,
    }


def example(seed: int, stations: int = 4, samples: int = 256, nodes: int = 12) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs for both steps, made of random numbers that float16 holds."""
    rng = np.random.default_rng(seed)
    waveforms = rng.standard_normal((stations, 3, samples))
    waveforms[:, :, samples // 2 :] *= 8.0
    mask = np.ones_like(waveforms)
    mask[-1, 1:] = 0.0
    times = samples // EVIDENCE_STRIDE
    made = {
        "waveforms": waveforms / np.abs(waveforms).max(axis=(1, 2), keepdims=True),
        "mask": mask,
        "evidence": rng.standard_normal((stations, 2, times)),
        "arrivals": rng.uniform(-10.0, times + 10.0, (nodes, stations, 2)),
        "origins": np.arange(0.0, 16.0, 2.0),
    }
    return {name: half_exact(value) for name, value in made.items()}


def export(path: Path, evidence: nn.Module, about: About) -> None:
    """Write the model; raises ModelError where onnxruntime disagrees with torch."""
    write_model(
        path,
        Graph(evidence).eval(),
        passport_document(about),
        example(1),
        example(2, stations=7, samples=512, nodes=30),
        OUTPUTS,
        AXES,
    )


SMOOTH_STEPS = 3.0
"""By how many steps the trained network's evidence is widened: an earth model is wrong by more than the network is.

Of 0 to 3 the best on recorded training events of Oklahoma and Newberry (mean epicentre errors 1.05 to 0.74 and 0.59 to
0.55 km).
"""


def anynet(
    network: Evidence,
    version: str,
    calibration: dict[str, Any],
    skill: dict[str, Any],
    recorded: str | None = None,
) -> tuple[nn.Module, About]:
    """The trained model; ``calibration`` holds the passport's ``calibration`` and ``head`` (see :class:`About`).

    ``recorded``: the recorded events that it was trained on too, in words.
    """
    weights = sum(values.numel() for values in network.parameters())
    about = About(
        name="anynet",
        version=version,
        description=(
            "Any stations: a network that all stations share sees P and S, and what it sees is migrated with travel "
            "times onto a place and an origin time"
        ),
        provenance={
            "data": "theoretical seismograms of random networks in random layered earths; "
            + ("no recorded event" if recorded is None else recorded),
            "architecture": "dlloc_training.anynet.evidence.Evidence",
            "parameters": weights,
        },
        calibration=calibration.get("calibration", UNCALIBRATED),
        head={"smooth_steps": SMOOTH_STEPS, **calibration.get("head", {})},
        skill=skill,
    )
    return network, about


def migration(version: str, calibration: dict[str, Any], skill: dict[str, Any]) -> tuple[nn.Module, About]:
    """The model in which nothing was learned."""
    about = About(
        name="migration",
        version=version,
        description=(
            "Any stations: the logarithm of STA/LTA of P (vertical) and S (horizontals), migrated with travel times; "
            "nothing learned"
        ),
        provenance={"data": "none", "architecture": "dlloc_training.anynet.evidence.RatioEvidence", "parameters": 0},
        calibration=calibration.get("calibration", UNCALIBRATED),
        head=calibration.get("head", {}),
        skill=skill,
    )
    return RatioEvidence(), about
