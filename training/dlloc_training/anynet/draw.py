"""What a network would record of an event of the bank: noise, faults and a window, through the one preprocessing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition, cut
from seiscomp_dlloc.records import TraceBlock

from ..earth import EarthModel
from .bank import Bank
from .earths import RATE_HZ

FloatArray = NDArray[np.float64]

P_WINDOW_S = 1.5
"""Signal-to-noise ratios are those of RMS amplitudes, of so much from P on over the noise, on the vertical."""


@dataclass(frozen=True)
class Faults:
    """How often and how much; shares are probabilities of an event, or of a station where it says so.

    ``clean``: signal-to-noise ratios differ as distance and site make them, the median station has 3 to 1000; ``even``:
    every station has the same, between the ends of ``low_snr``; ``network``: noise is the same everywhere, the median
    station's ratio lies within ``low_snr``; the rest has no event. ``second``: another event in the window, of a
    station's amplitude ratio within ``second_ratio``. ``early_s``: the window begins so long before the first P.
    ``begun``: all records begin or end within the window. ``filtered``: the data come filtered already.
    Of a station: ``dead`` has no data (in three of ten events 20 or 40 % have none, whatever it is), ``vertical`` no
    horizontals, ``late`` a clock that is off by up to ``late_s``, ``gap`` a gap, ``glitch`` spikes.
    """

    clean: float = 0.42
    even: float = 0.25
    network: float = 0.25
    low_snr: tuple[float, float] = (0.25, 5.0)
    second: float = 0.10
    second_ratio: tuple[float, float] = (0.01, 0.3)
    early_s: tuple[float, float] = (1.0, 20.0)
    dead: float = 0.05
    vertical: float = 0.05
    late: float = 0.01
    late_s: float = 3.0
    gap: float = 0.03
    glitch: float = 0.02
    begun: float = 0.25
    filtered: float = 0.3


@dataclass(frozen=True)
class Window:
    """One event as the model sees it, and the truth.

    ``waveforms``, ``mask`` (station, 3, sample); ``onsets`` (station, 2) P and S in samples after the window's first,
    NaN without an event; ``origin`` in samples; ``places_km`` (station, 2) about the epicentre, ``depth_km``, ``earth``
    the number of the earth, -1 without an event. ``delays_s`` (station, 2): by how much waves are later than that earth
    says. ``stretch``: times and lengths are those of the earth over this number.
    """

    waveforms: NDArray[np.float32]
    mask: NDArray[np.float32]
    onsets: FloatArray
    origin: float
    places_km: FloatArray
    depth_km: float
    earth: int
    delays_s: FloatArray
    stretch: float = 1.0


def preprocessing(
    window_samples: int, band_hz: tuple[float, float] = (2.0, 8.0), warmup_s: float = 2.0
) -> Preprocessing:
    """The preprocessing at the bank's scale."""
    return Preprocessing(
        sampling_rate_hz=RATE_HZ,
        band_hz=band_hz,
        corners=3,
        prefiltered=False,
        warmup_s=warmup_s,
        detrend="constant",
        quantity="velocity",
        window_samples=window_samples,
        pretrigger_s=5.0,
        normalisation="station_max",
        unit_scale=1.0,
    )


