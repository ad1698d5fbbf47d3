"""``recorded``: the Oklahoma network of Zhang et al. (2020), trained on recorded events and on virtual ones of them."""

import argparse
from importlib import import_module

ACTIONS = ("tables", "train", "export", "evaluate")

DESCRIPTION = """\
Networks for a folder of recorded events (catalog.xml, stations.xml, split.csv, waveforms/): trained on these, on
virtual events made of their traces, and on theoretical ones; and the measurement of any model on such a folder."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand with one action per module of this package."""
    parser = subparsers.add_parser("recorded", help="train on recorded events", description=DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ACTIONS:
        import_module(f"{__name__}.{name}").add_parser(actions)
