"""``anynet bank``: theoretical events of random networks in random earths."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Make the events that the any-network model is trained on: Green's functions of random layered earths, and events of
random mechanism and place, recorded by random networks. An interrupted run goes on from the last whole earth."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("bank", help="make theoretical events", description=DESCRIPTION)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="HDF5 file")
    parser.add_argument("--regional", type=int, default=26, help="crustal earths (default %(default)s)")
    parser.add_argument("--local", type=int, default=60, help="earths of small networks (default %(default)s)")
    parser.add_argument("--events", type=int, default=40, help="events in each earth (default %(default)s)")
    parser.add_argument("--seed", type=int, default=2026, help="seed of everything drawn (default %(default)s)")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ...anynet.bank import LOCAL, REGIONAL, make_bank

    make_bank(args.output, {REGIONAL.name: args.regional, LOCAL.name: args.local}, args.events, args.seed)
    return 0
