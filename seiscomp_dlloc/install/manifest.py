"""What was installed into a SeisComP: the list that ``uninstall`` and ``doctor`` go by."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import InstallError
from ..formats.atomic import write_atomically

NAME = "share/dlloc/installed.json"
_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """``python``: the worker's interpreter. ``venv``: the environment that was made for it, '' where it was given.

    ``files``: path below the root -> SHA-256. ``blocks``: configuration files that hold a block of ours.
    """

    software: str
    python: str
    venv: str = ""
    files: dict[str, str] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()

    def write(self, root: Path) -> None:
        """Write it below ``root``."""
        path = root / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": _VERSION, **asdict(self)}, indent=1, sort_keys=True)
        write_atomically(path, f"{text}\n".encode())

    @classmethod
    def read(cls, root: Path) -> "Manifest | None":
        """The manifest below ``root``; None where nothing is installed. Raises InstallError where it is damaged."""
        path = root / NAME
        try:
            document = json.loads(path.read_text("utf-8"))
            if document.pop("version") != _VERSION:
                raise InstallError(f"{path}: was written by another version; install that one again to remove it")
            document["blocks"] = tuple(document["blocks"])
            for name in document["files"]:
                _inside(name)
            return cls(**document)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InstallError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InstallError(f"{path}: is damaged ({error}); run 'dlloc install' again to write it anew") from error


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _inside(name: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"'{name}' is not below the root")
