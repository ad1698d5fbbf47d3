import h5py
import numpy as np
import pytest
from dlloc_training.assemble import ground_velocity, to_time
from dlloc_training.events import Sources
from dlloc_training.greens import strain_table
from dlloc_training.moment import double_couple, explosion, scalar_moment
from dlloc_training.source import brune, gaussian
from dlloc_training.specfem.archive import FORCES, STRAINS, ArchiveHeader, StrainArchive, new_archive
from dlloc_training.specfem.reciprocal import contract, nearest_nodes, synthesize
from dlloc_training.specfem.sourcetime import gaussian_spectrum
from dlloc_training.specfem.text import SpecfemError
from dlloc_training.table import STRAIN_UNIT

from .fullspace import FullSpace

RATE, WIDTH, FMAX = 20.0, 0.15, 4.0
AZIMUTHS = (20.0, 130.0, 255.0)  # of the stations seen from the epicentre
TENSORS = [double_couple(31.0, 62.0, -95.0, 1e15), double_couple(200.0, 85.0, 10.0, 3e14), explosion(1e15)]
TENSORS.append(TENSORS[0] + 0.4 * TENSORS[2])
PAIRS = {"E": 0, "N": 1, "Z": 2}


@pytest.fixture(scope="module")
def layered(request):
    crust = request.getfixturevalue("crust")
    return strain_table(crust, [5.0], [12.0, 20.0, 31.0], duration_s=30.0, fmax_hz=FMAX, wrap_damping=100.0)


def tensor_strains(table, index, azimuth, spectrum):
    """(force Z N E, 3, 3 along east north up, sample) of strain per newton at the table's depth.

    Written out from what the ten Green's functions are said to be, without the package's own rotation.
    """
    traces = to_time(table, table.spectra[0, index] * spectrum, RATE) * STRAIN_UNIT
    theta = np.radians(azimuth + 180.0)  # of the source seen from the station
    r, p, z = (
        np.array([np.sin(theta), np.cos(theta), 0.0]),
        np.array([np.cos(theta), -np.sin(theta), 0.0]),
        np.array([0.0, 0.0, -1.0]),
    )

    def assemble(rr, pp, zz, rz2, rp2, pz2):
        parts = [(rr, r, r), (pp, p, p), (zz, z, z)]
        parts += [(0.5 * s, a, b) for s, x, y in ((rz2, r, z), (rp2, r, p), (pz2, p, z)) for a, b in ((x, y), (y, x))]
        return sum(series * np.outer(a, b)[..., None] for series, a, b in parts)

    none = np.zeros_like(traces[0])
    up = -assemble(*traces[0:4], none, none)  # the table's force points down
    horizontal = []
    for force_azimuth in (0.0, 90.0):  # north, east
        phi = theta - np.radians(force_azimuth)
        along, across = np.cos(phi), np.sin(phi)
        horizontal.append(assemble(*(along * traces[4:8]), *(across * traces[8:10])))
    return np.stack([up, *horizontal])


def packed(tensors):
    """(..., component, sample) of (..., 3, 3, sample) in the archive's order."""
    return np.stack([tensors[..., PAIRS[s[0]], PAIRS[s[1]], :] for s in STRAINS], axis=-2)


def header(samples, start_s=-2.0, nodes=((1.0, 2.0, 5.0),)):
    stations = tuple(f"XX.S{i}" for i in range(len(AZIMUTHS)))
    return ArchiveHeader(
        stations=stations,
        stations_km=np.zeros((len(stations), 3)),
        nodes_km=np.array(nodes),
        latitude=10.0,
        longitude=20.0,
        start_s=start_s,
        dt_s=1.0 / RATE,
        samples=samples,
        width_s=WIDTH,
        fmax_hz=FMAX,
    )


@pytest.fixture(scope="module")
def strain(layered):
    """(station, force, component, sample) as SPECFEM3D would have it: forces with its Gaussian."""
    spectrum = gaussian(layered.omega, WIDTH / np.sqrt(2.0))
    tensors = [tensor_strains(layered, i, azimuth, spectrum) for i, azimuth in enumerate(AZIMUTHS)]
    return packed(np.stack(tensors)).astype(np.float32)


@pytest.fixture
def archive_path(tmp_path, strain):
    path = tmp_path / "archive.h5"
    with new_archive(path, header(strain.shape[-1])) as data:
        data[0] = strain
    return path


def sources(tensors, corner_hz=2.0, place=(1.0, 2.0, 5.0)):
    count = len(tensors)
    return Sources(
        *(np.full(count, value) for value in place), tensors=np.stack(tensors), corner_hz=np.full(count, corner_hz)
    )


