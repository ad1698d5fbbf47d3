"""Fixtures shared by the tests of the training package."""

import os
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.earth import EarthModel
from dlloc_training.greens import strain_table
from dlloc_training.table import StrainTable

from .tinyrun import Tiny, made

REPOSITORY = Path(__file__).resolve().parents[2]

CRUST = [
    (2.0, 4.0, 2.3, 2.4, 300.0, 150.0),
    (13.0, 6.0, 3.47, 2.7, 800.0, 500.0),
    (0.0, 6.8, 3.9, 2.95, 1000.0, 600.0),
]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real networks' waveforms: ``../shared/data`` beside the checkout, or ``DLLOC_SHARED_DATA``."""
    folder = Path(os.environ.get("DLLOC_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the real waveforms in {folder} (or set DLLOC_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def crust() -> EarthModel:
    return EarthModel.from_rows(CRUST)


@pytest.fixture(scope="session")
def table(crust: EarthModel) -> StrainTable:
    """A small table: 4 Hz, 40 s, two depths, every 1 km to 60 km."""
    return strain_table(
        crust, [5.0, 9.0], np.arange(4.0, 61.0), duration_s=40.0, fmax_hz=4.0, reduction_velocity_km_s=7.0
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A small experiment with its seismograms, which nobody changes."""
    return made(tmp_path_factory.mktemp("tiny"))
