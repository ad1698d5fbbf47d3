"""Folders of NonLinLoc's time grids as the earth model: what is located with them, refused, told, kept."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tinymodels
from scene import STATIONS, Scene, inventory, make_scene, waveforms
from scene import quakeml as scene_quakeml
from timegrids import TRANSFORM, write_grids

from seiscomp_dlloc.arrivals.gridearth import GridEarth
from seiscomp_dlloc.arrivals.grids import GridNodes, TimeGrid
from seiscomp_dlloc.arrivals.radial import RadialArrivals
from seiscomp_dlloc.bundle import differences, read_bundle, replay, write_bundle
from seiscomp_dlloc.cli import scanning
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.errors import BundleError, ModelError, SettingError
from seiscomp_dlloc.formats.corrections import read_corrections
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.formats.gridfolders import read_earth, read_grid_earth, signature
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.geometry import distance_azimuth
from seiscomp_dlloc.locate import Job, Locator
from seiscomp_dlloc.model import load
from seiscomp_dlloc.scan.folder import ScanFolder
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.traveltimes import from_passport, hash_of
from seiscomp_dlloc.worker.config import ProfileConfig, WorkerConfig
from seiscomp_dlloc.worker.request import parse_request
from seiscomp_dlloc.worker.stock import Stock

LAYERED = "depth_km,vp_km_s,vs_km_s\n-1,5.0,2.9\n3,6.2,3.6\n"


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("earth") / "local.csv"
    path.write_text(LAYERED)
    return path


@pytest.fixture(scope="module")
def grids(layered: Path) -> Path:
    return write_grids(layered.parent / "crust", from_passport(read_earth_model(layered)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = make_scene(tmp_path_factory.mktemp("scene"), 2)
    made.model.write_bytes(tinymodels.any_network())
    return made


@pytest.fixture
def locate(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """The events as JSON of ``dlloc locate`` with an earth model."""

    def run(earth: Path, *more: str) -> list[dict[str, Any]]:
        assert main(scene.arguments("--json", "--earth-model", str(earth), *more)) in (0, 1)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def only(folder: Path, target: Path, *codes: str) -> Path:
    """A copy of ``folder`` with the grids of these stations."""
    target.mkdir()
    for path in folder.iterdir():
        if path.name.split(".")[2] in codes:
            shutil.copy(path, target)
    return target


def apart_km(one: dict[str, Any], other: dict[str, Any]) -> float:
    return float(distance_azimuth(one["latitude"], one["longitude"], other["latitude"], other["longitude"])[0])


def test_grids_of_a_layered_earth_locate_as_that_earth_does(locate: Any, grids: Path, layered: Path):
    with_grids, with_layers = locate(grids), locate(layered)
    assert len(with_grids) == 2
    for one, other in zip(with_grids, with_layers, strict=True):
        assert one["used_stations"] == other["used_stations"] == [f"XX.{code}" for code, _, _ in STATIONS]
        # Stations on a line from south to north tell little of east and west
        assert apart_km(one, other) < 0.75 * other["sigma_major_km"]
        assert one["latitude"] == pytest.approx(other["latitude"], abs=0.0006)
        assert one["depth_km"] == pytest.approx(other["depth_km"], abs=0.1)
        later = np.datetime64(one["time"][:-1]) - np.datetime64(other["time"][:-1])
        assert abs(later) < np.timedelta64(20, "ms")


def test_times_of_the_grids_are_those_of_the_layers(grids: Path, layered: Path):
    rng = np.random.default_rng(1)
    places = rng.uniform(35.9, 36.4, 400), rng.uniform(-97.15, -96.85, 400), rng.uniform(1.0, 30.0, 400)
    exact = RadialArrivals(from_passport(read_earth_model(layered))).times(*places, stations())
    times = read_grid_earth(grids).arrivals.times(*places, stations())
    assert np.max(np.abs(times - exact)) < 0.03
    assert np.median(np.abs(times - exact)) < 0.001


def test_every_answer_says_what_rests_on_the_grids_and_what_does_not(locate: Any, grids: Path):
    (note,) = {note for event in locate(grids) for note in event["notes"] if "time grids" in note}
    assert note.startswith("travel times: time grids of crust (content ")
    assert note.endswith("the 1-D earth model halfspace")


def test_a_station_without_grids_is_left_out_and_named(locate: Any, grids: Path, tmp_path: Path):
    some = only(grids, tmp_path / "some", "A0", "A1", "A2", "A3")
    (some / "layer.S.A2.time.hdr").unlink()
    (some / "layer.S.A2.time.buf").unlink()
    for event in locate(some):
        assert event["used_stations"] == ["XX.A0", "XX.A1", "XX.A3"]
        assert {"seed_id": "XX.A2", "reason": "no time grid of S in some"} in event["dropped"]
        assert len([row for row in event["dropped"] if row["seed_id"].startswith("XX.A2")]) == 1


def test_it_takes_a_1_d_earth_model_that_the_folder_names(locate: Any, grids: Path, tmp_path: Path):
    some = only(grids, tmp_path / "some", "A0", "A1", "A2")
    (some / "1d.csv").write_text(LAYERED)
    (some / "dlloc.json").write_text('{"beside": "1d.csv"}')
    whole = locate(grids)
    for event, other in zip(locate(some), whole, strict=True):
        assert event["used_stations"] == other["used_stations"]
        assert apart_km(event, other) < 0.75 * other["sigma_major_km"]
        assert "no time grid of XX.A3: 1d stands in" in event["notes"]
        assert any(note.endswith("the 1-D earth model 1d") for note in event["notes"])
    (some / "dlloc.json").write_text('{"beside": "ak135"}')
    assert "no time grid of XX.A3: ak135 stands in" in locate(some)[0]["notes"]


def test_too_few_stations_with_grids_are_told_event_by_event(locate: Any, grids: Path, tmp_path: Path):
    for event in locate(only(grids, tmp_path / "few", "A0")):
        assert event["status"] == "failed"
        assert event["reason"] == "too few stations"
        assert "no time grid of P and S in few" in event["detail"]


def test_an_event_outside_the_grids_is_not_stood_by(locate: Any, layered: Path, tmp_path: Path):
    shallow = write_grids(tmp_path / "shallow", from_passport(read_earth_model(layered)), deepest_km=0.5)
    for event in locate(shallow):
        assert event["depth_km"] > 0.5
        assert (event["status"], event["reason"]) == ("abstained", "outside region")


def test_corrections_are_learned_for_the_grids_and_belong_to_their_content(
    scene: Scene, grids: Path, layered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "learned.json"
    inputs = scene.arguments("--earth-model", str(grids))
    assert main(["corrections", *inputs[1:], "-o", str(target)]) == 0
    learned = read_corrections(target)
    assert (learned.earth_model, learned.earth_hash) == ("crust", hash_of(read_grid_earth(grids).document))
    assert main([*inputs, "--corrections", str(target)]) in (0, 1)
    capsys.readouterr()
    other = write_grids(tmp_path / "crust", from_passport({"kind": "layers", "layers": [row(5.5)]}))
    assert main(scene.arguments("--earth-model", str(other), "--corrections", str(target))) == 2
    said = capsys.readouterr().err
    assert f"'crust' (content {learned.earth_hash}), here it is 'crust' (content " in said
    assert main(scene.arguments("--earth-model", str(layered), "--corrections", str(target))) == 2
    assert "here it is 'local'" in capsys.readouterr().err


def row(vp: float) -> dict[str, float]:
    return {"top_km": 0.0, "vp_km_s": vp, "vs_km_s": vp / 1.7}


def test_a_moved_station_is_named(scene: Scene, grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    moved = only(grids, tmp_path / "moved", "A0", "A1", "A2", "A3")
    header = moved / "layer.P.A1.time.hdr"
    lines = header.read_text().splitlines()
    header.write_text("\n".join([lines[0], "A1 2.0 11.1 -0.3", *lines[2:]]) + "\n")
    assert main(scene.arguments("--earth-model", str(moved))) == 2
    assert "XX.A1: its P time grid is for a station 2.0 km away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("{", "dlloc.json: is no valid JSON"),
        ("[]", "dlloc.json: must be an object of beside, km_per_degree, origin"),
        ('{"besides": "iasp91"}', "dlloc.json: must be an object of beside"),
        ('{"beside": 3}', "beside must be a model of TauP or a file of the folder"),
        ('{"beside": "none.csv"}', "none.csv: no such file"),
        ('{"origin": [95, 0]}', "origin must be a latitude and a longitude"),
        ('{"origin": [64]}', "origin must be a latitude and a longitude"),
        ('{"km_per_degree": 111111}', "km_per_degree must be a number about 111"),
        ('{"km_per_degree": NaN}', "km_per_degree must be a number about 111"),
    ],
)
def test_a_side_file_of_another_form_is_refused(grids: Path, tmp_path: Path, side: str, message: str):
    folder = only(grids, tmp_path / "one", "A0")
    (folder / "dlloc.json").write_text(side)
    with pytest.raises(ModelError, match=message):
        read_earth(folder)


def test_the_side_file_places_grids_without_transform(grids: Path, tmp_path: Path):
    folder = only(grids, tmp_path / "one", "A0")
    for header in folder.glob("*.hdr"):
        header.write_text("\n".join([*header.read_text().splitlines()[:2], "TRANSFORM  NONE", ""]))
    with pytest.raises(ModelError, match="as origin in a file dlloc"):
        read_earth(folder)
    (folder / "dlloc.json").write_text('{"origin": [36.0, -97.0]}')
    earth = read_grid_earth(folder)
    assert not earth.arrivals.missing(next(s for s in stations() if s.code == "A0"))


def stations() -> Any:
    from seiscomp_dlloc.network import inventory_stations

    return inventory_stations(inventory(), 1.767e9)


def test_a_folder_without_grids_is_refused(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(scene.arguments("--earth-model", str(tmp_path))) == 2
    assert "no *.time.hdr in it" in capsys.readouterr().err


def test_the_hash_tells_grids_of_another_earth_and_forgets_where_they_are(grids: Path, tmp_path: Path):
    first = hash_of(read_grid_earth(grids).document)
    copied = tmp_path / "elsewhere"
    shutil.copytree(grids, copied)
    assert hash_of(read_grid_earth(copied).document) == first
    buffer = copied / "layer.S.A2.time.buf"
    (1.02 * np.fromfile(buffer, np.float32)).tofile(buffer)
    assert hash_of(read_grid_earth(copied).document) != first
    shutil.copy(grids / buffer.name, buffer)
    (copied / "dlloc.json").write_text('{"beside": "iasp91"}')
    assert hash_of(read_grid_earth(copied).document) != first


@pytest.mark.parametrize("workers", [1, 2])
def test_a_scan_goes_on_with_the_same_grids_wherever_they_lie_and_refuses_others(
    scene: Scene, grids: Path, tmp_path: Path, workers: int
):
    def begun(earth: Path) -> ScanFolder:
        scanning.open_searcher.cache_clear()
        inputs = scanning.Inputs(str(scene.waveforms), scene.inventory, scene.model, str(earth), provider="cpu")
        return scanning.Scan(scanning.Settings(inputs, 0.0, 60.0, tmp_path / "scan", workers=workers)).folder

    here = only(grids, tmp_path / "here", "A0", "A1", "A2")
    begun(here).finish(())
    moved = Path(shutil.copytree(here, tmp_path / "moved"))
    begun(moved)
    buffer = here / "layer.S.A2.time.buf"
    (1.02 * np.fromfile(buffer, np.float32)).tofile(buffer)
    before, now = (hash_of(read_grid_earth(folder).document) for folder in (moved, here))
    with pytest.raises(SettingError, match=f"--earth-model content {before}, here it is content {now}"):
        begun(here)


def test_beyond_a_grid_the_mean_slowness_goes_on():
    nodes = GridNodes(TRANSFORM, (-10.0, -10.0, 0.0), (1.0, 1.0, 1.0), (21, 21, 11))
    x, y, z = np.meshgrid(*(np.arange(-10.0, 11.0),) * 2, np.arange(0.0, 11.0), indexing="ij")
    times = (np.sqrt((x - 3.0) ** 2 + y**2 + z**2) / 5.0).astype(np.float32)
    grid = TimeGrid("A", "P", nodes, (3.0, 0.0, 0.0), times)
    points = np.array([30.0, 4.0, -12.0]), np.array([0.0, -25.0, 9.0]), np.array([5.0, 10.0, 14.0])
    cells = nodes.cells(*points)
    assert np.isnan(grid.at(cells)).all()
    exact = np.sqrt((points[0] - 3.0) ** 2 + points[1] ** 2 + points[2] ** 2) / 5.0
    np.testing.assert_allclose(grid.at(cells, continued=True), exact, rtol=2e-3)
    earth = GridEarth("g", "0" * 64, (grid, TimeGrid("A", "S", nodes, (3.0, 0.0, 0.0), times)))
    latitude, longitude = (float(v) for v in TRANSFORM.to_geographic(9.5, 0.0))
    station = stations()[0]
    named = type(station)("XX", "A", station.latitude, station.longitude)
    inside, edge = earth.arrivals.at_edge(36.0, -97.0, 5.0, [named]), earth.arrivals.at_edge
    assert not inside
    assert not edge(latitude, longitude, 5.0, [named])
    assert edge(*(float(v) for v in TRANSFORM.to_geographic(9.7, 0.0)), 5.0, [named])
    assert edge(36.0, -97.0, 10.5, [named])


# Bundles


def kept(scene: Scene, grids: Path, path: Path) -> Any:
    model, earth = load(scene.model, "cpu", threads=1), read_grid_earth(grids)
    trigger = read_triggers(scene_quakeml([0]).encode()).triggers[0]
    job = Job(trigger, waveforms(0))
    located = next(iter(Locator(model, inventory(), None, earth).run([job])))
    assert located.solution.accepted
    write_bundle(path, located, job, inventory(), Options(), earth_model=earth)
    return model, earth


def test_a_bundle_names_its_grids_and_replays_with_them_alone(scene: Scene, grids: Path, tmp_path: Path):
    path = tmp_path / "kept.dlloc.zip"
    model, earth = kept(scene, grids, path)
    assert path.stat().st_size < 2_000_000, "the grids stay where they are"
    bundle = read_bundle(path)
    assert bundle.earth_model == earth.document
    assert differences(bundle.answer, replay(bundle, model, earth).solution) == ()
    with pytest.raises(BundleError, match=r"time grids of a folder crust .* give that folder with --earth-model"):
        replay(bundle, model)
    other = write_grids(tmp_path / "crust", from_passport({"kind": "layers", "layers": [row(5.5)]}))
    with pytest.raises(BundleError, match=r"those given are of crust .* give the folder as it was"):
        replay(bundle, model, read_grid_earth(other))


def test_dlloc_replay_takes_the_folder(scene: Scene, grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "kept.dlloc.zip"
    kept(scene, grids, path)
    command = ["replay", str(path), "--model", str(scene.model), "--provider", "cpu"]
    assert main([*command, "--earth-model", str(grids)]) == 0
    assert "the same answer" in capsys.readouterr().out
    assert main(command) == 2
    assert "give that folder with --earth-model" in capsys.readouterr().err


# The worker


def test_the_worker_takes_a_folder_and_notices_new_grids(scene: Scene, grids: Path, tmp_path: Path):
    folder = tmp_path / "crust"
    shutil.copytree(grids, folder)
    profile = ProfileConfig(
        "own", str(scene.model), str(scene.waveforms), str(scene.inventory), earth_model=str(folder)
    )
    stock = Stock(WorkerConfig("", provider="cpu", profiles=(profile,)))
    header = {"kind": "locate", "id": "one", "origin": "smi:test/origin/0", "left_s": 60.0}
    request = parse_request(header, {"event": scene.events.read_bytes()})
    try:
        stock.warm()
        assert not stock.problems
        first = stock.tools(request)
        assert isinstance(first.earth.model, GridEarth)
        assert stock.tools(request).locator is first.locator
        before = signature(str(folder))
        buffer = folder / "layer.S.A2.time.buf"
        (1.02 * np.fromfile(buffer, np.float32)).tofile(buffer)
        os.utime(buffer, ns=(1, 1))
        assert signature(str(folder)) != before
        assert stock.tools(request).locator is not first.locator
        buffer.write_bytes(b"cut off")
        with pytest.raises(ModelError, match="cut off, or another header's"):
            stock.tools(request)
    finally:
        stock.close()
