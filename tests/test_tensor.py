"""The station tensor."""

import numpy as np
import pytest
from streamsamples import T0, block, settings, stations

from seiscomp_dlloc.preprocess import condition, cut
from seiscomp_dlloc.records import Conditioned, Dropped
from seiscomp_dlloc.tensor import station_tensor

NETWORK = stations("A", "B", "C")


def conditioned() -> Conditioned:
    raw = np.random.default_rng(0).normal(size=(3, 3, 2048))
    valid = np.ones(raw.shape, bool)
    valid[:, 2] = False
    valid[1:, 1] = False
    return condition((block(raw, 20.0, valid=valid),), 3, settings(prefiltered=True))


def test_tensor_is_the_cut_of_the_one_preprocessing():
    c, s = conditioned(), settings(prefiltered=True, window_samples=2048, normalisation="station_max")
    tensor = station_tensor(c, NETWORK, (), T0 - 11.53, s)
    data, mask, log_scale = cut(c, T0 - 11.53, s)
    np.testing.assert_array_equal(tensor.data, data)
    np.testing.assert_array_equal(tensor.mask, mask)
    np.testing.assert_array_equal(tensor.log_scale, log_scale)
    assert tensor.starttime == pytest.approx(T0 - 11.55, abs=1e-6)
    assert tensor.sampling_rate_hz == 20.0
    # What stands at sample k of the tensor is what was recorded at its time
    k = round((c.starttime + 3.0 - tensor.starttime) * 20.0)
    assert tensor.data[0, 0, k] * 10.0 ** log_scale[0] == pytest.approx(c.data[0, 0, 60], rel=1e-4)


def test_used_and_dropped_account_for_every_station():
    given = (Dropped("XX.B..HHN", "dead (constant)"), Dropped("XX.A..HHZ", "in part: something"))
    tensor = station_tensor(conditioned(), NETWORK, given, T0, settings())
    assert tensor.used == ("XX.A", "XX.B")
    assert tensor.dropped == (*given, Dropped("XX.C", "no valid sample in the window"))
    away = station_tensor(conditioned(), NETWORK, given, T0 + 1e4, settings())
    assert away.used == ()
    assert {d.seed_id for d in away.dropped} == {"XX.B..HHN", "XX.A..HHZ", "XX.A", "XX.C"}
    named = (Dropped("XX.C", "no data"),)
    assert station_tensor(conditioned(), NETWORK, named, T0, settings()).dropped == named


def test_wrong_number_of_stations_is_an_error():
    with pytest.raises(ValueError, match="station"):
        station_tensor(conditioned(), stations("A", "B"), (), T0, settings())
