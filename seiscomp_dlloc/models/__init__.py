"""The models that come with the package: ``<name>.onnx`` beside this file.

Finding them reads file names only; :mod:`seiscomp_dlloc.model` reads what is inside.
"""

import os
from pathlib import Path

from ..errors import ModelError

FOLDER = Path(__file__).parent

DEFAULT = "anynet"
"""Used wherever no model is named; it is for any network."""


def bundled() -> dict[str, Path]:
    """Name -> file of every bundled model, in order of the names."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.onnx"))}


def resolve(model: str | os.PathLike[str]) -> Path:
    """The file of a model given by its bundled name or by its path.

    A bundled name wins over a file of that name in the working directory; write ``./name`` for the file.
    Raises ModelError where there is neither.
    """
    names = bundled()
    if str(model) in names:
        return names[str(model)]
    path = Path(model)
    try:
        path.stat()
    except FileNotFoundError as error:
        listing = ", ".join(names) or "none"
        raise ModelError(
            f"model {model}: no such file, and no bundled model has that name (bundled: {listing})"
        ) from error
    except OSError as error:
        raise ModelError(f"model {model}: cannot be reached ({error.strerror})") from error
    return path
