"""Directions of sensors."""

import numpy as np
import pytest

from seiscomp_dlloc.orientation import to_zne, unit_vectors


def test_unit_vectors_follow_the_seed_convention():
    vectors = unit_vectors([0.0, 0.0, 90.0, 45.0], [-90.0, 0.0, 0.0, 30.0])
    np.testing.assert_array_equal(vectors[:3], np.eye(3))
    np.testing.assert_allclose(vectors[3], [-0.5, np.sqrt(0.375), np.sqrt(0.375)])


@pytest.mark.parametrize(
    ("azimuth", "dip"),
    [
        ((0.0, 0.0, 90.0), (-90.0, 0.0, 0.0)),
        ((0.0, 180.0, 270.0), (90.0, 0.0, 0.0)),
        ((90.0, 0.0, 0.0), (0.0, -90.0, 0.0)),
    ],
)
def test_sensors_along_the_axes_need_no_arithmetic(azimuth, dip):
    matrix, recovered = to_zne(azimuth, dip)
    assert recovered.all()
    assert set(np.abs(matrix).ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(matrix @ unit_vectors(azimuth, dip), np.eye(3))


def test_three_directions_are_inverted():
    rng = np.random.default_rng(0)
    for _ in range(20):
        base = rng.uniform(0, 360)
        azimuth = (base, base + 120.0 + rng.normal(), base + 240.0 + rng.normal())
        dip = tuple(rng.uniform(-50, -20, 3))
        matrix, recovered = to_zne(azimuth, dip)
        assert recovered.all()
        np.testing.assert_allclose(matrix @ unit_vectors(azimuth, dip), np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("azimuth", "dip", "expected"),
    [
        ((0.0,), (-90.0,), (True, False, False)),
        ((30.0, 120.0), (0.0, 0.0), (False, True, True)),
        ((30.0, 110.0), (0.0, 0.0), (False, True, True)),
        ((0.0, 40.0), (-90.0, 0.0), (True, False, False)),
        ((0.0, 0.0), (-90.0, 0.0), (True, True, False)),
        ((40.0,), (0.0,), (False, False, False)),
        ((0.0, 10.0, 10.0), (-90.0, 0.0, 0.0), (True, False, False)),
        ((10.0, 10.5, 11.0), (0.0, 0.0, 0.0), (False, False, False)),
    ],
)
def test_incomplete_sensors_recover_what_they_span(azimuth, dip, expected):
    matrix, recovered = to_zne(azimuth, dip)
    assert tuple(recovered.tolist()) == expected
    assert not matrix[~recovered].any()
    projected = matrix @ unit_vectors(azimuth, dip)
    np.testing.assert_allclose(projected[recovered], np.eye(3)[recovered], atol=1e-9)
