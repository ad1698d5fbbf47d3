"""``dlloc corrections``, and ``dlloc locate`` with an earth model and corrections: what they write and refuse."""

import json
import re
from pathlib import Path

import pytest
import tinymodels
from scene import Scene, inventory, make_scene, quakeml

from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.formats.corrections import read_corrections, write_corrections
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.traveltimes import hash_of

EARTH = "depth_km,vp_km_s,vs_km_s\n0,6.0,3.5\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Three events of a half-space, a model for any network, and one of this network (``fixed.onnx``)."""
    made = make_scene(tmp_path_factory.mktemp("scene"))
    (made.folder / "fixed.onnx").write_bytes(made.model.read_bytes())
    made.model.write_bytes(tinymodels.any_network())
    (made.folder / "local.csv").write_text(EARTH)
    return made


def learning(scene: Scene, target: Path, *more: str, **replaced: str | Path) -> list[str]:
    """Arguments of ``dlloc corrections``."""
    return ["corrections", *scene.arguments(**replaced)[1:], "-o", str(target), *more]


def delays(path: Path, earth: Path, **by_station: float) -> Path:
    """A file of corrections that belong to an earth model's file: seconds of P and S alike."""
    stations = (StationDelay(f"XX.{code}", PhaseDelay(s, 9), PhaseDelay(s, 9)) for code, s in by_station.items())
    held = hash_of(read_earth_model(earth))
    write_corrections(path, StationCorrections(earth.stem, held, tuple(stations)))
    return path


def places(text: str) -> list[tuple[float, float]]:
    return [(event["latitude"], event["longitude"]) for event in map(json.loads, text.splitlines())]


