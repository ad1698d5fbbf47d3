"""Where waveforms come from: files, SDS archives, FDSN web services, SeedLink servers."""

from .base import Acquired, WaveformSource
from .factory import open_source

__all__ = ["Acquired", "WaveformSource", "open_source"]
