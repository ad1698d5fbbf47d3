"""``dlloc replay``: a bundle that was kept gives the same answer again."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands import add_command
from .locate import add_run_options, nonempty

if TYPE_CHECKING:
    from ..bundle import Bundle

DESCRIPTION = """\
Locates once more what a bundle holds: waveforms, stations, earth and settings of one answer, kept by the worker or the
module. Says whether the answer is the same, to the metre and the millisecond, or what differs.
"""

EPILOG = """\
A bundle is a zip file; its waveforms.mseed, inventory.xml and event.xml can be looked at with any tool.

exit status:
  0   the same answer
  1   another answer: the differences are listed
  2   the bundle is damaged, its model is not here, or something cannot be written

examples:
  dlloc replay Origin_dlloc_1b2c-0a1b2c3d4e.dlloc.zip
  dlloc replay Origin/dlloc/1b2c/final
  dlloc replay kept.dlloc.zip --model my.onnx --plot pictures/ -o again.xml
"""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "replay", "locate again what a bundle holds, and compare", DESCRIPTION, EPILOG)
    parser.add_argument("bundle", type=nonempty, metavar="BUNDLE", help="its file, or the origin's publicID")
    parser.add_argument(
        "--model", type=nonempty, metavar="NAME|FILE", help="the model that answered (default: the bundled one)"
    )
    parser.add_argument(
        "--earth-model",
        type=nonempty,
        metavar="FOLDER",
        help="NonLinLoc's time grids that the event was located with; any other earth model the bundle holds",
    )
    parser.add_argument("-o", "--output", type=nonempty, metavar="FILE", help="write the new answer to FILE")
    parser.add_argument("--format", choices=("quakeml", "scml"), default="quakeml", help="of FILE (default: quakeml)")
    parser.add_argument("--plot", type=nonempty, metavar="DIR", help="the picture of the new answer, into DIR")
    parser.add_argument("--json", action="store_true", help="the new answer as JSON instead of the table")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """``dlloc replay``."""
    import json

    from .. import bundle as bundles
    from ..formats.atomic import check_writable, write_atomically
    from ..formats.gridfolders import read_grid_earth
    from ..formats.plain import as_json
    from ..model import load
    from . import EXIT_EVENTS, EXIT_OK
    from .output import Table
    from .stdio import printable, say

    if arguments.output:
        check_writable(arguments.output)
    bundle = bundles.read_bundle(_file(arguments.bundle))
    model = load(_model(bundle, arguments.model), arguments.provider, arguments.require_gpu, arguments.threads or 0)
    located = bundles.replay(bundle, model, read_grid_earth(arguments.earth_model) if arguments.earth_model else None)
    solution = located.solution
    told = bundles.differences(bundle.answer, solution)
    if arguments.json:
        say(json.dumps(as_json(solution)))
    else:
        table = Table([solution.trigger.public_id])
        say(table.header())
        say(table.row(solution))
        _say_software(bundle)
        for line in told:
            say(printable(f"  differs: {line}"))
        say("another answer than the one that was kept" if told else "the same answer as the one that was kept")
    if arguments.plot:
        _draw(located, Path(arguments.plot))
    if arguments.output:
        write_atomically(arguments.output, _document(solution, arguments.format))
    return EXIT_EVENTS if told else EXIT_OK


def _file(named: str) -> str | Path:
    """The bundle's file; where there is none of that name, what was kept for the origin of that publicID."""
    from ..bundle import BundleStore
    from ..settings.values import Settings
    from .kept import kept

    if Path(named).exists():
        return named
    return kept(Settings.load().bundle, named, BundleStore.path) or named


def _model(bundle: "Bundle", wanted: str | None) -> Path:
    """The model's file: the one given, else the bundled one of the name that the bundle has."""
    from .. import models
    from ..errors import BundleError

    name = bundle.manifest["model"]["name"]
    if wanted is not None:
        return models.resolve(wanted)
    found = models.bundled().get(name)
    if found is None:
        raise BundleError(
            f"the bundle was answered by {bundle.model_label}, which is not bundled: give it with --model"
        )
    return found


def _say_software(bundle: "Bundle") -> None:
    """Name the versions that have changed since."""
    from ..bundle import software
    from .stdio import printable, say

    before, now = bundle.manifest.get("software"), software()
    if isinstance(before, dict):
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                say(printable(f"  {name}: {before.get(name, 'absent')} then, {now.get(name, 'absent')} now"))


def _draw(located: Any, folder: Path) -> None:
    from ..errors import SettingError
    from ..formats.atomic import write_atomically
    from ..formats.identifiers import file_stem
    from ..report.figures import located_png
    from .stdio import say

    picture = located_png(located)
    if not picture:
        say("no picture: nothing was located")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"folder {folder}: cannot be made ({error.strerror or error})") from error
    write_atomically(folder / f"{file_stem(located.solution.trigger.public_id)}.png", picture)


def _document(solution: Any, kind: str) -> bytes:
    from ..formats.quakeml import write_quakeml
    from ..formats.scml import write_scml

    return write_quakeml([solution], own=True) if kind == "quakeml" else write_scml([solution], "0.13", own=True)
