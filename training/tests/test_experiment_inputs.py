"""The passport that an experiment's inputs are built by before there is a model."""

import re
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.areas import location_grid
from dlloc_training.experiments.inputs import draft_passport
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.networks.shapes import InputShape

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.resampling import resample
from seiscomp_dlloc.snapshots import ENVELOPE_PASS, WAVEFORM_PASS

from . import tinyrun


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFile:
    return tinyrun.written(tmp_path)


def changed(experiment: ExperimentFile, *pairs: tuple[str, str]) -> ExperimentFile:
    text = tinyrun.TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return tinyrun.written(experiment.folder, text)


def without(experiment: ExperimentFile, section: str) -> ExperimentFile:
    text = re.sub(rf"\[{section}\]\n[^\[]*(\[[^\]\n]*\][^\[\n]*\n[^\[]*)*?(?=\n?\[[a-z])", "", tinyrun.TEXT, count=1)
    assert f"[{section}]" not in text
    return tinyrun.written(experiment.folder, text)


@pytest.mark.parametrize("mask", [False, True])
def test_images_and_stations_have_the_shapes_that_networks_are_built_for(experiment, mask):
    images = draft_passport(experiment, "images", mask=mask)
    stations = draft_passport(experiment, "stations", mask=mask)
    extra = ("mask",) if mask else ()
    assert InputShape.of(images) == InputShape("snapshots", (20, 16, 16), 5.0, ("snapshots", *extra))
    assert InputShape.of(stations) == InputShape("stations", (3, 6, 256), 20.0, ("waveforms", *extra))
    assert stations.stations == images.stations == experiment.stations
    assert (images.preprocessing.pretrigger_s, stations.preprocessing.pretrigger_s) == (0.0, 4.0)
    assert stations.preprocessing.warmup_s == 2.0


def test_the_window_of_stations_is_a_multiple_of_what_the_slim_network_asks_for(experiment):
    for seconds, samples in ((12.8, 256), (12.9, 384), (6.4, 128), (0.5, 128)):
        passport = draft_passport(changed(experiment, ("window_s = 12.8", f"window_s = {seconds}")), "stations")
        assert passport.preprocessing.window_samples == samples


def test_the_earth_model_counts_depths_from_sea_level(experiment):
    passport = draft_passport(experiment, "stations")
    mean_elevation = (300 + 100 + 200 + 0 + 250 + 350) / 6 / 1000
    tops = [layer["top_km"] for layer in passport.earth_model["layers"]]
    assert tops == pytest.approx([-mean_elevation, 3.0 - mean_elevation])
    assert [layer["vp_km_s"] for layer in passport.earth_model["layers"]] == [5.0, 6.0]


def test_the_region_holds_the_experiments_with_a_margin(experiment):
    box = draft_passport(experiment, "images").region
    km = 1.0 / 111.2
    assert box.latitude == pytest.approx((44.94 - km, 45.06 + km), abs=2e-4)
    assert box.longitude[0] < 9.92 - 0.9 * km
    assert box.longitude[1] > 10.08 + 0.9 * km
    assert (box.depth_km, box.magnitude) == ((2.0, 8.0), (2.0, 3.5))


def test_the_images_show_all_stations_and_the_region(experiment):
    bounds = draft_passport(experiment, "images").representation["bounds"]
    assert bounds["south"] <= 44.9102
    assert bounds["north"] >= 45.0898
    assert bounds["west"] <= 9.8802
    assert bounds["east"] >= 10.1098
    assert bounds["north"] - bounds["south"] < 0.2
    wider = changed(experiment, ("columns = 16", "columns = 16\nmargin_km = 5.0"))
    more = draft_passport(wider, "images").representation["bounds"]
    assert (bounds["south"] - more["south"]) * 111.2 == pytest.approx(5.0, rel=0.01)
    assert (more["north"] - bounds["north"]) * 111.2 == pytest.approx(5.0, rel=0.01)


