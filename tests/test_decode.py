import numpy as np
import pytest
from samples import passport_document

from seiscomp_dlloc import heads
from seiscomp_dlloc.decode import image_to_hypocenter, slice_at_depth, vector_to_parameters
from seiscomp_dlloc.errors import ModelError, ModelMismatch, NoEventFound
from seiscomp_dlloc.geometry import Grid, LocalFrame
from seiscomp_dlloc.passport import Calibration, Passport
from seiscomp_dlloc.records import LocationImage

GRID = Grid(36.0, -97.0, -60, -40, 0, 2.0, 2.0, 1.0, 61, 41, 21)
PLAIN = Calibration(peak_threshold=0.3, covariance_scale=1.0, peak_radius_km=20.0)


def gaussian(x, y, z, covariance, grid=GRID):
    zz, yy, xx = np.meshgrid(grid.z_km - z, grid.y_km - y, grid.x_km - x, indexing="ij")
    d = np.stack([xx, yy, zz], axis=-1)
    return np.exp(-0.5 * np.einsum("...i,ij,...j", d, np.linalg.inv(covariance), d))


def density(*events):
    total = sum(share * gaussian(x, y, z, np.diag(np.square(s))) for share, x, y, z, s in events)
    return LocationImage((total / total.sum()).astype(np.float32), GRID, "density")


def label(x, y, z, height=1.0, covariance=None, grid=GRID):
    covariance = np.diag([16.0, 16.0, 9.0]) if covariance is None else covariance
    return LocationImage((height * gaussian(x, y, z, covariance, grid)).astype(np.float32), grid, "label")


@pytest.mark.parametrize(("x", "y", "z"), [(0.0, 0.0, 10.0), (0.7, -3.3, 9.6), (-20.9, 11.1, 8.4)])
def test_density_place_is_found_below_the_grid_step(x, y, z):
    peak = image_to_hypocenter(density((1.0, x, y, z, (4, 4, 2))), PLAIN, 3.0)
    np.testing.assert_allclose([peak.x_km, peak.y_km, peak.z_km], [x, y, z], atol=0.02)
    assert peak.peak > 0.999
    assert peak.secondary_peaks == 0
    assert not peak.edge
    assert not peak.depth_edge


@pytest.mark.parametrize(("x", "y", "z"), [(0.0, 0.0, 10.0), (0.7, -3.3, 9.6), (-20.9, 11.1, 8.4)])
def test_label_place_is_exact_for_a_gaussian(x, y, z):
    tilted = np.array([[16.0, 5.0, 1.0], [5.0, 20.0, -2.0], [1.0, -2.0, 9.0]])
    peak = image_to_hypocenter(label(x, y, z, 0.8, tilted), PLAIN, 4.0, 3.0)
    np.testing.assert_allclose([peak.x_km, peak.y_km, peak.z_km], [x, y, z], atol=1e-3)
    assert 0.7 < peak.peak < 0.80001


def test_covariance_is_the_moment_plus_the_cell():
    truth = np.array([[9.0, 4.0, 1.0], [4.0, 16.0, 2.0], [1.0, 2.0, 4.0]])
    values = gaussian(0.5, 0.5, 10.2, truth)
    image = LocationImage((values / values.sum()).astype(np.float32), GRID, "density")
    peak = image_to_hypocenter(image, PLAIN, 3.0)
    np.testing.assert_allclose(peak.covariance_km2, truth + np.diag([4, 4, 1]) / 12, rtol=0.01, atol=0.01)


def test_calibration_scales_variance_and_floors_it():
    image = density((1.0, 0, 0, 10, (3, 3, 2)))
    plain = image_to_hypocenter(image, PLAIN, 3.0).covariance_km2
    scaled = image_to_hypocenter(image, Calibration(0.3, 2.0, peak_radius_km=20, depth_covariance_scale=0.5), 3.0)
    np.testing.assert_allclose(np.diag(scaled.covariance_km2), np.diag(plain) * [2, 2, 0.5], rtol=1e-6)
    floored = image_to_hypocenter(image, Calibration(0.3, 1e-6, peak_radius_km=20, covariance_floor_km=1.5), 3.0)
    assert np.linalg.eigvalsh(floored.covariance_km2)[:2] == pytest.approx([1.5**2, 1.5**2])


def test_density_peak_is_the_probability_near_it():
    image = density((0.7, -30, 0, 10, (3, 3, 2)), (0.3, 30, 10, 5, (3, 3, 2)))
    peak = image_to_hypocenter(image, PLAIN, 3.0)
    assert peak.peak == pytest.approx(0.7, abs=0.01)
    assert peak.x_km == pytest.approx(-30, abs=0.05)


def test_secondary_peaks_count_by_height_and_distance():
    def count(*events):
        return image_to_hypocenter(density(*events), PLAIN, 3.0).secondary_peaks

    main = (1.0, -30, 0, 10, (3, 3, 2))
    assert count(main, (0.7, 10, 0, 10, (3, 3, 2)), (0.6, 40, 20, 3, (3, 3, 2))) == 2
    assert count(main, (0.4, 10, 0, 10, (3, 3, 2))) == 0, "below half of the main peak"
    assert count((1.0, -30, 0, 10, (2, 2, 2)), (0.9, -25, 0, 10, (2, 2, 2))) == 0, "within two label sigmas"


