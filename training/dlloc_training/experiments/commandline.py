"""Options that the stages of an experiment share on the command line, and what runs them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

INTERRUPTED = 130


def add_options(parser: argparse.ArgumentParser, networks: bool = True) -> None:
    """The experiment, its run folder, its networks."""
    parser.add_argument("experiment", metavar="FILE.toml", help="the experiment: a file, or the name of a shipped one")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="run folder (default: runs/NAME)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    if networks:
        parser.add_argument("--network", action="append", default=[], metavar="NAME", help="only this one (repeatable)")


def add_compute_options(parser: argparse.ArgumentParser) -> None:
    """What computes."""
    group = parser.add_argument_group("computing")
    group.add_argument("--workers", type=int, metavar="N", help="processes that synthesise (default: one per core)")
    group.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that synthesises, or 'local'")
    group.add_argument("--accelerator", default="auto", help="cpu, gpu, auto (default %(default)s)")
    group.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs, or processes (default %(default)s)")
    group.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (default %(default)s)")
    group.add_argument(
        "--precision", default="32-true", help="as Lightning names it, e.g. bf16-mixed (default 32-true)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: its own choice)")


def add_version_option(parser: argparse.ArgumentParser) -> None:
    """The models' version."""
    parser.add_argument("--model-version", default="1.0.0", metavar="X.Y.Z", help="of the models (default %(default)s)")


def staged(args: argparse.Namespace, stages: Sequence[str]) -> int:
    """Run the stages in order; 130 where the operator interrupts."""
    import torch

    from .computing import Compute
    from .reading import read_experiment
    from .stages import Run, run_stages

    experiment = read_experiment(args.experiment)
    if getattr(args, "threads", None):
        torch.set_num_threads(args.threads)
    compute = Compute(
        getattr(args, "accelerator", "auto"),
        getattr(args, "devices", 1),
        getattr(args, "nodes", 1),
        getattr(args, "precision", "32-true"),
        not args.quiet and sys.stderr.isatty(),
    )
    run = Run(
        experiment,
        args.output or Path("runs") / experiment.name,
        compute,
        tuple(getattr(args, "network", ())),
        getattr(args, "workers", None),
        getattr(args, "dask", None),
        getattr(args, "model_version", "1.0.0"),
        lambda text: print(text, flush=True),
    )
    try:
        run_stages(run, stages)
    except KeyboardInterrupt:
        print(f"{args.command}: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0
