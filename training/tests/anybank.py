"""Banks for tests of the any-network model: bursts written by hand, and earths small enough to compute in a moment."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.anynet import bank
from dlloc_training.anynet.bank import LOCAL, SAMPLES, STATIONS, Bank, travel_times_of
from dlloc_training.anynet.draw import Faults
from dlloc_training.anynet.earths import RATE_HZ
from dlloc_training.earth import EarthModel

CLEAN = Faults(
    clean=1.0,
    even=0.0,
    network=0.0,
    second=0.0,
    early_s=(4.0, 6.0),
    dead=0.0,
    vertical=0.0,
    late=0.0,
    gap=0.0,
    glitch=0.0,
    begun=0.0,
    filtered=0.0,
)
"""Nothing is wrong with any station but that some may have no data."""

SMALL = replace(LOCAL, farthest_km=15.0, distances=12, depth_km=(2.0, 9.0), duration_s=10.0, aperture_km=(4.0, 20.0))


@pytest.fixture
def small(monkeypatch):
    """Local earths of two depths and twelve distances instead of the real ones."""
    monkeypatch.setattr(bank, "LOCAL", SMALL)
    monkeypatch.setattr(bank, "DEPTHS", 2)
    return SMALL


def bursts(earths: int = 8, events: int = 2, seed: int = 0, width_km: float = 15.0) -> Bank:
    """Every arrival begins exactly on time: noise that decays, P on the vertical, twice as strong S on the others.

    Before its P a record is zero, before its S the horizontals are.
    """
    rng = np.random.default_rng(seed)
    models = tuple(
        EarthModel.from_rows([(5.0, v, v / 1.75, 2.6, 500.0, 300.0), (0.0, v + 1, (v + 1) / 1.75, 2.8, 800.0, 500.0)])
        for v in rng.uniform(4.5, 6.0, earths)
    )
    count = earths * events
    earth, depth = np.repeat(np.arange(earths), events), rng.uniform(2.0, 9.0, count)
    places = rng.uniform(-width_km, width_km, (count, STATIONS, 2))
    distance = np.hypot(places[..., 0], places[..., 1])
    onsets = np.stack(
        [
            [travel_times_of(models[k]).times(phase, r, z) for k, r, z in zip(earth, distance, depth, strict=True)]
            for phase in ("P", "S")
        ]
    )
    time = np.arange(SAMPLES) / RATE_HZ
    after = time - onsets[..., None]
    envelope = np.where(after >= 0.0, np.exp(-np.clip(after, 0.0, None) / 2.0), 0.0)[:, :, :, None]
    noise = rng.standard_normal((count, STATIONS, 3, SAMPLES))
    share = np.array([1.0, 0.0, 0.0])[:, None], np.array([0.0, 2.0, 2.0])[:, None]
    data = (noise * (envelope[0] * share[0] + envelope[1] * share[1])).transpose(0, 2, 1, 3)
    largest = np.abs(data).max(axis=(1, 3))
    return Bank(
        data=(data / largest[:, None, :, None]).astype(np.float16),
        peak=1e-5 * largest / np.maximum(distance, 1.0),
        p_s=onsets[0],
        s_s=onsets[1],
        places_km=places,
        depth_km=depth,
        earth=earth,
        earths=models,
    )
