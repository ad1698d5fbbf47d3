"""Waveforms with damaged headers, or whose parts do not belong together."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miniseed import T0, packed, trace
from obspy import Stream

from seiscomp_dlloc.waveforms import mseed as miniseed
from seiscomp_dlloc.waveforms import open_source

ALL = ["*.*.*.*"]


def scribble(data: bytes) -> bytes:
    """Another record length in the header of the second record."""
    return data[: 512 + 54] + b"\x01" + data[512 + 55 :]


def misname(data: bytes) -> bytes:
    """Blockettes of the second record that lead nowhere, and a station code that is no text."""
    second = bytearray(data[512:1024])
    second[8:10], second[46:48] = b"\xc6\xc6", b"\xff\xff"
    return data[:512] + bytes(second) + data[1024:]


@pytest.mark.parametrize("damage", [scribble, misname])
def test_one_damaged_header_does_not_cost_the_file(
    damage: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = trace("XX.S02..HHZ", npts=8000)
    good.data = (np.random.default_rng(0).normal(size=8000) * 1e4).astype(np.int32)
    (tmp_path / "bad.mseed").write_bytes(damage(packed(good)))
    acquired = open_source(tmp_path).get_waveforms(ALL, T0, T0 + 100)
    whole = acquired.stream.select(station="S02")
    assert len(whole) == 2
    assert 7000 < sum(part.stats.npts for part in whole) < 8000
    assert [dropped.seed_id for dropped in acquired.dropped] == ["bad.mseed"]
    assert acquired.dropped[0].reason
    assert capsys.readouterr().err == ""


def test_what_libmseed_says_in_no_encoding_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> Stream:
        class Callback:
            def __del__(self) -> None:
                b"\xc6".decode()

        Callback()
        return Stream([trace()])

    monkeypatch.setattr(miniseed, "read", read)
    (tmp_path / "odd.mseed").write_bytes(packed(trace(), reclen=256) + packed(trace("XX.S02.00.HHZ"), reclen=512))
    source = open_source(tmp_path)
    assert "can't decode" in source.problems[0].reason
    assert capsys.readouterr().err == ""


def test_parts_of_a_channel_that_cannot_be_joined_stay_apart(tmp_path: Path) -> None:
    slow = trace(start=T0 + 30, npts=100, rate=50.0)
    (tmp_path / "a").write_bytes(packed(trace(npts=1000)) + packed(slow))
    (tmp_path / "b").write_bytes(packed(trace(start=T0 + 20, npts=100).split()[0]))
    floats = trace(start=T0 + 40, npts=100)
    floats.data = floats.data.astype(np.float32)
    (tmp_path / "c").write_bytes(packed(floats))
    stream = open_source(tmp_path).get_waveforms(ALL, T0, T0 + 100).stream
    assert [(part.stats.sampling_rate, part.data.dtype.kind) for part in stream] == [
        (100.0, "i"),
        (100.0, "i"),
        (50.0, "i"),
        (100.0, "f"),
    ]


def test_a_damaged_code_is_named_and_left_out(tmp_path: Path) -> None:
    data = packed(trace("XX.S01..HHZ", npts=100), trace("XX.S02..HHZ", npts=100))
    assert data.count(b"HHZ") == 2
    (tmp_path / "a").write_bytes(data.replace(b"HHZ", b"H.Z", 1))
    acquired = open_source(tmp_path).get_waveforms(["XX.S01.*.*", "XX.S02.*.*"], T0, T0 + 10)
    assert [part.id for part in acquired.stream] == ["XX.S02..HHZ"]
    assert [item.seed_id for item in acquired.dropped] == ["XX.S01..H.Z"]
    assert "damaged" in acquired.dropped[0].reason
