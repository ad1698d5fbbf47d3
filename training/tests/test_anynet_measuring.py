"""Models for any network on recorded events: the conditions, the figures, and the command on a small folder."""

import json
import shutil

import numpy as np
import pytest
from dlloc_training import __main__ as command_line
from dlloc_training.answers import Truth
from dlloc_training.anynet import measuring
from dlloc_training.anynet.disturbing import (
    Arrivals,
    Condition,
    arrivals_of,
    condition_of,
    disturbed,
    own_noise,
)
from dlloc_training.anynet.exporting import export, migration
from dlloc_training.experiments.report.document import to_markdown
from obspy import Stream, Trace, UTCDateTime

from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.model import load
from seiscomp_dlloc.records import Abstention, Hypocenter, ModelIdentity, Solution, Station, Trigger
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.traveltimes import LayeredTravelTimes
from seiscomp_dlloc.waveforms import open_source

from . import bursts

RATE, START = 20.0, 1e9
NAMES = ("XX.A", "XX.B", "XX.C", "XX.D", "XX.E")
P = {name: START + 10.0 + k for k, name in enumerate(NAMES)}
ARRIVALS = Arrivals(P, {name: time + 8.0 for name, time in P.items()})
LOUDNESS = dict(zip(NAMES, (400.0, 200.0, 100.0, 50.0, 25.0), strict=True))
IDENTITY = ModelIdentity("made", "1.0.0", "0" * 64, "CPUExecutionProvider")


def event(dead: str = "") -> Stream:
    """One minute at five stations: noise, and from P on something louder that does not end."""
    rng, stream = np.random.default_rng(1), Stream()
    time = START + np.arange(1200) / RATE
    for name in NAMES:
        for component in "ZNE":
            data = rng.normal(size=1200) * np.where(time >= P[name], LOUDNESS[name], 1.0) + 70.0
            header = dict(zip(("network", "station"), name.split("."), strict=True))
            header |= {"channel": f"HH{component}", "sampling_rate": RATE, "starttime": UTCDateTime(START)}
            stream.append(Trace(np.full(1200, 3.0) if name == dead else data, header))
    return stream


def made(stream: Stream, condition: str, **given) -> Stream:
    return disturbed(stream, condition_of(condition), ARRIVALS, **({"gains": {}, "event": "one"} | given))


def added(stream: Stream, condition: str, **given) -> dict[str, np.ndarray]:
    """What a condition adds, by channel."""
    before = {trace.id: trace.data for trace in stream}
    return {trace.id: trace.data - before[trace.id] for trace in made(stream, condition, **given)}


def signal(stream: Stream, name: str, seconds: float = 1.5) -> float:
    (trace,) = stream.select(station=name[3:], channel="HHZ")
    first = round((P[name] - START) * RATE)
    return float(np.std(trace.data[first : first + round(seconds * RATE)]))


def test_every_station_gets_the_ratio_asked_for():
    stream = event()
    noise = added(stream, "trace:0.7")
    for name in NAMES:
        for component in "ZNE":
            assert signal(stream, name) / np.std(noise[f"{name}..HH{component}"]) == pytest.approx(0.7, rel=1e-3)


def test_the_median_station_gets_the_ratio_and_all_the_same_noise():
    stream = event()
    levels = [np.std(values) for values in added(stream, "network:2").values()]
    assert levels == pytest.approx([signal(stream, "XX.C") / 2.0] * 15, rel=1e-3)


def test_the_same_noise_is_the_same_ground_motion_whatever_the_gains():
    stream = event()
    strong = {trace.id: 10.0 if trace.stats.station == "C" else 1.0 for trace in stream}
    for trace in stream.select(station="C"):
        trace.data = trace.data * 10.0
    noise = added(stream, "network:2", gains=strong)
    assert np.std(noise["XX.C..HHN"]) == pytest.approx(10.0 * np.std(noise["XX.A..HHZ"]), rel=1e-3)
    assert np.std(noise["XX.A..HHZ"]) == pytest.approx(signal(stream, "XX.C") / 10.0 / 2.0, rel=1e-3)


