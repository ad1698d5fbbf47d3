"""``dlloc``: the parser and what happens to errors.

Each command file has ``register(subparsers)`` and a ``run(arguments) -> int``; heavy imports stand in ``run``, so
that ``--help`` answers at once.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from .. import __version__
from ..errors import DllocError
from . import EXIT_INPUT, compare, corrections, demo, doctor, install, locate, model, picture, replay, scan, worker
from .stdio import printable, repair, silence

DESCRIPTION = """\
Locates earthquakes with a neural network: a triggered origin, the network's waveforms and an ONNX model in; an
origin with uncertainty, magnitude and a statement of its own trust out, as QuakeML or SCML.

The trigger says when and that there was an earthquake, never where: its location does not enter the solution.
"""

EPILOG = """\
exit status:
  0   every event was located and accepted
  1   some events were abstained (the locator does not stand by them) or failed; the others are located
  2   bad input: a file, a setting or a model cannot be used; the message says which, and what to do

examples:
  dlloc demo                                     locate theoretical events that come with the package
  dlloc locate --events trigger.xml --waveforms archive/ --inventory stations.xml -o located.xml
  dlloc model list                               the models that come with the package
  dlloc COMMAND --help                           all options of a command
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors end like every other bad input: one line on stderr, exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where help is, and leave."""
        self.exit(EXIT_INPUT, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="dlloc",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dlloc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for module in (locate, scan, corrections, demo, model, compare, replay, picture, worker, install, doctor):
        module.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``dlloc`` with ``argv`` (default: the process's arguments); returns the exit status."""
    repair()
    arguments = build_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        with warnings.catch_warnings():
            # What the libraries warn of (a short record, an unknown blockette) our own records report per station
            warnings.simplefilter("ignore")
            return run(arguments)
    except DllocError as error:
        print(f"dlloc: {printable(str(error))}", file=sys.stderr)
        return EXIT_INPUT
    except BrokenPipeError:
        # The reader of our output has gone (dlloc ... | head)
        silence()
        return EXIT_INPUT
    except KeyboardInterrupt:
        print("dlloc: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        # A defect of ours. Python would end with status 1, which here means that all but some events were located
        if os.environ.get("DLLOC_DEBUG"):
            raise
        print(
            f"dlloc: internal error: {type(error).__name__}: {error}\n"
            "Please report it, with the output of the same command under DLLOC_DEBUG=1.",
            file=sys.stderr,
        )
        return EXIT_INPUT


if __name__ == "__main__":
    sys.exit(main())
