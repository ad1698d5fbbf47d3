"""The data of ``dlloc demo``: what is drawn and written."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from dlloc_training import demo_data
from dlloc_training.moveout import MoveoutModel

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.geometry import LocalFrame, distance_azimuth
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.waveforms import open_source

pytestmark = pytest.mark.slow

MOVEOUT = MoveoutModel(6.2, 3.55, 0.3, 0.8, np.zeros(6), np.zeros(6), np.zeros(0), 0.1, 0.15, 1, 1)
SETTINGS = Preprocessing(20.0, (2.0, 8.0), 4, True, 0.0, "constant", "velocity", 1024, 10.0, "none", 1e6)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    """A demo of two events on six stations within 40 km."""
    folder = tmp_path_factory.mktemp("demo")
    places = [(36.0, -97.0), (36.1, -97.2), (36.2, -97.0), (35.9, -96.9), (36.05, -97.1), (36.15, -96.9)]
    stations = tuple(
        Station("XX", f"D{i}", latitude, longitude, 300.0) for i, (latitude, longitude) in enumerate(places)
    )
    passport = SimpleNamespace(stations=stations, frame=LocalFrame(36.05, -97.0), preprocessing=SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_data, "read_passport", lambda _: passport)
        moveout = tmp_path_factory.mktemp("run") / "moveout.json"
        moveout.write_text(MOVEOUT.to_json(tuple(station.id for station in stations)))
        demo_data.write_demo(Path("model.onnx"), moveout, folder, count=2, seed=3)
    return folder, passport


def test_every_file_is_there_and_can_be_read(written):
    folder, passport = written
    assert sorted(path.name for path in folder.iterdir()) == [
        "stations.xml",
        "triggers.xml",
        "truth.xml",
        "waveforms.mseed",
    ]
    found = {f"{n.code}.{s.code}" for n in read_inventory(folder / "stations.xml") for s in n}
    assert found == {station.id for station in passport.stations}


def test_triggers_are_displaced_in_place_and_time_and_keep_the_publicids(written):
    folder, _ = written
    triggers = read_triggers(folder / "triggers.xml").triggers
    truths = read_triggers(folder / "truth.xml").triggers
    assert [t.public_id for t in triggers] == [t.public_id for t in truths]
    for trigger, truth in zip(triggers, truths, strict=True):
        away, _ = distance_azimuth(truth.latitude, truth.longitude, trigger.latitude, trigger.longitude)
        assert 29.0 < float(away) < 61.0
        assert 0.0 < abs(trigger.time - truth.time) <= 4.0


def test_p_arrives_when_it_should_and_comes_after_noise(written):
    folder, passport = written
    source = open_source(folder / "waveforms.mseed")
    truth = read_triggers(folder / "truth.xml").triggers[0]
    stream = source.get_waveforms(["*.*.*.*"], truth.time - 20.0, truth.time + 40.0).stream
    seen = 0
    for station in passport.stations:
        for trace in stream.select(station=station.code, component="Z"):
            if np.ptp(trace.data) == 0:
                continue
            distance, _ = distance_azimuth(truth.latitude, truth.longitude, station.latitude, station.longitude)
            reach = float(np.hypot(float(distance), truth.depth_km))
            seconds = trace.times() + trace.stats.starttime.timestamp - truth.time
            noise = np.abs(trace.data[seconds < 0.9 * reach / 6.2])
            signal = np.abs(trace.data[(seconds > reach / 6.2) & (seconds < reach / 2.0 + 3.0)])
            assert noise.max() > 0
            assert signal.max() > 3.0 * noise.max(), station.id
            seen += 1
    assert seen >= 5


def test_the_second_event_lacks_a_station_and_each_has_a_dead_one(written):
    folder, _ = written
    source = open_source(folder / "waveforms.mseed")
    counts = []
    for truth in read_triggers(folder / "truth.xml").triggers:
        stream = source.get_waveforms(["*.*.*.*"], truth.time - 20.0, truth.time + 40.0).stream
        counts.append(len({trace.stats.station for trace in stream}))
        assert len({trace.stats.station for trace in stream if np.ptp(trace.data) == 0}) == 1
    assert counts == [6, 5]


def test_a_file_without_the_stations_travel_times_is_refused(tmp_path):
    path = tmp_path / "moveout.json"
    path.write_text(MOVEOUT.to_json(tuple(f"XX.D{k}" for k in range(6))))
    assert demo_data.read_moveout(path, (Station("XX", "D2", 0.0, 0.0),)).vp == 6.2
    with pytest.raises(SettingError, match=r"moveout\.json"):
        demo_data.read_moveout(path, (Station("XX", "E9", 0.0, 0.0),))
