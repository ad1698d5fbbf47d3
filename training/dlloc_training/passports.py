"""Passports of the models that this package trains."""

import datetime
from dataclasses import asdict
from typing import Any

from seiscomp_dlloc import __version__

from .calibration import ImageKind
from .moveout import MoveoutModel
from .network import Target

MARGIN_DEG = 0.05


def passport_document(
    target: Target,
    moveout: MoveoutModel,
    *,
    name: str,
    version: str,
    description: str,
    calibration: dict[str, float],
    provenance: dict[str, Any],
    skill: dict[str, Any],
    kind: ImageKind,
    min_stations: int = 8,
) -> dict[str, Any]:
    """The JSON document of a fixed network's volume model, without the hash that embedding adds."""
    grid, settings = target.grid, asdict(target.settings)
    settings["band_hz"] = list(settings["band_hz"])
    x0, x1, y0, y1 = target.search_km
    latitudes, longitudes = grid.frame.to_geographic([x0, x0, x1, x1], [y0, y1, y0, y1])
    return {
        "format_version": 1,
        "name": name,
        "version": version,
        "description": description,
        "content_sha256": "0" * 64,
        "network": {
            "kind": "fixed",
            "tolerance_km": 1.0,
            "stations": [
                {
                    "network": s.network,
                    "code": s.code,
                    "latitude": s.latitude,
                    "longitude": s.longitude,
                    "elevation_m": s.elevation_m,
                }
                for s in target.stations
            ],
        },
        "preprocessing": settings,
        "representation": {"kind": "stations", "missing": "zero", "inputs": ["waveforms"]},
        "head": {
            "kind": "volume",
            "measure": kind.measure,
            "label_sigma_km": kind.sigma_km,
            "label_sigma_depth_km": kind.sigma_depth_km,
            "grid": {
                key: getattr(grid, key)
                for key in (
                    "latitude",
                    "longitude",
                    "x0_km",
                    "y0_km",
                    "z0_km",
                    "dx_km",
                    "dy_km",
                    "dz_km",
                    "nx",
                    "ny",
                    "nz",
                )
            },
        },
        "region": {
            "latitude": [round(float(min(latitudes)) - MARGIN_DEG, 4), round(float(max(latitudes)) + MARGIN_DEG, 4)],
            "longitude": [
                round(float(min(longitudes)) - MARGIN_DEG, 4),
                round(float(max(longitudes)) + MARGIN_DEG, 4),
            ],
            "depth_km": [float(grid.z_km[0]), float(grid.z_km[-1])],
        },
        "min_stations": min_stations,
        "earth_model": moveout.earth_model(),
        "calibration": calibration,
        "provenance": {
            "code_version": __version__,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **provenance,
        },
        "skill": skill,
    }
