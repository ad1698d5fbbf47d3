"""A profile's own earth model and station corrections: what the worker locates with, notices, refuses and keeps."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import regions
import tinymodels
from scene import Scene, inventory, make_scene
from workers import PATIENCE_S, until

from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.bundle import differences, read_bundle, replay
from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.corrections import read_corrections, write_corrections
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.settings.values import Settings
from seiscomp_dlloc.traveltimes import hash_of
from seiscomp_dlloc.worker.config import ProfileConfig, WorkerConfig
from seiscomp_dlloc.worker.request import parse_request
from seiscomp_dlloc.worker.running import Running
from seiscomp_dlloc.worker.settings import from_settings
from seiscomp_dlloc.worker.stock import Stock
from seiscomp_dlloc.worker.work import Workshop

HEADER = {"kind": "locate", "id": "one", "origin": "smi:test/origin/0", "left_s": PATIENCE_S}


def write_earth(path: Path, vp_km_s: float = 5.0) -> Path:
    path.write_text(f"depth_km,vp_km_s,vp_vs\n0,{vp_km_s},1.73\n")
    return path


def write_delays(earth: Path, path: Path, delay_s: float) -> Path:
    station = StationDelay("XX.A2", PhaseDelay(delay_s, 9), PhaseDelay(delay_s, 9))
    held = hash_of(read_earth_model(earth))
    write_corrections(path, StationCorrections(earth.stem, held, (station,)))
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = make_scene(tmp_path_factory.mktemp("scene"), 1)
    (made.folder / "fixed.onnx").write_bytes(made.model.read_bytes())
    made.model.write_bytes(tinymodels.any_network())
    return made


@pytest.fixture
def config(scene: Scene, tmp_path: Path) -> WorkerConfig:
    """A worker of one profile, with an earth model and corrections that belong to it."""
    earth = write_earth(tmp_path / "local.csv")
    profile = ProfileConfig(
        "own",
        str(scene.model),
        str(scene.waveforms),
        str(scene.inventory),
        earth_model=str(earth),
        corrections=str(write_delays(earth, tmp_path / "delays.json", -0.6)),
    )
    return WorkerConfig("", provider="cpu", bundles=str(tmp_path / "bundles"), profiles=(profile,))


def with_profile(config: WorkerConfig, **changes: Any) -> WorkerConfig:
    return replace(config, profiles=(replace(config.profiles[0], **changes),))


@pytest.fixture
def ask(scene: Scene) -> Iterator[Any]:
    """Asks a workshop of its own, or the one given, for the first event; the answer's header."""
    made: list[Workshop] = []

    def locate(config: WorkerConfig, shop: Workshop | None = None, **request: Any) -> dict[str, Any]:
        made.append(shop or Workshop(config, Stock(config)))
        job = Running({**HEADER, **request}, {"event": scene.events.read_bytes()}, lambda name, state: None)
        message = made[-1].answer(job)
        assert message is not None
        return message[0]

    yield locate
    for shop in made:
        shop.stock.close()


def place(answer: dict[str, Any]) -> tuple[float, float]:
    assert answer["solution"], answer["detail"]
    return answer["solution"]["latitude"], answer["solution"]["depth_km"]


def test_a_profile_locates_with_its_earth_model_and_corrections(config: WorkerConfig, ask: Any):
    plain = place(ask(with_profile(config, earth_model="", corrections="")))
    earth = place(ask(with_profile(config, corrections="")))
    both = place(ask(config))
    assert len({plain, earth, both}) == 3


def test_the_settings_reach_the_worker():
    given = {"profile.default.earthModel": ["@DATADIR@/local.csv"], "profile.default.corrections": ["~/delays.json"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEISCOMP_ROOT", "/host")
        (profile,) = from_settings(Settings.from_getter(given.get)).profiles
    assert profile.earth_model == "/host/share/local.csv"
    assert profile.corrections == os.path.expanduser("~/delays.json")
    config = WorkerConfig("", profiles=(profile,))
    assert WorkerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_files_that_change_are_noticed_and_others_are_read_once(config: WorkerConfig, scene: Scene):
    stock = Stock(config)
    request = parse_request(HEADER, {"event": scene.events.read_bytes()})
    try:
        stock.warm()
        assert not stock.problems
        first = stock.tools(request)
        assert stock.tools(request).locator is first.locator
        os.utime(config.profiles[0].corrections)
        assert stock.tools(request).locator is first.locator, "the content is the same"
        earth, delays = Path(config.profiles[0].earth_model), Path(config.profiles[0].corrections)
        write_delays(earth, delays, 0.9)
        second = stock.tools(request)
        assert second.earth.corrections != first.earth.corrections
        assert second.locator is not first.locator
        write_earth(earth, 5.5)
        with pytest.raises(SettingError, match=r"'local' \(content \w{12}\), here it is 'local' .*, which has changed"):
            stock.tools(request)
        write_delays(earth, delays, 0.9)
        third = stock.tools(request)
        assert third.earth.model != second.earth.model
        assert third.locator.earth_model["layers"][0]["vp_km_s"] == 5.5
    finally:
        stock.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"earth_model": "/none.csv"}, "/none.csv: no such file"),
        ({"earth_model": "iasp19"}, "none of TauP's models, which are"),
        ({"earth_model": "iasp91"}, "here it is 'iasp91' (content "),
        ({"earth_model": ""}, "here it is 'halfspace' (content "),
        ({"corrections": "/none.json"}, "/none.json: no such file"),
        ({"corrections": "{folder}/events.xml"}, "events.xml: is no valid JSON"),
        ({"model": "{folder}/fixed.onnx"}, "model sample belongs to its own network and earth"),
    ],
)
def test_what_does_not_fit_is_told_at_the_start_and_by_every_job(
    config: WorkerConfig, scene: Scene, ask: Any, changes: dict[str, str], words: str
):
    wrong = with_profile(config, **{key: text.format(folder=scene.folder) for key, text in changes.items()})
    shop = Workshop(wrong, Stock(wrong))
    shop.stock.warm()
    assert words in shop.stock.problems["own"]
    (row,) = shop.stock.report()["profiles"]
    assert words in row["problem"]
    answer = ask(wrong, shop)
    assert answer["status"] == "refused"
    assert words in answer["detail"]


