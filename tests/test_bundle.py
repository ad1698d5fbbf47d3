"""Bundles: what goes in comes out, the same answer again, and nothing that a stranger put in does harm."""

import argparse
import hashlib
import io
import json
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import obspy
import pytest
import tinymodels
from scene import inventory, origin_time, quakeml, waveforms

from seiscomp_dlloc import bundle as bundles
from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.bundle import BundleStore, differences, make_bundle, read_bundle, replay, write_bundle
from seiscomp_dlloc.cli import replay as command
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.errors import BundleError, NoWaveforms, SettingError
from seiscomp_dlloc.formats.identifiers import file_stem
from seiscomp_dlloc.formats.plain import as_json
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.locate import Job, Locator
from seiscomp_dlloc.model import load
from seiscomp_dlloc.records import Dropped
from seiscomp_dlloc.report.figures import located_png
from seiscomp_dlloc.settings.values import Settings
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.traveltimes import hash_of
from seiscomp_dlloc.waveforms.pack import from_miniseed, to_miniseed

DOCUMENT = quakeml([0]).encode()
TRIGGER = read_triggers(DOCUMENT).triggers[0]
REQUEST = {"id": "job 1", "options": {"fixed_depth_km": None}}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(tinymodels.responsive_image())
    return path


@pytest.fixture(scope="module")
def model(model_file):
    return load(model_file, "cpu", threads=1)


def make(model, options=None, **changes):
    options = options or Options()
    job = Job(**{"trigger": TRIGGER, "stream": waveforms(0), "dropped": (Dropped("XX.A9", "too far"),), **changes})
    located = next(iter(Locator(model, inventory(), options).run([job])))
    return located, job, options


@pytest.fixture(scope="module")
def kept(model, tmp_path_factory):
    """A bundle on disk and the answer that it holds."""
    located, job, options = make(model)
    path = tmp_path_factory.mktemp("kept") / "one.dlloc.zip"
    write_bundle(path, located, job, inventory(), options, event=DOCUMENT, request=REQUEST, picture=b"\x89PNG")
    return path, located


def test_a_bundle_gives_the_same_answer_to_the_last_digit(kept, model):
    path, located = kept
    again = replay(read_bundle(path), model)
    assert as_json(again.solution) == as_json(located.solution)
    assert differences(read_bundle(path).answer, again.solution) == ()


def test_a_bundle_holds_what_was_asked_and_with_what(kept):
    bundle = read_bundle(kept[0])
    assert bundle.event == DOCUMENT
    assert bundle.job.trigger == TRIGGER
    assert bundle.job.dropped == (Dropped("XX.A9", "too far"),)
    assert bundle.manifest["request"] == REQUEST
    assert {"seiscomp_dlloc", "numpy", "obspy", "python"} <= bundle.manifest["software"].keys()
    assert zipfile.ZipFile(kept[0]).read("picture.png") == b"\x89PNG"
    assert len(obspy.read(io.BytesIO(zipfile.ZipFile(kept[0]).read("waveforms.mseed")))) == 12


def test_options_come_back(model, tmp_path):
    located, job, options = make(model, Options(fixed_depth_km=3.25, anchor_shift_s=0.5, magnitude=False))
    write_bundle(tmp_path / "b.zip", located, job, inventory(), options)
    bundle = read_bundle(tmp_path / "b.zip")
    assert bundle.options == options
    again = replay(bundle, model).solution
    assert again.hypocenter.depth_km == 3.25
    assert differences(bundle.answer, again) == ()


@pytest.mark.parametrize(
    "changes", [{"stream": None, "error": NoWaveforms("the server is down")}, {"stream": obspy.Stream()}]
)
def test_an_event_that_failed_fails_again_for_the_same_reason(model, tmp_path, changes):
    located, job, options = make(model, **changes)
    write_bundle(tmp_path / "b.zip", located, job, inventory(), options)
    bundle = read_bundle(tmp_path / "b.zip")
    again = replay(bundle, model).solution
    assert again.abstention == located.solution.abstention
    assert differences(bundle.answer, again) == ()


