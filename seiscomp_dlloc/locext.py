"""The external locator of scolv and screloc: SeisComP's ``External`` locator (plugin locext) runs this script.

    python -m seiscomp_dlloc.locext --profile NAME [--max-dist=KM] [--fixed-depth=KM] [--ignore-initial-location]

An SCML document with picks and one origin on stdin, a document with one ``<Origin>`` on stdout, exit status 0; else no
output, exit status 1, and the reason on stderr and in the locator's log. The resident worker does the work; where
there is none it is started, and where that fails the job is done in a process of its own.

Facts of the host (its plugins/locator/external/external.cpp) that shape this: it writes all of stdin before it reads a
byte; waits without a limit, and for whoever else holds stdout open; shows the user no stderr; and scolv calls a second
time after a failure. So stdin is drained first, stdout is ours alone, there is a deadline, and what has just failed
fails again at once. Standard library, Python 3.8: it has to start fast.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from .errors import DllocError, SettingError, WorkerTimeout, WorkerUnavailable
from .settings.fingerprint import fingerprint
from .settings.values import Settings
from .worker.client import Client, Wanted
from .worker.protocol import RETRY_REASONS, Blobs, Decoder, Header, Message, encode

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

REMEMBERED_S = 5.0
"""How long a failure is remembered: scolv asks again at once, with another start."""

MOST_BYTES = 128 << 20
"""Longest document that is taken."""

YOUNG_S = 60.0
"""A worker younger than this is never replaced: two users whose settings differ must not do so with every event."""

_START_SHARE = 0.5
_PING_S = 0.2
_RESERVE_S = 0.3
_AGAIN_S = 0.1
_LOG_BYTES = 1 << 20
_PICKS = re.compile(rb"<(?:\w+:)?pickID>([^<]*)<")


class _Late(BaseException):
    """The deadline; raised by the clock wherever the script is."""


class Arguments:
    """What the host, and the operator's profile, put on the command line. km; None: not given."""

    def __init__(self, words: List[str]) -> None:
        """A wrong option is said on stderr and ends the process, as argparse does it."""
        import argparse

        def finite(text: str) -> float:
            value = float(text)
            if not -1e9 < value < 1e9:
                raise argparse.ArgumentTypeError(f"{text} is not finite")
            return value

        parser = argparse.ArgumentParser(prog="dlloc-locext", description=__doc__, allow_abbrev=False)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("--profile", default="", help="profile of dlloc.cfg (default: locator.profile)")
        parser.add_argument("--config", metavar="FILE", help="settings file in place of SeisComP's")
        parser.add_argument("--socket", metavar="PATH", help="the worker's socket")
        parser.add_argument("--deadline", type=finite, metavar="S", help="answer within (default: locator.deadline)")
        parser.add_argument("--max-dist", type=finite, metavar="KM", help="leave farther stations out")
        parser.add_argument("--fixed-depth", type=finite, metavar="KM", help="keep this depth")
        parser.add_argument(
            "--ignore-initial-location", action="store_true", help="do not measure --max-dist from the origin given"
        )
        given = parser.parse_args(words)
        self.profile: str = given.profile
        self.config: Optional[str] = given.config
        self.socket: Optional[str] = given.socket
        self.deadline_s: Optional[float] = given.deadline
        self.max_distance_km: Optional[float] = given.max_dist
        self.fixed_depth_km: Optional[float] = given.fixed_depth
        self.ignore_location: bool = given.ignore_initial_location
        if self.deadline_s is not None and self.deadline_s <= 0:
            parser.error(f"--deadline {self.deadline_s:g} must be above 0")

    def key(self, document: bytes) -> str:
        """The same for all calls that ask the same of the same picks, wherever the origin starts."""
        asked = [self.profile, self.max_distance_km, self.fixed_depth_km, self.ignore_location]
        picks = b"\n".join(sorted(set(_PICKS.findall(document)))) or document
        return hashlib.sha256(json.dumps(asked).encode() + picks).hexdigest()


def drain() -> bytes:
    """All of stdin. Raises SettingError where there is none or it has no end."""
    chunks, total = [], 0
    try:
        while True:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                break
            chunks.append(chunk)
            total += len(chunk)
            if total > MOST_BYTES:
                raise SettingError(f"the document has more than {MOST_BYTES >> 20} MiB; no origin needs so much")
    except OSError as error:
        raise SettingError(f"stdin cannot be read ({error.strerror or error})") from error
    document = b"".join(chunks)
    if not document.strip():
        raise SettingError("stdin is empty: give an SCML document with picks and one origin")
    return document


