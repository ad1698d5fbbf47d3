"""Bundles: everything that one answer was made from, in one file, so that it can be made again."""

from .again import differences, replay
from .content import Bundle, make_bundle, software, write_bundle
from .reading import LIMITS, read_bundle
from .store import SUFFIX, BundleStore

__all__ = [
    "LIMITS", "SUFFIX", "Bundle", "BundleStore", "differences", "make_bundle", "read_bundle", "replay", "software",
    "write_bundle",
]  # fmt: skip
