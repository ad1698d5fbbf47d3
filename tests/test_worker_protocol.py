"""Frames of the worker's protocol: whatever is cut, mixed up or made up."""

import json
import random
import struct

import pytest

from seiscomp_dlloc.errors import ProtocolError
from seiscomp_dlloc.worker.protocol import MAX_BLOBS, MAX_HEADER, Decoder, check_version, encode, error_message


def frame(header: bytes, blobs: bytes = b"", magic: bytes = b"DLW1") -> bytes:
    return struct.pack(">4sIQ", magic, len(header), len(blobs)) + header + blobs


def test_a_message_comes_back_as_it_was_sent():
    blobs = {"event": bytes(range(256)) * 300, "empty": b"", "inventory": "<ä/>".encode()}
    [(header, found)] = Decoder().feed(encode({"kind": "locate", "id": "ä/1", "options": {"depth": 2.5}}, blobs))
    assert found == blobs
    assert header["id"] == "ä/1"
    assert header["options"] == {"depth": 2.5}
    assert header["version"] == 1


def test_messages_cut_anywhere_come_back_whole_and_in_order():
    chance = random.Random(1)
    for _ in range(100):
        sent = [
            ({"kind": "a" * chance.randint(1, 9), "n": n}, {"b": chance.randbytes(chance.choice([0, 1, 7, 5000]))})
            for n in range(chance.randint(1, 6))
        ]
        stream = b"".join(encode(*message) for message in sent)
        decoder, received = Decoder(), []
        while stream:
            size = chance.choice([1, 2, 3, 17, 1000, 100000])
            received += decoder.feed(stream[:size])
            stream = stream[size:]
        assert [(h["kind"], h["n"], b) for h, b in received] == [(h["kind"], h["n"], b) for h, b in sent]
        assert decoder.pending == 0


def test_noise_is_refused_at_its_first_bytes_or_never_gives_a_message():
    chance = random.Random(2)
    for _ in range(300):
        noise = chance.randbytes(chance.randint(1, 400))
        if noise[:1] != b"D":
            with pytest.raises(ProtocolError, match="begins with"):
                Decoder().feed(noise)


def test_a_damaged_message_gives_an_error_or_another_message_but_no_other_exception():
    chance = random.Random(3)
    good = encode({"kind": "locate", "id": "x", "n": [1, 2, 3]}, {"event": b"12345", "more": b"67"})
    for _ in range(2000):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            for header, blobs in Decoder().feed(bytes(damaged)):
                assert isinstance(header["kind"], str)
                assert sum(map(len, blobs.values())) == 7
        except ProtocolError:
            pass


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (frame(b"{}"), "kind"),
        (frame(b'"ping"'), "kind"),
        (frame(b"[1,2]"), "kind"),
        (frame(b'{"kind": 5}'), "kind"),
        (frame(b"{"), "no JSON"),
        (frame(b"\xff\xfe"), "no JSON"),
        (frame(b'{"kind": "a", "x": NaN}'), "no JSON"),
        (frame(b"[" * 200000), "no JSON"),
        (frame(b'{"kind": "a", "blobs": {}}'), "no list"),
        (frame(b'{"kind": "a", "blobs": ["a"]}'), "name, length"),
        (frame(b'{"kind": "a", "blobs": [["a", -1]]}'), "name, length"),
        (frame(b'{"kind": "a", "blobs": [["a", true]]}', b"1"), "name, length"),
        (frame(b'{"kind": "a", "blobs": [["a", 1.0]]}', b"1"), "name, length"),
        (frame(b'{"kind": "a", "blobs": [["a", 1], ["a", 1]]}', b"12"), "twice"),
        (frame(b'{"kind": "a", "blobs": [["a", 1]]}', b"12"), "lists 1 bytes"),
        (frame(b'{"kind": "a", "blobs": [["a", 3]]}', b"12"), "lists 3 bytes"),
        (frame(b'{"kind": "a"}', b"12"), "lists 0 bytes"),
        (frame(b'{"kind": "a"}', magic=b"DLW2"), "begins with"),
        (struct.pack(">4sIQ", b"DLW1", MAX_HEADER + 1, 0), "header of"),
        (struct.pack(">4sIQ", b"DLW1", 2, MAX_BLOBS + 1), "contents of"),
        (struct.pack(">4sIQ", b"DLW1", 2, 2**63), "contents of"),
        (b"GET / HTTP/1.1\r\n", "begins with"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(damaged: bytes, reason: str):
    with pytest.raises(ProtocolError, match=reason):
        Decoder().feed(damaged)


def test_lengths_are_refused_before_their_bytes_come():
    decoder = Decoder(max_header=100, max_blobs=10)
    with pytest.raises(ProtocolError, match="10 bytes are allowed"):
        decoder.feed(encode({"kind": "locate"}, {"event": bytes(11)})[:16])
    assert decoder.pending <= 16


def test_a_stream_that_ends_within_a_message_is_noticed():
    decoder = Decoder()
    assert decoder.feed(encode({"kind": "ping"})[:-1]) == []
    with pytest.raises(ProtocolError, match="ends after"):
        decoder.finish()
    Decoder().finish()


@pytest.mark.parametrize("header", [{"kind": "a", "x": float("nan")}, {"kind": "a", "x": b"1"}, {"x": 1}, {"kind": 1}])
def test_what_cannot_be_sent_is_refused_before_it_is(header: dict):
    with pytest.raises(ProtocolError):
        encode(header)


def test_too_much_is_refused_by_the_sender():
    with pytest.raises(ProtocolError, match="header of"):
        encode({"kind": "a", "x": "y" * MAX_HEADER})


def test_another_version_is_named_and_its_frame_can_be_read():
    [(header, _)] = Decoder().feed(encode({"kind": "dance", "version": 7}))
    with pytest.raises(ProtocolError, match="version 7"):
        check_version(header)
    with pytest.raises(ProtocolError, match="version None"):
        check_version({"kind": "ping"})
    answer = error_message("unknown version", "what was said")
    assert answer["versions"] == [1]
    assert "locate" in answer["kinds"]
    json.dumps(answer)
