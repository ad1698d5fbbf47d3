"""``export``: an experiment's networks as models for the plugin."""

import argparse

from ..experiments.commandline import add_options, add_version_option, staged

DESCRIPTION = """\
Write every trained network of an experiment as one .onnx file with its passport (stations, preprocessing, calibration
from held-out events, what it reached in the evaluation), checked as the plugin checks it when it loads it."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("export", help="export an experiment's networks", description=DESCRIPTION)
    add_options(parser)
    add_version_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return staged(args, ("export",))
