"""What is said of P and S at one station."""

import math

import numpy as np
import pytest
import torch
from dlloc_training.anynet.evidence import (
    EVIDENCE_STRIDE,
    LONG,
    RATIO_LIMITS,
    SHORT,
    Evidence,
    RatioEvidence,
    energy_ratio,
    valid_times,
)

SAMPLES = 512
STEP = 300


def noise(stations: int = 3, samples: int = SAMPLES, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Of even energy, so that a step is where it was put."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 0.8 + 0.4 * torch.rand(stations, 3, samples, generator=generator)
    waveforms = torch.where(torch.rand(sizes.shape, generator=generator) < 0.5, sizes, -sizes)
    return waveforms, torch.ones_like(waveforms)


def stepped(factor: float = 5.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise that becomes stronger at STEP."""
    waveforms, mask = noise()
    waveforms[..., STEP:] *= factor
    return waveforms, mask


def network(seed: int = 0, **settings) -> Evidence:
    torch.manual_seed(seed)
    made = Evidence(**settings)
    made.train()
    with torch.no_grad():  # the averages of the normalisation
        made(*stepped())
    return made.eval()


def test_the_ratio_peaks_where_the_energy_steps_and_is_the_step():
    ratio = energy_ratio(*stepped())
    assert ratio.shape == (3, 2, SAMPLES)
    assert (ratio[..., LONG:].argmax(-1) + LONG - STEP).abs().max() <= 1
    assert ratio[..., STEP].mean() == pytest.approx(math.log(25.0), abs=0.1)
    # noise is even before it
    assert ratio[..., LONG : STEP - SHORT].abs().max() < 0.3


def test_the_ratio_is_the_formula():
    waveforms, mask = stepped()
    square = waveforms.double() ** 2
    energy = torch.stack([square[:, 0], square[:, 1] + square[:, 2]], 1)
    for t in (LONG, 250, STEP, STEP + 7):
        after, before = energy[..., t : t + SHORT].mean(-1), energy[..., t - LONG : t].mean(-1)
        level = 1e-4 * energy.mean(-1)
        wanted = torch.log((after + level) / (before + level))
        torch.testing.assert_close(energy_ratio(waveforms, mask)[..., t].double(), wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_the_ratio_and_the_evidence_do_not_know_the_unit(scale):
    waveforms, mask = stepped()
    for made in (energy_ratio, network()):
        torch.testing.assert_close(made(scale * waveforms, mask), made(waveforms, mask), atol=1e-3, rtol=1e-3)


def test_what_is_masked_does_not_count():
    waveforms, mask = stepped()
    mask[0, 0, 200:260] = 0.0
    mask[1, 1] = 0.0
    clean = energy_ratio(waveforms, mask)
    spoilt = waveforms.clone()
    spoilt[0, 0, 200:260] = spoilt[1, 1] = 1e3
    torch.testing.assert_close(energy_ratio(spoilt, mask), clean)
    # Means are over valid samples: a gap makes no step of even noise
    assert clean[0, 0, 190 : STEP - SHORT].abs().max() < 0.35
    # One horizontal of two still sees the step
    assert abs(int(clean[1, 1, LONG:].argmax()) + LONG - STEP) <= 1


def test_nothing_is_known_without_enough_before_or_after():
    waveforms, mask = stepped()
    assert energy_ratio(waveforms, mask)[..., : LONG // 5].abs().max() == 0.0
    assert energy_ratio(waveforms, mask)[..., -SHORT // 2 + 1 :].abs().max() == 0.0
    mask[..., : STEP - 10] = 0.0  # a record that begins just before the onset
    assert energy_ratio(waveforms, mask)[..., : STEP + 10].abs().max() == 0.0


def test_a_dead_trace_has_no_ratio_and_silence_has_bounds():
    waveforms, mask = stepped()
    mask[0] = 0.0
    waveforms[1] = 0.0
    waveforms[2, :, :STEP] = 0.0  # silence before the onset
    ratio = energy_ratio(waveforms, mask)
    assert ratio[:2].abs().max() == 0.0
    assert ratio[2].max() == RATIO_LIMITS[1]
    assert ratio[2].min() >= RATIO_LIMITS[0]
    assert torch.isfinite(ratio).all()


def test_times_are_valid_where_a_component_is_there_throughout():
    mask = torch.zeros(1, 3, 12)
    mask[0, 0, :4] = mask[0, 2, 7:] = 1.0
    assert valid_times(mask).tolist() == [[1.0, 1.0, 0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize("samples", [256, 512, 534])
def test_there_is_evidence_of_each_phase_at_each_time_of_any_window(samples):
    waveforms, mask = noise(4, samples)
    one = network()
    log_probability, valid = one.log_probabilities(waveforms, mask)
    times = samples // EVIDENCE_STRIDE
    assert log_probability.shape == (4, 2, times + 1)
    assert valid.shape == (4, 1, times)
    torch.testing.assert_close(log_probability.exp().sum(-1), torch.ones(4, 2))
    for made in (one, RatioEvidence()):
        assert made(waveforms, mask).shape == (4, 2, times)


def test_times_without_data_have_no_probability_and_no_evidence():
    waveforms, mask = stepped()
    mask[0, :, 100:180] = 0.0
    mask[1, :, 400:] = 0.0
    one = network()
    log_probability, _ = one.log_probabilities(waveforms, mask)
    torch.testing.assert_close(log_probability.exp().sum(-1), torch.ones(3, 2))
    assert log_probability[0, :, 50:90].exp().max() == 0.0
    for made in (one, RatioEvidence()):
        evidence = made(waveforms, mask)
        assert evidence[0, :, 50:90].abs().max() == 0.0
        assert evidence[1, :, 200:].abs().max() == 0.0
        assert evidence[2].abs().max() > 0.5


def test_a_dead_station_says_exactly_nothing_whatever_stands_in_its_place():
    waveforms, mask = stepped()
    mask[1] = 0.0
    waveforms[1] = 1e4
    for made in (network(), RatioEvidence()):
        evidence = made(waveforms, mask)
        assert np.all(evidence[1].detach().numpy() == 0.0)
        assert evidence[0].abs().max() > 0.0
        assert torch.isfinite(evidence).all()


def test_stations_do_not_know_of_one_another():
    waveforms, mask = stepped()
    one = network()
    torch.testing.assert_close(one(waveforms[1:2], mask[1:2]), one(waveforms, mask)[1:2], atol=1e-5, rtol=1e-4)


def test_evidence_is_a_ratio_of_likelihoods_with_a_floor():
    """Onsets anywhere alike say nothing, one for sure the number of times; against a place there is a floor."""
    times, outlier = 50, 0.1
    made = Evidence(outlier=outlier)
    valid, ratio = torch.ones(1, 1, times), torch.zeros(1, 2, EVIDENCE_STRIDE * times)
    even = torch.full((1, 2, times + 1), 1.0 / times).log()
    even[..., -1] = -1e4
    assert made.of(even, valid, ratio).abs().max() < 1e-5
    none = torch.full((1, 2, times + 1), -1e4)
    none[..., -1] = 0.0
    assert made.of(none, valid, ratio).abs().max() < 1e-5
    sure = torch.full((1, 2, times + 1), -1e4)
    sure[..., 20] = 0.0
    evidence = made.of(sure, valid, ratio)[0]
    assert evidence[:, 20].tolist() == pytest.approx([math.log(0.9 * times + 0.1)] * 2, rel=1e-5)
    assert evidence[:, 21].tolist() == pytest.approx([math.log(0.1)] * 2, rel=1e-5)


def test_the_ratios_evidence_is_the_ratio_where_it_rises():
    waveforms, mask = stepped()
    evidence = RatioEvidence()(waveforms, mask)
    ratio = energy_ratio(waveforms, mask)[..., ::EVIDENCE_STRIDE]
    torch.testing.assert_close(evidence, ratio.clamp_min(0.0))
    assert (ratio < 0.0).any()
    assert (evidence[..., LONG // 2 :].argmax(-1) + LONG // 2 - STEP // EVIDENCE_STRIDE).abs().max() <= 1
