"""An experiment's seismograms from its file to HDF5: 2000 events x 15 stations x 3 components, by one and more workers.

    python bench/synthesis.py [--workers 1 2] [--dask] [--write NAME]

Needs the training package. Wall times of the command ``synthesize``, its start and that of its workers included: with
the tables of Green's functions still to make, and with the tables there; and, for the latter, the processor time of
all its processes, which other work on the machine changes little. The files must be the same byte by byte.
Floors: the inverse Fourier transforms of P and S of all traces and the two convolutions' transforms of the coda, as
processor time in the same run, over the number of workers; and the file's bytes written to the same disk, with
fsync. ``--dask``: a local Dask cluster of as many processes beside.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from synthetics import least_ms
from tables import add_write_option, machine, markdown, publish

EVENTS, STATIONS, MODELS, RATE_HZ, BEFORE_S, DURATION_S = 2000, 15, 2, 20.0, 4.0, 60.0
SAMPLES = round((BEFORE_S + DURATION_S) * RATE_HZ)
DATASET = "seismograms.h5"

EXPERIMENT = """
name = "bench"
seed = 1
[network]
stations = [{stations}]
[earth]
layers = [[1.0, 3.2, 1.8, 2.3, 150, 75], [3.0, 5.0, 2.9, 2.6, 300, 150], [0.0, 6.0, 3.5, 2.7, 400, 200]]
models = {models}
[region]
south = 35.13
north = 35.33
west = 138.92
east = 139.12
top_km = 0.0
bottom_km = 8.0
[events]
count = {events}
magnitude = [2.2, 4.5]
[records]
sampling_rate_hz = {rate}
duration_s = {duration}
before_s = {before}
"""


def write_experiment(path: Path) -> None:
    rng = np.random.default_rng(5)
    stations = ", ".join(
        f'{{code = "XX.S{i:02d}", latitude = {35.23 + rng.uniform(-0.12, 0.12):.4f}, '
        f"longitude = {139.02 + rng.uniform(-0.14, 0.14):.4f}, elevation_m = {rng.uniform(0.0, 900.0):.0f}}}"
        for i in range(STATIONS)
    )
    path.write_text(
        EXPERIMENT.format(
            stations=stations, models=MODELS, events=EVENTS, rate=RATE_HZ, duration=DURATION_S, before=BEFORE_S
        )
    )


def seconds(experiment: Path, folder: Path, options: list[str]) -> tuple[float, float]:
    """Wall time, and processor time of all processes."""
    command = [sys.executable, "-m", "dlloc_training", "synthesize", str(experiment), "-o", str(folder), *options]
    before, used = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    now = os.times()
    processor = now.children_user + now.children_system - used.children_user - used.children_system
    return time.perf_counter() - before, processor


def arithmetic_s() -> float:
    """Processor seconds of the transforms alone."""
    block = 3 * STATIONS
    half = np.ones((block, round((DURATION_S + 2.0) * RATE_HZ) // 2 + 1), np.complex64)
    long = next_fast_len(2 * SAMPLES, real=True)
    traces = np.ones((block, SAMPLES), np.float32)
    spectra = rfft(traces, long, axis=-1)
    one_event = least_ms(
        lambda: (
            [irfft(half, axis=-1) for _ in range(2)],
            [rfft(traces, long, axis=-1) for _ in range(2)],
            irfft(spectra, long, axis=-1),
        ),
        50,
    )
    return EVENTS * one_event / 1e3


def writing_s(folder: Path) -> float:
    """Seconds for the bytes of the file alone."""
    block = np.random.default_rng(0).bytes(4 * 3 * STATIONS * SAMPLES * 32)
    path = folder / "bytes"
    before = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(0, EVENTS, 32):
            file.write(block)
            os.fsync(file.fileno())
    took = time.perf_counter() - before
    path.unlink()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes (default 1 2)")
    parser.add_argument("--dask", action="store_true", help="a local Dask cluster beside them")
    parser.add_argument("--folder", type=Path, help="where the files are written for the time being")
    add_write_option(parser)
    arguments = parser.parse_args()
    ways = [(f"{n} process{'es' if n > 1 else ''}", n, []) for n in arguments.workers]
    if arguments.dask:
        ways += [(f"Dask, {n} processes", n, ["--dask", "local"]) for n in arguments.workers if n > 1]
    rows, digests = [], set()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        experiment, folder = Path(name, "bench.toml"), Path(name, "run")
        write_experiment(experiment)
        floor, disk = arithmetic_s(), writing_s(Path(name))
        for label, count, more in ways:
            options = ["--workers", str(count), *more]
            whole, _ = seconds(experiment, folder, options)
            size = (folder / DATASET).stat().st_size
            (folder / DATASET).unlink()
            rest, processor = seconds(experiment, folder, options)
            digests.add(hashlib.sha256((folder / DATASET).read_bytes()).hexdigest())
            for path in (*folder.glob("*.*"), *folder.glob("tables/*")):
                path.unlink()
            times = (whole, rest, processor, floor / count, disk)
            rows.append([label, *(f"{value:.1f} s" for value in times), f"{EVENTS / rest:.0f} events/s"])
    if len(digests) != 1:
        raise SystemExit("the files differ")
    note = (
        f"{machine()}, load {os.getloadavg()[1]:.1f} with all other work. {EVENTS} events x {STATIONS} stations x "
        f"3 components x {SAMPLES} samples at {RATE_HZ:g} Hz, {size / 1e6:.0f} MB; {MODELS} earth models, P and S "
        "apart, site terms, coda. Files the same byte by byte."
    )
    header = (
        "computed by",
        "whole",
        "tables there",
        "processor",
        "transforms (floor)",
        "writing (floor)",
        "rate, tables there",
    )
    publish(f"{note}\n\n" + markdown(header, rows), arguments.write)


if __name__ == "__main__":
    main()
