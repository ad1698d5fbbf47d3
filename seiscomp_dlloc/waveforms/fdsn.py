"""Waveforms from an FDSN dataselect web service."""

import urllib.request
from http.client import HTTPException

from obspy import Stream, UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import FDSNException, FDSNNoDataException

from ..errors import WaveformReadError, WaveformSourceError
from .base import Acquired, Selection, WaveformSource


class FdsnSource(WaveformSource):
    """An FDSN web service; one request fetches all channels of a window."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        """Open the service at ``url`` (http://host[:port]). Raises WaveformSourceError where it does not answer."""
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        try:
            with urllib.request.urlopen(f"{self._url}/fdsnws/dataselect/1/version", timeout=timeout_s) as answer:
                answer.read(100)
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            reason = getattr(error, "reason", None) or error
            raise WaveformSourceError(f"{self._url}: no FDSN dataselect service answers there ({reason})") from error
        # Only dataselect is wanted: asking for every service's capabilities would cost more than an event
        self._client = Client(self._url, timeout=timeout_s, _discover_services=False)

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        start, end = UTCDateTime(starttime), UTCDateTime(endtime)
        bulk = [(net, sta, loc or "--", cha, start, end) for net, sta, loc, cha in selection.patterns]
        try:
            return Acquired(self._client.get_waveforms_bulk(bulk))
        except FDSNNoDataException:
            return Acquired(Stream())
        except (FDSNException, OSError) as error:
            raise WaveformReadError(f"{self._url}: {_line(error)}") from error
        except Exception as error:  # an answer that is no miniSEED: ObsPy raises bare TypeError, Exception ...
            raise WaveformReadError(f"{self._url}: the answer cannot be read ({_line(error)})") from error


def _line(error: Exception) -> str:
    """One line of an exception."""
    return " ".join(str(error).split())[:200] or type(error).__name__
