"""The passport: what is accepted, what is refused and with which words."""

import json
from typing import Any

import pytest
from samples import passport_document

from seiscomp_dlloc import passport as passports
from seiscomp_dlloc.errors import ModelError


def test_a_valid_document_becomes_records():
    passport = passports.from_dict(passport_document())
    assert (passport.name, passport.version, passport.min_stations) == ("sample", "1.2.3", 3)
    assert [s.id for s in passport.stations] == ["XX.A0", "XX.A1", "XX.A2", "XX.A3"]
    assert passport.stations[2].elevation_m == 300.0
    assert passport.fixed_network
    assert passport.station_tolerance_km == 2.0
    assert passport.preprocessing.band_hz == (2.0, 8.0)
    assert passport.preprocessing.window_s == pytest.approx(12.8)
    assert passport.grid.shape == (5, 9, 11)
    assert passport.frame.latitude == 36.0
    assert passport.region.contains(36.0, -97.0)
    assert not passport.region.contains(36.0, -98.0)
    assert passport.calibration.peak_threshold == 0.2


def test_json_and_back_is_the_same_passport():
    passport = passports.from_dict(passport_document())
    again = passports.parse(passport.to_json())
    assert again.raw == passport.raw
    assert again.to_json() == passport.to_json()


def test_a_passport_for_any_network_needs_no_stations():
    passport = passports.from_dict(passport_document(network={"kind": "any"}))
    assert not passport.fixed_network
    assert passport.stations == ()


def test_a_vector_head_has_parameters_and_no_grid():
    head = {
        "kind": "vector",
        "parameters": [{"name": "depth", "unit": "km", "scale": 10.0, "offset": 5.0}],
        "origin": {"latitude": 35.9, "longitude": -97.1},
    }
    passport = passports.from_dict(passport_document(head=head))
    assert passport.frame.latitude == 35.9
    with pytest.raises(ModelError, match="has no grid"):
        _ = passport.grid


def test_a_vector_head_without_origin_has_its_frame_at_the_centre_of_the_region():
    head = {"kind": "vector", "parameters": [{"name": "x", "unit": "km", "scale": 1.0, "offset": 0.0}]}
    frame = passports.from_dict(passport_document(head=head)).frame
    assert (frame.latitude, frame.longitude) == pytest.approx((36.0, -97.0))


def test_a_snapshot_representation_is_accepted():
    representation = {
        "kind": "snapshots", "missing": "reweight", "frames": 60, "frame_rate_hz": 10.0, "rows": 32, "columns": 32,
        "bounds": {"south": 35.5, "north": 36.5, "west": -97.5, "east": -96.5}, "component": "Z",
        "quantity": "envelope", "kernel": {"kind": "gaussian", "length_km": 10.0},
    }  # fmt: skip
    passport = passports.from_dict(passport_document(representation=representation))
    assert passport.representation["frames"] == 60


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ...}, "'name' is a required property"),
        ({"name": "With Space"}, "name"),
        ({"version": "first"}, "version"),
        ({"content_sha256": "abc"}, "content_sha256"),
        ({"surprise": 1}, "surprise"),
        ({"network": {"kind": "fixed"}}, "network"),
        ({"preprocessing__sampling_rate_hz": 0}, "preprocessing.sampling_rate_hz"),
        ({"preprocessing__normalisation": "batch"}, "preprocessing.normalisation"),
        ({"preprocessing__quantity": "displacement"}, "preprocessing.quantity"),
        ({"head__grid__nx": 0}, "head"),
        ({"representation__kind": "graph"}, "representation"),
        ({"region__latitude": [36.0]}, "region.latitude"),
        ({"min_stations": 0}, "min_stations"),
        ({"calibration__peak_threshold": 1.5}, "calibration.peak_threshold"),
        ({"earth_model__layers": []}, "earth_model"),
        ({"provenance__data": ...}, "provenance"),
    ],
)
def test_the_schema_refuses_and_names_the_field(changes: dict[str, Any], field: str):
    with pytest.raises(ModelError) as caught:
        passports.from_dict(passport_document(**changes), "model m.onnx")
    assert str(caught.value).startswith("model m.onnx: passport field")
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preprocessing__band_hz": [8.0, 2.0]}, "must be in order"),
        ({"preprocessing__band_hz": [2.0, 10.0]}, "below half the sampling rate"),
        ({"region__longitude": [-96.5, -97.5]}, "region.longitude"),
        ({"region__depth_km": [10.0, 10.0]}, "region.depth_km"),
    ],
)
def test_what_a_schema_cannot_say_is_checked_too(changes: dict[str, Any], words: str):
    with pytest.raises(ModelError, match=words):
        passports.from_dict(passport_document(**changes))


def test_a_station_that_stands_twice_is_refused():
    document = passport_document()
    document["network"]["stations"].append(document["network"]["stations"][0])
    with pytest.raises(ModelError, match="twice"):
        passports.from_dict(document)


def test_a_later_format_asks_for_an_update():
    with pytest.raises(ModelError, match="update seiscomp_dlloc"):
        passports.from_dict(passport_document(format_version=2))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"passport"', "1", "[" * 100_000])
def test_text_that_is_no_passport_is_refused_without_a_traceback(text: str):
    with pytest.raises(ModelError):
        passports.parse(text, "model m.onnx")


def test_numbers_that_json_does_not_have_are_not_written():
    with pytest.raises(ValueError, match="JSON"):
        passports.Passport(passport_document(skill={"error": float("nan")})).to_json()


def test_infinity_in_the_text_is_refused():
    text = json.dumps(passport_document()).replace('"unit_scale": 1000000.0', '"unit_scale": Infinity')
    assert "Infinity" in text
    with pytest.raises(ModelError):
        passports.parse(text)
