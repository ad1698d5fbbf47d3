"""``dlloc scan``: continuous waveforms in, a catalogue of located events out."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .commands import add_command

DESCRIPTION = """\
Finds and locates the events in continuous data with a model for any network. The time is cut into chunks. In each, the
evidence that all stations hold for P and S is stacked along the travel times from a coarse grid, for every origin time;
where it agrees there may be an event, and `dlloc locate`'s locator is asked about it. What it stands by is written.
"""

EPILOG = """\
inputs:
  --waveforms and --inventory as for `dlloc locate`; nothing says when and where events are

output, in FOLDER:
  catalogue.xml   QuakeML 1.2, one event each, in order of time, with the onsets that the model sees as picks
  catalogue.csv   the same as a table: time, place (km below sea level), standard deviations, magnitude, peak, stations,
                  status and, of those that it does not stand by, the reason
  chunks/         what each chunk gave; scan.json: the settings
  stderr          the progress bar, chunks without data, and at the end a line with events, candidates and time

A scan that was stopped goes on where it was: give the same command again. Chunks whose waveforms could not be read are
tried again too. A folder with other settings is refused.

exit status:
  0   the whole time was searched
  1   some chunks had no data that could be used, or none could be read; the catalogue holds the others' events
  2   bad input: the message names the file or setting and says what to do

examples:
  dlloc scan --waveforms sds:///data/sds --inventory inventory.xml --earth-model local.csv \\
             --start 2026-01-01 --end 2026-01-08 -o january
  dlloc scan --waveforms archive/ --inventory stations.xml --start 2026-01-01T06:00 --end 2026-01-01T07:00 \\
             --workers 8 -o hour
"""


def moment(text: str) -> float:
    """An ISO 8601 time as POSIX seconds, UTC where it names no zone; for argparse."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 2026-01-31T12:00:00") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def minutes(text: str) -> float:
    """A length in minutes that a chunk may have, for argparse."""
    from .locate import finite

    value = finite(text)
    if not 0.5 <= value <= 1440.0:
        raise argparse.ArgumentTypeError(f"{text} must be from 0.5 to 1440")
    return value


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    from .locate import add_inputs, add_place_options, add_run_options, count, nonempty

    parser = add_command(subparsers, "scan", "find and locate events in continuous data", DESCRIPTION, EPILOG)
    inputs = add_inputs(parser, "a model for any network: bundled name or .onnx file (default: anynet)", events=False)
    inputs.add_argument("--start", type=moment, required=True, metavar="TIME", help="first origin time, ISO 8601, UTC")
    inputs.add_argument("--end", type=moment, required=True, metavar="TIME", help="last origin time")
    add_place_options(inputs)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", type=nonempty, required=True, metavar="FOLDER", help="made, or gone on with")
    output.add_argument(
        "--abstained",
        action="store_true",
        help="write too what it places and does not stand by, with the reason; candidates without a place are only "
        "counted, by reason, in the last line on stderr",
    )
    output.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="progress bar on stderr (default: on a terminal)"
    )
    work = parser.add_argument_group("work")
    work.add_argument(
        "--chunk", type=minutes, default=10.0, metavar="MINUTES", help="length that is held in memory (default: 10)"
    )
    work.add_argument(
        "--workers", type=count, default=1, metavar="N", help="processes of this machine, by Dask (default: 1)"
    )
    work.add_argument("--scheduler", type=nonempty, metavar="ADDRESS", help="of a running Dask cluster, instead")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ..errors import SettingError
    from .scanning import Inputs, Scan, Settings, model_and_earth, with_threads

    if not arguments.start < arguments.end:
        raise SettingError("--end: must be after --start")
    inventory = Path(arguments.inventory)
    model, usual_earth = model_and_earth(arguments.model, inventory, arguments.start, arguments.end)
    inputs = Inputs(
        waveforms=arguments.waveforms,
        inventory=inventory,
        model=model,
        earth_model=arguments.earth_model,
        corrections=Path(arguments.corrections) if arguments.corrections else None,
        fixed_depth_km=arguments.fixed_depth,
        abstained=arguments.abstained,
        provider=arguments.provider,
        require_gpu=arguments.require_gpu,
        threads=arguments.threads or 0,
        batch=arguments.batch,
        usual_earth=usual_earth,
    )
    settings = Settings(
        with_threads(inputs, arguments.workers, arguments.scheduler),
        arguments.start,
        arguments.end,
        Path(arguments.output),
        60.0 * arguments.chunk,
        arguments.workers,
        arguments.scheduler,
        arguments.progress,
    )
    return Scan(settings).go()
