"""stdout and stderr: there whatever the process was started with, and fit for text from outside."""

import io
import os
import sys

from ..errors import SettingError


def repair() -> None:
    """Make stdout and stderr fit for any text, and there, whatever the process was started with.

    A descriptor that was closed would be given to the next file that is opened, and what a library writes to it
    would end in that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (lives as long as the process)
        elif isinstance(stream, io.TextIOWrapper):
            # publicIDs are in any script; the terminal's encoding may have none but the Latin one
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """``text`` for a terminal: what is no character to be seen (line ends, escape sequences) becomes ``?``.

    publicIDs and file names come from outside; they must neither break a row nor command the terminal.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def say(text: str) -> None:
    """Print a line to stdout at once.

    Raises SettingError where that fails, BrokenPipeError where the reader is gone.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise SettingError(f"standard output: cannot be written ({error.strerror or error})") from error


def silence() -> None:
    """Point stdout at nothing, so that Python's own flush at exit does not complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
