"""From what the user writes to a source of waveforms."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import WaveformSourceError
from .base import WaveformSource
from .files import FileSource

SCHEMES = ("sds", "fdsnws", "fdsnwss", "seedlink")
"""Schemes that :func:`open_source` knows, beside plain paths."""

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://(.*)$", re.DOTALL)


def open_source(where: str | Path, timeout_s: float | None = None) -> WaveformSource:
    """Source of waveforms at ``where``.

    A path: one miniSEED file or a folder of them. ``sds://PATH``: SDS archive. ``fdsnws://HOST[:PORT]`` (http) or
    ``fdsnwss://`` (https): FDSN web service. ``seedlink://HOST[:PORT]`` (18000): SeedLink server. ``timeout_s``: how
    long a server may be silent (default: 60 s FDSN, 20 s SeedLink).

    Raises :class:`~seiscomp_dlloc.errors.WaveformSourceError` naming ``where``: no such path, no permission, no
    answer, unknown scheme.
    """
    if is_recordstream(where):
        raise WaveformSourceError(
            f"{where}: the host's RecordStream is read by the worker inside SeisComP; here, give a path or an address, "
            "e.g. sds:// or seedlink:// of what 'recordstream' names there"
        )
    match = _SCHEME.match(str(where))
    if match is None:
        return FileSource(where)
    scheme, rest = match.group(1).lower(), match.group(2)
    if scheme == "file":
        return FileSource(rest)
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise WaveformSourceError(f"{where}: unknown scheme {scheme}://; give a path or one of {known}")
    if not rest:
        raise WaveformSourceError(f"{where}: nothing stands behind {scheme}://")
    # The clients of ObsPy are slow to import: each only when it is asked for
    if scheme == "sds":
        from .sds import SdsSource

        return SdsSource(rest)
    limit = {} if timeout_s is None else {"timeout_s": timeout_s}
    if scheme == "seedlink":
        from .seedlink import DEFAULT_PORT, SeedlinkSource

        host, port = _host_port(str(where))
        return SeedlinkSource(host, port or DEFAULT_PORT, **limit)
    from .fdsn import FdsnSource

    _host_port(str(where))
    return FdsnSource(f"{'https' if scheme == 'fdsnwss' else 'http'}://{rest}", **limit)


def is_recordstream(where: str | Path) -> bool:
    """Whether ``where`` is the host's RecordStream: ``recordstream``, or ``recordstream:URL``."""
    return str(where) == "recordstream" or str(where).startswith("recordstream:")


def _host_port(url: str) -> tuple[str, int | None]:
    """Host and port of a URL. Raises WaveformSourceError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WaveformSourceError(f"{url}: {error}; write host or host:port") from error
    if not host:
        raise WaveformSourceError(f"{url}: has no host")
    return host, port
