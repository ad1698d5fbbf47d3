import numpy as np
import pytest
from dlloc_training.assemble import ground_velocity
from dlloc_training.events import Sources, random_sources, station_positions, synthesize
from dlloc_training.greens import strain_table
from dlloc_training.moment import double_couple, moment_from_magnitude
from dlloc_training.source import brune

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station

RATE = 20.0
TENSOR = double_couple(35.0, 60.0, 75.0, 1e15)


def _one(x=0.0, y=0.0, depth=5.0, tensor=TENSOR, corner=1.5):
    return Sources(np.array([x]), np.array([y]), np.array([depth]), tensor[None], np.array([corner]))


def test_a_station_at_a_node_has_the_nodes_seismogram(table):
    ir = 16
    distance, azimuth = table.distances_km[ir], 115.0
    station = distance * np.array([[np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))]])
    got = synthesize(table, station, _one(), samples=800, start_s=table.start_s[ir])[0, :, 0]
    expected = ground_velocity(table, 0, [ir], [azimuth], TENSOR, brune(table.omega, 1.5), RATE)[:, 0]
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_window_moves_with_its_start(table):
    station = np.array([[12.0, 25.0]])
    early = synthesize(table, station, _one(), samples=900, start_s=-10.0)[0]
    late = synthesize(table, station, _one(), samples=700, start_s=-5.0)[0]
    assert np.abs(early[..., 100:800] - late).max() < 1e-5 * np.abs(late).max()
    assert np.all(early[..., :100] == 0.0)
    # Half a sample more is a shift by half a sample
    half = synthesize(table, station, _one(), samples=900, start_s=-10.025)[0]
    spectrum = np.fft.rfft(early, 2048) * np.exp(-2j * np.pi * np.fft.rfftfreq(2048, 1 / RATE) * 0.025)
    shifted = np.fft.irfft(spectrum, 2048)[..., :900]
    assert np.abs(shifted - half)[..., 120:700].max() < 2e-3 * np.abs(half).max()


@pytest.mark.parametrize(("split", "least"), [(False, 0.94), (True, 0.995)])
def test_between_nodes_the_times_are_corrected(crust, table, split, least):
    distance = 30.43
    exact = strain_table(
        crust, [5.0], [distance], duration_s=40.0, fmax_hz=4.0, reduction_velocity_km_s=7.0, period_km=table.period_km
    )
    station = np.array([[0.0, distance]])
    got = synthesize(table, station, _one(), samples=800, split_phases=split)[0, :, 0]
    right = synthesize(exact, station, _one(), samples=800)[0, :, 0]
    uncorrected = synthesize(table, np.array([[0.0, 30.0]]), _one(), samples=800)[0, :, 0]
    # P on the vertical, S on the transverse (east): 1.5 s from each arrival
    for component, velocity, sediment in ((0, 6.0, 4.0), (2, 3.47, 2.3)):
        arrival = np.hypot(distance, 3.0) / velocity + 2.0 / sediment
        first = round((arrival - 0.5) * RATE)
        window = component, slice(first, first + 30)
        one, two, three = got[window], right[window], uncorrected[window]
        correlation = np.sum(one * two) / np.sqrt(np.sum(one**2) * np.sum(two**2))
        plain = np.sum(three * two) / np.sqrt(np.sum(three**2) * np.sum(two**2))
        assert correlation > least
        assert correlation > plain + 0.02


def test_gains_delays_and_kappa(table):
    stations = np.array([[12.0, 25.0], [12.0, 25.0], [12.0, 25.0], [12.0, 25.0]])
    out = synthesize(
        table,
        stations,
        _one(),
        samples=800,
        gains=[1.0, 2.5, 1.0, 1.0],
        delays_s=[0.0, 0.0, 0.5, 0.0],
        kappa_s=[0, 0, 0, 0.06],
    )[0]
    assert out[:, 1] == pytest.approx(2.5 * out[:, 0], rel=1e-4, abs=1e-6 * float(np.abs(out).max()))
    assert np.abs(out[:, 2, 10:] - out[:, 0, :-10]).max() < 1e-4 * np.abs(out).max()
    spectra = np.abs(np.fft.rfft(out[0], axis=-1))
    frequency = np.fft.rfftfreq(800, 1 / RATE)
    band = (frequency > 0.5) & (frequency < 3.0)
    assert (spectra[3] / spectra[0])[band] == pytest.approx(np.exp(-np.pi * 0.06 * frequency[band]), rel=0.02)


