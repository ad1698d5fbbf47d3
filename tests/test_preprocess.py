"""The one preprocessing and the resampling under it."""

import dataclasses

import numpy as np
import pytest
from scipy import signal
from streamsamples import T0, block, settings

from seiscomp_dlloc.errors import ModelMismatch, NoWaveforms
from seiscomp_dlloc.preprocess import band_pass, condition, cut, detrend, window_offset
from seiscomp_dlloc.records import Conditioned, TraceBlock
from seiscomp_dlloc.resampling import resample, supported

RATES = [250.0, 200.0, 125.0, 100.0, 80.0, 62.5, 50.0, 40.0, 100.0 / 3.0, 20.0]


def tone(frequency: float, rate: float, seconds: float = 60.0, shift: float = 0.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate + shift
    return np.broadcast_to(np.sin(2 * np.pi * frequency * t), (3, 1, t.size)).copy()


@pytest.mark.parametrize(
    ("rate", "frequency"), [(r, f) for r in RATES for f in (10.3, 11.0, 12.0, 15.0, 17.0, 19.0) if f < 0.5 * r]
)
def test_aliases_are_more_than_40_db_down(rate, frequency):
    made = condition((block(tone(frequency, rate), rate),), 1, settings(warmup_s=5.0))
    kept = made.data[made.valid]
    assert kept.size > 2000
    assert 20 * np.log10(np.abs(kept).max()) < -40.0


@pytest.mark.parametrize("rate", RATES)
def test_band_comes_through_alike_at_any_rate(rate):
    for frequency in (2.5, 5.0, 7.5):
        made = condition((block(tone(frequency, rate), rate),), 1, settings())
        _, response = signal.sosfreqz(band_pass((2.0, 8.0), 4, 20.0), worN=[frequency], fs=20.0)
        t = np.arange(made.data.shape[2]) / 20.0 + made.starttime - T0
        expected = (np.exp(2j * np.pi * frequency * t) * response[0]).imag
        ok = made.valid[0, 0]
        assert ok.sum() > 1000
        np.testing.assert_allclose(made.data[0, 0, ok], expected[ok], atol=4e-3)


def test_rate_slightly_off_nominal_is_not_stretched():
    made = condition((block(tone(5.0, 100.0), 99.9995),), 1, settings())
    assert made.sampling_rate_hz == 20.0
    assert made.valid.sum() > 3000


def test_lower_rate_is_refused():
    with pytest.raises(ModelMismatch, match="10 Hz"):
        condition((block(tone(3.0, 10.0), 10.0),), 1, settings())
    with pytest.raises(ValueError, match="up to"):
        resample(np.zeros(100), 10.0, 20.0, 0.0, 100, 4.0)


def test_no_data_is_an_error_of_the_event():
    with pytest.raises(NoWaveforms):
        condition((), 3, settings())
    nothing = block(np.zeros((3, 1, 500)), valid=np.zeros((3, 1, 500), bool))
    with pytest.raises(NoWaveforms):
        condition((nothing,), 3, settings())


def test_warm_up_and_record_ends_are_not_valid_and_zero():
    made = condition((block(tone(5.0, 20.0), 20.0),), 1, settings(warmup_s=5.0))
    np.testing.assert_array_equal(made.valid[0, 0], np.arange(1200) >= 100)
    assert not made.data[~made.valid].any()


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_gap_does_not_ring_into_what_is_valid(rate):
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(3, 2, round(120 * rate))) + 50.0
    valid = np.ones(whole.shape, bool)
    gap = slice(round(50 * rate), round(53 * rate))
    valid[0, 0, gap] = False
    clean = condition((block(whole, rate),), 2, settings(warmup_s=6.0))
    holed = condition((block(whole, rate, valid=valid),), 2, settings(warmup_s=6.0))
    assert not holed.valid[0, 0, 1000:1060].any()
    assert holed.valid[0, 0].sum() > clean.valid[0, 0].sum() - 250
    ok = holed.valid[0, 0]
    # The means differ by what the gap takes away; the rest is what the filter has forgotten
    np.testing.assert_allclose(holed.data[0, 0, ok], clean.data[0, 0, ok], atol=5e-3)
    np.testing.assert_array_equal(holed.data[:, 1], clean.data[:, 1])


def test_blocks_of_different_rates_meet_on_one_axis():
    def motion(t):
        return np.sin(2 * np.pi * 4.0 * t) * np.exp(-(((t - 30.0) / 6.0) ** 2))

    blocks = []
    for place, (rate, start) in enumerate([(100.0, 0.0), (100.0, 0.0), (62.5, 0.0131), (250.0, 3.0), (20.0, 0.027)]):
        t = np.arange(round(60 * rate)) / rate + start
        data = np.broadcast_to(motion(t), (3, 1, t.size))
        made = block(data, rate, T0 + start)
        blocks.append(dataclasses.replace(made, station_index=np.array([place])))
    made = condition(tuple(blocks), 6, settings(warmup_s=4.0))
    # 250 Hz has the most samples: its grid, 3 s after the first start
    assert ((made.starttime - T0 - 3.0) * 20.0) == pytest.approx(round((made.starttime - T0 - 3.0) * 20.0), abs=1e-4)
    both = made.valid[0, :5].all(axis=0)
    assert both.sum() > 900
    reference = made.data[0, 0, both]
    for station in range(1, 5):
        np.testing.assert_allclose(made.data[0, station, both], reference, atol=3e-3)
    assert not made.valid[:, 5].any()


