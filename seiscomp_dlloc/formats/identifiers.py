"""publicIDs: fresh ones, and the passage between SeisComP's and QuakeML's.

SeisComP takes any string (``Origin/20201030115448.477122.57903``). QuakeML wants a resource identifier,
``smi:authority/resource``, in few characters (QuakeML 1.2, Basic Event Description, section 3.1). An identifier that
is already one stays as it is; any other becomes ``smi:local/seiscomp/`` and itself, where a byte that QuakeML does
not allow is written as ``~`` and two hexadecimal digits.
"""

import hashlib
import re
import uuid

_VALID = re.compile(r"(smi|quakeml):[A-Za-z0-9][\w\-.*()~']{2,}/[\w\-.*()~'][\w\-.*()+?~'=,;#/&]*", re.ASCII)
_LOCAL = "smi:local/"
_FOREIGN = "smi:local/seiscomp/"
# '~' itself is escaped, for it starts an escape
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.*()_'+?=,;#/&")
_ESCAPE = re.compile(rb"~([0-9A-F]{2})")


def is_resource_identifier(public_id: str) -> bool:
    """Whether ``public_id`` is a valid QuakeML resource identifier."""
    return _VALID.fullmatch(public_id) is not None


def to_smi(public_id: str) -> str:
    """A publicID as a QuakeML resource identifier; :func:`from_smi` gives it back."""
    return public_id if is_resource_identifier(public_id) else _FOREIGN + _escape(public_id)


def from_smi(identifier: str) -> str:
    """The publicID that :func:`to_smi` wrote; any other identifier as it is."""
    if not identifier.startswith(_FOREIGN):
        return identifier
    raw = identifier[len(_FOREIGN) :].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: bytes.fromhex(match.group(1).decode()), raw).decode("utf-8", "surrogateescape")


def local_smi(name: str) -> str:
    """A name of ours (a method, a model, a comment's id) as a QuakeML resource identifier."""
    escaped = _escape(name)
    return _LOCAL + (escaped if re.match(r"[\w\-.*()~']", escaped, re.ASCII) else f"_{escaped}")


def _escape(text: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _KEPT else f"~{byte:02X}" for byte in raw)


class FreshIds:
    """Unique publicIDs of one document: ``Kind/dlloc/TOKEN/N``. ``token`` is random unless it is given."""

    def __init__(self, token: str = "") -> None:
        self.token = token or uuid.uuid4().hex
        self._count = 0

    def new(self, kind: str) -> str:
        """The next publicID; ``kind`` is the class of the object, e.g. ``Origin``."""
        self._count += 1
        return f"{kind}/dlloc/{self.token}/{self._count}"


def file_stem(public_id: str) -> str:
    """A publicID as the stem of a file's name that every file system takes, another one for every publicID.

    Its last 60 characters, all but letters, digits, ``.`` and ``-`` written as ``_``, and ten digits of its SHA-256.
    """
    digest = hashlib.sha256(public_id.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", public_id)[-60:].lstrip(".-_")
    return f"{readable}-{digest}" if readable else digest


def short_stem(public_id: str) -> str:
    """The last part of a publicID as the stem of a file's name; not another one for every publicID."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", public_id.rstrip("/").rsplit("/", 1)[-1])[:80].strip(".") or "event"
