"""``evaluate``: a model on the test events of a folder, beside baselines."""

import argparse
import datetime
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Locate the test events of a folder (catalog.xml, stations.xml, split.csv, waveforms/) with the plugin's own locator and
print a table of errors with bootstrap intervals, beside baselines on the same events: the training mean, the nearest
training event, STA/LTA migration, and a conventional chain of picks. Then see what wrong triggers do: epicentres moved,
times moved, the anchor of the window forced off. With -o the table goes into a file, and all figures as JSON beside it.
"""

REMARKS = {
    "oklahoma": (
        "The station coordinates of this data set were fitted to P onsets of its training events (about 1 km): every "
        "method that uses them, ours, migration and the conventional chain alike, inherits some of that fit.",
        "The starts of the windows are known to +-0.9 s only: errors of origin times below that mean little.",
        "One test event lies about 11 km off in every method that locates well: probably an error of the catalogue.",
    )
}
"""What must be said about known folders of data, by the folder's name."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("evaluate", help="measure a model on test events", description=DESCRIPTION)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of recorded events")
    parser.add_argument("--model", required=True, metavar="NAME|FILE", help="bundled model or .onnx file")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file (JSON goes beside it)")
    parser.add_argument("--bootstrap", type=int, default=2000, metavar="N", help="resamples (default %(default)s)")
    parser.add_argument(
        "--stations-removed", type=int, default=3, metavar="N", help="stations taken away, 0: no such row (default 3)"
    )
    parser.add_argument("--draws", type=int, default=5, metavar="N", help="draws of stations (default %(default)s)")
    parser.add_argument(
        "--smaller",
        type=float,
        nargs="*",
        default=[1.0],
        metavar="ML",
        help="magnitude units to make events smaller by, one row each (default 1)",
    )
    parser.add_argument("--skip-baselines", action="store_true", help="the model's rows only")
    parser.add_argument("--skip-triggers", action="store_true", help="no tests of wrong triggers")
    parser.add_argument("--note", action="append", default=[], metavar="TEXT", help="a remark to add (repeatable)")
    parser.add_argument("--provider", default="auto", help="auto, cuda or cpu (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and bootstrap (default %(default)s)")
    parser.set_defaults(run=run)


def _progress(items: Iterable[Any], what: str) -> Iterable[Any]:
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc=what, file=sys.stderr, leave=False, disable=not sys.stderr.isatty())
    return bar


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from seiscomp_dlloc import model as models
    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.formats.atomic import write_atomically
    from seiscomp_dlloc.models import resolve

    from ...evaluate import Settings, evaluate
    from ...scoreboard import to_json, to_markdown

    if args.bootstrap < 1 or args.draws < 1 or args.stations_removed < 0:
        raise SettingError("--bootstrap and --draws must be 1 or more, --stations-removed 0 or more")
    if any(step <= 0 for step in args.smaller):
        raise SettingError("--smaller takes magnitude units above 0")
    if args.output is not None and args.output.suffix == ".json":
        raise SettingError(f"{args.output}: name the Markdown file; the JSON is written beside it")
    settings = Settings(
        resamples=args.bootstrap,
        stations_removed=args.stations_removed,
        draws=args.draws,
        smaller_by=tuple(args.smaller),
        baselines=not args.skip_baselines,
        trigger_tests=not args.skip_triggers,
        seed=args.seed,
    )
    model = models.load(resolve(args.model), provider=args.provider, threads=args.threads)
    remarks = (*REMARKS.get(args.data.resolve().name, ()), *args.note)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    report = evaluate(model, args.data, settings, today, remarks, _progress)
    text = to_markdown(report)
    print(text, end="")
    if args.output is not None:
        write_atomically(args.output, text.encode())
        write_atomically(args.output.with_suffix(".json"), to_json(report).encode())
    return 0