def test_prefiltered_data_are_only_detrended():
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(3, 30, 2048)) + 3.0
    made = condition((block(raw, 20.0),), 30, settings(prefiltered=True, warmup_s=0.0))
    assert made.valid.all()
    assert made.starttime == T0
    np.testing.assert_array_equal(made.data, (raw - raw.mean(axis=-1, keepdims=True)).astype(np.float32))


def test_same_bits_whatever_the_memory_layout_and_the_company():
    rng = np.random.default_rng(2)
    raw = rng.normal(size=(3, 30, 3000))
    for s, rate in ((settings(), 100.0), (settings(prefiltered=True), 20.0), (settings(detrend="linear"), 50.0)):
        one = condition((block(raw, rate),), 30, s)
        strided = np.asfortranarray(raw)
        two = condition((TraceBlock(np.arange(30), strided, np.ones(raw.shape, bool), rate, T0),), 30, s)
        np.testing.assert_array_equal(one.data, two.data)
        order = rng.permutation(30)
        three = condition((TraceBlock(order, raw[:, order], np.ones(raw.shape, bool), rate, T0),), 30, s)
        np.testing.assert_array_equal(one.data, three.data)
        again = condition((block(raw, rate),), 30, s)
        np.testing.assert_array_equal(one.data, again.data)


def test_input_blocks_are_not_changed():
    given = block(np.random.default_rng(0).normal(size=(3, 2, 500)), 20.0)
    before = given.data.copy()
    condition((given,), 2, settings(prefiltered=True))
    condition((given,), 2, settings())
    np.testing.assert_array_equal(given.data, before)


def test_detrend_uses_valid_samples_only():
    t = np.arange(500.0)
    x = np.stack([3.0 + 0.01 * t, -1.0 + 0.02 * t])
    valid = np.ones(x.shape, bool)
    valid[1, 100:200] = False
    x[1, 100:200] = 1e9
    line = detrend(x, valid, "linear")
    np.testing.assert_allclose(line, 0.0, atol=1e-9)
    constant = detrend(x, valid, "constant")
    np.testing.assert_allclose(constant[0], x[0] - x[0].mean(), atol=1e-12)
    assert constant[1, valid[1]].mean() == pytest.approx(0.0, abs=1e-9)
    assert not constant[1, 100:200].any()


def test_resample_interpolates_between_samples():
    t = np.arange(2000) / 100.0
    made = resample(np.sin(2 * np.pi * 3.0 * t), 100.0, 100.0, 5.0037, 500, 40.0)
    expected = np.sin(2 * np.pi * 3.0 * (5.0037 + np.arange(500) / 100.0))
    np.testing.assert_allclose(made.data, expected, atol=2e-3)


def test_resample_before_and_beyond_the_record_is_unsupported():
    data = np.ones(1000)
    made = resample(data, 100.0, 20.0, -10.0, 600, 8.0)
    ok = supported(np.ones(1000, bool), 100.0, 20.0, -10.0, 600, made.reach_s)
    assert not made.data[: 200 - 40].any()
    assert not made.data[400 + 40 :].any()
    assert ok[200 + 20 : 400 - 20].all()
    assert not ok[:200].any()
    assert not ok[400:].any()
    np.testing.assert_allclose(made.data[ok], 1.0, atol=2e-3)


def conditioned(samples: int = 400) -> Conditioned:
    rng = np.random.default_rng(3)
    data = rng.normal(size=(3, 4, samples)).astype(np.float32)
    valid = np.ones(data.shape, bool)
    valid[:, 3] = False
    data[:, 3] = 0.0
    data[:, 1] *= 10.0
    return Conditioned(data, valid, 20.0, T0)


def test_cut_pads_with_masked_zeros():
    c = conditioned()
    data, mask, log_scale = cut(c, T0 - 10.0, settings(window_samples=1024))
    assert data.shape == (3, 4, 1024)
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data[..., 200:600], c.data)
    np.testing.assert_array_equal(mask[..., 200:600], c.valid)
    for outside in (slice(0, 200), slice(600, None)):
        assert not data[..., outside].any()
        assert not mask[..., outside].any()
    assert not log_scale.any()


@pytest.mark.parametrize("start", [-1000.0, 1000.0])
def test_window_beside_the_record_is_empty(start):
    data, mask, _ = cut(conditioned(), T0 + start, settings(normalisation="station_max"))
    assert not data.any()
    assert not mask.any()


def test_window_start_is_rounded_to_the_grid():
    c = conditioned()
    assert window_offset(c, T0 + 1.02) == 20
    assert window_offset(c, T0 - 1.03) == -21


def test_normalisations_and_their_factor():
    c = conditioned()
    unit = settings(unit_scale=1e6, window_samples=400)
    plain, _, _ = cut(c, T0, unit)
    np.testing.assert_allclose(plain, c.data * 1e6, rtol=1e-6)
    by_station, _, factor = cut(c, T0, dataclasses.replace(unit, normalisation="station_max"))
    np.testing.assert_allclose(np.abs(by_station).max(axis=(0, 2)), [1, 1, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(10.0 ** factor[:3], np.abs(c.data[:, :3]).max(axis=(0, 2)), rtol=1e-5)
    assert factor[3] == 0.0
    by_network, _, factor = cut(c, T0, dataclasses.replace(unit, normalisation="network_max"))
    assert np.abs(by_network).max() == pytest.approx(1.0)
    np.testing.assert_allclose(by_network[:, 0] * 10.0 ** factor[0], c.data[:, 0], rtol=1e-4, atol=1e-6)
    assert np.unique(factor[:3]).size == 1


def test_cut_refuses_another_rate():
    with pytest.raises(ModelMismatch, match="50 Hz"):
        cut(conditioned(), T0, settings(sampling_rate_hz=50.0))
