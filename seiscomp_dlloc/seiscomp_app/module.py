"""The module ``dlloc``: follows origins and events in the messaging, and hands their names to its engine.

This process does nothing that could take time: the host's main loop must go on. Locating, sending and every decision
are the engine's (engine.py), a process of its own that is started again when it dies.
"""

import logging
import os
import signal
import socket
import sys
from typing import Any, Dict, List, Optional

from seiscomp import client, datamodel, system

from ..errors import DllocError
from ..settings.values import Settings
from .feeder import Feeder
from .host import application_name, complain, log_to_host, setting_getter, shared_options
from .offline import locate_document, locate_origin
from .rules import is_own_id

LOG = logging.getLogger("dlloc")

GROUPS = ("LOCATION", "EVENT")
STOP_S = 5.0
LAST_S = 5
LOOKS_AT_SETTINGS = ("print-config-vars", "validate-schema-params", "dump-settings")
"""Options with which the host says what the settings are, or what is wrong with them, and ends."""


class Module(client.Application):  # type: ignore[misc]
    """The host's application."""

    def __init__(self, argc: int, argv: List[str]) -> None:
        super().__init__(argc, argv)
        self._argv = argv
        self._feeder: Optional[Feeder] = None
        self._settings: Optional[Settings] = None
        self.setMessagingEnabled(True)
        # The address of the database comes from the messaging where it is not configured; queries are the engine's
        self.setDatabaseEnabled(True, True)
        self.setPrimaryMessagingGroup("LOCATION")
        for group in GROUPS:
            self.addMessagingSubscription(group)

    # Start

    def createCommandLineDescription(self) -> None:  # noqa: N802 - the host's name
        """Options of our own."""
        options = self.commandline()
        options.addGroup("Mode")
        options.addOption("Mode", "test", "Locate, but send nothing: say in the audit what would be sent.")
        options.addStringOption(
            "Mode",
            "ep",
            "Locate the origins of an SCML file, write it with the new origins to stdout; no messaging.",
        )
        options.addOption("Mode", "formatted,f", "With --ep: write indented XML.")
        options.addStringOption("Mode", "origin-id,O", "Locate this origin of the database, send it and end.")

    def validateParameters(self) -> bool:  # noqa: N802 - the host's name
        """Settle what the modes need, and read the settings, before anything is connected.

        As a daemon there is no terminal later on: a wrong setting is told now, and ends the module with 2.
        """
        if not client.Application.validateParameters(self):
            return False
        options = self.commandline()
        if options.hasOption("ep"):
            self.setMessagingEnabled(False)
            self.setDatabaseEnabled(False, False)
            self.setLoggingToStdErr(True)
        elif options.hasOption("origin-id") or options.hasOption("test"):
            # The name of the module in the messaging belongs to the one that runs
            self.setMessagingUsername("")
            self.setDaemonEnabled(False)
        if any(options.hasOption(word) for word in LOOKS_AT_SETTINGS):
            return True
        try:
            self._settings = Settings.from_getter(setting_getter(self))
        except DllocError as error:
            complain(str(error))
            return False
        return True

    def handleInitializationError(self, stage: int) -> bool:  # noqa: N802 - the host's name
        """Say on the terminal what the host says in its log only: it cannot start."""
        log = system.Environment.Instance().logFile(self.name())
        why = f"no messaging, or another '{self.name()}' runs there" if stage == self.MESSAGING else "see the log"
        complain(f"cannot start: {why} ({log})")
        return False

    def init(self) -> bool:
        """Connect."""
        if not client.Application.init(self):
            return False
        log_to_host()
        return True

    def hello(self) -> Dict[str, Any]:
        """What the engine has to know of this process."""
        return {
            "kind": "hello",
            "database": self.databaseURI(),
            "messaging": self.messagingURL(),
            "group": self.primaryMessagingGroup() or "LOCATION",
            "agency": self.agencyID(),
            "author": f"{self.name()}@{socket.gethostname()}",
            "name": self.name(),
            "test": self.commandline().hasOption("test"),
        }

    def engine_command(self) -> List[str]:
        """How the engine is started: the same interpreter, configuration and verbosity."""
        options = shared_options(self._argv[1:])
        # -c looks for modules where the process stands, and a checkout of ours may stand there
        folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = (
            f"import sys; sys.path[0] = {folder!r}; from seiscomp_dlloc.seiscomp_app.engineprocess import main; "
            f"sys.argv[0] = {self.name()!r}; sys.exit(main(sys.argv))"
        )
        log = []
        if not any(o == "--debug" or o.startswith("--console") for o in options):
            log = ["--log-file", system.Environment.Instance().logFile(f"{self.name()}-engine")]
        return [sys.executable, "-c", code, *options, *log]

    def run(self) -> bool:
        """Follow the messaging until told to end, or do what the mode asks and end."""
        options = self.commandline()
        try:
            if options.hasOption("ep"):
                status = locate_document(
                    self._settings, self.hello(), options.optionString("ep"), options.hasOption("formatted")
                )
                self.exit(status)
                return True
            if options.hasOption("origin-id"):
                status = locate_origin(self._settings, self.hello(), options.optionString("origin-id"))
                sys.stderr.flush()
                # Not by the host's way out, which now and then waits for ever for its messaging thread
                os._exit(status)
        except DllocError as error:
            complain(str(error))
            self.exit(2)
            return True
        if not self.databaseURI():
            complain("no database: neither 'database' is set nor does the messaging name one")
            self.exit(2)
            return True
        if options.hasOption("test"):
            assert self._settings is not None
            complain(f"nothing is sent; {self._settings.audit_file} says what would be")
        self._feeder = Feeder(self.engine_command(), self.hello())
        self._feeder.tick()
        self.enableTimer(1)
        return bool(client.Application.run(self))

    # Following. An exception in a handler would end the program: each is caught, said, and the next origin is another

    def handleTimeout(self) -> None:  # noqa: N802 - the host's name
        """Every second: see to the engine."""
        try:
            if self._feeder is not None:
                self._feeder.tick()
        except Exception:
            LOG.exception("unexpected")

    def addObject(self, parent_id: str, item: Any) -> None:  # noqa: N802 - the host's name
        """An object came: origins and events go to the engine by name."""
        try:
            self._follow(item, "add")
        except Exception:
            LOG.exception("unexpected")

    def updateObject(self, parent_id: str, item: Any) -> None:  # noqa: N802 - the host's name
        """An object changed."""
        try:
            self._follow(item, "update")
        except Exception:
            LOG.exception("unexpected")

    def _follow(self, item: Any, operation: str) -> None:
        if self._feeder is None:
            return
        origin = datamodel.Origin.Cast(item)
        if origin is not None:
            if not is_own_id(origin.publicID()):
                self._feeder.put({"kind": "origin", "id": origin.publicID(), "operation": operation})
            return
        event = datamodel.Event.Cast(item)
        if event is not None and event.preferredOriginID():
            self._feeder.put({"kind": "event", "id": event.publicID(), "origin": event.preferredOriginID()})

    def handleReconnect(self) -> None:  # noqa: N802 - the host's name
        """The messaging is back: what was said meanwhile was not heard, and is looked for in the database."""
        try:
            if self._feeder is not None:
                self._feeder.put({"kind": "catchup"})
        except Exception:
            LOG.exception("unexpected")

    def done(self) -> None:
        """End the engine before the host's application."""
        try:
            if self._feeder is not None:
                self._feeder.stop(STOP_S)
        except Exception:
            LOG.exception("unexpected")
        # The host now and then waits for ever for its messaging thread
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LAST_S)
        client.Application.done(self)


def main(argv: List[str]) -> int:
    """Run the module; its exit status."""
    arguments = application_name(argv)
    return int(Module(len(arguments), arguments)())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
