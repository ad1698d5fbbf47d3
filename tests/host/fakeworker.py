"""A worker that answers without models: the module's own part of the way can be tested, and slowed, alone.

Run as ``python fakeworker.py SOCKET DELAY``. A question that takes the data there are is answered at once and partial;
one that waits for complete data after DELAY seconds. The hypocentre is that of the trigger, 1 km to the north. Asked
for an author ``abstain`` it does so.
"""

import os
import re
import socket
import sys
import threading
import time
from xml.etree import ElementTree

from seiscomp_dlloc.worker.protocol import Decoder, encode

ORIGIN = """<?xml version="1.0" encoding="UTF-8"?>
<seiscomp xmlns="{ns}" version="{version}"><EventParameters>
<origin publicID="Origin/dlloc/worker/1">
<time><value>{time}</value></time>
<latitude><value>{latitude}</value><uncertainty>2.0</uncertainty></latitude>
<longitude><value>{longitude}</value><uncertainty>2.0</uncertainty></longitude>
<depth><value>5.0</value><uncertainty>3.0</uncertainty></depth>
<methodID>DLLOC</methodID><earthModelID>fake 1</earthModelID>
<quality><associatedPhaseCount>{count}</associatedPhaseCount><usedPhaseCount>{count}</usedPhaseCount></quality>
<evaluationMode>automatic</evaluationMode><evaluationStatus>reported</evaluationStatus>
<creationInfo><agencyID>X</agencyID><author>dlloc</author><creationTime>{created}</creationTime></creationInfo>
<comment><text>0.9000</text><id>dlloc/peak</id></comment>
{arrivals}
<stationMagnitude publicID="StationMagnitude/dlloc/worker/2"><magnitude><value>3.1</value></magnitude>
<type>Mdl</type><amplitudeID>Amplitude/dlloc/worker/9</amplitudeID>
<waveformID networkCode="XX" stationCode="S01"/></stationMagnitude>
<magnitude publicID="Magnitude/dlloc/worker/3"><magnitude><value>3.2</value></magnitude><type>Mdl</type>
<stationCount>5</stationCount><stationMagnitudeContribution>
<stationMagnitudeID>StationMagnitude/dlloc/worker/2</stationMagnitudeID><residual>-0.1</residual>
</stationMagnitudeContribution></magnitude>
</origin></EventParameters></seiscomp>"""


def answer(header: dict, document: bytes, complete: bool) -> bytes:
    """The frame of an answer to a question."""
    root = ElementTree.fromstring(document)
    namespace, version = root.tag[1:].split("}")[0], root.get("version")
    (origin,) = root.iter(f"{{{namespace}}}origin")

    def value(tag: str) -> str:
        return str(origin.find(f"{{{namespace}}}{tag}/{{{namespace}}}value").text)

    picks = [pick.get("publicID") for pick in root.iter(f"{{{namespace}}}pick")]
    arrivals = "".join(
        f"<arrival><pickID>{name}</pickID><phase>P</phase><weight>1</weight></arrival>"
        for name in [*picks, "Pick/unknown"]
    )
    latitude, longitude = float(value("latitude")) + 1 / 111.195, float(value("longitude"))
    when = re.sub(r"(\.\d+)?Z$", ".000Z", value("time"))
    text = ORIGIN.format(
        ns=namespace, version=version, time=when, latitude=latitude, longitude=longitude, count=len(picks),
        arrivals=arrivals, created=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
    )  # fmt: skip
    abstains = (header.get("labels") or {}).get("author") == "abstain"
    status, reason = ("abstained", "low peak") if abstains else ("accepted", None)
    solution = {"time": when, "latitude": latitude, "longitude": longitude, "depth_km": 5.0,
                "covariance_km2": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 9.0]]}  # fmt: skip
    fields = {"kind": "answer", "id": header["id"], "status": status, "reason": reason, "detail": None,
              "solution": solution, "complete": complete, "stations": {"used": 5, "expected": 5},
              "timing": {"total_s": 0.0}, "provider": "none",
              "model": {"name": "fake", "version": "1", "sha256": ""}}  # fmt: skip
    return encode(fields, {"scml": text.encode()})


def serve(connection: socket.socket, delay: float) -> None:
    """One connection, one question."""
    with connection:
        decoder, messages = Decoder(), []
        while not messages:
            data = connection.recv(65536)
            if not data:
                return
            messages = decoder.feed(data)
        header, blobs = messages[0]
        if header["kind"] == "ping":
            connection.sendall(encode({"kind": "answer"}))
            return
        complete = header["wait"] == "complete"
        if complete:
            time.sleep(delay)
        try:
            connection.sendall(answer(header, blobs["event"], complete))
        except OSError:
            print("the asker has gone", file=sys.stderr)


def main(path: str, delay: float) -> None:
    """Listen for ever."""
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, delay), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
