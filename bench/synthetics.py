"""Cost of theoretical seismograms on one core: tables of Green's functions, assembly of events, noise, coda.

    python bench/synthetics.py [--write NAME]

Needs the training package. The floor of a table is its sums over wavenumber alone, as matrix products of the sizes
that the table needs, at the rate that one such product reaches in the same run; the floor of assembled events, noise
and coda is the inverse Fourier transforms of their traces. The table is 3 depths x 150 distances to 150 km, 8.5 Hz,
60 s. Times are processor times of one thread, the least of several runs (the table: one run), because such work runs
beside other work.
"""

import os

# One core: set before NumPy loads its linear algebra
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import time
from collections.abc import Callable

import numpy as np
from dlloc_training.earth import EarthModel, central_oklahoma
from dlloc_training.events import random_sources, synthesize
from dlloc_training.greens import _J0_TERMS, _J1_TERMS, _largest_wavenumbers, strain_table
from dlloc_training.noise import extend_noise, model_noise, random_levels
from dlloc_training.realism import add_coda
from dlloc_training.table import StrainTable
from scipy.fft import irfft
from tables import add_write_option, machine, markdown, publish

EVENTS, STATIONS, SAMPLES, RATE = 60, 15, 1280, 20.0


def least_ms(work: Callable[[], object], repeats: int) -> float:
    """Least processor time (ms) of ``repeats`` runs after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return 1e3 * min(times)


def table_floor_s(table: StrainTable, model: EarthModel) -> float:
    """Seconds of the sums over wavenumber alone, single precision."""
    step = 2.0 * np.pi / table.period_km
    largest = _largest_wavenumbers(model, table.depths_km, table.omega.real, 12.0).max(axis=0)
    rows = 2 * (len(_J0_TERMS) + len(_J1_TERMS)) * len(table.depths_km)
    counts = np.ceil(largest / step).astype(int)
    middle = int(counts.mean())
    a = np.ones((rows, middle), np.float32)
    b = np.ones((middle, len(table.distances_km)), np.float32)
    return least_ms(lambda: a @ b, 20) / 1e3 * counts.sum() / middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_write_option(parser)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    model = central_oklahoma(rng)

    before = time.process_time()
    table = strain_table(
        model,
        [2.25, 5.0, 8.0],
        np.arange(1.0, 151.0),
        duration_s=60.0,
        fmax_hz=8.5,
        reduction_velocity_km_s=8.5,
    )
    took = time.process_time() - before
    nodes = len(table.depths_km) * len(table.distances_km)
    rows = [[f"table, {nodes} nodes, {table.spectra.nbytes / 1e6:.0f} MB", f"{took:.1f} s",
             f"{table_floor_s(table, model):.1f} s", f"{nodes / took:.0f} nodes/s"]]  # fmt: skip

    stations = rng.uniform(-50.0, 50.0, (STATIONS, 2))
    place = rng.uniform(-40.0, 40.0, (2, EVENTS))
    sources = random_sources(rng, *place, rng.uniform(2.0, 9.0, EVENTS), rng.uniform(2.0, 4.0, EVENTS))
    spectra = np.ones((EVENTS, 3, STATIONS, table.spectra.shape[-1]), np.complex64)
    floor = least_ms(lambda: irfft(spectra, round(table.duration_s * RATE), axis=-1), 3)
    for label, split in (("one shift", False), ("P and S apart", True)):
        ms = least_ms(
            lambda split=split: synthesize(table, stations, sources, samples=SAMPLES, start_s=-4.0, split_phases=split),
            3,
        )
        rows.append([f"events, {label}", f"{ms / EVENTS:.2f} ms", f"{floor * (1 + split) / EVENTS:.2f} ms",
                     f"{1e3 * EVENTS / ms:.0f} events/s"])  # fmt: skip

    shape = (3, STATIONS)
    half = np.ones((*shape, SAMPLES // 2 + 1), np.complex64)
    one = least_ms(lambda: irfft(half, SAMPLES, axis=-1), 20)
    segment = rng.standard_normal((*shape, 160))
    traces = rng.standard_normal((3, STATIONS, SAMPLES)).astype(np.float32)
    works = (
        ("noise between the models", lambda: model_noise(rng, random_levels(rng, STATIONS), SAMPLES, RATE)),
        ("recorded noise extended", lambda: extend_noise(segment, SAMPLES, rng)),
        ("the same, components coherent", lambda: extend_noise(segment, SAMPLES, rng, coherent_axis=0)),
        ("coda", lambda: add_coda(traces, RATE, rng)),
    )
    for label, work in works:
        ms = least_ms(work, 10)
        rows.append([label, f"{ms:.2f} ms", f"{one:.2f} ms", f"{1e3 / ms:.0f} events/s"])

    note = (
        f"{machine()}, one core used. Events of {STATIONS} stations x 3 components x {SAMPLES} samples at "
        f"{RATE:g} Hz; random mechanisms, Brune sources."
    )
    publish(f"{note}\n\n" + markdown(("work", "time", "floor", "rate"), rows), arguments.write)


if __name__ == "__main__":
    main()
