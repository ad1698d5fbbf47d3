"""``dlloc corrections``: past events in, what each station's P and S are late by out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from .commands import add_command

DESCRIPTION = """\
Learns station corrections from past events: what the ground beneath each station, and whatever else the earth model
does not hold, makes P and S late by. The events are located with a model for any network, the onsets it sees are
compared with those predicted, and the medians become corrections; with --rounds, the events are located again with
these, and so on. Nobody needs to have picked or located them: the triggers say when, as for `dlloc locate`. Where
somebody has, and well, --located takes the delays from their hypocentres instead, so that what all locations have in
common is corrected too, and lets them differ from place to place where that foretells the delays of events that are
left out in turn (source-specific station terms).

What the rounds do: in each but the first the events are located with the corrections of the round before. Without
--located the residuals of these locations are added to those corrections, so that every round goes on from the last.
With --located the residuals of every round are those from the catalogue's hypocentres, without corrections, and each
round's delays replace the last ones: a further round only lets better locations say which events are accepted and which
onsets are theirs.
"""

EPILOG = """\
output:
  -o FILE       JSON: seconds added to the predicted P and S of each station, from how many events, and their scatter;
                for `dlloc locate --corrections FILE` with the same earth model
  stdout        the corrections as a table
  stderr        how many events were used, and how far their onsets were from the predicted times, round by round

exit status:
  0   corrections were written
  2   bad input, or no event could be located: the message says which; nothing was written

example:
  dlloc corrections --events past.xml --waveforms sds:///data/sds --inventory inventory.xml \\
                    --earth-model local.csv -o corrections.json
"""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    from .locate import add_inputs, add_run_options, count, nonempty

    parser = add_command(subparsers, "corrections", "learn station corrections from past events", DESCRIPTION, EPILOG)
    add_inputs(parser, "a model for any network: bundled name or .onnx file (default: anynet)")
    parser.add_argument("-o", "--output", type=nonempty, required=True, metavar="FILE", help="write the corrections")
    parser.add_argument(
        "--rounds",
        type=count,
        default=1,
        metavar="N",
        help="how often the events are located, from the second time on with what was learned (default: 1); with "
        "--located that only chooses events and onsets, see above",
    )
    parser.add_argument(
        "--located",
        action="store_true",
        help="the events lie where --events says (a relocated catalogue): learn what onsets are late by from there",
    )
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="progress bar on stderr (default: on a terminal)"
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ..formats.atomic import check_writable
    from ..formats.corrections import write_corrections
    from .learn import LearningRun
    from .locate import inputs_of
    from .stdio import say

    output = Path(arguments.output)
    check_writable(output)
    learning = LearningRun(inputs_of(arguments))
    corrections = learning.go(arguments.rounds, arguments.located)
    write_corrections(output, corrections)
    say(learning.table(corrections))
    print(learning.summary(corrections), file=sys.stderr)
    return 0
