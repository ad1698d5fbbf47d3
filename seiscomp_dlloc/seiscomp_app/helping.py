"""What the parts of the RecordStream helper share: its errors, and those of the host."""

import os

from seiscomp import logging as host_logging


class RequestError(Exception):
    """The request cannot be answered; the text is for the operator."""


class Complaints:
    """The errors that the host logs, for RecordStreams end without a word when their server goes."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        self._sink = host_logging.FdOutput(write)

    def listen(self) -> None:
        """From now on, once the host's log is set up."""
        self._sink.subscribe(host_logging.getGlobalChannel("error"))

    def take(self) -> str:
        """What was logged since the last time, the last three different lines of it."""
        data = b""
        try:
            while True:
                more = os.read(self._read, 1 << 16)
                data = (data + more)[-8000:]
        except BlockingIOError:
            pass
        lines = [line.partition("] ")[2] or line for line in data.decode("utf-8", "replace").splitlines()]
        return "; ".join(list(dict.fromkeys(line.strip() for line in lines if line.strip()))[-3:])


def without_password(uri: str) -> str:
    """``uri`` as it may stand in a log."""
    scheme, _, rest = uri.partition("://")
    login, at, place = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{place}" if at else uri
