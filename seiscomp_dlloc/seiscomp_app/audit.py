"""The audit log: every decision of the module, one JSON object a line, in files that rotate."""

import contextlib
import json
import os
from datetime import datetime, timezone
from typing import IO, Callable, Dict, Optional


class Audit:
    """Appends to ``path``; at ``most_bytes`` the file becomes ``path.1``, that one ``path.2``, to ``path.keep``.

    A disk that is full must not stop the module: what could not be written is counted in ``lost`` and told to
    ``complain`` once.
    """

    def __init__(
        self,
        path: str,
        most_bytes: int = 10 * 1024 * 1024,
        keep: int = 5,
        complain: Optional[Callable[[str], None]] = None,
    ) -> None:
        self.path = path
        self.lost = 0
        self._most_bytes, self._keep = most_bytes, keep
        self._complain = complain
        self._file: Optional[IO[bytes]] = None

    def write(self, now: float, decision: str, **details: object) -> None:
        """One decision at ``now`` (POSIX seconds); ``details`` that are None are left out."""
        moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
        record: Dict[str, object] = {"time": moment, "decision": decision}
        record.update((key, value) for key, value in details.items() if value is not None)
        try:
            line = json.dumps(record, default=str, allow_nan=False).encode("utf-8") + b"\n"
        except ValueError:
            # NaN and infinity are no JSON
            line = json.dumps({key: str(value) for key, value in record.items()}).encode("utf-8") + b"\n"
        try:
            self._append(line)
        except OSError as error:
            self.lost += 1
            self.close()
            if self._complain is not None and self.lost == 1:
                self._complain(f"audit.file {self.path}: {error.strerror or error}; decisions are not recorded")
        else:
            self.lost = 0

    def _append(self, line: bytes) -> None:
        if self._file is None:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()
        if self._file.tell() and self._file.tell() + len(line) > self._most_bytes:
            self._rotate()
        assert self._file is not None
        self._file.write(line)
        self._file.flush()

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep, 1, -1):
            older = f"{self.path}.{number - 1}"
            if os.path.exists(older):
                os.replace(older, f"{self.path}.{number}")
        os.replace(self.path, f"{self.path}.1")
        self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()

    def close(self) -> None:
        """Let go of the file; the next decision opens it again."""
        if self._file is not None:
            # What the buffer holds for a full disk is lost; it was counted when it was written
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