def test_what_each_station_is_late_by_is_learned_for_the_earth_model_that_was_given(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "learned.json"
    assert main(learning(scene, target, "--earth-model", str(scene.folder / "local.csv"), "--rounds", "2")) == 0
    said = capsys.readouterr()
    assert "3 events used" in said.err
    learned = read_corrections(target)
    assert learned.earth_model == "local"
    assert {station.station_id for station in learned.stations} <= {f"XX.A{i}" for i in range(4)}
    for station in learned.stations:
        assert station.station_id in said.out
        # The seismograms are of the very half-space, wavelets peak within a tenth of a second
        assert abs(station.p.delay_s) < 0.3


def test_one_event_is_told_as_one(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "one.xml").write_text(quakeml([0]))
    assert main(learning(scene, tmp_path / "learned.json", events=tmp_path / "one.xml")) == 0
    assert capsys.readouterr().err.startswith("1 event used; ")


def test_from_hypocentres_that_are_known_the_delays_are_those_of_their_paths(scene: Scene, tmp_path: Path):
    slow = tmp_path / "slow.csv"
    slow.write_text("depth_km,vp_km_s,vs_km_s\n0,5.7,3.3\n")
    learned = {}
    for name, more in (("own", ()), ("known", ("--located",))):
        assert main(learning(scene, tmp_path / name, "--earth-model", str(slow), *more)) == 0
        learned[name] = read_corrections(tmp_path / name)
    # A location makes up for a slow earth as well as it can; from the true places all of it is seen
    spread = {
        name: max(s.p.delay_s for s in c.stations) - min(s.p.delay_s for s in c.stations) for name, c in learned.items()
    }
    assert spread["known"] != pytest.approx(spread["own"], abs=0.01)


def test_network_codes_of_waveforms_and_inventory_that_differ_are_both_named(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = inventory()
    other.networks[0].code = "7B"
    other.write(str(tmp_path / "7b.xml"), format="STATIONXML")
    assert main(scene.arguments("--json", inventory=tmp_path / "7b.xml")) == 1
    event = json.loads(capsys.readouterr().out.splitlines()[0])
    assert event["reason"] == "no waveforms"
    assert event["detail"].endswith(
        "the waveforms are of XX.A0, the inventory has 7B.A0, and 3 more alike: give both the same network code"
    )


def test_further_rounds_replace_delays_from_known_hypocentres_and_the_help_says_so(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    slow = tmp_path / "slow.csv"
    slow.write_text("depth_km,vp_km_s,vs_km_s\n0,5.7,3.3\n")
    found = []
    for rounds in ("1", "2"):
        target = tmp_path / rounds
        assert main(learning(scene, target, "--earth-model", str(slow), "--located", "--rounds", rounds)) == 0
        found.append({s.station_id: s.s.delay_s for s in read_corrections(target).stations if s.s is not None})
    # Residuals that a round's own corrections had been taken from would be added a second time
    assert found[1] == pytest.approx(found[0], abs=0.02)
    assert max(map(abs, found[0].values())) > 0.1
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["corrections", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "With --located the residuals of every round are those from the catalogue's hypocentres" in said


def test_places_that_the_onsets_contradict_are_not_learned_from(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wrong = tmp_path / "wrong.xml"
    # 40 km away, some 7 s
    moved = re.sub(r"(<latitude>\s*<value>)([\d.]+)", lambda m: f"{m[1]}{float(m[2]) + 0.36}", scene.events.read_text())
    wrong.write_text(moved)
    assert main(learning(scene, tmp_path / "x.json", "--located", events=wrong)) == 2
    assert "mend what is wrong, or leave --located out" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_an_answer_names_the_travel_times_that_it_rests_on(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    earth = scene.folder / "local.csv"
    more = ["--json", "--earth-model", str(earth)]
    assert main(scene.arguments(*more)) in (0, 1)
    notes = json.loads(capsys.readouterr().out.splitlines()[0])["notes"]
    held = hash_of(read_earth_model(earth))
    assert f"travel times: local (content {held}), no station corrections" in notes
    delayed = delays(tmp_path / "delays.json", earth, A0=0.1, A1=0.0)
    assert main(scene.arguments(*more, "--corrections", str(delayed))) in (0, 1)
    assert "corrections of 2 stations" in capsys.readouterr().out


def test_events_without_a_hypocentre_are_no_known_ones(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    nowhere = tmp_path / "nowhere.xml"
    text = scene.events.read_text()
    nowhere.write_text(re.sub(r"<(latitude|longitude|depth)>.*?</\1>", "", text, flags=re.DOTALL))
    assert main(learning(scene, tmp_path / "x.json", "--located", events=nowhere)) == 2
    assert "has no hypocentre" in capsys.readouterr().err


def test_without_an_earth_model_they_belong_to_the_models_own(scene: Scene, tmp_path: Path):
    target = tmp_path / "learned.json"
    assert main(learning(scene, target, "--rounds", "1")) == 0
    assert read_corrections(target).earth_model == "halfspace"
    assert main(scene.arguments("--corrections", str(target))) == 0


def test_an_earth_model_and_corrections_move_what_is_located(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    slow = tmp_path / "slow.csv"
    slow.write_text("depth_km,vp_km_s,vs_km_s\n0,5.0,2.9\n")
    runs = [
        [],
        ["--earth-model", str(scene.folder / "local.csv")],
        ["--earth-model", str(slow)],
        ["--earth-model", str(slow), "--corrections", str(delays(tmp_path / "c.json", slow, A2=-0.8, A3=-1.0))],
    ]
    found = []
    for options in runs:
        assert main(scene.arguments("--json", *options)) in (0, 1)
        found.append(places(capsys.readouterr().out))
    assert found[0] == found[1], "the same velocities by another name"
    assert found[2] != found[0]
    assert found[3] not in (found[0], found[2])


def test_corrections_go_with_what_an_earth_model_holds_whatever_its_file_is_called(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    earth, renamed = tmp_path / "mine.csv", tmp_path / "renamed.csv"
    for path in (earth, renamed):
        path.write_text("depth_km,vp_km_s,vs_km_s\n0,5.0,2.9\n")
    learned = str(delays(tmp_path / "c.json", earth, A2=-0.8))
    assert main(scene.arguments("--earth-model", str(renamed), "--corrections", learned)) in (0, 1)
    earth.write_text("depth_km,vp_km_s,vs_km_s\n0,5.0,2.8\n")
    assert main(scene.arguments("--earth-model", str(earth), "--corrections", learned)) == 2
    said = capsys.readouterr().err
    before, now = (hash_of(read_earth_model(path)) for path in (renamed, earth))
    assert f"'mine' (content {before}), here it is 'mine' (content {now}), which has changed since" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--earth-model", "{folder}/none.csv"], ["none.csv", "no such file"]),
        (["--earth-model", "iasp19"], ["iasp19", "iasp91"]),
        (["--earth-model", "{folder}/events.xml"], ["events.xml"]),
        (["--corrections", "{folder}/none.json"], ["none.json", "no such file"]),
        (["--corrections", "{folder}/local.csv"], ["local.csv", "JSON"]),
        (["--corrections", "{folder}/delays.json"], ["'fast'", "'halfspace'"]),
        (["--earth-model", "iasp91", "--corrections", "{folder}/delays.json"], ["'fast'", "'iasp91'"]),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_written(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: list[str]
):
    fast = scene.folder / "fast.csv"
    fast.write_text("depth_km,vp_km_s,vs_km_s\n0,7.0,4.0\n")
    delays(scene.folder / "delays.json", fast, A1=0.1)
    target = tmp_path / "out.xml"
    assert main(scene.arguments(*(text.format(folder=scene.folder) for text in options), "-o", str(target))) == 2
    said = capsys.readouterr()
    assert all(word in said.err for word in words), said.err
    assert not said.out
    assert not target.exists()


def test_a_model_of_one_network_takes_neither(scene: Scene, capsys: pytest.CaptureFixture[str]):
    own = delays(scene.folder / "own.json", scene.folder / "local.csv", A1=0.1)
    for options in (["--earth-model", "iasp91"], ["--corrections", str(own)]):
        assert main(scene.arguments(*options, model=scene.folder / "fixed.onnx")) == 2
        assert "model sample belongs to its own network and earth" in capsys.readouterr().err


def test_corrections_are_learned_with_no_model_of_one_network(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "learned.json"
    assert main(learning(scene, target, model=scene.folder / "fixed.onnx")) == 2
    assert "sample belongs to one network" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("target", "more", "words"),
    [
        ("nowhere/learned.json", [], "nowhere"),
        ("learned.json", ["--earth-model", "none.csv"], "none.csv"),
        ("learned.json", ["--model", "none.onnx"], "none.onnx"),
    ],
)
def test_what_cannot_be_learned_from_or_written_to_is_named(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, more: list[str], words: str
):
    assert main(learning(scene, tmp_path / target, *more)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / target).exists()
