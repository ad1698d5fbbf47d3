"""Each augmentation does what it says, and nothing else happens to a record."""

from dataclasses import fields, replace

import numpy as np
import pytest
from dlloc_training.experiments.augmenting import EVENT, NO_EVENT, TWO_EVENTS, Augmenter, Draws, of_length
from dlloc_training.experiments.reading import schema
from dlloc_training.experiments.records import Record, Truth

from seiscomp_dlloc.geometry import LocalFrame

RATE, SAMPLES, STATIONS, ORIGIN_S = 20.0, 800, 6, 15.0
FRAME = LocalFrame(45.0, 10.0)
STILL = Draws(magnitude_shift=0.0, lost=0, gain_sigma=0.0, usual=1.0, usual_shift_s=0.0, wrong_time=0.0, glitch=0.0,
              gap=0.0, two_events=0.0, no_event=0.0)  # fmt: skip
"""No augmentation at all."""


def record(event: int = 0, origin_s: float = ORIGIN_S) -> Record:
    """A record whose samples say whose they are and when, zero before the origin time."""
    since = np.arange(SAMPLES) / RATE - origin_s
    wave = np.where(since >= 0, 1e-3 * (event + 1) * np.exp(-np.clip(since, 0, None) / 4.0), 0.0)
    data = wave * (1.0 + np.arange(3 * STATIONS).reshape(3, STATIONS, 1) / 100.0)
    truth = Truth(45.0 + 0.01 * event, 10.0, 5.0 + event, 2.0 + event)
    return Record(f"e{event}", data.astype(np.float32), np.ones(data.shape, bool), RATE, origin_s, truth)


def augmenter(draws: Draws, *records: Record, clean: bool = False, noise: float = 1e-9) -> Augmenter:
    """Recorded events, or clean ones on Gaussian noise of ``noise`` m/s."""

    def recorded(rng: np.random.Generator, samples: int) -> np.ndarray:
        return rng.normal(0.0, noise, (3, STATIONS, samples)).astype(np.float32)

    return Augmenter(
        records or (record(),),
        replace(draws, recorded_noise=1.0),
        lambda r: r.truth.local(FRAME),
        clean=clean,
        recorded=recorded,
    )


def draws_of(made: Augmenter, count: int, index: int = 0):
    return [made.draw(np.random.default_rng([3, k]), index) for k in range(count)]


def onset_s(trace: np.ndarray) -> float:
    """When a trace rises above what it never has before the event, s."""
    return float(np.argmax(np.abs(trace) > 1e-4)) / RATE


def test_without_augmentation_a_record_only_begins_later():
    for drawn in draws_of(augmenter(STILL), 20):
        cut = SAMPLES - drawn.record.data.shape[-1]
        np.testing.assert_array_equal(drawn.record.data, record().data[..., cut:])
        assert drawn.record.valid.all()
        assert (drawn.kind, drawn.lost) == (EVENT, 0)
        assert np.isnan(drawn.second).all()
        assert drawn.record.truth == record().truth


def test_times_stay_right_wherever_the_record_begins():
    made = augmenter(STILL, replace(record(), first_pick_s=ORIGIN_S + 2.0))
    drawn = [d.record for d in draws_of(made, 40)]
    begins = np.array([ORIGIN_S - r.origin_s for r in drawn])
    assert begins.min() >= 0.0
    assert begins.max() <= ORIGIN_S - 8.0 + 1e-9, "8 s before the origin time are left to filters and STA/LTA"
    assert np.ptp(begins) > 5.0
    for r in drawn:
        assert onset_s(r.data[0, 0]) == pytest.approx(r.origin_s, abs=1.0 / RATE)
        assert r.first_pick_s - r.origin_s == pytest.approx(2.0)


def test_records_without_time_to_spare_keep_their_beginning():
    drawn = draws_of(augmenter(STILL, record(0, 3.0)), 10)
    assert all(d.record.origin_s == 3.0 and d.record.data.shape[-1] == SAMPLES for d in drawn)


