"""Many runs of one event each, as :func:`dlloc_training.events.synthesize` gives theoretical events."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .placement import Placement
from .seismograms import EventFolder, read_event
from .text import SpecfemError

FloatArray = NDArray[np.float64]


def read_events(
    checked: Sequence[EventFolder],
    *,
    samples: int,
    start_s: ArrayLike = 0.0,
    sampling_rate_hz: float = 20.0,
    progress: Callable[[Path], None] | None = None,
) -> NDArray[np.float32]:
    """Ground velocity (event, 3, station, sample) in m/s, components Z, N, E; sample 0 lies ``start_s`` (scalar or
    (event,)) after the origin time. What a run did not simulate is 0.

    The moment rate is that of the runs (:mod:`~dlloc_training.specfem.sourcetime`). Raises SpecfemError where the
    folders have different stations or a file turns out damaged.
    """
    if not checked:
        raise SpecfemError("no folder of an event was given")
    first = checked[0]
    for other in checked:
        if [s.id for s in other.stations] != [s.id for s in first.stations]:
            raise SpecfemError(
                f"{first.folder} and {other.folder} have different stations: name those to take when checking them"
            )
    starts = np.broadcast_to(np.asarray(start_s, float), (len(checked),))
    out = np.empty((len(checked), 3, len(first.stations), samples), np.float32)
    for i, folder in enumerate(checked):
        out[i] = read_event(folder).on_axis(float(starts[i]), samples, sampling_rate_hz)
        if progress is not None:
            progress(folder.folder)
    return out


def event_places(checked: Sequence[EventFolder], placement: Placement) -> FloatArray:
    """(event, 3): x east, y north, depth below sea level of the sources, km. Raises SpecfemError where a run has
    another projection than ``placement`` says."""
    _agree(checked, placement)
    x, y = placement.to_local([c.source.y for c in checked], [c.source.x for c in checked])
    return np.stack([x, y, placement.source_depth_km([c.source.depth for c in checked])], axis=-1)


def station_places(checked: EventFolder, placement: Placement) -> FloatArray:
    """(station, 3): x east, y north, depth below sea level of the receivers, km."""
    _agree([checked], placement)
    x, y = placement.to_local([s.y for s in checked.stations], [s.x for s in checked.stations])
    return np.stack([x, y, placement.receiver_depth_km([s.burial_m for s in checked.stations])], axis=-1)


def event_tensors(checked: Sequence[EventFolder]) -> FloatArray:
    """(event, 3, 3): moment tensors in N m, north-east-down."""
    return np.stack([c.source.tensor for c in checked])


def _agree(checked: Sequence[EventFolder], placement: Placement) -> None:
    for folder in checked:
        for name, said, expected in (
            ("SUPPRESS_UTM_PROJECTION", folder.suppress_utm, placement.suppress_utm),
            ("USE_SOURCES_RECEIVERS_Z", folder.settings.absolute_z, placement.absolute_z),
        ):
            if said is not None and said != expected:
                raise SpecfemError(
                    f"{folder.folder}: ran with {name} = .{str(said).lower()}., the placement says not so"
                )