def test_a_difference_of_metres_or_milliseconds_is_told(kept, model):
    bundle = read_bundle(kept[0])
    solution = replay(bundle, model).solution
    told = differences({**bundle.answer, "latitude": bundle.answer["latitude"] + 2e-5}, solution)
    assert len(told) == 1
    assert told[0].startswith("epicentre: +2.2")
    assert differences({**bundle.answer, "latitude": bundle.answer["latitude"] + 5e-6}, solution) == ()
    assert differences({**bundle.answer, "depth_km": 9.0}, solution)[0].startswith("depth")
    later = (origin_time(0) + 9).isoformat() + "Z"
    assert differences({**bundle.answer, "time": later}, solution)[0].startswith("origin time")
    assert differences({**bundle.answer, "used_stations": ["XX.A1"]}, solution)[0].startswith("used_stations")
    assert differences({**bundle.answer, "latitude": None}, solution) == ("a hypocentre only now",)
    assert differences({**bundle.answer, "latitude": "north"}, solution)
    assert differences({}, solution)


def test_another_model_is_refused(kept, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(tinymodels.fixed_image())
    with pytest.raises(BundleError, match="was answered by"):
        replay(read_bundle(kept[0]), load(other, "cpu", threads=1))


def test_only_stations_of_the_time_and_channels_with_waveforms_are_kept(model, tmp_path):
    located, job, options = make(model)
    large = inventory()
    closed = large[0][0].__class__("OLD", 36.0, -97.0, 0.0, end_date=obspy.UTCDateTime(2001, 1, 1))
    silent = inventory()[0][0]
    silent.code = "SILENT"
    large[0].stations += [closed, silent]
    write_bundle(tmp_path / "b.zip", located, job, large, options)
    codes = {station.code: station for station in read_bundle(tmp_path / "b.zip").inventory[0]}
    assert "OLD" not in codes
    assert codes["SILENT"].channels == []
    assert len(codes["A1"].channels) == 3


# An earth model and corrections in place of the model's own

SLOW = {"kind": "layers", "name": "slow", "layers": [{"top_km": 0.0, "vp_km_s": 5.0 / 3.0 * 3.1, "vs_km_s": 2.9}]}
LATE = StationCorrections(
    "slow", hash_of(SLOW), (StationDelay("XX.A2", PhaseDelay(-0.5, 9, 0.1), PhaseDelay(-0.8, 7)),)
)


@pytest.fixture(scope="module")
def anynet_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "tiny-any.onnx"
    path.write_bytes(tinymodels.any_network())
    return path


@pytest.fixture(scope="module")
def anynet(anynet_file):
    return load(anynet_file, "cpu", threads=1)


@pytest.fixture(scope="module")
def kept_with_earth(anynet, tmp_path_factory):
    """A bundle on disk and the answer that it holds."""
    job = Job(TRIGGER, waveforms(0))
    located = next(iter(Locator(anynet, inventory(), None, SLOW, LATE).run([job])))
    path = tmp_path_factory.mktemp("kept") / "earth.dlloc.zip"
    write_bundle(path, located, job, inventory(), Options(), earth_model=SLOW, corrections=LATE)
    return path, located


def with_members(**contents):
    """Changes members (``__`` for the dot) and their sums; None takes one out."""

    def change(members):
        sums = json.loads(members["manifest.json"])["sha256"]
        for key, content in contents.items():
            name = key.replace("__", ".")
            members.pop(name, None)
            sums.pop(name, None)
            if content is not None:
                members[name] = content
                sums[name] = hashlib.sha256(content).hexdigest()
        manifest_with(sha256=sums)(members)

    return change


def test_an_earth_model_and_corrections_come_back_and_give_the_same_answer(kept_with_earth, anynet):
    bundle = read_bundle(kept_with_earth[0])
    assert bundle.earth_model == SLOW
    assert bundle.corrections == LATE
    assert as_json(replay(bundle, anynet).solution) == as_json(kept_with_earth[1].solution)


def test_replay_takes_them_from_the_bundle(kept_with_earth, anynet_file, tmp_path, capsys):
    assert run(kept_with_earth[0], "--model", anynet_file) == 0
    assert "the same answer" in capsys.readouterr().out
    without = {"delays": with_members(corrections__json=None)}
    without["both"] = with_members(corrections__json=None, earth_model__json=None)
    for name, change in without.items():
        path = rewritten(kept_with_earth[0], tmp_path / f"{name}.zip", change)
        assert run(path, "--model", anynet_file) == 1, name
        assert "differs: epicentre" in capsys.readouterr().out


def test_a_bundle_without_them_is_the_same_as_before(kept, kept_with_earth):
    assert not {"earth_model.json", "corrections.json"} & set(zipfile.ZipFile(kept[0]).namelist())
    bundle = read_bundle(kept[0])
    assert bundle.earth_model is bundle.corrections is None
    assert bundle.manifest.keys() == read_bundle(kept_with_earth[0]).manifest.keys()


def test_a_name_of_taups_comes_back(anynet, tmp_path):
    job = Job(TRIGGER, waveforms(0))
    iasp = {"kind": "taup", "name": "iasp91"}
    located = next(iter(Locator(anynet, inventory(), None, iasp).run([job])))
    write_bundle(tmp_path / "b.zip", located, job, inventory(), Options(), earth_model=iasp)
    assert read_bundle(tmp_path / "b.zip").earth_model == iasp


@pytest.mark.parametrize(
    ("name", "document", "words"),
    [
        ("earth_model__json", [], "no JSON object"),
        ("earth_model__json", {"kind": "grid"}, "earth model field"),
        ("earth_model__json", {**SLOW, "layers": [{**SLOW["layers"][0], "vp_km_s": -1}]}, "earth model field"),
        ("earth_model__json", {"kind": "taup", "name": "/tmp/evil.npz"}, "none of TauP's models"),
        ("earth_model__json", {"kind": "taup", "name": "../iasp91"}, "none of TauP's models"),
        ("corrections__json", [], "corrections.json: must be an object"),
        (
            "corrections__json",
            {"format_version": 7, "earth_model": "slow", "earth_hash": "0" * 12, "stations": {}},
            "format 7",
        ),
    ],
)
def test_an_earth_model_and_corrections_of_a_stranger_are_checked(kept_with_earth, tmp_path, name, document, words):
    change = with_members(**{name: json.dumps(document).encode()})
    with pytest.raises(BundleError, match=words):
        read_bundle(rewritten(kept_with_earth[0], tmp_path / "b.zip", change))


@pytest.mark.parametrize("number", [b"NaN", b"1e999"])
def test_an_earth_model_of_no_finite_velocity_is_refused(kept_with_earth, tmp_path, number):
    content = json.dumps(SLOW).encode().replace(b"2.9", number)
    with pytest.raises(BundleError, match=r"earth.model"):
        read_bundle(rewritten(kept_with_earth[0], tmp_path / "b.zip", with_members(earth_model__json=content)))


def test_one_that_does_not_go_with_the_rest_of_its_bundle_is_refused(kept, kept_with_earth, model, anynet, tmp_path):
    delays = zipfile.ZipFile(kept_with_earth[0]).read("corrections.json")
    turned = json.dumps({**SLOW, "layers": 2 * SLOW["layers"]}).encode()
    cases = [
        (kept_with_earth[0], {"earth_model__json": None}, anynet, "'slow'"),
        (kept_with_earth[0], {"earth_model__json": turned}, anynet, "must increase downwards"),
        (kept[0], {"corrections__json": delays}, model, "belongs to its own network"),
    ]
    for number, (path, change, wanted, words) in enumerate(cases):
        bundle = read_bundle(rewritten(path, tmp_path / f"{number}.zip", with_members(**change)))
        with pytest.raises(BundleError, match=words):
            replay(bundle, wanted)


# Waveforms survive to the sample and the nanosecond


@pytest.mark.parametrize(
    "data",
    [
        np.array([0, 2**31 - 1, -(2**31 - 1), 5], np.int32),
        np.arange(5000, dtype=np.int32) ** 2,
        np.arange(-5, 5, dtype=np.int16),
        np.array([0, 2**40, -3], np.int64),
        np.linspace(-1, 1, 777),
        np.linspace(-1, 1, 777, dtype=np.float32),
        np.array([7], np.int32),
    ],
)
def test_samples_survive(data):
    header = {"network": "XX", "station": "LONGNAME", "location": "", "channel": "HHZ", "sampling_rate": 99.9987}
    trace = obspy.Trace(data, {**header, "starttime": obspy.UTCDateTime(ns=1_500_000_000_123_456_789)})
    content, rows = to_miniseed(obspy.Stream([trace]))
    (again,) = from_miniseed(content, json.loads(json.dumps(rows)) and [tuple(row) for row in rows])
    assert again.id == trace.id
    assert again.stats.starttime.ns == trace.stats.starttime.ns
    assert again.stats.sampling_rate == trace.stats.sampling_rate
    np.testing.assert_array_equal(again.data, data)
    assert again.data.dtype.kind == ("f" if data.dtype == np.int64 else data.dtype.kind)


def test_gaps_and_overlaps_stay_as_they_are():
    def piece(start, seed):
        data = np.random.default_rng(seed).integers(-1000, 1000, 500).astype(np.int32)
        header = {"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 50.0}
        return obspy.Trace(data, {**header, "starttime": obspy.UTCDateTime(1000.0 + start)})

    stream = obspy.Stream([piece(0, 1), piece(5, 2), piece(30, 3)])
    content, rows = to_miniseed(stream)
    again = from_miniseed(content, rows)
    assert [(t.stats.starttime, t.stats.npts) for t in again] == [(t.stats.starttime, t.stats.npts) for t in stream]
    for one, other in zip(again, stream, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


# What comes from strangers


def rewritten(path: Path, target: Path, change) -> Path:
    """The bundle with its members changed by ``change(members)``; the manifest's sums made right again."""
    members = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def manifest_with(**changes):
    def change(members):
        members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()

    return change


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "sub/event.xml", "extra.txt"])
def test_members_that_are_no_part_of_a_bundle_are_refused_and_never_written(kept, tmp_path, name):
    path = rewritten(kept[0], tmp_path / "b.zip", lambda members: members.update({name: b"x"}))
    with pytest.raises(BundleError, match="no part of a bundle"):
        read_bundle(path)
    assert [item.name for item in tmp_path.iterdir()] == ["b.zip"]


def test_a_bomb_is_not_unpacked(kept, tmp_path, monkeypatch):
    monkeypatch.setitem(bundles.LIMITS, "event.xml", 1 << 20)
    path = rewritten(kept[0], tmp_path / "b.zip", lambda members: members.update({"event.xml": bytes(1 << 24)}))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BundleError, match="larger than"):
        read_bundle(path)