def test_the_signal_is_as_long_as_was_asked_for_and_ends_before_s():
    stream = event()
    assert np.std(added(stream, "trace:1", signal_s=0.3)["XX.B..HHZ"]) == pytest.approx(
        signal(stream, "XX.B", 0.3), rel=1e-3
    )
    assert ARRIVALS.signal_s == 1.5
    assert Arrivals(P, {name: time + 0.75 for name, time in P.items()}).signal_s == pytest.approx(0.3)


def test_noise_has_the_colour_of_the_channels_own():
    stream = event()
    (slow,) = stream.select(station="A", channel="HHZ")
    slow.data = slow.data + 5.0 * np.sin(2 * np.pi * 1.0 * np.arange(1200) / RATE)
    noise = added(stream, "trace:1")

    def low_share(values: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(values)) ** 2
        return float(power[np.fft.rfftfreq(values.size, 1 / RATE) < 2.5].sum() / power.sum())

    assert low_share(noise["XX.A..HHZ"]) > 0.8
    assert low_share(noise["XX.A..HHN"]) < 0.5


def test_own_noise_ends_before_the_first_p_and_is_never_too_short():
    (trace,) = event().select(station="A", channel="HHZ")
    assert own_noise(trace, P["XX.A"]).tolist() == trace.data[70:190].tolist()
    assert own_noise(trace, START + 1.0).tolist() == trace.data[:40].tolist()
    assert own_noise(trace, START - 1.0) is None
    assert own_noise(Trace(np.zeros(1200), trace.stats), P["XX.A"]) is None
    assert own_noise(Trace(np.where(np.arange(1200) > 900, np.nan, trace.data), trace.stats), P["XX.A"]) is None


def test_draws_belong_to_the_event_and_the_channel_alone():
    stream = event()
    first, again, other = (added(stream, "trace:1", event=name) for name in ("one", "one", "two"))
    half = added(stream, "trace:0.5")
    fewer = added(Stream([trace for trace in stream if trace.stats.station != "A"]), "trace:1")
    seeded = added(stream, "trace:1", seed=5)
    for channel, noise in first.items():
        assert np.array_equal(noise, again[channel])
        assert np.allclose(2.0 * noise, half[channel], atol=1e-9)
        assert abs(np.corrcoef(noise, other[channel])[0, 1]) < 0.3
        assert abs(np.corrcoef(noise, seeded[channel])[0, 1]) < 0.3
    assert all(np.array_equal(noise, first[channel]) for channel, noise in fewer.items())
    channels = list(first)
    assert abs(np.corrcoef(first[channels[0]], first[channels[1]])[0, 1]) < 0.3


def test_what_was_given_is_not_changed():
    stream = event()
    before = [trace.data.copy() for trace in stream]
    made(stream, "stations:3+network:1")
    assert len(stream) == 15
    assert all(np.array_equal(trace.data, data) for trace, data in zip(stream, before, strict=True))
    assert made(stream, "clean") is stream


def test_a_dead_channel_stays_dead_and_one_without_noise_goes():
    stream = event(dead="XX.B")
    for trace in stream.select(station="C"):
        trace.trim(UTCDateTime(START + 11.0))
    noise = added(stream, "trace:1")
    assert not noise["XX.B..HHZ"].any()
    assert not [channel for channel in noise if channel.startswith("XX.C")]


def test_a_station_without_a_vertical_gets_the_median_noise():
    stream = Stream([trace for trace in event() if trace.id != "XX.E..HHZ"])
    middle = (signal(stream, "XX.B") + signal(stream, "XX.C")) / 2.0
    assert np.std(added(stream, "trace:1")["XX.E..HHN"]) == pytest.approx(middle, rel=1e-3)
    with pytest.raises(EventError, match="vertical"):
        made(Stream([trace for trace in stream if trace.stats.channel != "HHZ"]), "trace:1")


def stations_in(stream: Stream) -> set[str]:
    return {trace.stats.station for trace in stream}


