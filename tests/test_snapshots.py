"""The snapshot volume."""

from typing import Any

import numpy as np
import pytest
from streamsamples import T0, settings

from seiscomp_dlloc.errors import ModelMismatch
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Conditioned, Station
from seiscomp_dlloc.snapshots import pixel_centres, snapshot_volume, snapshot_weights

STATIONS = tuple(
    Station("XX", f"S{i}", 35.2 + 0.01 * (7 * i % 10), 139.0 + 0.012 * (3 * i % 10)) for i in range(10)
)  # fmt: skip


def representation(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": "snapshots", "missing": "zero", "frames": 60, "frame_rate_hz": 10.0, "rows": 32, "columns": 32,
        "bounds": {"south": 35.18, "north": 35.32, "west": 138.97, "east": 139.14}, "component": "Z",
        "quantity": "waveform", "kernel": {"kind": "gaussian", "length_km": 3.0},
    }  # fmt: skip
    return values | changes


def conditioned(signal: np.ndarray, rate: float = 20.0, absent: tuple[int, ...] = ()) -> Conditioned:
    """``signal`` (station, n) on Z, something else on N and E."""
    data = np.stack([signal, signal * 0.3 + 1.0, signal * 0.0]).astype(np.float32)
    valid = np.ones(data.shape, bool)
    valid[:, list(absent)] = False
    return Conditioned(data * valid, valid, rate, T0)


def tones(samples: int = 600, rate: float = 20.0) -> np.ndarray:
    t = np.arange(samples) / rate
    return np.stack([(1.0 + i) * np.sin(2 * np.pi * 2.0 * t + i) for i in range(10)])


def test_pixels_run_from_south_to_north_and_west_to_east():
    latitudes, longitudes = pixel_centres(representation())
    assert latitudes[0] == pytest.approx(35.18 + 0.14 / 64)
    assert longitudes[-1] == pytest.approx(139.14 - 0.17 / 64)
    lone = (Station("XX", "N", 35.31, 139.0), Station("XX", "S", 35.19, 139.0))
    weights = snapshot_weights(lone, representation()).reshape(32, 32, 2)
    assert weights[-1, :, 0].min() > 0.9
    assert weights[0, :, 1].min() > 0.9


@pytest.mark.parametrize("kind", ["gaussian", "inverse_distance"])
def test_weights_are_the_documented_formula(kind):
    r = representation(kernel={"kind": kind, "length_km": 4.0})
    weights = snapshot_weights(STATIONS, r)
    assert weights.shape == (1024, 10)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    latitudes, longitudes = pixel_centres(r)
    row, column = 5, 20
    frame = LocalFrame(float(latitudes[row]), float(longitudes[column]))
    x, y = frame.to_local([s.latitude for s in STATIONS], [s.longitude for s in STATIONS])
    d2 = x**2 + y**2
    expected = np.exp(-d2 / 32.0) if kind == "gaussian" else 1.0 / (d2 + 16.0)
    np.testing.assert_allclose(weights[row * 32 + column], expected / expected.sum(), rtol=1e-3)


def test_far_pixels_are_finite_or_black():
    wide = {"south": 30.0, "north": 40.0, "west": 134.0, "east": 144.0}
    assert np.isfinite(snapshot_weights(STATIONS, representation(bounds=wide))).all()
    kernel = {"kind": "gaussian", "length_km": 30.0}
    black = snapshot_weights(STATIONS, representation(bounds=wide, kernel=kernel, extrapolation="zero"))
    assert not black[0].any()
    assert black.sum(axis=1).max() == pytest.approx(1.0)


def test_frames_are_at_their_own_rate_and_exact_times():
    c = conditioned(np.tile(tones()[:1], (10, 1)))
    start = T0 + 8.0137
    volume = snapshot_volume(c, STATIONS, (), start, settings(), representation())
    assert volume.data.shape == volume.mask.shape == (60, 32, 32)
    assert volume.data.dtype == volume.mask.dtype == np.float32
    assert volume.frame_rate_hz == 10.0
    assert volume.starttime == start
    # All stations alike: every pixel shows the wave itself
    expected = np.sin(2 * np.pi * 2.0 * (8.0137 + np.arange(60) / 10.0))
    np.testing.assert_allclose(volume.data, np.broadcast_to(expected[:, None, None], (60, 32, 32)), atol=3e-3)
    np.testing.assert_allclose(volume.mask, 1.0, rtol=1e-6)


