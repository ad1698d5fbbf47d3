"""``specfem``: input files for SPECFEM3D, a check of its output, and the archive of reciprocal runs."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Theoretical seismograms from SPECFEM3D Cartesian: write the input files of its runs, check the folders that come
back, and pack reciprocal runs into one archive."""

CHECK = """\
Check folders of one event each (CMTSOLUTION, STATIONS and seismograms as text, seismograms.h5 or ASDF) before they are
imported: every fault is told, with folder and stations. Only the ends of text files are read."""

PACK = """\
Pack reciprocal runs (three forces per station, strain at the hypocentre grid) into one archive, from which events of
any moment tensor are made. All folders are checked before anything is written."""

INPUTS = """\
Write the input files of runs: those of an experiment (--experiment), one per event or three reciprocal ones per
station; or, without one, of a network (--inventory) for the events of a table (columns latitude, longitude, depth_km,
mw, strike, dip, rake), for a hypocentre grid, or both."""

IMPORT = """\
Make an experiment's file of seismograms, as the stage synthesize does, from an archive of reciprocal runs or from the
folders of its events. What cannot serve is told before anything is made; an interrupted import goes on."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its three actions."""
    parser = subparsers.add_parser("specfem", help="seismograms of SPECFEM3D", description=DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    check = actions.add_parser("check", help="check folders of events", description=CHECK)
    check.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="one folder per event")
    check.add_argument("--stations", nargs="+", metavar="NET.STA", help="stations that must be there (default: all)")
    check.add_argument("--rate", type=float, metavar="HZ", help="the sampling rate that they must have")
    check.add_argument("--quantity", choices=["velocity", "displacement"], help="what to take where both are there")
    check.set_defaults(run=run_check)

    pack = actions.add_parser("pack", help="pack reciprocal runs into an archive", description=PACK)
    pack.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="one folder per station and force")
    pack.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the archive (HDF5)")
    pack.add_argument(
        "--fmax", type=float, required=True, metavar="HZ", help="highest frequency that the mesh resolves"
    )
    pack.add_argument(
        "--placement",
        type=Path,
        metavar="FILE",
        help="placement.json that 'inputs' wrote (default: the one above the first folder)",
    )
    pack.set_defaults(run=run_pack)

    inputs = actions.add_parser("inputs", help="write input files", description=INPUTS)
    given = inputs.add_mutually_exclusive_group(required=True)
    given.add_argument("--experiment", type=Path, metavar="FILE", help="an experiment's file (TOML)")
    given.add_argument("--inventory", type=Path, metavar="FILE", help="stations (StationXML)")
    inputs.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where to write")
    inputs.add_argument(
        "--runs", choices=["reciprocal", "events"], default="reciprocal", help="of an experiment (default %(default)s)"
    )
    inputs.add_argument("--fmax", type=float, metavar="HZ", help="with --inventory: highest frequency of the mesh")
    inputs.add_argument("--sources", type=Path, metavar="FILE", help="table of events (CSV)")
    for name, text in (
        ("grid-x", "east of the reference"),
        ("grid-y", "north of the reference"),
        ("grid-depth", "below sea level"),
    ):
        inputs.add_argument(
            f"--{name}", type=float, nargs=3, metavar=("FIRST", "LAST", "STEP"), help=f"axis of the grid, km {text}"
        )
    inputs.add_argument(
        "--reference",
        type=float,
        nargs=2,
        metavar=("LAT", "LON"),
        help="where x and y of the mesh are 0 (default: the mean of the stations)",
    )
    inputs.add_argument(
        "--surface-elevation",
        type=float,
        default=0.0,
        metavar="M",
        help="elevation of the mesh's flat surface above sea level (default %(default)s)",
    )
    inputs.add_argument(
        "--absolute-z",
        action="store_true",
        help="the mesh has topography: stations at their elevation, runs with USE_SOURCES_RECEIVERS_Z",
    )
    inputs.set_defaults(run=run_inputs)

    bring = actions.add_parser("import", help="make an experiment's seismograms", description=IMPORT)
    bring.add_argument("--experiment", type=Path, required=True, metavar="FILE", help="the experiment's file (TOML)")
    source = bring.add_mutually_exclusive_group(required=True)
    source.add_argument("--archive", type=Path, metavar="FILE", help="archive that 'pack' made")
    source.add_argument("--events", type=Path, metavar="DIR", help="folder of the runs, one per event")
    bring.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="run folder of the experiment")
    bring.set_defaults(run=run_import)


