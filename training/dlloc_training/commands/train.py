"""``train``: the networks of an experiment's file."""

import argparse

from ..experiments.commandline import add_compute_options, add_options, staged

DESCRIPTION = """\
Train the networks that an experiment's TOML file asks for, one after the other, on its theoretical seismograms and,
where it has them, on recorded events. Seismograms that are missing are made first. A run that was stopped goes on from
its last epoch; networks that are trained are taken as they are."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("train", help="train an experiment's networks", description=DESCRIPTION)
    add_options(parser)
    add_compute_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return staged(args, ("train",))