def request(arguments: Arguments, settings: Settings) -> Header:
    """The job, without its deadline."""
    profile = settings.profile(arguments.profile or settings.locator.profile).name
    return {
        "kind": "locate",
        # A name of its own each time: an answer given twice would bring the same publicIDs, which the host drops
        "id": f"locext-{os.getpid()}-{os.urandom(8).hex()}",
        "profile": profile,
        "options": {
            "fixed_depth_km": arguments.fixed_depth_km,
            "max_distance_km": arguments.max_distance_km,
            "ignore_initial_location": arguments.ignore_location,
        },
        "wait": "now",
        "reply": "origin",
        "keep_bundle": settings.bundle.keep,
        "origin_token": os.urandom(10).hex(),
        # scolv presets locator and profile from these two when the origin is shown again
        "labels": {
            "method_id": "External:" + settings.output.method_id,
            "earth_model_id": profile,
            "agency_id": settings.output.agency_id,
            "author": settings.output.author,
        },
    }


def ask(header: Header, blobs: Blobs, arguments: Arguments, settings: Settings, limit: float) -> Message:
    """The answer of the worker, of one that is started, or of a process of its own.

    ``limit`` is monotonic. Raises WorkerError where nobody answers in time.
    """
    path = arguments.socket or settings.worker.socket
    python = settings.worker.python or sys.executable
    config = os.path.abspath(arguments.config) if arguments.config else ""
    wanted = Wanted(fingerprint(settings), config, YOUNG_S)
    why: Optional[DllocError] = None
    if not (settings.worker.autostart and _outdated(path, wanted)):
        try:
            return _ask_worker(Client(path), header, blobs, limit)
        except WorkerUnavailable as error:
            why = error
    if settings.worker.autostart:
        from .worker.launch import WorkerLauncher

        launcher = WorkerLauncher(path, python, ["--config", config] if config else [], wanted=wanted)
        share = limit - time.monotonic()
        try:
            launcher(_START_SHARE * share)
        except WorkerUnavailable as error:
            why = error
        try:
            return _ask_worker(Client(path), header, blobs, limit)
        except WorkerUnavailable as error:
            why = why or error
    log(settings.locator.log_file, f"no worker ({why}): the job is done without one")
    return _ask_process(python, header, blobs, arguments, limit)


def _outdated(path: str, wanted: Wanted) -> bool:
    """Whether the worker there has to be replaced; a busy one that does not say is taken as it is."""
    try:
        return wanted.denies(Client(path).ping(_PING_S))
    except DllocError:
        return False


def _ask_worker(client: Client, header: Header, blobs: Blobs, limit: float) -> Message:
    """Ask, and again while the queue is full."""
    while True:
        left = limit - time.monotonic()
        if left <= _AGAIN_S:
            raise WorkerTimeout("the worker was too busy until the deadline; see 'dlloc worker status'")
        found, answered = client.locate(header, blobs, left)
        if found.get("status") != "refused" or found.get("reason") not in RETRY_REASONS:
            return found, answered
        time.sleep(_AGAIN_S)


def _ask_process(python: str, header: Header, blobs: Blobs, arguments: Arguments, limit: float) -> Message:
    """Do the job in a process of its own. Raises WorkerTimeout, WorkerUnavailable."""
    import subprocess

    from .worker.launch import worker_environment

    left = limit - time.monotonic()
    command = [python, "-m", "seiscomp_dlloc.worker.once"]
    if arguments.config:
        command += ["--config", os.path.abspath(arguments.config)]
    try:
        done = subprocess.run(
            command,
            input=encode(dict(header, deadline_s=max(left - 0.5, 0.1)), blobs),
            capture_output=True,
            env=worker_environment(os.environ),
            cwd="/",
            timeout=max(left, 0.1),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerTimeout("there is no worker, and without one the deadline was too short") from error
    except OSError as error:
        raise WorkerUnavailable(f"worker.python {python}: cannot be run ({error.strerror or error})") from error
    messages = Decoder().feed(done.stdout)
    if len(messages) != 1:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise WorkerUnavailable(
            "the locator's process gave no answer: {}".format(said[-1] if said else "it says nothing")
        )
    return messages[0]


def log(path: str, text: str) -> None:
    """One line at the end of the log, which is put aside when it has grown; what cannot be written is let go."""
    line = "{} [{}] {}\n".format(
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), os.getpid(), " ".join(text.split())
    )
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        # One write to a file opened for appending: calls at the same time do not mix their lines
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line.encode("utf-8", "replace"))
            if os.fstat(descriptor).st_size > _LOG_BYTES:
                os.replace(path, path + ".1")
        finally:
            os.close(descriptor)
    except OSError:
        pass


