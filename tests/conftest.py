"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real networks' waveforms: ``../shared/data`` beside the checkout, or ``DLLOC_SHARED_DATA``."""
    folder = Path(os.environ.get("DLLOC_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the real waveforms in {folder} (or set DLLOC_SHARED_DATA)")
    return folder