def run_check(args: argparse.Namespace) -> int:
    """Run ``specfem check``: one line per folder that is fit; raises where any is not."""
    from tqdm import tqdm

    from ..specfem.seismograms import check_folders
    from ..specfem.text import SpecfemError

    with tqdm(total=len(args.folders), desc="checking", unit="folder") as bar:
        fit, wrong = check_folders(
            args.folders, args.stations, args.rate, args.quantity, progress=lambda _: bar.update() and None
        )
    for checked in fit:
        axis = checked.axis
        print(
            f"{checked.folder}: {len(checked.stations)} stations, {checked.output.form} {checked.output.quantity}, "
            f"{axis.samples} samples at {1.0 / axis.dt_s:g} Hz from {axis.start_s:g} s"
        )
    if wrong:
        raise SpecfemError(f"{len(wrong)} of {len(args.folders)} folders cannot be imported:\n" + "\n".join(wrong))
    return 0


def run_pack(args: argparse.Namespace) -> int:
    """Run ``specfem pack``."""
    from tqdm import tqdm

    from ..specfem.pack import check_runs, header_of, pack
    from ..specfem.placement import PLACEMENT_FILE, read_placement

    above = args.folders[0].resolve().parents
    candidates = [folder / PLACEMENT_FILE for folder in above[:2]]
    path = args.placement or next((c for c in candidates if c.is_file()), candidates[-1])
    placement = read_placement(path)
    with tqdm(total=len(args.folders), desc="checking", unit="run") as bar:
        runs = check_runs(args.folders, progress=lambda _: bar.update() and None)
    header = header_of(runs, placement, args.fmax)
    with tqdm(total=len(args.folders), desc="packing", unit="run") as bar:
        pack(runs, args.output, placement, args.fmax, progress=lambda _: bar.update() and None)
    print(
        f"{args.output}: {len(header.stations)} stations, {len(header.nodes_km)} nodes, {header.samples} samples at "
        f"{1.0 / header.dt_s:g} Hz, {header.size_bytes / 1e6:.1f} MB"
    )
    return 0


def run_inputs(args: argparse.Namespace) -> int:
    """Run ``specfem inputs``."""
    import numpy as np

    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.geometry import LocalFrame

    from ..catalogue import read_stations
    from ..specfem import inputs, tables
    from ..specfem.placement import Placement

    if args.experiment is not None:
        from ..experiments.reading import read_experiment
        from ..specfem.forexperiment import write_experiment_inputs

        print(write_experiment_inputs(read_experiment(args.experiment), args.output, args.runs, args.absolute_z))
        return 0
    if args.fmax is None:
        raise SettingError("--inventory needs --fmax")
    axes = [args.grid_x, args.grid_y, args.grid_depth]
    if any(axis is not None for axis in axes) and None in axes:
        raise SettingError("a grid needs all of --grid-x, --grid-y and --grid-depth")
    if args.sources is None and None in axes:
        raise SettingError("nothing to write: give --sources, or --grid-x, --grid-y and --grid-depth")
    stations = read_stations(args.inventory)
    reference = args.reference or [
        float(np.mean([getattr(s, name) for s in stations])) for name in ("latitude", "longitude")
    ]
    placement = Placement(
        LocalFrame(*reference), absolute_z=args.absolute_z, surface_elevation_m=args.surface_elevation
    )
    half = inputs.half_duration_for(args.fmax)
    mesh = inputs.receivers(stations, placement)
    runs: list[Path] = []
    if args.sources is not None:
        sources = tables.read_sources(args.sources, placement.frame)
        runs += inputs.write_event_inputs(args.output, inputs.moment_sources(sources, placement, half), mesh, placement)
    if None not in axes:
        nodes = inputs.grid_receivers(tables.grid_nodes(*axes), placement)
        runs += inputs.write_reciprocal_inputs(args.output, mesh, nodes, placement, half)
    print(inputs.write_readme(args.output, placement, args.fmax, runs))
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Run ``specfem import``."""
    from tqdm import tqdm

    from seiscomp_dlloc.errors import SettingError

    from ..experiments.reading import read_experiment
    from ..specfem.archive import StrainArchive
    from ..specfem.forexperiment import import_archive, import_events

    experiment = read_experiment(args.experiment)
    with tqdm(desc="importing", unit="event") as bar:
        if args.archive is not None:
            with StrainArchive(args.archive) as archive:
                data = import_archive(experiment, archive, args.output, progress=lambda n: bar.update(n) and None)
        else:
            if not args.events.is_dir():
                raise SettingError(f"{args.events}: is no folder")
            folders = sorted(path for path in args.events.iterdir() if path.is_dir())
            data = import_events(experiment, folders, args.output, progress=lambda n: bar.update(n) and None)
    print(f"{data.path}: {data.shape[0]} events, {data.shape[2]} stations, {data.shape[3]} samples")
    data.close()
    return 0