def test_a_member_that_was_changed_is_told(kept, tmp_path):
    path = rewritten(kept[0], tmp_path / "b.zip", lambda members: members.update({"event.xml": b"<a/>"}))
    with pytest.raises(BundleError, match=r"event\.xml is not what the manifest says"):
        read_bundle(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("manifest.json"), "no manifest"),
        (lambda m: m.update({"manifest.json": b"[1, 2]"}), "no JSON object"),
        (lambda m: m.update({"manifest.json": b"{" * 5000}), "no JSON"),
        (lambda m: m.update({"manifest.json": b"[" * 100000}), "no JSON"),
        (manifest_with(format="something"), "no bundle of dlloc"),
        (manifest_with(version=99), "version 99"),
        (manifest_with(trigger=None), "incomplete"),
        (manifest_with(trigger={"time": "x"}), "incomplete"),
        (manifest_with(options={"fixed_depth_km": "deep"}), "incomplete"),
        (manifest_with(model="tiny"), "incomplete"),
        (manifest_with(model={"name": 1}), "incomplete"),
        (manifest_with(traces=[[1, 2]]), "incomplete"),
        (manifest_with(sha256=None), "not what the manifest says"),
        (lambda m: m.pop("answer.json"), "answer.json"),
        (lambda m: m.pop("waveforms.mseed"), "waveforms.mseed"),
    ],
)
def test_a_broken_manifest_is_named(kept, tmp_path, change, words):
    with pytest.raises(BundleError, match=words):
        read_bundle(rewritten(kept[0], tmp_path / "b.zip", change))


