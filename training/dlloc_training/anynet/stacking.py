"""Evidence of all stations summed along travel times, for trial hypocentres and origin times."""

from typing import Any

import torch
from torch.nn import functional


def stack(evidence: torch.Tensor, travel_times: torch.Tensor, origins: torch.Tensor) -> torch.Tensor:
    """Sum of the evidence (node, origin) over stations and phases, linear between its times.

    ``evidence`` (station, phase, time). ``travel_times`` (node, station, phase) count in its time steps, to which the
    earliest trial origin time is added already; ``origins`` (origin,) are whole steps after that, from 0 up. What lies
    outside the window is 0, nothing being known there; so are NaN travel times, of phases that reach no station.

    Every trace is laid out once as rows of what it says of all origin times, so that a node costs one row of each.
    """
    traces, times = evidence.shape[0] * evidence.shape[1], evidence.shape[2]
    # A tensor, not a number: the graph that is traced must hold for other origin times too
    last: Any = origins.max()
    padded = functional.pad(evidence, (1, 2)).reshape(traces, times + 3)
    # Rows for travel times from -last - 1 (all but the latest origin times before the window) to times + 1
    rows: Any = times + last + 3
    place = torch.arange(rows, device=evidence.device)[:, None] - last + origins[None]
    # Whole rows are gathered, here too: onnxruntime takes as long for a single value as for a row
    table = padded.T.index_select(0, place.clamp(0, times + 2).flatten()).T.reshape(traces * rows, -1)
    arrival = travel_times.reshape(-1, traces)
    there = torch.isfinite(arrival)
    arrival = torch.where(there, arrival, torch.zeros_like(arrival))
    lower = torch.floor(arrival)
    share = arrival - lower
    # A row before the first or after the last holds zeros alone, and so does its neighbour
    row = (lower.long() + 1 + last).clamp(0, rows - 2)
    inside = there & (lower >= -last - 1) & (lower <= times)
    index = row + torch.arange(traces, device=evidence.device) * rows
    weight = inside.to(evidence.dtype)
    shape = (index.shape[0], traces, -1)
    before = torch.matmul((weight * (1.0 - share))[:, None], table.index_select(0, index.flatten()).reshape(shape))
    after = torch.matmul((weight * share)[:, None], table.index_select(0, index.flatten() + 1).reshape(shape))
    return (before + after)[:, 0]
