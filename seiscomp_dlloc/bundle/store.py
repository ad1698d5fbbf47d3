"""The folder in which bundles are kept."""

from contextlib import suppress
from pathlib import Path

from ..errors import BundleError
from ..formats.atomic import write_atomically
from ..formats.identifiers import file_stem

SUFFIX = ".dlloc.zip"


class BundleStore:
    """A folder of at most ``maximum`` bundles, the oldest removed first, with the pictures beside them.

    Files are named for the origin by :func:`~seiscomp_dlloc.formats.identifiers.file_stem`:
    ``FOLDER/STEM.dlloc.zip`` and ``FOLDER/pictures/STEM.png``. Other files of the folder are left alone. Several
    threads and processes may keep bundles in one folder.
    """

    def __init__(self, folder: str | Path, maximum: int):
        if maximum < 1:
            raise ValueError(f"at least one bundle must be kept, not {maximum}")
        self.folder, self.maximum = Path(folder), maximum

    def path(self, public_id: str) -> Path:
        """Where the bundle of an origin stands."""
        return self.folder / f"{file_stem(public_id)}{SUFFIX}"

    def picture(self, public_id: str) -> Path:
        """Where the picture of an origin stands."""
        return self.folder / "pictures" / f"{file_stem(public_id)}.png"

    def keep(self, public_id: str, bundle: bytes, picture: bytes = b"") -> Path:
        """Write the bundle of an origin, and its picture; remove what is too many. Raises BundleError, SettingError."""
        try:
            self.picture(public_id).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(f"folder {self.folder}: cannot be made ({error.strerror or error})") from error
        target = self.path(public_id)
        if picture:
            write_atomically(self.picture(public_id), picture)
        write_atomically(target, bundle)
        self._prune(target)
        return target

    def _prune(self, newest: Path) -> None:
        ages = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):  # another process removed it
                ages.append((path == newest, path.stat().st_mtime_ns, path))
        for _, _, path in sorted(ages)[: -self.maximum]:
            for old in (path, self.folder / "pictures" / f"{path.name.removesuffix(SUFFIX)}.png"):
                with suppress(OSError):
                    old.unlink(missing_ok=True)
