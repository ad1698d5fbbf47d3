"""``anynet calibrate``: what a model for any network may claim."""

import argparse
import json
from pathlib import Path

DESCRIPTION = """\
Locate the training events of folders of recorded events (catalog.xml, stations.xml, split.csv, waveforms/), and windows
without an event made of the noise before them, and write the thresholds and the scale of the covariances that the
model's passport states. The model's own ones must still be those of an export without --calibration."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("calibrate", help="thresholds and scales of a model", description=DESCRIPTION)
    parser.add_argument("--model", required=True, metavar="FILE", help="a model that `anynet export` wrote")
    parser.add_argument(
        "--data",
        nargs=2,
        action="append",
        required=True,
        metavar=("DIR", "EARTH"),
        help="folder of recorded events and its earth model; several times",
    )
    parser.add_argument("--events", type=int, default=50, help="training events of each folder (default %(default)s)")
    parser.add_argument("--noise", type=int, default=250, help="windows without one of each (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the windows drawn (default %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON for `anynet export`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from dataclasses import replace

    import numpy as np
    from tqdm import tqdm

    from seiscomp_dlloc import model as models
    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.formats.atomic import write_atomically
    from seiscomp_dlloc.formats.earthmodels import read_earth_model
    from seiscomp_dlloc.locate import Locator
    from seiscomp_dlloc.models import resolve
    from seiscomp_dlloc.solution import Options

    from ...anynet.calibrating import calibration, claims_of, noise_windows
    from ...anynet.exporting import UNCALIBRATED
    from ...anynet.recordings import TRAIN, Settings, fetched_for, open_events

    model = models.load(resolve(args.model), threads=args.threads)
    if model.passport.raw["calibration"] != UNCALIBRATED:
        raise SettingError(f"--model {args.model}: is calibrated already; export it again without --calibration")
    rng = np.random.default_rng(args.seed)
    claims, peaks, about = None, [], []
    for folder, earth in args.data:
        events = open_events(Path(folder), Settings(TRAIN))
        every = max(len(events.chosen) // args.events, 1)
        chosen = events.chosen[::every]
        locator = Locator(model, events.inventory, Options(magnitude=False), read_earth_model(earth))
        # Analysts' picks would set windows that no automatic trigger sets
        jobs = (fetched_for(events, replace(trigger, picks=()), locator) for trigger in chosen)
        name = Path(folder).resolve().name
        solutions = list(tqdm(locator.locate_many(jobs), f"events of {name}", len(chosen), disable=None))
        windows = noise_windows(events, args.noise, locator, locator.travel_times, rng)
        quiet = list(tqdm(locator.locate_many(windows), f"noise of {name}", args.noise, disable=None))
        found = claims_of(solutions)
        claims = found if claims is None else claims + found
        peaks += [np.nan if solution.peak is None else solution.peak for solution in quiet]
        about.append({"folder": name, "earth model": Path(earth).name, "events": len(solutions), "windows": len(quiet)})
    assert claims is not None
    made = calibration(claims, np.array(peaks, float))
    kept = float(np.mean(claims.peak >= made["peak_threshold"]))
    result = {"calibration": made, "measured on": about, "training events accepted": round(kept, 3)}
    write_atomically(args.output, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0
