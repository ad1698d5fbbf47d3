"""Zip files of a few known members, from anybody: nothing is extracted to a path, nothing grows without bound."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from .xmlinput import open_input

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MOST_MEMBERS = 64


def pack(members: Mapping[str, bytes]) -> bytes:
    """A zip file of ``members``, in their order; the same members give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            # A picture is packed already
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, compresslevel=6)
    return buffer.getvalue()


def unpack(path: str | Path, limits: Mapping[str, int], kind: type[InputError] = InputError) -> dict[str, bytes]:
    """The members of the zip file at ``path`` whose names are among ``limits`` (name -> most bytes).

    Members are read into memory whatever their names say. Raises ``kind`` naming the file: it cannot be opened, is no
    zip file, is damaged, or has a member that is unknown, stands twice, is encrypted or is larger than its limit.
    """
    stream, name = open_input(path, kind)
    members: dict[str, bytes] = {}
    try:
        with stream, zipfile.ZipFile(stream) as archive:
            listing = archive.infolist()
            if len(listing) > _MOST_MEMBERS:
                raise kind(f"{name}: holds {len(listing)} files; that is no bundle")
            for info in listing:
                if info.filename not in limits:
                    raise kind(f"{name}: holds {info.filename[:80]!r}, which is no part of a bundle")
                if info.filename in members:
                    raise kind(f"{name}: holds {info.filename} twice")
                if info.flag_bits & 1:
                    raise kind(f"{name}: {info.filename} is encrypted")
                limit = limits[info.filename]
                # What the directory says of the size may be a lie: count what comes
                with archive.open(info) as member:
                    content = member.read(limit + 1)
                if len(content) > limit:
                    raise kind(f"{name}: {info.filename} is larger than {limit} bytes")
                members[info.filename] = content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise kind(f"{name}: is damaged, or no zip file ({error})") from error
    return members
