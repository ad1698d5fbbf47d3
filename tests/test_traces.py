"""Streams as operators have them."""

import io

import numpy as np
import pytest
from obspy import Stream, read
from obspy.core.inventory import read_inventory
from streamsamples import T0, channel, counts, inventory, settings, stations, stream, three, trace

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.traces import collect, collect_for

A = "XX.A..HH"


def reasons(dropped) -> dict[str, str]:
    return {item.seed_id: item.reason for item in dropped}


def test_plain_zne_is_counts_over_sensitivity_to_the_bit():
    source = stream([A + "Z", A + "N", A + "E"])
    (block,), dropped = collect(source, inventory(*three(A, sensitivity=2e9)), stations("A"))
    assert dropped == ()
    assert block.valid.all()
    assert block.starttime == T0
    assert block.sampling_rate_hz == 100.0
    for row, tr in enumerate(source):
        np.testing.assert_array_equal(block.data[row, 0], tr.data / 2e9)


def test_input_stream_is_not_changed():
    source = stream([A + "Z", A + "N", A + "E"])
    before = source.copy()
    collect(source, inventory(*three(A)), stations("A"))
    assert source == before


def test_order_of_traces_does_not_matter():
    source = stream([f"XX.{s}..HH{c}" for s in "ABC" for c in "ZNE"])
    inv = inventory(*[c for s in "ABC" for c in three(f"XX.{s}..HH")])
    (one,), _ = collect(source, inv, stations("B", "A", "C"))
    (two,), _ = collect(Stream(source.traces[::-1]), inv, stations("B", "A", "C"))
    np.testing.assert_array_equal(one.data, two.data)
    np.testing.assert_array_equal(one.data[0, 0], source.select(station="B", channel="HHZ")[0].data / 1e9)


def test_negative_sensitivity_turns_the_polarity():
    (block,), _ = collect(stream([A + "Z"]), inventory(channel(A + "Z", sensitivity=-1e9)), stations("A"))
    np.testing.assert_array_equal(block.data[0, 0], counts(0) / -1e9)


def test_gap_between_traces_is_invalid():
    x = counts(1)
    source = Stream([trace(A + "Z", x[:1500]), trace(A + "Z", x[1700:], start=T0 + 17.0)])
    (block,), dropped = collect(source, inventory(channel(A + "Z")), stations("A"))
    assert not block.valid[0, 0, 1500:1700].any()
    assert block.valid[0, 0, :1500].all()
    assert block.valid[0, 0, 1700:].all()
    assert not block.data[0, 0, 1500:1700].any()
    assert dropped == ()


