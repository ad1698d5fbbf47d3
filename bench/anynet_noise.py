"""How often models for any network accept a window without an event (needs the training package, recorded events).

    python bench/anynet_noise.py --data DIR [--model NAME|FILE ...] [--networks NAME ...] [--corrections FILE]
                                 [--windows N] [--seed N] [--write NAME]

Noise that stations of `oklahoma` and `newberry` recorded before their test events (calibrations see that of training
events), made longer without repeating it, and noise between Peterson's (1993) models at the same channels. Four
stations or more, drawn at random.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from dlloc_training.anynet.calibrating import LEAST_STATIONS, noise_windows
from dlloc_training.anynet.disturbing import station_of
from dlloc_training.anynet.recordings import TEST, Events, Settings, fetched, open_events
from dlloc_training.noise import model_noise, random_levels
from obspy import Stream
from tables import add_write_option, machine, markdown, publish
from tqdm import tqdm

from seiscomp_dlloc.formats.corrections import read_corrections
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.locate import Job, Locator, required_window
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.records import Trigger
from seiscomp_dlloc.solution import Options

HERE = Path(__file__).resolve().parent
NETWORKS = ("oklahoma", "newberry")


def modelled(events: Events, count: int, locator: Locator, rng: np.random.Generator) -> Iterator[Job]:
    """Windows of modelled noise at the channels that recorded random events."""
    for _ in range(count):
        trigger = events.chosen[int(rng.integers(len(events.chosen)))]
        start, end = required_window(trigger, locator.passport, magnitude=False)
        template = fetched(events, trigger, start, end).stream
        names = sorted({station_of(trace) for trace in template})
        kept = rng.permutation(names)[: int(rng.integers(LEAST_STATIONS, len(names) + 1))].tolist()
        levels = random_levels(rng, len(names))
        stream = Stream()
        for trace in template:
            if station_of(trace) in kept and trace.stats.channel[-1] in "ZNE12":
                piece = trace.copy()
                level = levels["ZNE12".index(trace.stats.channel[-1]) % 3, names.index(station_of(trace))]
                rate = trace.stats.sampling_rate
                piece.data = 1e9 * model_noise(rng, level, round((end - start) * rate), rate).astype(float)
                piece.stats.starttime += start - trace.stats.starttime.timestamp
                stream.append(piece)
        yield Job(Trigger(trigger.origin_id, trigger.time), stream)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with a folder for each network")
    parser.add_argument("--model", nargs="+", default=["migration", "anynet"], help="default: %(default)s")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument(
        "--corrections", type=Path, metavar="FILE", help="of one network, in its earth beside this script"
    )
    parser.add_argument("--windows", type=int, default=400, help="of each network's noise (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (default %(default)s)")
    add_write_option(parser)
    arguments = parser.parse_args()
    corrections = None if arguments.corrections is None else read_corrections(arguments.corrections)
    rows = []
    for name in arguments.model:
        model = load(resolve(name), threads=1)
        for network in arguments.networks:
            events = open_events(arguments.data / network, Settings(TEST))
            earth = read_earth_model(str(HERE / "earths" / f"{network}.csv"))
            locator = Locator(model, events.inventory, Options(magnitude=False), earth, corrections)
            rng = np.random.default_rng(arguments.seed)
            kinds = {
                "recorded": noise_windows(events, arguments.windows, locator, locator.travel_times, rng),
                "modelled": modelled(events, arguments.windows // 4, locator, rng),
            }
            for kind, jobs in kinds.items():
                solutions = list(tqdm(locator.locate_many(jobs), f"{model.passport.name}, {network}, {kind}"))
                peaks = np.array([s.peak for s in solutions if s.peak is not None])
                rows.append([
                    model.identity.label, network, kind, str(len(solutions)), str(sum(s.accepted for s in solutions)),
                    f"{np.median(peaks):.3f}", f"{np.quantile(peaks, 0.99):.2f}", f"{peaks.max():.2f}",
                    f"{model.passport.calibration.peak_threshold:g}",
                ])  # fmt: skip
    header = ["model", "network", "noise", "windows", "accepted", "peak, median", "99 %", "largest", "threshold"]
    publish(f"{machine()}\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
