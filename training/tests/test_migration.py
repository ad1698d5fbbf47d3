import numpy as np
import pytest
from dlloc_training.migration import WEIGHT, Migration, onset_functions, stack
from dlloc_training.onsets import energy_ratio, log_ratios

from seiscomp_dlloc.records import Conditioned

from . import bursts


def test_the_ratio_stands_at_the_onset():
    events = bursts.known(1)
    onset = bursts.ORIGIN_S + bursts.MODEL.times("P", events.network.distances(events.hypocentre_km[0]))
    ratio = np.nan_to_num(energy_ratio(events.conditioned[0], "P"), nan=0.0)
    near = np.abs(np.arange(bursts.SAMPLES) / bursts.RATE - onset[:, None]) < 2.0
    peak = np.argmax(np.where(near, ratio, 0.0), axis=-1) / bursts.RATE
    assert np.max(np.abs(peak - onset)) < 0.35


def test_what_is_not_observed_has_no_ratio():
    events = bursts.known(1, dead=4)
    for function in log_ratios(events.conditioned[0]):
        assert np.isnan(function[4]).all()
        assert np.isnan(function[0, -1])  # no short window begins at the last sample
        assert np.isfinite(function[0, 400])
    assert not onset_functions(events.conditioned[0])[:, 4].any()
    assert onset_functions(events.conditioned[0])[:, 3].max() == pytest.approx(WEIGHT)


def test_stack_adds_what_stands_at_the_predicted_times():
    functions = np.zeros((2, 2, 100))
    functions[0, 0, 30], functions[0, 1, 50], functions[1, 1, 70] = 1.0, 2.0, 4.0
    times = np.array([[[1.0, 2.0]], [[0.0, 3.0]]])  # (phase, node, station)
    sums = stack(functions, 20.0, times, np.array([0.5, 0.55, 40.0]))
    assert sums[0].tolist() == [7.0, 0.0, 0.0]


def test_events_are_found():
    events = bursts.known(6, dead=2)
    net = events.network
    locator = Migration(bursts.MODEL, net, net.box(10.0), 5.0, 2.0)
    for k in range(len(events)):
        found = locator.locate(onset_functions(events.conditioned[k]), bursts.RATE, 10.0, 30.0)
        assert np.hypot(*(np.array([found.x_km, found.y_km]) - events.hypocentre_km[k, :2])) < 1.5
        assert found.time_s == pytest.approx(bursts.ORIGIN_S, abs=0.4)


def test_the_origin_time_stays_within_its_bounds():
    events = bursts.known(1)
    net = events.network
    locator = Migration(bursts.MODEL, net, net.box(10.0))
    found = locator.locate(onset_functions(events.conditioned[0]), bursts.RATE, 30.0, 40.0)
    assert found.time_s > 30.0 - 3.0 * 1.2  # each of three rounds may move by its reach


def test_silence_is_no_event():
    events = bursts.known(1)
    silent = Conditioned(
        np.zeros_like(events.conditioned[0].data), np.ones_like(events.conditioned[0].valid), bursts.RATE, 0.0
    )
    locator = Migration(bursts.MODEL, events.network, events.network.box(10.0))
    assert locator.locate(onset_functions(silent), bursts.RATE, 0.0, 10.0) is None
