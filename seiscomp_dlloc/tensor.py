"""The station-by-time tensor: input of models of representation ``stations``."""

import numpy as np

from .passport import Preprocessing
from .preprocess import complete_dropped, cut, window_offset
from .records import COMPONENTS, Conditioned, Dropped, Station, StationTensor


def station_tensor(
    conditioned: Conditioned,
    stations: tuple[Station, ...],
    dropped: tuple[Dropped, ...],
    window_start: float,
    settings: Preprocessing,
) -> StationTensor:
    """The window of ``settings.window_samples`` from ``window_start`` (POSIX s, rounded to the sample grid) on.

    ``conditioned`` holds ``stations`` in their order. ``used`` names the stations that have at least one valid sample
    within the window. ``dropped`` goes along, completed by the stations whose data do not reach into the window and
    that are not named in it yet.
    """
    expected = (len(COMPONENTS), len(stations))
    if conditioned.data.shape[:2] != expected:
        raise ValueError(f"conditioned waveforms of {conditioned.data.shape[:2]} (component, station), not {expected}")
    data, mask, log_scale = cut(conditioned, window_start, settings)
    observed: list[bool] = np.logical_or.reduce(mask, axis=(0, 2)).tolist()
    start = conditioned.starttime + window_offset(conditioned, window_start) / conditioned.sampling_rate_hz
    return StationTensor(
        data,
        mask,
        log_scale,
        conditioned.sampling_rate_hz,
        start,
        stations,
        tuple(station.id for station, there in zip(stations, observed, strict=True) if there),
        complete_dropped(dropped, stations, observed),
    )