def test_statics_of_s_alone_move_s_alone(table):
    station = np.array([[0.0, 50.0]])
    options = {"samples": 800, "split_phases": True}
    plain = synthesize(table, station, _one(), **options)[0, :, 0]
    late = synthesize(table, station, _one(), delays_of_s_s=0.4, **options)[0, :, 0]
    p_end, s_start = round(11.0 * RATE), round(14.0 * RATE)
    # Both are limited to the same band: what rings before S is small, not nothing
    assert np.abs(late[:, :p_end] - plain[:, :p_end]).max() < 3e-3 * np.abs(plain[:, :p_end]).max()
    tail = slice(s_start + 20, 700)
    assert np.abs(late[:, tail] - plain[:, s_start + 12 : 692]).max() < 1e-3 * np.abs(plain).max()
    with pytest.raises(SettingError, match="split_phases"):
        synthesize(table, station, _one(), samples=800, delays_of_s_s=0.4)


def test_one_magnitude_is_a_factor_of_31_6(table):
    station = np.array([[12.0, 25.0]])
    small = synthesize(table, station, _one(tensor=TENSOR / 1e15 * moment_from_magnitude(2.0)), samples=800)
    large = synthesize(table, station, _one(tensor=TENSOR / 1e15 * moment_from_magnitude(3.0)), samples=800)
    assert np.abs(large).max() / np.abs(small).max() == pytest.approx(10.0**1.5, rel=1e-4)


def test_many_events_are_the_same_as_each_alone(table):
    rng = np.random.default_rng(5)
    stations = rng.uniform(-20.0, 20.0, (7, 2))
    sources = random_sources(
        rng, rng.uniform(-8, 8, 40), rng.uniform(-8, 8, 40), rng.uniform(4, 10, 40), rng.uniform(1, 4, 40)
    )
    together = synthesize(table, stations, sources, samples=700, start_s=-3.0)
    assert together.shape == (40, 3, 7, 700)
    for i in (0, 17, 39):
        alone = Sources(
            sources.x_km[i : i + 1],
            sources.y_km[i : i + 1],
            sources.depth_km[i : i + 1],
            sources.tensors[i : i + 1],
            sources.corner_hz[i : i + 1],
        )
        single = synthesize(table, stations, alone, samples=700, start_s=-3.0)[0]
        assert np.abs(single - together[i]).max() <= 1e-6 * np.abs(single).max()


def test_places_outside_the_table_are_refused(table):
    with pytest.raises(SettingError, match=r"distances from .* 90"):
        synthesize(table, np.array([[0.0, 90.0]]), _one(), samples=100)
    with pytest.raises(SettingError, match="depths from 15"):
        synthesize(table, np.array([[0.0, 20.0]]), _one(depth=15.0), samples=100)
    with pytest.raises(SettingError, match="tensors"):
        Sources(np.zeros(1), np.zeros(1), np.ones(1), TENSOR, np.ones(1))
    with pytest.raises(SettingError, match="above 0"):
        synthesize(table, np.array([[0.0, 20.0]]), _one(depth=-1.0), samples=100)


def test_station_positions():
    frame = LocalFrame(36.0, -97.0)
    stations = (Station("XX", "A", 36.0, -97.0), Station("XX", "B", 36.5, -97.0))
    positions = station_positions(stations, frame)
    assert positions[0] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert positions[1] == pytest.approx([0.0, 55.5], abs=0.1)
