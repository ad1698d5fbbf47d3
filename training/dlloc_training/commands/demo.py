"""``demo``: the theoretical events that ``dlloc demo`` locates."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Make the events of ``dlloc demo``: theoretical seismograms with computed noise at the stations of a model's network, at
the travel times that its training calibrated. Nothing recorded is in them."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("demo", help="make the events of 'dlloc demo'", description=DESCRIPTION)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the model that will locate them")
    parser.add_argument("--run", dest="folder", type=Path, required=True, metavar="DIR", help="its run folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument("--events", type=int, default=5, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="seed of everything drawn (default %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ..demo_data import write_demo
    from ..experiment import MOVEOUT_FILE

    write_demo(args.model, args.folder / MOVEOUT_FILE, args.output, args.events, args.seed)
    return 0
