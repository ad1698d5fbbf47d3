"""Reciprocal runs, one folder per station and force, into one archive."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .archive import FORCES, STRAINS, ArchiveHeader, new_archive
from .asciifiles import read_trace, trace_axis
from .outputs import Axis
from .parfile import PLACES, read_settings, required_file
from .placement import Placement
from .reciprocal import LEAST_GAUSSIAN
from .seismograms import differentiate
from .sources import ForceShape, ForceSource, read_forcesolution
from .sourcetime import gaussian_spectrum, width_s
from .stations import MeshStation, read_stations
from .text import SpecfemError

FloatArray = NDArray[np.float64]

DIRECTIONS = {"Z": (0.0, 0.0, 1.0), "N": (0.0, 1.0, 0.0), "E": (1.0, 0.0, 0.0)}
"""Unit vectors (east, north, up) of the forces."""

_CARTESIAN = {"EE": "XX", "EN": "XY", "EZ": "XZ", "NN": "YY", "NZ": "YZ", "ZZ": "ZZ"}
_RUN_NAME = re.compile(r"^(?P<station>[^.\s]+\.\S+)\.(?P<force>[ZNE])$")
_NAMED = 10


@dataclass(frozen=True)
class ReciprocalRun:
    """One run: the force of ``force`` (Z, N or E) at ``station``; ``files`` (node, component) of its strain."""

    folder: Path
    station: str
    force: str
    source: ForceSource
    nodes: tuple[MeshStation, ...]
    files: tuple[tuple[Path, ...], ...]
    axis: Axis
    simulation_dt_s: float


@dataclass(frozen=True)
class RunSet:
    """Runs of all three forces at every station, on the same nodes and time axis; ``runs`` (station, force)."""

    stations: tuple[str, ...]
    runs: tuple[tuple[ReciprocalRun, ...], ...]

    @property
    def first(self) -> ReciprocalRun:
        """The run that the others agree with."""
        return self.runs[0][0]


def check_run(folder: str | Path) -> ReciprocalRun:
    """One reciprocal run, its files listed and the ends of one of each node read. Raises SpecfemError."""
    folder = Path(folder)
    source = read_forcesolution(required_file(folder, "FORCESOLUTION"))
    named = _RUN_NAME.match(source.name) or _RUN_NAME.match(folder.name)
    if named is None:
        raise SpecfemError(
            f"{folder}: neither the first line of its FORCESOLUTION nor the folder's name says NET.STA.Z, .N or .E"
        )
    if not np.allclose(source.direction, DIRECTIONS[named["force"]], atol=1e-6):
        raise SpecfemError(
            f"{folder}: its force points along {np.round(source.direction, 6).tolist()} (east, north, up), not along "
            f"{named['force']}"
        )
    nodes = read_stations(required_file(folder, "STATIONS"))
    present = _listing(folder)
    files, missing = [], []
    for node in nodes:
        paths = [_strain_file(present, node.id, strain) for strain in STRAINS]
        files.append(tuple(path for path in paths if path is not None))
        if None in paths:
            missing.append(node.id)
    if missing:
        shown = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
        raise SpecfemError(
            f"{folder}: {len(missing)} of {len(nodes)} nodes have not all six strains (NET.STA.SXX.semd ...): {shown}. "
            "Set SAVE_SEISMOGRAMS_STRAIN = .true. and WRITE_SEISMOGRAMS_BY_MAIN = .false.; nodes outside the mesh get "
            "none (STATIONS_FILTERED)"
        )
    settings = read_settings(folder)
    axis = trace_axis(files[0][0])
    if settings.output_dt_s is not None and abs(settings.output_dt_s / axis.dt_s - 1.0) > 1e-4:
        raise SpecfemError(f"{folder}: sampled every {axis.dt_s:g} s, its Par_file says {settings.output_dt_s:g} s")
    _refuse_short(files, axis)
    return ReciprocalRun(
        folder=folder,
        station=named["station"],
        force=named["force"],
        source=source,
        nodes=nodes,
        files=tuple(files),
        axis=axis._replace(dt_s=settings.output_dt_s or axis.dt_s),
        simulation_dt_s=settings.dt_s or axis.dt_s,
    )


def check_runs(folders: Sequence[str | Path], progress: Callable[[Path], None] | None = None) -> RunSet:
    """All runs of an archive. Raises SpecfemError with every folder's fault, or what does not fit together."""
    found: dict[tuple[str, str], ReciprocalRun] = {}
    faults = []
    for folder in folders:
        try:
            run = check_run(folder)
            if (run.station, run.force) in found:
                raise SpecfemError(f"{folder}: repeats {found[run.station, run.force].folder}")
            found[run.station, run.force] = run
        except SpecfemError as error:
            faults.append(str(error))
        if progress is not None:
            progress(Path(folder))
    stations = tuple(sorted({station for station, _ in found}))
    absent = [f"{station}.{force}" for station in stations for force in FORCES if (station, force) not in found]
    if absent and not faults:
        faults.append(f"no folder of the forces {', '.join(absent)}: each station needs Z, N and E")
    if not faults and not stations:
        faults.append("no folder of a reciprocal run was given")
    if faults:
        raise SpecfemError("\n".join(faults))
    runs = RunSet(stations, tuple(tuple(found[station, force] for force in FORCES) for station in stations))
    for row in runs.runs:
        for run in row:
            _same_as(runs.first, run)
            if (run.source.y, run.source.x, run.source.depth) != (
                row[0].source.y,
                row[0].source.x,
                row[0].source.depth,
            ):
                raise SpecfemError(f"{row[0].folder} and {run.folder}: the forces of one station stand at two places")
    return runs


