"""Small text files that people write: their lines, or an error that says what is wrong with the file."""

import math
from pathlib import Path

from ..errors import InputError


def read_text(path: str | Path, kind: type[InputError], limit_bytes: int = 1_000_000) -> str:
    """The text of a file of no more than ``limit_bytes``.

    Raises ``kind`` naming the file where it cannot be read, is too large, empty, or no UTF-8 text.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except IsADirectoryError as error:
        raise kind(f"{path}: is a folder; give one file") from error
    except FileNotFoundError as error:
        raise kind(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise kind(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > limit_bytes:
        raise kind(f"{path}: larger than {limit_bytes} bytes; this is no file of the kind expected here")
    if b"\0" in content:
        raise kind(f"{path}: is binary; give a text file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is no UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if not text.strip():
        raise kind(f"{path}: is empty")
    return text


def number(text: str, what: str, where: str, kind: type[InputError]) -> float:
    """A finite number; raises ``kind`` naming ``where`` and ``what``."""
    try:
        value = float(text)
    except ValueError as error:
        raise kind(f"{where}: {what} {text!r} is no number") from error
    if not math.isfinite(value):
        raise kind(f"{where}: {what} is {text}; give a number")
    return value
