"""``dlloc locate``: triggered origins and waveforms in, located events out."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands import add_command

if TYPE_CHECKING:
    from .run import Settings

DESCRIPTION = """\
Locates triggered events. For each trigger it fetches the network's waveforms, runs the model and writes an origin
with uncertainty, magnitude where there is one, and its own judgement: accepted, or abstained with the reason.

The trigger says when and that there was an earthquake. Its location enters nothing; with --fixed-depth the depth
given there is kept.
"""

EPILOG = """\
inputs:
  --events      QuakeML 1.2 or SCML 0.7 to 0.14, with one or thousands of origins. Each event's preferred origin is
                taken (else its first), and every origin that no event refers to. Picks, where there are any, anchor
                the window and the origin time.
  --waveforms   one of
                  FILE             a miniSEED file
                  FOLDER           a folder of miniSEED files, of any layout
                  sds://PATH       an SDS archive
                  fdsnws://HOST    an FDSN web service (fdsnwss:// for https)
                  seedlink://HOST  a SeedLink server
  --inventory   StationXML, or SeisComP inventory XML

output:
  stdout        a table with one row per event, or with --json one JSON object per line and event (lengths in km,
                depth positive down from sea level, ISO 8601 times, null where there is no value)
  stderr        the progress bar, the summary, warnings and errors
  -o FILE       QuakeML 1.2, or SCML with --format scml. Every event keeps the publicID that it answers; nothing is
                written before all events are through. A model for any network adds the onsets that it sees with a
                probability of 0.5 and more as automatic picks, with arrivals of its origin
  --plot DIR    one PNG per located event: record section with predicted P and S, network, location image in plan
                and in two depth sections, trigger and solution

exit status:
  0   every event was located and accepted
  1   some events were abstained or failed; the others are located and written
  2   bad input: the message names the file or setting and says what to do; nothing was written

examples:
  dlloc locate --events triggers.xml --waveforms archive/ --inventory stations.xml -o located.xml
  dlloc locate --events triggers.xml --waveforms sds:///data/sds --inventory inventory.xml \\
               --format scml --scml-version 0.13 -o located.scml
  dlloc locate --events triggers.xml --waveforms fdsnws://localhost:8080 --inventory stations.xml \\
               --json | jq 'select(.status == "accepted")'
  dlloc locate --events triggers.xml --waveforms archive/ --inventory stations.xml --plot pictures/
"""


MOST = 1024
"""Most threads or events per batch: more gain nothing and only take memory."""


def count(text: str) -> int:
    """A whole number from 1 to MOST, for argparse."""
    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from error
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"{text} must be from 1 to {MOST}")
    return value


def finite(text: str) -> float:
    """A finite number, for argparse."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from error
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


def nonempty(text: str) -> str:
    """A name that is there (an unset variable of a script gives none), for argparse."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options that every command that runs a model has."""
    run = parser.add_argument_group("running the model")
    run.add_argument(
        "--provider",
        choices=("auto", "cuda", "cpu"),
        default="auto",
        help="where the model runs: auto takes CUDA where it works, else the CPU (default: auto)",
    )
    run.add_argument("--require-gpu", action="store_true", help="fail where the model would not run on a GPU")
    run.add_argument("--threads", type=count, metavar="N", help="CPU threads of the model (default: all cores)")
    run.add_argument("--batch", type=count, default=16, metavar="N", help="events per run of the model (default: 16)")


def add_inputs(parser: argparse.ArgumentParser, model_help: str, events: bool = True) -> "argparse._ArgumentGroup":
    """Options of every command that locates events: what they are, their waveforms, stations, model and earth.

    Without ``events`` for one that finds them itself.
    """
    inputs = parser.add_argument_group("inputs")
    if events:
        inputs.add_argument(
            "--events", type=nonempty, required=True, metavar="FILE", help="triggered origins, QuakeML or SCML"
        )
    inputs.add_argument(
        "--waveforms", type=nonempty, required=True, metavar="WHERE", help="file, folder or address; see below"
    )
    inputs.add_argument(
        "--inventory", type=nonempty, required=True, metavar="FILE", help="StationXML or SeisComP inventory XML"
    )
    inputs.add_argument(
        "--model",
        type=nonempty,
        metavar="NAME|FILE",
        help=model_help,
    )
    inputs.add_argument(
        "--earth-model",
        type=nonempty,
        metavar="NAME|FILE|FOLDER",
        help="earth of a model for any network: a TauP model (iasp91, ak135), a file, CSV, .tvel or .nd, or a folder "
        "of NonLinLoc's 3-D time grids (default: that of the bundled model that knows the stations, else the model's "
        "own)",
    )
    return inputs


def add_place_options(inputs: "argparse._ArgumentGroup") -> None:
    """Options of every command whose places are the answer: what is known of stations and depth."""
    inputs.add_argument(
        "--corrections",
        type=nonempty,
        metavar="FILE",
        help="station corrections, of `dlloc corrections` with the same earth model",
    )
    inputs.add_argument(
        "--fixed-depth", type=finite, metavar="KM", help="keep this depth below sea level instead of estimating it"
    )


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "locate", "locate triggered events from waveforms", DESCRIPTION, EPILOG)
    inputs = add_inputs(parser, "bundled model or .onnx file (default: anynet, for any network)")
    add_place_options(inputs)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", type=nonempty, metavar="FILE", help="write the located events to FILE")
    output.add_argument("--format", choices=("quakeml", "scml"), default="quakeml", help="of FILE (default: quakeml)")
    output.add_argument(
        "--scml-version",
        choices=("0.12", "0.13", "0.14"),
        help="version of SCML (default: that of --events, else 0.13)",
    )
    output.add_argument(
        "--no-own-picks",
        action="store_true",
        help="leave out of FILE the picks of P and S that a model for any network makes itself",
    )
    output.add_argument("--json", action="store_true", help="one JSON object per line and event instead of the table")
    output.add_argument("--plot", type=nonempty, metavar="DIR", help="one picture per located event, into DIR")
    output.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="progress bar on stderr (default: where stderr is a terminal and there is more than one event)",
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def inputs_of(arguments: argparse.Namespace) -> "Settings":
    """Settings of a run from the options of :func:`add_inputs` and :func:`add_run_options`."""
    from .run import Settings

    return Settings(
        events=Path(arguments.events),
        waveforms=arguments.waveforms,
        inventory=Path(arguments.inventory),
        model=arguments.model,
        earth_model=arguments.earth_model,
        provider=arguments.provider,
        require_gpu=arguments.require_gpu,
        threads=arguments.threads or 0,
        batch=arguments.batch,
        progress=arguments.progress,
    )


def run(arguments: argparse.Namespace) -> int:
    """``dlloc locate``."""
    from dataclasses import replace

    from .run import Run

    settings = replace(
        inputs_of(arguments),
        corrections=Path(arguments.corrections) if arguments.corrections else None,
        fixed_depth_km=arguments.fixed_depth,
        output=Path(arguments.output) if arguments.output else None,
        format=arguments.format,
        scml_version=arguments.scml_version,
        own_picks=not arguments.no_own_picks,
        as_json=arguments.json,
        plot=Path(arguments.plot) if arguments.plot else None,
    )
    return Run(settings).go()
