import numpy as np
import pytest
from dlloc_training.assemble import band_taper, ground_velocity, to_time
from dlloc_training.earth import EarthModel
from dlloc_training.greens import fast_duration, strain_table
from dlloc_training.moment import double_couple, explosion, moment_from_magnitude
from dlloc_training.source import gaussian
from dlloc_training.table import StrainTable
from scipy.signal import hilbert

from seiscomp_dlloc.errors import SettingError

VP, VS, RHO = 6.0, 3.4, 2.7
SIGMA, CENTRE = 0.12, 0.6
RATE = 20.0


@pytest.fixture(scope="module")
def half_space():
    model = EarthModel.from_rows([(0.0, VP, VS, RHO, np.inf, np.inf)])
    return strain_table(
        model, [6.0, 20.0], [0.5, 10.0, 30.0], duration_s=24.0, fmax_hz=6.0, wrap_damping=100.0, lead_s=1.0
    )


def _velocity(table, iz, ir, azimuth, tensor, spectrum=None):
    source = gaussian(table.omega, SIGMA, CENTRE) if spectrum is None else spectrum
    traces = ground_velocity(table, iz, [ir], [azimuth], tensor, source, RATE)[:, 0]
    time = table.start_s[ir] + np.arange(traces.shape[-1]) / RATE
    return time, traces


def _peak_time(time, trace, low, high):
    inside = (time > low) & (time < high)
    return time[inside][np.argmax(np.abs(hilbert(trace))[inside])]


def test_arrivals_of_a_half_space_are_those_of_the_straight_ray(half_space):
    for iz in (0, 1):
        for ir in (1, 2):
            reach = np.hypot(half_space.depths_km[iz], half_space.distances_km[ir])
            tensor = double_couple(10.0, 80.0, 20.0, 1e15)
            time, (_, north, east) = _velocity(half_space, iz, ir, 40.0, tensor)
            c, s = np.cos(np.radians(40.0)), np.sin(np.radians(40.0))
            transverse, radial = -s * north + c * east, c * north + s * east
            assert _peak_time(time, transverse, 0.0, 20.0) == pytest.approx(reach / VS + CENTRE, abs=0.08)
            middle = 0.5 * (reach / VP + reach / VS) + CENTRE
            assert _peak_time(time, radial, 0.0, middle) == pytest.approx(reach / VP + CENTRE, abs=0.08)
            # Nothing comes before the P wave
            before = time < reach / VP + CENTRE - 6.0 * SIGMA
            assert np.abs(transverse[before]).max() < 2e-3 * np.abs(transverse).max()


def test_amplitude_above_an_explosion_is_twice_that_of_the_whole_space(half_space):
    moment, depth = 1e15, 20.0
    reach = np.hypot(depth, 0.5)
    # Displacement of a moment M(t): [M'(t) / (a R) + M(t) / R^2] / (4 pi rho a^2) along the ray (Aki & Richards
    # 2002, eq. 4.29, an explosion), doubled by the free surface under vertical incidence. For the velocity, M' and
    # M'' stand in the place of M and M'.
    time, (up, _, _) = _velocity(half_space, 1, 0, 0.0, explosion(moment))
    t = time - CENTRE - reach / VP
    rate = np.exp(-0.5 * (t / SIGMA) ** 2) / (SIGMA * np.sqrt(2.0 * np.pi))
    slope = -t / SIGMA**2 * rate
    metres = reach * 1e3
    far = 2.0 * moment / (4.0 * np.pi * RHO * 1e3 * (VP * 1e3) ** 3 * metres) * slope
    near = 2.0 * moment / (4.0 * np.pi * RHO * 1e3 * (VP * 1e3) ** 2 * metres**2) * rate
    vertical = (far + near) * depth / reach
    assert np.abs(up - vertical).max() < 0.02 * np.abs(vertical).max()


