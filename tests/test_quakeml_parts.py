"""Ellipse and ellipsoid, identifiers, and files that are whole or not there."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from solutions import LABELS, find, quakeml_errors, scml_errors, solution

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically
from seiscomp_dlloc.formats.identifiers import FreshIds, from_smi, is_resource_identifier, local_smi, to_smi
from seiscomp_dlloc.formats.quakeml import write_quakeml
from seiscomp_dlloc.formats.scml import write_scml
from seiscomp_dlloc.formats.uncertainty import (
    CONFIDENCE_PERCENT,
    ELLIPSE_FACTOR,
    ELLIPSOID_FACTOR,
    ellipse,
    ellipsoid,
    sigma,
)
from seiscomp_dlloc.records import DepthType


def covariance(seed: int) -> np.ndarray:
    basis = np.random.default_rng(seed).normal(size=(3, 3))
    return basis @ np.diag([0.3, 2.0, 9.0]) @ basis.T


def test_the_factors_are_quantiles_of_chi_squared() -> None:
    share = CONFIDENCE_PERCENT / 100
    assert pytest.approx(math.sqrt(chi2.ppf(share, 2))) == ELLIPSE_FACTOR
    assert pytest.approx(math.sqrt(chi2.ppf(share, 3)), rel=1e-6) == ELLIPSOID_FACTOR


def test_the_ellipse_and_the_ellipsoid_hold_their_share_of_the_samples() -> None:
    matrix = covariance(0)
    points = np.random.default_rng(1).multivariate_normal(np.zeros(3), matrix, size=40000)
    flat, full = ellipse(matrix), ellipsoid(matrix)
    assert flat is not None
    assert full is not None
    within = np.einsum("ij,jk,ik->i", points, np.linalg.inv(matrix), points) <= ELLIPSOID_FACTOR**2
    assert within.mean() == pytest.approx(0.6827, abs=0.01)
    volume = full.major_km * full.intermediate_km * full.minor_km
    assert volume == pytest.approx(ELLIPSOID_FACTOR**3 * math.sqrt(np.linalg.det(matrix)))
    azimuth = math.radians(flat.azimuth_deg)
    along = points[:, 0] * math.sin(azimuth) + points[:, 1] * math.cos(azimuth)
    across = points[:, 0] * math.cos(azimuth) - points[:, 1] * math.sin(azimuth)
    inside = (along / flat.major_km) ** 2 + (across / flat.minor_km) ** 2 <= 1
    assert inside.mean() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize(
    ("matrix", "azimuth"),
    [
        ([[4, 0], [0, 1]], 90.0),
        ([[1, 0], [0, 4]], 0.0),
        ([[2, 1], [1, 2]], 45.0),
        ([[2, -1], [-1, 2]], 135.0),
    ],
)
def test_the_longer_axis_is_found_whichever_way_it_points(matrix: list[list[float]], azimuth: float) -> None:
    full = np.eye(3)
    full[:2, :2] = matrix
    found = ellipse(full)
    assert found is not None
    assert found.azimuth_deg == pytest.approx(azimuth, abs=1e-6)
    assert found.major_km > found.minor_km


@pytest.mark.parametrize("seed", range(20))
def test_the_six_numbers_of_the_ellipsoid_give_the_covariance_back(seed: int) -> None:
    """Rotations about Z, the new Y and the new X, right-handed in (north, east, down); down counts as plunge."""
    matrix = covariance(seed)
    found = ellipsoid(matrix)
    assert found is not None
    assert found.major_km >= found.intermediate_km >= found.minor_km
    assert 0 <= found.plunge_deg <= 90
    assert 0 <= found.azimuth_deg < 360
    assert 0 <= found.rotation_deg < 180
    angles = [found.azimuth_deg, -found.plunge_deg, found.rotation_deg]
    axes = Rotation.from_euler("ZYX", angles, degrees=True).as_matrix()
    lengths = np.array([found.major_km, found.minor_km, found.intermediate_km]) / ELLIPSOID_FACTOR
    north_east_down = axes @ np.diag(lengths**2) @ axes.T
    order = [1, 0, 2]
    assert np.allclose(north_east_down[np.ix_(order, order)], matrix)


@pytest.mark.parametrize(
    ("diagonal", "plunge", "azimuth", "rotation"),
    [
        ([1, 4, 9], 90.0, 0.0, 0.0),  # longest down, shortest east: the frame tipped over
        ([9, 4, 1], 0.0, 90.0, 90.0),  # longest east, shortest down
        ([1, 9, 4], 0.0, 0.0, 0.0),  # longest north, shortest east: the frame itself
    ],
)
def test_ellipsoids_along_the_axes(diagonal: list[float], plunge: float, azimuth: float, rotation: float) -> None:
    found = ellipsoid(np.diag(np.array(diagonal, float)))
    assert found is not None
    assert (found.plunge_deg, found.azimuth_deg, found.rotation_deg) == (plunge, azimuth, rotation)


@pytest.mark.parametrize(
    "matrix", [np.full((3, 3), np.nan), np.zeros((3, 3)), -np.eye(3), np.array([[1, 3, 0], [3, 1, 0], [0, 0, 1.0]])]
)
def test_what_is_no_covariance_gives_nothing(matrix: np.ndarray) -> None:
    assert ellipse(matrix) is None
    assert ellipsoid(matrix) is None


def test_unknown_and_zero_variances_have_no_sigma() -> None:
    assert [sigma(v) for v in (4.0, 0.0, -1.0, math.nan, math.inf)] == [2.0, None, None, None, None]


IDENTIFIERS = [
    "Origin/20201030115448.477122.57903",
    "gfz2020vipzs",
    "a b",
    "with~tilde~20",
    "Ünïcode/日本",
    "100%",
    "",
    "smi:x/too-short-an-authority",
    "smi:local",
    'a:b@c[d]{e}|f\\g^h`i"j<k>l!m$n',
    "NLL.20201030120543.489125.58477/netMag/MLv",
]


@pytest.mark.parametrize("public_id", IDENTIFIERS)
def test_any_public_id_passes_into_quakeml_and_back(public_id: str) -> None:
    there = to_smi(public_id)
    assert is_resource_identifier(there)
    assert from_smi(there) == public_id


@pytest.mark.parametrize("identifier", ["smi:local/event/event104", "quakeml:eu.emsc/event/1", "smi:ab1/x?y=1&z=2"])
def test_resource_identifiers_stay_as_they_are(identifier: str) -> None:
    assert to_smi(identifier) == identifier
    assert from_smi(identifier) == identifier


def test_different_public_ids_stay_different() -> None:
    assert len({to_smi(public_id) for public_id in IDENTIFIERS}) == len(IDENTIFIERS)


@pytest.mark.parametrize("name", ["DLLOC", "External:DLLOC", "my model/1.0", "/x", "?"])
def test_names_of_ours_become_valid_identifiers(name: str) -> None:
    assert is_resource_identifier(local_smi(name))


def test_fresh_ids_do_not_repeat() -> None:
    ids = FreshIds()
    made = [ids.new("Origin") for _ in range(100)] + [FreshIds().new("Origin") for _ in range(100)]
    assert len(set(made)) == 200


def test_a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "out", b"x")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.xml"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingError, match=r"out\.xml: cannot be written \(No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="missing"):
        write_atomically(tmp_path / "missing" / "out.xml", b"x")
    with pytest.raises(SettingError, match="cannot be written"):
        write_atomically(tmp_path, b"x")


@pytest.mark.parametrize("kind", ["from location", "operator assigned", "other"])
def test_a_depth_that_was_not_estimated_is_not_called_located(kind: DepthType) -> None:
    base = solution()
    assert base.hypocenter is not None
    fixed = replace(base, hypocenter=replace(base.hypocenter, depth_type=kind))
    quakeml, scml = write_quakeml([fixed], LABELS), write_scml([fixed], "0.13", LABELS)
    assert [e.text for e in find(quakeml, "depthType")] == [e.text for e in find(scml, "depthType")] == [kind]
    assert quakeml_errors(quakeml) == ""
    assert scml_errors(scml, "0.13") == ""
