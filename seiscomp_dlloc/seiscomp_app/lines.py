"""JSON lines over pipes between the module's two processes, without ever waiting for the other end."""

import json
import os
from collections import deque
from typing import Any, Deque, Dict, List

LONGEST_LINE = 1 << 20


class LineReader:
    """Takes what a descriptor has and gives whole lines as objects; ``ended`` once the other end has closed."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._rest = descriptor, b""
        self.ended = False
        self.damaged = 0

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._descriptor

    def read(self) -> List[Dict[str, Any]]:
        """Objects that are there now. What is no JSON object is counted in ``damaged`` and left out."""
        found: List[Dict[str, Any]] = []
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except (BlockingIOError, InterruptedError):
                return found
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return found
            *whole, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > LONGEST_LINE:
                self._rest = b""
                self.damaged += 1
            for line in whole:
                try:
                    item = json.loads(line.decode("utf-8"))
                    if not isinstance(item, dict):
                        raise ValueError("no object")
                    found.append(item)
                except ValueError:
                    self.damaged += 1


class LineWriter:
    """Writes objects as lines, as far as the pipe takes them; keeps the newest ``most`` lines that it does not.

    ``broken`` once the other end is gone; ``lost`` counts the lines that there was no room for.
    """

    def __init__(self, descriptor: int, most: int = 10000) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._most = descriptor, most
        self._lines: Deque[bytes] = deque()
        self._partial = b""
        self.broken = False
        self.lost = 0

    def put(self, item: Dict[str, Any]) -> None:
        """Write an object, now or when there is room."""
        if len(self._lines) >= self._most:
            self._lines.popleft()
            self.lost += 1
        self._lines.append(json.dumps(item, separators=(",", ":")).encode("utf-8") + b"\n")
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes."""
        try:
            while not self.broken and (self._partial or self._lines):
                if not self._partial:
                    self._partial = self._lines.popleft()
                self._partial = self._partial[os.write(self._descriptor, self._partial) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.broken = True

    def take_over(self) -> List[Dict[str, Any]]:
        """What was not written, for another writer; a line that was begun is among it."""
        left = [json.loads(line.decode("utf-8")) for line in self._lines]
        self._lines.clear()
        return left
