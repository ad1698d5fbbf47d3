"""``anynet train``: the network that sees P and S at a station."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...anynet.running import Beside

DESCRIPTION = """\
Train the station network on a bank of theoretical events: where the onsets are, and where the migration of what it sees
puts the event. One earth in eight is held out. A run that was interrupted goes on from its last checkpoint."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("train", help="train on a bank", description=DESCRIPTION)
    parser.add_argument("--bank", type=Path, required=True, metavar="FILE", help="what `anynet bank` made")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="run folder")
    parser.add_argument("--start", type=Path, metavar="FILE", help="checkpoint whose weights are the first")
    parser.add_argument(
        "--recorded",
        type=Path,
        nargs=2,
        metavar=("DIR", "EARTH"),
        help="train on this folder's training events too (catalog.xml, stations.xml, waveforms/, split.csv), whose "
        "onsets the weights of --start see; EARTH as for `dlloc locate`. One event in eight is held out",
    )
    parser.add_argument(
        "--share", type=float, default=0.45, help="of recorded windows, with --recorded (default %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=3, help="events per step, 16 stations each (default %(default)s)")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate (default %(default)s)")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints (default %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that make examples (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default %(default)s)")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    import torch

    from ...anynet.bank import Bank
    from ...anynet.running import Training, train

    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    training = Training(
        steps=args.steps,
        events=args.batch,
        learning_rate=args.rate,
        every=args.every,
        workers=args.workers,
        seed=args.seed,
    )
    print(train(Bank.read(args.bank), args.output, training, args.start, beside(args)))
    return 0


def beside(args: argparse.Namespace) -> "Beside | None":
    """The recorded events that --recorded asks for."""
    from tqdm import tqdm

    from seiscomp_dlloc.errors import SettingError
    from seiscomp_dlloc.formats.earthmodels import read_earth_model
    from seiscomp_dlloc.traveltimes import from_passport

    from ...anynet.bank import SAMPLES
    from ...anynet.recorded import RECORDED, RecordedDrawer, read_recorded
    from ...anynet.running import Beside, Training, trained

    if args.recorded is None:
        return None
    if args.start is None:
        raise SettingError("--recorded: needs --start, a network that sees onsets already")
    folder, earth = args.recorded
    travel_times = from_passport(read_earth_model(str(earth)))
    parts = read_recorded(folder, travel_times, trained(args.start), each=lambda items, what: tqdm(items, desc=what))
    ours, held = (RecordedDrawer(part, travel_times, SAMPLES, Training.stations, RECORDED) for part in parts)
    source = f"{len(ours.events)} training events of {folder.resolve().name}"
    return Beside(ours, held, args.share, source)
