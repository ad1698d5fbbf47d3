"""``dlloc picture``: the picture that was kept for an origin."""

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..errors import BundleError
from . import EXIT_OK
from .commands import add_command
from .locate import nonempty

DESCRIPTION = """\
Says where the picture of an origin is, and opens it with --open. Pictures are kept beside the bundles, where
bundle.keep is set in dlloc.cfg. scolv's button 'dlloc picture' runs this.
"""

VIEWERS = (("xdg-open",), ("gio", "open"), ("eog",), ("feh",), ("display",))
"""Programs that show a picture, the desktop's own choice first."""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "picture", "show the picture that was kept for an origin", DESCRIPTION)
    parser.add_argument("origin", type=nonempty, metavar="ORIGIN", help="publicID of an origin of ours")
    parser.add_argument("--config", type=nonempty, metavar="FILE", help="settings file in place of SeisComP's")
    parser.add_argument("--open", action="store_true", help="open it in the desktop's viewer of pictures")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """``dlloc picture``. Raises BundleError where there is no picture, or no viewer."""
    from ..bundle import BundleStore
    from ..settings.values import Settings
    from .kept import kept

    bundle = Settings.load(arguments.config).bundle
    path = kept(bundle, arguments.origin, BundleStore.picture)
    if path is None:
        keep = "" if bundle.keep else "; set bundle.keep = true in dlloc.cfg to keep those of the origins to come"
        raise BundleError(f"{arguments.origin}: no picture of it in {bundle.folder}{keep}")
    print(path)
    if arguments.open:
        _open(path)
    return EXIT_OK


def _open(path: Path) -> None:
    for command in VIEWERS:
        if shutil.which(command[0]):
            subprocess.Popen(
                [*command, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return
    tried = ", ".join(command[0] for command in VIEWERS)
    raise BundleError(f"{path}: no program to show it ({tried}); install one of them")