def test_lost_stations_are_wholly_invalid_and_counted():
    seen = set()
    for drawn in draws_of(augmenter(replace(STILL, lost=3, lost_share=0.7)), 60):
        gone = ~drawn.record.valid.any(axis=(0, 2))
        assert drawn.lost == gone.sum()
        assert not drawn.record.data[:, gone].any()
        assert drawn.record.valid[:, ~gone].all()
        seen.add(drawn.lost)
    assert seen == {0, 1, 2, 3}
    share = np.mean([d.lost > 0 for d in draws_of(augmenter(replace(STILL, lost=2, lost_share=0.7)), 200)])
    assert share == pytest.approx(0.7, abs=0.1)


def test_one_station_is_always_left():
    two = record().without(np.arange(STATIONS) >= 2)
    drawn = draws_of(augmenter(replace(STILL, lost=3, lost_share=1.0), two), 30)
    assert {d.lost for d in drawn} == {1}
    assert all(d.record.live.sum() == 1 for d in drawn)


def test_a_gap_is_a_stretch_of_one_station():
    lengths = []
    for drawn in draws_of(augmenter(replace(STILL, gap=1.0)), 40):
        missing = ~drawn.record.valid
        if not missing.any():
            continue  # the record begins after it
        stations = np.flatnonzero(missing.any(axis=(0, 2)))
        assert len(stations) == 1
        assert not drawn.record.data[missing].any()
        row = missing[:, stations[0]]
        assert np.all(row == row[0])
        assert np.count_nonzero(np.diff(np.concatenate([[False], row[0], [False]]).astype(int))) == 2, "one stretch"
        lengths.append(row[0].sum() / RATE)
    assert len(lengths) > 20
    assert 0.05 <= min(lengths) < 1.0
    assert 3.0 < max(lengths) <= 5.0


def test_no_event_is_noise_alone():
    made = augmenter(replace(STILL, no_event=1.0), clean=True, noise=1e-9)
    for clean in (True, False):
        made.clean = clean
        for drawn in draws_of(made, 10):
            assert drawn.kind == NO_EVENT
            assert np.isnan(drawn.second).all()
            assert 0 < np.abs(drawn.record.data).max() < 1e-8
            after = drawn.record.data[..., int((drawn.record.origin_s + 1) * RATE) :]
            assert after.std() == pytest.approx(1e-9, rel=0.1)


def test_noise_is_added_to_clean_records_and_not_to_recorded_ones():
    clean, recorded = (augmenter(STILL, clean=clean, noise=1e-6) for clean in (True, False))
    one, other = (made.draw(np.random.default_rng(1), 0).record for made in (clean, recorded))
    early = slice(0, int(other.origin_s * RATE))
    assert not other.data[..., early].any()
    early = slice(0, int(one.origin_s * RATE))
    assert one.data[..., early].std() == pytest.approx(1e-6, rel=0.05)
    assert clean.noisy(np.random.default_rng(2), 0).data[..., :200].std() == pytest.approx(1e-6, rel=0.05)
    np.testing.assert_array_equal(recorded.noisy(np.random.default_rng(2), 0).data, record().data)


def test_stations_without_noise_have_no_data():
    made = augmenter(STILL, clean=True)
    silent = np.arange(STATIONS) == 4

    def noise(rng, samples):
        return np.where(silent[:, None], 0.0, rng.normal(0, 1e-9, (3, STATIONS, samples))).astype(np.float32)

    made._recorded = noise
    for drawn in (made.draw(np.random.default_rng(0), 0).record, made.noisy(np.random.default_rng(0), 0)):
        np.testing.assert_array_equal(drawn.live, ~silent)
        assert not drawn.data[:, 4].any()


