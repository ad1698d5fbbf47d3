"""``search``: Bayesian optimisation of a network's settings."""

import argparse

from ..experiments.commandline import add_compute_options, add_options, staged

DESCRIPTION = """\
Search the settings of one of an experiment's networks (section search of its TOML file) by Bayesian optimisation over
the space of Sugiyama et al. (2021), by its RMSE on held-out events; trials that promise little are pruned. A search
that was stopped goes on; several processes may share one through search.storage."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("search", help="search a network's settings", description=DESCRIPTION)
    add_options(parser, networks=False)
    add_compute_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return staged(args, ("search",))
