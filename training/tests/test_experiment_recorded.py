"""Recorded events of a folder as an experiment's records, and the noise before them."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import obspy
import pytest
from dlloc_training.catalogue import RecordedEvent
from dlloc_training.experiment import HELD_OUT_FILE
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.experiments.recorded import (
    ORIGIN_GUARD_S,
    PICK_GUARD_S,
    RecordedNoise,
    read_magnitudes,
    read_recorded,
    record_of,
)
from obspy.core.event import Arrival, Magnitude, Pick, WaveformStreamID

from seiscomp_dlloc.errors import EventFileError, InputError, SettingError
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import TraceBlock, Trigger

from . import bursts

TEXT = (
    bursts.experiment_of("$FOLDER_OF_EVENTS")
    + """[events]
count = 5
magnitude = [2.0, 3.0]
[records]
sampling_rate_hz = 20.0
duration_s = 40.0
[recorded]
folder = "${FOLDER_OF_EVENTS}"
held_out = 2
"""
)
TRAIN, TEST = 6, 2


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training events and two of the test; the first has a P pick, the second a magnitude."""
    folder = tmp_path_factory.mktemp("events")
    bursts.write_folder(folder, TRAIN, TEST)
    catalogue = obspy.read_events(str(folder / "catalog.xml"))
    first, second = catalogue[0], catalogue[1]
    for phase, late in (("S", 1.0), ("P", 3.0), ("P", 2.5)):
        pick = Pick(time=first.origins[0].time + late, waveform_id=WaveformStreamID("XX", "B0"), phase_hint=phase)
        first.picks.append(pick)
        first.origins[0].arrivals.append(Arrival(pick_id=pick.resource_id, phase=phase))
    second.magnitudes = [Magnitude(mag=1.25), Magnitude(mag=2.5)]
    second.preferred_magnitude_id = second.magnitudes[1].resource_id
    catalogue.write(str(folder / "catalog.xml"), "QUAKEML")
    return folder


@pytest.fixture
def experiment(tmp_path: Path, events: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentFile:
    monkeypatch.setenv("FOLDER_OF_EVENTS", str(events))
    path = tmp_path / "recorded.toml"
    path.write_text(TEXT)
    return read_experiment(path)


def with_section(experiment: ExperimentFile, section: str, **values: object) -> ExperimentFile:
    changed = {**experiment.settings, section: {**experiment.settings[section], **values}}
    return replace(experiment, settings=changed)


def test_records_stand_in_the_experiments_order_of_stations(experiment: ExperimentFile, tmp_path: Path) -> None:
    turned = replace(experiment, stations=experiment.stations[::-1])
    straight = read_recorded(experiment, tmp_path / "a", bursts.SETTINGS).test
    other = read_recorded(turned, tmp_path / "b", bursts.SETTINGS).test
    assert [record.name for record in straight] == [f"e{TRAIN}", f"e{TRAIN + 1}"]
    np.testing.assert_array_equal(straight[0].data, other[0].data[:, ::-1])
    assert straight[0].data.shape == (3, bursts.STATIONS, bursts.SAMPLES)
    assert straight[0].data.dtype == np.float32
    assert straight[0].valid.all()
    assert straight[0].rate_hz == bursts.RATE
    assert straight[0].origin_s == pytest.approx(bursts.ORIGIN_S, abs=0.5 / bursts.RATE)
    x, y, depth = straight[0].truth.local(bursts.network().frame)
    np.testing.assert_allclose([x, y, depth], bursts.places(TRAIN + TEST)[TRAIN], atol=1e-3)


def test_held_out_events_are_drawn_once_and_kept_in_the_run_folder(experiment: ExperimentFile, tmp_path: Path) -> None:
    sets = read_recorded(experiment, tmp_path / "run", bursts.SETTINGS)
    names = [[record.name for record in part] for part in (sets.train, sets.held_out)]
    assert [len(part) for part in names] == [TRAIN - 2, 2]
    assert sorted(names[0] + names[1]) == [f"e{k}" for k in range(TRAIN)]
    assert (tmp_path / "run" / HELD_OUT_FILE).read_text().split() == names[1]
    elsewhere = read_recorded(replace(experiment, seed=4), tmp_path / "run", bursts.SETTINGS)
    assert [record.name for record in elsewhere.held_out] == names[1]
    with pytest.raises(SettingError, match="6 of 6 training events leaves none"):
        _ = read_recorded(with_section(experiment, "recorded", held_out=6), tmp_path / "x", bursts.SETTINGS).train


def test_magnitudes_come_from_the_catalogue_where_it_has_them(experiment: ExperimentFile, tmp_path: Path) -> None:
    sets = read_recorded(experiment, tmp_path, bursts.SETTINGS)
    found = {record.name: record.truth.magnitude for record in (*sets.train, *sets.held_out)}
    assert found["e1"] == 2.5
    assert np.isnan([value for name, value in found.items() if name != "e1"]).all()


def test_a_catalogue_that_obspy_cannot_read_gives_no_magnitudes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "catalog.xml").write_text("<other/>")
    assert read_magnitudes(tmp_path / "catalog.xml") == {}
    assert "no magnitudes read" in capsys.readouterr().err


