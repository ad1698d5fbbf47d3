"""1-D earth models in the formats that people have them in."""

import itertools
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from seiscomp_dlloc.errors import ModelError
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.formats.gradients import Segment, flat_layers
from seiscomp_dlloc.passport import schema
from seiscomp_dlloc.traveltimes import LayeredTravelTimes, from_passport

CSV = """# a volcano
depth_km,vp_km_s,vs_km_s
-1.5,2.0,1.1   # loose
0,4.0,2.3
3.5,6.0,3.4
"""
LAYERS = [
    {"top_km": -1.5, "vp_km_s": 2.0, "vs_km_s": 1.1},
    {"top_km": 0.0, "vp_km_s": 4.0, "vs_km_s": 2.3},
    {"top_km": 3.5, "vp_km_s": 6.0, "vs_km_s": 3.4},
]


def written(folder: Path, text: str | bytes, name: str = "model.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_constant_layers_are_taken_as_they_stand(tmp_path):
    model = read_earth_model(written(tmp_path, CSV))
    assert model == {"kind": "layers", "name": "model", "layers": LAYERS}
    jsonschema.validate(model, schema()["properties"]["earth_model"])


@pytest.mark.parametrize(
    "text",
    [
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV.removeprefix("# a volcano\n"),
        "Depth_km, VP_km_s, rho, vs_km_s\n-1.5, 2.0, 2.1, 1.1\n0, 4.0, 2.5, 2.3\n3.5, 6.0, 2.8, 3.4\n",
    ],
    ids=["semicolons", "tabs", "CRLF", "byte order mark", "other columns"],
)
def test_the_layout_does_not_matter(tmp_path, text):
    assert read_earth_model(written(tmp_path, text))["layers"] == LAYERS


def test_s_velocities_follow_from_vp_vs(tmp_path):
    stated = read_earth_model(written(tmp_path, "depth_km,vp_km_s,vp_vs\n0,4.0,1.6\n2,6.0,1.8\n"))
    assert [layer["vs_km_s"] for layer in stated["layers"]] == [pytest.approx(2.5), pytest.approx(6.0 / 1.8)]
    mixed = read_earth_model(written(tmp_path, "depth_km,vp_km_s,vs_km_s,vp_vs\n0,4.0,,1.6\n2,6.0,3.5,\n"))
    assert [layer["vs_km_s"] for layer in mixed["layers"]] == [pytest.approx(2.5), 3.5]
    neither = read_earth_model(written(tmp_path, "depth_km,vp_km_s\n0,4.0\n"))
    assert neither["layers"][0]["vs_km_s"] == pytest.approx(4.0 / np.sqrt(3.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  \n\n", "is empty"),
        ("# nothing\n", "comments only"),
        ("depth_km,vp_km_s,vs_km_s\n", "a header and no layer"),
        ("vp_km_s,vs_km_s\n5,3\n", "line 1: no column depth_km"),
        ("Depth,Vp,Vs\n0,5,3\n", "line 1: no column depth_km and no column vp_km_s; write a CSV"),
        ("0,5,3\n1,6,3.5\n", "line 1: no column depth_km"),
        ("depth_km,vp_km_s,vp_km_s\n0,5,3\n", "line 1: column vp_km_s twice"),
        ("depth_km,vp_km_s,vs_km_s\n0,5\n", "line 2: 2 values under 3 columns"),
        ("depth_km,vp_km_s,vs_km_s\n0,fast,3\n", "line 2: vp_km_s 'fast' is no number"),
        ("depth_km,vp_km_s,vs_km_s\n0,nan,3\n", "line 2: vp_km_s is nan"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,inf\n", "line 2: vs_km_s is inf"),
        ("depth_km,vp_km_s,vs_km_s\n0,-5,3\n", "line 2: velocities -5.0 and 3.0 must be above 0"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,0\n", "line 2: Vs is 0 at 0.0 km: a liquid"),
        ("depth_km,vp_km_s,vs_km_s\n0,3,5\n", "line 2: Vs 5.0 is not below Vp 3.0"),
        ("depth_km,vp_km_s,vs_km_s\n0,5000,3000\n", "line 2: .*give km/s, not m/s"),
        ("depth_km,vp_km_s,vs_km_s\n-3000,5,3\n", "line 2: .*outside the earth"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,3\n0,6,3.5\n", "line 3: depth_km 0.0 does not lie below 0.0"),
        ("depth_km,vp_km_s,vs_km_s\n# deep\n\n5,5,3\n2,6,3.5\n", "line 5: depth_km 2.0 does not lie below 5.0"),
        ("depth_km,vp_km_s,vs_km_s,vp_vs\n0,5,3,1.7\n", "line 2: both vs_km_s and vp_vs"),
        ("depth_km,vp_km_s,vs_km_s,vp_vs\n0,5,,\n", "line 2: neither vs_km_s nor vp_vs"),
        ("depth_km,vp_km_s,vp_vs\n0,5,0.9\n", "line 2: vp_vs 0.9 must be above 1"),
        (b"depth_km\0vp_km_s", "is binary"),
        (b"depth_km,vp_km_s\n0,\xff\xfe\n", "no UTF-8"),
        ("depth_km,vp_km_s,vs_km_s\n" + "# long\n" * 200_000, "larger than"),
    ],
    ids=lambda value: repr(value[:45]),
)
def test_a_broken_file_is_refused_with_file_and_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ModelError, match=message) as refused:
        read_earth_model(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        read_earth_model(tmp_path / "nowhere.csv")
    with pytest.raises(ModelError, match="is a folder"):
        read_earth_model(tmp_path)


def test_names_of_taup_are_taken_and_others_refused():
    assert read_earth_model("iasp91") == {"kind": "taup", "name": "iasp91"}
    assert read_earth_model("ak135") == {"kind": "taup", "name": "ak135"}
    with pytest.raises(ModelError, match=r"iasp19: no such file, and none of TauP's models.*ak135.*iasp91"):
        read_earth_model("iasp19")


def linear_gradient(x, depth, v0, gradient):
    """Time in v0 + g z between the surface and ``depth``: Slotnick's, e.g. Aki and Richards 2002, box 9.3."""
    at_depth = v0 + gradient * depth
    return np.arccosh(1.0 + gradient**2 * (x**2 + depth**2) / (2.0 * v0 * at_depth)) / gradient


@pytest.mark.parametrize(("v0", "gradient"), [(5.0, 0.05), (2.0, 0.6), (6.0, 0.01)])
def test_steps_give_the_times_of_a_gradient(v0, gradient):
    bottom = 40.0
    fastest = v0 + gradient * bottom
    layers = flat_layers([Segment(0.0, bottom, (v0, fastest), (v0 / 1.8, fastest / 1.8))])
    model = LayeredTravelTimes(*([layer[name] for layer in layers] for name in ("top_km", "vp_km_s", "vs_km_s")))
    for depth in (0.0, 0.7, 6.0, 17.0):
        # Rays between the surface and this depth that turn above the bottom: half of them turn no farther than so
        half = np.sqrt(2.0 * v0 * bottom / gradient + bottom**2)
        x = np.linspace(0.0, min(400.0, 0.9 * half), 200)
        np.testing.assert_allclose(model.times("P", x, depth), linear_gradient(x, depth, v0, gradient), atol=0.02)
        slow = linear_gradient(x, depth, v0 / 1.8, gradient / 1.8)
        np.testing.assert_allclose(model.times("S", x, depth), slow, atol=0.02)


def test_layers_of_nonlinloc_have_gradients(tmp_path):
    text = "CONTROL 1 54321\nLAYER 0.0 5.0 0.05 2.8 0.028 2.7 0.0\n# a comment\nLAYER 30.0 8.0 0.0 4.5 0.0 3.3 0.0\n"
    layers = read_earth_model(written(tmp_path, text, "run.in"))["layers"]
    assert layers[0]["top_km"] == 0.0
    assert layers[-1] == {"top_km": 30.0, "vp_km_s": 8.0, "vs_km_s": 4.5}
    assert len(layers) > 5
    for above, below in itertools.pairwise(layers):
        middle = (above["top_km"] + below["top_km"]) / 2.0
        assert above["vp_km_s"] == pytest.approx(5.0 + 0.05 * middle, abs=1e-5)
        assert above["vs_km_s"] == pytest.approx(2.8 + 0.028 * middle, abs=1e-5)


def test_layers_of_nonlinloc_need_no_keyword_where_a_comment_names_the_columns(tmp_path):
    named = "# model layers (LAYER depth, Vp_top, Vp_grad, Vs_top, Vs_grad, rho_top, rho_grad)\n"
    rows = "-0.20 3.32 0.0 1.87 0.0 2.7 0.0\n0.80 4.20 0.0 2.36 0.0 2.7 0.0\n"
    assert read_earth_model(written(tmp_path, named + rows))["layers"] == [
        {"top_km": -0.2, "vp_km_s": 3.32, "vs_km_s": 1.87},
        {"top_km": 0.8, "vp_km_s": 4.2, "vs_km_s": 2.36},
    ]
    with pytest.raises(ModelError, match="no column depth_km"):
        read_earth_model(written(tmp_path, rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LAYER 0 5 0.1 3 0.05 2.7 0\n", "line 1: the last layer has no bottom"),
        ("LAYER 0 5 0\n", "line 1: 3 values"),
        ("LAYER 0 5 0 3 0 2.7 0\nLAYER 0 6 0 3 0 2.7 0\n", "line 2: depth 0.0 does not lie below"),
        ("LAYER 0 5 0 0 0 2.7 0\n", "line 1: Vs is 0"),
        ("LAYER 0 5 -0.9 3 0 2.7 0\nLAYER 10 6 0 3 0 2.7 0\n", "bottom of the layer from 0.0 km: velocities -4.0"),
        ("LAYER 0 5 0 3 x 2.7 0\n", "line 1: VsGrad 'x' is no number"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_broken_layers_of_nonlinloc_are_refused(tmp_path, text, message):
    with pytest.raises(ModelError, match=message):
        read_earth_model(written(tmp_path, text, "run.in"))


def taup_file(name: str) -> Path:
    import obspy.taup

    return Path(obspy.taup.__file__).parent / "data" / name


def test_iasp91_as_layers_gives_the_times_of_taup_to_400_km():
    layers = from_passport(read_earth_model(taup_file("iasp91.tvel")))
    sphere = from_passport(read_earth_model("iasp91"))
    x = np.arange(0.0, 401.0, 5.0)
    for depth in (0.0, 10.0, 20.0, 30.0):
        for phase in ("P", "S"):
            np.testing.assert_allclose(layers.times(phase, x, depth), sphere.times(phase, x, depth), atol=0.02)


def test_models_of_taup_are_layers_that_a_passport_may_hold():
    for name in ("ak135.tvel", "prem.nd", "jb.nd"):
        model = read_earth_model(taup_file(name))
        jsonschema.validate(model, schema()["properties"]["earth_model"])
        assert np.all(np.diff([layer["top_km"] for layer in model["layers"]]) > 0)
        assert 20 < len(model["layers"]) < 100


TVEL = "title\ntitle\n0.0 5.8 3.36 2.7\n20.0 5.8 3.36 2.7\n20.0 6.5 3.75 2.9 # Conrad\n35.0 6.5 3.75 2.9\n"


def test_both_formats_of_taup_are_the_same_model(tmp_path):
    tvel = read_earth_model(written(tmp_path, TVEL, "m.tvel"))
    rows = TVEL.splitlines()[2:]
    named = [*rows[:2], "crust", *rows[2:], "outer-core", "2891 8 0 9.9"]
    assert read_earth_model(written(tmp_path, "\n".join(named), "m.nd")) == tvel


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", "no line with depth, Vp and Vs"),
        (TVEL.replace("0.0 5.8 3.36", "0.0 1.5 0.0", 1), "line 3: Vs is 0 at 0.0 km: a liquid; leave water out"),
        (TVEL.replace("35.0", "15.0"), "line 6: depth 15.0 lies above 20.0"),
        (TVEL.replace("0.0 5.8", "2.0 5.8", 1), "line 3: begins at 2.0 km"),
        (TVEL.replace("6.5 3.75", "6.5 nan", 1), "line 5: Vs is nan"),
        (TVEL.replace("20.0 6.5 3.75 2.9 # Conrad", "20.0 6.5"), "line 5: 2 values"),
        (TVEL.replace("6.5 3.75", "3.5 3.75", 1), "line 5: Vs 3.75 is not below Vp 3.5"),
    ],
    ids=lambda value: repr(value[-30:]),
)
def test_broken_files_of_taup_are_refused(tmp_path, text, message):
    with pytest.raises(ModelError, match=message):
        read_earth_model(written(tmp_path, text, "m.tvel"))


@pytest.mark.shared
def test_the_models_of_real_networks_are_read_or_refused_with_a_remedy(shared_data):
    hengill = shared_data / "hengill" / "velocity_model_local.txt"
    iceland = shared_data / "iceland_dike" / "iceland_vmodel.txt"
    if not (hengill.is_file() and iceland.is_file()):
        pytest.skip("needs the earth models of hengill and iceland_dike")
    layers = read_earth_model(hengill)["layers"]
    assert (len(layers), layers[2]) == (10, {"top_km": 1.8, "vp_km_s": 5.03, "vs_km_s": 2.83})
    with pytest.raises(ModelError, match="write a CSV of constant layers"):
        read_earth_model(iceland)