@pytest.mark.parametrize("tensor", TENSORS)
def test_the_contraction_gives_the_layered_engines_seismograms(layered, strain, tensor):
    found = contract(strain, tensor)
    spectrum = gaussian(layered.omega, WIDTH / np.sqrt(2.0))
    expected = ground_velocity(layered, 0, [0, 1, 2], AZIMUTHS, tensor, spectrum, RATE, taper_share=0.0)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_contraction_is_the_closed_form_of_a_full_space():
    medium = FullSpace(vp=6000.0, vs=3400.0, rho=2700.0, h=0.2)
    time = np.arange(-1.0, 6.0, 0.02)
    source = np.array([500.0, -800.0, -6000.0])  # east, north, up, m
    stations = np.array([[4000.0, 2500.0, 0.0], [-3000.0, 200.0, 300.0], [700.0, -7000.0, -200.0]])
    # Forces at the stations, strain at the source, by reciprocity what the source does to the stations
    strain = np.stack(
        [
            np.stack([packed(medium.strain(source - station, time)[:, :, PAIRS[f]]) for f in FORCES])
            for station in stations
        ]
    )
    ned_of_enu = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    for tensor in TENSORS:
        enu = ned_of_enu.T @ tensor @ ned_of_enu
        direct = np.stack([medium.moment_velocity(station - source, enu, time) for station in stations], axis=1)
        expected = direct[[2, 1, 0]]  # up, north, east
        found = contract(strain, tensor)
        assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_an_event_of_the_archive_is_that_of_the_layered_engine(layered, archive_path):
    # Little is left at fmax, where the table's taper acts on damped frequencies and the archive's does not
    corner = 0.5
    with StrainArchive(archive_path) as archive:
        found = synthesize(archive, sources(TENSORS, corner), samples=620, start_s=-3.0)
    assert found.shape == (4, 3, 3, 620)
    assert found.dtype == np.float32
    lead = round((layered.start_s[0] + 3.0) * RATE)
    for event, tensor in zip(found, TENSORS, strict=True):
        expected = ground_velocity(layered, 0, [0, 1, 2], AZIMUTHS, tensor, brune(layered.omega, corner), RATE)
        peak = np.abs(expected).max()
        # The last seconds ring where the run was cut off
        inside = round(24.0 * RATE)
        assert np.abs(event[..., lead : lead + inside] - expected[..., :inside]).max() < 5e-3 * peak


def test_another_rate_start_and_delay_move_samples_and_nothing_else(archive_path):
    with StrainArchive(archive_path) as archive:
        plain = synthesize(archive, sources(TENSORS[:1]), samples=400)
        fine = synthesize(archive, sources(TENSORS[:1]), samples=800, sampling_rate_hz=40.0)
        moved = synthesize(
            archive,
            sources(TENSORS[:1]),
            samples=400,
            start_s=np.array([-1.5]),
            delays_s=[[0.0, 0.35, 0.0]],
            gains=[1.0, 1.0, 2.5],
        )
        half = synthesize(archive, sources(TENSORS[:1]), samples=400, delays_s=0.025)
    peak = np.abs(plain).max()
    np.testing.assert_allclose(fine[..., ::2], plain, atol=1e-5 * peak)
    np.testing.assert_allclose(moved[0, :, 0, 30:], plain[0, :, 0, :-30], atol=1e-5 * peak)
    np.testing.assert_allclose(moved[0, :, 1, 37:], plain[0, :, 1, :-37], atol=1e-5 * peak)
    np.testing.assert_allclose(moved[0, :, 2, 30:], 2.5 * plain[0, :, 2, :-30], atol=1e-5 * peak)
    # Half a sample later is every second sample of twice the rate, one before
    np.testing.assert_allclose(half[..., 1:], fine[..., 1:-1:2], atol=1e-5 * peak)


def test_kappa_takes_away_high_frequencies_only(archive_path):
    with StrainArchive(archive_path) as archive:
        plain = synthesize(archive, sources(TENSORS[:1]), samples=620, start_s=-2.0)
        soft = synthesize(archive, sources(TENSORS[:1]), samples=620, start_s=-2.0, kappa_s=0.05)
    ratio = np.abs(np.fft.rfft(soft[0, 0, 0])) / np.abs(np.fft.rfft(plain[0, 0, 0]))
    frequency = np.fft.rfftfreq(620, 1.0 / RATE)
    for target in (0.5, 2.0):
        assert ratio[np.argmin(np.abs(frequency - target))] == pytest.approx(np.exp(-np.pi * 0.05 * target), rel=0.02)


