"""Files that are either whole or not there."""

import contextlib
import os
import tempfile
from pathlib import Path

from ..errors import SettingError


def check_writable(path: str | Path) -> None:
    """Whether :func:`write_atomically` can write to ``path``, found out by a file beside it that is gone at once.

    Raises :class:`~seiscomp_dlloc.errors.SettingError` naming the path and the reason.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise SettingError(f"{path}: is a folder; give the name of a file")
        if not target.parent.is_dir():
            raise SettingError(f"{path}: its folder does not exist; make it first")
        if not _is_special(path):
            with tempfile.TemporaryFile(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent):
                pass
    except OSError as error:
        raise SettingError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path``: to a temporary file beside it, onto the disk, then in its place in one step.

    An existing file keeps its permissions; a symbolic link keeps pointing, its target is replaced. A device or a pipe
    is written to, for a file in its place would be the end of it. Raises
    :class:`~seiscomp_dlloc.errors.SettingError` naming the path where that fails, and leaves what was there.
    """
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        if _is_special(path):
            with open(path, "wb") as stream:
                stream.write(content)
            return
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise SettingError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:  # also where the user interrupts
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


_SUFFIX = ".part"


def _prefix(target: Path) -> str:
    """Start of the temporary file's name: hidden, and short enough beside any name."""
    return f".{target.name[:50]}."


def _is_special(path: str | Path) -> bool:
    """Whether there is something at ``path`` that is no regular file: a device, a pipe, a socket."""
    return os.path.exists(path) and not os.path.isfile(path)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