def pack(
    runs: RunSet,
    path: str | Path,
    placement: Placement,
    fmax_hz: float,
    progress: Callable[[Path], None] | None = None,
) -> ArchiveHeader:
    """Write the archive of ``runs`` to ``path``. ``fmax_hz``: highest frequency that the mesh resolves.

    Raises SpecfemError where the force's Gaussian is too long for ``fmax_hz``, the disk too small, or a file damaged;
    then nothing is left at ``path`` that was not there.
    """
    header = header_of(runs, placement, fmax_hz)
    first = runs.first
    with new_archive(path, header) as strain:
        for i, row in enumerate(runs.runs):
            for k, run in enumerate(row):
                for node, files in enumerate(run.files):
                    values = np.stack([_values(file, run.axis) for file in files])
                    if first.source.shape == ForceShape.STEP:
                        values = differentiate(values, run.axis.dt_s)
                    strain[node, i, k] = values / run.source.newtons
                if progress is not None:
                    progress(run.folder)
    return header


def header_of(runs: RunSet, placement: Placement, fmax_hz: float) -> ArchiveHeader:
    """Header of the archive of ``runs``; the checks of :func:`pack` that need no data."""
    first = runs.first
    width = width_s(first.source.half_duration_s, first.simulation_dt_s, first.source.shape)
    nyquist = 0.5 / first.axis.dt_s
    if not 0.0 < fmax_hz <= nyquist:
        raise SpecfemError(f"fmax {fmax_hz:g} Hz must lie above 0 and up to half the sampling rate, {nyquist:g} Hz")
    left = float(gaussian_spectrum(np.array(2.0 * np.pi * fmax_hz), width))
    if left < LEAST_GAUSSIAN:
        most = np.sqrt(-np.log(LEAST_GAUSSIAN)) / (np.pi * width)
        raise SpecfemError(
            f"{first.folder}: its force's Gaussian has {left:.1e} of its amplitude left at fmax {fmax_hz:g} Hz: repeat "
            f"with a shorter half duration, or pack with fmax up to {most:.3g} Hz"
        )
    x, y = placement.to_local([n.y for n in first.nodes], [n.x for n in first.nodes])
    nodes = np.stack([x, y, placement.receiver_depth_km([n.burial_m for n in first.nodes])], axis=-1)
    sources = [row[0].source for row in runs.runs]
    x, y = placement.to_local([s.y for s in sources], [s.x for s in sources])
    stations = np.stack([x, y, placement.source_depth_km([s.depth for s in sources])], axis=-1)
    return ArchiveHeader(
        stations=runs.stations,
        stations_km=stations,
        nodes_km=nodes,
        latitude=placement.frame.latitude,
        longitude=placement.frame.longitude,
        start_s=first.axis.start_s,
        dt_s=first.axis.dt_s,
        samples=first.axis.samples,
        width_s=width,
        fmax_hz=float(fmax_hz),
    )


def _same_as(first: ReciprocalRun, run: ReciprocalRun) -> None:
    axis, other = first.axis, run.axis
    equal = axis.samples == other.samples and abs(axis.start_s - other.start_s) < 0.01 * axis.dt_s
    for same, what in (
        (equal and abs(axis.dt_s / other.dt_s - 1.0) < 1e-6, "time axes (t0, DT, NSTEP)"),
        (first.nodes == run.nodes, "STATIONS"),
        (first.source.shape == run.source.shape, "source time functions"),
        (first.source.half_duration_s == run.source.half_duration_s, "half durations"),
        (first.simulation_dt_s == run.simulation_dt_s, "time steps"),
    ):
        if not same:
            raise SpecfemError(f"{first.folder} and {run.folder} have different {what}: repeat one of them")


def _refuse_short(files: Sequence[Sequence[Path]], axis: Axis) -> None:
    """Files as large as the first are as long as it; the ends of the others, and of one per node, are read."""
    size = files[0][0].stat().st_size
    for paths in files:
        odd = [path for path in paths if path.stat().st_size != size]
        for path in {paths[-1], *odd}:
            other = trace_axis(path)
            if other.samples != axis.samples:
                raise SpecfemError(
                    f"{path}: has {other.samples} samples, the first of its run {axis.samples}; the run did not end, "
                    "or its disk was full"
                )


def _listing(folder: Path) -> dict[str, Path]:
    present: dict[str, Path] = {}
    for place in PLACES:
        if (folder / place).is_dir():
            present.update((path.name, path) for path in (folder / place).glob("*.semd"))
    return present


def _strain_file(present: dict[str, Path], node: str, strain: str) -> Path | None:
    for code in (_CARTESIAN[strain], strain):
        path = present.get(f"{node}.S{code}.semd")
        if path is not None:
            return path
    return None


def _values(path: Path, axis: Axis) -> FloatArray:
    _, values = read_trace(path)
    if len(values) != axis.samples:
        raise SpecfemError(f"{path}: has {len(values)} samples, the others have {axis.samples}; the run did not end")
    return values