def test_the_location_image_holds_the_region_with_its_margin_and_nodes_lie_inside_cells(experiment):
    grid = location_grid(experiment)
    frame = grid.frame
    assert (frame.latitude, frame.longitude) == pytest.approx((45.0, 10.0))
    for latitude in (44.94, 45.06):
        for longitude in (9.92, 10.08):
            x, y = (float(v) for v in frame.to_local(latitude, longitude))
            assert grid.x_km[0] - 0.5 * grid.dx_km <= x - np.sign(x) * -2.0 <= grid.x_km[-1] + 0.5 * grid.dx_km
            assert grid.y_km[0] - 0.5 * grid.dy_km <= y - np.sign(y) * -2.0 <= grid.y_km[-1] + 0.5 * grid.dy_km
    assert grid.nx % 8 == grid.ny % 8 == 0
    assert (grid.dx_km, grid.dy_km, grid.dz_km) == (1.0, 1.0, 2.0)
    assert grid.z_km.tolist() == [3.0, 5.0, 7.0], "each in the middle of its cell, cells from 2 to 8 km"
    assert grid.x_km[0] + grid.x_km[-1] == pytest.approx(0.0, abs=1e-3)


def test_depths_that_the_spacing_does_not_divide_are_spread_evenly(experiment):
    grid = location_grid(changed(experiment, ("spacing_depth_km = 2.0", "spacing_depth_km = 2.5")))
    assert grid.nz == 2
    assert grid.z_km.tolist() == [3.5, 6.5]


def test_the_head_of_images_has_the_labels_widths(experiment):
    head = draft_passport(experiment, "stations", image_head=True).head
    assert (head["label_sigma_km"], head["label_sigma_depth_km"]) == (1.5, 3.0)
    stated = changed(experiment, ("margin_km = 2.0", "label_sigma_km = 0.7\nlabel_sigma_depth_km = 0.9"))
    head = draft_passport(stated, "stations", image_head=True).head
    assert (head["label_sigma_km"], head["label_sigma_depth_km"]) == (0.7, 0.9)
    head = draft_passport(stated, "stations", image_head=True, labels=(None, 1.2)).head
    assert (head["label_sigma_km"], head["label_sigma_depth_km"]) == (0.7, 1.2)
    assert draft_passport(experiment, "stations").head["kind"] == "vector"


@pytest.mark.parametrize("quantity", ["envelope", "waveform"])
@pytest.mark.parametrize("rate", [5.0, 8.0])
def test_the_window_of_images_holds_what_the_last_frame_rests_on(experiment, quantity, rate):
    other = changed(
        experiment,
        ('quantity = "envelope"', f'quantity = "{quantity}"'),
        ("frame_rate_hz = 5.0", f"frame_rate_hz = {rate}"),
    )
    settings = draft_passport(other, "images").preprocessing
    share = ENVELOPE_PASS if quantity == "envelope" else WAVEFORM_PASS
    reach = resample(np.zeros((1, 400)), 20.0, rate, 0.0, 1, share * rate).reach_s
    assert settings.window_s >= 19 / rate + reach


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("band_hz = [1.0, 8.0]", "band_hz = [1.0, 10.0]"), r"preprocessing\.band_hz.*half the\s+sampling rate"),
        (("band_hz = [1.0, 8.0]", "band_hz = [3.0, 2.0]"), r"preprocessing\.band_hz"),
        (("window_s = 12.8", "window_s = 12.8\nsampling_rate_hz = 25.0"), r"preprocessing\.sampling_rate_hz: 25 .* 20"),
        (("frame_rate_hz = 5.0", "frame_rate_hz = 21.0"), r"images\.frame_rate_hz: 21 .* 20"),
        (
            ('rate_hz = 5.0\nrows = 16\ncolumns = 16\nquantity = "envelope"', 'rate_hz = 2.0\nquantity = "waveform"'),
            r"images: frames at 2 Hz hold nothing above 0\.8 Hz, and the band begins at 1 Hz",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named_with_the_file(experiment, change, message):
    with pytest.raises(SettingError, match=rf"^{re.escape(str(experiment.path))}: .*{message}"):
        draft_passport(changed(experiment, change), "images")


@pytest.mark.parametrize("section", ["preprocessing", "images", "location_image"])
def test_a_section_that_is_missing_is_named(experiment, section):
    bare = without(experiment, section)
    with pytest.raises(SettingError, match=rf"^{re.escape(str(bare.path))}: {section}: the section is missing"):
        draft_passport(bare, "stations" if section == "location_image" else "images", section == "location_image")


@pytest.mark.parametrize("name", ["hakone", "quick"])
def test_the_shipped_experiments_have_a_passport(name):
    experiment = read_experiment(name)
    if "preprocessing" not in experiment.settings:
        pytest.skip(f"{name} has no preprocessing yet")
    for kind, head in (("images", False), ("stations", False), ("stations", True)):
        assert draft_passport(experiment, kind, head).stations == experiment.stations
