"""``anynet calibrate``: what a model for any network may claim."""

import argparse
import json
from pathlib import Path

DESCRIPTION = """\
Locate the training events of folders of recorded events (catalog.xml, stations.xml, split.csv, waveforms/), as they are
and made harder, and windows without an event made of the noise before them, and write the trust, the thresholds and
the scale of the covariances that the model's passport states. The model's own ones must still be those of an export
without --calibration."""


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
    import numpy as np
    from tqdm import tqdm

    from seiscomp_dlloc import model as models
    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.formats.atomic import write_atomically
    from seiscomp_dlloc.formats.earthmodels import read_earth_model
    from seiscomp_dlloc.migration.locating import aperture_km
    from seiscomp_dlloc.models import resolve
    from seiscomp_dlloc.network import inventory_stations

    from ...answers import truth_of
    from ...anynet import calibrating
    from ...anynet.asking import ask
    from ...anynet.conditions import condition_of
    from ...anynet.exporting import UNCALIBRATED
    from ...anynet.recordings import TRAIN, Settings, open_events
    from ...anynet.subjects import ModelSubject
    from ..recorded.evaluate import _progress

    model = models.load(resolve(args.model), threads=args.threads)
    if model.passport.raw["calibration"] != UNCALIBRATED:
        raise SettingError(f"--model {args.model}: is calibrated already; export it again without --calibration")
    conditions = [condition_of(name) for name in calibrating.CONDITIONS]
    rng = np.random.default_rng(args.seed)
    parts, about, clean, recorded = [], [], [], []
    for folder, earth in args.data:
        every = max(len(open_events(Path(folder), Settings(TRAIN)).chosen) // args.events, 1)
        settings = Settings(TRAIN, every, seed=args.seed)
        events = open_events(Path(folder), settings)
        subject = ModelSubject("model", model, events.inventory, read_earth_model(earth))
        times, truth = subject.locator.travel_times, truth_of(events.chosen, events.network.frame)
        answered = ask([subject], events, conditions, times, truth, settings, each=_progress)
        size = aperture_km(inventory_stations(events.inventory, events.chosen[0].time))
        found = [calibrating.claims_of(part.rows, size) for part in answered]
        place = Path(folder).resolve().name
        windows = calibrating.noise_windows(events, args.noise, subject.locator, times, rng)
        quiet = list(tqdm(subject.locator.locate_many(windows), f"noise of {place}", args.noise, disable=None))
        parts += [*found, calibrating.claims_of_noise(quiet)]
        clean.append(found[0])
        named = zip(calibrating.CONDITIONS, found, strict=True)
        recorded.append(calibrating.joined(part for name, part in named if name in calibrating.AS_RECORDED))
        about.append({"folder": place, "earth model": Path(earth).name, "events": len(truth), "windows": len(quiet)})
    claims = calibrating.joined(parts)
    trust = calibrating.fitted_trust(claims)
    made = calibrating.calibration(claims, trust, recorded)
    kept = float(np.mean(calibrating.joined(clean).peaks(trust) >= made["peak_threshold"]))
    result = {
        "calibration": made,
        "head": {"trust": trust},
        "measured on": about,
        "in conditions": list(calibrating.CONDITIONS),
        "scales in conditions": list(calibrating.AS_RECORDED),
        "clean training events accepted": round(kept, 3),
    }
    write_atomically(args.output, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0
