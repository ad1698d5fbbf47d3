"""Inputs of models by the passport's ``representation.kind``.

A new kind of input is one more function in :data:`REPRESENTATIONS` (and a branch of the passport's schema); nothing
else asks which kind a model takes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .passport import Passport
from .records import Conditioned, Dropped, Station
from .snapshots import snapshot_volume, snapshot_weights
from .tensor import station_tensor
from .traveltimes import TravelTimes


@dataclass(frozen=True)
class Window:
    """What every representation is made of: all stations on one time axis, and where the model's window starts.

    ``travel_times`` are there for representations that set predicted arrivals beside the waveforms.
    """

    conditioned: Conditioned
    stations: tuple[Station, ...]
    dropped: tuple[Dropped, ...]
    window_start: float
    travel_times: TravelTimes


@dataclass(frozen=True)
class ModelInput:
    """One event's input: ``arrays`` by the model's input names, without the batch axis.

    ``starttime``: time of the window's first sample, on the sample grid. ``used``: ids of the stations in it.
    """

    arrays: dict[str, NDArray[Any]]
    starttime: float
    used: tuple[str, ...]
    dropped: tuple[Dropped, ...]


def _stations(window: Window, passport: Passport) -> ModelInput:
    """``waveforms``, ``mask`` (3, station, sample), ``log_scale`` (station,)."""
    tensor = station_tensor(
        window.conditioned, window.stations, window.dropped, window.window_start, passport.preprocessing
    )
    arrays = {"waveforms": tensor.data, "mask": tensor.mask, "log_scale": tensor.log_scale}
    return ModelInput(arrays, tensor.starttime, tensor.used, tensor.dropped)


@lru_cache(maxsize=8)
def _weights(stations: tuple[Station, ...], representation: str) -> NDArray[np.float64]:
    return snapshot_weights(stations, json.loads(representation))


def _snapshots(window: Window, passport: Passport) -> ModelInput:
    """``snapshots``, ``mask`` (frame, row, column), ``log_scale`` (1,)."""
    representation = passport.representation
    volume = snapshot_volume(
        window.conditioned,
        window.stations,
        window.dropped,
        window.window_start,
        passport.preprocessing,
        representation,
        _weights(window.stations, json.dumps(representation, sort_keys=True)),
    )
    arrays = {"snapshots": volume.data, "mask": volume.mask, "log_scale": np.array([volume.log_scale], np.float32)}
    return ModelInput(arrays, volume.starttime, volume.used, volume.dropped)


def _traces(window: Window, passport: Passport) -> ModelInput:
    """``waveforms``, ``mask`` (station, 3, sample) of the stations in ``used`` alone, in the window's order."""
    tensor = station_tensor(
        window.conditioned, window.stations, window.dropped, window.window_start, passport.preprocessing
    )
    live: NDArray[np.bool_] = np.logical_or.reduce(tensor.mask, axis=(0, 2))
    arrays = {
        "waveforms": np.ascontiguousarray(tensor.data[:, live].transpose(1, 0, 2)),
        "mask": np.ascontiguousarray(tensor.mask[:, live].transpose(1, 0, 2)).astype(np.float32),
    }
    used = tuple(station.id for station, there in zip(window.stations, live, strict=True) if there)
    return ModelInput(arrays, tensor.starttime, used, tensor.dropped)


REPRESENTATIONS: dict[str, Callable[[Window, Passport], ModelInput]] = {
    "stations": _stations,
    "snapshots": _snapshots,
    "traces": _traces,
}


def build(window: Window, passport: Passport) -> ModelInput:
    """The model's input. Raises ModelError for a kind that this version does not know, EventErrors of the builder."""
    kind = str(passport.representation["kind"])
    if kind not in REPRESENTATIONS:
        known = ", ".join(sorted(REPRESENTATIONS))
        raise ModelError(f"model {passport.name}: inputs of kind {kind!r} are not known here (known: {known}); update")
    return REPRESENTATIONS[kind](window, passport)
