"""Bundled models of a test's own: the default one, and one of one network with an earth of its region."""

from pathlib import Path
from typing import Any

import pytest
import tinymodels
from samples import passport_document

from seiscomp_dlloc import models

NAME = "region"
EARTH: dict[str, Any] = {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 5.0, "vs_km_s": 2.9}]}
"""Of the network ``region``; the default model's own is called ``halfspace``."""
TOLD = f"the earth of {NAME}, which knows these stations"


def network_document(name: str = NAME, earth: dict[str, Any] = EARTH, **changes: Any) -> dict[str, Any]:
    """Passport of a model for the stations of ``scene``, XX.A0 to A3, three of which it needs."""
    return passport_document(name=name, earth_model=earth, **changes)


def bundle_models(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the package bundle two models: the default one, for any network, and ``region``."""
    folder.mkdir()
    tinymodels.save(tinymodels.any_network(), folder, f"{models.DEFAULT}.onnx")
    tinymodels.save(tinymodels.fixed_image(network_document()), folder, f"{NAME}.onnx")
    patch.setattr(models, "FOLDER", folder)


def elsewhere(inventory: Any) -> Any:
    """The inventory's stations where no bundled model knows any."""
    moved = inventory.copy()
    for network in moved:
        for station in network:
            station.latitude = float(station.latitude) + 3.0
    return moved
