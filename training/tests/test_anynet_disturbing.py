"""Recorded events made harder, and the names of what is done to them."""

import numpy as np
import pytest
from dlloc_training.anynet.conditions import Condition, condition_of, scaled_earth
from dlloc_training.anynet.disturbing import Arrivals, arrivals_of, disturbed, own_noise
from obspy import Stream, Trace, UTCDateTime

from seiscomp_dlloc.errors import EventError, SettingError
from seiscomp_dlloc.records import Station, Trigger
from seiscomp_dlloc.traveltimes import LayeredTravelTimes, from_passport

RATE, START = 20.0, 1e9
NAMES = ("XX.A", "XX.B", "XX.C", "XX.D", "XX.E")
P = {name: START + 10.0 + k for k, name in enumerate(NAMES)}
ARRIVALS = Arrivals(P, {name: time + 8.0 for name, time in P.items()})
LOUDNESS = dict(zip(NAMES, (400.0, 200.0, 100.0, 50.0, 25.0), strict=True))


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


# Stations taken away, clocks, peaks, earths


def test_so_many_stations_go_the_fewer_among_the_more():
    stream = event(dead="XX.B")
    one, two, all_gone = (made(stream, f"removed:{count}") for count in (1, 2, 4))
    assert stations_in(two) < stations_in(one) < set("ACDE")
    assert (len(stations_in(one)), len(stations_in(two)), len(all_gone)) == (3, 2, 0)
    assert stations_in(made(stream, "removed:1")) == stations_in(one)


def test_clocks_of_one_station_in_five_are_wrong_by_all_its_channels():
    stream = event()
    for number in range(6):
        shifted = made(stream, "shifted:1.5", event=str(number))
        moves = {}
        for trace, before in zip(shifted, stream, strict=True):
            assert np.array_equal(trace.data, before.data)
            moves.setdefault(trace.stats.station, set()).add(trace.stats.starttime - before.stats.starttime)
        wrong = [values for values in moves.values() if values != {0.0}]
        assert len(wrong) == 1
        assert wrong[0] in ({1.5}, {-1.5})
    assert all(trace.stats.starttime.timestamp == START for trace in stream)
    seen = {
        (trace.stats.station, trace.stats.starttime.timestamp - START)
        for number in range(30)
        for trace in made(stream, "shifted:1", event=str(number))
        if trace.stats.starttime.timestamp != START
    }
    assert {sign for _, sign in seen} == {1.0, -1.0}
    assert len({name for name, _ in seen}) > 2


def test_the_shift_grows_at_the_same_stations():
    stream = event()
    one, three = (made(stream, f"shifted:{seconds}") for seconds in (1, 3))
    for a, b, before in zip(one, three, stream, strict=True):
        start = before.stats.starttime
        assert 3.0 * (a.stats.starttime - start) == b.stats.starttime - start


def peak(stream: Stream, channel: str) -> float:
    """Largest value about the mean from P to as long after S."""
    (trace,) = stream.select(id=channel)
    first = round((P[channel[:4]] - START) * RATE)
    return float(np.max(np.abs(trace.data[first : first + round(16.0 * RATE)] - trace.data.mean())))


def test_noise_is_raised_until_every_channels_peak_is_the_given_ratio_to_it():
    stream = event()
    noise = added(stream, "peak:2")
    for trace in stream:
        own = np.var(own_noise(trace, P["XX.A"]))
        assert peak(stream, trace.id) / np.sqrt(np.var(noise[trace.id]) + own) == pytest.approx(2.0, rel=1e-3)


def test_what_is_noisy_enough_gets_no_noise():
    stream = event()
    loudest, faintest = peak(stream, "XX.A..HHZ"), peak(stream, "XX.E..HHZ")
    (trace,) = stream.select(id="XX.E..HHZ")
    ratio = faintest / np.std(own_noise(trace, P["XX.A"]))
    noise = added(stream, f"peak:{1.01 * ratio:g}")
    assert not noise["XX.E..HHZ"].any()
    assert noise["XX.A..HHZ"].any()
    assert loudest > faintest
    short = Stream([trace.slice(UTCDateTime(START + 30.0)) for trace in stream])
    with pytest.raises(EventError, match="no record of P"):
        made(short, "peak:1")


LAYERS = {"kind": "layers", "name": "two", "layers": [{"top_km": 0.0, "vp_km_s": 5.0, "vs_km_s": 2.9},
                                                      {"top_km": 4.0, "vp_km_s": 6.5, "vs_km_s": 3.7}]}  # fmt: skip


def test_a_faster_earth_has_shorter_times_and_the_same_layers():
    fast = scaled_earth(LAYERS, 10.0)
    distance = np.array([0.0, 5.0, 30.0, 120.0])
    for phase in ("P", "S"):
        slow_s, fast_s = (from_passport(earth).times(phase, distance, 8.0) for earth in (LAYERS, fast))
        assert slow_s / fast_s == pytest.approx(np.full(4, 1.1))
    assert fast["name"] == "two +10 %"
    assert [layer["top_km"] for layer in fast["layers"]] == [0.0, 4.0]
    assert scaled_earth(LAYERS, 0.0) is LAYERS
    assert LAYERS["layers"][0]["vp_km_s"] == 5.0
    with pytest.raises(SettingError, match="iasp91"):
        scaled_earth({"kind": "taup", "name": "iasp91"}, -10.0)


def test_a_condition_of_the_earth_leaves_the_waveforms_alone():
    condition = condition_of("velocity:-10+stations:3")
    assert (condition.velocity_percent, condition.waveforms.name) == (-10.0, "stations:3")
    assert condition_of("velocity:10").name == "velocity:+10"
    assert condition_of("stations:3+velocity:+10").name == "stations:3+velocity:+10"
    assert condition_of("clean").velocity_percent == 0.0
    stream = event()
    assert made(stream, "velocity:+10") is stream


@pytest.mark.parametrize(
    "name",
    ["velocity:0", "velocity:60", "velocity:-51", "velocity:x", "shifted:0", "shifted:-1", "removed:1.5", "peak:0",
     "removed:1+stations:3", "peak:1+trace:1", "velocity:+5+velocity:-5", "shifted:1+shifted:2"],
)  # fmt: skip
def test_other_conditions_of_these_sorts_are_refused(name):
    with pytest.raises(SettingError, match=r"known are clean, trace:SNR"):
        condition_of(name)
