import numpy as np
import pytest
from dlloc_training.made import retimed, shifted
from dlloc_training.sampler import model_input
from dlloc_training.virtual import VirtualEvents, hypocentre_km

from . import toy


@pytest.fixture(scope="module")
def virtual() -> VirtualEvents:
    return toy.experiment().training.virtual


def onset(trace: np.ndarray, expected: float, half: float = 2.0) -> float:
    first = max(0, int((expected - half) * toy.RATE))
    part = np.abs(trace[first : int((expected + half) * toy.RATE)])
    return (first + int(np.argmax(part))) / toy.RATE


def test_shifting_earlier_and_later_is_the_inverse_where_nothing_is_lost():
    data = np.zeros((2, 50), np.float32)
    data[:, 20:30] = np.arange(10)
    assert np.array_equal(shifted(shifted(data, 7), -7), data)
    assert not shifted(data, 50).any()
    assert not shifted(data, -60).any()


def test_retiming_moves_each_part_by_its_own_shift():
    data = np.zeros(400, np.float32)
    data[100], data[200] = 1.0, 2.0
    out = retimed(data, 10, -20, join=150.0, fade=8.0)
    assert out[90] == 1.0
    assert out[220] == 2.0
    assert np.count_nonzero(out) == 2


def test_a_virtual_event_has_p_and_s_where_the_moveout_puts_them(virtual):
    rng = np.random.default_rng(4)
    late_p, late_s = [], []
    for _ in range(8):
        example = virtual.draw(rng, toy.SAMPLES)
        distance = virtual.target.distances(example.hypocentres[0])
        p, s = virtual.model.times("P", distance), virtual.model.times("S", distance)
        live = example.live
        origin = example.first_break_s - p[live].min()
        for k in np.nonzero(live)[0]:
            if (s - p)[k] > 1.5:
                late_p.append(onset(example.data[0, k], origin + p[k], 0.8) - origin - p[k])
                late_s.append(onset(example.data[1, k], origin + s[k], 0.8) - origin - s[k])
    assert len(late_p) > 30
    assert np.median(np.abs(late_p)) <= 0.05
    assert np.median(np.abs(late_s)) <= 0.05


def test_virtual_events_lie_in_the_search_box_and_are_reproducible(virtual):
    x0, x1, y0, y1 = virtual.target.search_km
    places = np.array([virtual.place(np.random.default_rng(k)) for k in range(40)])
    assert places[:, 0].min() >= x0
    assert places[:, 0].max() <= x1
    assert places[:, 1].min() >= y0
    assert places[:, 1].max() <= y1
    one, two = (virtual.draw(np.random.default_rng(7), toy.SAMPLES) for _ in range(2))
    assert np.array_equal(one.data, two.data)


def test_a_recorded_event_comes_back_unchanged(virtual):
    example = virtual.recorded(1)
    assert np.array_equal(example.data, virtual.events[1].block.data)
    assert np.allclose(example.hypocentres[0], hypocentre_km(virtual.events[1], virtual.target))
    assert not example.live[3]


def test_amplitudes_of_a_virtual_event_do_not_depend_on_the_donors_size(virtual):
    """Donors that are 100 times stronger must not stand out."""
    rng = np.random.default_rng(5)
    example = virtual.draw(rng, toy.SAMPLES)
    distance = virtual.target.distances(example.hypocentres[0])
    peak = np.log10(np.abs(example.data[1]).max(axis=-1)[example.live])
    corrected = peak + 1.8 * np.log10(np.maximum(distance[example.live], 3.0))
    assert corrected.std() < 0.25


def test_the_input_is_zero_outside_the_record(virtual):
    data = model_input(virtual.recorded(0), virtual.target, -5.0)
    assert not data[..., : int(5 * toy.RATE)].any()
    assert data[..., int(5 * toy.RATE) :].any()
