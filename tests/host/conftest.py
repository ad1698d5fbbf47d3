"""Fixtures of the tests against a real SeisComP: they skip without SEISCOMP_ROOT."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratchroot import ScratchRoot


@pytest.fixture(scope="session")
def seiscomp() -> Path:
    """The installation in SEISCOMP_ROOT."""
    value = os.environ.get("SEISCOMP_ROOT")
    if not value:
        pytest.skip("needs SEISCOMP_ROOT, the folder of an installed SeisComP")
    root = Path(value)
    if not (root / "bin" / "seiscomp").exists():
        pytest.fail(f"SEISCOMP_ROOT={root}: holds no bin/seiscomp")
    return root


@pytest.fixture
def host(seiscomp: Path, tmp_path: Path) -> Iterator[ScratchRoot]:
    """A scratch root with an empty database; its programs are ended with the test."""
    root = ScratchRoot(seiscomp, tmp_path)
    yield root
    root.close()
