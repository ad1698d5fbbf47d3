"""The anchor of the window."""

import numpy as np
import pytest
from lxml import etree
from obspy import UTCDateTime, read
from obspy.core.inventory import read_inventory
from streamsamples import T0, settings

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import NoEventFound
from seiscomp_dlloc.firstbreak import first_break, sta_lta, window_sum
from seiscomp_dlloc.preprocess import band_pass, condition
from seiscomp_dlloc.records import Conditioned, Pick, Station, Trigger
from seiscomp_dlloc.traces import collect_for

RATE = 20.0


def noise(stations: int, samples: int, seed: int) -> np.ndarray:
    from scipy import signal

    x = np.random.default_rng(seed).normal(size=(3, stations, samples + 400))
    return signal.sosfilt(band_pass((2.0, 8.0), 4, RATE), x)[..., 400:]


def network(arrivals: list[float], snr: float = 30.0, samples: int = 3000, seed: int = 0) -> Conditioned:
    """Noise with a decaying P wave at each station, ``arrivals`` in s after the start."""
    x = noise(len(arrivals), samples, seed)
    t = np.arange(samples) / RATE
    wave = noise(len(arrivals), samples, seed + 1)
    for station, arrival in enumerate(arrivals):
        x[:, station] += wave[:, station] * snr * np.where(t >= arrival, np.exp(-(t - arrival).clip(0) / 6.0), 0.0)
    return Conditioned(x.astype(np.float32), np.ones(x.shape, bool), RATE, T0)


ARRIVALS = [50.0, 51.3, 52.0, 53.5, 54.1, 55.0, 57.2, 58.8]


def trigger(offset: float, *picks: float) -> Trigger:
    made = tuple(Pick(f"p{i}", T0 + p, "XX", "A") for i, p in enumerate(picks))
    return Trigger("origin", T0 + offset, picks=made)


def test_earliest_pick_is_the_anchor():
    anchor = first_break(network(ARRIVALS), trigger(49.0, 56.0, 51.5, 60.0))
    assert (anchor.time, anchor.method) == (T0 + 51.5, "pick")


def test_picks_outside_the_data_do_not_count():
    anchor = first_break(network(ARRIVALS), trigger(49.0, -3.0, 1000.0))
    assert anchor.method == "sta/lta"


@pytest.mark.parametrize("snr", [5.0, 30.0, 1000.0])
def test_network_finds_the_first_arrival(snr):
    anchor = first_break(network(ARRIVALS, snr), trigger(48.0))
    assert anchor.time - T0 == pytest.approx(50.0, abs=1.6 if snr < 10 else 0.5)
    assert anchor.stations >= 3


def test_anchor_does_not_move_with_the_trigger():
    c = network(ARRIVALS, 10.0)
    times = {first_break(c, trigger(48.0 + shift)).time for shift in (-5.0, -2.5, 0.0, 2.5, 5.0)}
    assert len(times) == 1


def test_stronger_event_beside_a_weak_early_one_is_chosen_whatever_the_time():
    c = network(ARRIVALS, 100.0)
    small = network([a - 14.0 for a in ARRIVALS], 6.0, seed=7)
    both = Conditioned(c.data + small.data, c.valid, RATE, T0)
    for shift in (-5.0, 0.0, 5.0):
        assert first_break(both, trigger(48.0 + shift)).time - T0 == pytest.approx(50.0, abs=1.0)


def test_glitch_at_one_station_is_no_event():
    c = network([1e6] * 8)
    data = c.data.copy()
    data[:, 2, 900:920] += 500.0
    with pytest.raises(NoEventFound, match="STA/LTA"):
        first_break(Conditioned(data, c.valid, RATE, T0), trigger(45.0))


