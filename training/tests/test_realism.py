import numpy as np
import pytest
from dlloc_training.realism import add_coda, apply_kappa, random_site_terms
from scipy.signal import butter, sosfilt

from seiscomp_dlloc.errors import SettingError

RATE = 20.0


def _wavelet(samples=1200, at=200):
    pulse = np.zeros(samples, np.float32)
    pulse[at] = 1.0
    return sosfilt(butter(2, [2, 6], "bandpass", fs=RATE, output="sos"), pulse).astype(np.float32)


def test_coda_has_the_energy_and_the_decay_that_were_asked_for():
    traces = np.broadcast_to(_wavelet(), (60, 3, 4, 1200))
    out = add_coda(traces, RATE, np.random.default_rng(1), energy_ratio=2.0, decay_s=5.0, rise_s=0.3)
    assert out.shape == traces.shape
    coda = out - traces
    direct = np.sum(traces[0, 0, 0] ** 2)
    # The coda is that of a random mixture of three equal components, whose mean energy is that of one
    assert np.sum(coda**2, axis=-1).mean() / direct == pytest.approx(2.0, rel=0.15)
    envelope = np.sqrt(np.mean(coda**2, axis=(0, 1, 2)))
    early, late = envelope[240:280].mean(), envelope[440:480].mean()
    assert early / late == pytest.approx(np.exp(10.0 / 5.0), rel=0.15)


def test_coda_never_comes_before_its_wave():
    traces = np.zeros((2, 3, 5, 1000), np.float32)
    traces[..., 300:] = np.random.default_rng(0).standard_normal((2, 3, 5, 700)).astype(np.float32)
    out = add_coda(traces, RATE, np.random.default_rng(1))
    assert np.abs(out[..., :300]).max() < 1e-4 * np.abs(out).max()
    # and the wave itself stays first: no scattered energy in its first sample
    assert np.corrcoef(out[..., 300:302].ravel(), traces[..., 300:302].ravel())[0, 1] > 0.99


def test_coda_differs_between_stations_components_and_events():
    traces = np.broadcast_to(_wavelet(), (2, 3, 2, 1200))
    coda = (add_coda(traces, RATE, np.random.default_rng(3)) - traces)[..., 220:500].reshape(12, -1)
    correlation = np.corrcoef(coda)
    assert np.abs(correlation - np.eye(12)).max() < 0.6
    assert np.array_equal(
        add_coda(traces, RATE, np.random.default_rng(3)), add_coda(traces, RATE, np.random.default_rng(3))
    )


def test_energy_of_one_component_scatters_to_all():
    traces = np.zeros((1, 3, 50, 1200), np.float32)
    traces[:, 0] = _wavelet()
    out = add_coda(traces, RATE, np.random.default_rng(4), energy_ratio=3.0)
    energy = np.sum((out - traces) ** 2, axis=(0, 2, 3)) / np.sum(traces**2)
    assert energy == pytest.approx([1.0, 1.0, 1.0], rel=0.45)


def test_coda_parameters_per_station():
    traces = np.broadcast_to(_wavelet(), (40, 3, 2, 1200))
    out = add_coda(traces, RATE, np.random.default_rng(5), energy_ratio=np.array([0.0, 4.0]))
    assert np.allclose(out[:, :, 0], traces[:, :, 0], atol=1e-6)
    assert np.sum((out - traces)[:, :, 1] ** 2) > np.sum(traces[:, :, 1] ** 2)
    with pytest.raises(SettingError, match="coda"):
        add_coda(traces, RATE, np.random.default_rng(5), decay_s=0.0)


def test_kappa_is_an_exponential_of_frequency_without_delay():
    pulse = np.zeros((2, 1024), np.float32)
    pulse[:, 512] = 1.0
    out = apply_kappa(pulse, RATE, np.array([0.0, 0.05]))
    assert np.allclose(out[0], pulse[0], atol=1e-6)
    frequency = np.fft.rfftfreq(1024, 1 / RATE)
    assert np.abs(np.fft.rfft(out[1])) == pytest.approx(np.exp(-np.pi * 0.05 * frequency), abs=0.01)
    assert np.argmax(out[1]) == 512
    with pytest.raises(SettingError, match="negative"):
        apply_kappa(pulse, RATE, -0.1)


def test_site_terms():
    terms = random_site_terms(np.random.default_rng(6), (200, 30))
    assert np.log(terms.gains).std() == pytest.approx(0.5, abs=0.02)
    assert terms.kappa_s.min() >= 0.01
    assert terms.kappa_s.max() <= 0.05
    ratio = terms.delays_s_s / terms.delays_p_s
    assert ratio.min() >= 1.2
    assert ratio.max() <= 2.2
    assert terms.delays_p_s.std() == pytest.approx(0.1, abs=0.01)


def test_cover_is_common_to_the_stations_of_an_event_and_leaves_the_other_terms_alone():
    plain = random_site_terms(np.random.default_rng(6), (200, 30))
    covered = random_site_terms(np.random.default_rng(6), (200, 30), cover_s=(0.1, 0.6))
    p, s = covered.delays_p_s - plain.delays_p_s, covered.delays_s_s - plain.delays_s_s
    assert np.array_equal(covered.gains, plain.gains)
    assert np.ptp(p, axis=1).max() < 1e-12
    assert 0.1 <= p.min() < 0.15 < 0.55 < p.max() <= 0.6
    assert 1.2 <= (s / p).min() < 1.3 < 2.1 < (s / p).max() <= 2.2