def test_first_motions_follow_the_radiation_pattern(half_space):
    reach = np.hypot(30.0, 6.0)
    lobes = {}
    for azimuth in (0.0, 45.0, 135.0, 225.0, 315.0):
        # As a source of a delta moment's displacement the P wave is a pulse with the sign of the radiation
        time, (up, north, east) = _velocity(half_space, 0, 2, azimuth, double_couple(0.0, 90.0, 0.0, 1e15))
        p_wave = np.abs(time - reach / VP - CENTRE) < 3.0 * SIGMA
        radial = np.cos(np.radians(azimuth)) * north + np.sin(np.radians(azimuth)) * east
        moved = np.cumsum(np.stack([up, radial]) * p_wave, axis=-1)
        lobes[azimuth] = moved[[0, 1], np.argmax(np.abs(moved), axis=-1)]
    for azimuth, sign in ((45.0, 1.0), (135.0, -1.0), (225.0, 1.0), (315.0, -1.0)):
        vertical, radial = lobes[azimuth]
        assert np.sign(vertical) == sign
        assert np.sign(radial) == sign
        assert abs(vertical) == pytest.approx(abs(lobes[45.0][0]), rel=1e-3)
    assert abs(lobes[0.0][0]) < 1e-3 * abs(lobes[45.0][0])


def test_an_explosion_moves_everything_up_and_away(half_space):
    for azimuth in (0.0, 120.0):
        time, (up, north, east) = _velocity(half_space, 0, 1, azimuth, explosion(1e15))
        c, s = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
        onset = np.abs(time - np.hypot(6.0, 10.0) / VP - CENTRE + SIGMA) < 0.5 * SIGMA
        assert np.all(up[onset] > 0)
        assert np.all(c * north[onset] + s * east[onset] > 0)
        assert np.abs(-s * north + c * east).max() < 1e-6 * np.abs(up).max()


def test_turning_source_and_station_together_changes_nothing(table):
    tensor = double_couple(35.0, 60.0, 75.0, 1e15)
    turned = double_couple(35.0 + 70.0, 60.0, 75.0, 1e15)
    _, (up, north, east) = _velocity(table, 0, 10, 20.0, tensor)
    _, (up2, north2, east2) = _velocity(table, 0, 10, 90.0, turned)
    c, s = np.cos(np.radians(70.0)), np.sin(np.radians(70.0))
    largest = np.abs(up).max()
    assert np.abs(up2 - up).max() < 1e-5 * largest
    assert np.abs(c * north2 + s * east2 - north).max() < 1e-5 * largest
    assert np.abs(-s * north2 + c * east2 - east).max() < 1e-5 * largest


def test_a_layer_cut_in_two_is_the_same_layer(crust, table):
    top, middle, bottom = crust.rows().tolist()
    rows = [top, [6.0, *middle[1:]], [7.0, *middle[1:]], bottom]
    cut = strain_table(
        EarthModel.from_rows(rows),
        [5.0, 9.0],
        [4.0, 34.0],
        duration_s=40.0,
        fmax_hz=4.0,
        reduction_velocity_km_s=7.0,
        period_km=table.period_km,
    )
    for ours, theirs in ((0, 0), (1, 30)):
        a, b = (to_time(t, t.spectra[:, i] * band_taper(t), RATE) for t, i in ((cut, ours), (table, theirs)))
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()


def test_the_settings_of_the_summation_do_not_matter(crust, table):
    other = strain_table(
        crust,
        [5.0, 9.0],
        [10.0, 60.0],
        duration_s=50.0,
        fmax_hz=4.0,
        reduction_velocity_km_s=7.0,
        period_km=1.7 * table.period_km,
        evanescent_decay=18.0,
        wrap_damping=100.0,
        single_precision=False,
    )
    tensor = double_couple(35.0, 60.0, 75.0, 1e15)
    for ours, theirs in ((0, 6), (1, 56)):
        for iz in (0, 1):
            _, a = _velocity(other, iz, ours, 77.0, tensor)
            _, b = _velocity(table, iz, theirs, 77.0, tensor)
            # What wraps around in the shorter window is the largest difference
            assert np.abs(a[:, : b.shape[-1]] - b).max() < 4e-3 * np.abs(b).max()


