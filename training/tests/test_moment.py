import numpy as np
import pytest
from dlloc_training.moment import (
    double_couple,
    explosion,
    magnitude_from_moment,
    moment_from_magnitude,
    random_double_couples,
    scalar_moment,
)


def test_magnitude_and_moment():
    assert moment_from_magnitude(6.0) == pytest.approx(1.2589e18, rel=1e-3)
    assert moment_from_magnitude(4.0) / moment_from_magnitude(3.0) == pytest.approx(10.0**1.5)
    assert magnitude_from_moment(moment_from_magnitude([-1.0, 3.3, 7.9])) == pytest.approx([-1.0, 3.3, 7.9])


def test_double_couples_of_known_faults():
    # A vertical fault striking north, left-lateral (rake 0): only M_ne
    assert double_couple(0.0, 90.0, 0.0, 2.0) == pytest.approx(np.array([[0, 2, 0], [2, 0, 0], [0, 0, 0]]), abs=1e-12)
    # A reverse fault of 45 degrees striking north: compression east-west, up-down tension
    assert double_couple(0.0, 45.0, 90.0, 1.0) == pytest.approx(np.diag([0.0, -1.0, 1.0]), abs=1e-12)


def test_double_couples_have_no_trace_and_eigenvalues_plus_minus_m0():
    rng = np.random.default_rng(3)
    tensors = double_couple(rng.uniform(0, 360, 50), rng.uniform(0, 90, 50), rng.uniform(-180, 180, 50), 5.0)
    tensors = np.concatenate([tensors, random_double_couples(rng, np.full(50, 5.0))])
    assert np.linalg.eigvalsh(tensors) == pytest.approx(np.tile([-5.0, 0.0, 5.0], (100, 1)), abs=1e-9)
    assert scalar_moment(tensors) == pytest.approx(np.full(100, 5.0))


def test_random_double_couples_favour_no_direction():
    tensors = random_double_couples(np.random.default_rng(0), np.ones(20000))
    assert np.abs(tensors.mean(axis=0)).max() < 0.02
    # Isotropy: E M_ij^2 is 1/5 of |M|^2 = 2 off the diagonal over 2, 4/15 on it
    assert (tensors**2).mean(axis=0) == pytest.approx(np.full((3, 3), 0.2) + np.eye(3) * (4 / 15 - 0.2), abs=0.01)
    again = random_double_couples(np.random.default_rng(0), np.ones(20000))
    assert np.array_equal(tensors, again)


def test_explosion():
    assert explosion([1.0, 2.0]).shape == (2, 3, 3)
    assert explosion(2.0) == pytest.approx(2.0 * np.eye(3))
