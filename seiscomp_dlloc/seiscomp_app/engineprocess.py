"""The engine's process: started by the module's main process, which feeds it; ends when that one does."""

import os
import selectors
import signal
import sys
import tempfile
import time
from typing import Any, Dict, List, Optional

from seiscomp import client

from ..errors import DllocError
from ..settings.values import Settings
from .audit import Audit
from .database import Database
from .engine import Engine
from .host import application_name, complain, log_to_host, setting_getter
from .journal import Journal
from .lines import LineReader, LineWriter
from .objects import quiet
from .plan import Plan
from .planning import make_plan
from .sender import Link

HELLO_S = 60.0


class EngineApplication(client.Application):  # type: ignore[misc]
    """The host's configuration, plugins and log; everything else is the engine's own."""

    def __init__(self, argc: int, argv: List[str], protocol_fd: int) -> None:
        super().__init__(argc, argv)
        self.setMessagingEnabled(False)
        self.setDatabaseEnabled(False, False)
        self.setDaemonEnabled(False)
        self._protocol_fd = protocol_fd

    def run(self) -> bool:
        """Read the first line, then run the engine until the main process ends it."""
        log_to_host()
        quiet()
        try:
            return self._run()
        except DllocError as error:
            complain(str(error))
            return False

    def _run(self) -> bool:
        reader = LineReader(0)
        hello, rest = first_line(reader, HELLO_S)
        if not hello:
            return True
        plan = make_plan(Settings.from_getter(setting_getter(self)), hello)
        if not hello.get("test"):
            link = Link(str(hello["messaging"]), str(hello["group"]))
            return self._follow(plan, hello, link, plan.journal_file, reader, rest)
        # A test sends nothing and must not leave a journal that says so: the real run would skip what was tested
        with tempfile.TemporaryDirectory(prefix="dlloc-") as folder:
            return self._follow(plan, hello, None, os.path.join(folder, "journal"), reader, rest)

    def _follow(
        self,
        plan: Plan,
        hello: Dict[str, Any],
        link: Optional[Link],
        path: str,
        reader: LineReader,
        lines: List[Dict[str, Any]],
    ) -> bool:
        """Run the engine with the journal in ``path``; ``link`` None: a test."""
        audit = Audit(plan.audit_file, complain=complain)
        journal = Journal(path, keep_s=max(7 * 86400.0, 2 * plan.catchup_s))
        engine = Engine(plan, Database(str(hello["database"])), link, journal, audit)
        signal.signal(signal.SIGTERM, lambda *_: engine.stop())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        dropped = journal.dropped_lines or None
        audit.write(time.time(), "start", pid=os.getpid(), test=link is None or None, dropped_lines=dropped)
        for line in lines:
            engine.told(line)
        engine.run(reader, LineWriter(self._protocol_fd, most=10))
        return True


def first_line(reader: LineReader, seconds: float) -> Any:
    """(hello, what came behind it); ({}, []) where the main process ended or said nothing in time."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while time.monotonic() < end and not reader.ended:
            selector.select(max(0.0, end - time.monotonic()))
            lines: List[Dict[str, Any]] = reader.read()
            if lines:
                return (lines[0], lines[1:]) if lines[0].get("kind") == "hello" else ({}, [])
    return {}, []


def main(argv: List[str]) -> int:
    """Run the engine; its exit status."""
    # What the host's libraries print must not come between the lines to the main process
    protocol = os.dup(1)
    os.dup2(2, 1)
    arguments = application_name(argv)
    app = EngineApplication(len(arguments), arguments, protocol)
    return int(app())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