def test_vertical_only_is_seen():
    c = conditioned(tones())
    other = Conditioned(c.data * np.array([1, 9, 9], np.float32)[:, None, None], c.valid, c.sampling_rate_hz, T0)
    one = snapshot_volume(c, STATIONS, (), T0 + 8, settings(), representation())
    two = snapshot_volume(other, STATIONS, (), T0 + 8, settings(), representation())
    np.testing.assert_array_equal(one.data, two.data)


def test_envelope_has_no_carrier():
    c = conditioned(np.tile(tones()[3:4], (10, 1)))
    volume = snapshot_volume(c, STATIONS, (), T0 + 8, settings(), representation(quantity="envelope"))
    np.testing.assert_allclose(volume.data, 4.0, rtol=0.02)
    # Smoother than the waveform, it needs less of the record around each frame
    late = snapshot_volume(c, STATIONS, (), T0 + 27.0, settings(), representation(quantity="envelope"))
    assert late.mask[:20].min() > 0.99


def test_missing_station_leaves_a_hole_or_is_reweighted():
    level = np.tile(tones()[:1], (10, 1))
    whole = snapshot_volume(conditioned(level), STATIONS, (), T0 + 8, settings(), representation())
    holed = snapshot_volume(conditioned(level, absent=(4,)), STATIONS, (), T0 + 8, settings(), representation())
    weights = snapshot_weights(STATIONS, representation())
    share = (1.0 - weights[:, 4]).reshape(32, 32)
    np.testing.assert_allclose(holed.mask[0], share, atol=1e-6)
    np.testing.assert_allclose(holed.data, whole.data * share, atol=1e-5)
    assert holed.used == tuple(s.id for i, s in enumerate(STATIONS) if i != 4)
    assert [d.seed_id for d in holed.dropped] == ["XX.S4"]
    mended = snapshot_volume(
        conditioned(level, absent=(4,)), STATIONS, (), T0 + 8, settings(), representation(missing="reweight")
    )
    np.testing.assert_allclose(mended.data, whole.data, atol=1e-5)
    np.testing.assert_allclose(mended.mask, holed.mask)


def test_no_station_at_all_is_black_and_masked():
    c = conditioned(tones(), absent=tuple(range(10)))
    for missing in ("zero", "reweight"):
        volume = snapshot_volume(c, STATIONS, (), T0 + 8, settings(), representation(missing=missing))
        assert not volume.data.any()
        assert not volume.mask.any()


def test_frames_beyond_the_record_are_masked():
    volume = snapshot_volume(conditioned(tones()), STATIONS, (), T0 + 27.0, settings(), representation())
    # The record ends at frame 29.5; the kernel needs up to 1.9 s of it ahead
    assert volume.mask[:11].min() > 0.99
    assert not volume.mask[30:].any()
    assert not volume.data[30:].any()


def test_normalisation_keeps_its_factor():
    c = conditioned(tones() * 1e-6)
    plain = snapshot_volume(c, STATIONS, (), T0 + 8, settings(), representation())
    assert plain.log_scale == 0.0
    scaled = snapshot_volume(c, STATIONS, (), T0 + 8, settings(normalisation="network_max"), representation())
    assert 10.0**scaled.log_scale == pytest.approx(1e-5, rel=0.05)
    np.testing.assert_allclose(scaled.data * 10.0**scaled.log_scale, plain.data, rtol=1e-4, atol=1e-10)
    alike = snapshot_volume(c, STATIONS, (), T0 + 8, settings(normalisation="station_max"), representation())
    assert np.abs(alike.data).max() <= 1.0


def test_given_weights_are_used_and_checked():
    weights = snapshot_weights(STATIONS, representation())
    one = snapshot_volume(conditioned(tones()), STATIONS, (), T0 + 8, settings(), representation())
    two = snapshot_volume(conditioned(tones()), STATIONS, (), T0 + 8, settings(), representation(), weights)
    np.testing.assert_array_equal(one.data, two.data)
    with pytest.raises(ValueError, match="weights"):
        snapshot_volume(conditioned(tones()), STATIONS, (), T0, settings(), representation(), weights[:, :3])


def test_frames_faster_than_samples_are_refused():
    with pytest.raises(ModelMismatch, match="25 Hz"):
        snapshot_volume(conditioned(tones()), STATIONS, (), T0, settings(), representation(frame_rate_hz=25.0))