def test_a_profile_that_was_mended_is_taken_up(config: WorkerConfig, tmp_path: Path):
    later = tmp_path / "later.json"
    stock = Stock(with_profile(config, corrections=str(later)))
    try:
        stock.warm()
        assert "later.json" in stock.problems["own"]
        write_delays(Path(config.profiles[0].earth_model), later, 0.1)
        stock.warm()
        assert not stock.problems
    finally:
        stock.close()


def test_a_job_that_names_a_model_of_one_network_gets_it_with_its_own_earth(
    config: WorkerConfig, scene: Scene, ask: Any
):
    answer = ask(config, options={"model": str(scene.folder / "fixed.onnx")})
    assert answer["status"] == "accepted", answer["detail"]
    assert answer["model"]["name"] == "sample"
    again = ask(config, options={"model": str(scene.model)})
    assert place(again) == place(ask(config)), "any other model takes the profile's"


def test_the_bundle_of_an_answer_holds_both_and_gives_it_again(config: WorkerConfig, scene: Scene, ask: Any):
    answer = ask(config, keep_bundle=True)
    path = Path(answer["bundle"])
    until(path.exists)
    bundle = read_bundle(path)
    assert bundle.earth_model == read_earth_model(config.profiles[0].earth_model)
    assert bundle.corrections == read_corrections(config.profiles[0].corrections)
    write_earth(Path(config.profiles[0].earth_model), 7.0)
    again = replay(bundle, Stock(config).model(str(scene.model))).solution
    assert differences(bundle.answer, again) == ()


@pytest.fixture
def unnamed(config: WorkerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerConfig:
    """A worker of one profile that names neither model nor earth, and two bundled models."""
    regions.bundle_models(tmp_path / "models", monkeypatch)
    return with_profile(config, model="", earth_model="", corrections="")


def test_a_profile_that_names_nothing_has_the_default_model_and_the_earth_that_the_stations_decide(
    unnamed: WorkerConfig, scene: Scene, ask: Any, tmp_path: Path
):
    known = ask(unnamed)
    assert known["model"]["name"] == "tiny-any"
    assert f"travel times: {regions.TOLD} (content {hash_of(regions.EARTH)})" in " ".join(known["solution"]["notes"])
    strange = tmp_path / "strange.xml"
    regions.elsewhere(inventory()).write(str(strange), format="STATIONXML")
    assert "travel times: halfspace (" in str(ask(with_profile(unnamed, inventory=str(strange)))["solution"]["notes"])
    named = ask(with_profile(unnamed, earth_model="iasp91"))
    assert "travel times: iasp91 (" in str(named["solution"]["notes"])


def test_a_job_that_brings_its_inventory_has_the_earth_of_those_stations(
    unnamed: WorkerConfig, scene: Scene, ask: Any, tmp_path: Path
):
    strange = tmp_path / "strange.xml"
    regions.elsewhere(inventory()).write(str(strange), format="STATIONXML")
    shop = Workshop(unnamed, Stock(unnamed))
    for where, told in ((strange, "halfspace"), (scene.inventory, regions.TOLD), (strange, "halfspace")):
        answer = ask(unnamed, shop, id=str(where), options={"inventory": str(where)})
        assert f"travel times: {told} (" in str(answer["solution"]["notes"])


def test_a_job_that_names_the_networks_own_model_has_no_other_earth(unnamed: WorkerConfig, ask: Any):
    answer = ask(unnamed, options={"model": regions.NAME})
    assert answer["status"] == "accepted", answer["detail"]
    assert "travel times" not in str(answer["solution"]["notes"])


def test_a_profiles_corrections_go_with_the_earth_that_the_stations_decide(
    unnamed: WorkerConfig, ask: Any, tmp_path: Path
):
    def corrections(held: str) -> str:
        station = StationDelay("XX.A2", PhaseDelay(0.5, 9), PhaseDelay(0.5, 9))
        path = tmp_path / f"{held}.json"
        write_corrections(path, StationCorrections("some name", held, (station,)))
        return str(path)

    fitting = ask(with_profile(unnamed, corrections=corrections(hash_of(regions.EARTH))))
    assert "corrections of 1 station'" in str(fitting["solution"]["notes"])
    refused = ask(with_profile(unnamed, corrections=corrections("0" * 12)))
    assert refused["status"] == "refused"
    assert f"here it is {regions.TOLD!r}" in refused["detail"]


def test_the_bundle_holds_the_earth_that_was_chosen_and_gives_the_answer_again(
    unnamed: WorkerConfig, ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    path = Path(ask(unnamed, keep_bundle=True)["bundle"])
    until(path.exists)
    bundle = read_bundle(path)
    assert bundle.earth_model == {**regions.EARTH, "name": regions.TOLD}
    model = Stock(unnamed).model("")
    # Whichever models are bundled when it is replayed
    monkeypatch.setattr("seiscomp_dlloc.models.FOLDER", tmp_path)
    assert differences(bundle.answer, replay(bundle, model).solution) == ()
