"""``dlloc demo``: theoretical events, said to be such, from the package's own data."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import obspy
import pytest
import tinymodels
from samples import passport_document

from seiscomp_dlloc import models
from seiscomp_dlloc.cli.demo import true_hypocentres
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.geometry import distance_azimuth

DATA = Path(str(resources.files("seiscomp_dlloc.data") / "demo"))


def test_the_triggers_are_far_from_the_truth_and_the_truth_is_inside_the_network():
    truths = true_hypocentres(DATA / "truth.xml")
    triggers = read_triggers(DATA / "triggers.xml").triggers
    stations = [station for network in read_inventory(DATA / "stations.xml") for station in network]
    assert len(triggers) == len(truths) >= 5
    for trigger in triggers:
        truth = truths[trigger.public_id]
        displaced, _ = distance_azimuth(truth.latitude, truth.longitude, trigger.latitude, trigger.longitude)
        assert float(displaced) > 25.0
        assert 0.0 < abs(trigger.time - truth.time) < 5.0
        assert trigger.picks == ()
        assert min(s.latitude for s in stations) < truth.latitude < max(s.latitude for s in stations)


def test_the_data_are_small_and_say_that_they_are_theoretical():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 3_000_000
    for name in ("triggers.xml", "truth.xml", "stations.xml"):
        assert "Theoretical seismograms" in (DATA / name).read_text("utf-8")
    starts = [trace.stats.starttime for trace in obspy.read(str(DATA / "waveforms.mseed"))]
    # Noise before the first event of 2030 reaches into the year before
    assert obspy.UTCDateTime(2029, 12, 31) < min(starts)
    assert max(starts) < obspy.UTCDateTime(2031, 1, 1)


def test_the_waveforms_begin_with_noise_and_hold_an_event():
    stream = obspy.read(str(DATA / "waveforms.mseed"))
    live = [trace for trace in stream if np.ptp(trace.data) > 0]
    assert len(live) > 0.9 * len(stream)
    ratios = []
    for trace in live:
        data = trace.data.astype(float)
        noise = data[: round(20 * trace.stats.sampling_rate)]
        assert noise.std() > 0
        ratios.append(np.abs(data).max() / noise.std())
    assert np.median(ratios) > 10.0


@pytest.fixture
def tiny_oklahoma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model for the demo's stations that always answers with the first event's true epicentre."""
    stations = [
        {
            "network": network.code,
            "code": station.code,
            "latitude": station.latitude,
            "longitude": station.longitude,
            "elevation_m": station.elevation,
        }
        for network in read_inventory(DATA / "stations.xml")
        for station in network
    ]
    truth = next(iter(true_hypocentres(DATA / "truth.xml").values()))
    grid = {
        "latitude": truth.latitude, "longitude": truth.longitude, "x0_km": -30.0, "y0_km": -30.0, "z0_km": 0.0,
        "dx_km": 5.0, "dy_km": 5.0, "dz_km": 2.0, "nx": 13, "ny": 13, "nz": 6,
    }  # fmt: skip
    document = passport_document(
        network__stations=stations,
        head__grid=grid,
        region__latitude=[34.0, 38.0],
        region__longitude=[-100.0, -95.0],
        preprocessing__prefiltered=True,
        preprocessing__warmup_s=0.0,
        preprocessing__window_samples=2048,
        preprocessing__pretrigger_s=20.0,
    )
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(models, "FOLDER", tmp_path / "models")
    data = tinymodels.fixed_image(document, z_km=5.0, sigma_km=4.0)
    return tinymodels.save(data, tmp_path / "models", f"{models.DEFAULT}.onnx")


def test_the_demo_writes_table_quakeml_and_pictures_and_says_what_they_are(
    tiny_oklahoma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "out"
    status = main(["demo", "-o", str(folder), "--provider", "cpu", "--threads", "1"])
    out, err = capsys.readouterr()
    assert status in (0, 1)
    assert out.startswith("THEORETICAL SEISMOGRAMS")
    assert "internal error" not in err
    assert len(obspy.read_events(str(folder / "located.xml"))) == 5
    assert len(list(folder.glob("*.png"))) == 5
    errors = [float(line.split("epicentre ")[1].split(" km")[0]) for line in out.splitlines() if "(the trigger" in line]
    assert errors[0] < 1.0
    assert min(errors[1:]) > 10.0


def test_without_its_model_the_demo_says_so(tiny_oklahoma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tiny_oklahoma.unlink()
    assert main(["demo", "-o", str(tmp_path / "out")]) == 2
    assert models.DEFAULT in capsys.readouterr().err


def test_the_default_model_finds_the_demo_events_with_the_earth_of_their_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = [
        "locate", "--events", str(DATA / "triggers.xml"), "--waveforms", str(DATA / "waveforms.mseed"),
        "--inventory", str(DATA / "stations.xml"), "--provider", "cpu", "--json",
    ]  # fmt: skip
    assert main(arguments) == 0
    truths = true_hypocentres(DATA / "truth.xml")
    errors = []
    for line in capsys.readouterr().out.splitlines():
        event = json.loads(line)
        truth = truths[event["event"]]
        away, _ = distance_azimuth(truth.latitude, truth.longitude, event["latitude"], event["longitude"])
        errors.append(float(away))
        assert event["model"]["name"] == models.DEFAULT
        assert any("the earth of oklahoma-fcn-slim, which knows these stations" in note for note in event["notes"])
    # The triggers are 30 to 60 km off
    assert np.median(errors) < 2.0
    assert max(errors) < 3.0
