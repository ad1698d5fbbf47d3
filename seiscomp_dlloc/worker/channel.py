"""One connection of the supervisor: frames in, frames out, never blocking."""

import socket
import time
from collections import deque

from .protocol import Decoder, Header, Message, encode

_CHUNK = 1 << 18


class Channel:
    """A non-blocking socket with a decoder and an outbox of at most ``most_unsent`` bytes.

    ``closing``: it is closed once the outbox is empty. ``ended``: the other side sends no more.
    """

    def __init__(self, connection: socket.socket, most_unsent: int):
        self.socket = connection
        self.socket.setblocking(False)
        self.closing = self.ended = False
        self.waiting: set[str] = set()
        self.last_read = self.last_sent = time.monotonic()
        self._decoder = Decoder()
        self._outbox: deque[memoryview] = deque()
        self._unsent, self._most_unsent = 0, most_unsent

    @property
    def unsent(self) -> int:
        """Bytes that the other side has not taken yet."""
        return self._unsent

    @property
    def partial(self) -> bool:
        """Whether part of a message has come."""
        return self._decoder.pending > 0

    def receive(self) -> list[Message]:
        """Messages that have come. Raises ProtocolError on what is none, OSError where the connection broke."""
        try:
            data = self.socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return []
        self.last_read = time.monotonic()
        if not data:
            self.ended = True
            return []
        return self._decoder.feed(data)

    def send(self, header: Header, blobs: dict[str, bytes] | None = None) -> bool:
        """Queue a message and send what the socket takes; False where the outbox is full.

        Raises OSError where the connection broke.
        """
        frame = encode(header, blobs)
        if self._unsent and self._unsent + len(frame) > self._most_unsent:
            return False
        if not self._unsent:
            self.last_sent = time.monotonic()
        self._outbox.append(memoryview(frame))
        self._unsent += len(frame)
        self.flush()
        return True

    def flush(self) -> None:
        """Send what the socket takes. Raises OSError where the connection broke."""
        while self._outbox:
            try:
                sent = self.socket.send(self._outbox[0])
            except (BlockingIOError, InterruptedError):
                return
            self.last_sent = time.monotonic()
            self._unsent -= sent
            if sent == len(self._outbox[0]):
                self._outbox.popleft()
            else:
                self._outbox[0] = self._outbox[0][sent:]

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()
