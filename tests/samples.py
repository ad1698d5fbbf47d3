"""A valid passport to break in tests."""

import copy
from typing import Any

_PASSPORT: dict[str, Any] = {
    "format_version": 1,
    "name": "sample",
    "version": "1.2.3",
    "description": "four stations",
    "content_sha256": "0" * 64,
    "network": {
        "kind": "fixed",
        "tolerance_km": 2.0,
        "stations": [
            {"network": "XX", "code": f"A{i}", "latitude": 36.0 + 0.1 * i, "longitude": -97.0, "elevation_m": 300.0}
            for i in range(4)
        ],
    },
    "preprocessing": {
        "sampling_rate_hz": 20.0, "band_hz": [2.0, 8.0], "corners": 4, "prefiltered": False, "warmup_s": 5.0,
        "detrend": "constant", "quantity": "velocity", "window_samples": 256, "pretrigger_s": 2.0,
        "normalisation": "station_max", "unit_scale": 1e6,
    },
    "representation": {"kind": "stations", "missing": "zero", "inputs": ["waveforms"]},
    "head": {
        "kind": "volume", "measure": "density", "label_sigma_km": 3.0,
        "grid": {"latitude": 36.0, "longitude": -97.0, "x0_km": -10.0, "y0_km": -8.0, "z0_km": 0.0,
                 "dx_km": 2.0, "dy_km": 2.0, "dz_km": 1.0, "nx": 11, "ny": 9, "nz": 5},
    },
    "region": {"latitude": [35.5, 36.5], "longitude": [-97.5, -96.5], "depth_km": [0.0, 10.0], "magnitude": [1.0, 5.0]},
    "min_stations": 3,
    "earth_model": {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 6.0, "vs_km_s": 3.5}]},
    "calibration": {"peak_threshold": 0.2, "covariance_scale": 1.0},
    "provenance": {"data": "none", "date": "2026-01-01", "code_version": "0.1.0", "seed": 1},
}  # fmt: skip


def passport_document(**changes: Any) -> dict[str, Any]:
    """A fresh copy; ``changes`` are dotted paths with ``__`` for the dot, a value of ``...`` deletes the field."""
    document = copy.deepcopy(_PASSPORT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = document
        for key in parents:
            target = target[key]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return document
