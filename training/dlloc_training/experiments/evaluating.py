"""The answers of trained networks on every set of an experiment; reports and calibration read them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from seiscomp_dlloc.decode import ImagePeak
from seiscomp_dlloc.passport import Calibration
from seiscomp_dlloc.resampling import resample
from seiscomp_dlloc.snapshots import ENVELOPE_PASS, WAVEFORM_PASS

from ..calibration import ImageKind, read
from ..networks.image_head import ImageWithParameters
from ..networks.outputs import PARAMETERS
from ..networks.regression import Regressor
from ..networks.sigma_calibration import LEAST_EVENTS, calibrate
from ..networks.units import Estimates
from ..slim import Density, SlimFCN
from .bank import TARGETS
from .building import image_network
from .choosing import kept_events, sources_of
from .drawing import TRAIN
from .materials import LOST_PREFIX, RECORDED, THEORETICAL, VIRTUAL, ExactSet, Materials
from .meta import Meta
from .plans import OF_IMAGE, NetworkPlan
from .predictions import HELD_OUT, OFF_NODE, RECORDED_HELD_OUT, RECORDED_TEST, TEST, Predictions
from .training import Fitted

FloatArray = NDArray[np.float64]

_BATCH = 16
SHIFTS_S: tuple[float, ...] = ()
"""Windows that the slim network's image is averaged over besides the one it is given; see :class:`Density`."""

PEAK_RADIUS_NODES = 2.0


@dataclass(frozen=True)
class Answers:
    """(event, window, parameter) mean and sigma; ``peaks`` (event,) of location images, else none."""

    names: tuple[str, ...]
    mean: FloatArray
    sigma: FloatArray
    peaks: tuple[ImagePeak, ...] = ()


def sets_of(materials: Materials) -> tuple[str, ...]:
    """The sets that an experiment has."""
    lost = materials.experiment.settings.get("evaluation", {}).get("lost", [1, 2, 3])
    names = [HELD_OUT, TEST]
    if materials.experiment.settings["events"].get("off_node", 0):
        names.append(OFF_NODE)
    names += [f"{LOST_PREFIX}{count}" for count in lost if 0 < count < len(materials.experiment.stations)]
    if materials.recorded is not None:
        names += [RECORDED_HELD_OUT, RECORDED_TEST]
    return tuple(names)


def calibrate_sigmas(materials: Materials, fitted: Fitted) -> None:
    """Give a network's parameters the temperatures with which its held-out events are covered as stated.

    Location images hold none: their covariance is scaled by the passport's calibration.
    """
    network = fitted.network
    if isinstance(network, SlimFCN):
        return
    network.temperature.fill_(1.0)
    name = HELD_OUT if fitted.plan.data == THEORETICAL else RECORDED_HELD_OUT
    exact = materials.exact(fitted.plan.inputs, name)
    answers = _vectors(network, [exact.arrays[each] for each in fitted.inputs])
    columns = [TARGETS.index(each) for each in answers.names]
    residuals = answers.mean[:, -1] - exact.targets[:, columns]
    residuals[~exact.answered] = np.nan
    groups = [[answers.names.index(each) for each in ("x", "y") if each in answers.names]]
    groups += [[k] for k, each in enumerate(answers.names) if each not in ("x", "y")]
    factors = np.ones(len(answers.names))
    for group in groups:
        known = np.count_nonzero(np.isfinite(residuals[:, group]).all(axis=1)) if group else 0
        # Times and magnitudes of recorded events may be unknown: then the network's own sigmas have to do
        if not known or (known < LEAST_EVENTS and answers.names[group[0]] in ("time", "magnitude")):
            continue
        factors[group] = calibrate(residuals[:, group], answers.sigma[:, -1][:, group], [list(range(len(group)))],
                                   (0.68, 0.90))  # fmt: skip
    network.set_temperature(factors)


def raw_calibration(fitted: Fitted) -> Calibration:
    """The calibration of location images that changes nothing."""
    grid = fitted.passport.grid
    return Calibration(0.0, 1.0, peak_radius_km=PEAK_RADIUS_NODES * max(grid.dx_km, grid.dy_km))


def image_kind(fitted: Fitted) -> ImageKind:
    """What the values of a network's images are."""
    head = fitted.passport.head
    return ImageKind("density", float(head["label_sigma_km"]), float(head["label_sigma_depth_km"]))


