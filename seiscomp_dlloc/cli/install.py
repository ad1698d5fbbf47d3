"""``dlloc install`` and ``dlloc uninstall``: into a SeisComP, and out of it."""

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import InstallError
from . import EXIT_EVENTS, EXIT_OK
from .commands import add_command
from .doctor import add_root, report, root_of
from .locate import nonempty

DESCRIPTION = """\
Installs the plugin into a SeisComP: makes the worker's virtual environment, puts the part that runs under the host's
Python into lib/python, programs into bin, descriptions, defaults and the init script where scconfig and 'seiscomp' look
for them, models into share/dlloc; then checks all of it, as 'dlloc doctor' does. Run it as the user who owns SeisComP.
Done again it brings what is installed up to date. Nothing of yours is overwritten.
"""

EPILOG = """\
exit status:
  0   installed, and the check finds no fault
  1   installed, but the check finds faults, and says how to mend them
  2   not installed: the message says why

examples:
  dlloc install --seiscomp-root /opt/seiscomp --scolv --screloc
  dlloc install --seiscomp-root ~/seiscomp --venv ~/dlloc-venv        no network needed: the environment is there
  dlloc install --seiscomp-root ~/seiscomp --dry-run
"""

UNINSTALL = """\
Takes the plugin out of a SeisComP: every file that 'dlloc install' put there and nobody changed since, its blocks in
scolv.cfg and screloc.cfg, and the environment that it made. etc/dlloc.cfg, logs, journal and bundles stay.
"""


def register(subparsers: Any) -> None:
    """Add both commands to the parser."""
    parser = add_command(subparsers, "install", "install the plugin into a SeisComP", DESCRIPTION, EPILOG)
    add_root(parser)
    worker = parser.add_argument_group("the worker's environment")
    which = worker.add_mutually_exclusive_group()
    which.add_argument("--python", type=nonempty, metavar="PY", help="Python 3.11 or newer that it is made with")
    which.add_argument("--venv", type=nonempty, metavar="DIR", help="take this one, which has this package, as it is")
    worker.add_argument("--source", type=nonempty, metavar="SPEC", help="what pip installs (default: this package)")
    worker.add_argument("--gpu", action="store_true", help="with CUDA and cuDNN as packages")
    host = parser.add_argument_group("the host's configuration")
    host.add_argument("--scolv", action="store_true", help="make the locator, columns and a button known in scolv.cfg")
    host.add_argument("--screloc", action="store_true", help="make the locator known in screloc.cfg")
    parser.add_argument("--force", action="store_true", help="replace files of other origin that stand in the way")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.set_defaults(run=run)

    out = subparsers.add_parser("uninstall", help="take the plugin out of a SeisComP", description=UNINSTALL)
    add_root(out)
    out.set_defaults(run=run_uninstall)


def run(arguments: argparse.Namespace) -> int:
    """``dlloc install``."""
    from ..install import apply
    from ..install.interpreter import check_worker, find_python, make_environment, python_of, source_of_package
    from ..install.manifest import Manifest
    from ..install.pieces import pieces

    root = root_of(arguments)
    apply.check_root(root)
    before = Manifest.read(root)
    given = Path(os.path.abspath(os.path.expanduser(arguments.venv))) if arguments.venv else None
    venv = given or root / apply.VENV
    if given and (arguments.source or arguments.gpu):
        raise InstallError("--venv: the environment is taken as it is; leave --source and --gpu out")
    wanted = pieces(str(root), python_of(venv))
    modules = [name for name in ("scolv", "screloc") if getattr(arguments, name)]
    others = apply.strangers(root, wanted, before)
    if others and not arguments.force:
        listed = ", ".join(str(root / name) for name in others[:5])
        raise InstallError(f"{listed}: not put there by 'dlloc install'; move away what is yours, or use --force")
    if arguments.dry_run:
        if not given:
            print(f"environment {venv}")
        for piece in wanted:
            print(f"{'replace' if (root / piece.path).exists() else 'write':<11} {root / piece.path}")
        for name in modules:
            print(f"{'block in':<11} {root / 'etc' / name}.cfg")
        return EXIT_OK
    if not given:
        python = find_python(arguments.python)
        make_environment(venv, python, arguments.source or source_of_package(), arguments.gpu, print)
    check_worker(python_of(venv))
    apply.put(root, wanted, apply.new_manifest(python_of(venv), None if given else venv), before)
    print(f"{root}: {len(wanted)} files written")
    apply.configure(root, modules, print)
    print()
    good = report(root, None, as_json=False)
    print()
    if apply.running(root):
        print("what runs is of the version before: 'seiscomp restart dlloc', or 'dlloc worker stop'")
    print(f"next: etc/dlloc.cfg (or scconfig), then 'seiscomp enable dlloc' and 'seiscomp start dlloc' in {root}")
    return EXIT_OK if good else EXIT_EVENTS


def run_uninstall(arguments: argparse.Namespace) -> int:
    """``dlloc uninstall``."""
    from ..install.apply import remove

    remove(root_of(arguments), print)
    return EXIT_OK
