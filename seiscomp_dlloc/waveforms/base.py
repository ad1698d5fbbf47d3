"""What every source of waveforms does: the public method checks, the private method fetches."""

import fnmatch
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from ..records import Dropped

_SLACK_SAMPLES = 1e-3
# SEED asks for letters and digits alone; real codes have more, but never a dot, which parts them everywhere
_CODES = re.compile(r"[\w-]*(\.[\w-]*){3}", re.ASCII)


@dataclass(frozen=True)
class Acquired:
    """What a source had for a window.

    ``stream``: raw counts, one or several traces per channel, cut to the window, sorted by channel and time.
    ``dropped``: what was there but could not be read; ``seed_id`` is the channel or, where that cannot be known, the
    name of the file or the address of the server. A channel that the source simply does not have is not listed.
    """

    stream: Stream
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Channels asked for: sorted (network, station, location, channel) patterns with ``*`` and ``?``."""

    patterns: tuple[tuple[str, str, str, str], ...]

    @cached_property
    def _any(self) -> re.Pattern[str]:
        return re.compile("|".join(fnmatch.translate(".".join(pattern)) for pattern in self.patterns))

    @cached_property
    def _each(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(fnmatch.translate(".".join(pattern))) for pattern in self.patterns)

    def matches(self, seed_id: str) -> bool:
        """Whether the channel NET.STA.LOC.CHA was asked for."""
        return self._any.match(seed_id) is not None

    def missing(self, seed_ids: Iterable[str]) -> bool:
        """Whether some pattern matches none of ``seed_ids``."""
        present = tuple(seed_ids)
        return any(not any(pattern.match(seed_id) for seed_id in present) for pattern in self._each)


def parse_selection(seed_ids: Iterable[str]) -> Selection:
    """``NET.STA.LOC.CHA`` patterns to a selection. An empty location may be spelt ``--``. Raises ValueError."""
    patterns = set()
    for seed_id in seed_ids:
        parts = seed_id.split(".")
        if len(parts) != 4:
            raise ValueError(f"'{seed_id}' is no NET.STA.LOC.CHA pattern")
        network, station, location, channel = parts
        patterns.add((network, station, "" if location == "--" else location, channel))
    if not patterns:
        raise ValueError("at least one NET.STA.LOC.CHA pattern is needed")
    return Selection(tuple(sorted(patterns)))


class WaveformSource(ABC):
    """A source of waveforms. Opening one raises WaveformSourceError where it is unusable as a whole."""

    def get_waveforms(self, seed_ids: Iterable[str], starttime: float, endtime: float) -> Acquired:
        """Waveforms of the channels that match ``seed_ids`` between ``starttime`` and ``endtime`` (POSIX seconds).

        ``seed_ids``: patterns ``NET.STA.LOC.CHA`` with ``*`` and ``?``, e.g. ``GE.APE.*.HH?``. The stream may be
        empty. Identical overlaps are joined; contradicting ones are left as two traces. Raises ValueError where the
        arguments make no sense, :class:`~seiscomp_dlloc.errors.WaveformReadError` where a server fails on this
        request.
        """
        selection = parse_selection(seed_ids)
        if not (math.isfinite(starttime) and math.isfinite(endtime) and starttime < endtime):
            raise ValueError(f"starttime {starttime} must precede endtime {endtime}")
        acquired = self._fetch(selection, starttime, endtime)
        wanted = [trace for trace in acquired.stream if selection.matches(trace.id)]
        odd = sorted({trace.id for trace in wanted if not _CODES.fullmatch(trace.id)})
        dropped = tuple(Dropped(seed_id, "is no channel code: the header is damaged") for seed_id in odd)
        stream = _clean([trace for trace in wanted if trace.id not in odd], starttime, endtime)
        return Acquired(stream, acquired.dropped + dropped)

    def by(self, limit: float) -> "WaveformSource":
        """This source, answering by ``limit`` (monotonic s) with what it has till then; itself, where it cannot."""
        return self

    def stations(self, starttime: float, endtime: float) -> tuple[str, ...]:
        """Stations (NET.STA) that there are waveforms of about then (POSIX s), sorted; empty where it cannot tell."""
        return ()

    @property
    def problems(self) -> tuple[Dropped, ...]:
        """What is wrong with the source apart from any window: files that cannot be read."""
        return ()

    @abstractmethod
    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        """Fetch at least what was asked for; more does no harm."""


def _clean(traces: Iterable[Trace], starttime: float, endtime: float) -> Stream:
    """Cut to the window, leave out what holds no numbers, join what is continuous, sort."""
    groups: dict[tuple[str, float, float, str], Stream] = {}
    for trace in traces:
        if _cut(trace, starttime, endtime):
            # ObsPy joins no traces that differ in these, but raises
            key = (trace.id, trace.stats.sampling_rate, trace.stats.calib, trace.data.dtype.str)
            groups.setdefault(key, Stream()).append(trace)
    joined = Stream()
    for group in groups.values():
        joined += group.merge(method=-1) if len(group) > 1 else group
    joined.sort()
    return joined


def _cut(trace: Trace, starttime: float, endtime: float) -> bool:
    """Cut a trace in place to the samples within the window; False where nothing usable is left.

    ``Trace.slice`` does the same at 30 times the cost, most of it for its note in the trace's history.
    """
    rate = trace.stats.sampling_rate
    if rate <= 0 or not np.issubdtype(trace.data.dtype, np.number):
        return False
    # A double holds POSIX seconds to 0.2 microseconds: a sample on the window's edge must not fall to that
    begin = trace.stats.starttime.ns
    first = max(0, math.ceil((UTCDateTime(starttime).ns - begin) * 1e-9 * rate - _SLACK_SAMPLES))
    last = min(trace.stats.npts - 1, math.floor((UTCDateTime(endtime).ns - begin) * 1e-9 * rate + _SLACK_SAMPLES))
    if last < first:
        return False
    if first > 0 or last < trace.stats.npts - 1:
        trace.data = trace.data[first : last + 1]
        trace.stats.starttime += first / rate
    return True