def test_an_inventory_with_entities_is_refused(kept, tmp_path):
    evil = b'<?xml version="1.0"?><!DOCTYPE q [<!ENTITY f SYSTEM "file:///etc/hostname">]><q>&f;</q>'

    def change(members):
        members["inventory.xml"] = evil
        sums = json.loads(members["manifest.json"])["sha256"] | {"inventory.xml": hashlib.sha256(evil).hexdigest()}
        manifest_with(sha256=sums)(members)

    with pytest.raises(BundleError, match="document type declaration"):
        read_bundle(rewritten(kept[0], tmp_path / "b.zip", change))


@pytest.mark.parametrize("cut", [0, 1, 100, 2000, -1, -30])
def test_a_truncated_file_is_no_bundle(kept, tmp_path, cut):
    (tmp_path / "b.zip").write_bytes(kept[0].read_bytes()[:cut])
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "b.zip")


def test_bytes_that_flipped_are_found_or_harmless(kept, tmp_path):
    content, rng = bytearray(kept[0].read_bytes()), np.random.default_rng(4)
    whole = read_bundle(kept[0])
    refused = 0
    for place in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        (tmp_path / "b.zip").write_bytes(damaged)
        try:
            assert read_bundle(tmp_path / "b.zip").answer == whole.answer
        except BundleError:
            refused += 1
    assert refused > 40


