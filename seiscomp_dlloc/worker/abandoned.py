"""Jobs that the engine works on although their deadline is over: when there are too many, it must be started anew."""

from collections.abc import Callable

PATIENCE_S = 60.0
"""A request to a server ends by itself in half of this; what hangs for longer hangs for ever."""

MOST_OLD = 4


class Abandoned:
    """Names of jobs that were answered without the engine, which has not said yet that it is done with them."""

    def __init__(self, most: int, clock: Callable[[], float]):
        self._most, self._clock = most, clock
        self._since: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, identifier: str) -> None:
        """The deadline of a job has passed while the engine worked on it."""
        self._since[identifier] = self._clock()

    def discard(self, identifier: str) -> None:
        """The engine is done with a job."""
        self._since.pop(identifier, None)

    def clear(self) -> None:
        """There is a new engine."""
        self._since.clear()

    def too_many(self) -> bool:
        """Whether they are as many as jobs may be at all, or several of them hang for ever."""
        old = sum(self._clock() - since > PATIENCE_S for since in self._since.values())
        return len(self._since) >= self._most or old >= MOST_OLD
