"""The part of the package that runs under the host's interpreter: standard library, numpy and seiscomp alone."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent

_FOLDERS = ("settings", "seiscomp_app")
_WORKER = ("__init__", "protocol", "client", "launch")
_FILES = ("__init__.py", "errors.py", *(f"worker/{name}.py" for name in _WORKER))


def light_files(package: Path = PACKAGE) -> list[Path]:
    """Paths of those modules, sorted, below the package's folder."""
    found = [package / name for name in _FILES]
    for folder in _FOLDERS:
        found += (package / folder).glob("*.py")
    return sorted(found)
