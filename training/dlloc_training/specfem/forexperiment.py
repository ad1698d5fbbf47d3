"""An experiment's events by SPECFEM3D: the input files of its runs, and its file of seismograms from what came back.

The file is the one that the stage ``synthesize`` makes, so that the later stages take it as theirs.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.units import M_PER_KM

from ..events import Sources, station_positions
from ..experiments.dataset import Dataset, DatasetWriter
from ..experiments.drawing import MadeEvents, draw_events
from ..experiments.models import highest_hz
from ..experiments.reading import ExperimentFile
from ..experiments.synthesis import BATCH, DATASET, header, sample_count, site_terms
from ..realism import SiteTerms, apply_kappa
from ..source import corner_frequency
from .archive import StrainArchive
from .importing import event_places
from .inputs import (
    grid_receivers,
    half_duration_for,
    moment_sources,
    receivers,
    write_event_inputs,
    write_readme,
    write_reciprocal_inputs,
)
from .placement import Placement
from .reciprocal import nearest_nodes, synthesize
from .seismograms import EventFolder, check_folders, read_event
from .text import SpecfemError

FloatArray = NDArray[np.float64]

EVENTS, RECIPROCAL = "events", "reciprocal"
_LARGEST_MISFIT_KM = 0.02
_LARGEST_STATION_MISFIT_KM = 0.1
_TENSOR_TOLERANCE = 1e-3


def placement_of(experiment: ExperimentFile, absolute_z: bool) -> Placement:
    """Where the mesh of an experiment lies: about its region's centre, with the earth model's surface on top."""
    return Placement(
        experiment.region.frame, absolute_z=absolute_z, surface_elevation_m=-experiment.surface_km * M_PER_KM
    )


def sources_of(experiment: ExperimentFile, events: MadeEvents) -> Sources:
    """The drawn events in the region's frame, depths below sea level."""
    x, y = experiment.region.frame.to_local(events.latitude, events.longitude)
    _, vs = experiment.earth.velocities_at(np.maximum(events.depth_km - experiment.surface_km, 0.0))
    corner = corner_frequency(events.magnitude, events.stress_drop_mpa, vs)
    return Sources(np.asarray(x), np.asarray(y), events.depth_km, events.tensors, corner)


def write_experiment_inputs(experiment: ExperimentFile, folder: Path, kind: str, absolute_z: bool = False) -> Path:
    """Input files of the experiment's runs, one per event (``kind`` EVENTS) or three per station (RECIPROCAL).

    Returns the list of the runs. Raises SettingError where they cannot be written, or are there.
    """
    placement, fmax = placement_of(experiment, absolute_z), highest_hz(experiment)
    half, mesh = half_duration_for(fmax), receivers(experiment.stations, placement)
    sources = sources_of(experiment, draw_events(experiment))
    if kind == EVENTS:
        runs = write_event_inputs(folder, moment_sources(sources, placement, half), mesh, placement)
    else:
        places = np.stack([sources.x_km, sources.y_km, sources.depth_km], axis=-1)
        nodes = np.unique(np.round(places, 6), axis=0)
        runs = write_reciprocal_inputs(folder, mesh, grid_receivers(nodes, placement), placement, half)
    return write_readme(folder, placement, fmax, runs)


def import_archive(
    experiment: ExperimentFile, archive: StrainArchive, folder: Path, progress: Callable[[int], None] | None = None
) -> Dataset:
    """The experiment's seismograms from an archive of reciprocal runs, in its run folder.

    Site terms are drawn as for the layered engine (one static per station, the mean of those of P and S); no coda is
    added, for scattering is the mesh's to make. Goes on where it was stopped. Raises SpecfemError before anything is
    made where the archive lacks a station or a hypocentre, or does not reach the experiment's highest frequency.
    """
    found, fmax = archive.header, highest_hz(experiment)
    if fmax > found.fmax_hz:
        raise SpecfemError(
            f"{archive.path}: holds up to {found.fmax_hz:g} Hz, the experiment asks for {fmax:g} Hz: set "
            "records.highest_hz, or run SPECFEM3D on a finer mesh"
        )
    order = _station_order(experiment, archive)
    events = draw_events(experiment)
    x, y = found.frame.to_local(events.latitude, events.longitude)
    corner = sources_of(experiment, events).corner_hz
    sources = Sources(np.asarray(x), np.asarray(y), events.depth_km, events.tensors, corner)
    nearest_nodes(found, sources, _LARGEST_MISFIT_KM)
    records = experiment.settings["records"]

    def make(part: NDArray[np.int64], terms: SiteTerms | None) -> NDArray[np.float32]:
        chosen = Sources(
            *(getattr(sources, name)[part] for name in ("x_km", "y_km", "depth_km", "tensors", "corner_hz"))
        )
        inverse = np.argsort(order)
        traces = synthesize(
            archive,
            chosen,
            samples=sample_count(experiment),
            start_s=-records.get("before_s", 0.0),
            sampling_rate_hz=records["sampling_rate_hz"],
            delays_s=0.0 if terms is None else _delays(terms)[:, inverse],
            fmax_hz=fmax,
            largest_misfit_km=_LARGEST_MISFIT_KM,
        )
        return traces[:, :, order]

    return _import(experiment, folder, f"SPECFEM3D archive {archive.path.name}", make, len(events), progress)


