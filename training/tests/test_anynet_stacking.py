"""Evidence summed along travel times."""

import math

import pytest
import torch
from dlloc_training.anynet.stacking import stack

ORIGINS = torch.arange(0, 14, 3)


def naive(evidence: torch.Tensor, times: torch.Tensor, origins: torch.Tensor) -> torch.Tensor:
    """One value at a time, of evidence that is 0 outside of its window."""
    stations, phases, last = evidence.shape
    out = torch.zeros(len(times), len(origins), dtype=evidence.dtype)
    for node in range(len(times)):
        for k, origin in enumerate(origins.tolist()):
            for station in range(stations):
                for phase in range(phases):
                    at = times[node, station, phase].item() + origin
                    if math.isnan(at):
                        continue
                    first = math.floor(at)
                    for index, share in ((first, 1.0 - at + first), (first + 1, at - first)):
                        if 0 <= index < last:
                            out[node, k] += share * evidence[station, phase, index]
    return out


def drawn(low: float, high: float, stations: int = 3, steps: int = 20, nodes: int = 40) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    evidence = torch.randn(stations, 2, steps, generator=generator, dtype=torch.float64)
    times = low + (high - low) * torch.rand(nodes, stations, 2, generator=generator, dtype=torch.float64)
    return evidence, times


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 7.0), (-40.0, 45.0), (-15.0, -10.0), (17.0, 22.0)], ids=["inside", "all", "before", "after"]
)
def test_a_stack_is_the_sum_of_what_lies_between_the_times(low, high):
    evidence, times = drawn(low, high)
    wanted = naive(evidence, times, ORIGINS)
    assert wanted.abs().max() > 0.5  # something is inside in every case
    torch.testing.assert_close(stack(evidence, times, ORIGINS), wanted)


def test_whole_times_take_one_value_and_the_ends_of_the_window_are_in_it():
    evidence, _ = drawn(0.0, 1.0)
    steps = evidence.shape[-1]
    times = torch.arange(-15.0, steps + 3.0, dtype=torch.float64)[:, None, None].expand(-1, 3, 2)
    got = stack(evidence, times, ORIGINS)
    torch.testing.assert_close(got, naive(evidence, times, ORIGINS))
    first, last = times[:, 0, 0].tolist().index(0.0), times[:, 0, 0].tolist().index(steps - 1.0)
    torch.testing.assert_close(got[[first, last], 0], evidence.sum((0, 1))[[0, -1]])


def test_phases_that_reach_no_station_say_nothing():
    evidence, times = drawn(0.0, 8.0)
    times[::3, 1, 0] = times[5, :, 1] = times[7] = math.nan
    got = stack(evidence, times, ORIGINS)
    torch.testing.assert_close(got, naive(evidence, times, ORIGINS))
    assert got[7].abs().max() == 0.0
    assert got[8].abs().max() > 0.0


def test_other_origin_times_are_other_columns_alone():
    evidence, times = drawn(-5.0, 12.0)
    many = stack(evidence, times, torch.arange(0, 30))
    torch.testing.assert_close(stack(evidence, times, ORIGINS), many[:, ORIGINS])
    torch.testing.assert_close(stack(evidence, times, torch.tensor([0]))[:, 0], many[:, 0])


def test_the_gradient_is_the_share_that_each_value_had():
    evidence, _ = drawn(0.0, 1.0)
    evidence.requires_grad_()
    times = torch.full((1, 3, 2), math.nan, dtype=torch.float64)
    times[0, 0, 0], times[0, 2, 1] = 4.25, 18.5
    stack(evidence, times, torch.tensor([0, 2])).sum().backward()
    wanted = torch.zeros_like(evidence)
    wanted[0, 0, [4, 5, 6, 7]] = torch.tensor([0.75, 0.25, 0.75, 0.25], dtype=torch.float64)
    wanted[2, 1, [18, 19]] = 0.5  # the later origin time has it outside of the window
    torch.testing.assert_close(evidence.grad, wanted)
