"""``train``: the slim network of a fixed network of stations."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Train the slim network on the training events of a folder (catalog.xml, stations.xml, split.csv, waveforms/), on
virtual events made of their traces, and on theoretical events from strain tables. A run that was interrupted goes on
from its last checkpoint."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("train", help="train the slim network", description=DESCRIPTION)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of recorded events")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], metavar="FILE", help="strain tables (HDF5)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="run folder")
    parser.add_argument("--steps", type=int, default=3000, help="optimizer steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="examples per step (default %(default)s)")
    parser.add_argument("--held-out", type=int, default=30, help="training events set aside (default %(default)s)")
    parser.add_argument("--theoretical", type=int, default=500, help="theoretical events (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    import torch

    from ..experiment import oklahoma, prepare
    from ..slimrun import train_slim
    from ..table import StrainTable

    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    tables = [StrainTable.load(path) for path in args.tables]
    experiment = prepare(
        args.data,
        oklahoma(args.data),
        tables,
        args.output,
        held_out=args.held_out,
        theoretical=args.theoretical,
        seed=args.seed,
    )
    model = experiment.moveout
    print(
        f"travel times: Vp {model.vp:.3f}, Vs {model.vs:.3f} km/s, delays {model.p_delay:.2f} and {model.s_delay:.2f} s"
        f" (median absolute residuals {model.p_mad_s:.2f} and {model.s_mad_s:.2f} s)",
        flush=True,
    )
    checkpoint = train_slim(
        experiment,
        args.output,
        steps=args.steps,
        batch=args.batch,
        seed=args.seed,
        workers=args.workers,
    )
    print(checkpoint)
    return 0
