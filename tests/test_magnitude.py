import numpy as np
import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as InventoryStation
from scipy.special import expit

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.magnitude import (
    WA_GAIN,
    local_magnitude,
    network_magnitude,
    station_ml,
    wood_anderson,
)
from seiscomp_dlloc.records import Hypocenter, Station, StationMagnitude
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

RATE, ORIGIN = 100.0, 1_600_000_000.0
START, SAMPLES = ORIGIN - 40.0, 16000
TRAVEL_TIMES = LayeredTravelTimes([0.0], [6.0], [3.5])
# A seismometer of 30 s (poles and zeros of velocity), 1.2e9 counts per m/s
RESPONSE = Response.from_paz(
    zeros=[0, 0],
    poles=[-0.148 + 0.148j, -0.148 - 0.148j],
    stage_gain=1.2e9,
    stage_gain_frequency=1.0,
    input_units="M/S",
    output_units="COUNTS",
)
STATIONS = tuple(Station("XX", f"A{i}", 40.0 + 0.2 * (i + 1), 20.0, 300.0) for i in range(4))
HYPOCENTER = Hypocenter(40.0, 20.0, 8.0, np.eye(3), ORIGIN)


def inventory(response=RESPONSE, stations=STATIONS):
    channels = lambda s: [  # noqa: E731
        Channel(f"HH{c}", "", s.latitude, s.longitude, s.elevation_m, 0.0, azimuth=a, dip=d, response=response)
        for c, a, d in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0))
    ]
    rows = [InventoryStation(s.code, s.latitude, s.longitude, s.elevation_m, channels=channels(s)) for s in stations]
    return Inventory([Network("XX", rows)])


def hypocentral(station):
    from seiscomp_dlloc.geometry import distance_azimuth

    x = float(distance_azimuth(40.0, 20.0, station.latitude, station.longitude)[0])
    return x, float(np.hypot(x, 8.0 + 0.3))


def displacement(station, amplitude_m, hertz=3.0):
    """A burst at the S arrival: 4 s of a steady sine under a smooth envelope, m."""
    t = START + np.arange(SAMPLES) / RATE
    s = ORIGIN + float(TRAVEL_TIMES.times("S", hypocentral(station)[0], 8.0, 300.0))
    envelope = expit(8 * (t - s - 1)) * expit(-8 * (t - s - 5))
    return amplitude_m * envelope * np.sin(2 * np.pi * hertz * (t - s))


def record(seed_id, motion_m, noise_counts=2.0, response=RESPONSE, seed=0):
    """Counts of the instrument: the motion through the response in the frequency domain, with noise."""
    f = np.fft.rfftfreq(2 * SAMPLES, 1 / RATE)
    s = 2j * np.pi * f
    poles, zeros = response.response_stages[0].poles, response.response_stages[0].zeros
    stage = response.response_stages[0]
    gain = stage.normalization_factor * stage.stage_gain
    transfer = gain * np.prod([s - z for z in zeros], axis=0) / np.prod([s - p for p in poles], axis=0) * s
    counts = np.fft.irfft(np.fft.rfft(motion_m, 2 * SAMPLES) * transfer, 2 * SAMPLES)[:SAMPLES]
    counts += noise_counts * np.random.default_rng(seed).standard_normal(SAMPLES) + 500
    network, station, location, channel = seed_id.split(".")
    header = {"network": network, "station": station, "location": location, "channel": channel}
    return obspy.Trace(counts, {**header, "sampling_rate": RATE, "starttime": obspy.UTCDateTime(START)})


def stream(amplitude_m=1e-6, stations=STATIONS, **kwargs):
    traces = []
    for i, station in enumerate(stations):
        for k, (channel, factor) in enumerate((("HHZ", 0.5), ("HHN", 1.0), ("HHE", 2.0))):
            motion = displacement(station, factor * amplitude_m)
            traces.append(record(f"XX.{station.code}..{channel}", motion, seed=10 * i + k, **kwargs))
    return obspy.Stream(traces)


def ml(st, inv=None, stations=STATIONS, hypocenter=HYPOCENTER):
    return local_magnitude(st, ChannelIndex.from_inventory(inv or inventory()), stations, hypocenter, TRAVEL_TIMES)


def test_one_millimetre_at_100_km_is_three():
    assert station_ml(1.0, 100.0) == pytest.approx(3.0, abs=0.005)
    assert station_ml(10.0, 100.0) - station_ml(1.0, 100.0) == pytest.approx(1.0)


def test_wood_anderson_has_the_poles_of_the_standard():
    f = np.geomspace(0.05, 20, 50)
    s, pole = 2j * np.pi * f, -5.49779 + 5.60886j
    np.testing.assert_allclose(wood_anderson(f), WA_GAIN * s**2 / ((s - pole) * (s - pole.conjugate())), rtol=1e-4)


def test_known_displacement_gives_its_magnitude():
    magnitude, note = ml(stream(1e-6))
    assert note == ""
    assert magnitude.type == "ML"
    assert [m.station_id for m in magnitude.stations] == [s.id for s in STATIONS]
    for station, got in zip(STATIONS, magnitude.stations, strict=True):
        # 1 and 2 micrometres at 3 Hz: geometric mean, through the instrument's gain at 3 Hz
        expected_mm = 1e3 * np.sqrt(2) * 1e-6 * abs(wood_anderson(np.array([3.0]))[0])
        assert got.amplitude_mm == pytest.approx(expected_mm, rel=0.02)
        assert got.channel == "HH"
        assert got.distance_km == pytest.approx(hypocentral(station)[1])
        assert got.magnitude == pytest.approx(station_ml(expected_mm, hypocentral(station)[1]), abs=0.02)
        s_time = ORIGIN + hypocentral(station)[1] / 3.5
        assert s_time < got.time < s_time + 6.5
    assert magnitude.value == pytest.approx(np.median([m.magnitude for m in magnitude.stations]))


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_amplitude_by_ten_is_one_magnitude(factor):
    one, other = ml(stream(1e-5))[0], ml(stream(factor * 1e-5))[0]
    assert other.value - one.value == pytest.approx(np.log10(factor), abs=0.02)


