"""``train``: a network for a fixed list of stations."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Train a network on the training events of a folder (catalog.xml, stations.xml, split.csv, waveforms/), on
virtual events made of their traces, and on theoretical events from strain tables. A run that was interrupted goes on
from its last checkpoint."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("train", help="train a network", description=DESCRIPTION)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of recorded events")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], metavar="FILE", help="strain tables (HDF5)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="run folder")
    parser.add_argument(
        "--network",
        choices=["slim", "full"],
        default="slim",
        help="slim (for two cores) or full (Zhang et al. 2020 at full width, for a GPU) (default %(default)s)",
    )
    parser.add_argument("--start", type=Path, metavar="FILE", help="checkpoint whose weights are the first (slim only)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (slim only; default %(default)s)")
    parser.add_argument("--steps", type=int, default=3000, help="optimizer steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="examples per step (default %(default)s)")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints (default %(default)s)")
    parser.add_argument("--held-out", type=int, default=30, help="training events set aside (default %(default)s)")
    parser.add_argument("--theoretical", type=int, default=500, help="theoretical events (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    import torch

    from seiscomp_dlloc.errors import SettingError

    from ...experiment import GRIDS, oklahoma, prepare
    from ...runs import LABEL_SIGMA_KM, train_full, train_slim
    from ...table import StrainTable

    if args.network == "full" and args.start is not None:
        raise SettingError("--start is for the slim network only")
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    tables = [StrainTable.load(path) for path in args.tables]
    experiment = prepare(
        args.data,
        oklahoma(args.data, GRIDS[args.network]),
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
    options = {"batch": args.batch, "seed": args.seed, "workers": args.workers, "every": args.every}
    if args.network == "full":
        checkpoint = train_full(experiment, args.output, steps=args.steps, **options)
    else:
        first = 6.0 if args.start is None else LABEL_SIGMA_KM
        checkpoint = train_slim(
            experiment,
            args.output,
            steps=args.steps,
            start=args.start,
            learning_rate=args.rate,
            sigma_km=(first, LABEL_SIGMA_KM),
            **options,
        )
    print(checkpoint)
    return 0
