import numpy as np
import pytest
from dlloc_training import baselines
from dlloc_training.catalogue import load_events, read_stations
from dlloc_training.local import LocalNetwork

from seiscomp_dlloc.passport import Preprocessing

from . import bursts


@pytest.fixture(scope="module")
def parts():
    return bursts.known(14, seed=5), bursts.known(4, seed=9)


def test_calibration_finds_the_travel_times(parts):
    model = baselines.calibrate_on(parts[0])
    assert model.vp == pytest.approx(6.0, rel=0.03)
    assert model.vs == pytest.approx(3.5, rel=0.03)
    assert model.p_mad_s < 0.1


def test_the_training_mean_ignores_the_test_events(parts):
    train, test = parts
    baseline = baselines.training_mean(train, test)
    assert baseline.answers.shape == (4, 4)
    np.testing.assert_allclose(baseline.answers[0, :2], train.hypocentre_km[:, :2].mean(axis=0))
    assert np.all(baseline.answers[:, 2] == np.median(train.hypocentre_km[:, 2]))
    assert not baseline.has_time


def test_the_nearest_training_event_is_the_nearest(parts):
    train, test = parts
    answers = baselines.nearest_training_event(train, test).answers
    for k in range(len(test)):
        way = np.hypot(*(train.hypocentre_km[:, :2] - test.hypocentre_km[k, :2]).T)
        assert np.hypot(*(answers[k, :2] - test.hypocentre_km[k, :2])) == pytest.approx(way.min())


def test_migration_and_the_chain_locate_the_test_events(parts):
    train, test = parts
    model = baselines.calibrate_on(train)
    both = [baselines.migration(model, train, test), *baselines.conventional(model, train, test)]
    limits = {"STA/LTA migration": 1.5, "conventional chain, calibrated": 1.5, "conventional chain, iasp91": 4.0}
    assert [b.name for b in both] == list(limits)
    for baseline in both:
        errors = np.hypot(*(baseline.answers[:, :2] - test.hypocentre_km[:, :2]).T)
        assert errors.max() < limits[baseline.name]
        assert np.abs(baseline.answers[:2, 3]).max() < 1.0


def test_baselines_see_the_records_and_not_the_catalogue(parts):
    """Another catalogue epicentre of a test event changes no answer."""
    train, test = parts
    model = baselines.calibrate_on(train)
    moved = baselines.KnownEvents(test.network, test.conditioned, test.hypocentre_km + 30.0, test.origin_s)
    for method in (
        lambda events: [baselines.migration(model, train, events)],
        lambda events: baselines.conventional(model, train, events),
    ):
        for one, other in zip(method(test), method(moved), strict=True):
            np.testing.assert_array_equal(one.answers, other.answers)


@pytest.mark.slow
@pytest.mark.shared
def test_baselines_on_the_oklahoma_test_events(shared_data):
    """The figures that a model has to be measured against; bounds, where something is fitted."""
    folder = shared_data / "oklahoma"
    stations = read_stations(folder / "stations.xml")
    settings = Preprocessing(20.0, (2.0, 8.0), 4, True, 0.0, "constant", "velocity", 2048, 20.0, "none", 1e6)
    network = LocalNetwork(stations)
    train, test = (
        baselines.known_events(load_events(folder, split, stations, settings), network, settings)
        for split in ("train", "test")
    )
    assert len(test) == 50
    model = baselines.calibrate_on(train)
    assert model.vp == pytest.approx(6.02, abs=0.05)
    assert model.vs == pytest.approx(3.52, abs=0.03)
    found = (
        baselines.training_mean(train, test),
        baselines.nearest_training_event(train, test),
        baselines.migration(model, train, test),
        *baselines.conventional(model, train, test),
    )
    means = [np.hypot(*(b.answers[:, :2] - test.hypocentre_km[:, :2]).T).mean() for b in found]
    assert means[:2] == pytest.approx([53.9, 3.86], abs=0.1)
    assert means[2] < 1.6
    assert means[3] < 1.8
    assert means[4] < 2.6
