"""The connections of the supervisor's clients: taken, read, answered, and left when they hang."""

import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from ..errors import ProtocolError
from .channel import Channel
from .protocol import Blobs, Header, error_message

MOST_CONNECTIONS = 256
SLOWEST_S = 30.0
"""A client that takes nothing of its answer, or sends nothing of a request that it began, for so long is left."""

IDLE_S = 600.0

_MOST_UNSENT = 64 << 20
_AT_ONCE = 64

log = logging.getLogger("dlloc.worker")
Event = tuple[str, Any]


def listen_for(selector: selectors.BaseSelector, channel: Channel, event: Event) -> None:
    """Wait for what the connection can do now: give bytes unless it has ended, take bytes where some wait."""
    mask = (0 if channel.ended or channel.closing else selectors.EVENT_READ) | (
        selectors.EVENT_WRITE if channel.unsent else 0
    )
    known = selector.get_map().get(channel.socket.fileno())
    if known is None:
        if mask:
            selector.register(channel.socket, mask, event)
    elif not mask:
        selector.unregister(channel.socket)
    elif known.events != mask:
        selector.modify(channel.socket, mask, event)


class Clients:
    """Clients by number. ``on_request`` is called with the number, header and blobs of each request."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: socket.socket,
        on_request: Callable[[int, Header, Blobs], None],
    ):
        self._selector, self._listener, self._on_request = selector, listener, on_request
        self._channels: dict[int, Channel] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def unsent(self) -> bool:
        """Whether some answer has not been taken yet."""
        return any(channel.unsent for channel in self._channels.values())

    def accept(self) -> None:
        """Take the connections that wait, a good many at a time."""
        for _ in range(_AT_ONCE):
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError | InterruptedError | ConnectionAbortedError):
                log.error("no connection can be taken (%s)", error)
                time.sleep(0.05)  # no descriptor left: the same would be said again at once
            return False
        self._last += 1
        number = self._last
        self._channels[number] = Channel(connection, _MOST_UNSENT)
        self._settle(number)
        if len(self._channels) > MOST_CONNECTIONS:
            self.reply(number, error_message("too many connections", f"{MOST_CONNECTIONS} are open; try again later"))
            self._close_when_sent(number)
        return True

    def handle(self, number: int, mask: int) -> None:
        """A client's connection can be read or written."""
        channel = self._channels.get(number)
        if channel is None:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                channel.flush()
            for header, blobs in channel.receive() if mask & selectors.EVENT_READ else ():
                self._on_request(number, header, blobs)
        except ProtocolError as error:
            self.reply(number, error_message("no message", str(error)))
            self._close_when_sent(number)
        except OSError:
            self._drop(number)
        if channel.ended and not channel.waiting:
            channel.closing = True
        # A client that has closed its sending side may still read; whether it does shows when it is answered
        self._settle(number)

    def expects(self, number: int, identifier: str) -> None:
        """The client waits for the answer to a job."""
        self._channels[number].waiting.add(identifier)

    def answer(self, number: int, identifier: str, header: Header, blobs: Blobs) -> None:
        """Give a client the answer that it waits for; nothing where it has gone."""
        channel = self._channels.get(number)
        if channel is not None:
            channel.waiting.discard(identifier)
            self.reply(number, header, blobs)
            if channel.ended:
                self._close_when_sent(number)

    def reply(self, number: int, header: Header, blobs: Blobs | None = None) -> None:
        """Send a client something; it is left where it takes nothing."""
        channel = self._channels.get(number)
        if channel is None:
            return
        try:
            taken = channel.send(header, blobs)
        except OSError as error:
            # Nothing unusual: the module takes a question back when another one has brought the final answer
            log.debug("a client has gone before its answer (%s)", error)
            taken = False
        except ProtocolError as error:
            log.warning("an answer cannot be sent (%s)", error)
            taken = False
        if taken:
            self._settle(number)
        else:
            self._drop(number)

    def drop_idle(self) -> None:
        """Leave those who hang, and those who have been silent for long without waiting for anything."""
        now = time.monotonic()
        for number, channel in list(self._channels.items()):
            stuck = channel.unsent and now - channel.last_sent > SLOWEST_S
            slow = channel.partial and now - channel.last_read > SLOWEST_S
            idle = not channel.waiting and not channel.unsent and now - channel.last_read > IDLE_S
            if stuck or slow or idle:
                log.warning("a client that %s is left", "is idle" if idle else "hangs")
                self._drop(number)

    def close(self) -> None:
        """Leave all."""
        for number in list(self._channels):
            self._drop(number)

    def _close_when_sent(self, number: int) -> None:
        channel = self._channels.get(number)
        if channel is not None and not channel.waiting:
            channel.closing = True
            self._settle(number)

    def _settle(self, number: int) -> None:
        channel = self._channels.get(number)
        if channel is None:
            return
        if channel.closing and not channel.unsent:
            self._drop(number)
        else:
            listen_for(self._selector, channel, ("client", number))

    def _drop(self, number: int) -> None:
        channel = self._channels.pop(number, None)
        if channel is None:
            return
        if channel.socket.fileno() in self._selector.get_map():
            self._selector.unregister(channel.socket)
        channel.close()
