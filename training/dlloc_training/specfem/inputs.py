"""Input files of SPECFEM3D for an experiment: one run per event, or three runs (forces Z, N, E) per station."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.records import Station

from ..events import Sources
from .archive import FORCES
from .pack import DIRECTIONS
from .placement import PLACEMENT_FILE, Placement
from .sources import ForceShape, ForceSource, MomentSource, format_cmtsolution, format_forcesolution
from .sourcetime import TRIANGLE_DECAY
from .stations import MeshStation, format_stations

FloatArray = NDArray[np.float64]

NODE_NETWORK = "GR"
LEFT_AT_FMAX = 0.1
"""Share of the source's amplitude that is left at fmax."""

README_FILE = "README.txt"
_POINTS_PER_WAVELENGTH = 5
_OUTPUTS = {
    "events": [
        ("USE_FORCE_POINT_SOURCE", ".false."),
        ("SAVE_SEISMOGRAMS_VELOCITY", ".true."),
        ("SAVE_SEISMOGRAMS_STRAIN", ".false."),
    ],
    "reciprocal": [
        ("USE_FORCE_POINT_SOURCE", ".true."),
        ("SAVE_SEISMOGRAMS_STRAIN", ".true."),
        ("SAVE_SEISMOGRAMS_DISPLACEMENT", ".false."),
        ("SAVE_SEISMOGRAMS_VELOCITY", ".false."),
        ("WRITE_SEISMOGRAMS_BY_MAIN", ".false."),
    ],
}


def half_duration_for(fmax_hz: float) -> float:
    """Half duration (s) whose Gaussian has :data:`LEFT_AT_FMAX` of its amplitude left at ``fmax_hz``."""
    if not fmax_hz > 0:
        raise SettingError(f"fmax {fmax_hz} Hz must be above 0")
    return float(TRIANGLE_DECAY * np.sqrt(-np.log(LEFT_AT_FMAX)) / (np.pi * fmax_hz))


def receivers(stations: Sequence[Station], placement: Placement) -> tuple[MeshStation, ...]:
    """Stations at the mesh's surface or, under USE_SOURCES_RECEIVERS_Z, at their elevation."""
    x_km, y_km = placement.frame.to_local([s.latitude for s in stations], [s.longitude for s in stations])
    columns = zip(*placement.from_local(x_km, y_km), stations, strict=True)
    return tuple(
        MeshStation(
            s.code, s.network, float(y), float(x), s.elevation_m, s.elevation_m if placement.absolute_z else 0.0
        )
        for y, x, s in columns
    )


def grid_receivers(nodes_km: ArrayLike, placement: Placement) -> tuple[MeshStation, ...]:
    """Hypocentre nodes (node, 3: x east, y north, depth below sea level, km) as the receivers of reciprocal runs."""
    nodes = np.asarray(nodes_km, float).reshape(-1, 3)
    y, x = placement.from_local(nodes[:, 0], nodes[:, 1])
    burial = placement.receiver_burial_m(nodes[:, 2])
    if not placement.absolute_z and burial.min(initial=np.inf) <= 0:
        raise SettingError(
            f"a node lies {-burial.min():.0f} m above the mesh's surface at {placement.surface_elevation_m:g} m: set "
            "the surface's elevation, or use absolute z with a mesh that has topography"
        )
    return tuple(
        MeshStation(f"N{i:06d}", NODE_NETWORK, float(y[i]), float(x[i]), 0.0, float(burial[i]))
        for i in range(len(nodes))
    )


def moment_sources(
    sources: Sources, placement: Placement, half_duration_s: float, time_s: float = 946684800.0
) -> tuple[MomentSource, ...]:
    """Sources of :mod:`dlloc_training.events` (depths below sea level) for runs named ``ev000000`` on.

    ``corner_hz`` is left to the import: SPECFEM3D's moment rate is the Gaussian of ``half_duration_s``. ``time_s``:
    POSIX origin time, the year 2000 by default.
    """
    y, x = placement.from_local(sources.x_km, sources.y_km)
    depth = placement.source_depth(sources.depth_km)
    return tuple(
        MomentSource(
            f"ev{i:06d}", time_s, 0.0, half_duration_s, float(y[i]), float(x[i]), float(depth[i]), sources.tensors[i]
        )
        for i in range(len(sources))
    )


