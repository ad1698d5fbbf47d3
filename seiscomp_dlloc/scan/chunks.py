"""A span of time in pieces that are searched one by one."""

import math
from dataclasses import dataclass

from ..locate import required_window
from ..passport import Passport
from ..records import Trigger
from .detecting import Plan
from .finding import reach


@dataclass(frozen=True)
class Chunk:
    """Origin times from ``start`` up to ``end`` (POSIX s), which is not in it."""

    number: int
    start: float
    end: float

    @property
    def span(self) -> tuple[float, float]:
        """Start and end."""
        return self.start, self.end


def chunks_of(start: float, end: float, length_s: float) -> tuple[Chunk, ...]:
    """The span from ``start`` to ``end`` (POSIX s) in chunks of ``length_s``, the last one as long as is left."""
    if not (start < end and length_s > 0.0):
        raise ValueError(f"no span from {start} to {end} in pieces of {length_s} s")
    count = math.ceil((end - start) / length_s - 1e-9)
    return tuple(
        Chunk(number, start + number * length_s, min(start + (number + 1) * length_s, end)) for number in range(count)
    )


def record_of(chunk: Chunk, passport: Passport, plan: Plan) -> tuple[float, float]:
    """Start and end (POSIX s) of the waveforms that a chunk needs: to find events in it, and to locate each of them.

    Chunks overlap by as much as an event's waveforms are long, at the model's longest window.
    """
    spans = [reach(chunk.span, passport, plan)]
    spans += [required_window(Trigger("", time), passport) for time in chunk.span]
    return min(first for first, _ in spans), max(last for _, last in spans)