def test_early_glitch_at_one_station_does_not_carry_the_anchor_away():
    c = network(ARRIVALS, 30.0)
    data = c.data.copy()
    data[:, 2, 760:770] += 100.0
    assert first_break(Conditioned(data, c.valid, RATE, T0), trigger(48.0)).time - T0 == pytest.approx(50.0, abs=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_event(seed):
    with pytest.raises(NoEventFound):
        first_break(network([1e6] * 30, seed=10 * seed), trigger(60.0))


@pytest.mark.parametrize("offset", [-200.0, 90.0, 500.0])
def test_event_outside_the_search_is_not_found(offset):
    with pytest.raises(NoEventFound):
        first_break(network(ARRIVALS), trigger(offset))


def test_stations_without_data_do_not_count():
    c = network(ARRIVALS)
    valid = c.valid.copy()
    valid[:, :2] = False
    valid[1:, 3] = False
    anchor = first_break(Conditioned(c.data * valid, valid, RATE, T0), trigger(48.0))
    assert anchor.time - T0 == pytest.approx(52.0, abs=0.5)


def test_two_stations_are_enough_where_there_are_only_two():
    c = network([50.0, 52.0])
    assert first_break(c, trigger(48.0)).time - T0 == pytest.approx(50.0, abs=0.5)


def brute(data: np.ndarray, valid: np.ndarray, short: int, long: int) -> np.ndarray:
    out = np.zeros(data.shape)
    for i in range(short, data.size):
        sta = slice(i - short + 1, i + 1)
        lta = slice(max(i - short - long + 1, 0), i - short + 1)
        if valid[sta].sum() >= short / 2 and valid[lta].sum() >= long / 2:
            out[i] = np.mean(data[sta][valid[sta]] ** 2) / np.mean(data[lta][valid[lta]] ** 2)
    return out


@pytest.mark.parametrize("gap", [None, (100, 130), (100, 260), (0, 300)])
def test_sta_lta_is_the_ratio_of_mean_energies(gap):
    x = np.random.default_rng(0).normal(size=600)
    valid = np.ones(600, bool)
    if gap:
        valid[slice(*gap)] = False
    found = sta_lta(x, RATE, 0.5, 5.0, valid)
    np.testing.assert_allclose(found, brute(x, valid, 10, 100), rtol=1e-12)


def test_sta_lta_of_many_channels_is_that_of_each():
    x = np.random.default_rng(0).normal(size=(2, 3, 500))
    valid = np.random.default_rng(1).random(x.shape) < 0.9
    found = sta_lta(x, RATE, valid=valid)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[index], sta_lta(x[index], RATE, valid=valid[index]))


def test_sta_lta_of_silence_and_of_short_records_is_zero():
    assert not sta_lta(np.zeros(500), RATE).any()
    assert not sta_lta(np.ones(8), RATE).any()


def test_window_sums_survive_a_huge_event_before_them():
    x = np.ones(1000)
    x[100] = 1e20
    for length in (1, 2, 7, 100, 999, 1000, 5000):
        sums = window_sum(x, length)
        later = np.arange(1000) > 100 + length
        np.testing.assert_array_equal(sums[later], np.minimum(np.arange(1000) + 1, length)[later])


@pytest.mark.shared
def test_oklahoma_anchors_do_not_move_with_the_trigger(shared_data):
    folder = shared_data / "oklahoma"
    index = ChannelIndex.from_inventory(read_inventory(str(folder / "stations.xml")))
    stations = tuple(Station("XX", f"S{i:02d}", 36.0, -97.0) for i in range(30))
    prefiltered = settings(prefiltered=True, warmup_s=0.0)
    steady, late = 0, []
    # Only the times are needed; ObsPy takes seconds to build 300 events
    events = list(etree.parse(str(folder / "catalog.xml")).iter("{*}event"))[::15]
    for event in events:
        time = UTCDateTime(event.findtext("{*}origin/{*}time/{*}value")).timestamp
        source = read(str(folder / "waveforms" / f"{event.get('publicID').rsplit('/', 1)[-1]}.mseed"))
        made = condition(collect_for(source, index, stations, prefiltered)[0], 30, prefiltered)
        times = [first_break(made, Trigger("origin", time + shift)).time for shift in (0.0, -5.0, 5.0)]
        steady += len(set(times)) == 1
        late.append(times[0] - time)
    assert steady >= 0.95 * len(events)
    # P needs 1 to 5 s to the nearest station
    assert np.mean((np.array(late) > -3.0) & (np.array(late) < 6.0)) > 0.9


def test_a_pick_that_the_trigger_does_not_use_is_no_anchor():
    conditioned = Conditioned(np.ones((3, 1, 400), np.float32), np.ones((3, 1, 400), bool), 20.0, 1000.0)
    picks = (Pick("a", 1003.0, "XX", "A", used=False), Pick("b", 1007.0, "XX", "A"))
    assert first_break(conditioned, Trigger("o", 1005.0, picks=picks)).time == 1007.0