def test_so_many_stations_are_left_the_fewer_among_the_more():
    stream = event(dead="XX.B")
    two, three, four, nine = (made(stream, f"stations:{count}") for count in (2, 3, 4, 9))
    assert stations_in(two) < stations_in(three) < stations_in(four) == stations_in(nine) == set("ACDE")
    assert len(three) == 9
    assert stations_in(made(stream, "stations:2")) == stations_in(two)
    assert len({frozenset(stations_in(made(stream, "stations:2", event=str(k)))) for k in range(9)}) > 1


def test_conditions_are_joined_in_order():
    stream = event()
    noisy = made(stream, "stations:3+trace:1")
    assert stations_in(noisy) == stations_in(made(stream, "stations:3"))
    alone = made(stream, "trace:1")
    for trace in noisy:
        assert np.array_equal(trace.data, alone.select(id=trace.id)[0].data)


def test_a_condition_has_one_name():
    assert condition_of("stations:10+network:1.50").name == "stations:10+network:1.5"
    assert condition_of("clean") == Condition() == condition_of(Condition().name)


@pytest.mark.parametrize(
    "name",
    ["", "dirty", "trace", "trace:", "trace:0", "trace:-1", "trace:nan", "trace:inf", "network:x", "stations:2.5",
     "stations:0", "clean+trace:1", "trace:1+network:1", "trace:1+trace:2", "stations:3+"],
)  # fmt: skip
def test_other_conditions_are_refused(name):
    with pytest.raises(SettingError, match=r"known are clean, trace:SNR"):
        condition_of(name)


def test_arrivals_are_those_of_the_earth_model():
    stations = (Station("XX", "A", 36.0, -97.0), Station("XX", "B", 36.0, -97.0, 2000.0))
    trigger = Trigger("o", START, "e", 36.0, -97.0, 6.0)
    found = arrivals_of(trigger, stations, LayeredTravelTimes([0.0], [6.0], [3.0]))
    assert [found.p["XX.A"] - START, found.p["XX.B"] - START] == pytest.approx([1.0, 8.0 / 6.0], abs=1e-5)
    assert found.s["XX.A"] - START == pytest.approx(2.0, abs=1e-5)
    with pytest.raises(ValueError, match="no hypocentre"):
        arrivals_of(Trigger("o", START), stations, LayeredTravelTimes([0.0], [6.0], [3.0]))


# Figures of made-up answers


def answered(errors, accepted, sigma_km=1.0, condition="clean", model="made"):
    """Solutions off by (east, north, down, late) from events on a line; None fails."""
    net, solutions = bursts.network(), []
    for k, (error, stands) in enumerate(zip(errors, accepted, strict=True)):
        trigger = Trigger("o", 1000.0 * k, f"smi:local/event/e{k}")
        if error is None:
            solutions.append(Solution(trigger, IDENTITY, abstention=Abstention("no waveforms")))
            continue
        east, north, down, late = error
        latitude, longitude = net.frame.to_geographic(3.0 * k + east, north)
        place = Hypocenter(
            float(latitude), float(longitude), 5.0 + down, np.eye(3) * sigma_km**2, 1000.0 * k + late, 0.2
        )
        solutions.append(
            Solution(trigger, IDENTITY, place, None, abstention=None if stands else Abstention("low peak"))
        )
    return measuring.Answered(condition, model, tuple(solutions), (0.5, 1.5, 1.0, 1.0))


def truth(count=4):
    k = np.arange(float(count))
    return Truth(3.0 * k, np.zeros(count), np.full(count, 5.0), 1000.0 * k)


ERRORS = ((3.0, 4.0, -2.0, 0.1), (0.0, 1.0, 1.0, -0.2), (0.0, 0.0, 0.0, 0.6), None)
STANDS = (False, True, True, False)
QUICK = measuring.Settings(resamples=50)


@pytest.fixture(scope="module")
def result():
    return measuring.result(answered(ERRORS, STANDS), truth(), bursts.network(), QUICK)


