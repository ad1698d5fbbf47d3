"""Whose earth model a model for any network is used with where the user names none, and that it is said."""

import json
from pathlib import Path

import pytest
import regions
import tinymodels
from obspy import UTCDateTime
from scene import Scene, inventory, make_scene, origin_time

from seiscomp_dlloc import models
from seiscomp_dlloc.cli.choose import choose_model
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.defaults import default_earth, known_stations, regional_earth
from seiscomp_dlloc.errors import InventoryError, ModelError
from seiscomp_dlloc.formats.corrections import read_corrections
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.model import read_passport
from seiscomp_dlloc.passport import Passport, from_dict
from seiscomp_dlloc.traveltimes import hash_of, name_of

NOW = (origin_time(0).timestamp,)
OTHER = {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 7.0, "vs_km_s": 4.0}]}


def network(name: str = regions.NAME, earth=regions.EARTH, stations: int = 4, **changes) -> Passport:
    """A model of the first ``stations`` of the scene, and of others far away."""
    document = regions.network_document(name, earth, **changes)
    for row in document["network"]["stations"][stations:]:
        row["latitude"] += 10.0
    return from_dict(document)


def test_a_network_that_is_known_has_the_earth_of_the_model_that_knows_it():
    found = regional_earth([network()], inventory(), NOW)
    assert found == {**regions.EARTH, "name": regions.TOLD}
    assert hash_of(found) == hash_of(regions.EARTH), "whose it is does not change what it is"


def test_delays_that_a_model_of_one_network_adds_to_its_layers_are_its_own():
    late = network(earth={**regions.EARTH, "p_delay_s": 0.3, "s_delay_s": 0.8})
    assert regional_earth([late], inventory(), NOW) == {**regions.EARTH, "name": regions.TOLD}


def test_one_that_is_not_has_none():
    assert regional_earth([], inventory(), NOW) is None
    assert regional_earth([network()], regions.elsewhere(inventory()), NOW) is None
    assert regional_earth([network(stations=2)], inventory(), NOW) is None, "three are needed"
    assert regional_earth([network(stations=3)], inventory(), NOW) is not None


def test_of_several_that_which_knows_most_stations_counts():
    few, most = network("few", OTHER, 3), network("most", stations=4)
    for networks in ([few, most], [most, few]):
        assert "most" in name_of(regional_earth(networks, inventory(), NOW))
    twins = [network("first"), network("second", OTHER)]
    assert "first" in name_of(regional_earth(twins, inventory(), NOW))
    hungry = network("hungry", min_stations=5)
    assert "few" in name_of(regional_earth([hungry, few], inventory(), NOW))


def test_stations_count_at_the_events_times():
    closed = inventory()
    for station in closed[0]:
        station.end_date = origin_time(1)
    later = (origin_time(2).timestamp,)
    assert known_stations(network(), closed, NOW) == 4
    assert known_stations(network(), closed, later) == 0
    assert regional_earth([network()], closed, later) is None
    assert regional_earth([network()], closed, NOW + later) is not None


def test_the_name_of_one_of_taups_models_stays():
    taup = {"kind": "taup", "name": "ak135"}
    assert regional_earth([network(earth=taup)], inventory(), NOW) == taup


def test_the_demonstrations_network_has_the_earth_of_its_model():
    demo = Path(models.__file__).parents[1] / "data" / "demo" / "stations.xml"
    stations, time = read_inventory(demo), (UTCDateTime(2030, 1, 1).timestamp,)
    own = read_passport(models.resolve("oklahoma-fcn-slim"))
    anynet = read_passport(models.resolve(models.DEFAULT))
    found = default_earth(anynet, stations, time)
    assert found["layers"] == own.earth_model["layers"]
    assert name_of(found) == "the earth of oklahoma-fcn-slim, which knows these stations"
    assert default_earth(anynet, regions.elsewhere(stations), time) is None
    assert default_earth(own, stations, time) is None, "its own"


