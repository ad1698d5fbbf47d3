"""``dlloc doctor``: what is wrong with an installation, and how to mend it."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InstallError
from . import EXIT_EVENTS, EXIT_OK
from .commands import add_command
from .locate import nonempty
from .model import moment
from .stdio import printable

DESCRIPTION = """\
Looks at everything the plugin needs in a SeisComP: its files, both interpreters and what they import, settings, models
(their golden input), GPU, the inventory against the stations of each profile's model, write access, the worker, scolv,
screloc. Says what is wrong and how to mend it. Changes nothing.
"""

EPILOG = """\
exit status:
  0   no fault
  1   a fault
  2   the check itself cannot run
"""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "doctor", "say what is wrong, and how to mend it", DESCRIPTION, EPILOG)
    add_root(parser)
    parser.add_argument("--time", type=moment, metavar="T", help="epochs of the inventory at this time (default: now)")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.set_defaults(run=run)


def add_root(parser: argparse.ArgumentParser) -> None:
    """The option that names the SeisComP."""
    parser.add_argument(
        "--seiscomp-root", type=nonempty, metavar="DIR", help="the SeisComP (default: that of SEISCOMP_ROOT)"
    )


def root_of(arguments: argparse.Namespace) -> Path:
    """The SeisComP that was named. Raises InstallError."""
    named = arguments.seiscomp_root or os.environ.get("SEISCOMP_ROOT", "")
    if not named:
        raise InstallError("no SeisComP: give --seiscomp-root, or set SEISCOMP_ROOT")
    root = Path(os.path.abspath(os.path.expanduser(named)))
    if not root.is_dir():
        raise InstallError(f"{root}: no such folder; give the SEISCOMP_ROOT of an installed SeisComP")
    return root


def run(arguments: argparse.Namespace) -> int:
    """``dlloc doctor``."""
    return EXIT_OK if report(root_of(arguments), arguments.time, arguments.json) else EXIT_EVENTS


def report(root: Path, when: float | None, as_json: bool) -> bool:
    """Print the findings; whether there is no fault."""
    from ..install.doctor import examine
    from ..install.findings import FAULT

    findings = []
    for finding in examine(root, when):
        findings.append(finding)
        for line in () if as_json else finding.lines():
            print(printable(line), flush=True)
    faults = sum(finding.level == FAULT for finding in findings)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(f"\n{faults or 'no'} fault{'' if faults == 1 else 's'}")
    return faults == 0