def test_a_member_said_to_be_encrypted_or_packed_strangely_is_refused(kept, tmp_path):
    content = bytearray(kept[0].read_bytes())
    directory = content.index(b"PK\x01\x02")
    for offset, value in ((8, 1), (10, 99)):
        damaged = bytearray(content)
        struct.pack_into("<H", damaged, directory + offset, value)
        (tmp_path / "b.zip").write_bytes(damaged)
        with pytest.raises(BundleError):
            read_bundle(tmp_path / "b.zip")


def test_files_that_are_none(tmp_path):
    for path in (tmp_path / "absent.zip", tmp_path):
        with pytest.raises(BundleError):
            read_bundle(path)


# The folder


def test_a_store_keeps_the_newest(tmp_path):
    store = BundleStore(tmp_path / "kept", 3)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    for i in range(6):
        store.keep(f"Origin/dlloc/{i}/1", b"bundle %d" % i, b"picture %d" % i)
    left = sorted(path.read_bytes() for path in store.folder.glob("*.zip"))
    assert left == [b"bundle 3", b"bundle 4", b"bundle 5"]
    assert len(list((store.folder / "pictures").iterdir())) == 3
    assert store.picture("Origin/dlloc/5/1").read_bytes() == b"picture 5"
    assert (store.folder / "notes.txt").exists()