def forces_at(station: MeshStation, placement: Placement, half_duration_s: float, newtons: float) -> list[ForceSource]:
    """The three forces of a station, in the order Z, N, E, each a Gaussian of unit area times ``newtons``."""
    depth = station.burial_m if placement.absolute_z else station.burial_m / 1000.0
    return [
        ForceSource(
            f"{station.id}.{force}",
            0.0,
            half_duration_s,
            station.y,
            station.x,
            depth,
            int(ForceShape.GAUSSIAN),
            newtons,
            np.array(DIRECTIONS[force]),
        )
        for force in FORCES
    ]


def write_event_inputs(
    folder: Path, sources: Sequence[MomentSource], stations: Sequence[MeshStation], placement: Placement
) -> tuple[Path, ...]:
    """One run per source: ``folder/events/NAME/DATA`` with CMTSOLUTION and STATIONS. Returns the runs' folders.

    Raises SettingError where one is there already or cannot be written.
    """
    texts = {source.name: {"CMTSOLUTION": format_cmtsolution(source)} for source in sources}
    return _write_runs(folder, "events", texts, format_stations(stations), placement)


def write_reciprocal_inputs(
    folder: Path,
    stations: Sequence[MeshStation],
    nodes: Sequence[MeshStation],
    placement: Placement,
    half_duration_s: float,
    newtons: float = 1e15,
) -> tuple[Path, ...]:
    """Three runs per station: ``folder/reciprocal/NET.STA.Z/DATA`` with FORCESOLUTION and the nodes as STATIONS."""
    texts = {
        force.name: {"FORCESOLUTION": format_forcesolution(force)}
        for station in stations
        for force in forces_at(station, placement, half_duration_s, newtons)
    }
    return _write_runs(folder, "reciprocal", texts, format_stations(nodes), placement)


def write_readme(folder: Path, placement: Placement, fmax_hz: float, runs: Sequence[Path]) -> Path:
    """What to set in the Par_file, what to do after, and the list of the runs."""
    kinds = sorted({run.parent.name for run in runs})
    flags = {True: ".true.", False: ".false."}
    lines = [
        "Input files for SPECFEM3D Cartesian, one folder per run.",
        "",
        f"Mesh: x east, y north in metres from latitude {placement.frame.latitude:.6f}, longitude "
        f"{placement.frame.longitude:.6f}"
        if placement.suppress_utm
        else "Mesh: in the UTM zone of the region",
        "z up in metres above sea level, topography allowed"
        if placement.absolute_z
        else f"surface flat at {placement.surface_elevation_m:g} m above sea level",
        f"highest frequency {fmax_hz:g} Hz: at least {_POINTS_PER_WAVELENGTH} GLL points per shortest wavelength",
        "",
        "Add a Par_file with these settings to DATA of every run (mesh and databases are the same for all):",
        f"  SUPPRESS_UTM_PROJECTION = {flags[placement.suppress_utm]}",
        f"  USE_SOURCES_RECEIVERS_Z = {flags[placement.absolute_z]}",
        "  USE_RICKER_TIME_FUNCTION = .false.",
        "  USE_EXTERNAL_SOURCE_FILE = .false.",
        "  USE_BINARY_FOR_SEISMOGRAMS = .false.",
        "  SAVE_ALL_SEISMOS_IN_ONE_FILE = .false.",
    ]
    for kind in kinds:
        lines += [f"and for the runs in {kind}/:", *(f"  {name} = {value}" for name, value in _OUTPUTS[kind])]
    lines += ["", f"After the runs, from this folder ({PLACEMENT_FILE} must stay in it):"]
    if "events" in kinds:
        lines.append("  python -m dlloc_training specfem check events/*")
    if "reciprocal" in kinds:
        lines.append(f"  python -m dlloc_training specfem pack reciprocal/* --fmax {fmax_hz:g} -o archive.h5")
    lines += ["", f"{len(runs)} runs:", *(f"  {run.relative_to(folder).as_posix()}" for run in runs)]
    path = folder / README_FILE
    _write(path, "\n".join(lines) + "\n")
    return path


def _write_runs(
    folder: Path, kind: str, texts: dict[str, dict[str, str]], stations: str, placement: Placement
) -> tuple[Path, ...]:
    runs = {folder / kind / name: files for name, files in texts.items()}
    there = [run for run in runs if run.exists()]
    if there:
        raise SettingError(f"{there[0]}: is there already; choose another folder, runs are not overwritten")
    for run, files in runs.items():
        for name, text in {**files, "STATIONS": stations}.items():
            _write(run / "DATA" / name, text)
    _write(folder / PLACEMENT_FILE, placement.to_json())
    return tuple(runs)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise SettingError(f"{path}: cannot be written ({error.strerror or error})") from error
