"""``evaluate``: what an experiment's networks reach, in a report."""

import argparse

from ..experiments.commandline import add_options, staged

DESCRIPTION = """\
Ask the trained networks of an experiment about events that they never saw, theoretical and recorded, and write a
report (Markdown, HTML, figures, tables) into its run folder."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("evaluate", help="measure an experiment's networks", description=DESCRIPTION)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return staged(args, ("evaluate",))
