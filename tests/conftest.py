"""Fixtures that every test may use."""

import os
import sys
import venv
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


@pytest.fixture(scope="session")
def worker_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has this package and its requirements, without pip and network."""
    folder = tmp_path_factory.mktemp("worker") / "a venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = [str(REPOSITORY), *(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))]
    (site / "here.pth").write_text("\n".join(paths) + "\n")
    return folder