def test_without_a_name_the_default_model_is_taken_where_it_has_its_stations():
    assert choose_model(None, inventory(), NOW).stem == models.DEFAULT
    assert choose_model("migration", inventory(), NOW).stem == "migration"
    few = inventory()
    few[0].stations = few[0].stations[:3]
    with pytest.raises(InventoryError, match=r"anynet needs 4 stations .* the inventory has 3"):
        choose_model(None, few, NOW)
    with pytest.raises(ModelError, match="oklahoma-fcn-slim"):
        choose_model("nothing", inventory(), NOW)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Two events, and two bundled models: one for any network, one that knows the stations."""
    regions.bundle_models(tmp_path / "models", monkeypatch)
    return make_scene(tmp_path / "scene", 2)


def unnamed(arguments: list[str]) -> list[str]:
    """The arguments without a model."""
    place = arguments.index("--model")
    return arguments[:place] + arguments[place + 2 :]


def notes(text: str) -> str:
    return " ".join(json.loads(text.splitlines()[0])["notes"])


def test_an_answer_says_whose_travel_times_it_rests_on(scene: Scene, capsys: pytest.CaptureFixture[str]):
    assert main(unnamed(scene.arguments("--json"))) in (0, 1)
    held = hash_of(regions.EARTH)
    said = capsys.readouterr().out
    assert f"travel times: {regions.TOLD} (content {held}), no station corrections" in notes(said)
    assert json.loads(said.splitlines()[0])["model"]["name"] == "tiny-any"
    strange = scene.folder / "strange.xml"
    regions.elsewhere(inventory()).write(str(strange), format="STATIONXML")
    for more, told in (((), "halfspace"), (("--earth-model", "iasp91"), "iasp91")):
        assert main(unnamed(scene.arguments("--json", *more, inventory=strange))) in (0, 1)
        assert f"travel times: {told} (" in notes(capsys.readouterr().out)


def test_an_earth_model_that_is_named_counts(scene: Scene, capsys: pytest.CaptureFixture[str]):
    assert main(unnamed(scene.arguments("--json", "--earth-model", "iasp91"))) in (0, 1)
    assert "travel times: iasp91 (" in notes(capsys.readouterr().out)


def test_corrections_go_with_the_same_choice(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    learned = tmp_path / "learned.json"
    assert main(["corrections", *unnamed(scene.arguments())[1:], "-o", str(learned)]) == 0
    assert read_corrections(learned).earth_hash == hash_of(regions.EARTH)
    assert main(unnamed(scene.arguments("--json", "--corrections", str(learned)))) in (0, 1)
    capsys.readouterr()
    assert main(unnamed(scene.arguments("--corrections", str(learned), "--earth-model", "iasp91"))) == 2
    assert f"learned with earth model '{regions.TOLD}'" in capsys.readouterr().err
    strange = scene.folder / "strange.xml"
    regions.elsewhere(inventory()).write(str(strange), format="STATIONXML")
    assert main(unnamed(scene.arguments("--corrections", str(learned), inventory=strange))) == 2
    assert "here it is 'halfspace'" in capsys.readouterr().err


def test_a_scan_takes_it_and_does_not_go_on_with_another_one(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, start = tmp_path / "scan", origin_time(0)
    options = [
        "scan", "--waveforms", str(scene.waveforms), "--inventory", str(scene.inventory), "--start", str(start - 20),
        "--end", str(start + 20), "-o", str(folder), "--provider", "cpu", "--abstained",
    ]  # fmt: skip
    assert main(options) == 0
    held = f"content {hash_of(regions.EARTH)}"
    assert json.loads((folder / "scan.json").read_bytes())["--earth-model"] == held
    assert regions.TOLD in (folder / "catalogue.xml").read_text("utf-8")
    (models.FOLDER / f"{regions.NAME}.onnx").unlink()
    other = tinymodels.fixed_image(regions.network_document("other", OTHER))
    tinymodels.save(other, models.FOLDER, "other.onnx")
    capsys.readouterr()
    assert main(options) == 2
    assert f"holds a scan with --earth-model {held}" in capsys.readouterr().err
