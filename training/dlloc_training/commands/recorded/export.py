"""``export``: a trained network as a model of the plugin, calibrated on the held-out events."""

import argparse
import json
from pathlib import Path

DESCRIPTION = """\
Calibrate a trained network on the training events that were held out, compare torch with onnxruntime, and write
one .onnx file with passport and golden input (a theoretical event with modelled noise)."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("export", help="export a trained network", description=DESCRIPTION)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of recorded events")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, metavar="FILE", help="strain tables (HDF5)")
    parser.add_argument("--run", dest="folder", type=Path, required=True, metavar="DIR", help="run folder of train")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .onnx file")
    parser.add_argument("--network", choices=["slim", "full"], default="slim", help="as given to train")
    parser.add_argument("--name", default="oklahoma-fcn-slim", help="name of the model (default %(default)s)")
    parser.add_argument("--version", dest="model_version", default="1.0.0", help="its version (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="as given to train (default %(default)s)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="JSON of evaluate, to be kept in the passport")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from seiscomp_dlloc.errors import SettingError

    from ...experiment import GRIDS, HELD_OUT_FILE, oklahoma, prepare
    from ...release import release
    from ...runs import CHECKPOINT
    from ...table import StrainTable

    tables = [StrainTable.load(path) for path in args.tables]
    for name in (CHECKPOINT, HELD_OUT_FILE):
        if not (args.folder / name).exists():
            raise SettingError(f"{args.folder}: no {name} in it; give the folder that train wrote")
    experiment = prepare(
        args.data,
        oklahoma(args.data, GRIDS[args.network]),
        tables,
        args.folder,
        theoretical=len(tables),
        seed=args.seed,
    )
    report = json.loads(args.report.read_text("utf-8")) if args.report else None
    skill = release(
        experiment, args.folder / CHECKPOINT, args.output, args.name, args.model_version, seed=args.seed, report=report
    )
    print(json.dumps(skill, indent=1))
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")
    return 0