def test_stores_in_several_threads_agree(tmp_path):
    def work(name):
        store = BundleStore(tmp_path, 4)
        for i in range(12):
            store.keep(f"{name}/{i}", b"x", b"y")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    BundleStore(tmp_path, 4).keep("last", b"z")
    assert len(list(tmp_path.glob("*.zip"))) == 4
    assert BundleStore(tmp_path, 4).path("last").exists()


def test_a_store_needs_room_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        BundleStore(tmp_path, 0)
    (tmp_path / "file").write_text("")
    with pytest.raises((BundleError, SettingError)):
        BundleStore(tmp_path / "file", 1).keep("a", b"x")


@pytest.mark.parametrize("public_id", ["../../etc/passwd", "a/b", ".hidden", "", "Ω\ud800\n", "x" * 500, "a\0b", "-rf"])
def test_names_of_files_are_harmless_and_differ(public_id):
    stem = file_stem(public_id)
    assert stem == file_stem(public_id)
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert stem[0] not in ".-"
    assert len(stem) <= 80
    assert stem != file_stem(public_id + "_")


# The command


def run(*words):
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    arguments = parser.parse_args(["replay", *map(str, words), "--provider", "cpu", "--threads", "1"])
    return arguments.run(arguments)


def test_replay_says_that_the_answer_is_the_same(kept, model_file, tmp_path, capsys):
    out = tmp_path / "again.xml"
    assert run(kept[0], "--model", model_file, "-o", out, "--plot", tmp_path / "pictures") == 0
    said = capsys.readouterr().out
    assert said.endswith("the same answer as the one that was kept\n")
    assert read_triggers(out).triggers[0].public_id == TRIGGER.public_id
    (picture,) = (tmp_path / "pictures").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_replay_and_picture_take_the_name_of_an_origin(kept, model_file, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SEISCOMP_ROOT", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = BundleStore(Settings.load().bundle.folder, 4)
    store.keep("Origin/dlloc/x/final", Path(kept[0]).read_bytes(), b"picture")
    for name in ("Origin/dlloc/x/final", "Origin/dlloc/x/1"):
        assert run(name, "--model", model_file) == 0
        assert "the same answer" in capsys.readouterr().out
        assert main(["picture", name]) == 0
        assert capsys.readouterr().out.strip() == str(store.picture("Origin/dlloc/x/final"))
    assert main(["picture", "Origin/dlloc/y/1"]) == 2
    assert "bundle.keep = true" in capsys.readouterr().err
    with pytest.raises(BundleError, match="Origin/dlloc/y/1"):
        run("Origin/dlloc/y/1", "--model", model_file)


def test_replay_lists_differences_and_exits_with_one(kept, model_file, tmp_path, capsys):
    def change(members):
        answer = json.dumps({**json.loads(members["answer.json"]), "depth_km": 99.0}).encode()
        members["answer.json"] = answer
        sums = json.loads(members["manifest.json"])["sha256"] | {"answer.json": hashlib.sha256(answer).hexdigest()}
        manifest_with(sha256=sums, software={"numpy": "0.0.1"})(members)

    path = rewritten(kept[0], tmp_path / "b.zip", change)
    assert run(path, "--model", model_file) == 1
    said = capsys.readouterr().out
    assert "differs: depth:" in said
    assert "numpy: 0.0.1 then" in said


def test_replay_without_the_model_says_where_to_give_it(kept):
    with pytest.raises(BundleError, match="--model"):
        run(kept[0])


def test_replay_gives_json(kept, model_file, capsys):
    assert run(kept[0], "--model", model_file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["event"] == TRIGGER.public_id


def test_the_picture_of_a_failed_event_is_empty(model):
    located, _, _ = make(model, stream=obspy.Stream())
    assert located_png(located) == b""


def test_a_bundle_that_cannot_be_written_is_an_error_of_ours(model):
    located, job, options = make(model)
    job.stream[0].data = np.array(["no", "numbers"])
    with pytest.raises(BundleError, match="cannot be kept"):
        make_bundle(located, job, inventory(), options)
