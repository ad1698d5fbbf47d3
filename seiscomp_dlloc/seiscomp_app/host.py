"""Small things of the host's applications that both processes of the module share."""

import logging
import os
import sys
from typing import Any, Callable, List, Optional

from seiscomp import logging as host_logging


class HostHandler(logging.Handler):
    """Python's log records into the host's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record; an error in here must not come back as an exception."""
        try:
            text = self.format(record).replace("\n", " | ")
            if record.levelno >= logging.ERROR:
                host_logging.error(text)
            elif record.levelno >= logging.WARNING:
                host_logging.warning(text)
            elif record.levelno >= logging.INFO:
                host_logging.info(text)
            else:
                host_logging.debug(text)
        except Exception:
            self.handleError(record)


def log_to_host() -> None:
    """Send the package's log records to the host's log."""
    logger = logging.getLogger("dlloc")
    logger.handlers[:] = [HostHandler()]
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def setting_getter(app: Any) -> Callable[[str], Optional[List[str]]]:
    """The values of a configuration key as the host reads them; None where it is not set."""

    def get(key: str) -> Optional[List[str]]:
        try:
            return [str(value) for value in app.configGetStrings(key)]
        except RuntimeError:
            # The host's way of saying that there is no such key
            return None

    return get


def application_name(argv: List[str]) -> List[str]:
    """``argv`` with the module's name in place of this package's file, which ``python -m`` puts there.

    The name decides which configuration file the host reads; an alias of the module keeps its own.
    """
    name = os.path.splitext(os.path.basename(argv[0]))[0]
    return ["dlloc" if name in ("module", "engineprocess", "__main__", "-m", "-c") else argv[0], *argv[1:]]


SHARED_FLAGS = ("--debug", "--trace", "--log-utc")
SHARED_WITH_VALUE = ("--config-file", "--plugins", "--verbosity", "--console", "--component", "--print-component")


def shared_options(arguments: List[str]) -> List[str]:
    """Those of the module's command line options that its engine takes, too: configuration, plugins, verbosity.

    Settings given as ``--name.of.setting=value`` are among them; what concerns the connection to the messaging, the
    database and the daemon is not.
    """
    kept: List[str] = []
    take_next = False
    for argument in arguments:
        name = argument.split("=", 1)[0]
        if take_next:
            kept.append(argument)
            take_next = False
        elif argument in SHARED_FLAGS or (argument.startswith("-v") and set(argument[1:]) == {"v"}):
            kept.append(argument)
        elif name in SHARED_WITH_VALUE:
            kept.append(argument)
            take_next = "=" not in argument
        elif argument.startswith("--") and "=" in argument and "." in name:
            kept.append(argument)
    return kept


def complain(text: str) -> None:
    """A word to the operator on the command line."""
    print(f"dlloc: {text}", file=sys.stderr)
