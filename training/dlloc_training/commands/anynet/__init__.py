"""``anynet``: the model that locates with any stations, made from theoretical seismograms alone."""

import argparse
from importlib import import_module

ACTIONS = ("bank", "train", "calibrate", "export", "measure")

DESCRIPTION = """\
The model for any network: a bank of theoretical events of random networks in random earths, the training of the
network that sees P and S at a station, and the file that `dlloc locate` takes."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand with one action per module of this package."""
    parser = subparsers.add_parser("anynet", help="the model for any network", description=DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ACTIONS:
        import_module(f"{__name__}.{name}").add_parser(actions)
