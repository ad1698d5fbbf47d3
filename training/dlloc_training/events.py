"""Many theoretical events at once: ground velocity of a network from one strain table.

The nearest depth and distance of the table stand for each station; the trace is then moved by the difference between
the true and the table's hypocentral distance over the velocity at the source (the slowness with which a direct ray
leaves it, so right for small differences whatever lies above). One shift per trace is the
mean of those of P and S (it leaves each of them 0.06 s wrong per km between the two distances, 0.015 s at most where
the table's step is 0.5 km); ``split_phases`` shifts P and S apart, at twice the cost. Surface waves, which are slower,
keep the moveout of S.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.records import Station

from .assemble import band_taper, component_coefficients, sample_count
from .moment import moment_from_magnitude, random_double_couples
from .source import brune, corner_frequency
from .table import STRAIN_UNIT, StrainTable

FloatArray = NDArray[np.float64]

_BLOCK_PAIRS = 60  # event-station pairs at once: their spectra stay near the size of the cache


@dataclass(frozen=True)
class Sources:
    """Point sources. ``x_km``, ``y_km`` (event,) local frame; ``depth_km`` (event,) below the table's surface, or
    below sea level where seismograms come from SPECFEM3D (negative in a volcano's edifice); ``tensors`` (event, 3, 3)
    N m, north-east-down; ``corner_hz`` (event,) of Brune's source.
    """

    x_km: FloatArray
    y_km: FloatArray
    depth_km: FloatArray
    tensors: FloatArray
    corner_hz: FloatArray

    def __post_init__(self) -> None:
        count = len(self.x_km)
        for name, shape in (("y_km", ()), ("depth_km", ()), ("tensors", (3, 3)), ("corner_hz", ())):
            if np.shape(getattr(self, name)) != (count, *shape):
                raise SettingError(
                    f"sources: {name} has shape {np.shape(getattr(self, name))}, expected {(count, *shape)}"
                )
        if np.any(np.asarray(self.corner_hz) <= 0):
            raise SettingError("sources: corner frequencies must be above 0")

    def __len__(self) -> int:
        return len(self.x_km)


def random_sources(
    rng: np.random.Generator,
    x_km: ArrayLike,
    y_km: ArrayLike,
    depth_km: ArrayLike,
    mw: ArrayLike,
    stress_drop_mpa: tuple[float, float] = (0.5, 20.0),
    vs_km_s: float = 3.5,
) -> Sources:
    """Random double couples with Brune sources at the given places (arrays (event,)).

    The stress drop is drawn log-uniformly from ``stress_drop_mpa``.
    """
    magnitudes = np.atleast_1d(np.asarray(mw, float))
    low, high = np.log(stress_drop_mpa)
    stress = np.exp(rng.uniform(low, high, size=magnitudes.shape))
    return Sources(
        x_km=np.atleast_1d(np.asarray(x_km, float)),
        y_km=np.atleast_1d(np.asarray(y_km, float)),
        depth_km=np.atleast_1d(np.asarray(depth_km, float)),
        tensors=random_double_couples(rng, moment_from_magnitude(magnitudes)),
        corner_hz=corner_frequency(magnitudes, stress, vs_km_s),
    )


def station_positions(stations: tuple[Station, ...], frame: LocalFrame) -> FloatArray:
    """(station, 2): x east, y north in km in ``frame``."""
    latitudes = np.array([station.latitude for station in stations])
    longitudes = np.array([station.longitude for station in stations])
    return np.stack(frame.to_local(latitudes, longitudes), axis=-1)


def synthesize(
    table: StrainTable,
    stations_km: FloatArray,
    sources: Sources,
    *,
    samples: int,
    start_s: ArrayLike = 0.0,
    sampling_rate_hz: float = 20.0,
    gains: ArrayLike = 1.0,
    delays_s: ArrayLike = 0.0,
    delays_of_s_s: ArrayLike | None = None,
    kappa_s: ArrayLike = 0.0,
    taper_share: float = 0.1,
    split_phases: bool = False,
    largest_misfit_km: float = 2.0,
) -> NDArray[np.float32]:
    """Ground velocity (event, 3, station, sample) in m/s, components Z, N, E.

    ``stations_km`` (station, 2) x east, y north in the frame of ``sources``. Sample 0 lies ``start_s`` (scalar or
    (event,)) after the origin time; before the first and after the last sample of the table the trace is 0.
    ``gains``, ``delays_s`` and ``kappa_s`` broadcast to (event, station): amplitude factors, time statics, and the
    site's attenuation e^{-pi kappa f} (Anderson & Hough 1984). ``delays_of_s_s`` are the statics of S waves where
    they differ from those of P (needs ``split_phases``).
    Raises SettingError where a station lies further than ``largest_misfit_km`` outside the table's distances or
    depths.
    """
    stations = np.asarray(stations_km, float).reshape(-1, 2)
    shape = (len(sources), len(stations))
    east = stations[None, :, 0] - np.asarray(sources.x_km)[:, None]
    north = stations[None, :, 1] - np.asarray(sources.y_km)[:, None]
    distance, azimuth = np.hypot(east, north), np.degrees(np.arctan2(east, north))
    depth = np.broadcast_to(np.asarray(sources.depth_km, float)[:, None], shape)
    _check_inside(table, depth, distance, largest_misfit_km)
    iz, ir = table.nearest(depth, distance)

    vp, vs = (np.broadcast_to(v, shape) for v in table.model.velocities_at(depth))
    reach, reach_node = np.hypot(distance, depth), np.hypot(table.distances_km[ir], table.depths_km[iz])
    late_p, late_s = (reach - reach_node) / vp, (reach - reach_node) / vs
    if delays_of_s_s is not None:
        if not split_phases:
            raise SettingError("synthesize: S waves have delays of their own only with split_phases")
        late_s = late_s + np.asarray(delays_of_s_s, float) - np.asarray(delays_s, float)
    begin = np.broadcast_to(np.asarray(start_s, float).reshape(-1, 1), shape)
    static = np.broadcast_to(np.asarray(delays_s, float), shape)
    # The whole-sample part of each shift is done by where the trace is put, the rest by phase
    place = table.start_s[ir] + static - begin
    mean_late = 0.5 * (late_p + late_s)
    offset = np.round((place + mean_late) * sampling_rate_hz).astype(np.int64)
    rest = place - offset / sampling_rate_hz
    shifts = [rest + late_p, rest + late_s] if split_phases else [rest + mean_late]
    window = sample_count(table, sampling_rate_hz)
    border = (0.5 * (reach / vp + reach / vs) + static - begin) * sampling_rate_hz - offset

    weights = component_coefficients(sources.tensors[:, None], azimuth) * STRAIN_UNIT
    weights = (weights * np.broadcast_to(np.asarray(gains, float), shape)[..., None, None]).astype(np.float32)
    kappa = np.broadcast_to(np.asarray(kappa_s, float), shape)
    spectrum = (brune(table.omega, np.asarray(sources.corner_hz)[:, None]) * band_taper(table, taper_share)).astype(
        np.complex64
    )
    growth = (sampling_rate_hz * np.exp(table.damping / sampling_rate_hz * np.arange(window))).astype(np.float32)
    frequency = (table.omega.real / (2.0 * np.pi)).astype(np.float32)

    out = np.zeros((len(sources), 3, len(stations), samples), np.float32)
    pairs = np.indices(shape).reshape(2, -1)
    for first in range(0, pairs.shape[1], _BLOCK_PAIRS):
        block = tuple(pairs[:, first : first + _BLOCK_PAIRS])
        greens = table.spectra[iz[block], ir[block]]
        # Real weights times complex spectra, as one real matrix product per pair
        spectra = np.matmul(weights[block], greens.view(np.float32)).view(np.complex64)
        common = spectrum[block[0]]
        if np.any(kappa[block] != 0.0):
            common = common * np.exp(-np.pi * kappa[block][:, None].astype(np.float32) * frequency)
        traces = [
            irfft(spectra * (common * _delay_factor(table, shift[block], frequency))[:, None], window, axis=-1)
            for shift in shifts
        ]
        if split_phases:
            share_s = _ramp(window, border[block], 0.2 * sampling_rate_hz)[:, None]
            traces[0] += share_s * (traces[1] - traces[0])
        _place(out, traces[0], growth, block, offset[block])
    return out


def _check_inside(table: StrainTable, depth: FloatArray, distance: FloatArray, largest: float) -> None:
    if depth.size and depth.min() <= 0:
        raise SettingError(f"depth {depth.min():g} km: must be above 0, below the strain table's surface")
    for name, nodes, values in (("depth", table.depths_km, depth), ("distance", table.distances_km, distance)):
        low, high = nodes[0] - largest, nodes[-1] + largest
        if values.size and (values.min() < low or values.max() > high):
            raise SettingError(
                f"{name}s from {values.min():.1f} to {values.max():.1f} km, but the strain table covers "
                f"{nodes[0]:g} to {nodes[-1]:g} km: make a larger table"
            )


def _delay_factor(table: StrainTable, delay: FloatArray, frequency: NDArray[np.float32]) -> NDArray[np.complex64]:
    """(pair, frequency): e^{-i w d} at the table's complex frequencies, for delays (pair,) in s."""
    angle = (-2.0 * np.pi * delay).astype(np.float32)[:, None] * frequency
    factor = np.empty(angle.shape, np.complex64)
    size = np.exp(-table.damping * delay).astype(np.float32)[:, None]
    factor.real, factor.imag = np.cos(angle) * size, np.sin(angle) * size
    return factor


def _ramp(count: int, centre: FloatArray, width: float) -> NDArray[np.float32]:
    """(pair, sample): rises from 0 to 1 over about ``width`` samples around ``centre`` (pair,)."""
    x = (np.arange(count)[None, :] - centre[:, None]) / width
    return (0.5 + 0.5 * np.sin(0.5 * np.pi * np.clip(x, -1.0, 1.0))).astype(np.float32)


def _place(
    out: NDArray[np.float32],
    traces: NDArray[np.float32],
    growth: NDArray[np.float32],
    block: tuple[NDArray[np.int64], ...],
    offset: NDArray[np.int64],
) -> None:
    window, samples = traces.shape[-1], out.shape[-1]
    for trace, event, station, at in zip(traces, *block, offset, strict=True):
        low, high = max(at, 0), min(at + window, samples)
        if high > low:
            inside = slice(low - at, high - at)
            np.multiply(trace[:, inside], growth[inside], out=out[event, :, station, low:high])
