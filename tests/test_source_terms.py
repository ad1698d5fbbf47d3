"""What stations' delays differ by from place to place: terms at nodes, and how they are learned."""

import numpy as np
import pytest

from seiscomp_dlloc.arrivals.corrections import CorrectedArrivals, PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.arrivals.learning import learn_sources
from seiscomp_dlloc.arrivals.radial import RadialArrivals
from seiscomp_dlloc.arrivals.sourceterms import SourceTerms
from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Onset, Station, Trigger
from seiscomp_dlloc.traveltimes import from_passport

FRAME = LocalFrame(64.0, -21.0)
STATIONS = tuple(Station("XX", name, 64.0 + 0.1 * k, -21.0, 0.0) for k, name in enumerate("ABC"))
EARTH = {"kind": "layers", "layers": [{"top_km": 0.0, "vp_km_s": 6.0, "vs_km_s": 3.5}]}


def terms(places_km: np.ndarray, residual_s: np.ndarray, length_km: float = 5.0) -> SourceTerms:
    """Of events (event, 3) in km of the frame, residuals (event, station, 2) at the first stations."""
    latitude, longitude = FRAME.to_geographic(places_km[:, 0], places_km[:, 1])
    names = tuple(station.id for station in STATIONS[: residual_s.shape[1]])
    return SourceTerms(length_km, 0.5, latitude, longitude, places_km[:, 2], names, residual_s)


def test_near_many_events_a_term_is_their_mean_and_far_from_all_it_is_none():
    places = np.array([[0.0, 0.0, 5.0]] * 99 + [[100.0, 0.0, 5.0]])
    residual = np.full((100, 1, 2), 0.3)
    residual[:99, 0, 1] = np.nan
    found = terms(places, residual).local(FRAME, STATIONS).at(np.array([[0.0, 0.0, 5.0], [100, 0, 5], [50, 0, 5]]))
    assert found.shape == (3, 3, 2)
    np.testing.assert_allclose(found[:, 0, 0], [0.3 * 99 / 100, 0.3 / 2, 0.0], atol=1e-4)
    np.testing.assert_allclose(found[:, 0, 1], [0.0, 0.3 / 2, 0.0], atol=1e-4), "not measured there"
    assert not found[:, 1:].any(), "stations that nothing is known of"


def test_terms_at_many_nodes_are_those_at_each():
    rng = np.random.default_rng(1)
    local = terms(rng.uniform(-30, 30, (40, 3)), rng.normal(size=(40, 3, 2))).local(FRAME, STATIONS)
    nodes = rng.uniform(-60, 60, (9000, 3))
    many = local.at(nodes)
    for k in (0, 4095, 4096, 8999):
        # Events out of reach are left out of one and not of the other
        np.testing.assert_allclose(many[k], local.at(nodes[k : k + 1])[0], atol=5e-3)


def test_an_event_does_not_foretell_itself():
    places = np.array([[0.0, 0.0, 5.0], [0.0, 0.0, 5.0]])
    left_out = terms(places, np.array([[[0.4, 0.2]], [[0.0, 0.0]]])).local(FRAME, STATIONS[:1]).left_out()
    np.testing.assert_allclose(left_out[:, 0], [[0.0, 0.0], [0.2, 0.1]], atol=1e-6)


def test_travel_times_have_them_in_either_frame_and_on_the_globe():
    events = terms(np.array([[3.0, 4.0, 5.0]]), np.array([[[0.4, 0.8], [0.0, 0.0], [-0.4, 0.1]]]))
    delays = (StationDelay("XX.A", PhaseDelay(0.25), PhaseDelay(0.5)),)
    plain = RadialArrivals(from_passport(EARTH))
    arrivals = CorrectedArrivals(plain, StationCorrections("x", "0" * 12, delays, events))
    latitude, longitude = FRAME.to_geographic([3.0, 60.0], [4.0, 0.0])
    at = latitude, longitude, np.array([5.0, 5.0])
    more = arrivals.times(*at, STATIONS) - plain.times(*at, STATIONS)
    np.testing.assert_allclose(more[0, :, 0], [0.25 + 0.2, 0.0, -0.2], atol=1e-4)
    np.testing.assert_allclose(more[1, :, 1], [0.5, 0.0, 0.0], atol=1e-4)
    frame = LocalFrame(64.3, -20.5)
    local = arrivals.local(frame, STATIONS).times(*frame.to_local(latitude, longitude), at[2])
    np.testing.assert_allclose(local, arrivals.times(*at, STATIONS), atol=5e-3)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="source terms"):
        SourceTerms(5.0, 1.0, np.zeros(2), np.zeros(2), np.zeros(2), ("XX.A",), np.zeros((3, 1, 2)))


def past(count: int, late, scatter_s: float = 0.01) -> list[tuple[Trigger, list[Onset]]]:
    """Events over 60 km with sure onsets that are ``late(x_km, phase)`` s late at all stations."""
    rng = np.random.default_rng(7)
    events = []
    for k in range(count):
        x, y = rng.uniform(-30.0, 30.0, 2)
        latitude, longitude = (float(value) for value in FRAME.to_geographic(x, y))
        trigger = Trigger(f"e{k}", 1e9 + k, "", latitude, longitude, 5.0)
        onsets = [
            Onset(station.id, phase, 0.0, 0.99, late(x, phase) + rng.normal(0.0, scatter_s))
            for station in STATIONS
            for phase in "PS"
        ]
        events.append((trigger, onsets))
    return events


NONE = StationCorrections("x", "0" * 12, ())


def test_what_goes_by_place_is_learned_from_events_whose_places_are_known():
    learned = learn_sources(past(80, lambda x, phase: 0.01 * x * (1 if phase == "P" else -1)), STATIONS, NONE)
    assert learned is not None
    assert learned.left_share < 0.3
    assert 2.0 <= learned.length_km <= 15.0
    found = learned.local(FRAME, STATIONS).at(np.array([[20.0, 0.0, 5.0]]))
    np.testing.assert_allclose(found[0, :, 0], 0.2, atol=0.06)
    np.testing.assert_allclose(found[0, :, 1], -0.2, atol=0.06)


def test_what_does_not_go_by_place_is_not_learned():
    assert learn_sources(past(80, lambda x, phase: 0.0, scatter_s=0.1), STATIONS, NONE) is None
    assert learn_sources([], STATIONS, NONE) is None


def test_a_wrong_onset_does_not_spoil_its_neighbourhood():
    events = past(80, lambda x, phase: 0.01 * x)
    events[0][1][0] = Onset("XX.A", "P", 0.0, 0.99, 50.0)
    learned = learn_sources(events, STATIONS, NONE)
    assert learned is not None
    assert np.nanmax(np.abs(learned.residual_s)) < 1.5


def test_the_newest_events_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seiscomp_dlloc.arrivals.learning.MOST_EVENTS", 50)
    events = past(80, lambda x, phase: 0.01 * x)
    learned = learn_sources(events[::-1], STATIONS, NONE)
    assert learned is not None
    assert len(learned.latitude) == 50
    assert events[-1][0].latitude in learned.latitude
    assert events[0][0].latitude not in learned.latitude