def test_the_midpoint_rule_leaves_no_plane_wave(crust):
    """A wave straight up at the origin time would wrap around to 40 s after it, amplified a thousandfold."""
    short = strain_table(
        crust, [5.0], [60.0], duration_s=40.0, fmax_hz=4.0, reduction_velocity_km_s=7.0, wrap_damping=1000.0
    )
    time, traces = _velocity(short, 0, 0, 77.0, double_couple(35.0, 60.0, 75.0, 1e15))
    assert np.abs(traces[:, time > 39.0]).max() < 0.02 * np.abs(traces).max()


def test_moments_scale_linearly(table):
    tensor = double_couple(35.0, 60.0, 75.0, 1.0)
    _, small = _velocity(table, 0, 10, 20.0, tensor * moment_from_magnitude(3.0))
    _, large = _velocity(table, 0, 10, 20.0, tensor * moment_from_magnitude(4.0))
    assert large == pytest.approx(small * 10.0**1.5, rel=1e-9)


def test_attenuation_takes_high_frequencies_away(crust, table):
    rows = crust.rows()
    rows[:, 4:] = np.inf
    elastic = strain_table(
        EarthModel.from_rows(rows.tolist()), [9.0], [60.0], duration_s=40.0, fmax_hz=4.0, reduction_velocity_km_s=7.0
    )
    tensor = double_couple(35.0, 60.0, 75.0, 1e15)
    _, lossy = _velocity(table, 1, 56, 20.0, tensor)
    _, whole = _velocity(elastic, 0, 0, 20.0, tensor)
    ratio = np.abs(np.fft.rfft(lossy[2])).reshape(-1) / np.abs(np.fft.rfft(whole[2]))
    frequency = np.fft.rfftfreq(lossy.shape[-1], 1 / RATE)
    band = [np.median(ratio[np.abs(frequency - f) < 0.4]) for f in (0.6, 1.8, 3.0)]
    # S over 61 km: t* = t / Q, about 17.5 s / 500 and a little in the sediments
    expected = np.exp(-np.pi * np.array([0.6, 1.8, 3.0]) * 0.04)
    assert band == pytest.approx(expected, rel=0.06)


def test_table_file_round_trip(table, tmp_path):
    path = tmp_path / "table.h5"
    for compress in (False, True):
        table.save(path, compress=compress)
        again = StrainTable.load(path)
        assert np.array_equal(again.spectra, table.spectra)
        assert np.array_equal(again.start_s, table.start_s)
        assert np.array_equal(again.omega, table.omega)
        assert np.array_equal(again.model.rows(), table.model.rows())
    assert [p.name for p in tmp_path.iterdir()] == ["table.h5"]


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(SettingError, match=r"missing\.h5"):
        StrainTable.load(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no table")
    with pytest.raises(SettingError, match=r"text\.h5"):
        StrainTable.load(tmp_path / "text.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths_km": [2.0]}, "boundary between two layers"),
        ({"depths_km": [5.0, 4.0]}, "depths must be"),
        ({"depths_km": [0.0, 4.0]}, "depths must be"),
        ({"distances_km": []}, "distances must be"),
        ({"distances_km": [1.0, np.nan]}, "distances must be"),
        ({"reduction_velocity_km_s": 5.0}, "first arrivals would be cut"),
        ({"period_km": 10.0}, "at least twice"),
        ({"wrap_damping": 1.0}, "wrap damping above 1"),
        ({"fmax_hz": 0.0}, "above 0"),
    ],
)
def test_senseless_tables_are_refused(crust, change, message):
    settings = {"depths_km": [5.0], "distances_km": [10.0], "duration_s": 10.0, "fmax_hz": 1.0} | change
    with pytest.raises(SettingError, match=message):
        strain_table(crust, settings.pop("depths_km"), settings.pop("distances_km"), **settings)


def test_sampling_must_suit_the_table(table):
    with pytest.raises(SettingError, match="twice"):
        ground_velocity(table, 0, [0], [0.0], explosion(1.0), sampling_rate_hz=5.0)
    with pytest.raises(SettingError, match="whole number"):
        ground_velocity(table, 0, [0], [0.0], explosion(1.0), sampling_rate_hz=20.03)
    assert fast_duration(80.3, 20.0) == pytest.approx(81.0)
