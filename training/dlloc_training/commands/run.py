"""``run``: an experiment from its file to its models."""

import argparse

from ..experiments.commandline import add_compute_options, add_options, add_version_option, staged

DESCRIPTION = """\
All stages of an experiment: synthesize, search (where the file has that section), train, evaluate, export. Everything
stands in the run folder: settings, seismograms, checkpoints, curves, report, models. What is done is taken as it is."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("run", help="run all stages of an experiment", description=DESCRIPTION)
    add_options(parser)
    add_compute_options(parser)
    add_version_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return staged(args, ("synthesize", "search", "train", "evaluate", "export"))