def images_of(fitted: Fitted, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Location images (event, nz, ny, nx) of inputs (event, 3, station, sample)."""
    density, given = Density(image_network(fitted.network), SHIFTS_S).eval(), torch.from_numpy(waveforms)
    with torch.inference_mode():
        return np.concatenate([density(given[k : k + _BATCH]).numpy() for k in range(0, len(given), _BATCH)])


def answer(fitted: Fitted, exact: ExactSet, settings: Calibration | None = None, curve: bool = False) -> Answers:
    """What a network says about a set. ``settings``: calibration of location images, by default none.

    ``curve``: from every window of the input, else from the last one alone.
    """
    network, arrays = fitted.network, [exact.arrays[name] for name in fitted.inputs]
    if isinstance(network, Regressor):
        return _vectors(network, arrays, curve)
    made, used = images_of(fitted, exact.arrays["waveforms"]), settings or raw_calibration(fitted)
    readings = read(made, exact.targets[:, :3], fitted.passport.grid, used, image_kind(fitted))
    found = readings.errors_km + exact.targets[:, :3]
    covariances = np.array([peak.covariance_km2 for peak in readings.peaks])
    sigma = np.sqrt(np.einsum("kii->ki", covariances))
    image = Answers(OF_IMAGE, found[:, None], sigma[:, None], readings.peaks)
    if isinstance(network, SlimFCN):
        return image
    beside = _vectors(network, arrays)
    mean, sigma = (np.concatenate(part, -1) for part in ((image.mean, beside.mean), (image.sigma, beside.sigma)))
    return Answers((*image.names, *beside.names), mean, sigma, image.peaks)


def _vectors(
    network: Regressor | ImageWithParameters, inputs: Sequence[NDArray[np.float32]], curve: bool = False
) -> Answers:
    """The parameters alone that a network gives for arrays (event, ...) in its order."""
    arrays = [torch.from_numpy(each) for each in inputs]
    means, sigmas = [], []
    with torch.inference_mode():
        for first in range(0, len(arrays[0]), _BATCH):
            batch = [part[first : first + _BATCH] for part in arrays]
            if curve and isinstance(network, Regressor):
                # What comes after the published window is not looked at
                upto = int(network.published) + 1
                estimates = network.physical(network.curve(*batch))
                estimates = Estimates(estimates.mean[:, :upto], estimates.sigma[:, :upto])
            else:
                estimates = network.predict(*batch)
            means.append(estimates.mean.double().numpy())
            sigmas.append(estimates.sigma.double().numpy())
    shape = (len(arrays[0]), -1, len(network.outputs.names))
    mean, sigma = (np.concatenate(part).reshape(shape) for part in (means, sigmas))
    return Answers(network.outputs.names, mean, sigma)


def until_s(fitted: Fitted, windows: int) -> FloatArray:
    """(window,): how far after the first break the data reach that each window rests on, s."""
    passport = fitted.passport
    settings, what = passport.preprocessing, passport.representation
    if what["kind"] == "stations":
        return np.array([settings.window_s - settings.pretrigger_s])
    rate = float(what["frame_rate_hz"])
    share = ENVELOPE_PASS if what["quantity"] == "envelope" else WAVEFORM_PASS
    probe = np.zeros((1, 4 * int(settings.sampling_rate_hz)))
    reach = resample(probe, settings.sampling_rate_hz, rate, 0.0, 1, share * rate).reach_s
    network = fitted.network
    assert isinstance(network, Regressor)
    numbers = int(network.published) + 1 - windows + np.arange(windows)
    ends = (numbers + network.window - 1) / rate
    return np.asarray(ends - settings.pretrigger_s + reach)


def predictions(
    materials: Materials, fitted: Fitted, exact: ExactSet, settings: Calibration | None, curve: bool = False
) -> Predictions:
    """The answers on a set, beside the truth; see :func:`answer`."""
    answers = answer(fitted, exact, settings, curve)
    order = [name for name in PARAMETERS if name in answers.names]
    columns = [answers.names.index(name) for name in order]
    answers.mean[~exact.answered] = np.nan
    answers.sigma[~exact.answered] = np.nan
    truths = [record.truth for record in exact.records]
    places = np.array([record.truth.local(fitted.passport.frame) for record in exact.records]).reshape(-1, 3)
    nearest, _ = cKDTree(training_places(materials, fitted.plan)).query(places)
    return Predictions(
        np.array([record.name for record in exact.records]),
        tuple(order),
        exact.targets[:, [TARGETS.index(name) for name in order]],
        answers.mean[:, :, columns],
        answers.sigma[:, :, columns],
        until_s(fitted, answers.mean.shape[1]),
        exact.snr,
        exact.lost,
        np.array([truth.magnitude for truth in truths]),
        np.array([truth.latitude for truth in truths]),
        np.array([truth.longitude for truth in truths]),
        np.array([truth.depth_km for truth in truths]),
        np.asarray(nearest, float),
    )


def training_truths(materials: Materials, data: str) -> dict[str, FloatArray]:
    """Latitude, longitude, depth and magnitude (event,) of the training events of a source."""
    if data != THEORETICAL and materials.recorded is not None:
        truths = materials.virtual.truths if data == VIRTUAL else [record.truth for record in materials.recorded.train]
        columns = np.array([(t.latitude, t.longitude, t.depth_km, t.magnitude) for t in truths]).T
    else:
        events, chosen = materials.events, materials.events.of(TRAIN)
        columns = np.stack([events.latitude, events.longitude, events.depth_km, events.magnitude])[:, chosen]
    return dict(zip(("latitude", "longitude", "depth", "magnitude"), columns, strict=True))


def training_places(materials: Materials, plan: NetworkPlan) -> FloatArray:
    """(event, 3) x, y, depth in km of the events that a network was trained on."""
    found = []
    for source in sources_of(plan):
        kept = kept_events(materials, plan, source)
        row = {name: values[kept] for name, values in training_truths(materials, source).items()}
        x, y = materials.experiment.region.frame.to_local(row["latitude"], row["longitude"])
        found.append(np.stack([x, y, row["depth"]], axis=-1))
    return np.concatenate(found)


def save_training_truths(materials: Materials, folder: Path) -> None:
    """What trivial baselines rest on: recorded training events where there are any, else theoretical ones."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"training.npz": THEORETICAL}
    if materials.recorded is not None:
        names["training-recorded.npz"] = RECORDED
    for name, source in names.items():
        temporary = folder / f"{name}.part.npz"
        rows: dict[str, FloatArray] = training_truths(materials, source)
        np.savez(temporary, **rows)  # type: ignore[arg-type]
        temporary.replace(folder / name)


def meta_of(fitted: Fitted) -> Meta:
    """What tables name beside the figures."""
    return Meta(**{item.name: fitted.meta[item.name] for item in fields(Meta)})
