"""Time of a location with a model for any network, against the number of stations and the aperture of the network.

    python bench/anynet_speed.py [--model NAME|FILE] [--provider cpu|cuda] [--threads N] [--stations N ...]
                                 [--apertures KM ...] [--write NAME]

Networks are random, and so are their elevations; an event is a burst of P and one of S at each station over noise, at
100 Hz: what is measured is the time. Floors, at rates of the same run and the same threads: of the evidence, the
multiply-adds of its convolutions at the rate of a matrix product; of the stack, the larger of what it must read (for
each node, origin time and station one value of P and one of S) at the rate of a plain copy, and of its multiply-adds
(two for each, as it is linear between times) at that of the product. Copies are made in this machine's memory also
where the model runs on a GPU. Times are the processor's where the model runs on one thread of it, so that other work
beside does not count, else wall times. The stack is asked once more for each station alone, on the nodes searched last:
what the place owes to it.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from inference import flops_per_event, peak_flops
from locate import Stopwatch
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity
from tables import Clock, add_write_option, best_ms, machine, markdown, publish

from seiscomp_dlloc import model as models
from seiscomp_dlloc.arrivals import radial
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.locate import Locator
from seiscomp_dlloc.migration.search import P_SPEED
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.records import Station, Trigger
from seiscomp_dlloc.traveltimes import PHASES, from_passport

STATIONS, APERTURES_KM = (5, 10, 20, 40, 60), (5.0, 20.0, 60.0, 150.0, 300.0)
MIDDLE_STATIONS, MIDDLE_KM = 20, 60.0
EVENTS, ROUNDS = 3, 4
RATE_HZ, BEFORE_S, AFTER_S = 100.0, 60.0, 210.0
FRAME, TIME = LocalFrame(45.0, 10.0), 1_700_000_000.0
GAIN = 1e9
EARTH = {"kind": "layers", "layers": [
    {"top_km": 0.0, "vp_km_s": 5.0, "vs_km_s": 2.9},
    {"top_km": 2.0, "vp_km_s": 5.8, "vs_km_s": 3.35},
    {"top_km": 15.0, "vp_km_s": 6.5, "vs_km_s": 3.75},
    {"top_km": 32.0, "vp_km_s": 8.0, "vs_km_s": 4.5},
]}  # fmt: skip


def network(count: int, aperture_km: float) -> list[Station]:
    """Stations anywhere in a square, the first two in its corners."""
    rng = np.random.default_rng(count)
    places = rng.uniform(-0.5, 0.5, (count, 2)) * aperture_km
    places[0], places[1] = -0.5 * aperture_km, 0.5 * aperture_km
    latitude, longitude = FRAME.to_geographic(*places.T)
    heights = rng.uniform(0.0, 1000.0, count)
    return [
        Station("XX", f"S{number:02}", float(lat), float(lon), float(height))
        for number, (lat, lon, height) in enumerate(zip(latitude, longitude, heights, strict=True))
    ]


def inventory(stations: Sequence[Station]) -> Inventory:
    """Three channels at each of them."""
    response = Response(instrument_sensitivity=InstrumentSensitivity(GAIN, 5.0, "M/S", "COUNTS"))
    members = []
    for one in stations:
        place = one.latitude, one.longitude, one.elevation_m
        channels = [
            Channel(f"HH{letter}", "", *place, 0.0, azimuth=azimuth, dip=dip, response=response, sample_rate=RATE_HZ)
            for letter, azimuth, dip in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0))
        ]
        members.append(ObspyStation(one.code, *place, channels=channels))
    return Inventory([Network("XX", members)], source="bench")


def event(stations: Sequence[Station], aperture_km: float, seed: int) -> tuple[Trigger, Stream]:
    """Bursts at the travel times from a place among the stations, 5 Hz, over noise; half a second off the trigger."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.2, 0.2, 2) * aperture_km
    latitude, longitude = FRAME.to_geographic(x, y)
    earth, depth, stream = from_passport(EARTH), float(rng.uniform(0.1, 0.3) * min(aperture_km, 40.0)), Stream()
    seconds = np.arange(round((BEFORE_S + AFTER_S) * RATE_HZ)) / RATE_HZ - BEFORE_S
    for one in stations:
        away = float(np.hypot(*LocalFrame(one.latitude, one.longitude).to_local(latitude, longitude)))
        data = 20.0 * rng.normal(size=(3, seconds.size))
        for phase, size in zip(PHASES, ((1.0, 0.4, 0.4), (0.4, 1.0, 1.0)), strict=True):
            after = seconds - earth.times(phase, away, depth, one.elevation_m)
            burst = np.where(after > 0, np.exp(-np.maximum(after, 0.0)) * np.sin(2 * np.pi * 5.0 * after), 0.0)
            data += 4000.0 * np.array(size)[:, None] * burst / (1.0 + away / 50.0)
        header = {"network": "XX", "station": one.code, "sampling_rate": RATE_HZ}
        header |= {"starttime": UTCDateTime(TIME - BEFORE_S)}
        for letter, row in zip("ZNE", data, strict=True):
            stream.append(Trace(row.astype(np.int32), {**header, "channel": f"HH{letter}"}))
    return Trigger(f"bench/{seed}", TIME + 0.5), stream


