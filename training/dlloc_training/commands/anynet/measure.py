"""``anynet measure``: models for any network on recorded events, through the plugin's own locator."""

import argparse
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seiscomp_dlloc.model import Model

DESCRIPTION = """\
Locate the recorded events of a folder (catalog.xml, stations.xml, waveforms/, perhaps split.csv) with the plugin's own
locator and models for any network, and write measured.md and measured.json: errors with bootstrap intervals, coverage
of the stated uncertainties and, in the JSON, each event's answers. Beside the models stand the mean of the training
events, the nearest of them and, with --rival, a conventional chain of automatic picks. Conditions make the events
harder: trace:SNR, network:SNR and peak:SNR add noise, stations:NUMBER leaves that many random stations and
removed:NUMBER takes them away, shifted:SECONDS puts the clocks of one station in five wrong, velocity:PERCENT makes the
locators' earth wrong, and + joins them, as in stations:10+network:1.5. Answers are kept in the output folder: stopped,
or with more conditions or models, the same command asks for the missing ones alone and reports on all it names."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("measure", help="measure models on recorded events", description=DESCRIPTION)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of recorded events")
    parser.add_argument(
        "--model", nargs="+", required=True, metavar="FILE|NAME", help=".onnx files or names of bundled models"
    )
    parser.add_argument(
        "--rival", choices=("conventional",), help="automatic picks and a robust fit, beside the models"
    )
    parser.add_argument(
        "--earth-model", metavar="FILE|NAME", help="the network's, as `dlloc locate` takes it (default: each model's)"
    )
    parser.add_argument(
        "--corrections", type=Path, metavar="FILE", help="station corrections of that earth model, learned elsewhere"
    )
    parser.add_argument("--split", choices=("test", "train"), default="test", help="which events (default %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th event (default: all)")
    parser.add_argument(
        "--conditions", nargs="+", default=["clean"], metavar="NAME", help="what is done to them (default: clean)"
    )
    parser.add_argument(
        "--signal",
        type=float,
        metavar="S",
        help="seconds after P whose RMS is the signal's (default 1.5, less where the median time from P to S is short)",
    )
    parser.add_argument(
        "--trigger-error",
        type=float,
        default=1.0,
        metavar="S",
        help="standard deviation by which the trigger's time differs from the catalogue's (default %(default)s)",
    )
    parser.add_argument("--picks", action="store_true", help="the trigger has the catalogue's picks (default: none)")
    parser.add_argument("--within", type=float, default=10.0, metavar="KM", help="what is near (default %(default)s)")
    parser.add_argument("--no-time", action="store_true", help="the catalogue's origin times mean nothing")
    parser.add_argument("--threads", type=int, default=1, help="threads of a model (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and bootstrap (default %(default)s)")
    parser.add_argument("--again", action="store_true", help="ask anew what an earlier run has kept")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for what is written")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from seiscomp_dlloc import model as models
    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.formats.atomic import write_atomically
    from seiscomp_dlloc.formats.corrections import read_corrections
    from seiscomp_dlloc.formats.earthmodels import read_earth_model
    from seiscomp_dlloc.models import resolve
    from seiscomp_dlloc.traveltimes import from_passport

    from ...anynet.asking import Kept
    from ...anynet.conditions import condition_of, scaled_earth
    from ...anynet.measuring import measure, surroundings
    from ...anynet.recordings import Settings, open_events
    from ...anynet.reporting import document, record
    from ...anynet.rival import NOTE, Conventional
    from ...anynet.subjects import ModelSubject, Subject
    from ...experiments.report.document import to_markdown
    from ...scoreboard import finite
    from ..recorded.evaluate import REMARKS, _progress

    if args.every < 1 or (args.signal is not None and not args.signal > 0):
        raise SettingError("--every must be 1 or more, --signal above 0")
    if not args.trigger_error >= 0 or not args.within > 0:
        raise SettingError("--trigger-error must be 0 or more, --within above 0")
    conditions = tuple(dict.fromkeys(condition_of(name) for name in args.conditions))
    earth = None if args.earth_model is None else read_earth_model(args.earth_model)
    corrections = None if args.corrections is None else read_corrections(args.corrections)
    opened = [models.load(resolve(name), threads=args.threads) for name in args.model]
    for model in opened:
        if model.passport.fixed_network:
            raise SettingError(f"model {model.path}: belongs to one network; `recorded evaluate` measures such models")
        for condition in conditions:
            scaled_earth(earth or model.passport.earth_model, condition.velocity_percent)
    settings = Settings(
        args.split,
        args.every,
        not args.no_time,
        args.signal,
        seed=args.seed,
        trigger_error_s=args.trigger_error,
        picks=args.picks,
        near_km=args.within,
    )
    events = open_events(args.data, settings)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"folder {args.output}: cannot be made ({error.strerror or error})") from error
    named = list(zip(_names(opened), opened, strict=True))
    subjects: list[Subject] = [ModelSubject(name, model, events.inventory, earth, corrections) for name, model in named]
    first = opened[0].passport
    known = earth or first.earth_model
    remarks = REMARKS.get(args.data.resolve().name, ())
    if args.rival:
        subjects.append(Conventional(first, events.inventory, events.network, known))
        remarks = (NOTE, *remarks)
    header = {
        "models": ", ".join(f"{name} (file SHA-256 {model.identity.sha256})" for name, model in named),
        "earth": "each model's own (noise is made with the first's)" if earth is None else str(earth["name"]),
        "station corrections": "none" if args.corrections is None else args.corrections.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    times = from_passport(known)
    loud = surroundings(events, first, times)
    kept = Kept(args.output / "answers", again=args.again)
    found = measure(subjects, events, conditions, times, settings, header, remarks, loud, kept, _progress)
    text = to_markdown(document(found))
    print(text, end="")
    write_atomically(args.output / "measured.md", text.encode())
    whole = json.dumps(finite(record(found)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(args.output / "measured.json", whole.encode())
    return 0


def _names(models: "Sequence[Model]") -> list[str]:
    """Name and version of each, with the file's name, then a number, where several have the same."""
    names = [f"{model.passport.name} {model.passport.version}" for model in models]
    names = [
        f"{name} ({model.path.stem})" if names.count(name) > 1 else name
        for name, model in zip(names, models, strict=True)
    ]
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(f"{name} #{seen[name]}" if seen[name] > 1 else name)
    return out
