"""What was begun and what was sent, on disk: after any death the module knows what is left to do.

One file of JSON lines, each written before the deed that it announces, and fsync'd where the deed must not be done
without it. A record is one of

* ``job``: a trigger was taken on;
* ``sending``: an origin is about to go out; the document goes along (deflated, base64), so that what is sent again
  after a restart is the same, byte for byte;
* ``sent``: the messaging took it;
* ``stored``: the database shows it whole;
* ``done``: nothing more will come of this job.

A line that a crash cut short is the last one; it is dropped and nothing was done that it would have announced.
"""

import base64
import fcntl
import json
import os
import time
import zlib
from dataclasses import dataclass, field
from typing import IO, Any, Dict, List, Optional

from ..errors import SettingError

VERSION = 1
LONGEST_LINE = 16 * 1024 * 1024


@dataclass
class Sending:
    """One origin on its way into the database; ``state`` is ``sending``, ``sent`` or ``stored``."""

    public_id: str
    job: str
    revision: int
    state: str
    document: bytes
    time: float
    final: bool = False


@dataclass
class Job:
    """A trigger that was taken on; ``outcome`` is '' while it goes on."""

    key: str
    origin: str
    profile: str
    time: float
    token: str = ""
    outcome: str = ""
    sent: List[str] = field(default_factory=list)


