"""NonLinLoc's time grids of a layered earth, as files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scene import LATITUDE, LONGITUDE, STATIONS

from seiscomp_dlloc.arrivals.projections import LambertProjection
from seiscomp_dlloc.traveltimes import PHASES, TravelTimes

TRANSFORM = LambertProjection("WGS-84", LATITUDE, LONGITUDE, 35.9, 36.3)
ELEVATION_M = 300.0


def write_grids(
    folder: Path,
    earth: TravelTimes,
    codes: Iterable[str] = tuple(code for code, _, _ in STATIONS),
    phases: Sequence[str] = PHASES,
    deepest_km: float = 36.0,
    spacing_km: float = 0.5,
) -> Path:
    """Grids of the scene's stations over all that is searched; x and y are km from its epicentre."""
    folder.mkdir(exist_ok=True)
    origin, last = np.array([-20.0, -20.0, -1.0]), np.array([20.0, 52.0, deepest_km])
    shape = [round(length / spacing_km) + 1 for length in last - origin]
    x, y, z = (first + spacing_km * np.arange(count) for first, count in zip(origin, shape, strict=True))
    for code, latitude, longitude in STATIONS:
        if code not in codes:
            continue
        sx, sy = (float(v) for v in TRANSFORM.to_grid(latitude, longitude))
        # Times depend on the distance alone: a fine line of them, then the grid
        line = np.arange(0.0, 100.0, 0.1)
        distance = np.hypot(x[:, None] - sx, y[None, :] - sy)
        for phase in phases:
            times = np.empty(shape, np.float32)
            for k, depth in enumerate(z):
                times[:, :, k] = np.interp(distance, line, earth.times(phase, line, depth, ELEVATION_M))
            stem = folder / f"layer.{phase}.{code}.time"
            stem.with_suffix(".time.hdr").write_text(
                f"{shape[0]} {shape[1]} {shape[2]}  {origin[0]:.6f} {origin[1]:.6f} {origin[2]:.6f}  "
                f"{spacing_km:.6f} {spacing_km:.6f} {spacing_km:.6f} TIME FLOAT\n"
                f"{code} {sx:.6f} {sy:.6f} {-ELEVATION_M / 1000.0:.6f}\n"
                f"TRANSFORM  LAMBERT RefEllipsoid WGS-84  LatOrig {LATITUDE:.6f}  LongOrig {LONGITUDE:.6f}  "
                "FirstStdParal 35.900000  SecondStdParal 36.300000  RotCW 0.000000\n"
            )
            stem.with_suffix(".time.buf").write_bytes(times.tobytes())
    return folder