def test_a_plateau_is_one_peak():
    values = np.zeros(GRID.shape, np.float32)
    values[10, 5:8, 5:8] = 1.0
    values[10, 30:33, 30:33] = 0.9
    assert image_to_hypocenter(LocationImage(values, GRID, "label"), PLAIN, 3.0).secondary_peaks == 1


def test_edges_are_told():
    outside = image_to_hypocenter(label(-75.0, 0, 10), PLAIN, 4.0)
    assert outside.edge
    assert not outside.depth_edge
    deep = image_to_hypocenter(label(0, 0, 27), PLAIN, 4.0)
    assert deep.depth_edge
    assert not deep.edge
    assert deep.z_km == pytest.approx(20.0)


def test_slice_fixes_the_depth_and_leaves_its_variance_unknown():
    sliced = slice_at_depth(density((1.0, 4, 6, 12, (3, 3, 2))), 5.2)
    assert sliced.grid.z_km == pytest.approx([5.0])
    assert sliced.values.sum() == pytest.approx(1.0, abs=1e-5)
    peak = image_to_hypocenter(sliced, PLAIN, 3.0)
    assert (peak.x_km, peak.y_km) == pytest.approx((4, 6), abs=0.02)
    assert np.all(np.isnan(peak.covariance_km2[2]))
    assert np.all(np.isfinite(peak.covariance_km2[:2, :2]))
    assert not peak.depth_edge


def test_empty_image_holds_no_event():
    with pytest.raises(NoEventFound):
        image_to_hypocenter(LocationImage(np.zeros(GRID.shape, np.float32), GRID, "density"), PLAIN, 3.0)


PARAMETERS = [
    {"name": "latitude", "unit": "deg", "scale": 0.1, "offset": 35.2},
    {"name": "longitude", "unit": "deg", "scale": 0.1, "offset": 139.0},
    {"name": "depth", "unit": "km", "scale": 5.0, "offset": 3.0},
    {"name": "time", "unit": "s", "scale": 1.0, "offset": 0.0},
    {"name": "magnitude", "unit": "1", "scale": 2.0, "offset": 1.0},
    {"name": "sigma_x", "unit": "km", "scale": 1.0, "offset": 0.0},
    {"name": "sigma_y", "unit": "km", "scale": 1.0, "offset": 0.0},
]
FRAME = LocalFrame(35.2, 139.0)


def test_vector_is_scaled_and_named():
    got = vector_to_parameters(np.array([0.1, -0.2, -0.8, 1.5, 0.4, 0.3, -0.4]), PARAMETERS, FRAME, PLAIN)
    latitude, longitude = FRAME.to_geographic(got.x_km, got.y_km)
    assert (latitude, longitude) == pytest.approx((35.21, 138.98), abs=1e-7)
    assert got.depth_km == pytest.approx(-1.0)
    assert got.time_s == pytest.approx(1.5)
    assert got.magnitude == pytest.approx(1.8)
    assert got.covariance_km2[0, 0] == pytest.approx(0.09)
    assert got.covariance_km2[1, 1] == pytest.approx(0.16)
    assert np.isnan(got.covariance_km2[2, 2])
    assert got.time_sigma_s is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([{"name": "depth", "unit": "km", "scale": 1, "offset": 0}], "latitude and longitude"),
        ([{"name": "x", "unit": "deg", "scale": 1, "offset": 0}], "must be in 'km'"),
    ],
)
def test_vector_heads_that_mean_nothing_are_refused(parameters, message):
    with pytest.raises(ModelError, match=message):
        vector_to_parameters(np.zeros(1), parameters, FRAME, PLAIN)


def test_vector_of_nan_is_refused_and_of_another_length():
    with pytest.raises(ModelMismatch):
        vector_to_parameters(np.full(7, np.nan), PARAMETERS, FRAME, PLAIN)
    with pytest.raises(ModelError, match="6 values"):
        vector_to_parameters(np.zeros(6), PARAMETERS, FRAME, PLAIN)


def test_a_depth_or_magnitude_that_the_model_was_not_trained_for_is_noted():
    names = (("x", "km"), ("y", "km"), ("magnitude", "1"))
    parameters = [{"name": name, "unit": unit, "scale": 1.0, "offset": 0.0} for name, unit in names]
    passport = Passport(passport_document(head={"kind": "vector", "parameters": parameters}))
    (low, high), (least, most) = passport.region.depth_km, passport.region.magnitude
    got = heads.read({"vector": np.array([-4.0, 4.0, most + 0.5])}, passport)
    assert (got.depth_km, got.depth_type) == ((low + high) / 2, "other")
    assert f"magnitude {most + 0.5:.1f} is outside the model's {least:g} to {most:g}" in got.notes
    got = heads.read({"vector": np.array([-4.0, 4.0, most])}, passport, fixed_depth_km=high + 5.0)
    assert got.depth_type == "operator assigned"
    assert got.notes == (f"depth {high + 5:.1f} km is outside the model's {low:g} to {high:g} km",)
