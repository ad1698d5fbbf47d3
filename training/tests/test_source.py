import numpy as np
import pytest
from dlloc_training.source import boxcar, brune, corner_frequency, gaussian, triangle

OMEGA = 2.0 * np.pi * np.arange(0.0, 20.0, 0.05) - 0.1j


@pytest.mark.parametrize(
    ("spectrum", "in_time"),
    [
        (lambda w: brune(w, 1.5), lambda t: (3 * np.pi) ** 2 * t * np.exp(-3 * np.pi * t)),
        (lambda w: boxcar(w, 0.8), lambda t: np.where(t < 0.8, 1 / 0.8, 0.0)),
        (lambda w: triangle(w, 0.8), lambda t: np.clip(np.minimum(t, 0.8 - t), 0, None) / 0.16),
        (lambda w: gaussian(w, 0.1, 1.0), lambda t: np.exp(-50 * (t - 1) ** 2) / (0.1 * np.sqrt(2 * np.pi))),
    ],
)
def test_spectra_are_transforms_of_the_moment_rate(spectrum, in_time):
    t = (np.arange(400000) + 0.5) * 1e-5 * 2.0
    for omega in OMEGA[[0, 3, 40, 200]]:
        direct = np.sum(in_time(t) * np.exp(-1j * omega * t)) * 2e-5
        assert abs(spectrum(np.array([omega]))[0] - direct) < 2e-4


def test_the_moment_is_one():
    zero = np.array([0.0 + 0.0j])
    for spectrum in (brune(zero, 2.0), boxcar(zero, 0.5), triangle(zero, 0.5), gaussian(zero, 0.2)):
        assert spectrum[0] == pytest.approx(1.0)


def test_corner_frequency_of_a_known_source():
    # Mw 3, 3 MPa, 3.5 km/s: radius 180 m
    assert corner_frequency(3.0, 3.0, 3.5) == pytest.approx(7.25, abs=0.02)
    assert corner_frequency(5.0) / corner_frequency(3.0) == pytest.approx(0.1)


def test_parameters_broadcast():
    assert brune(OMEGA, np.array([[1.0], [2.0]])).shape == (2, len(OMEGA))
