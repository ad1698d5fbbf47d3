import numpy as np
import pytest
from dlloc_training import metrics
from scipy import stats


def test_summary_of_known_numbers():
    summary = metrics.summarise(np.arange(1.0, 12.0))
    assert summary.count == 11
    assert summary.answered == 1.0
    assert summary.mean.value == pytest.approx(6.0)
    assert summary.median.value == pytest.approx(6.0)
    assert summary.p90.value == pytest.approx(10.0)
    assert summary.mean.low < 6.0 < summary.mean.high


def test_the_interval_of_a_mean_is_its_standard_error():
    errors = np.random.default_rng(3).normal(10.0, 2.0, 400)
    interval = metrics.bootstrap(errors, metrics.mean_of, 4000, seed=1)
    half = stats.norm.ppf(0.84) * errors.std() / np.sqrt(errors.size)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.08)


def test_the_seed_fixes_the_interval():
    errors = np.random.default_rng(0).exponential(2.0, 50)
    assert metrics.summarise(errors, 300, seed=5) == metrics.summarise(errors, 300, seed=5)
    assert metrics.summarise(errors, 300, seed=5) != metrics.summarise(errors, 300, seed=6)


def test_draws_are_averaged_and_do_not_shrink_the_interval():
    errors = np.random.default_rng(0).exponential(2.0, 50)
    once = metrics.summarise(errors, 1000)
    repeated = metrics.summarise(np.repeat(errors[:, None], 20, axis=1), 1000)
    for name in ("mean", "median", "p90"):
        a, b = getattr(once, name), getattr(repeated, name)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-12)


def test_every_draw_is_a_run_of_its_own():
    # Two draws whose medians are 1 and 3: pooling all values would give another median than their mean, 2
    errors = np.array([[1.0, 3.0], [1.0, 3.0], [0.0, 9.0]])
    assert metrics.summarise(errors, 50).median.value == pytest.approx(2.0)


def test_missing_answers_are_counted_and_left_out():
    errors = np.array([1.0, np.nan, 3.0, np.nan])
    summary = metrics.summarise(errors, 200)
    assert summary.answered == 0.5
    assert summary.mean.value == pytest.approx(2.0)
    assert np.isfinite(summary.p90.low)
    nothing = metrics.summarise(np.full(4, np.nan), 10)
    assert nothing.answered == 0.0
    assert np.isnan(nothing.mean.value)
    with pytest.raises(ValueError, match="event"):
        metrics.summarise(np.zeros(0))


def test_depth_errors_count_by_size():
    assert metrics.mean_absolute(np.array([-2.0, 2.0, 1.0, -1.0]), 50).value == pytest.approx(1.5)


def test_gaussian_truth_is_covered_as_stated():
    rng = np.random.default_rng(0)
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    offset = rng.multivariate_normal([0.0, 0.0], covariance, 20000)
    stated = np.broadcast_to(covariance, (20000, 2, 2))
    for level in (0.68, 0.9):
        inside = metrics.inside_region(offset, stated, level)
        result = metrics.coverage(inside, np.ones(20000, bool), level)
        assert result.share.value == pytest.approx(level, abs=0.012)
        assert result.share.low < result.share.value < result.share.high
        assert np.mean(metrics.inside_region(offset, stated / 4, level)) < level - 0.2


def test_the_ellipse_has_its_direction():
    covariance = np.array([[9.0, 0.0], [0.0, 0.25]])
    assert metrics.inside_region(np.array([3.0, 0.0]), covariance, 0.68)
    assert not metrics.inside_region(np.array([0.0, 3.0]), covariance, 0.68)


def test_unknown_uncertainty_is_no_hit_and_not_counted():
    offset = np.zeros((2, 2))
    covariance = np.stack([np.eye(2), np.full((2, 2), np.nan)])
    inside = metrics.inside_region(offset, covariance, 0.68)
    assert inside.tolist() == [True, False]
    assert metrics.coverage(inside, np.array([True, False]), 0.68).share.value == 1.0
    assert np.isnan(metrics.coverage(inside, np.zeros(2, bool), 0.68).share.value)


def test_the_interval_of_a_share_is_wilsons():
    inside = np.arange(20) < 17
    result = metrics.coverage(inside, np.ones(20, bool), 0.9).share
    expected = stats.binomtest(17, 20).proportion_ci(metrics.CONFIDENCE, method="wilson")
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    repeated = metrics.coverage(np.repeat(inside[:, None], 7, axis=1), np.ones((20, 7), bool), 0.9)
    assert repeated.count == 20
    assert (repeated.share.low, repeated.share.high) == pytest.approx((expected.low, expected.high))


def test_depth_interval_is_gaussian():
    error = np.array([0.99, -0.99, 1.01, np.nan])
    assert metrics.inside_interval(error, np.ones(4), 0.68).tolist() == [True, True, False, False]
    assert metrics.inside_interval(np.array([1.64, 1.65]), np.ones(2), 0.9).tolist() == [True, False]


def test_skill():
    assert metrics.skill(1.0, 4.0) == pytest.approx(0.75)
    assert metrics.skill(4.0, 4.0) == 0.0
    with pytest.raises(ValueError, match="no error"):
        metrics.skill(1.0, 0.0)
