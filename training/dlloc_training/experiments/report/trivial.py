"""What needs no waveforms: the training mean, the nearest training event. Errors of these on the events of a set."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.geometry import LocalFrame

from ..predictions import Predictions
from .results import TrainingEvents

FloatArray = NDArray[np.float64]

MEAN, NEAREST = "training mean", "nearest training event"
NOTES = {
    MEAN: "the mean hypocentre and magnitude of the training events; of the origin time, after the start of the "
    "window, the mean over the held-out events",
    NEAREST: "the training event whose hypocentre is nearest to the true one, with its magnitude: it is told the "
    "answer, and shows how densely the training events lie",
}


def positions(
    latitude: FloatArray, longitude: FloatArray, depth_km: FloatArray, magnitude: FloatArray, frame: LocalFrame
) -> FloatArray:
    """(event, 4): x, y, depth in km, and magnitude."""
    return np.column_stack([*frame.to_local(latitude, longitude), depth_km, magnitude])


def _training(training: TrainingEvents, frame: LocalFrame) -> FloatArray:
    return positions(training.latitude, training.longitude, training.depth_km, training.magnitude, frame)


def _truth(events: Predictions, frame: LocalFrame) -> FloatArray:
    return positions(events.latitude, events.longitude, events.depth_km, events.magnitude, frame)


def _named(wrong: FloatArray) -> dict[str, FloatArray]:
    named = dict(zip(("x", "y", "depth", "magnitude"), wrong.T, strict=True))
    return {**named, "epicentre": np.hypot(named["x"], named["y"])}


def _mean(values: FloatArray) -> FloatArray:
    """Mean over the first axis of what is known; NaN, without a warning, where nothing is."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / np.isfinite(values).sum(axis=0))


def mean_errors(
    events: Predictions, training: TrainingEvents, frame: LocalFrame, held_out: Predictions | None = None
) -> Mapping[str, FloatArray]:
    """Errors (event,) by quantity, answer minus truth, of the mean of ``training``.

    ``held_out``: events of the same network, other ones than ``events``, whose mean origin time is the answer for
    ``time``; without them there is none.
    """
    errors = _named(_mean(_training(training, frame)) - _truth(events, frame))
    if held_out is not None and "time" in events.parameters and "time" in held_out.parameters:
        guess = _mean(held_out.truth)[held_out.parameters.index("time")]
        errors["time"] = guess - events.truth[:, events.parameters.index("time")]
    return errors


def nearest_errors(events: Predictions, training: TrainingEvents, frame: LocalFrame) -> Mapping[str, FloatArray]:
    """Errors (event,) by quantity, answer minus truth, of the training event nearest to the true hypocentre."""
    known, truth = _training(training, frame), _truth(events, frame)
    squared = np.sum((truth[:, None, :3] - known[None, :, :3]) ** 2, axis=-1)
    return _named(known[np.argmin(squared, axis=1)] - truth)
