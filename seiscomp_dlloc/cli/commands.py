"""How a subcommand comes to the parser."""

import argparse
from typing import Any


def add_command(subparsers: Any, name: str, summary: str, description: str, epilog: str = "") -> Any:
    """The parser of the command ``name``; its texts stand in the help as they are written."""
    return subparsers.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
