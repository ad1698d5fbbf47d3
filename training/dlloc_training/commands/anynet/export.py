"""``anynet export``: the model for any network as a file that the plugin takes."""

import argparse
import json
from pathlib import Path

DESCRIPTION = """\
Write the .onnx file with passport and golden input: of a trained network, or, with --migration, of the energy ratio
STA/LTA, in which nothing was learned."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("export", help="write the model's file", description=DESCRIPTION)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="run folder of `anynet train`")
    what.add_argument("--migration", action="store_true", help="nothing learned: STA/LTA")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .onnx file")
    parser.add_argument("--version", dest="model_version", default="1.0.0", help="its version (default %(default)s)")
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="JSON with the passport's `calibration` and `head` (measured)"
    )
    parser.add_argument("--skill", type=Path, metavar="FILE", help="JSON of what was measured, kept in the passport")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from seiscomp_dlloc.errors import SettingError

    from ...anynet.exporting import anynet, export, migration
    from ...anynet.running import CHECKPOINT, recorded_in, trained

    given = {}
    for name in ("calibration", "skill"):
        path = getattr(args, name)
        try:
            given[name] = json.loads(path.read_text("utf-8")) if path else {}
        except (OSError, ValueError) as error:
            raise SettingError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(given[name], dict):
            raise SettingError(f"{path}: holds no JSON object with names and values")
    if args.migration:
        network, about = migration(args.model_version, given["calibration"], given["skill"])
    else:
        checkpoint = args.folder / CHECKPOINT
        if not checkpoint.exists():
            raise SettingError(f"{args.folder}: no {CHECKPOINT} in it; give the folder that `anynet train` wrote")
        weights = trained(checkpoint)
        recorded = recorded_in(args.folder)
        network, about = anynet(weights, args.model_version, given["calibration"], given["skill"], recorded)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    export(args.output, network, about)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")
    return 0
