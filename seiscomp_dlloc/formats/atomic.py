"""Files that are either whole or not there."""

import contextlib
import os
import tempfile
from pathlib import Path

from ..errors import SettingError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path``: to a temporary file beside it, onto the disk, then in its place in one step.

    An existing file keeps its permissions; a symbolic link keeps pointing, its target is replaced. Raises
    :class:`~seiscomp_dlloc.errors.SettingError` naming the path where that fails, and leaves what was there.
    """
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise SettingError(f"{path}: cannot be written ({error.strerror or error})") from error


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
