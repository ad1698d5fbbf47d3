"""One event per folder: CMTSOLUTION, STATIONS and the seismograms that SPECFEM3D wrote, to ground velocity."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline

from seiscomp_dlloc.resampling import resample

from .asciifiles import ascii_output
from .hdf5files import asdf_output, hdf5_output
from .outputs import COMPONENTS, Axis, Output, Quantity
from .parfile import Settings, read_settings, required_file
from .sources import MomentSource, read_cmtsolution
from .stations import MeshStation, read_stations
from .text import SpecfemError

FloatArray = NDArray[np.float64]

_SPLINE_DEGREE = 5
_STEP_TOLERANCE = 1e-4
_NAMED_STATIONS = 10


@dataclass(frozen=True)
class EventFolder:
    """A folder that was found fit to be read. ``stations`` are those asked for, in their order."""

    folder: Path
    source: MomentSource
    stations: tuple[MeshStation, ...]
    settings: Settings
    output: Output
    axis: Axis

    @property
    def suppress_utm(self) -> bool:
        """SUPPRESS_UTM_PROJECTION of the run, by its Par_file or else by the names of its channels."""
        said = self.settings.suppress_utm
        return not self.output.projected if said is None else said


@dataclass(frozen=True)
class EventSeismograms:
    """``velocity`` (3, station, sample) m/s, components Z, N, E; sample 0 lies ``start_s`` after the origin time."""

    velocity: FloatArray
    start_s: float
    dt_s: float
    source: MomentSource
    stations: tuple[MeshStation, ...]

    @cached_property
    def time_s(self) -> FloatArray:
        """(sample,): seconds after the origin time."""
        return self.start_s + self.dt_s * np.arange(self.velocity.shape[-1], dtype=np.float64)

    def on_axis(self, start_s: ArrayLike, samples: int, sampling_rate_hz: float) -> NDArray[np.float32]:
        """(3, station, sample) on another time axis, as :func:`dlloc_training.events.synthesize` has it.

        ``start_s``: scalar or (station,). Resampled by the one preprocessing; zeros outside what the run simulated.
        Raises SpecfemError where the rate asked for is above that of the run.
        """
        rate = 1.0 / self.dt_s
        if sampling_rate_hz > rate * (1.0 + _STEP_TOLERANCE):
            raise SpecfemError(
                f"{self.source.name}: sampled at {rate:g} Hz, {sampling_rate_hz:g} Hz were asked for; run SPECFEM3D "
                "with a smaller NTSTEP_BETWEEN_OUTPUT_SAMPLE or ask for less"
            )
        offsets = np.broadcast_to(np.asarray(start_s, float), (len(self.stations),)) - self.start_s
        out = np.empty((3, len(self.stations), samples), np.float32)
        for offset in np.unique(offsets):
            chosen = offsets == offset
            done = resample(
                self.velocity[:, chosen], rate, sampling_rate_hz, float(offset), samples, 0.5 * sampling_rate_hz
            )
            out[:, chosen] = done.data
        return out


def differentiate(values: FloatArray, dt_s: float) -> FloatArray:
    """Time derivative of (..., sample) at the same samples, through a spline of degree 5 (sixth order in the step)."""
    time = dt_s * np.arange(values.shape[-1])
    spline = make_interp_spline(time, np.moveaxis(values, -1, 0), k=_SPLINE_DEGREE)
    derivative: FloatArray = spline.derivative()(time)
    return np.moveaxis(derivative, 0, -1)


def check_folder(
    folder: str | Path,
    stations: Sequence[str] | None = None,
    sampling_rate_hz: float | None = None,
    quantity: Quantity | None = None,
) -> EventFolder:
    """Whether the run in ``folder`` can be imported; only the ends of its files are read.

    ``stations``: ids (``NET.STA``) that must be there, by default all of STATIONS; ``sampling_rate_hz``: what the
    seismograms must be sampled at, by default anything; ``quantity``: what to take where both are there (velocity
    by default). Raises SpecfemError naming the folder and the stations: files or stations missing, components
    missing or of different lengths, times or rates that differ, empty files, NaN.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SpecfemError(f"{folder}: is no folder")
    source = read_cmtsolution(required_file(folder, "CMTSOLUTION"))
    listed = {station.id: station for station in read_stations(required_file(folder, "STATIONS"))}
    settings = read_settings(folder)
    output = (
        ascii_output(folder, quantity)
        or hdf5_output(folder, quantity)
        or asdf_output(folder, source.origin_time_s, settings, quantity)
    )
    if output is None:
        raise SpecfemError(
            f"{folder}: no seismograms in it, nor in its OUTPUT_FILES (NET.STA.BXZ.semv or .semd, seismograms.h5, "
            "synthetic.h5); binary, SU and all-in-one files cannot be read: set USE_BINARY_FOR_SEISMOGRAMS, SU_FORMAT "
            "and SAVE_ALL_SEISMOS_IN_ONE_FILE to .false."
        )
    wanted = tuple(listed) if stations is None else tuple(stations)
    unlisted = [station for station in wanted if station not in listed]
    if unlisted:
        raise SpecfemError(f"{folder}: STATIONS lacks {_names(unlisted)}, which the experiment needs")
    _refuse(
        folder,
        [station for station in wanted if station not in output.axes],
        f"stations of STATIONS have no {output.form} seismograms (outside the mesh? see STATIONS_FILTERED)",
    )
    _refuse(folder, [s for s in wanted if set(output.axes[s]) != set(COMPONENTS)], "stations lack a component")
    return EventFolder(
        folder=folder,
        source=source,
        stations=tuple(listed[station] for station in wanted),
        settings=settings,
        output=output,
        axis=_common_axis(folder, output, wanted, settings, sampling_rate_hz),
    )


