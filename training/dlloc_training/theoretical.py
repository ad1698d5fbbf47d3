"""Theoretical events on a network: layered earth, random mechanisms, site terms, coda, at calibrated times.

A pool of events is synthesised once, from several earth models; a draw takes one of them, at a random amplitude over
the noise. Where travel times were calibrated on recorded events, P and S of each trace are moved from the earth
model's times to those, with the scatter that the calibration left: the waveforms are theoretical, the moveout is the
region's own.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import TraceBlock
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

from .events import random_sources, synthesize
from .made import Example, retimed_network
from .moveout import MoveoutModel
from .network import Target
from .noise import model_noise, random_levels
from .realism import add_coda, random_site_terms
from .table import StrainTable

FloatArray = NDArray[np.float64]

ORIGIN_S = 8.5
"""Origin time after the first sample of each theoretical record."""

MODELLED, NOISE_RECORDS = 0.4, 40
"""Share of theoretical events over modelled noise, and how many records of it are made."""

_BATCH = 25
_SETTLE_S = 10.0
_MAD_TO_SIGMA = 1.4826


def modelled_noise(
    target: Target, count: int, samples: int, rng: np.random.Generator, least: float = 0.15, largest: float = 0.7
) -> NDArray[np.float32]:
    """Noise (record, 3, station, sample) in m/s between the low and high noise models, in the band of the target.

    ``least`` and ``largest``: levels of :func:`~dlloc_training.noise.random_levels`.
    """
    rate, stations = target.settings.sampling_rate_hz, len(target.stations)
    settle = round(_SETTLE_S * rate)
    settings = replace(target.settings, prefiltered=False, warmup_s=0.0)
    out = np.empty((count, 3, stations, samples), np.float32)
    for record in out:
        whole = model_noise(rng, random_levels(rng, stations, least, largest), samples + settle, rate)
        block = TraceBlock(np.arange(stations), whole.astype(np.float64), np.ones(whole.shape, bool), rate, 0.0)
        record[:] = condition((block,), stations, settings).data[..., settle:]
    return out


class TheoreticalEvents:
    """A pool of theoretical events at ``places`` (event, 3), x, y, z in km in the target's frame."""

    def __init__(
        self,
        tables: Iterable[StrainTable],
        places: FloatArray,
        target: Target,
        moveout: MoveoutModel,
        live_share: FloatArray,
        samples: int,
        rng: np.random.Generator,
    ):
        self.target, self.live_share, self.places = target, live_share, places
        self.rate = target.settings.sampling_rate_hz
        distance = target.distances(places)
        scatter = rng.standard_normal((2, *distance.shape)) * _MAD_TO_SIGMA
        self.p_time = ORIGIN_S + moveout.times("P", distance) + scatter[0] * moveout.p_mad_s
        self.s_time = ORIGIN_S + moveout.times("S", distance) + scatter[1] * moveout.s_mad_s
        self.data = np.zeros((len(places), 3, len(target.stations), samples), np.float32)
        self.modelled = modelled_noise(target, NOISE_RECORDS, samples, rng)
        tables = list(tables)
        parts = np.array_split(np.arange(len(places)), len(tables))
        with tqdm(total=len(places), desc="theoretical events", leave=False, disable=None) as progress:
            for table, part in zip(tables, parts, strict=True):
                for first in range(0, len(part), _BATCH):
                    chosen = part[first : first + _BATCH]
                    self.data[chosen] = self._records(table, chosen, samples, rng)
                    progress.update(len(chosen))

    def _records(
        self, table: StrainTable, chosen: NDArray[np.int64], samples: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Band-passed ground velocity (event, 3, station, sample) at calibrated times, each event's largest value 1."""
        x, y, z = self.places[chosen].T
        terms = random_site_terms(rng, (len(chosen), len(self.target.stations)))
        traces = synthesize(
            table,
            self.target.positions_km,
            random_sources(rng, x, y, z, rng.uniform(2.0, 4.0, len(chosen))),
            samples=samples,
            start_s=-ORIGIN_S,
            sampling_rate_hz=self.rate,
            gains=terms.gains,
            kappa_s=terms.kappa_s,
        )
        decay = np.exp(rng.uniform(np.log(3.0), np.log(12.0), (len(chosen), 1)))
        traces = add_coda(traces, self.rate, rng, energy_ratio=rng.uniform(0.5, 4.0), decay_s=decay)
        settings = replace(self.target.settings, prefiltered=False, warmup_s=0.0)
        model = LayeredTravelTimes(
            table.model.tops_km.tolist(), table.model.vp_km_s.tolist(), table.model.vs_km_s.tolist()
        )
        flat = np.hypot(x[:, None] - self.target.positions_km[:, 0], y[:, None] - self.target.positions_km[:, 1])
        before_p = ORIGIN_S + model.times("P", flat, z[:, None])
        before_s = ORIGIN_S + model.times("S", flat, z[:, None])
        out = np.empty_like(traces)
        index = np.arange(traces.shape[2])
        for row, event in enumerate(chosen):
            block = TraceBlock(index, traces[row], np.ones(traces[row].shape, bool), self.rate, 0.0)
            data = condition((block,), len(index), settings).data
            out[row] = retimed_network(
                data, (before_p[row], before_s[row]), (self.p_time[event], self.s_time[event]), self.rate
            )
            out[row] /= np.abs(out[row]).max()
        return out

    def draw(self, rng: np.random.Generator, recorded: NDArray[np.float32]) -> Example:
        """One event over noise (3, station, sample) m/s, its median station 3 to 300 times above it.

        The noise is modelled in a share :data:`MODELLED` of the cases, else ``recorded``.
        """
        noise = recorded
        if rng.random() < MODELLED:
            noise = np.roll(self.modelled[rng.integers(len(self.modelled))], int(rng.integers(1, 10_000)), axis=-1)
        event = int(rng.integers(len(self.places)))
        live = rng.random(len(self.live_share)) < self.live_share
        live &= noise.any(axis=(0, 2))
        record = self.data[event]
        level = np.sqrt(np.mean(noise**2, axis=(0, 2)))
        peak = np.abs(record).max(axis=(0, 2))
        ratio = np.median(peak[live] / level[live]) if live.any() else 1.0
        factor = 10.0 ** rng.uniform(0.5, 2.5) / ratio * rng.choice([-1.0, 1.0])
        valid = np.broadcast_to(live[:, None], record.shape)
        data = np.where(valid, record * np.float32(factor) + noise[..., : record.shape[-1]], np.float32(0.0))
        first = float(self.p_time[event][live].min()) if live.any() else ORIGIN_S
        return Example(data, valid.copy(), self.places[event : event + 1], first)
