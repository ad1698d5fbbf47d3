"""The experiments that come with the package, one TOML file each."""

from importlib import resources
from pathlib import Path

SUFFIX = ".toml"


def shipped() -> tuple[str, ...]:
    """Names of the shipped experiments, in order."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX)))


def find(path: str | Path) -> Path:
    """``path`` where there is such a file; else the shipped experiment of that name (``quick`` or ``quick.toml``).

    Any other path comes back as it is, for whoever reads it to say that there is no such file.
    """
    path = Path(path)
    name = path.name.removesuffix(SUFFIX)
    if path.is_file() or path.parent != Path() or name not in shipped():
        return path
    return Path(str(resources.files(__package__).joinpath(name + SUFFIX)))
