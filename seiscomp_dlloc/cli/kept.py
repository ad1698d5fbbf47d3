"""What was kept for an origin: its bundle and its picture, by the origin's publicID."""

from collections.abc import Callable
from pathlib import Path

from ..bundle import BundleStore
from ..settings.values import BundleSettings


def kept(settings: BundleSettings, origin: str, kind: Callable[[BundleStore, str], Path]) -> Path | None:
    """The file of ``origin``, or of the last revision of the same solution; None where there is none.

    ``kind``: ``BundleStore.path`` or ``BundleStore.picture``.
    """
    store = BundleStore(settings.folder, settings.maximum)
    for name in (origin, f"{origin.rpartition('/')[0]}/final"):
        path = kind(store, name)
        if path.is_file():
            return path
    return None
