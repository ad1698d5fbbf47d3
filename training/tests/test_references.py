"""Whole seismograms against two independent codes, both direct (moment tensor at depth), ours reciprocal."""

import numpy as np
import obspy
import pytest
from dlloc_training.assemble import ground_velocity
from dlloc_training.earth import EarthModel
from dlloc_training.greens import strain_table
from dlloc_training.moment import double_couple
from dlloc_training.source import gaussian
from scipy.integrate import cumulative_trapezoid
from scipy.signal import fftconvolve

LAYERS = [(2.0, 4.0, 2.3, 2.4), (13.0, 6.0, 3.47, 2.7), (0.0, 6.8, 3.9, 2.95)]
DISTANCES = np.array([10.0, 30.0, 60.0])
AZIMUTHS = np.array([40.0, 100.0, 250.0])
TENSOR = double_couple(30.0, 60.0, 40.0, 1e15)
DURATION = 40.0
SIGMA, CENTRE = 0.25, 1.5  # Gaussian moment rate: next to nothing above 2.5 Hz


def _ours(qp, qs, depth, rate, fmax, spectrum, reference_frequency_hz=1.0, duration=DURATION, distances=DISTANCES):
    model = EarthModel.from_rows([(*layer, qp, qs) for layer in LAYERS], reference_frequency_hz)
    table = strain_table(model, [depth], distances, duration_s=duration, fmax_hz=fmax, lead_s=0.0, wrap_damping=100.0)
    index = np.arange(len(distances))
    return ground_velocity(table, 0, index, AZIMUTHS[index], TENSOR, spectrum(table.omega), rate)


def _compare(ours, theirs, least_correlation, largest_misfit):
    """Zero-lag correlation and amplitude ratio of each (component, station)."""
    product = np.sum(ours * theirs, axis=-1)
    correlation = product / np.sqrt(np.sum(ours**2, axis=-1) * np.sum(theirs**2, axis=-1))
    ratio = np.sqrt(np.sum(ours**2, axis=-1) / np.sum(theirs**2, axis=-1))
    assert correlation.min() > least_correlation, f"correlations {np.round(correlation, 5)}"
    assert np.abs(ratio - 1.0).max() < largest_misfit, f"amplitude ratios {np.round(ratio, 4)}"


@pytest.mark.parametrize("depth", [pytest.param(3.0, marks=pytest.mark.slow), 8.0])
def test_against_pyprop8(depth):
    pyprop8 = pytest.importorskip("pyprop8", reason="pyprop8 is not installed: pip install './training[test]'")
    step = 0.2
    structure = pyprop8.LayeredStructureModel([(h or np.inf, vp, vs, rho) for h, vp, vs, rho in LAYERS])
    # Axes of pyprop8: x east, y north, z up; ours north, east, down
    turn = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    # Its unit of displacement for km, km/s, g/cm3 is 1e-15 of ours for N m, as that of our strain
    source = pyprop8.PointSource(0.0, 0.0, depth, (turn @ TENSOR @ turn.T)[None] * 1e-15, np.zeros((1, 3, 1)), 0.0)
    east, north = DISTANCES * np.sin(np.radians(AZIMUTHS)), DISTANCES * np.cos(np.radians(AZIMUTHS))
    _, seismograms = pyprop8.compute_seismograms(
        structure,
        source,
        pyprop8.ListOfReceivers(east, north, geometry="cartesian"),
        round(DURATION / step),
        step,
        source_time_function=lambda omega: 1j * omega * gaussian(np.array(omega), SIGMA, CENTRE),
        show_progress=False,
        pad_frac=0.25,
        stencil_kwargs={"kmin": 0.0, "kmax": 9.0, "nk": 600},
    )
    theirs = np.moveaxis(seismograms, 1, 0)[[2, 1, 0]]
    # pyprop8 makes displacement from velocity by the trapezium rule, which damps 2 Hz at this step by half: so do we
    rate_of_change = _ours(
        np.inf, np.inf, depth, 1.0 / step, 2.5, lambda omega: 1j * omega * gaussian(omega, SIGMA, CENTRE)
    )
    ours = cumulative_trapezoid(rate_of_change, dx=step, axis=-1, initial=0.0)
    _compare(ours, theirs, 0.999, 0.005)


def _pygrt(folder, qp, qs, depth, step, samples, distances=DISTANCES):
    """Displacement (Z N E, station, sample) in m of a delta function of moment TENSOR."""
    pymod = pytest.importorskip("pygrt.pymod", reason="pygrt-kit is not installed: pip install './training[test]'")
    path = folder / "model.txt"
    path.write_text("".join(" ".join(str(value) for value in (*layer, qp, qs)) + "\n" for layer in LAYERS))
    engine = pymod.PyModel1D(grn=folder / "greens", modelpath=path)
    engine.greenfn(
        depsrc=depth,
        deprcv=0.0,
        dists=list(distances),
        nt=samples,
        dt=step,
        keepAllFreq=True,
        nthreads=1,
        print_log=False,
    )
    out = np.zeros((3, len(distances), samples))
    nn, ne, nd, ee, ed, dd = TENSOR[np.triu_indices(3)]
    for i, (distance, azimuth) in enumerate(zip(distances, AZIMUTHS, strict=False)):
        engine.syn(
            depsrc=depth,
            deprcv=0.0,
            dist=float(distance),
            azimuth=float(azimuth),
            output_path=folder / f"station{i}",
            scale=1e7,  # N m to dyne cm
            moment_tensor=[nn, ne, nd, ee, ed, dd],
            zne=True,
        )
        for row, name in enumerate("ZNE"):
            out[row, i] = obspy.read(folder / f"station{i}" / f"{name}.sac")[0].data * 1e-2  # cm to m
    return out


def _smoothed(series, step, sigma, centre):
    t = np.arange(0.0, 2.0 * centre, step)
    kernel = np.exp(-0.5 * ((t - centre) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi)) * step
    return fftconvolve(series, kernel[None, None], axes=-1)[..., : series.shape[-1]]


@pytest.mark.parametrize("quality", [pytest.param((np.inf, np.inf), marks=pytest.mark.slow), (400.0, 200.0)])
def test_against_pygrt(quality, tmp_path):
    step = 0.1
    finite = tuple(1e9 if np.isinf(q) else q for q in quality)
    theirs = _smoothed(_pygrt(tmp_path, *finite, 8.0, step, 400), step, SIGMA, CENTRE)
    # pygrt-kit 0.18 takes the Nyquist frequency as the reference of its constant-Q dispersion
    ours = _ours(*quality, 8.0, 1 / step, 4.0, lambda omega: gaussian(omega, SIGMA, CENTRE), 0.5 / step)
    _compare(ours, theirs, 0.999, 0.005)


@pytest.mark.slow
def test_against_pygrt_at_the_frequencies_of_local_events(tmp_path):
    """Up to 8 Hz, shallow, with attenuation: what training uses."""
    step, sigma, centre = 0.05, 0.07, 0.5
    distances = DISTANCES[:2]
    theirs = _smoothed(_pygrt(tmp_path, 400.0, 200.0, 4.0, step, 600, distances), step, sigma, centre)
    ours = _ours(
        400.0,
        200.0,
        4.0,
        1 / step,
        9.0,
        lambda omega: gaussian(omega, sigma, centre),
        0.5 / step,
        duration=30.0,
        distances=distances,
    )
    _compare(ours, theirs, 0.99, 0.01)
