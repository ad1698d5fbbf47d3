"""Processor time from a stream to the model's input on one core, beside the floor that arithmetic and memory set.

    python bench/preprocessing.py [--write NAME]

30 stations of three components, 102 s. The floor of a row is the sum of two parts, measured in the same run on the
same core: the multiply-adds of resampling and band-pass at the rate that one matrix product in double precision
reaches, and the bytes that must be read and written once (counts in, double-precision motion, single-precision
input out) at the rate of a plain copy of arrays of that size. A sample of a recursive filter waits for the one before
it, so the floor cannot be reached.
"""

import os

# One core: set before NumPy loads its linear algebra
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity
from tables import add_write_option, machine, markdown, publish

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.firstbreak import sta_lta
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition, cut
from seiscomp_dlloc.records import Station as OurStation
from seiscomp_dlloc.resampling import resample
from seiscomp_dlloc.traces import collect_for

STATIONS, SECONDS, START = 30, 102.4, 1_500_000_000.0
AXES = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Median processor time (ms) of ``work`` on its one thread: what others do on the machine hardly enters."""
    work()
    times = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return 1e3 * statistics.median(times)


def settings(prefiltered: bool) -> Preprocessing:
    """The passport of an FCN at 20 Hz."""
    warmup = 0.0 if prefiltered else 5.0
    return Preprocessing(20.0, (2.0, 8.0), 4, prefiltered, warmup, "constant", "velocity", 2048, 20.0, "none", 1e6)


def network(rate: float) -> tuple[Stream, Inventory, tuple[OurStation, ...]]:
    """Noise in counts with an event in it."""
    rng, n = np.random.default_rng(0), round(SECONDS * rate)
    t = np.arange(n) / rate
    traces, members, ours = [], [], []
    for i in range(STATIONS):
        code, channels = f"S{i:02d}", []
        for letter, (azimuth, dip) in AXES.items():
            x = np.convolve(rng.normal(size=n), np.hanning(9), "same") * (30.0 + 3e4 * (t > 30) * np.exp((30 - t) / 8))
            header = {"network": "XX", "station": code, "channel": f"HH{letter}", "sampling_rate": rate}
            traces.append(Trace(np.rint(x).astype(np.int32), header | {"starttime": UTCDateTime(START)}))
            gain = Response(instrument_sensitivity=InstrumentSensitivity(1e9, 5.0, "M/S", "COUNTS"))
            channels.append(Channel(f"HH{letter}", "", 36.0, -97.0, 0.0, 0.0, azimuth, dip, response=gain))
        members.append(Station(code, 36.0, -97.0 + 0.1 * i, 0.0, channels=channels))
        ours.append(OurStation("XX", code, 36.0, -97.0 + 0.1 * i))
    return Stream(traces), Inventory([Network("XX", members)]), tuple(ours)


def rates() -> tuple[float, float]:
    """Multiply-adds per ms of a matrix product and bytes per ms of a copy, on this core."""
    a = np.random.default_rng(0).normal(size=(768, 768))
    product = cpu_ms(lambda: a @ a, 5)
    source, target = np.ones(2**20), np.ones(2**20)
    copied = cpu_ms(lambda: np.copyto(target, source), 20)
    return a.shape[0] ** 3 / product, 2 * source.nbytes / copied


def floor_ms(rate: float, s: Preprocessing, multiply_adds_per_ms: float, bytes_per_ms: float) -> float:
    """The floor of the module's docstring."""
    channels, samples = 3 * STATIONS, round(SECONDS * rate)
    out = round(SECONDS * s.sampling_rate_hz)
    operations = 0.0
    if rate != s.sampling_rate_hz:
        reach = resample(np.zeros((1, samples)), rate, s.sampling_rate_hz, 0.0, out, s.band_hz[1]).reach_s
        operations += channels * out * 2.0 * reach * rate
    if not s.prefiltered:
        # Five multiply-adds per second-order section, one section per corner of a band-pass
        operations += channels * out * 5.0 * s.corners
    moved = channels * (samples * (4 + 8) + out * (8 + 4))
    return operations / multiply_adds_per_ms + moved / bytes_per_ms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_write_option(parser)
    options = parser.parse_args()
    where = machine()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    speeds = rates()
    rows = []
    for rate, prefiltered in ((100.0, False), (200.0, False), (62.5, False), (20.0, False), (20.0, True)):
        s = settings(prefiltered)
        stream, inventory, stations = network(rate)
        index = ChannelIndex.from_inventory(inventory)
        blocks, dropped = collect_for(stream, index, stations, s)
        if dropped:
            raise SystemExit(f"the benchmark's own data were judged unusable: {dropped[0]}")
        conditioned = condition(blocks, STATIONS, s)
        start = START - 5.0
        parts = [
            cpu_ms(partial(collect_for, stream, index, stations, s), 10),
            cpu_ms(partial(condition, blocks, STATIONS, s), 10),
            cpu_ms(partial(cut, conditioned, start, s), 10),
        ]
        floor, total = floor_ms(rate, s, *speeds), sum(parts)
        name = f"{rate:g} Hz" + (", already filtered" if prefiltered else "")
        rows.append([name, *(f"{part:.1f}" for part in parts), f"{total:.1f}", f"{floor:.2f}", f"{total / floor:.0f}"])
    found = conditioned.data
    characteristic = cpu_ms(lambda: sta_lta(found, s.sampling_rate_hz, valid=conditioned.valid), 10)
    header = ("input", "collect (ms)", "condition (ms)", "cut (ms)", "sum (ms)", "floor (ms)", "ratio")
    text = (
        f"{STATIONS} stations x 3 components x {SECONDS:g} s to 20 Hz, 2-8 Hz; processor time on one core. {where}. "
        f"Floor: {speeds[0] / 1e6:.1f} G multiply-adds/s, {speeds[1] / 1e6:.1f} GB/s.\n\n{markdown(header, rows)}\n\n"
        f"STA/LTA of the conditioned waveforms: {characteristic:.1f} ms."
    )
    publish(text, options.write)


if __name__ == "__main__":
    main()