def test_modelled_noise_is_laid_under_clean_records_where_nothing_is_recorded():
    made = Augmenter((record(),), STILL, lambda r: r.truth.local(FRAME), clean=True)
    noise = made.noise(np.random.default_rng(0), record())
    assert noise.shape == record().data.shape
    assert np.all(noise.std(axis=-1) > 0)
    asked = []
    finished = Augmenter(
        (record(),), STILL, lambda r: r.truth.local(FRAME), clean=True,
        finish_noise=lambda data, rate: asked.append(rate) or 2.0 * data,
    )  # fmt: skip
    np.testing.assert_array_equal(finished.noise(np.random.default_rng(0), record()), 2.0 * noise)
    assert asked == [RATE]


def test_the_share_of_recorded_noise_is_as_asked_for():
    draws = replace(STILL, recorded_noise=0.3)
    made = augmenter(draws, clean=True, noise=1.0)
    made.draws = draws
    loud = [made.noise(np.random.default_rng(k), record()).std() > 0.5 for k in range(200)]
    assert np.mean(loud) == pytest.approx(0.3, abs=0.1)


def test_recorded_noise_is_made_louder_by_the_factors_that_are_asked_for():
    plain, loud = augmenter(STILL, clean=True), augmenter(replace(STILL, recorded_noise_factor=(5.0, 50.0)), clean=True)
    levels = np.array([loud.noise(np.random.default_rng(k), record()).std() for k in range(200)]) / 1e-9
    assert plain.noise(np.random.default_rng(0), record()).std() == pytest.approx(1e-9, rel=0.05)
    assert 5.0 * 0.95 < levels.min() < levels.max() < 50.0 * 1.05
    assert np.log10(levels).mean() == pytest.approx(np.log10(5.0) + 0.5, abs=0.07), "evenly in the logarithm"


def test_two_events_hold_both_hypocentres_and_both_waves():
    records = (record(0), record(1, 10.0))
    made = augmenter(replace(STILL, two_events=1.0), *records)
    lates, factors, others = [], [], 0
    for drawn in draws_of(made, 200):
        assert drawn.kind == TWO_EVENTS
        assert drawn.record.truth == records[0].truth, "the event remains the row's own"
        if not np.allclose(drawn.second, records[1].truth.local(FRAME)):
            np.testing.assert_allclose(drawn.second, records[0].truth.local(FRAME))
            continue
        others += 1
        trace, origin = drawn.record.data[0, 0].astype(float), drawn.record.origin_s
        since = np.arange(len(trace)) / RATE - origin
        own = np.where(since > -1e-6, 1e-3 * np.exp(-np.clip(since, 0, None) / 4.0), 0.0)
        rest = trace - own
        at = int(np.argmax(rest > 1e-5))
        lates.append(since[at])
        factors.append(rest[at] / 2e-3)
    assert 60 < others < 140
    assert -4.1 <= min(lates) < -2.5
    assert 6.0 < max(lates) <= 8.1
    assert 10**-0.51 <= min(factors) < 10**-0.4
    assert 10**0.2 < max(factors) <= 10**0.31


def test_magnitude_shift_scales_amplitudes_and_magnitudes_together():
    shifts = []
    for drawn in draws_of(augmenter(replace(STILL, magnitude_shift=0.2)), 50):
        shift = drawn.record.truth.magnitude - 2.0
        ratio = drawn.record.data.max() / record().data.max()
        assert np.log10(ratio) == pytest.approx(shift, abs=1e-5)
        shifts.append(shift)
    assert -0.2 <= min(shifts) < -0.15
    assert 0.15 < max(shifts) <= 0.2
    unknown = replace(record(), truth=replace(record().truth, magnitude=float("nan")))
    drawn = augmenter(replace(STILL, magnitude_shift=0.2), unknown).draw(np.random.default_rng(0), 0)
    assert np.isnan(drawn.record.truth.magnitude)


def test_gains_are_each_stations_own():
    logs = []
    for drawn in draws_of(augmenter(replace(STILL, gain_sigma=0.1)), 60):
        ratio = drawn.record.data.max(axis=-1) / record().data.max(axis=-1)
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-5)
        logs.append(np.log10(ratio[0]))
    assert np.std(logs) == pytest.approx(0.1, rel=0.15)
    assert abs(np.mean(logs)) < 0.02


