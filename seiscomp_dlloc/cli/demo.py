"""``dlloc demo``: theoretical events on a real network, located from start to end."""

import argparse
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..wording import counted
from .commands import add_command
from .locate import add_run_options, nonempty

if TYPE_CHECKING:
    from ..records import Hypocenter

DESCRIPTION = """\
Locates a handful of events that come with the package: theoretical seismograms for a layered earth, with realistic
noise, at the stations of a real network (Oklahoma, 30 stations). Nothing here was recorded; the true hypocentres
are therefore known, and the distance from them is printed. The default model locates them, with the earth model of the
bundled model that knows these stations.

The triggers' epicentres are wrong on purpose, by tens of kilometres: they do not enter the solution.
"""

EPILOG = """\
output (in DIR):
  located.xml       the located events, QuakeML 1.2
  EVENT.png         one picture per event: record section, network, location image, trigger, solution and truth

exit status: as of 'dlloc locate' (0 all accepted, 1 some abstained or failed, 2 the folder cannot be written)

example:
  dlloc demo -o /tmp/demo
"""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "demo", "locate the theoretical events of the package", DESCRIPTION, EPILOG)
    parser.add_argument(
        "-o",
        "--output",
        type=nonempty,
        default="dlloc-demo",
        metavar="DIR",
        help="folder to write to (default: ./dlloc-demo)",
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def true_hypocentres(path: Path) -> dict[str, "Hypocenter"]:
    """publicID -> hypocentre that the seismograms were computed for."""
    import numpy as np

    from ..formats.triggers import read_triggers
    from ..records import Hypocenter

    unknown = np.full((3, 3), np.nan)
    truths = {}
    for origin in read_triggers(path).triggers:
        if origin.latitude is None or origin.longitude is None or origin.depth_km is None:
            raise InputError(f"{path}: {origin.public_id} has no hypocentre; install the package again")
        truths[origin.public_id] = Hypocenter(
            origin.latitude, origin.longitude, origin.depth_km, unknown, origin.time, None
        )
    return truths


def run(arguments: argparse.Namespace) -> int:
    """``dlloc demo``."""
    from ..geometry import distance_azimuth
    from .run import Run, Settings

    folder = Path(arguments.output)
    print("THEORETICAL SEISMOGRAMS (synthetic events with added noise, computed, not recorded)\n", flush=True)
    with resources.as_file(resources.files("seiscomp_dlloc.data") / "demo") as data:
        truths = true_hypocentres(data / "truth.xml")
        run = Run(
            Settings(
                events=data / "triggers.xml",
                waveforms=str(data / "waveforms.mseed"),
                inventory=data / "stations.xml",
                output=folder / "located.xml",
                provider=arguments.provider,
                require_gpu=arguments.require_gpu,
                threads=arguments.threads or 0,
                batch=arguments.batch,
                plot=folder,
                truths=truths,
            )
        )
        status = run.go()
    print("\ndistance from the true hypocentre (known, because the seismograms were computed):")
    for solution in run.solutions:
        found, truth, trigger = solution.hypocenter, truths[solution.trigger.public_id], solution.trigger
        if found is None or trigger.latitude is None or trigger.longitude is None:
            continue
        away, _ = distance_azimuth(truth.latitude, truth.longitude, found.latitude, found.longitude)
        displaced, _ = distance_azimuth(truth.latitude, truth.longitude, trigger.latitude, trigger.longitude)
        print(
            f"  {solution.trigger.public_id}: epicentre {float(away):.1f} km, depth "
            f"{found.depth_km - truth.depth_km:+.1f} km (the trigger's epicentre was {float(displaced):.0f} km off)"
        )
    print(f"\nwritten: {folder / 'located.xml'} and {counted(len(run.pictures), 'picture')} in {folder}/")
    return status
