import numpy as np
import pytest
from dlloc_training.earth import EarthModel, central_oklahoma

from seiscomp_dlloc.errors import SettingError

ROW = (2.0, 4.0, 2.3, 2.4, 300.0, 150.0)


def test_tops_and_layers(crust):
    assert crust.tops_km.tolist() == [0.0, 2.0, 15.0]
    assert crust.layer_at([0.0, 1.99, 2.0, 14.0, 15.0, 99.0]).tolist() == [0, 0, 1, 1, 2, 2]
    vp, vs = crust.velocities_at(5.0)
    assert (vp, vs) == (6.0, 3.47)


def test_attenuation_loses_1_over_q_per_radian_and_disperses(crust):
    vp, _ = crust.complex_velocities(2.0 * np.pi * 1.0)
    assert vp.real == pytest.approx([4.0, 6.0, 6.8])  # the reference frequency
    # e^{-i w x / c} falls by e^{-pi} over Q wavelengths
    loss = (1.0 / vp).imag * 2.0 * np.pi * (crust.qp * crust.vp_km_s)
    assert loss == pytest.approx(np.full(3, -np.pi), rel=1e-4)
    faster, _ = crust.complex_velocities(2.0 * np.pi * 10.0)
    assert np.all(faster.real > vp.real)


def test_rows_round_trip(crust):
    again = EarthModel.from_rows(crust.rows().tolist())
    assert np.array_equal(again.rows(), crust.rows())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "6 numbers"),
        ([(1, 2, 3)], "6 numbers"),
        ([("a", 1, 1, 1, 1, 1)], "not a table of numbers"),
        ([(2.0, -4.0, 2.3, 2.4, 300, 150), ROW], "layer 1 has vp_km_s"),
        ([(-2.0, 4.0, 2.3, 2.4, 300, 150), ROW], "layer 1 has thickness_km"),
        ([ROW, (0.0, 4.0, 0.0, 2.4, 300, 150)], "layer 2 has vs_km_s"),
        ([ROW, (0.0, 4.0, 3.9, 2.4, 300, 150)], "layer 2 has vp/vs"),
        ([ROW, (0.0, 4.0, 2.3, 2.4, 0, 150)], "layer 2 has qp"),
        ([(np.inf, 4.0, 2.3, 2.4, 300, 150), ROW], "infinite"),
        ([(np.nan, 4.0, 2.3, 2.4, 300, 150), ROW], "thickness_km"),
    ],
)
def test_unphysical_models_are_refused(rows, message):
    with pytest.raises(SettingError, match=message):
        EarthModel.from_rows(rows)


def test_random_oklahoma_models_are_valid_and_repeatable():
    depths = np.array([2.25, 3.5, 5.0, 6.5, 8.0, 10.0])
    for seed in range(30):
        model = central_oklahoma(np.random.default_rng(seed))
        assert np.array_equal(model.rows(), central_oklahoma(np.random.default_rng(seed)).rows())
        assert np.abs(depths[:, None] - model.tops_km).min() > 0.01
        assert np.all(np.diff(model.vp_km_s) > 0)