def test_masked_and_non_finite_samples_are_gaps():
    x = np.ma.masked_array(counts(1).astype(float), mask=np.arange(4000) // 100 == 7)
    y = counts(2).astype(float)
    y[100:110] = np.nan
    source = Stream([trace(A + "Z", x), trace("XX.B..HHZ", y)])
    (block,), _ = collect(source, inventory(channel(A + "Z"), channel("XX.B..HHZ")), stations("A", "B"))
    np.testing.assert_array_equal(np.flatnonzero(~block.valid[0, 0]), np.arange(700, 800))
    np.testing.assert_array_equal(np.flatnonzero(~block.valid[0, 1]), np.arange(100, 110))
    assert np.isfinite(block.data).all()


def test_identical_overlap_is_joined():
    x = counts(1)
    source = Stream([trace(A + "Z", x[1800:], start=T0 + 18.0), trace(A + "Z", x[:2000])])
    (block,), dropped = collect(source, inventory(channel(A + "Z")), stations("A"))
    assert dropped == ()
    np.testing.assert_array_equal(block.data[0, 0], x / 1e9)


def test_contradictory_overlap_is_left_out_and_named():
    x, other = counts(1), counts(2)
    source = Stream([trace(A + "Z", x), trace(A + "Z", other[1000:1200], start=T0 + 10.0)])
    (block,), dropped = collect(source, inventory(channel(A + "Z")), stations("A"))
    differ = np.flatnonzero(x[1000:1200] != other[1000:1200]) + 1000
    np.testing.assert_array_equal(np.flatnonzero(~block.valid[0, 0]), differ)
    assert "in part" in reasons(dropped)[A + "Z"]
    assert "contradictory" in reasons(dropped)[A + "Z"]


def test_of_two_versions_of_one_recording_the_first_is_kept():
    x = counts(1)
    source = Stream([trace(A + "Z", x, start=T0 + 0.22), trace(A + "Z", x, start=T0)])
    (block,), dropped = collect(source, inventory(channel(A + "Z")), stations("A"))
    assert block.starttime == T0
    np.testing.assert_array_equal(block.data[0, 0, : x.size], x / 1e9)
    assert not block.valid[0, 0, x.size :].any()
    assert "second version" in reasons(dropped)[A + "Z"]


def test_segments_of_another_rate_are_left_out_and_named():
    source = Stream([trace(A + "Z", counts(1)), trace(A + "Z", counts(2, 500), rate=50.0, start=T0 + 60.0)])
    (block,), dropped = collect(source, inventory(channel(A + "Z")), stations("A"))
    assert block.data.shape[2] == 4000
    assert "50 Hz" in reasons(dropped)[A + "Z"]


def test_different_start_times_share_a_block():
    source = Stream([trace(A + "Z", counts(1, 3000)), trace("XX.B..HHZ", counts(2, 3000), start=T0 + 2.5)])
    (block,), _ = collect(source, inventory(channel(A + "Z"), channel("XX.B..HHZ")), stations("A", "B"))
    assert block.data.shape[2] == 3250
    assert not block.valid[0, 1, :250].any()
    np.testing.assert_array_equal(block.data[0, 1, 250:], counts(2, 3000) / 1e9)


def test_different_rates_and_grids_make_their_own_blocks():
    ids = ["XX.A..HHZ", "XX.B..HHZ", "XX.C..HHZ", "XX.D..HHZ"]
    source = Stream([
        trace(ids[0], counts(0)), trace(ids[1], counts(1), rate=200.0),
        trace(ids[2], counts(2), start=T0 + 0.004), trace(ids[3], counts(3), start=T0 + 0.03),
    ])  # fmt: skip
    blocks, _ = collect(source, inventory(*map(channel, ids)), stations("A", "B", "C", "D"))
    assert [b.station_index.tolist() for b in blocks] == [[0, 3], [1], [2]]


def test_component_off_the_grid_of_its_sensor_is_interpolated():
    t = np.arange(4000) / 100.0
    wave = [1e5 * np.sin(2 * np.pi * 3.0 * (t + shift)) for shift in (0.0, 0.004)]
    source = Stream([trace(A + "Z", wave[0]), trace(A + "N", wave[1], start=T0 + 0.004)])
    (block,), _ = collect(source, inventory(*three(A, "ZN")), stations("A"))
    both = block.valid[0, 0] & block.valid[1, 0]
    assert both.sum() > 3900
    np.testing.assert_allclose(block.data[1, 0, both], block.data[0, 0, both], atol=2e-3 * 1e-4)


def rotated_sensor(directions: dict[str, tuple[float, float]], seed: int = 0):
    """Stream and inventory of a sensor with these directions, and the ground motion (3, n) it stood in."""
    ground = np.stack([counts(seed + k).astype(float) for k in range(3)])
    traces, channels = [], []
    for letter, (azimuth, dip) in directions.items():
        a, d = np.radians(azimuth), np.radians(dip)
        seen = -np.sin(d) * ground[0] + np.cos(d) * (np.cos(a) * ground[1] + np.sin(a) * ground[2])
        traces.append(trace(A + letter, seen))
        channels.append(channel(A + letter, azimuth=azimuth, dip=dip))
    return Stream(traces), inventory(*channels), ground / 1e9


@pytest.mark.parametrize(
    "directions",
    [
        {"Z": (0.0, -90.0), "1": (30.0, 0.0), "2": (120.0, 0.0)},
        {"Z": (0.0, 90.0), "N": (180.0, 0.0), "E": (90.0, 0.0)},
        {"1": (0.0, -35.264), "2": (120.0, -35.264), "3": (240.0, -35.264)},
        {"Z": (10.0, -85.0), "1": (200.0, 3.0), "2": (275.0, -2.0)},
    ],
)
def test_sensors_of_any_direction_give_ground_motion(directions, monkeypatch):
    monkeypatch.setitem(__import__("streamsamples").ORIENTATIONS, "3", (0.0, 0.0))
    source, inv, ground = rotated_sensor(directions)
    (block,), dropped = collect(source, inv, stations("A"))
    assert dropped == ()
    np.testing.assert_allclose(block.data[:, 0], ground, atol=1e-9 * np.abs(ground).max())


def test_rotation_agrees_with_obspy():
    from obspy.signal.rotate import rotate2zne

    directions = {"Z": (0.0, -88.0), "1": (40.0, 2.0), "2": (133.0, -1.0)}
    source, inv, _ = rotated_sensor(directions)
    (block,), _ = collect(source, inv, stations("A"))
    arguments = [v for tr in source for v in (tr.data, *directions[tr.stats.channel[-1]])]
    np.testing.assert_allclose(block.data[:, 0] * 1e9, rotate2zne(*arguments), atol=1e-6)


def test_gap_in_one_rotated_horizontal_spoils_both_but_not_the_vertical():
    source, inv, _ = rotated_sensor({"Z": (0.0, -90.0), "1": (30.0, 0.0), "2": (120.0, 0.0)})
    source[1].data = np.ma.masked_array(source[1].data, mask=np.arange(4000) < 500)
    (block,), _ = collect(source, inv, stations("A"))
    assert block.valid[0].all()
    assert not block.valid[1:, 0, :500].any()
    assert block.valid[1:, 0, 500:].all()


def test_only_a_vertical_stays():
    (block,), dropped = collect(stream([A + "Z"]), inventory(*three(A)), stations("A"))
    assert block.valid[0, 0].all()
    assert not block.valid[1:].any()
    assert reasons(dropped) == {A + "N": "no data", A + "E": "no data"}


def test_lone_rotated_horizontal_is_named():
    ids = [A + "Z", A + "1"]
    (block,), dropped = collect(stream(ids), inventory(*map(channel, ids)), stations("A"))
    assert not block.valid[1:].any()
    assert "without the sensor's other components" in reasons(dropped)[A + "1"]


def chosen(prefixes: list[str], spoil: str = "") -> tuple[str, dict[str, str]]:
    """Which of these sensors at XX.A is used, told by their different sensitivities, and what is dropped."""
    inv = inventory(*[c for i, p in enumerate(prefixes) for c in three(p, sensitivity=10.0 ** (i + 1))])
    source = stream([p + letter for p in prefixes for letter in "ZNE" if p + letter != spoil])
    (block,), dropped = collect(source, inv, stations("A"))
    for i, prefix in enumerate(prefixes):
        if np.array_equal(block.data[0, 0], source.select(id=prefix + "Z")[0].data / 10.0 ** (i + 1)):
            return prefix, reasons(dropped)
    return "", reasons(dropped)


def test_one_sensor_per_station_in_documented_order():
    used, dropped = chosen(["XX.A.10.HH", "XX.A.00.HH"])
    assert used == "XX.A.00.HH"
    assert set(dropped) == {"XX.A.10.HHZ", "XX.A.10.HHN", "XX.A.10.HHE"}
    assert all("XX.A.00.HH? is preferred" in reason for reason in dropped.values())
    assert chosen(["XX.A..BH", "XX.A..HH", "XX.A..EH"])[0] == "XX.A..HH"
    assert chosen(["XX.A..EH", "XX.A..BH"])[0] == "XX.A..BH"
    assert chosen(["XX.A.00.HH", "XX.A.10.EH"], spoil="XX.A.00.HHN")[0] == "XX.A.10.EH"
    assert chosen(["XX.A..EH", "XX.A..HN"])[0] == "XX.A..EH"


def test_sensor_with_a_dead_component_gives_way():
    prefixes = ["XX.A.00.HH", "XX.A.10.HH"]
    source = stream([p + letter for p in prefixes for letter in "ZNE"])
    source.select(id="XX.A.00.HHE")[0].data[:] = 17
    (block,), dropped = collect(source, inventory(*[c for p in prefixes for c in three(p)]), stations("A"))
    assert reasons(dropped)["XX.A.00.HHE"] == "dead (constant)"
    np.testing.assert_array_equal(block.data[0, 0], source.select(id="XX.A.10.HHZ")[0].data / 1e9)


def test_unknown_and_absent_stations_are_named():
    _, dropped = collect(stream([A + "Z", "XX.Q..HHZ"]), inventory(*three(A, "Z")), stations("A", "B"))
    assert reasons(dropped) == {"XX.Q": "data of a station that is not asked for", "XX.B": "no data"}


def test_channels_outside_the_inventory_and_its_epochs_are_named():
    inv = inventory(channel(A + "Z"), channel(A + "N", end=T0 - 1.0), channel(A + "E"))
    source = stream([A + "Z", A + "N", "XX.A.20.BHE", "XX.A..LDO"])
    _, dropped = collect(source, inv, stations("A"))
    found = reasons(dropped)
    assert found[A + "N"] == "no epoch in the inventory for its time"
    assert found["XX.A.20.BHE"] == "not in the inventory"
    assert found["XX.A..LDO"] == "not a seismometer's channel"


def test_epoch_valid_at_the_time_is_used():
    inv = inventory(
        channel(A + "Z", sensitivity=1e3, end=T0 - 10.0), channel(A + "Z", sensitivity=2e3, start=T0 - 10.0)
    )
    (block,), _ = collect(stream([A + "Z"]), inv, stations("A"))
    np.testing.assert_array_equal(block.data[0, 0], counts(0) / 2e3)


def test_unnamed_locations_stand_for_one_another():
    source = stream(["XX.A.00.HHZ"])
    (block,), dropped = collect(source, inventory(*three(A)), stations("A"))
    assert block.valid[0].all()
    assert set(reasons(dropped)) == {"XX.A.00.HHN", "XX.A.00.HHE"}


def test_counts_only_where_allowed_and_never_beside_velocity():
    bare = inventory(channel(A + "Z", sensitivity=None))
    blocks, dropped = collect(stream([A + "Z"]), bare, stations("A"))
    assert blocks == ()
    assert reasons(dropped) == {A + "Z": "no sensitivity in the inventory"}
    assert not ChannelIndex.from_inventory(bare).has_sensitivity
    (block,), _ = collect(stream([A + "Z"]), bare, stations("A"), allow_counts=True)
    np.testing.assert_array_equal(block.data[0, 0], counts(0))
    mixed = inventory(channel(A + "Z", sensitivity=None), channel("XX.B..HHZ"))
    (block,), dropped = collect(stream([A + "Z", "XX.B..HHZ"]), mixed, stations("A", "B"), allow_counts=True)
    assert block.station_index.tolist() == [1]
    assert reasons(dropped)[A + "Z"] == "no sensitivity in the inventory"


def test_passport_decides_about_counts_and_rates():
    bare = inventory(channel(A + "Z", sensitivity=None))
    assert collect_for(stream([A + "Z"]), bare, stations("A"), settings())[0] == ()
    assert len(collect_for(stream([A + "Z"]), bare, stations("A"), settings(normalisation="station_max"))[0]) == 1
    slow = stream([A + "Z"], rate=10.0)
    blocks, dropped = collect_for(slow, inventory(channel(A + "Z")), stations("A"), settings())
    assert blocks == ()
    assert "below the 20 Hz needed" in reasons(dropped)[A + "Z"]


@pytest.mark.parametrize(("unit", "scale"), [("M/S", 1.0), ("nm/s", 1e-9), ("mm/sec", 1e-3)])
def test_units_of_velocity(unit, scale):
    (block,), _ = collect(stream([A + "Z"]), inventory(channel(A + "Z", unit=unit, sensitivity=4.0)), stations("A"))
    np.testing.assert_allclose(block.data[0, 0], counts(0) / 4.0 * scale, rtol=1e-12)


def test_a_unit_that_is_not_stated_survives_stationxml():
    inv = inventory(channel(A + "Z", unit=None, sensitivity=4.0))
    written = io.BytesIO()
    inv.write(written, "STATIONXML")
    again = read_inventory(io.BytesIO(written.getvalue()))
    for each in (inv, again):
        (block,), _ = collect(stream([A + "Z"]), each, stations("A"))
        np.testing.assert_allclose(block.data[0, 0], counts(0) / 4.0, rtol=1e-12)


def test_unit_that_is_no_ground_motion_is_refused():
    blocks, dropped = collect(stream([A + "Z"]), inventory(channel(A + "Z", unit="PA")), stations("A"))
    assert blocks == ()
    assert "PA" in reasons(dropped)[A + "Z"]


@pytest.mark.parametrize("unit", ["M/S**2", "M/S/S", "m/s^2", "M/(S**2)"])
def test_accelerometer_is_integrated_and_does_not_drift(unit):
    t = np.arange(12000) / 200.0
    velocity = np.sin(2 * np.pi * 3.0 * t) * np.exp(-(((t - 30.0) / 4.0) ** 2))
    acceleration = np.gradient(velocity, t) + 5.0 + 0.01 * t
    source = Stream([trace("XX.A..HNZ", np.rint(acceleration * 1e6).astype(np.int32), rate=200.0)])
    inv = inventory(channel("XX.A..HNZ", unit=unit, sensitivity=1e6))
    (block,), _ = collect(source, inv, stations("A"), band_hz=(1.0, 8.0))
    ok = block.valid[0, 0]
    assert ok.mean() > 0.95
    found = block.data[0, 0]
    # The high-pass at 0.5 Hz leads a 3 Hz wave by 13.6 degrees; allow for phase, demand amplitude and no drift
    assert np.abs(found[ok]).max() == pytest.approx(1.0, rel=0.03)
    assert np.abs(found[(t > 45.0) & ok]).max() < 0.02


def test_full_response_agrees_with_sensitivity_in_its_flat_part():
    from obspy.core.inventory.response import PolesZerosResponseStage

    stage = PolesZerosResponseStage(
        1, 1e9, 5.0, "M/S", "COUNTS", "LAPLACE (RADIANS/SECOND)", 5.0, [0j, 0j], [-0.037 - 0.037j, -0.037 + 0.037j], 1.0
    )
    from obspy.core.inventory import Response
    from obspy.core.inventory.response import InstrumentSensitivity

    response = Response(
        instrument_sensitivity=InstrumentSensitivity(1e9, 5.0, "M/S", "COUNTS"), response_stages=[stage]
    )
    t = np.arange(6000) / 100.0
    motion = 1e-4 * np.sin(2 * np.pi * 4.0 * t) * np.exp(-(((t - 30.0) / 5.0) ** 2))
    source = Stream([trace(A + "Z", np.rint(motion * 1e9).astype(np.int32) + 5000)])
    inv = inventory(channel(A + "Z", response=response))
    (block,), dropped = collect(source, inv, stations("A"), "full", band_hz=(2.0, 8.0))
    assert dropped == ()
    ok = block.valid[0, 0]
    assert ok.mean() > 0.9
    np.testing.assert_allclose(block.data[0, 0, ok], motion[ok], atol=2e-6)


def test_full_response_without_stages_is_named():
    blocks, dropped = collect(stream([A + "Z"]), inventory(channel(A + "Z")), stations("A"), "full")
    assert blocks == ()
    assert reasons(dropped) == {A + "Z": "no full response in the inventory"}


def test_traces_without_samples_or_rate_are_no_data():
    empty = trace(A + "Z", np.array([], np.int32))
    rateless = trace(A + "N", counts(1), rate=0.0)
    blocks, dropped = collect(Stream([empty, rateless, rateless.copy()]), inventory(*three(A)), stations("A"))
    assert blocks == ()
    assert reasons(dropped) == {A + "Z": "no data", A + "N": "no data"}


def test_empty_stream_names_every_station():
    blocks, dropped = collect(Stream(), inventory(*three(A)), stations("A", "B"))
    assert blocks == ()
    assert set(reasons(dropped)) == {"XX.A", "XX.B"}


@pytest.mark.shared
def test_oklahoma_comes_out_to_the_bit(shared_data):
    folder = shared_data / "oklahoma"
    inv = read_inventory(str(folder / "stations.xml"))
    network = tuple(Station("XX", f"S{i:02d}", 36.0, -97.0) for i in range(30))
    index = ChannelIndex.from_inventory(inv)
    for path in sorted((folder / "waveforms").glob("*.mseed"))[:5]:
        source = read(str(path))
        (block,), dropped = collect(source, index, network)
        assert all(item.reason.startswith(("dead", "no data")) for item in dropped)
        bad = {item.seed_id for item in dropped}
        for tr in source:
            if tr.id in bad or f"{tr.stats.network}.{tr.stats.station}" in bad:
                assert np.ptp(tr.data) == 0
                continue
            row = block.station_index.tolist().index(int(tr.stats.station[1:]))
            np.testing.assert_array_equal(block.data["ZNE".index(tr.stats.channel[-1]), row], tr.data / 2e9)