class Memory:
    """The last failure, in a file beside the worker's socket."""

    def __init__(self, socket_path: str) -> None:
        self.path = os.path.splitext(socket_path)[0] + "-locext.last"

    def failure(self, key: str) -> Optional[str]:
        """Why the same question failed a moment ago; None where it did not."""
        try:
            with open(self.path, encoding="utf-8") as handle:
                kept: Dict[str, Any] = json.load(handle)
            if kept["key"] == key and 0.0 <= time.time() - float(kept["time"]) < REMEMBERED_S:
                return str(kept["why"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def keep(self, key: str, why: str) -> None:
        """Remember a failure; what cannot be written is let go."""
        name = f"{self.path}.{os.getpid()}"
        try:
            with open(name, "w", encoding="utf-8") as handle:
                json.dump({"key": key, "time": time.time(), "why": why}, handle)
            os.replace(name, self.path)
        except OSError:
            pass


def locate(arguments: Arguments, document: bytes, settings: Settings, limit: float) -> Tuple[Optional[bytes], str]:
    """(The document to answer with, '') or (None, why there is none)."""
    memory, key = Memory(arguments.socket or settings.worker.socket), arguments.key(document)
    before = memory.failure(key)
    if before is not None:
        return None, f"as a moment ago: {before}"
    try:
        header, blobs = ask(request(arguments, settings), {"event": document}, arguments, settings, limit)
        found = blobs.get("scml")
        why = "" if found else "{}: {}".format(header.get("reason") or header.get("status"), header.get("detail"))
    except DllocError as error:
        found, why = None, str(error)
    except _Late:
        memory.keep(key, "the deadline passed")
        raise
    if found is None:
        memory.keep(key, why)
    return found, why


def main(words: Optional[List[str]] = None) -> int:
    """Answer the host. Returns the exit status."""
    # Ours alone: a stray print goes to stderr, and no child holds the host's end open (dup makes it close on exec)
    try:
        out = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        out = -1
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    began, path = time.monotonic(), ""
    try:
        arguments = Arguments(sys.argv[1:] if words is None else words)
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, arguments.deadline_s or 60.0)
        # Drained before anything can fail: the host takes a script that leaves stdin unread for broken
        document, unread = _drained()
        settings = Settings.load(arguments.config)
        path, seconds = settings.locator.log_file, arguments.deadline_s or settings.locator.deadline_s
        signal.setitimer(signal.ITIMER_REAL, max(began + seconds - time.monotonic(), 0.01))
        limit = began + seconds - min(_RESERVE_S, 0.1 * seconds)
        if unread is not None:
            raise unread
        found, why = locate(arguments, document, settings, limit)
        if found is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)  # the answer is there; how fast it is read is the host's affair
            _write(out, found)
            return EXIT_OK
    except _Late:
        why = f"no answer within the deadline ({time.monotonic() - began:.1f} s)"
    except (DllocError, OSError) as error:
        why = str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    if not path:
        from .settings.layout import HostLayout, log_folder

        path = os.path.join(log_folder(HostLayout.from_environment()), "dlloc-locext.log")
    log(path, why)
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the host may have closed it
        print(f"dlloc-locext: {why}", file=sys.stderr)
    return EXIT_FAILED


def _drained() -> Tuple[bytes, Optional[SettingError]]:
    """The document, or why there is none."""
    try:
        return drain(), None
    except SettingError as error:
        return b"", error


def _ring(*_: Any) -> None:
    raise _Late


def _write(descriptor: int, document: bytes) -> None:
    """Everything, however slowly it is read. Raises OSError where the reader has gone."""
    view = memoryview(document)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.exit(main())