def test_long_periods_are_not_cut_off_by_the_water_level():
    """At 0.4 Hz the response to displacement is 2 % of that at 20 Hz: the level is one of the response to velocity."""
    slow = [displacement(station, 1e-4, hertz=0.4) for station in STATIONS]
    rows = zip(STATIONS, slow, strict=True)
    st = obspy.Stream(record(f"XX.{s.code}..HH{c}", x, seed=k) for s, x in rows for k, c in enumerate("NE"))
    spectra = np.fft.rfft(slow, 2 * SAMPLES) * wood_anderson(np.fft.rfftfreq(2 * SAMPLES, 1 / RATE))
    expected_mm = 1e3 * np.abs(np.fft.irfft(spectra)).max(axis=1)
    got = [m.amplitude_mm for m in ml(st)[0].stations]
    assert got == pytest.approx(expected_mm.tolist(), rel=0.02)


def test_magnitude_does_not_depend_on_the_instrument():
    other = Response.from_paz(
        zeros=[0, 0], poles=[-4.44 + 4.44j, -4.44 - 4.44j], stage_gain=4e8, stage_gain_frequency=5.0,
        input_units="M/S", output_units="COUNTS",
    )  # fmt: skip
    one = ml(stream(1e-5))[0]
    short_period = ml(stream(1e-5, response=other), inventory(other))[0]
    assert short_period.value == pytest.approx(one.value, abs=0.02)


def test_overall_sensitivity_alone_gives_none_and_says_so():
    from obspy.core.inventory import InstrumentSensitivity

    bare = Response(instrument_sensitivity=InstrumentSensitivity(1.2e9, 1.0, "M/S", "COUNTS"))
    magnitude, note = ml(stream(), inventory(bare))
    assert magnitude is None
    assert note == "no ML: no instrument response for XX.A0, XX.A1, XX.A2, XX.A3"


def test_noise_clipping_and_gaps_leave_a_station_out_by_name():
    st = stream(1e-5)
    for trace in st.select(station="A0"):
        trace.data = trace.data[:SAMPLES] * 0 + np.random.default_rng(1).standard_normal(SAMPLES) * 1e4
    for trace in st.select(station="A1"):
        trace.data = np.clip(np.rint(trace.data), -20000, 20000)
    for trace in st.select(station="A2").copy():
        st.remove(st.select(id=trace.id)[0])
        st += trace.slice(endtime=obspy.UTCDateTime(ORIGIN + 15))
        st += trace.slice(starttime=obspy.UTCDateTime(ORIGIN + 16))
    magnitude, note = ml(st)
    assert [m.station_id for m in magnitude.stations] == ["XX.A3"]
    assert magnitude.sigma is None
    assert "amplitude below 3 times the noise for XX.A0" in note
    assert "clipped for XX.A1" in note
    assert "a gap in the record for XX.A2" in note


def test_records_that_end_before_s_are_left_out():
    st = stream(1e-5)
    st.trim(endtime=obspy.UTCDateTime(ORIGIN + 12))
    magnitude, note = ml(st)
    assert magnitude is None
    assert "does not hold" in note


def test_horizontals_are_told_by_their_dip_not_by_their_letter():
    """Components 1, 2, 3 of a borehole sensor whose first one is the vertical."""
    st, inv = stream(1e-5), inventory()
    turned = {"Z": "1", "N": "2", "E": "3"}
    for trace in st:
        trace.stats.channel = "HH" + turned[trace.stats.channel[2]]
    for network in inv:
        for station in network:
            for channel in station:
                channel.code = "HH" + turned[channel.code[2]]
    assert ml(st, inv)[0].value == pytest.approx(ml(stream(1e-5))[0].value, abs=1e-9)


def test_network_magnitude_is_the_median_with_robust_scatter():
    rows = [StationMagnitude(f"XX.{i}", "HH", 1.0, 0.0, 10.0, v) for i, v in enumerate((2.0, 2.1, 2.2, 9.0))]
    got = network_magnitude(rows)
    assert got.value == pytest.approx(2.15)
    assert got.sigma == pytest.approx(1.4826 * 0.1)
    assert network_magnitude([]) is None


def test_input_stream_is_not_changed():
    st = stream(1e-5)
    before = st.copy()
    ml(st)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(st, before, strict=True))


@pytest.mark.shared
def test_samos_within_saturation_of_the_catalogue(shared_data):
    """M6.7: ML saturates above about 6.5, and attenuation in the Aegean is not California's."""
    folder = shared_data / "samos"
    inv = obspy.read_inventory(str(folder / "inventory.xml"))
    st = obspy.read(str(folder / "waveforms" / "*"))
    stations = tuple(Station(n.code, s.code, s.latitude, s.longitude, s.elevation) for n in inv for s in n)
    origin = obspy.UTCDateTime("2020-10-30T11:51:24.462125Z").timestamp
    crust = LayeredTravelTimes([0, 20, 35], [5.8, 6.5, 8.04], [3.36, 3.75, 4.47])
    hypocenter = Hypocenter(37.90009, 26.81671, 11.78, np.eye(3), origin)
    magnitude, _ = local_magnitude(st, ChannelIndex.from_inventory(inv), stations, hypocenter, crust)
    assert len(magnitude.stations) >= 8
    assert magnitude.value == pytest.approx(6.67, abs=0.5)
