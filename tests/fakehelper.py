"""A helper without a host, for the tests: ``fakehelper.py MODE FOLDER``.

It answers with the records of FOLDER/records (512 bytes each) and FOLDER/inventory.xml, and writes each request as a
line of JSON to FOLDER/requests. MODE says how it fails:

good        not at all
slow        a record every 0.05 s
dies        after half of the records, with a last word
dumb        never answers
stops       says nothing more after half of the records
nonsense    writes what is no frame
stranger    answers to another request
complains   has an error in place of records
half        sends half of the records, and an error
once        ends after its first answer, without a word
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seiscomp_dlloc.worker.protocol import Decoder, encode

RECORD = 512


def send(header, **blobs):
    frame = encode(header, blobs)
    while frame:
        frame = frame[os.write(1, frame) :]


def records(mode: str, folder: Path, identifier: str) -> None:
    content = (folder / "records").read_bytes()
    number = len(content) // RECORD
    cut = number // 2 if mode in ("dies", "stops", "half") else number
    bundle = 1 if mode == "slow" else 64
    for first in range(0, cut, bundle):
        if mode == "slow":
            time.sleep(0.05)
        some = content[first * RECORD : min(first + bundle, cut) * RECORD]
        send({"kind": "data", "id": identifier, "length": RECORD}, mseed=some)
    if mode == "dies":
        print("out of luck", file=sys.stderr)
        sys.exit(3)
    if mode == "stops":
        time.sleep(600)
    error = "no tape in the drive" if mode == "half" else ""
    send({"kind": "end", "id": identifier, "complete": not error, "error": error})


def follow(folder: Path, identifier: str) -> None:
    """Hand on the files FOLDER/feed/NUMBER as they come; those called NUMBER.end and NUMBER.die end it."""
    seen = set()
    while True:
        for path in sorted((folder / "feed").iterdir()):
            if path in seen or path.suffix == ".tmp":
                continue
            seen.add(path)
            if path.suffix == ".end":
                path.unlink()
                send({"kind": "end", "id": identifier, "complete": True, "error": ""})
                return
            if path.suffix == ".die":
                path.unlink()
                sys.exit(4)
            send({"kind": "data", "id": identifier, "length": RECORD}, mseed=path.read_bytes())
        time.sleep(0.01)


def main(mode: str, folder: Path) -> None:
    send({"kind": "hello", "software": "fake", "pid": os.getpid()})
    decoder = Decoder()
    while data := os.read(0, 1 << 16):
        for header, _ in decoder.feed(data):
            with (folder / "requests").open("a") as handle:
                handle.write(json.dumps(header) + "\n")
            identifier = header.get("id")
            if mode == "dumb":
                time.sleep(600)
            elif mode == "nonsense":
                os.write(1, b"Traceback (most recent call last):\n")
            elif mode == "stranger":
                send({"kind": "data", "id": "another"}, mseed=b"")
            elif mode == "complains":
                send({"kind": "end", "id": identifier, "complete": False, "error": "slink://nowhere: no route"})
            elif header["kind"] == "inventory":
                send({"kind": "inventory", "id": identifier}, xml=(folder / "inventory.xml").read_bytes())
            elif header["kind"] == "follow" and (folder / "feed").is_dir():
                follow(folder, identifier)
            elif header["kind"] == "follow":
                send({"kind": "end", "id": identifier, "complete": True, "error": ""})
            else:
                records(mode, folder, identifier)
            if mode == "once":
                return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
