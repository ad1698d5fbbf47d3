"""``python -m dlloc_training COMMAND``: every module of :mod:`dlloc_training.commands` is a command."""

import argparse
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module

from seiscomp_dlloc.errors import DllocError, InputError

from . import __version__, commands

INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser with one subcommand per module of :mod:`dlloc_training.commands`."""
    parser = argparse.ArgumentParser(prog="dlloc-train", description="Make models and measure them.")
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in sorted(module.name for module in pkgutil.iter_modules(commands.__path__)):
        import_module(f"{commands.__name__}.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 2 where the input is at fault, 1 where something else of ours failed, 130 where stopped."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except DllocError as error:
        print(f"{args.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        on = "; the same command goes on from here" if getattr(args, "resumes", False) else ""
        print(f"{args.command}: interrupted{on}", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