def check_folders(
    folders: Iterable[str | Path],
    stations: Sequence[str] | None = None,
    sampling_rate_hz: float | None = None,
    quantity: Quantity | None = None,
    progress: Callable[[Path], None] | None = None,
) -> tuple[tuple[EventFolder, ...], tuple[str, ...]]:
    """Check every folder: those that are fit, and what is wrong with the others, one message each."""
    fit, wrong = [], []
    for folder in folders:
        try:
            fit.append(check_folder(folder, stations, sampling_rate_hz, quantity))
        except SpecfemError as error:
            wrong.append(str(error))
        if progress is not None:
            progress(Path(folder))
    return tuple(fit), tuple(wrong)


def read_event(checked: EventFolder) -> EventSeismograms:
    """Read the seismograms of a folder that :func:`check_folder` found fit; displacement is differentiated.

    Raises SpecfemError where a file turns out damaged or holds NaN between its ends.
    """
    values = np.stack([_read_station(checked, station.id) for station in checked.stations], axis=1)
    if checked.output.quantity == "displacement":
        values = differentiate(values, checked.axis.dt_s)
    return EventSeismograms(values, checked.axis.start_s, checked.axis.dt_s, checked.source, checked.stations)


def _read_station(checked: EventFolder, station: str) -> FloatArray:
    try:
        values = checked.output.read(station)
    except ValueError as error:  # components that do not stack
        raise SpecfemError(f"{checked.folder}: {station} has components of different lengths") from error
    if values.shape[-1] != checked.axis.samples:
        raise SpecfemError(
            f"{checked.folder}: {station} has {values.shape[-1]} samples where its times say {checked.axis.samples}"
        )
    return values


def _common_axis(
    folder: Path, output: Output, wanted: Sequence[str], settings: Settings, rate_hz: float | None
) -> Axis:
    first = output.axes[wanted[0]][COMPONENTS[0]]
    axes = {station: [output.axes[station][c] for c in COMPONENTS] for station in wanted}
    for what, differs in (
        (f"stations have components of other than {first.samples} samples", lambda a: a.samples != first.samples),
        (f"stations are not sampled every {first.dt_s:g} s", lambda a: not _same(a.dt_s, first.dt_s)),
        (
            f"stations do not begin at {first.start_s:g} s",
            lambda a: abs(a.start_s - first.start_s) > 0.01 * first.dt_s,
        ),
    ):
        _refuse(folder, [station for station in wanted if any(differs(axis) for axis in axes[station])], what)
    expected = settings.output_dt_s
    if expected is not None and not _same(expected, first.dt_s):
        raise SpecfemError(
            f"{folder}: seismograms are sampled every {first.dt_s:g} s, but its Par_file says {expected:g} s "
            "(DT times NTSTEP_BETWEEN_OUTPUT_SAMPLE): they are not of the same run"
        )
    if rate_hz is not None and not _same(first.dt_s * rate_hz, 1.0):
        raise SpecfemError(f"{folder}: seismograms are sampled at {1.0 / first.dt_s:g} Hz, {rate_hz:g} Hz are needed")
    if first.start_s > 0:
        raise SpecfemError(
            f"{folder}: seismograms begin {first.start_s:g} s after the origin time; the first time must be the "
            "-t0 that SPECFEM3D wrote"
        )
    return first._replace(dt_s=expected or first.dt_s)


def _same(one: float, other: float) -> bool:
    return abs(one / other - 1.0) < _STEP_TOLERANCE


def _refuse(folder: Path, stations: Sequence[str], what: str) -> None:
    if stations:
        raise SpecfemError(f"{folder}: {len(stations)} {what}: {_names(stations)}")


def _names(stations: Sequence[str]) -> str:
    shown = ", ".join(stations[:_NAMED_STATIONS])
    return shown + (f" and {len(stations) - _NAMED_STATIONS} more" if len(stations) > _NAMED_STATIONS else "")
