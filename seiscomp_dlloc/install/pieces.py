"""What is put into a SeisComP: every file with its content, decided before anything is written."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from .. import models
from ..errors import InstallError
from .description import defaults_cfg, description_xml
from .light import PACKAGE, light_files
from .wrappers import ENTRY, locator_wrapper, module_wrapper, picture_wrapper, recordstream_wrapper

_DATA = "share/seiscomp_dlloc/"


@dataclass(frozen=True)
class Piece:
    """A file: its path below the root, with ``/``, and its content."""

    path: str
    content: bytes
    executable: bool = False


def pieces(root: str, python: str) -> list[Piece]:
    """All files of an installation into ``root`` whose worker runs under ``python`` (absolute paths).

    Raises InstallError where a file of the package is not there.
    """
    found = [
        Piece(f"lib/python/seiscomp_dlloc/{path.relative_to(PACKAGE).as_posix()}", path.read_bytes())
        for path in light_files()
    ]
    found += [Piece(f"share/dlloc/{name}.onnx", models.resolve(name).read_bytes()) for name in models.bundled()]
    found += [
        Piece(f"share/dlloc/{module}.py", ENTRY.format(module=module, name=name).encode())
        for module, name in (("module", "dlloc"), ("recordstream", "dlloc-recordstream"))
    ]
    found += [
        Piece(f"bin/{name}", text.encode(), executable=True)
        for name, text in (
            ("dlloc", module_wrapper(root, python)),
            ("dlloc-recordstream", recordstream_wrapper(root)),
            ("dlloc-locext", locator_wrapper(root, python)),
            ("dlloc-show-origin", picture_wrapper(root, python)),
        )
    ]
    given = {"worker.python": _below(root, python), "worker.recordstreamCommand": "@ROOTDIR@/bin/dlloc-recordstream"}
    found += [
        Piece("etc/defaults/dlloc.cfg", defaults_cfg(given)),
        Piece("etc/descriptions/dlloc.xml", description_xml()),
        Piece("etc/descriptions/dlloc.rst", shipped("descriptions/dlloc.rst")),
        Piece("etc/init/dlloc.py", shipped("etc/init/dlloc.py")),
    ]
    return found


def shipped(name: str) -> bytes:
    """A file that is delivered beside the package: in the checkout, or where the wheel's data went."""
    beside = PACKAGE.parent / name
    if (PACKAGE.parent / "setup.py").is_file() and beside.is_file():
        return beside.read_bytes()
    try:
        listed = importlib.metadata.files("seiscomp_dlloc") or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    for entry in listed:
        if entry.as_posix().endswith(_DATA + name):
            return Path(str(entry.locate())).read_bytes()
    raise InstallError(f"{name}: is not where the package was installed ({PACKAGE}); install it again with pip")


def _below(root: str, path: str) -> str:
    """``path`` by the host's name for the root, so that it can be read there by whoever moves the root."""
    return "@ROOTDIR@" + path[len(root) :] if path.startswith(root + "/") else path