def test_figures_are_of_all_answers_and_of_those_it_stands_by(result):
    assert result.count == 4
    assert (result.abstained, result.failed) == ({"low peak": 1}, {"no waveforms": 1})
    every, trusted = result.answers, result.accepted
    assert every.row.epicentre.mean.value == pytest.approx(2.0, abs=1e-4)
    assert trusted.row.epicentre.mean.value == pytest.approx(0.5, abs=1e-4)
    assert every.row.epicentre.median.value == pytest.approx(1.0, abs=1e-4)
    assert every.row.depth_mae.value == pytest.approx(1.0)
    assert every.time_s.value == pytest.approx(0.2)
    assert trusted.time_s.value == pytest.approx(0.4)
    assert [item.share.value for item in every.row.horizontal] == pytest.approx([2 / 3, 2 / 3])
    assert [item.share.value for item in trusted.row.horizontal] == [1.0, 1.0]
    assert result.seconds == 1.0


def test_each_events_answer_is_kept(result):
    first, _, _, failed = result.events
    assert [first[key] for key in ("east_km", "north_km", "depth_km", "time_s")] == pytest.approx(
        [3.0, 4.0, -2.0, 0.1], abs=1e-4
    )
    assert (first["event"], first["accepted"], first["reason"], first["seconds"]) == ("e0", False, "low peak", 0.5)
    assert first["covariance_km2"] == np.eye(3).tolist()
    assert failed["reason"] == "no waveforms"
    assert np.isnan(failed["east_km"])


def test_origin_times_that_mean_nothing_are_left_out():
    settings = measuring.Settings(resamples=50, times=False)
    found = measuring.result(answered(ERRORS, STANDS), truth(), bursts.network(), settings)
    assert found.answers.time_s is None
    assert found.answers.row.time_mae is None
    assert {item["time_s"] for item in found.events} == {None}


def test_the_tables_hold_the_figures(result):
    other = measuring.result(
        answered((None,) * 4, (False,) * 4, condition="trace:1", model="mute"), truth(), bursts.network(), QUICK
    )
    text = to_markdown(measuring.document(measuring.Measured("Title", {"date": "today"}, (result, other), ())))
    assert "## clean" in text
    assert "## trace:1" in text
    every, trusted = (line for line in text.splitlines() if line.startswith("| made, "))
    assert every.startswith("| made, all answers | 4 | 2 | 1 | 1 | 2.00 [")
    assert every.endswith("| 0.20 | 67 % / 67 % | 1.00 |")
    assert trusted.startswith("| made, accepted answers | 4 | 2 | 1 | 1 | 0.50 [")
    assert trusted.endswith("| 0.40 | 100 % / 100 % | - |")
    assert "made abstained: 1 low peak." in text
    assert "| mute, all answers | 4 | 0 | 0 | 4 | - | - | - | - | - | - | 1.00 |" in text
    assert "mute failed: 4 no waveforms." in text


# On a folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("events")
    bursts.write_folder(path, 6, 4)
    (path / "earth.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,6.0,3.5\n")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "made.onnx"
    export(path, *migration("1.0.0", {}, {}))
    return path


@pytest.fixture(scope="module")
def measured(folder, model, tmp_path_factory):
    """The command's two files: the same model twice, four events, two conditions."""
    out = tmp_path_factory.mktemp("out") / "deep" / "er"
    twin = model.with_name("twin.onnx")
    shutil.copy(model, twin)
    status = command_line.main(
        ["anynet", "measure", "--data", str(folder), "--model", str(model), str(twin), "--earth-model",
         str(folder / "earth.csv"), "--conditions", "clean", "stations:6+trace:3", "-o", str(out)]
    )  # fmt: skip
    assert status == 0
    return json.loads((out / "measured.json").read_text()), (out / "measured.md").read_text()


def of(measured, condition):
    return [item for item in measured[0]["results"] if item["condition"] == condition]


