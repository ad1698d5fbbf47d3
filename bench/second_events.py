"""How often the rule for second events is right: on recorded single events, and on doublets made of them.

    python bench/second_events.py --data FOLDER [--write NAME]

Needs the training package and a folder of recorded events (catalog.xml, stations.xml, split.csv, waveforms/). The
thresholds of seiscomp_dlloc.trust are chosen on the first table, of training events; the second one, of test events,
has the chosen ones alone. Places are the catalogue's with errors like those of a location image, because the rule sees
only what it makes of them. A doublet is an event with another of the same split within 4 km, 5 to 35 s later, its
amplitude times 10 ** U(-0.7, 0.3) of the first one's; it is found where a burst lies within 1.5 s of the right delay.
Travel times are calibrated on the training events.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from dlloc_training.baselines import KnownEvents, calibrate_on, known_events
from dlloc_training.catalogue import load_events, read_stations
from dlloc_training.experiment import OKLAHOMA_PREPROCESSING
from dlloc_training.local import LocalNetwork
from dlloc_training.made import shifted
from tables import add_write_option, markdown, publish

from seiscomp_dlloc import origintime, trust
from seiscomp_dlloc.predict import predict
from seiscomp_dlloc.records import Conditioned
from seiscomp_dlloc.traveltimes import PHASES, TravelTimes, from_passport

PLACE_ERRORS_KM = (0.0, 2.2, 5.0)
DEPTH_ERROR_KM = 1.0
NEAR_KM, EARLIEST_S, LATEST_S, FOUND_WITHIN_S = 4.0, 5.0, 35.0, 1.5
RATIOS, LEVELS = (0.2, 0.25, 0.3), (2.0, 2.5, 3.0, 4.0)

Stacked = tuple[origintime.Moveout, float]


def stacked(
    record: Conditioned, place: np.ndarray, origin: float, network: LocalNetwork, times: TravelTimes
) -> Stacked:
    """The onset stack of a record at a place (x, y, z km), and the origin time that it gives near ``origin``."""
    latitude, longitude = (float(v) for v in network.frame.to_geographic(place[0], place[1]))
    seen = predict(latitude, longitude, float(place[2]), network.stations, times)
    used = record.valid.any(axis=(0, 2))
    predicted = {phase: np.where(used, seen.times[phase], np.nan) for phase in PHASES}
    stack = origintime.moveout(record, predicted, record.starttime - float(np.nanmax(predicted["S"])), record.endtime)
    found = origintime.from_moveout(stack.between(origin - 12.0, origin + 12.0))
    return stack, origin if found is None else found.time


def doublet(events: KnownEvents, k: int, rng: np.random.Generator) -> tuple[Conditioned, float]:
    """Event ``k`` with another one near it, and by how much that is later (s)."""
    one = events.conditioned[k]
    away = np.hypot(*(events.hypocentre_km[:, :2] - events.hypocentre_km[k, :2]).T)
    away[k] = np.inf
    near = np.flatnonzero(away < NEAR_KM)
    j = int(rng.choice(near)) if near.size else k
    other, late = events.conditioned[j], float(rng.uniform(EARLIEST_S, LATEST_S))
    both = one.valid.any(axis=(0, 2)) & other.valid.any(axis=(0, 2))
    largest = [np.abs(c.data[:, both]).max(axis=(0, 2)) for c in (one, other)]
    factor = 10.0 ** rng.uniform(-0.7, 0.3) * np.median(largest[0] / largest[1])
    samples = one.data.shape[-1]
    second = np.zeros_like(one.data)
    length = min(samples, other.data.shape[-1])
    second[..., :length] = other.data[..., :length]
    moved = shifted(second, -round((events.origin_s[k] + late - events.origin_s[j]) * one.sampling_rate_hz))
    return replace(one, data=np.where(one.valid, one.data + np.float32(factor) * moved, np.float32(0.0))), late


def bursts(case: Stacked, ratio: float, level: float) -> tuple[float, ...]:
    """What the rule finds, seconds from the origin time."""
    stack, origin = case
    return trust.second_bursts(stack.times, stack.stack, origin, ratio, level)


def rows_of(
    events: KnownEvents, times: TravelTimes, rules: Sequence[tuple[float, float]], rng: np.random.Generator
) -> list[list[str]]:
    """A row for each rule (ratio, level as a mean STA/LTA): single events called double, doublets found."""
    origins = [c.starttime + float(t) for c, t in zip(events.conditioned, events.origin_s, strict=True)]

    def place(k: int, error_km: float) -> np.ndarray:
        return events.hypocentre_km[k] + rng.normal(0.0, 1.0, 3) * (error_km, error_km, DEPTH_ERROR_KM)

    every = range(len(events))
    single = [
        [stacked(events.conditioned[k], place(k, error), origins[k], events.network, times) for k in every]
        for error in PLACE_ERRORS_KM
    ]
    double = []
    for k in (*every, *every):
        record, late = doublet(events, k, rng)
        double.append(
            (stacked(record, place(k, PLACE_ERRORS_KM[1]), origins[k], events.network, times), origins[k], late)
        )
    rows = []
    for ratio, least in rules:
        level = math.log(least)
        called = [np.mean([bool(bursts(case, ratio, level)) for case in cases]) for cases in single]
        found = []
        for case, origin, late in double:
            # Either of the two may be the one that the origin time belongs to
            first = abs(case[1] - origin) < abs(case[1] - origin - late)
            wanted = origin + late - case[1] if first else origin - case[1]
            found.append(any(abs(burst - wanted) < FOUND_WITHIN_S for burst in bursts(case, ratio, level)))
        rows.append([f"{ratio:g}", f"{least:g}", *(f"{100 * v:.1f} %" for v in (*called, np.mean(found)))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of recorded events")
    add_write_option(parser)
    arguments = parser.parse_args()
    network = LocalNetwork(read_stations(arguments.data / "stations.xml"))
    sets = {
        split: known_events(
            load_events(arguments.data, split, network.stations, OKLAHOMA_PREPROCESSING),
            network,
            OKLAHOMA_PREPROCESSING,
        )
        for split in ("train", "test")
    }
    times = from_passport(calibrate_on(sets["train"]).earth_model())
    chosen = [(trust.BURST_RATIO, math.exp(trust.BURST_LEVEL))]
    parts = []
    for seed, (split, rules) in enumerate({"train": [(r, v) for r in RATIOS for v in LEVELS], "test": chosen}.items()):
        rows = rows_of(sets[split], times, rules, np.random.default_rng(seed))
        errors = (f"single, {error:g} km off, called double" for error in PLACE_ERRORS_KM)
        table = markdown(("ratio", "level", *errors, "doublets found"), rows)
        parts.append(f"{len(sets[split])} {split} events, {2 * len(sets[split])} doublets.\n\n{table}")
    note = (
        f"Chosen: ratio {chosen[0][0]:g}, level {chosen[0][1]:g}. Errors of places are standard deviations of x and "
        "of y. A single event that is called double may have a real second one in its record: nobody has looked."
    )
    publish("\n\n".join([note, *parts]), arguments.write)


if __name__ == "__main__":
    main()
