"""Messages between the worker, its clients and its helpers: a JSON header and named blobs in one frame.

A frame is ``DLW1``, the header's length (uint32), the length of all blobs (uint64), both big-endian, the header
(JSON, UTF-8), and the blobs in the order in which the header's ``blobs`` lists them as ``[name, length]``. Every header
has ``kind`` and ``version``. The frame itself never changes with the version, so that an answer to a message of
another version can always be read.

No input or output here: bytes in, messages out. Standard library, Python 3.8.
"""

import json
import struct
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..errors import ProtocolError

MAGIC = b"DLW1"
VERSION = 1

REQUESTS = ("ping", "status", "stop", "locate")
"""Kinds of request that the worker understands."""

STATUSES = ("accepted", "abstained", "failed", "refused")
"""What becomes of a job: ``refused`` was not tried, ``failed`` gave no hypocentre."""

RETRY_REASONS = ("queue full", "stopping", "too many connections")
"""Reasons of a refusal that say nothing about the job: the same job may be submitted again later."""

MAX_HEADER = 1 << 20
"""Most bytes of a header."""

MAX_BLOBS = 256 << 20
"""Most bytes of all blobs of a message."""

Header = Dict[str, Any]
Blobs = Dict[str, bytes]
Message = Tuple[Header, Blobs]

_PREFIX = struct.Struct(">4sIQ")


def encode(header: Mapping[str, Any], blobs: Optional[Mapping[str, bytes]] = None) -> bytes:
    """The frame of a message. ``version`` is added where ``header`` has none; ``blobs`` of the header is written here.

    Raises ProtocolError where the message has no kind, holds what JSON cannot (NaN too), or is over the limits.
    """
    parts = list((blobs or {}).items())
    full = dict(header)
    full.setdefault("version", VERSION)
    full["blobs"] = [[name, len(blob)] for name, blob in parts]
    if not isinstance(full.get("kind"), str):
        raise ProtocolError("a message without a kind cannot be sent")
    try:
        text = json.dumps(full, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ProtocolError("message {}: cannot be written as JSON ({})".format(full["kind"], error)) from error
    total = sum(len(blob) for _, blob in parts)
    if len(text) > MAX_HEADER:
        raise ProtocolError(_too_long("a header", len(text), MAX_HEADER))
    if total > MAX_BLOBS:
        raise ProtocolError(_too_long("contents", total, MAX_BLOBS))
    return b"".join([_PREFIX.pack(MAGIC, len(text), total), text] + [blob for _, blob in parts])


class Decoder:
    """Takes bytes as they come and gives messages when they are whole.

    ``max_header`` and ``max_blobs`` (bytes) bound what is kept. After a ProtocolError the stream cannot be followed
    any more: close the connection.
    """

    def __init__(self, max_header: int = MAX_HEADER, max_blobs: int = MAX_BLOBS) -> None:
        self._max_header, self._max_blobs = max_header, max_blobs
        self._buffer = bytearray()
        self._wanted = _PREFIX.size

    @property
    def pending(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> List[Message]:
        """Messages that are whole once ``data`` has come, in order. Raises ProtocolError naming what is wrong."""
        self._buffer += data
        return list(self._messages())

    def finish(self) -> None:
        """The stream has ended: raises ProtocolError where that is in the middle of a message."""
        if self._buffer:
            raise ProtocolError(f"the message ends after {len(self._buffer)} of {self._wanted} bytes")

    def _messages(self) -> Iterator[Message]:
        while True:
            self._check_start()
            if len(self._buffer) < self._wanted:
                return
            _, length, total = _PREFIX.unpack_from(self._buffer)
            self._wanted = _PREFIX.size + length + total
            if length > self._max_header:
                raise ProtocolError(_too_long("a header", length, self._max_header))
            if total > self._max_blobs:
                raise ProtocolError(_too_long("contents", total, self._max_blobs))
            if len(self._buffer) < self._wanted:
                return
            with memoryview(self._buffer) as view:
                message = _parse(view[_PREFIX.size : _PREFIX.size + length], view[_PREFIX.size + length : self._wanted])
            del self._buffer[: self._wanted]
            self._wanted = _PREFIX.size
            yield message

    def _check_start(self) -> None:
        """What cannot become a frame is said at its first bytes, not when the length it seems to have has come."""
        start = bytes(self._buffer[: len(MAGIC)])
        if not MAGIC.startswith(start):
            raise ProtocolError(f"a message begins with {start!r}, not with {MAGIC!r}: this is no worker")


def _parse(text: memoryview, contents: memoryview) -> Message:
    """Header and blobs of one frame."""
    with text, contents:
        try:
            header = json.loads(bytes(text).decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"the header is no JSON ({str(error)[:200]})") from error
        if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
            raise ProtocolError("the header is no JSON object with a kind")
        blobs: Blobs = {}
        position = 0
        for name, length in _listed(header):
            if name in blobs:
                raise ProtocolError(f"blob {name[:40]!r} stands twice")
            blobs[name] = bytes(contents[position : position + length])
            position += length
        if position != len(contents):
            raise ProtocolError(f"the header lists {position} bytes of blobs, {len(contents)} came")
        return header, blobs


def _listed(header: Header) -> Iterator[Tuple[str, int]]:
    """Names and lengths of the blobs, checked."""
    entries = header.get("blobs", [])
    if not isinstance(entries, list):
        raise ProtocolError("the header's blobs are no list")
    for entry in entries:
        good = isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
        if not good or type(entry[1]) is not int or not 0 <= entry[1] <= MAX_BLOBS:
            raise ProtocolError("the header's blobs are not [name, length] each")
        yield entry[0], entry[1]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _too_long(what: str, length: int, limit: int) -> str:
    return f"a message with {what} of {length} bytes; {limit} bytes are allowed"


def check_version(header: Mapping[str, Any]) -> None:
    """Raise ProtocolError where ``header`` is of a version that this code does not speak."""
    version = header.get("version")
    if version != VERSION:
        raise ProtocolError(
            f"a message of version {str(version)[:20]} of the protocol came, this is version {VERSION}: install the "
            "same seiscomp_dlloc on both sides, and restart the worker"
        )


def error_message(reason: str, detail: str) -> Header:
    """Header that answers what was not understood; it says what would be."""
    return {
        "kind": "error",
        "reason": reason,
        "detail": detail,
        "versions": [VERSION],
        "kinds": list(REQUESTS),
    }