def import_events(
    experiment: ExperimentFile, folders: Sequence[Path], folder: Path, progress: Callable[[int], None] | None = None
) -> Dataset:
    """The experiment's seismograms from runs of one event each, in the order that their input files were written in.

    Magnitudes, places and mechanisms are those drawn; the moment rate stays that of the runs. Every folder is checked
    before any is read. Raises SpecfemError with all faults, or where a run is not of the event in its place.
    """
    events = draw_events(experiment)
    if len(folders) != len(events):
        raise SpecfemError(f"{len(folders)} folders were given, the experiment has {len(events)} events")
    checked, wrong = check_folders(folders, [station.id for station in experiment.stations])
    if wrong:
        raise SpecfemError(f"{len(wrong)} of {len(folders)} folders cannot be imported:\n" + "\n".join(wrong))
    _check_events(experiment, events, checked)
    records = experiment.settings["records"]
    rate, before = records["sampling_rate_hz"], records.get("before_s", 0.0)

    def make(part: NDArray[np.int64], terms: SiteTerms | None) -> NDArray[np.float32]:
        starts = -before - (np.zeros((len(part), len(experiment.stations))) if terms is None else _delays(terms))
        samples = sample_count(experiment)
        return np.stack(
            [read_event(checked[i]).on_axis(start, samples, rate) for i, start in zip(part, starts, strict=True)]
        )

    return _import(experiment, folder, "SPECFEM3D runs of one event each", make, len(events), progress)


def _import(
    experiment: ExperimentFile,
    folder: Path,
    engine: str,
    make: Callable[[NDArray[np.int64], SiteTerms | None], NDArray[np.float32]],
    count: int,
    progress: Callable[[int], None] | None,
) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    path, wanted = folder / DATASET, header(experiment)
    records = experiment.settings["records"]
    rate = records["sampling_rate_hz"]
    if path.exists():
        raise SpecfemError(f"{path}: is there already; remove it, or choose another run folder")
    # Under a header of its own until it is whole: neither engine goes on with what the other began
    with DatasetWriter(
        path, {**wanted, "engine": engine}, (count, len(experiment.stations), sample_count(experiment))
    ) as writer:
        for number, part in enumerate(_batches(count)):
            if not writer.done[part].all():
                rng = np.random.default_rng([experiment.seed, 4, number])
                terms = site_terms(rng, records, (len(part), len(experiment.stations)))
                traces = make(part, terms)
                if terms is not None:
                    gained = traces * terms.gains[:, None, :, None].astype(np.float32)
                    traces = apply_kappa(gained, rate, terms.kappa_s[:, None])
                writer.write(part, traces)
            if progress is not None:
                progress(len(part))
        writer.finish()
    with h5py.File(path, "r+") as file:
        file.attrs.update(header=json.dumps(wanted, sort_keys=True), engine=engine)
    return Dataset(path, wanted)


def _batches(count: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, count, BATCH):
        yield np.arange(first, min(first + BATCH, count))


def _delays(terms: SiteTerms) -> FloatArray:
    return 0.5 * (terms.delays_p_s + terms.delays_s_s)


def _station_order(experiment: ExperimentFile, archive: StrainArchive) -> NDArray[np.int64]:
    """Indices of the experiment's stations in the archive, which must have no others."""
    found = archive.header
    names = [station.id for station in experiment.stations]
    if set(names) != set(found.stations):
        lacking = ", ".join(sorted(set(names) - set(found.stations))) or "none"
        more = ", ".join(sorted(set(found.stations) - set(names))) or "none"
        raise SpecfemError(f"{archive.path}: stations of the experiment that it lacks: {lacking}; others in it: {more}")
    order = np.array([found.stations.index(name) for name in names])
    misfit = np.linalg.norm(station_positions(experiment.stations, found.frame) - found.stations_km[order, :2], axis=-1)
    worst = int(np.argmax(misfit))
    if misfit[worst] > _LARGEST_STATION_MISFIT_KM:
        raise SpecfemError(
            f"{archive.path}: has {names[worst]} {misfit[worst]:.2f} km from where the experiment has it; they are not "
            "of the same network"
        )
    return order


def _check_events(experiment: ExperimentFile, events: MadeEvents, checked: Sequence[EventFolder]) -> None:
    sources = sources_of(experiment, events)
    absolute = bool(checked[0].settings.absolute_z)
    places = event_places(checked, placement_of(experiment, absolute))
    misfit = np.linalg.norm(places - np.stack([sources.x_km, sources.y_km, sources.depth_km], axis=-1), axis=-1)
    for i, run in enumerate(checked):
        size = np.abs(sources.tensors[i]).max()
        same = np.allclose(run.source.tensor, sources.tensors[i], atol=_TENSOR_TOLERANCE * size)
        if misfit[i] > _LARGEST_MISFIT_KM or not same:
            raise SpecfemError(
                f"{run.folder}: its CMTSOLUTION is not that of event {i} of the experiment ({misfit[i]:.3f} km away): "
                "give the folders in their order, and the experiment's file as it was when their inputs were written"
            )
