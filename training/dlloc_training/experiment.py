"""From a folder of recorded events to everything that training draws on.

The folder holds catalog.xml, stations.xml, split.csv and waveforms/. Only events of split ``train`` are read. Of these
``held_out`` are set aside by a seeded draw for selection and calibration; their traces and their noise are in no
training example.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.firstbreak import sta_lta
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition

from .augment import Augmentation, NoiseBank
from .catalogue import RecordedEvent, load_events, read_stations
from .made import shifted
from .moveout import MoveoutModel, Records, calibrate
from .network import Target
from .sampler import ExampleSource, Shares
from .table import StrainTable
from .theoretical import TheoreticalEvents
from .virtual import VirtualEvents, hypocentre_km

FloatArray = NDArray[np.float64]

OKLAHOMA_GRID = Grid(36.2, -97.25, -82.5, -106.5, 0.5, 3.0, 3.0, 1.25, 56, 72, 8)
"""Slim location image of the Oklahoma network: 3 km cells, eight depths."""

OKLAHOMA_FULL_GRID = Grid(36.2, -97.25, -92.0, -149.225, 0.0, 2.35, 2.35, 0.4, 80, 128, 30)
"""Location image of the full-width network: the paper's 30 x 80 x 128 nodes over the same region."""

OKLAHOMA_PREPROCESSING = Preprocessing(
    sampling_rate_hz=20.0,
    band_hz=(2.0, 8.0),
    corners=4,
    prefiltered=True,
    warmup_s=0.0,
    detrend="constant",
    quantity="velocity",
    window_samples=2048,
    pretrigger_s=20.0,
    normalisation="none",
    unit_scale=1e6,
)
SEARCH_KM = (-78.0, 78.0, -102.0, 98.0)
RECORD_SAMPLES = 2048
_STA_S, _LTA_S = 0.5, 3.0


def oklahoma(folder: Path, grid: Grid = OKLAHOMA_GRID) -> Target:
    """The Oklahoma network of Zhang et al. (2020) as ``folder`` has it."""
    stations = read_stations(folder / "stations.xml")
    return Target(stations, grid, OKLAHOMA_PREPROCESSING, SEARCH_KM)


def records_of(events: tuple[RecordedEvent, ...], target: Target) -> Records:
    """Characteristic functions of P and S of the events, for the calibration of travel times."""
    rate = target.settings.sampling_rate_hz
    p, s = [], []
    for event in events:
        moved = condition((event.block,), len(target.stations), target.settings)
        ratio = np.log(np.maximum(sta_lta(moved.data, rate, _STA_S, _LTA_S), 1e-3)).astype(np.float32)
        # The short window looks back: its ratio is highest one window after the onset
        ratio = shifted(np.where(moved.valid, ratio, np.float32(np.nan)), round(_STA_S * rate))[..., :RECORD_SAMPLES]
        p.append(ratio[0])
        s.append(0.5 * (ratio[1] + ratio[2]))
    hypocentres = np.array([hypocentre_km(event, target) for event in events])
    origin = -np.array([event.start_s for event in events])
    return Records(np.array(p), np.array(s), rate, origin, target.distances(hypocentres))


@dataclass(frozen=True)
class Experiment:
    """Sources of examples for training and for validation, and what they rest on."""

    target: Target
    moveout: MoveoutModel
    training: ExampleSource
    held_out: VirtualEvents
    made_validation: ExampleSource


def split_held_out(
    events: tuple[RecordedEvent, ...], held_out: int, seed: int
) -> tuple[tuple[RecordedEvent, ...], tuple[RecordedEvent, ...]]:
    """(kept, held out), each in order of time; the draw depends on ``seed`` and the number of events alone."""
    chosen = set(np.random.default_rng(seed).permutation(len(events))[:held_out].tolist())
    return (
        tuple(e for k, e in enumerate(events) if k not in chosen),
        tuple(e for k, e in enumerate(events) if k in chosen),
    )


def prepare(
    folder: Path,
    target: Target,
    tables: list[StrainTable],
    *,
    held_out: int = 30,
    theoretical: int = 500,
    shares: Shares | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> Experiment:
    """Read, calibrate, synthesise. ``theoretical`` events are made from ``tables`` (none where it is empty)."""
    rng = np.random.default_rng([seed, 1])
    events = load_events(folder, "train", target.stations, target.settings)
    kept, aside = split_held_out(events, held_out, seed)
    moveout = calibrate(records_of(kept, target))
    training = VirtualEvents(kept, target, moveout)
    # Held-out events have no event terms: their windows start where the catalogue's origin time says
    no_terms = MoveoutModel(**{**vars(moveout), "event_terms": np.zeros(len(aside))})
    validation = VirtualEvents(aside, target, no_terms)
    pool = None
    if tables and theoretical:
        places = np.array([training.place(rng) for _ in range(theoretical)])
        pool = TheoreticalEvents(tables, places, target, moveout, training.live_share, RECORD_SAMPLES, rng)
    settings = augmentation or Augmentation()
    noise = NoiseBank(kept, training.p_time.min(axis=1), RECORD_SAMPLES, rng)
    noise_aside = NoiseBank(aside, validation.p_time.min(axis=1), RECORD_SAMPLES, rng)
    return Experiment(
        target,
        moveout,
        ExampleSource(target, training, noise, pool, shares or Shares(), settings),
        validation,
        ExampleSource(target, validation, noise_aside, None, Shares(1.0, 0.0), settings),
    )