def coloured(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise (station, 3, sample) of unit RMS, each station's spectrum a random slope with random bumps."""
    stations, components, samples = shape
    frequency = np.fft.rfftfreq(samples, 1.0 / RATE_HZ)
    slope = rng.normal(0.0, 0.25, (stations, 1, 1)) + rng.normal(0.0, 0.05, (stations, components, 1))
    log_power = slope * (frequency - 5.0)
    for _ in range(2):
        centre, width = rng.uniform(0.5, 10.0, (stations, 1, 1)), rng.uniform(0.1, 2.0, (stations, 1, 1))
        height = rng.exponential(1.0, (stations, 1, 1)) * (rng.random((stations, 1, 1)) < 0.3)
        log_power = log_power + height * np.exp(-(((frequency - centre) / width) ** 2))
    spectrum = rng.standard_normal((*shape[:2], frequency.size, 2), np.float32).view(np.complex64)[..., 0]
    noise = np.fft.irfft(spectrum * np.exp(0.5 * log_power), samples, axis=-1)
    # Wind and traffic: levels that come and go
    swing = (rng.random((stations, 1, 1)) < 0.2) * rng.uniform(0.0, 1.5, (stations, 1, 1))
    phase, speed = rng.uniform(0.0, 6.3, (stations, 1, 1)), rng.uniform(3.0, 30.0, (stations, 1, 1))
    noise = noise * np.exp(swing * np.sin(speed * np.linspace(0.0, 1.0, samples) + phase))
    return np.asarray(noise / np.sqrt(np.mean(noise**2, axis=(1, 2), keepdims=True)), np.float32)


def p_level(signal: NDArray[np.float32], first: FloatArray) -> FloatArray:
    """(station,) RMS of the P wave on the vertical of ``signal`` (station, 3, sample), from samples ``first``.

    Never below a ten-thousandth of the median station's.
    """
    width = round(P_WINDOW_S * RATE_HZ)
    start = np.clip(np.rint(first).astype(int), 0, signal.shape[-1] - width)
    level = np.array([np.sqrt(np.mean(signal[k, 0, at : at + width] ** 2)) for k, at in enumerate(start)])
    return np.asarray(np.maximum(level, 1e-4 * np.median(level) + 1e-30))


DEFAULT = Faults()


class Recorder:
    """What ``stations`` stations make of ground motion: faults, the one preprocessing, a window of ``samples``."""

    def __init__(self, samples: int, stations: int, faults: Faults):
        self.samples, self.stations, self.faults = samples, stations, faults

    def seen(
        self, traces: NDArray[np.float32], known: NDArray[np.bool_], lead: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Waveforms and mask of a window that begins ``lead`` samples into the traces (station, 3, sample).

        ``known``: where there are data. None where faults leave none.
        """
        valid = self._valid(traces, rng) & known
        settings = self._settings(rng)
        if rng.random() < self.faults.filtered:
            traces = self._before(traces, settings, rng)
        if not valid.any():
            return None
        data = np.ascontiguousarray(traces.transpose(1, 0, 2)) * 10.0 ** rng.uniform(-9.0, -3.0)
        block = TraceBlock(
            np.arange(self.stations), data.astype(np.float64), valid.transpose(1, 0, 2).copy(), RATE_HZ, 0.0
        )
        conditioned = condition((block,), self.stations, settings)
        made, mask, _ = cut(conditioned, lead / RATE_HZ, settings)
        return (
            np.ascontiguousarray(made.transpose(1, 0, 2)),
            np.ascontiguousarray(mask.transpose(1, 0, 2)).astype(np.float32),
        )

    def _valid(self, traces: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.bool_]:
        f, (stations, _, length) = self.faults, traces.shape
        valid = np.ones(traces.shape, bool)
        dead = f.dead if rng.random() < 0.7 else float(rng.choice([0.2, 0.4]))
        valid[rng.random(stations) < dead] = False
        valid[rng.random(stations) < f.vertical, 1:] = False
        for station in np.flatnonzero(rng.random(stations) < f.gap):
            start = int(rng.integers(length))
            valid[station, :, start : start + int(rng.uniform(0.1, 8.0) * RATE_HZ)] = False
        if rng.random() < f.begun:
            start, end = int(rng.uniform(0.0, 0.2) * length), int(rng.uniform(0.4, 1.0) * length)
            valid[:, :, :start] = valid[:, :, end:] = False
        for station in np.flatnonzero(rng.random(stations) < f.glitch):
            component, at = int(rng.integers(3)), int(rng.integers(length - 4))
            traces[station, component, at : at + 3] += np.float32(
                np.abs(traces[station]).max() * rng.uniform(1.0, 10.0)
            )
        return valid

    def _settings(self, rng: np.random.Generator) -> Preprocessing:
        if rng.random() < 0.6:
            return preprocessing(self.samples)
        return preprocessing(self.samples, (float(rng.uniform(1.0, 2.5)), float(rng.uniform(6.0, 9.0))))

    def _before(
        self, traces: NDArray[np.float32], settings: Preprocessing, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Some data come filtered already: a band-pass without delay."""
        low, high = settings.band_hz[0] * rng.uniform(0.5, 1.0), min(settings.band_hz[1] * rng.uniform(1.0, 1.3), 9.5)
        frequency = np.fft.rfftfreq(traces.shape[-1], 1.0 / RATE_HZ)
        order = 2 * rng.integers(2, 5)
        with np.errstate(divide="ignore"):
            gain = 1.0 / np.sqrt((1.0 + (low / frequency) ** order) * (1.0 + (frequency / high) ** order))
        filtered = np.fft.irfft(np.fft.rfft(traces, axis=-1) * gain, traces.shape[-1], axis=-1)
        return np.asarray(filtered, np.float32)


class Drawer(Recorder):
    """Draws windows of ``stations`` stations from a bank."""

    def __init__(self, bank: Bank, samples: int, stations: int, faults: Faults = DEFAULT):
        super().__init__(samples, stations, faults)
        self.bank = bank

    @property
    def earths(self) -> tuple[EarthModel, ...]:
        """Those of the bank."""
        return self.bank.earths

    def draw(self, rng: np.random.Generator) -> Window:
        """One window."""
        f, bank = self.faults, self.bank
        event = int(rng.integers(len(bank.depth_km)))
        chosen = rng.choice(bank.data.shape[2], self.stations, replace=False)
        kind = rng.random()
        quiet = kind > f.clean + f.even + f.network
        lead = round((rng.uniform(2.5, 5.0)) * RATE_HZ)
        length = lead + self.samples
        p, s = bank.p_s[event][chosen], bank.s_s[event][chosen]
        origin = lead + round((rng.uniform(*f.early_s) - float(p.min())) * RATE_HZ)
        signal = self._signal(event, chosen, origin, length)
        late = np.zeros(self.stations)
        if rng.random() < f.second and not quiet:
            other = int(rng.integers(len(bank.depth_km)))
            start = origin + int(rng.uniform(-20.0, 40.0) * RATE_HZ)
            factor = 10.0 ** rng.uniform(*np.log10(f.second_ratio))
            beside = self._signal(other, rng.permutation(bank.data.shape[2])[: self.stations], start, length)
            level = np.abs(signal).max((1, 2), keepdims=True) / np.maximum(
                np.abs(beside).max((1, 2), keepdims=True), 1e-30
            )
            signal = signal + np.float32(factor) * level * beside
        noise = coloured(signal.shape, rng)
        traces = noise if quiet else signal + noise * self._noise_level(kind, event, chosen, signal, origin, rng)
        for station in np.flatnonzero(rng.random(self.stations) < f.late):
            late[station] = round(rng.uniform(-f.late_s, f.late_s) * RATE_HZ)
            traces[station] = np.roll(traces[station], int(late[station]), axis=-1)
        seen = self.seen(traces, np.ones(traces.shape, bool), lead, rng)
        if seen is None:
            return self.draw(rng)
        onsets = np.stack([p, s], axis=-1) * RATE_HZ + origin - lead + late[:, None]
        return Window(
            *seen,
            np.full_like(onsets, np.nan) if quiet else onsets,
            float(origin - lead),
            bank.places_km[event][chosen],
            float(bank.depth_km[event]),
            -1 if quiet else int(bank.earth[event]),
            np.zeros_like(onsets),
        )

    def _signal(self, event: int, stations: NDArray[np.int64], origin: int, length: int) -> NDArray[np.float32]:
        """(station, 3, sample) with the origin time at sample ``origin``, in m/s."""
        record = self.bank.data[event][:, stations].transpose(1, 0, 2)
        out = np.zeros((len(stations), 3, length), np.float32)
        low, high = max(origin, 0), min(origin + record.shape[-1], length)
        if high > low:
            out[..., low:high] = record[..., low - origin : high - origin]
        return np.asarray(out * self.bank.peak[event][stations][:, None, None], np.float32)

    def _noise_level(
        self,
        kind: float,
        event: int,
        chosen: NDArray[np.int64],
        signal: NDArray[np.float32],
        origin: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """(station, 1, 1): RMS of the noise."""
        f = self.faults
        level = p_level(signal, self.bank.p_s[event][chosen] * RATE_HZ + origin)
        ratio = 10.0 ** rng.uniform(*np.log10(f.low_snr))
        if kind < f.clean:
            noise = np.median(level) / 10.0 ** rng.uniform(0.5, 3.0) * 10.0 ** rng.normal(0.0, 0.4, self.stations)
        elif kind < f.clean + f.even:
            noise = level / ratio
        else:
            noise = np.full(self.stations, np.median(level) / ratio)
        return np.asarray(noise[:, None, None], np.float32)
