"""From a folder of recorded events to everything that training draws on.

The folder holds catalog.xml, stations.xml, split.csv and waveforms/. Only events of split ``train`` are read. Of these
``held_out`` are set aside by a seeded draw for selection and calibration; their traces and their noise are in no
training example.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition

from .augment import Augmentation, NoiseBank
from .catalogue import RecordedEvent, load_events, read_stations, short_id
from .moveout import MoveoutModel, Records, calibrate
from .network import Target
from .onsets import log_ratios
from .sampler import ExampleSource, Shares
from .table import StrainTable
from .theoretical import TheoreticalEvents
from .virtual import VirtualEvents, hypocentre_km

FloatArray = NDArray[np.float64]

OKLAHOMA_GRID = Grid(36.2, -97.25, -82.5, -106.5, 0.5, 3.0, 3.0, 1.25, 56, 72, 8)
"""Slim location image of the Oklahoma network: 3 km cells, eight depths."""

OKLAHOMA_FULL_GRID = Grid(36.2, -97.25, -101.6, -118.5, 0.0, 1.6, 3.0, 0.4, 128, 80, 30)
"""Location image of the full-width network: the paper's 30 x 80 x 128 nodes over the same region."""

GRIDS = {"slim": OKLAHOMA_GRID, "full": OKLAHOMA_FULL_GRID}
"""Location image of each network."""

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


def oklahoma(folder: Path, grid: Grid = OKLAHOMA_GRID) -> Target:
    """The Oklahoma network of Zhang et al. (2020) as ``folder`` has it."""
    stations = read_stations(folder / "stations.xml")
    return Target(stations, grid, OKLAHOMA_PREPROCESSING, SEARCH_KM)


def records_of(events: tuple[RecordedEvent, ...], target: Target) -> Records:
    """Characteristic functions of P and S of the events, for the calibration of travel times."""
    rate = target.settings.sampling_rate_hz
    p: list[NDArray[np.float32]] = []
    s: list[NDArray[np.float32]] = []
    for event in events:
        moved = condition((event.block,), len(target.stations), target.settings)
        for out, function in zip((p, s), log_ratios(moved), strict=True):
            out.append(function[:, :RECORD_SAMPLES].astype(np.float32))
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


HELD_OUT_FILE, MOVEOUT_FILE = "held_out.txt", "moveout.json"


def draw_held_out(names: list[str], count: int, seed: int) -> tuple[str, ...]:
    """``count`` of ``names``, drawn by ``seed``, in their order."""
    chosen = set(np.random.default_rng(seed).permutation(len(names))[:count].tolist())
    return tuple(name for k, name in enumerate(names) if k in chosen)


def held_out_of(run: Path, names: list[str], count: int, seed: int) -> tuple[str, ...]:
    """The events that a run holds out: those of its file, else drawn now and written there.

    Going on with a run, or exporting it, must not depend on which events could be read at that moment. Raises
    SettingError where the file names events that are not in the folder any more.
    """
    path = run / HELD_OUT_FILE
    if path.exists():
        listed = tuple(path.read_text("utf-8").split())
        lost = sorted(set(listed) - set(names))
        if lost:
            raise SettingError(f"{path}: {', '.join(lost)} cannot be read any more; they are needed for calibration")
        return listed
    drawn = draw_held_out(names, count, seed)
    write_atomically(path, "".join(f"{name}\n" for name in drawn).encode())
    return drawn


def split_events(
    events: tuple[RecordedEvent, ...], held_out: tuple[str, ...]
) -> tuple[tuple[RecordedEvent, ...], tuple[RecordedEvent, ...]]:
    """(kept, held out), each in order of time."""
    aside = set(held_out)
    return (
        tuple(e for e in events if short_id(e.trigger) not in aside),
        tuple(e for e in events if short_id(e.trigger) in aside),
    )


def prepare(
    folder: Path,
    target: Target,
    tables: list[StrainTable],
    run: Path,
    *,
    held_out: int = 30,
    theoretical: int = 500,
    shares: Shares | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> Experiment:
    """Read, calibrate, synthesise. ``theoretical`` events are made from ``tables`` (none where it is empty).

    ``run`` is the run folder; which events are held out stands there (see :func:`held_out_of`), and the calibrated
    travel times are written there.
    """
    rng = np.random.default_rng([seed, 1])
    events = load_events(folder, "train", target.stations, target.settings, RECORD_SAMPLES)
    names = [short_id(event.trigger) for event in events]
    kept, aside = split_events(events, held_out_of(run, names, held_out, seed))
    moveout = calibrate(records_of(kept, target))
    ids = tuple(station.id for station in target.stations)
    write_atomically(run / MOVEOUT_FILE, moveout.to_json(ids).encode())
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
