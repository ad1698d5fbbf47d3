"""Waveforms from the ring buffer of a SeedLink server."""

import io
import socket
import time

from obspy import Stream, UTCDateTime, read
from obspy.clients.seedlink.basic_client import Client
from obspy.clients.seedlink.client.seedlinkconnection import SeedLinkConnection
from obspy.clients.seedlink.seedlinkexception import SeedLinkException
from obspy.clients.seedlink.slclient import SLClient
from obspy.clients.seedlink.slpacket import SLPacket

from ..errors import WaveformReadError, WaveformSourceError
from ..records import Dropped
from .base import Acquired, Selection, WaveformSource

DEFAULT_PORT = 18000


class SeedlinkSource(WaveformSource):
    """A SeedLink server; one connection fetches all channels of a window.

    SeedLink keeps a connection open until the window's end has come, so a window never reaches beyond now: what has
    not been recorded yet is missing from the answer.
    """

    def __init__(self, host: str, port: int = DEFAULT_PORT, timeout_s: float = 20.0) -> None:
        """Open the server. ``timeout_s``: longest silence. Raises WaveformSourceError where it does not answer."""
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._address = f"seedlink://{host}:{port}"
        try:
            with socket.create_connection((host, port), timeout=timeout_s) as probe:
                probe.sendall(b"HELLO\r\n")
                if not probe.recv(64):
                    raise OSError("it closes the connection")
        except OSError as error:
            raise WaveformSourceError(f"{self._address}: no SeedLink server answers there ({error})") from error
        self._client = Client(host, port, timeout=timeout_s)

    def _fetch(self, selection: Selection, starttime: float, endtime: float) -> Acquired:
        endtime = min(endtime, time.time())
        if endtime <= starttime:
            return Acquired(Stream())
        try:
            channels = self._channels(selection)
            if not channels:
                return Acquired(Stream())
            records, complete = self._request(channels, starttime, endtime)
        except (SeedLinkException, OSError) as error:
            text = getattr(error, "value", None) or error
            raise WaveformReadError(f"{self._address}: {text}") from error
        stream = Stream()
        if records:
            try:
                stream = read(io.BytesIO(records), format="MSEED")
            except Exception as error:  # ObsPy raises bare Exception on a damaged record
                raise WaveformReadError(f"{self._address}: sent damaged records ({error})") from error
        if complete:
            return Acquired(stream)
        reason = f"nothing more came for {self._timeout_s:g} s; the window may be incomplete"
        return Acquired(stream, (Dropped(self._address, reason),))

    def _channels(self, selection: Selection) -> list[tuple[str, str, str, str]]:
        """Channels that the server has of those asked for, sorted; one INFO request, then cached."""
        try:
            known = self._client.get_info(level="channel", cache=True)
        except (SeedLinkException, OSError):
            raise
        except Exception as error:  # no XML where the INFO request was cut short
            raise WaveformReadError(f"{self._address}: does not list its channels ({error})") from error
        return sorted(channel for channel in known if selection.matches(".".join(channel)))

    def _request(
        self, channels: list[tuple[str, str, str, str]], starttime: float, endtime: float
    ) -> tuple[bytes, bool]:
        """Records of the channels in the window, and whether the server said that this was all."""
        records: list[bytes] = []

        def keep(_: int, packet: SLPacket) -> bool:
            if packet is not None and packet not in (SLPacket.SLNOPACKET, SLPacket.SLERROR) and packet.msrecord:
                records.append(bytes(packet.msrecord))
            return False

        connection = SeedLinkConnection(timeout=self._timeout_s)
        connection.set_sl_address(f"{self._host}:{self._port}")
        connection.netto = self._timeout_s
        client = SLClient(timeout=self._timeout_s)
        client.slconn = connection
        client.multiselect = ",".join(f"{net}_{sta}:{loc}{cha}" for net, sta, loc, cha in channels)
        client.begin_time, client.end_time = UTCDateTime(starttime), UTCDateTime(endtime)
        client.initialize()
        client.run(packet_handler=keep)
        return b"".join(records), not connection.terminate_flag