def copy_bytes(clock: Clock) -> float:
    """Bytes per second that a plain copy reads, of arrays that no cache holds."""
    source = np.ones(1 << 26, np.float32)
    target = np.empty_like(source)
    return source.nbytes / (1e-3 * best_ms(lambda: np.copyto(target, source), 5, clock=clock))


@dataclass
class Counted:
    """Runs of the model: its run, wrapped; sums over all calls since :meth:`clear`."""

    model: models.Model
    clock: Clock

    def __post_init__(self) -> None:
        self.inner, self.watch, self.counts = self.model.run, Stopwatch(self.clock), Counter[str]()

    def clear(self) -> None:
        """Forget all."""
        self.watch.seconds.clear()
        self.counts.clear()

    def run(self, inputs: dict[str, Any], outputs: tuple[str, ...] | None = None) -> dict[str, Any]:
        """As :meth:`~seiscomp_dlloc.model.Model.run`."""
        step = (outputs or ("all",))[0]
        self.counts[step] += 1
        if step == "stack":
            nodes, stations, _ = inputs["arrivals"].shape
            # One station alone is asked for what the place owes to it, on the nodes that were searched last
            self.counts["nodes"] += nodes if stations > 1 else 0
            self.counts["reads"] += nodes * stations * inputs["origins"].size * 2
        else:
            self.counts["samples"] = inputs["waveforms"].shape[-1]
            self.counts["rows"] += inputs["waveforms"].shape[0]
        return dict(self.watch.wrap(step, self.inner)(inputs, outputs))