def test_the_moment_scales_the_motion(archive_path):
    with StrainArchive(archive_path) as archive:
        one, ten = synthesize(archive, sources([TENSORS[0], 10.0 * TENSORS[0]]), samples=300)
    np.testing.assert_allclose(ten, 10.0 * one, rtol=1e-5, atol=1e-12 * scalar_moment(TENSORS[0]) * 1e-9)


def test_sources_off_the_nodes_are_refused(archive_path):
    with StrainArchive(archive_path) as archive:
        near = sources(TENSORS[:1], place=(1.005, 2.0, 5.0))
        assert nearest_nodes(archive.header, near, 0.01).tolist() == [0]
        with pytest.raises(SpecfemError, match=r"1\.000 km from the nearest"):
            synthesize(archive, sources(TENSORS[:1], place=(1.0, 3.0, 5.0)), samples=10)


@pytest.mark.parametrize(("rate", "message"), [(7.0, "below twice"), (np.pi * 4.0, "no simple ratio")])
def test_rates_that_do_not_serve_are_refused(archive_path, rate, message):
    with StrainArchive(archive_path) as archive, pytest.raises(SpecfemError, match=message):
        synthesize(archive, sources(TENSORS[:1]), samples=10, sampling_rate_hz=rate)


def test_every_node_gives_its_own_events(tmp_path, strain):
    path = tmp_path / "two.h5"
    nodes = ((1.0, 2.0, 5.0), (4.0, 2.0, 5.0))
    with new_archive(path, header(strain.shape[-1], nodes=nodes)) as data:
        data[0], data[1] = strain, 3.0 * strain
    places = Sources(
        x_km=np.array([4.0, 1.0, 4.0]),
        y_km=np.full(3, 2.0),
        depth_km=np.full(3, 5.0),
        tensors=np.stack([TENSORS[0], TENSORS[0], TENSORS[1]]),
        corner_hz=np.full(3, 2.0),
    )
    with StrainArchive(path) as archive:
        found = synthesize(archive, places, samples=300)
        alone = synthesize(archive, sources([TENSORS[1]], place=(4.0, 2.0, 5.0)), samples=300)
    np.testing.assert_allclose(found[0], 3.0 * found[1], rtol=1e-5, atol=1e-5 * np.abs(found[1]).max())
    np.testing.assert_array_equal(found[2], alone[0])


def test_the_archive_says_what_it_holds(archive_path, strain):
    with h5py.File(archive_path) as file:
        assert dict(file.attrs)["unit"] == "strain per newton"
        assert file.attrs["forces"] == "Z N E"
        assert file.attrs["components"] == "EE EN EZ NN NZ ZZ"
        assert file.attrs["dt_s"] == 1.0 / RATE
        assert file.attrs["start_s"] == -2.0
        # One node of all stations is one piece of the file
        assert file["strain"].chunks == (1, *file["strain"].shape[1:])
    with StrainArchive(archive_path) as archive:
        assert archive.header.stations == ("XX.S0", "XX.S1", "XX.S2")
        np.testing.assert_array_equal(archive.strain(0), strain)


def test_an_archive_that_was_not_finished_is_not_there(tmp_path, strain):
    path = tmp_path / "archive.h5"
    path.write_bytes(b"the one before")

    def interrupted():
        with new_archive(path, header(strain.shape[-1])) as data:
            data[0, 0] = strain[0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"the one before"
    assert [item.name for item in tmp_path.iterdir()] == ["archive.h5"]


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path):
    huge = header(10**13)
    with pytest.raises(SpecfemError, match="GB left"), new_archive(tmp_path / "archive.h5", huge):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_no_archive_is_refused(tmp_path, archive_path):
    with pytest.raises(SpecfemError, match="cannot be read"):
        StrainArchive(tmp_path / "nowhere.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(SpecfemError, match="no strain archive of version"):
        StrainArchive(tmp_path / "other.h5")
    with h5py.File(archive_path, "a") as file:
        del file["nodes_km"]
    with pytest.raises(SpecfemError, match="no whole strain archive"):
        StrainArchive(archive_path)


def test_the_width_of_the_gaussian_is_that_of_the_tables_source():
    omega = 2.0 * np.pi * np.array([0.5, 2.0])
    np.testing.assert_allclose(
        gaussian_spectrum(omega, WIDTH), gaussian(omega.astype(complex), WIDTH / np.sqrt(2.0)).real
    )