class Journal:
    """The journal in ``path``, held under a lock: one process writes it at a time. ``fresh``: there was none before.

    ``keep_s``: finished jobs older than this are forgotten when the file is compacted. ``wait_s``: how long to wait for
    another process to let go of it. Raises :class:`~seiscomp_dlloc.errors.SettingError` where the file cannot be
    opened or another process holds it.
    """

    def __init__(self, path: str, keep_s: float = 7 * 86400.0, wait_s: float = 10.0) -> None:
        self.path = path
        self.jobs: Dict[str, Job] = {}
        self.sendings: Dict[str, Sending] = {}
        self.dropped_lines = 0
        self.fresh = not os.path.exists(path)
        self._keep_s = keep_s
        self._lines = 0
        self._file: Optional[IO[bytes]] = None
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._lock = open(path + ".lock", "ab")  # noqa: SIM115 - held as long as the journal
            self._take_lock(wait_s)
            self._read()
            self.compact()
        except OSError as error:
            raise SettingError(f"journal.file {path}: {error.strerror or error}") from error

    def _take_lock(self, wait_s: float) -> None:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if time.monotonic() >= end:
                    raise SettingError(
                        f"journal.file {self.path}: another process holds it; is a second module running?"
                    ) from error
                time.sleep(0.1)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.close()

    # Reading

    def _read(self) -> None:
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as handle:
            for line in handle:
                try:
                    record = json.loads(line.decode("utf-8")) if line.endswith(b"\n") else None
                    if not isinstance(record, dict):
                        raise ValueError("no record")
                    self._apply(record)
                except (ValueError, KeyError, TypeError, zlib.error):
                    # Torn by a crash, or damaged on disk: what it said is not known, what the others say is
                    self.dropped_lines += 1

    def _apply(self, record: Dict[str, Any]) -> None:
        what, at = record["what"], float(record["t"])
        if what == "job":
            self.jobs[record["job"]] = Job(
                str(record["job"]),
                str(record["origin"]),
                str(record["profile"]),
                at,
                str(record.get("token", "")),
                str(record.get("outcome", "")),
                [str(item) for item in record.get("sent", ())],
            )
        elif what == "done":
            self.jobs[record["job"]].outcome = str(record["outcome"])
        elif what == "sending":
            document = zlib.decompress(base64.b64decode(record["document"]))
            name, key = str(record["id"]), str(record["job"])
            self.sendings[name] = Sending(
                name, key, int(record["revision"]), "sending", document, at, bool(record.get("final"))
            )
            job = self.jobs.get(key)
            if job is not None:
                job.token = str(record.get("token", job.token))
                if name not in job.sent:
                    job.sent.append(name)
        elif what in ("sent", "stored"):
            sending = self.sendings[record["id"]]
            sending.state = what
            if what == "stored":
                # The database has it: the document is not needed again
                sending.document = b""
        else:
            raise ValueError("unknown record")

    # Writing

    def _write(self, record: Dict[str, Any], sync: bool) -> None:
        if self._file is None:
            raise SettingError(f"journal.file {self.path}: is closed")
        self._file.write(_line(record))
        self._file.flush()
        if sync:
            os.fdatasync(self._file.fileno())
        self._lines += 1

    def begin(self, key: str, origin: str, profile: str, now: float) -> None:
        """A job is taken on."""
        self._record({"what": "job", "t": now, "job": key, "origin": origin, "profile": profile}, sync=True)

    def sending(
        self, key: str, token: str, public_id: str, revision: int, document: bytes, now: float, final: bool = False
    ) -> None:
        """An origin is about to be sent; after the ``final`` one nothing more comes of its job."""
        packed = base64.b64encode(zlib.compress(document, 6)).decode("ascii")
        self._record(
            {
                "what": "sending",
                "t": now,
                "id": public_id,
                "job": key,
                "token": token,
                "revision": revision,
                "final": final,
                "document": packed,
            },
            sync=True,
        )

    def sent(self, public_id: str, now: float) -> None:
        """The messaging took an origin. Lost by a power cut, the database is asked once more, nothing else."""
        self._record({"what": "sent", "t": now, "id": public_id})

    def stored(self, public_id: str, now: float) -> None:
        """The database shows an origin whole."""
        self._record({"what": "stored", "t": now, "id": public_id})

    def done(self, key: str, outcome: str, now: float) -> None:
        """A job has come to its end."""
        self._record({"what": "done", "t": now, "job": key, "outcome": outcome or "done"})

    def _record(self, record: Dict[str, Any], sync: bool = False) -> None:
        record = {"v": VERSION, **record}
        self._write(record, sync)
        self._apply(record)

    # What is left to do

    def known(self, key: str) -> bool:
        """Whether a job was taken on before."""
        return key in self.jobs

    def unfinished(self) -> List[Job]:
        """Jobs that were begun and not ended, oldest first."""
        return sorted((job for job in self.jobs.values() if not job.outcome), key=lambda job: job.time)

    def unstored(self) -> List[Sending]:
        """Origins of which it is not known that the database has them, oldest first."""
        return sorted((s for s in self.sendings.values() if s.state != "stored"), key=lambda s: (s.time, s.revision))

    # Size

    def compact(self, now: Optional[float] = None) -> None:
        """Write the file anew with what still matters, in place of itself."""
        now = time.time() if now is None else now
        for key in [k for k, job in self.jobs.items() if job.outcome and now - job.time > self._keep_s]:
            if all(self.sendings[s].state == "stored" for s in self.jobs[key].sent if s in self.sendings):
                for name in self.jobs.pop(key).sent:
                    self.sendings.pop(name, None)
        records = []
        for job in sorted(self.jobs.values(), key=lambda job: job.time):
            record = {"v": VERSION, "what": "job", "t": job.time, "job": job.key, "origin": job.origin}
            record.update(profile=job.profile, token=job.token, outcome=job.outcome, sent=job.sent)
            records.append(record)
        for sending in sorted(self.sendings.values(), key=lambda s: (s.time, s.revision)):
            job_of = self.jobs.get(sending.job)
            packed = base64.b64encode(zlib.compress(sending.document, 6)).decode("ascii")
            base = {"v": VERSION, "t": sending.time, "id": sending.public_id}
            records.append(
                {
                    **base,
                    "what": "sending",
                    "job": sending.job,
                    "token": job_of.token if job_of else "",
                    "revision": sending.revision,
                    "final": sending.final,
                    "document": packed,
                }
            )
            if sending.state != "sending":
                records.append({**base, "what": sending.state})
        temporary = self.path + ".new"
        with open(temporary, "wb") as handle:
            for record in records:
                handle.write(_line(record))
            handle.flush()
            os.fsync(handle.fileno())
        if self._file is not None:
            self._file.close()
        os.replace(temporary, self.path)
        _sync_folder(os.path.dirname(os.path.abspath(self.path)))
        self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()
        self._lines = len(records)

    def compact_when_long(self, most_lines: int = 20000) -> None:
        """Compact where the file has grown far beyond what it has to say."""
        if self._lines > most_lines and self._lines > 4 * (len(self.jobs) + 2 * len(self.sendings)):
            self.compact()


def _line(record: Dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode("utf-8") + b"\n"


def _sync_folder(folder: str) -> None:
    """Make the new name of a file last, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