def test_short_records_are_filled_up_with_samples_that_are_not_valid(
    experiment: ExperimentFile, tmp_path: Path
) -> None:
    longer = with_section(experiment, "recorded", samples=bursts.SAMPLES + 100)
    record = read_recorded(longer, tmp_path, bursts.SETTINGS).test[0]
    assert record.data.shape[-1] == record.valid.shape[-1] == bursts.SAMPLES + 100
    assert not record.valid[..., -100:].any()
    assert not record.data[..., -100:].any()
    shorter = with_section(experiment, "recorded", samples=500)
    assert read_recorded(shorter, tmp_path, bursts.SETTINGS).test[0].data.shape[-1] == 500


def test_a_record_ends_where_another_events_begins() -> None:
    valid = np.ones((3, 2, 100), bool)
    valid[..., 20:50] = valid[..., 80:90] = False
    valid[:, 1, 50:55] = False  # a gap of one station ends nothing
    data = np.where(valid, np.arange(100.0), 0.0)
    block = TraceBlock(np.arange(2), data, valid, 10.0, 1000.0)
    event = RecordedEvent(Trigger("o", 1006.0, "x/e", 36.0, -97.0, 5.0), block)
    record = record_of(event, 1.5)
    np.testing.assert_array_equal(record.data[0, 0], np.arange(50.0, 80.0))
    assert (record.name, record.origin_s, record.truth.magnitude) == ("e", 1.0, 1.5)
    assert record_of(event, 1.5, 12).data[0, 0, -1] == 61.0
    outside = replace(event, trigger=replace(event.trigger, time=1003.0))
    assert record_of(outside, 1.5).data.shape[-1] == 100


def test_what_is_before_the_first_break_is_quiet(experiment: ExperimentFile, tmp_path: Path) -> None:
    sets = read_recorded(experiment, tmp_path, bursts.SETTINGS)
    quiet = {record.name: record.quiet_s - record.origin_s for record in (*sets.train, *sets.held_out)}
    assert quiet["e0"] == pytest.approx(2.5 - PICK_GUARD_S, abs=1e-6)  # the earliest P; the S pick is no first break
    assert quiet["e1"] == pytest.approx(-ORIGIN_GUARD_S, abs=1e-6)


def test_what_is_wrong_with_the_folder_is_said_at_once(
    experiment: ExperimentFile, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(changed: ExperimentFile) -> str:
        with pytest.raises(InputError) as caught:
            read_recorded(changed, tmp_path / "run", bursts.SETTINGS)
        return str(caught.value)

    assert "there is no folder /nowhere" in refused(with_section(experiment, "recorded", folder="/nowhere"))
    without = {key: value for key, value in experiment.settings.items() if key != "recorded"}
    assert "there is no section recorded" in refused(replace(experiment, settings=without))
    more = (*experiment.stations, dataclasses.replace(experiment.stations[0], code="ELSE"))
    assert "lacks XX.ELSE" in refused(replace(experiment, stations=more))
    monkeypatch.delenv("FOLDER_OF_EVENTS")
    assert "needs the environment variable FOLDER_OF_EVENTS" in refused(experiment)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "stations.xml").write_bytes((events / "stations.xml").read_bytes())
    (empty / "catalog.xml").write_text('<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"></q:quakeml>')
    with pytest.raises(EventFileError, match="holds no origin"):
        read_recorded(with_section(experiment, "recorded", folder=str(empty)), tmp_path / "run", bursts.SETTINGS)


def test_an_experiment_of_another_sampling_rate_is_refused(experiment: ExperimentFile, tmp_path: Path) -> None:
    other = with_section(experiment, "records", sampling_rate_hz=10.0)
    with pytest.raises(SettingError, match=r"records\.sampling_rate_hz is 10, .* has 20 Hz"):
        _ = read_recorded(other, tmp_path, bursts.SETTINGS).train