def measured(
    model: models.Model, path: Path, count: int, aperture_km: float, rates: tuple[float, float], clock: Clock
) -> list[str]:
    """A row of the table; ``rates``: bytes and floating-point operations per second."""
    stations, counted, tables = network(count, aperture_km), Counted(model, clock), Stopwatch(clock)
    made, plain = [], radial.make_table

    def make_table(*given: Any) -> Any:
        made.append(given)
        return plain(*given)

    jobs = [event(stations, aperture_km, seed) for seed in range(EVENTS)]
    locator = Locator(model, inventory(stations), earth_model=EARTH)
    radial.make_table = tables.wrap("tables", make_table)
    model.run = counted.run  # type: ignore[method-assign]
    try:
        solutions = [locator.locate(*job) for job in jobs]
        before, rounds = len(made), []
        for _ in range(ROUNDS):
            counted.clear()
            start = clock()
            for job in jobs:
                locator.locate(*job)
            rounds.append((clock() - start, dict(counted.watch.seconds)))
        assert len(made) == before, "a table was made for an event that had been located before"
    finally:
        radial.make_table = plain
        model.run = counted.inner  # type: ignore[method-assign]
    passport = model.passport.scales_for(aperture_km)[0]
    # Others may have the processor for a while: the round that they disturbed least
    sums, (whole, seconds) = counted.counts, min(rounds, key=lambda one: one[0])
    finest = 0.5 * int(passport.representation["stride"]) / passport.preprocessing.sampling_rate_hz * P_SPEED
    box = locator.migrator.search(stations, passport)[1].box
    everywhere = np.prod([(high - low) / finest + 1.0 for low, high in (box.x_km, box.y_km, box.z_km)])
    sizes = {"station": 1, "sample": sums["samples"]}
    floor_evidence = sums["rows"] * flops_per_event(path, sizes) / rates[1]
    floor_stack = max(4.0 * sums["reads"] / rates[0], 4.0 * sums["reads"] / rates[1])
    accepted = sum(one.accepted for one in solutions)
    each = 1e3 / EVENTS
    return [
        str(count), f"{aperture_km:g}", f"{passport.preprocessing.sampling_rate_hz:g}", f"{finest:g}",
        f"{1e-6 * everywhere:.1f}", f"{each * seconds['onsets']:.1f}", f"{each * floor_evidence:.1f}",
        f"{sums['nodes'] / EVENTS / 1e3:.0f}", f"{sums['reads'] / EVENTS / 1e6:.0f}", f"{each * seconds['stack']:.0f}",
        f"{each * floor_stack:.1f}", f"{seconds['stack'] / floor_stack:.0f}",
        f"{(sums['stack'] + sums['onsets']) / EVENTS:.1f}", f"{each * whole:.0f}",
        f"{len(made)}, {tables.seconds['tables']:.1f} s", f"{accepted} of {EVENTS}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="NAME|FILE", default="anynet")
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model (default 1)")
    parser.add_argument("--stations", type=int, nargs="+", default=STATIONS, help="default: %(default)s")
    parser.add_argument("--apertures", type=float, nargs="+", default=APERTURES_KM, help="km, default: %(default)s")
    add_write_option(parser)
    arguments = parser.parse_args()
    path = resolve(arguments.model)
    model = models.load(path, arguments.provider, threads=arguments.threads)
    alone = model.provider == models.PROVIDERS["cpu"] and arguments.threads == 1
    clock = time.process_time if alone else time.perf_counter
    rates = copy_bytes(clock), peak_flops(model.provider, arguments.threads, clock)
    cases = [(count, MIDDLE_KM) for count in arguments.stations]
    cases += [(MIDDLE_STATIONS, aperture) for aperture in arguments.apertures if aperture != MIDDLE_KM]
    rows = [measured(model, path, *case, rates, clock) for case in cases]
    header = [
        "stations", "aperture (km)", "Hz", "finest spacing (km)", "nodes so fine in all (millions)",
        "evidence (ms)", "floor", "nodes searched (thousands)",
        "reads (millions)", "stack (ms)", "floor", "ratio", "runs of the graph", "whole location (ms)",
        "tables made first", "accepted",
    ]  # fmt: skip
    where = f"{arguments.threads} threads" if arguments.provider == "cpu" else "one GPU"
    note = (
        f"{machine()}; onnxruntime {ort.__version__}, {model.identity.label} on {model.provider}, {where}. "
        f"Per event, of {EVENTS} in the best of {ROUNDS} rounds, waveforms and tables there, magnitude too. "
        f"{'Processor time' if alone else 'Wall time'}, load {os.getloadavg()[0]:.1f} with all other work. "
        f"A copy reads {1e-9 * rates[0]:.1f} GB/s, a matrix product reaches {1e-9 * rates[1]:.0f} GFLOP/s. "
        f"An earth of {len(EARTH['layers'])} layers."
    )
    publish(f"{note}\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