def test_a_wrong_clock_moves_one_station():
    errors = []
    for drawn in draws_of(augmenter(replace(STILL, wrong_time=1.0, wrong_time_sigma_s=1.0)), 60):
        late = np.array([onset_s(trace) for trace in drawn.record.data[0]]) - drawn.record.origin_s
        assert np.count_nonzero(np.abs(late) > 1.5 / RATE) <= 1
        errors.append(late[np.argmax(np.abs(late))])
    assert 0.6 < np.std(errors) < 1.4


def test_a_glitch_stands_out_at_one_station():
    for drawn in draws_of(augmenter(replace(STILL, glitch=1.0)), 20):
        data, origin = drawn.record.data, drawn.record.origin_s
        begin = SAMPLES - data.shape[-1]
        extra = data - record().data[..., begin:]
        stations = np.flatnonzero(np.abs(extra).max(axis=(0, 2)) > 1e-6)
        assert len(stations) <= 1  # none where the record begins after it
        for station in stations:
            assert np.count_nonzero(extra[0, station]) <= 3
            assert np.abs(extra[:, station]).max() >= 2.9 * np.abs(record().data[:, station]).max()
        assert origin == ORIGIN_S - begin / RATE


def test_anchors_are_the_plugins_or_the_predicted_ones_and_off_as_asked_for():
    made = augmenter(replace(STILL, usual=0.6, usual_shift_s=0.1, shift_s=2.0))
    drawn = [made.anchor_error(np.random.default_rng(k)) for k in range(1000)]
    usual = np.array([error for automatic, error in drawn if automatic])
    rest = np.array([error for automatic, error in drawn if not automatic])
    assert len(usual) / len(drawn) == pytest.approx(0.6, abs=0.05)
    assert usual.std() == pytest.approx(0.1, rel=0.1)
    assert (rest.min(), rest.max()) == pytest.approx((-2.0, 2.0), abs=0.1)
    assert rest.std() == pytest.approx(4.0 / np.sqrt(12.0), rel=0.1)


def test_the_same_seed_draws_the_same_and_another_another():
    made = augmenter(Draws(two_events=0.3, no_event=0.3, gap=0.5, glitch=0.5), record(0), record(1), clean=True)
    for seed in range(20):
        one, again, other = (made.draw(np.random.default_rng(s), 0) for s in (seed, seed, seed + 100))
        np.testing.assert_array_equal(one.record.data, again.record.data)
        np.testing.assert_array_equal(one.record.valid, again.record.valid)
        assert (one.kind, one.lost, one.record.origin_s, one.record.truth) == (
            again.kind, again.lost, again.record.origin_s, again.record.truth)  # fmt: skip
        np.testing.assert_array_equal(one.second, again.second)
        assert one.record.data.shape != other.record.data.shape or not np.array_equal(
            one.record.data, other.record.data
        )


def test_a_draw_leaves_the_events_record_alone():
    event = record()
    data, valid = event.data.copy(), event.valid.copy()
    made = augmenter(Draws(glitch=1.0, gap=1.0, lost_share=1.0, wrong_time=1.0, two_events=0.5), event, clean=True)
    draws_of(made, 10)
    np.testing.assert_array_equal(event.data, data)
    np.testing.assert_array_equal(event.valid, valid)


def test_the_section_holds_every_draw():
    section = schema()["properties"]["augmentation"]["properties"]
    assert set(section) == {item.name for item in fields(Draws)}
    made = Draws.from_mapping({"noise_level": [0.1, 0.2], "lost": 1})
    assert (made.noise_level, made.lost, made.gap) == ((0.1, 0.2), 1, Draws().gap)


def test_records_are_cut_or_filled_with_zeros_to_a_length():
    data = np.arange(6.0).reshape(2, 3)
    assert of_length(data, 2).tolist() == [[0, 1], [3, 4]]
    assert of_length(data, 4).tolist() == [[0, 1, 2, 0], [3, 4, 5, 0]]
