"""Hardened reading of XML from outside.

A document type declaration is the only door to entities (internal ones that explode, external ones that read files),
so a document that has one is refused before anything behind its prolog is parsed.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from lxml import etree

from ..errors import InputError

SCML_VERSIONS = tuple(f"0.{minor}" for minor in range(7, 15))
"""Versions of SCML that are read."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Root:
    """Root element of a document: local name, namespace ('' where none) and attributes."""

    name: str
    namespace: str
    attributes: dict[str, str]

    @property
    def namespace_tail(self) -> str:
        """What stands behind the namespace's last slash: the version, in QuakeML and SCML."""
        return self.namespace.rstrip("/").rpartition("/")[2]


class _Found(Exception):  # noqa: N818 (leaves the prolog early, is no error)
    """The root element has been reached."""


def open_input(source: str | Path | bytes, kind: type[InputError]) -> tuple[IO[bytes], str]:
    """``source`` (a path, or the document itself as bytes) as a seekable binary stream, and its name for messages.

    A pipe (``/dev/stdin``, a shell's ``<(...)``) is read to its end. Raises ``kind`` naming the file where it cannot
    be opened.
    """
    if isinstance(source, bytes):
        return io.BytesIO(source), "<input>"
    path = Path(source)
    try:
        stream = path.open("rb")
        if stream.seekable():
            return stream, str(path)
        with stream:
            return io.BytesIO(stream.read()), str(path)
    except IsADirectoryError as error:
        raise kind(f"{path}: is a folder; give one XML file") from error
    except FileNotFoundError as error:
        raise kind(f"{path}: no such file") from error
    except OSError as error:
        raise kind(f"{path}: cannot be opened ({error.strerror})") from error


def read_root(stream: IO[bytes], name: str, kind: type[InputError]) -> Root:
    """Root element of the XML document in ``stream``, which is rewound.

    Reads no further than the root's start tag. Raises ``kind`` where the document is empty, is no XML, or has a
    document type declaration.
    """
    found: list[Root] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        namespace, _, local = tag.rpartition(" ")
        found.append(Root(local, namespace, attributes))
        raise _Found

    def doctype(*_: Any) -> None:
        raise kind(
            f"{name}: has a document type declaration (DOCTYPE), which may hold entities; "
            "remove it, neither QuakeML, SCML nor StationXML needs one"
        )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        empty = True
        while chunk := stream.read(_CHUNK):
            empty = False
            parser.Parse(chunk, False)
        if empty:
            raise kind(f"{name}: is empty")
        parser.Parse(b"", True)
    except _Found:
        stream.seek(0)
        return found[0]
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise kind(f"{name}: is no well-formed XML ({error})") from error
    except OSError as error:
        raise kind(f"{name}: cannot be read ({error.strerror})") from error
    raise kind(f"{name}: is no XML document, it has no root element")


def iterate(stream: IO[bytes], name: str, kind: type[InputError], tags: tuple[str, ...]) -> Iterator[etree._Element]:
    """Yield the elements with these local names, in whatever namespace, as they end.

    Call :func:`read_root` first. Raises ``kind`` where the document is broken.
    """
    try:
        for _, element in etree.iterparse(
            stream,
            events=("end",),
            tag=[f"{{*}}{tag}" for tag in tags],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ):
            yield element
    except etree.XMLSyntaxError as error:
        raise kind(f"{name}: is damaged or incomplete XML ({error.msg})") from error
    except OSError as error:
        raise kind(f"{name}: cannot be read ({error})") from error


def scml_version(root: Root, name: str, kind: type[InputError]) -> str:
    """Version of an SCML document, '' where it states none. Raises ``kind`` where it is not one that is read."""
    tail = root.namespace_tail
    version = root.attributes.get("version") or (tail if tail[:1].isdigit() else "")
    if version and version not in SCML_VERSIONS:
        raise kind(f"{name}: is SCML {version}; versions {SCML_VERSIONS[0]} to {SCML_VERSIONS[-1]} are read")
    return version