def test_noise_has_the_level_of_each_station_and_never_repeats(experiment: ExperimentFile, tmp_path: Path) -> None:
    train = read_recorded(experiment, tmp_path, bursts.SETTINGS).train
    loud = np.where(np.arange(bursts.STATIONS) == 3, 10.0, 1.0).astype(np.float32)[:, None]
    noise = RecordedNoise([replace(record, data=record.data * loud) for record in train])
    rng = np.random.default_rng(0)
    drawn = noise.draw(rng, 4000)
    assert drawn.shape == (3, bursts.STATIONS, 4000)
    assert drawn.dtype == np.float32
    level = 100.0 * bursts.COUNT * loud[:, 0]  # the noise of the records has unit variance, in hundreds of counts
    np.testing.assert_allclose(drawn.std(axis=-1), np.tile(level, (3, 1)), rtol=0.35)
    half = drawn[..., :2000] / drawn[..., :2000].std(axis=-1, keepdims=True)
    rest = drawn[..., 2000:] / drawn[..., 2000:].std(axis=-1, keepdims=True)
    assert np.abs((half * rest).mean(axis=-1)).max() < 0.2
    assert not np.array_equal(noise.draw(rng, 4000), drawn)
    np.testing.assert_array_equal(noise.draw(np.random.default_rng(0), 4000), drawn)


def test_noise_takes_nothing_after_the_first_break(experiment: ExperimentFile, tmp_path: Path) -> None:
    def spoilt(record):
        data = record.data.copy()
        data[..., int(record.quiet_s * record.rate_hz) :] = 1.0
        return replace(record, data=data)

    train = read_recorded(experiment, tmp_path, bursts.SETTINGS).train
    one, other = RecordedNoise(train), RecordedNoise([spoilt(record) for record in train])
    draws = [noise.draw(np.random.default_rng(1), 500) for noise in (one, other)]
    np.testing.assert_array_equal(*draws)


def test_stations_and_components_without_noise_stay_zero(experiment: ExperimentFile, tmp_path: Path) -> None:
    train = read_recorded(experiment, tmp_path, bursts.SETTINGS).train
    dead = np.arange(bursts.STATIONS) == 4
    without = [record.without(dead) for record in train]
    for record in without:
        record.valid[1:, 5], record.data[1:, 5] = False, 0.0
    noise = RecordedNoise(without)
    drawn = noise.draw(np.random.default_rng(2), 800)
    assert not drawn[:, 4].any()
    assert not drawn[1:, 5].any()
    assert drawn[0, 5].std() > 0
    np.testing.assert_array_equal(noise.live, ~dead)
    with pytest.raises(SettingError, match=r"before its first break; set augmentation\.recorded_noise to 0"):
        RecordedNoise([replace(record, quiet_s=1.0) for record in train])


@pytest.mark.shared
def test_records_of_newberry_begin_two_seconds_before_the_origin(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER_OF_EVENTS", str(few_events(shared_data / "newberry", tmp_path / "newberry", 5)))
    path = tmp_path / "newberry.toml"
    text = TEXT.replace("sampling_rate_hz = 20.0", "sampling_rate_hz = 250.0")
    for old, new in (("35.7", "43.7"), ("36.3", "43.76"), ("-97.4", "-121.34"), ("-96.6", "-121.28")):
        text = text.replace(old, new)
    path.write_text(text)
    settings = Preprocessing(50.0, (5.0, 20.0), 4, False, 0.5, "constant", "velocity", 400, 1.0, "none", 1e6)
    sets = read_recorded(read_experiment(path), tmp_path / "run", settings)
    assert [len(sets.train), len(sets.held_out)] == [3, 2]
    for record in (*sets.train, *sets.held_out):
        assert record.origin_s == pytest.approx(2.0, abs=0.01)
        assert 1.8 < record.quiet_s < 4.0
        assert np.isnan(record.truth.magnitude)
        assert record.live.sum() >= 5
        p_side = record.data[0, record.live]
        quiet = int(record.quiet_s * record.rate_hz)
        assert np.median(np.abs(p_side[:, quiet:]).max(axis=1) / p_side[:, :quiet].std(axis=1)) > 5
    noise = RecordedNoise(sets.train)
    drawn = noise.draw(np.random.default_rng(0), 2501)
    assert np.all(drawn[:, noise.live].std(axis=-1).max(axis=0) > 0)
    assert drawn.std() < max(np.abs(record.data).max() for record in sets.train)


def few_events(source: Path, folder: Path, count: int) -> Path:
    """A folder with links to the first ``count`` training events of ``source``; no event of the test is in it."""
    rows = (source / "split.csv").read_text().split()
    chosen = [row for row in rows if row.endswith(",train")][:count]
    (folder / "waveforms").mkdir(parents=True)
    for name in ("catalog.xml", "stations.xml"):
        (folder / name).symlink_to(source / name)
    for row in chosen:
        name = f"{row.split(',')[0]}.mseed"
        (folder / "waveforms" / name).symlink_to(source / "waveforms" / name)
    (folder / "split.csv").write_text("\n".join([rows[0], *chosen]) + "\n")
    return folder
