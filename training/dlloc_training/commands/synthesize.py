"""``synthesize``: the theoretical seismograms of an experiment's file."""

import argparse
import sys
from pathlib import Path

from ..experiments.commandline import add_options

DESCRIPTION = """\
Make the theoretical seismograms that an experiment's TOML file asks for: earth models around the given one, their
tables of Green's functions, events, ground velocity of every station, in one HDF5 file of the run folder. A run that
was stopped goes on where it was; one that is finished is taken as it is."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("synthesize", help="make an experiment's seismograms", description=DESCRIPTION)
    add_options(parser, networks=False)
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes of this machine that compute (default: one for each core)"
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="let a Dask cluster compute: its scheduler's address (tcp://host:8786), or 'local' for one of --workers "
        "processes; needs the extra 'scale' and a run folder that all workers see",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ..experiments.plans import plans
    from ..experiments.reading import read_experiment
    from ..experiments.stages import check
    from ..experiments.synthesis import run_synthesis
    from ..experiments.workers import processes

    workers = processes(args.workers, args.dask)
    experiment = read_experiment(args.experiment)
    if "networks" in experiment.settings:  # seismograms that they could not use would be made for nothing
        check(experiment, plans(experiment), print)
    folder = args.output or Path("runs") / experiment.name
    progress = not args.quiet and sys.stderr.isatty()
    data = run_synthesis(experiment, folder, progress=progress, workers=workers, dask=args.dask)
    events, _, stations, samples = data.shape
    print(f"{data.path}: {events} events, {stations} stations, {samples} samples")
    return 0