def test_the_command_finds_the_events(measured):
    first, _ = of(measured, "clean")
    assert [item["event"] for item in first["events"]] == ["e6", "e7", "e8", "e9"]
    errors = [np.hypot(item["east_km"], item["north_km"]) for item in first["events"]]
    assert max(errors) < 4.0
    assert first["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(np.mean(errors))
    assert max(abs(item["time_s"]) for item in first["events"]) < 1.0
    assert {item["stations"] for item in first["events"]} == {bursts.STATIONS}


def test_two_models_get_the_same_draws(measured):
    one, two = of(measured, "stations:6+trace:3")
    assert (one["name"], two["name"]) == ("migration 1.0.0 (made)", "migration 1.0.0 (twin)")
    for first, second in zip(one["events"], two["events"], strict=True):
        assert first | {"seconds": 0} == second | {"seconds": 0}
        assert first["stations"] == 6
    clean, _ = of(measured, "clean")
    assert all(a["east_km"] != b["east_km"] for a, b in zip(one["events"], clean["events"], strict=True))


def test_the_baselines_stand_beside_them(measured):
    mean, nearest = of(measured, "")
    where = bursts.places(10)
    train, test = where[:6, :2], where[6:, :2]
    away = np.hypot(*(test - train.mean(axis=0)).T)
    assert (mean["name"], nearest["name"]) == ("training mean", "nearest training event")
    assert mean["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(away.mean(), rel=1e-3)
    closest = np.min(np.hypot(*(test[:, None] - train).transpose(2, 0, 1)), axis=1)
    assert nearest["answers"]["row"]["epicentre"]["mean"]["value"] == pytest.approx(closest.mean(), rel=1e-3)
    assert measured[1].count("| training mean | 4 | - | - | - |") == 2


def test_an_undisturbed_event_is_located_as_the_plugin_locates_it(folder, model, measured):
    settings = measuring.Settings()
    (trigger, *_), earth = measuring.open_events(folder, settings).chosen, read_earth_model(folder / "earth.csv")
    opened, inventory = load(model, threads=1), read_inventory(folder / "stations.xml")
    stream = (
        open_source(str(folder / "waveforms")).get_waveforms(["XX.*.*.*"], *required_window(trigger, opened.passport))
    ).stream
    (located,) = Locator(opened, inventory, Options(), earth).run([Job(trigger, stream)])
    x, y = bursts.network().frame.to_local(located.solution.hypocenter.latitude, located.solution.hypocenter.longitude)
    row, place = of(measured, "clean")[0]["events"][0], measured[0]["events"][0]
    assert (row["east_km"], row["north_km"]) == (float(x) - place["x_km"], float(y) - place["y_km"])
    assert row["peak"] == located.solution.peak


def test_every_second_event_and_events_without_a_split(folder, tmp_path):
    assert len(measuring.open_events(folder, measuring.Settings(every=2)).chosen) == 2
    training = measuring.open_events(folder, measuring.Settings(split="train"))
    assert (len(training.chosen), training.training) == (6, ())
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "split.csv").unlink()
    every = measuring.open_events(bare, measuring.Settings())
    assert (len(every.chosen), every.training) == (10, ())
    assert measuring.baselines(every, QUICK) == ()


def test_folders_that_cannot_be_measured_on_are_refused(folder, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "split.csv").write_text("event,split\ne0,train\n")
    with pytest.raises(SettingError, match="no test event"):
        measuring.open_events(bare, measuring.Settings())
    text = (folder / "catalog.xml").read_text()
    depth = text[text.index("<depth>") : text.index("</depth>") + len("</depth>")]
    (bare / "catalog.xml").write_text(text.replace(depth, "", 1))
    with pytest.raises(SettingError, match="e0 has no hypocentre"):
        measuring.open_events(bare, measuring.Settings())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--conditions", "louder"], "condition louder"),
        (["--every", "0"], "--every"),
        (["--signal", "-1"], "--signal"),
        (["--earth-model", "mars"], "earth model mars"),
        (["--corrections", "nothing.json"], "nothing.json"),
        (["--model", "nothing.onnx"], "nothing.onnx"),
        (["--model", "oklahoma-fcn-slim"], "belongs to one network"),
        (["--data", "nowhere"], "nowhere"),
        (["--output", "FILE"], "cannot be made"),
    ],
)
def test_wrong_arguments_are_named(folder, model, tmp_path, capsys, given, said):
    (tmp_path / "file").write_text("")
    usual = ["--data", str(folder), "--model", str(model), "-o", str(tmp_path / "out")]
    given = [str(tmp_path / "file") if item == "FILE" else item for item in given]
    assert command_line.main(["anynet", "measure", *usual, *given]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
